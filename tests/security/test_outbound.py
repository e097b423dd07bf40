"""Where requests to providers go: an address, headers, a proxy come from the configuration, never from a request."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
import trustme

from tests.calls import KEY as PROVIDERS_KEY
from tests.calls import chat, provider
from tests.faulty import Faulty
from tests.server import gateway
from tests.upstream.test_tls import server_context

from .hostile import KEY
from .watched import configured

PACKAGE = Path(__file__).resolve().parents[2] / "aura"

# ---- what the code says

# All that an outbound request's address and headers are made of, for each place where one is made. ``model`` is the
# target's, a key into a closed table, percent-encoded; ``path`` is a word of a table; ``media_type`` is JSON's or a
# form's, written anew; the headers of a translation are names of betas that have the form of such.
MADE_OF = {
    "embedding.py Embeddings._vectors": {"self._url", "self._provider.headers"},
    "moderation.py Moderation._send": {"self._url", "self._provider.headers"},
    "providers/__init__.py TokenRequest.request": {"self.url"},
    "providers/__init__.py Provider.door": {
        "self.embed_url", "self.address", "self._sent", "path", "model", "media_type",
    },
    "providers/__init__.py Provider._http": {"self.url", "self._sent", "translation.headers", "model.name"},
}  # fmt: skip
# What is added to the headers of one that was made: the request's id, which has the form of one; what OpenTelemetry
# writes of the trace, where tracing is on; a token that a provider's own server gave.
ADDED = {
    "correlation.py send": {"provider.id_headers", "call.id", "call.trace.headers"},
    "tokens.py Sender._send": {"token.text"},
}
_ADD = ("setdefault", "update", "__setitem__")
# Who may open a connection, make the client, or say what its proxies and certificates are.
CONNECTS = {"upstream/wire.py", "upstream/adapter.py", "upstream/resolver.py"}
OPENERS = {
    "socket.create_connection", "urllib.request.urlopen", "http.client.HTTPConnection", "http.client.HTTPSConnection",
    "requests.get", "requests.post", "requests.request", "requests.Session", "requests.put", "requests.head",
    "urllib3.PoolManager",
}  # fmt: skip


def functions(tree: ast.Module) -> Iterator[tuple[str, ast.FunctionDef]]:
    """All functions with their names, methods after their class's."""
    for node in tree.body:
        if isinstance(node, ast.FunctionDef):
            yield node.name, node
        elif isinstance(node, ast.ClassDef):
            for inner in node.body:
                if isinstance(inner, ast.FunctionDef):
                    yield f"{node.name}.{inner.name}", inner


def dotted(node: ast.expr) -> str:
    """``a.b.c`` of names and attributes, "" of anything else."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        before = dotted(node.value)
        return f"{before}.{node.attr}" if before else ""
    return ""


def made_of(node: ast.AST, given: dict[str, list[ast.expr]], bound: frozenset[str] = frozenset()) -> set[str]:
    """The names that a value is made of, its function's own variables followed to where they come from."""
    if isinstance(node, ast.Name | ast.Attribute) and dotted(node):
        name = dotted(node)
        if name in bound:
            return set()
        root, dot, rest = name.partition(".")
        if root in given:
            found = {one for value in given[root] for one in made_of(value, given, bound | {root, name})}
            # A variable that is another's attribute is called by that one's name.
            alias = len(given[root]) == 1 and dotted(given[root][0])
            return {f"{one}{dot}{rest}" for one in found} if alias else found
        return {name}
    if isinstance(node, ast.Call):
        # Of a function, what it is given; of a method, what it belongs to as well.
        owner = made_of(node.func.value, given, bound) if isinstance(node.func, ast.Attribute) else set()
        arguments = [*node.args, *(keyword.value for keyword in node.keywords)]
        return owner.union(*(made_of(argument, given, bound) for argument in arguments))
    return set().union(*(made_of(child, given, bound) for child in ast.iter_child_nodes(node)))


def noted(given: dict[str, list[ast.expr]], target: ast.expr, value: ast.expr) -> None:
    """Note that a target is given a value; an item's name is part of what its holder is made of."""
    if isinstance(target, ast.Name):
        given.setdefault(target.id, []).append(value)
    elif isinstance(target, ast.Subscript):
        noted(given, target.value, value)
        noted(given, target.value, target.slice)
    elif isinstance(target, ast.Tuple | ast.List):
        each = value.elts if isinstance(value, ast.Tuple) and len(value.elts) == len(target.elts) else None
        for inner, its in zip(target.elts, each or [value] * len(target.elts), strict=True):
            noted(given, inner, its)


def variables(function: ast.FunctionDef) -> dict[str, list[ast.expr]]:
    """What each variable of a function is given, also by loops and by items."""
    given: dict[str, list[ast.expr]] = {}
    for node in ast.walk(function):
        if isinstance(node, ast.Assign):
            for target in node.targets:
                noted(given, target, node.value)
        elif isinstance(node, ast.AugAssign | ast.AnnAssign) and node.value is not None:
            noted(given, node.target, node.value)
        elif isinstance(node, ast.For | ast.comprehension):
            noted(given, node.target, node.iter)
    return given


def added_by(function: ast.FunctionDef) -> set[str]:
    """What a function that is given an outbound request adds to its headers."""
    arguments = [one.arg for one in function.args.args if one.annotation and dotted(one.annotation) == "HttpRequest"]
    theirs, given = {f"{name}.headers" for name in arguments}, variables(function)
    added: set[str] = set()
    for node in ast.walk(function):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in _ADD:
            if made_of(node.func.value, given) <= theirs and theirs:
                added = added.union(*(made_of(argument, given) for argument in node.args))
        elif isinstance(node, ast.Assign):
            for target in node.targets:
                if isinstance(target, ast.Subscript) and dotted(target.value) in theirs:
                    added |= made_of(node.value, given) | made_of(target.slice, given)
    return added


def made_by(function: ast.FunctionDef) -> set[str]:
    """What a function makes the addresses and headers of its outbound requests of."""
    used: set[str] = set()
    for node in ast.walk(function):
        if isinstance(node, ast.Call) and dotted(node.func) == "HttpRequest":
            arguments = node.args[:2] + [one.value for one in node.keywords if one.arg in ("url", "headers", "method")]
            used = used.union(*(made_of(argument, variables(function)) for argument in arguments))
    return used


def files() -> Iterator[tuple[str, ast.Module]]:
    for path in sorted(PACKAGE.rglob("*.py")):
        yield path.relative_to(PACKAGE).as_posix(), ast.parse(path.read_text())


def outbound() -> dict[str, set[str]]:
    """What each place that makes an outbound request makes its address and headers of."""
    made = {f"{file} {name}": made_by(function) for file, tree in files() for name, function in functions(tree)}
    return {place: used for place, used in made.items() if used}


def test_no_value_of_a_request_reaches_an_address_or_a_header_of_an_outbound_request():
    assert outbound() == MADE_OF


def test_what_is_added_to_the_headers_of_an_outbound_request_is_known():
    added = {f"{file} {name}": added_by(function) for file, tree in files() for name, function in functions(tree)}

    assert {place: names for place, names in added.items() if names} == ADDED


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("HttpRequest(call.body['api_base'], self.headers)", {"call.body", "self.headers"}),
        ("url = body.get('x') or self.url; HttpRequest(url, {})", {"body", "self.url"}),
        ("headers = {}; headers[name] = request.headers[name]; HttpRequest('', headers)", {"name", "request.headers"}),
        ("headers = {n: v for n, v in environ.items()}; HttpRequest('', headers=headers)", {"environ"}),
        ("HttpRequest(f'{self.url}/{model}', dict(call.passed))", {"self.url", "model", "call.passed"}),
    ],
)
def test_the_look_for_such_values_finds_them(line, expected):
    """A test that finds nothing proves nothing."""
    function = ast.parse("def f(self):\n " + line).body[0]
    assert isinstance(function, ast.FunctionDef)

    assert made_by(function) - {"dict"} == expected


def test_one_client_opens_all_connections_and_its_proxies_are_no_requests():
    """Redis has a client of its own; its address is the configuration's."""
    openers, makers = set(), {}
    for file, tree in files():
        for node in ast.walk(tree):
            if isinstance(node, ast.Call):
                name = dotted(node.func)
                if name in OPENERS or name.endswith("urlopen"):
                    openers.add(file)
                if name.endswith(("_socket.socket", "ssl.SSLContext")) and file not in ("worker.py",):
                    openers.add(file)
                if name in ("Upstream", "Adapter"):
                    makers[file] = [ast.unparse(argument) for argument in [*node.args, *node.keywords]]

    assert openers <= CONNECTS
    assert makers == {
        "app.py": ["ca_bundle=own.ca_bundle or None", "proxies=proxies"],
        "upstream/__init__.py": ["connect_timeout", "pool_size", "max_body", "ca_bundle", "proxies"],
    }


# ---- what sockets see


def asked_through(config: str, env: dict[str, str] | None = None) -> tuple[int, str]:
    """Status and code of one call through a gateway with an environment."""
    with gateway(config, env=env) as server:
        outcome = chat(server.port, "only/m", stream=False, headers={"Authorization": f"Bearer {KEY}"})
    return outcome.status, outcome.errors[0]["code"] if outcome.status != 200 else ""


def test_the_environment_of_the_gateway_steers_no_call(tmp_path):
    """Proxies, netrc, certificates and the log of TLS keys, as libraries read them."""
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login a password canary\ndefault login b password canary\n")
    with Faulty() as behind, Faulty() as other:
        names = ("http_proxy", "https_proxy", "all_proxy", "ftp_proxy", "no_proxy")
        env = dict.fromkeys(names, other.url) | {name.upper(): other.url for name in names}
        env |= {"HOME": str(tmp_path), "NETRC": str(tmp_path / ".netrc"), "REQUESTS_CA_BUNDLE": "/nowhere"}
        env |= {"CURL_CA_BUNDLE": "/nowhere", "SSLKEYLOGFILE": str(tmp_path / "keys"), "OPENAI_BASE_URL": other.url}

        assert asked_through(configured(behind.url), env)[0] == 200
        assert other.connections == 0
        assert [asked.headers["authorization"] for asked in behind.asked] == [f"Bearer {PROVIDERS_KEY}"]
        assert not (tmp_path / "keys").exists()


def test_a_provider_whose_certificate_is_not_trusted_is_not_asked():
    stranger = server_context(trustme.CA().issue_cert("localhost", "127.0.0.1"))
    with Faulty(tls=stranger) as behind:
        assert asked_through(configured(behind.url)) == (502, "provider_unreachable")
        assert behind.asked == []


@pytest.mark.parametrize("fault", ["redirect", "huge", "bomb", "long-header", "many-headers"])
def test_what_no_provider_sends_is_refused_and_followed_nowhere(fault):
    with Faulty() as behind, gateway(configured(behind.url)) as server:
        behind.always = fault
        outcome = chat(server.port, "only/m", stream=False, headers={"Authorization": f"Bearer {KEY}"})
        again = requests.get(f"{server.url}/v1/models", headers={"Authorization": f"Bearer {KEY}"}, timeout=20)

        assert (outcome.status, outcome.errors[0]["code"]) == (502, "bad_upstream_response")
        assert again.status_code == 200
        assert behind.canary_connections == 0


def test_no_header_of_a_client_is_sent_on_but_what_is_made_here():
    sent = {"Authorization": f"Bearer {KEY}", "OpenAI-Organization": "org-evil", "X-Forwarded-For": "6.6.6.6"}
    sent |= {
        "Cookie": "a=b",
        "anthropic-version": "1900-01-01",
        "X-Custom": "x",
        "traceparent": "00-zz",
        "User-Agent": "evil",
    }
    sent |= {"X-Request-Id": "evil id", "traceparent": "00-evil", "tracestate": "evil=1"}
    with Faulty() as behind, gateway(configured(behind.url)) as server:
        assert chat(server.port, "only/m", stream=False, headers=sent).status == 200
        got = behind.asked[0].headers

    usual = {"host", "accept-encoding", "authorization", "content-type", "content-length", "user-agent"}
    assert set(got) == usual | {"x-request-id", "x-client-request-id"}
    assert "evil" not in str(got)
    assert KEY not in str(got)


def test_a_providers_address_is_the_configurations():
    """``provider`` of the tests' configuration, as it is: nothing in a request has a say."""
    with Faulty() as behind:
        assert f'base-url: "{behind.url}/v1"' in provider("only", behind.url)
        with gateway(configured(behind.url)) as server:
            chat(
                server.port, "only/m", stream=False, headers={"Authorization": f"Bearer {KEY}", "Host": "evil.example"}
            )

        assert [asked.path for asked in behind.asked] == ["/v1/chat/completions"]
        assert [asked.headers["host"] for asked in behind.asked] == [behind.url.removeprefix("http://")]
