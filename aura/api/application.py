"""Flask, with a short way for doors: rules without variables that are asked thousands of times a second.

A door's request takes Flask's own steps: its contexts, its hooks, its blueprint's view, its error handlers, its
response. What would come out the same each time is worked out once: which rule a path and method mean, which hooks
belong to it, whether they are coroutines. As soon as something needs more (a listener to one of Flask's signals,
trusted hosts, preprocessors of URL values), the long way is taken.

Facts
  - Flask takes about 100 µs of CPU for a request on its long way, werkzeug's matcher and headers among them.
  - A context without a URL adapter matches nothing; ``url_for`` needs one, so a door's view cannot call it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

from flask import Flask, Response, signals
from flask.ctx import RequestContext
from flask.globals import request_ctx
from werkzeug.datastructures import Headers
from werkzeug.routing import Rule

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

Hook = Callable[..., Any]


class Door(NamedTuple):
    """A rule, and what Flask calls for it, in this order."""

    rule: Rule
    before: tuple[Hook, ...]
    view: Hook
    after: tuple[Hook, ...]
    teardown: tuple[Hook, ...]


class _Context(RequestContext):
    """The context of a door's request."""

    door: Door


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
        if self.url_value_preprocessors or self.config["TRUSTED_HOSTS"] is not None:
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
        if door is None or environ.get("SCRIPT_NAME") or _listened_to():
            return super().request_context(environ)
        request = self.request_class(environ)
        request.json_module = self.json
        request.url_rule, request.view_args = door.rule, {}
        context = _Context(self, environ, request, self._no_session)
        context.door = door
        return context

    def create_url_adapter(self, request: Any) -> Any:
        """Make what matches a request, unless its rule is known."""
        if request is not None and request.url_rule is not None:
            return None
        return super().create_url_adapter(request)

    def full_dispatch_request(self) -> Response:
        """Call hooks, view and error handlers, and return the response."""
        context = request_ctx._get_current_object()  # type: ignore[attr-defined]
        if context.__class__ is not _Context:
            return super().full_dispatch_request()
        try:
            answer = _first(context.door)
        except Exception as error:
            answer = self.handle_user_exception(error)
        response = self.make_response(answer)
        if context._after_request_functions:
            return self.process_response(response)
        for hook in context.door.after:
            response = hook(response)
        return response

    def do_teardown_request(self, exc: Any = None, *more: Any) -> None:
        """Call what is to be called at the end of a request."""
        context = request_ctx._get_current_object()  # type: ignore[attr-defined]
        if context.__class__ is not _Context:
            return super().do_teardown_request(exc, *more)
        for hook in context.door.teardown:
            hook(exc)
        return None


def _listened_to() -> bool:
    """Whether anyone waits for a signal that a door does not send."""
    return bool(
        signals.request_started.receivers
        or signals.request_finished.receivers
        or signals.request_tearing_down.receivers
    )


def _first(door: Door) -> Any:
    """What the first hook that answers says, else what the view does."""
    for hook in door.before:
        answer = hook()
        if answer is not None:
            return answer
    return door.view()


class Answered(Response):
    """A response with all its headers, which goes out as it is.

    Args:
        body: one body, whose length is among the headers, or pieces whose ``close`` the server calls.
        headers: names and values, known to be well formed.
    """

    _status, _status_code = "200 OK", 200

    def __init__(self, body: bytes | Iterable[bytes], status: int, headers: list[tuple[str, str]]) -> None:
        # Response's own __init__ looks at every header several times, and once more when it goes out.
        self.headers = Headers()
        self.headers._list = headers
        self.direct_passthrough = True
        self._on_close = []
        self.response = [body] if isinstance(body, bytes) else body
        if status != self._status_code:
            self.status_code = status

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Send it."""
        if self._on_close or environ["REQUEST_METHOD"] == "HEAD":
            return super().__call__(environ, start_response)
        start_response(self._status, self.headers.to_wsgi_list())
        return self.response  # type: ignore[return-value]
