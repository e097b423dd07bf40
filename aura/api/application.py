"""Flask, with a short way for doors: rules without variables that are asked thousands of times a second.

A door's request takes Flask's own steps: its contexts, its hooks, its blueprint's view, its error handlers, its
response. What would come out the same each time is worked out once: which rule a path and method mean, which hooks
belong to it, whether they are coroutines. As soon as something needs more (a listener to one of Flask's signals,
trusted hosts, preprocessors of URL values), the long way is taken.

Facts
  - What is private here of Flask's and Werkzeug's is so in the minor version that is asked for (``setup.cfg``).
  - Flask takes about 100 µs of CPU for a request on its long way, werkzeug's matcher and headers among them.
  - A context without a URL adapter matches nothing; ``url_for`` needs one, so a door's view cannot call it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from flask import Flask, Request, Response, signals
from flask.ctx import RequestContext, _AppCtxGlobals
from flask.globals import _cv_app, _cv_request
from werkzeug.datastructures import Headers
from werkzeug.routing import Rule

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

Hook = Callable[..., Any]


# A method of a module's name is bound anew with each call.
_app, _set_app, _reset_app = _cv_app.get, _cv_app.set, _cv_app.reset
_request, _set_request, _reset_request = _cv_request.get, _cv_request.set, _cv_request.reset


@dataclass(frozen=True, slots=True)
class Door:
    """A rule, and what Flask calls for it, in this order."""

    rule: Rule
    before: tuple[Hook, ...]
    view: Hook
    after: tuple[Hook, ...]
    teardown: tuple[Hook, ...]


class _Late:
    """An attribute that Werkzeug sets with the others of its kind, as soon as one of them is read."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __get__(self, request: Request, owner: type) -> Any:
        Request.__init__(request, request.environ, populate_request=False)
        return vars(request)[self._name]


class _Request(Request):
    """The request of a door. What Werkzeug reads of every environ is read here when somebody asks for it."""

    shallow = False

    def __init__(self, environ: WSGIEnvironment, door: Door) -> None:
        self.environ, self.door = environ, door
        self.url_rule, self.view_args = door.rule, {}

    method, scheme, server, root_path = _Late("method"), _Late("scheme"), _Late("server"), _Late("root_path")
    path, query_string, headers = _Late("path"), _Late("query_string"), _Late("headers")
    remote_addr = _Late("remote_addr")


class _Globals:
    """Flask's ``g``; a class with a ``__getattr__`` or ``__setattr__`` has slow attributes, all of them."""

    get, pop, setdefault = _AppCtxGlobals.get, _AppCtxGlobals.pop, _AppCtxGlobals.setdefault
    __contains__, __iter__, __repr__ = _AppCtxGlobals.__contains__, _AppCtxGlobals.__iter__, _AppCtxGlobals.__repr__


class _Context(RequestContext):
    """The context of a door's request, and of the application around it; nobody is told of it (see ``_receivers``)."""

    request: _Request
    _tokens: list[tuple[Any, Any]]

    def __init__(self, app: Flask, environ: WSGIEnvironment, request: Any, session: Any) -> None:  # noqa: ARG002
        self.app, self.request, self.url_adapter, self.flashes, self._session = app, request, None, None, session
        self._after_request_functions, self._tokens = [], []
        self.g = _Globals()

    def push(self) -> None:
        """Make it the present one."""
        around = _set_app(self) if _app(None) is None else None  # type: ignore[arg-type]
        self._tokens.append((_set_request(self), around))

    def pop(self, exc: BaseException | None = None) -> None:
        """End it, for good with the first time that it was made the present one."""
        try:
            if len(self._tokens) == 1:
                for hook in self.request.door.teardown:
                    hook(exc)
                if "files" in self.request.__dict__:
                    self.request.close()
        finally:
            token, around = self._tokens.pop()
            _reset_request(token)
            if around is not None:
                _reset_app(around)


def present() -> tuple[Any, Request]:
    """Flask's ``g`` and ``request`` themselves: each look through their proxies takes ten times as long."""
    return _app().g, _request().request


class Application(Flask):
    """The application.

    Args:
        prefix: what the paths of doors begin with, or several such beginnings.
        aside: packages whose hooks have no part in doors.
    """

    def __init__(self, name: str, prefix: str | tuple[str, ...], aside: Iterable[str] = ()) -> None:
        super().__init__(name, static_folder=None)
        self._prefix, self._aside = prefix, tuple(aside)
        self._no_session = self.session_interface.make_null_session(self)

    @cached_property
    def doors(self) -> dict[tuple[str, str], Door]:
        """Doors by path and method; known with the first request, when nothing can be set up any more."""
        if (
            self.url_value_preprocessors
            or self.teardown_appcontext_funcs
            or self.config["TRUSTED_HOSTS"] is not None
            or self.config["SERVER_NAME"] is not None
        ):
            return {}
        return {
            (rule.rule, method): self._door(rule)
            for rule in self.url_map.iter_rules()
            if rule.rule.startswith(self._prefix) and not rule.arguments
            for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
        }

    def _door(self, rule: Rule) -> Door:
        blueprint = rule.endpoint.rpartition(".")[0]
        before = [hook for name in (None, blueprint) for hook in self.before_request_funcs.get(name, ())]
        after = [hook for name in (blueprint, None) for hook in reversed(self.after_request_funcs.get(name, ()))]
        teardown = [hook for name in (blueprint, None) for hook in reversed(self.teardown_request_funcs.get(name, ()))]
        view = self.ensure_sync(self.view_functions[rule.endpoint])
        return Door(rule, self._ready(before), view, self._ready(after), self._ready(teardown))

    def _ready(self, hooks: Iterable[Hook]) -> tuple[Hook, ...]:
        return tuple(self.ensure_sync(hook) for hook in hooks if not hook.__module__.startswith(self._aside))

    def request_context(self, environ: WSGIEnvironment) -> RequestContext:
        """Make the context of a request; a door's has its rule already."""
        door = self.doors.get((environ["PATH_INFO"], environ["REQUEST_METHOD"])) if self._got_first_request else None
        if door is None or environ.get("SCRIPT_NAME") or any(_receivers):
            return super().request_context(environ)
        request = _Request(environ, door)
        request.json_module = self.json
        return _Context(self, environ, request, self._no_session)

    def full_dispatch_request(self) -> Response:
        """Call hooks, view and error handlers, and return the response."""
        context = _request()
        if context.__class__ is not _Context:
            return super().full_dispatch_request()
        door: Door = context.request.door
        try:
            for hook in door.before:
                response = hook()
                if response is not None:
                    break
            else:
                response = door.view()
        except Exception as error:
            response = self.handle_user_exception(error)
        if response.__class__ is not Answered:
            response = self.make_response(response)
        if context._after_request_functions:
            return self.process_response(response)
        for hook in door.after:
            response = hook(response)
        answer: Response = response
        return answer


# Who waits for a signal that a door does not send.
_receivers = [
    signal.receivers
    for signal in (
        signals.request_started,
        signals.request_finished,
        signals.request_tearing_down,
        signals.appcontext_pushed,
        signals.appcontext_popped,
        signals.appcontext_tearing_down,
    )
]


class Answered(Response):
    """A response with all its headers, which goes out as it is.

    Args:
        body: one body, whose length is among the headers, or pieces whose ``close`` the server calls.
        headers: names and values, known to be well formed.
    """

    _status, _status_code = "200 OK", 200

    def __init__(self, body: bytes | Iterable[bytes], status: int, headers: list[tuple[str, str]]) -> None:
        # Response's own __init__ looks at every header several times, and once more when it goes out.
        self.headers = named = Headers.__new__(Headers)
        named._list = headers
        self.direct_passthrough = True
        self._on_close = []
        self.response = [body] if isinstance(body, bytes) else body
        if status != self._status_code:
            self.status_code = status

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Send it."""
        if self._on_close or environ["REQUEST_METHOD"] == "HEAD":
            return super().__call__(environ, start_response)
        start_response(self._status, self.headers._list)
        return self.response  # type: ignore[return-value]
