"""A door's short way: the same hooks, views, errors and contexts as on Flask's long one."""

from __future__ import annotations

import pytest
from flask import Blueprint, Response, g, request, request_started, url_for
from werkzeug.exceptions import Conflict

from aura.api.application import Answered, Application


def built(told: list[str]) -> Application:
    app = Application("aura", prefix="/v1/", aside=("prometheus_flask_exporter",))
    doors = Blueprint("doors", __name__)

    @app.before_request
    def before() -> Response | None:
        told.append(f"before {request.url_rule}")
        g.seen = True
        return Response("stop") if request.headers.get("X-Stop") else None

    @app.after_request
    def after(response: Response) -> Response:
        told.append("after")
        response.headers["x-after"] = "1"
        return response

    @app.teardown_request
    def teardown(error: BaseException | None) -> None:
        told.append(f"teardown {error}")

    @app.errorhandler(ValueError)
    def worded(error: ValueError) -> Response:
        return Response(f"worded {error}", 418)

    @doors.before_request
    def own() -> None:
        told.append("own")

    @doors.post("/v1/door")
    def door() -> Response:
        told.append(f"view {g.seen} {request.endpoint}")
        if request.data == b"wrong":
            raise ValueError("wrong")
        if request.data == b"conflict":
            raise Conflict
        return Answered(b"whole", 200, [("content-length", "5"), ("x-own", "2")])

    app.register_blueprint(doors)
    app.add_url_rule("/other", view_func=lambda: url_for("doors.door"))
    app.test_client().get("/other")
    told.clear()
    return app


@pytest.mark.parametrize("listened", [False, True], ids=["the short way", "the long way"])
def test_a_door_calls_what_flask_calls(listened):
    told: list[str] = []
    app = built(told)

    def listener(*_args: object, **_more: object) -> None:
        told.append("signal")

    if listened:
        request_started.connect(listener, app)
    try:
        answer = app.test_client().post("/v1/door", data=b"")
    finally:
        request_started.disconnect(listener, app)

    assert [line for line in told if line != "signal"] == [
        "before /v1/door",
        "own",
        "view True doors.door",
        "after",
        "teardown None",
    ]
    assert ("signal" in told) == listened
    assert (answer.status_code, answer.data) == (200, b"whole")
    assert (answer.headers["x-own"], answer.headers["x-after"], answer.headers["content-length"]) == ("2", "1", "5")


@pytest.mark.parametrize(
    ("method", "path", "data", "headers", "status", "body"),
    [
        ("POST", "/v1/door", b"wrong", {}, 418, b"worded wrong"),
        ("POST", "/v1/door", b"conflict", {}, 409, None),
        ("POST", "/v1/door", b"", {"X-Stop": "1"}, 200, b"stop"),
        ("GET", "/v1/door", b"", {}, 405, None),
        ("POST", "/v1/door/", b"", {}, 404, None),
        ("POST", "/v1/nothing", b"", {}, 404, None),
        ("GET", "/other", b"", {}, 200, b"/v1/door"),
    ],
)
def test_errors_and_other_paths_are_answered_as_ever(method, path, data, headers, status, body):
    answer = built([]).test_client().open(path, method=method, data=data, headers=headers)

    assert answer.status_code == status
    assert answer.headers["x-after"] == "1"
    assert body is None or answer.data == body


def test_nothing_of_a_request_is_left_behind_for_the_next():
    told: list[str] = []
    app = built(told)
    client = app.test_client()
    for _ in range(3):
        assert client.post("/v1/door", data=b"wrong").status_code == 418
        assert client.post("/v1/door").data == b"whole"

    assert told.count("teardown None") == 6
    assert not g


def test_a_status_of_its_own_and_a_stream_go_out_as_they_are():
    app = built([])
    closed: list[bool] = []

    class Pieces:
        def __iter__(self):
            return iter([b"a", b"b"])

        def close(self) -> None:
            closed.append(True)

    app.view_functions["doors.door"] = lambda: Answered(Pieces(), 202, [("x-own", "2")])
    answer = app.test_client().post("/v1/door")

    assert (answer.status_code, answer.data, "content-length" in answer.headers) == (202, b"ab", False)
    answer.close()
    assert closed == [True]
