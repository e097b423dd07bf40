"""Access tokens: asked for once by all who wait, kept, renewed early, dropped when they are refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from types import SimpleNamespace

import gevent
import pytest
from gevent.event import Event

from aura import tokens
from aura.call import HttpRequest
from aura.errors import Failure, Reason
from aura.providers import TokenRequest
from aura.settings import Secret
from aura.tokens import Sender, Tokens

SECRET = "canary~secret.of-an_application"
WANTED = TokenRequest("https://login.example/t/oauth2/v2.0/token", (("client_secret", Secret(SECRET)),))
OTHER = TokenRequest("https://login.example/u/oauth2/v2.0/token", (("client_secret", Secret(SECRET)),))
FAR = 1e9


class Endpoint:
    """Gives out tokens ``token-1``, ``token-2``, by a clock of its own.

    Args:
        life: what it says in ``expires_in``.
    """

    def __init__(self, life: object = 3600) -> None:
        self.now = 1000.0
        self.life = life
        self.asked: list[tuple[str, float]] = []
        self.refusal: Callable[[], tuple[int, bytes]] | None = None
        self.open = Event()
        self.open.set()
        self.tokens = Tokens(self.post, lambda: self.now)

    def post(self, request: HttpRequest, deadline: float) -> tuple[int, bytes]:
        self.asked.append((request.url, deadline))
        self.open.wait()
        if self.refusal is not None:
            return self.refusal()
        token = {"token_type": "Bearer", "expires_in": self.life, "access_token": f"token-{len(self.asked)}"}
        return 200, json.dumps({key: value for key, value in token.items() if value is not None}).encode()

    def get(self, wanted: TokenRequest = WANTED, deadline: float = FAR) -> str:
        text = self.tokens.get(wanted, deadline).text.reveal()
        gevent.idle()  # what was begun behind a caller's back
        return text

    def failure(self) -> Failure:
        with pytest.raises(Failure) as caught:
            self.get()
        return caught.value

    def at(self, seconds: float) -> str:
        self.now = 1000.0 + seconds
        return self.get()


def refusing(status: int, body: object) -> Callable[[], tuple[int, bytes]]:
    return lambda: (status, body if isinstance(body, bytes) else json.dumps(body).encode())


def failing(reason: Reason) -> Callable[[], tuple[int, bytes]]:
    def refusal() -> tuple[int, bytes]:
        raise Failure(reason, "why")

    return refusal


# When it is asked for


def test_all_who_wait_share_one_request():
    endpoint = Endpoint()
    endpoint.open.clear()
    waiting = [gevent.spawn(endpoint.get) for _ in range(50)]
    gevent.idle()
    endpoint.open.set()
    gevent.joinall(waiting)

    assert ["token-1"] * 50 == [one.value for one in waiting]
    assert len(endpoint.asked) == 1


def test_a_caller_who_leaves_takes_nothing_from_the_others():
    endpoint = Endpoint()
    endpoint.open.clear()
    first, second = gevent.spawn(endpoint.get), gevent.spawn(endpoint.get)
    gevent.idle()
    first.kill()
    endpoint.open.set()

    assert second.get() == "token-1"
    assert len(endpoint.asked) == 1


def test_asking_has_ten_seconds():
    endpoint = Endpoint()
    endpoint.get()

    assert [(WANTED.url, 1010.0)] == endpoint.asked


def test_a_caller_waits_no_longer_than_its_deadline_and_the_next_one_profits():
    endpoint = Endpoint()
    endpoint.open.clear()
    with pytest.raises(Failure) as caught:
        endpoint.get(deadline=endpoint.now)
    endpoint.open.set()

    assert caught.value.reason is Reason.TIMEOUT
    assert endpoint.get() == "token-1"
    assert len(endpoint.asked) == 1


def test_each_way_of_asking_has_its_own_token_and_equal_ones_share_it():
    endpoint = Endpoint()
    same = TokenRequest(WANTED.url, (("client_secret", Secret(SECRET)),))

    assert (endpoint.get(WANTED), endpoint.get(OTHER), endpoint.get(same)) == ("token-1", "token-2", "token-1")


@pytest.mark.parametrize(
    ("life", "kept", "renewed", "ended"),
    [
        (3600, 3299, 3301, 3571),
        ("3600", 3299, 3301, 3571),
        (7200, 6899, 6901, 7171),
        (400, 199, 201, 381),
        (1e9, 86099, 86101, 86371),
        (None, 149, 151, 286),
        ("soon", 149, 151, 286),
        (-5, 149, 151, 286),
        ("nan", 149, 151, 286),
    ],
)
def test_a_token_is_renewed_early_and_meanwhile_sent(life, kept, renewed, ended):
    """Five minutes before its end, or at half its life; near its end it is waited for."""
    endpoint = Endpoint(life)

    assert (endpoint.at(0), endpoint.at(kept), len(endpoint.asked)) == ("token-1", "token-1", 1)
    assert (endpoint.at(renewed), len(endpoint.asked)) == ("token-1", 2)
    assert endpoint.at(renewed) == "token-2"

    late = Endpoint(life)

    assert (late.at(0), late.at(ended)) == ("token-1", "token-2")


def test_a_renewal_that_fails_leaves_the_old_token_until_it_ends():
    endpoint = Endpoint()
    endpoint.get()
    endpoint.refusal = refusing(503, b"")

    assert ("token-1", 2) == (endpoint.at(3400), len(endpoint.asked))
    assert ("token-1", 2) == (endpoint.at(3404), len(endpoint.asked))
    assert ("token-1", 3) == (endpoint.at(3406), len(endpoint.asked))

    endpoint.now += 200

    assert endpoint.failure().reason is Reason.UNREACHABLE


# What can go wrong


@pytest.mark.parametrize(
    ("refusal", "reason", "told"),
    [
        (
            refusing(401, {"error": "invalid_client", "error_codes": [7000215], "error_description": SECRET}),
            Reason.AUTH,
            "401 invalid_client AADSTS7000215",
        ),
        (refusing(400, {"error": SECRET, "error_codes": [SECRET, True, 90002]}), Reason.AUTH, "400 AADSTS90002"),
        (refusing(400, [SECRET]), Reason.AUTH, "400"),
        (refusing(404, b"<html>"), Reason.AUTH, "404"),
        (refusing(429, b""), Reason.UNREACHABLE, "429"),
        (refusing(503, b"<html>"), Reason.UNREACHABLE, "503"),
        (refusing(302, b""), Reason.UNREACHABLE, "302"),
        (refusing(200, b"<html>"), Reason.UNREACHABLE, "holds no token that can be sent"),
        (refusing(200, b"null"), Reason.UNREACHABLE, "holds no token that can be sent"),
        (refusing(200, {}), Reason.UNREACHABLE, "holds no token that can be sent"),
        (refusing(200, {"access_token": ""}), Reason.UNREACHABLE, "holds no token that can be sent"),
        (refusing(200, {"access_token": 7}), Reason.UNREACHABLE, "holds no token that can be sent"),
        (refusing(200, {"access_token": "a\r\nx: y"}), Reason.UNREACHABLE, "holds no token that can be sent"),
        (refusing(200, {"access_token": "tök"}), Reason.UNREACHABLE, "holds no token that can be sent"),
        (
            refusing(200, {"access_token": "a", "token_type": "mac"}),
            Reason.UNREACHABLE,
            "holds no token that can be sent",
        ),
        (failing(Reason.UNREACHABLE), Reason.UNREACHABLE, "why"),
        (failing(Reason.TIMEOUT), Reason.TIMEOUT, "why"),
        (failing(Reason.BAD_RESPONSE), Reason.UNREACHABLE, "why"),
    ],
)
def test_what_went_wrong_is_told_without_the_secret(refusal, reason, told, monkeypatch):
    logged = []
    monkeypatch.setattr(tokens.log, "warning", lambda event, extra: logged.append((event, extra)))
    endpoint = Endpoint()
    endpoint.refusal = refusal
    failure = endpoint.failure()

    assert (reason, True) == (failure.reason, failure.rule.next)
    assert told in failure.message
    assert SECRET not in failure.message
    assert [("token.failed", {"reason": reason.value, "detail": failure.message})] == logged


def test_a_failure_is_shared_by_all_who_wait_and_not_asked_for_again_for_five_seconds():
    endpoint = Endpoint()
    endpoint.refusal = refusing(401, {"error": "invalid_client"})
    endpoint.open.clear()
    waiting = [gevent.spawn(endpoint.failure) for _ in range(5)]
    gevent.idle()
    endpoint.open.set()
    gevent.joinall(waiting)
    endpoint.now += 4.9
    failures = [one.value for one in waiting] + [endpoint.failure()]

    assert [(Reason.AUTH, 401)] * 6 == [(failure.reason, failure.status) for failure in failures]
    assert len({id(failure) for failure in failures}) == 6
    assert len(endpoint.asked) == 1

    endpoint.now += 0.2
    endpoint.refusal = None

    assert endpoint.get() == "token-2"


def test_an_error_that_nobody_foresaw_leaves_nobody_waiting(monkeypatch):
    def broken() -> tuple[int, bytes]:
        raise ValueError("the URL cannot be sent")

    monkeypatch.setattr(gevent.get_hub(), "print_exception", lambda *_: None)
    endpoint = Endpoint()
    endpoint.refusal = broken

    assert endpoint.failure().reason is Reason.UNREACHABLE


def test_neither_a_token_nor_how_it_is_asked_for_prints_a_secret():
    endpoint = Endpoint()
    printed = f"{endpoint.tokens.get(WANTED, FAR)} {WANTED}"

    assert "token-1" not in printed
    assert SECRET not in printed


# Sending


class Upstream:
    """Answers 401 to the tokens in ``refused``, and gives out new ones."""

    def __init__(self, *refused: str) -> None:
        self.refused, self.sent, self.given, self.deadlines = set(refused), [], 0, []

    def send(self, request: HttpRequest, deadline: float, *, fresh: bool = False) -> SimpleNamespace:
        if request.url == WANTED.url:
            self.given += 1
            data = json.dumps({"access_token": f"token-{self.given}", "expires_in": 3600}).encode()
            assert fresh
            return SimpleNamespace(status=200, read=lambda _: data, close=lambda: None)
        self.sent.append(request.headers.get("authorization", "").removeprefix("Bearer "))
        status = 401 if self.sent[-1] in self.refused else 200
        return SimpleNamespace(status=status, close=lambda: None)


def asked(upstream: Upstream, calls: int, token: TokenRequest | None = WANTED) -> list[int]:
    sender = Sender(upstream, lambda: 1000.0)
    return [sender.send(HttpRequest("https://azure.example", {}, b"{}"), FAR, token=token).status for _ in range(calls)]


def test_a_provider_that_wants_no_token_gets_none():
    upstream = Upstream()

    assert [200] == asked(upstream, 1, None)
    assert ([""], 0) == (upstream.sent, upstream.given)


def test_a_token_is_kept_from_call_to_call():
    upstream = Upstream()

    assert [200] * 3 == asked(upstream, 3)
    assert (["token-1"] * 3, 1) == (upstream.sent, upstream.given)


def test_a_refused_token_is_replaced_and_the_call_sent_again():
    upstream = Upstream("token-1", "token-3")

    assert [200, 200] == asked(upstream, 2)
    assert ["token-1", "token-2", "token-2"] == upstream.sent


def test_a_token_that_was_accepted_may_be_refused_later_as_its_forerunner_was():
    upstream = Upstream("token-1")
    sender = Sender(upstream, lambda: 1000.0)
    for _ in range(2):
        sender.send(HttpRequest("https://azure.example", {}, b"{}"), FAR, token=WANTED)
    upstream.refused.add("token-2")

    assert sender.send(HttpRequest("https://azure.example", {}, b"{}"), FAR, token=WANTED).status == 200
    assert ["token-1", "token-2", "token-2", "token-2", "token-3"] == upstream.sent


def test_who_is_refused_whatever_the_token_does_not_ask_for_tokens_without_end():
    upstream = Upstream(*(f"token-{number}" for number in range(9)))

    assert [401] * 3 == asked(upstream, 3)
    assert ["token-1", "token-2", "token-2", "token-2"] == upstream.sent
    assert upstream.given == 2
