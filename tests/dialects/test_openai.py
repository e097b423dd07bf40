"""OpenAI's grammar at both ends: what is forwarded, what is understood, what a compatible server may get wrong."""

import copy
import json

import orjson
import pytest

from aura.call import Translation, Usage
from aura.catalogue import unknown
from aura.dialects import openai
from aura.errors import Failure, Reason
from aura.sse import Event

USER = {"role": "user", "content": "Hello"}


def out(**body):
    return openai.request_out({"model": "auto", "messages": [USER], **body}, unknown("served-model"))


def feed(*events, choices=1, name=""):
    """Read events; return their chunks and the reader."""
    reader = openai.reader(Translation({}, choices=choices))
    chunks = []
    for event in events:
        data = event if isinstance(event, bytes) else orjson.dumps(event)
        chunks += reader.feed(Event(name, data))
    return chunks, reader


def chunk(delta=None, finish=None, index=0, **more):
    choice = {"index": index, "delta": delta, "finish_reason": finish}
    return {"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [choice], **more}


# Requests


def test_a_body_is_forwarded_with_everything_that_is_unknown_here():
    """A list of known parameters would lose what a server invents tomorrow."""
    body = {
        "top_k": 5,
        "provider": {"order": ["a"]},
        "messages": [
            {"role": "user", "content": [{"type": "video_url", "video_url": {"url": "x"}}], "cache_control": {}}
        ],
        "tools": [{"type": "custom", "custom": {"name": "shell"}}],
        "functions": [{"name": "old"}],
        "function_call": "auto",
        "max_tokens": 5,
        "n": 2,
        "z": None,
    }

    translation = out(**body)

    assert {"model": "served-model", **body} == translation.body
    assert (translation.dropped, translation.choices) == ([], 2)


def test_what_steers_aura_stays_here():
    assert {"model", "messages"} == set(out(aura={"tier": "eco"}, fallbacks=["openai/gpt-4o"]).body)


@pytest.mark.parametrize("given", [None, {}, {"include_usage": False}, {"include_usage": True, "chunk_size": 1}, [1]])
def test_a_streams_usage_is_always_asked_for(given):
    options = out(stream=True, stream_options=given).body["stream_options"]

    assert options["include_usage"] is True
    assert (given or {}) == {} or not isinstance(given, dict) or set(given) <= set(options)


def test_a_whole_answer_needs_no_stream_options():
    assert "stream_options" not in out().body
    assert "stream_options" not in out(stream=False).body


def test_c10_reasoning_of_an_earlier_turn_is_forwarded_as_it_is():
    messages = [USER, {"role": "assistant", "content": "4", "reasoning": "2+2", "reasoning_content": "2+2"}, USER]

    assert messages == out(messages=messages).body["messages"]


def test_the_clients_body_is_never_changed():
    body = {"model": "auto", "messages": [USER], "stream": True, "stream_options": {"include_usage": False}, "aura": {}}
    untouched = copy.deepcopy(body)

    first = openai.request_out(body, unknown("m"))

    assert (untouched, first) == (body, openai.request_out(body, unknown("m")))


# Whole answers


ANSWER = {
    "id": "x",
    "model": "m",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "Hi", "x_new": 1}, "finish_reason": "stop"}],
    "service_tier": "default",
}


def test_a_whole_answer_is_forwarded_as_it_is():
    body = copy.deepcopy(ANSWER)

    assert openai.response_in(body, Translation({}, model="asked")) is body
    assert body == ANSWER


def test_an_answer_without_a_model_gets_the_one_asked_for():
    assert openai.response_in({**ANSWER, "model": ""}, Translation({}, model="asked"))["model"] == "asked"


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ({}, Reason.BAD_RESPONSE),
        ({"choices": []}, Reason.BAD_RESPONSE),
        ({"choices": None}, Reason.BAD_RESPONSE),
        ({"choices": {"0": {}}}, Reason.BAD_RESPONSE),
        ({"choices": [7]}, Reason.BAD_RESPONSE),
        ({"choices": [{"finish_reason": "stop"}]}, Reason.BAD_RESPONSE),
        ({"choices": [{"message": "hi"}]}, Reason.BAD_RESPONSE),
        ({"choices": [{"message": {"content": ""}, "finish_reason": "error"}]}, Reason.UNAVAILABLE),
        ({"error": {"message": "no", "code": 429}}, Reason.RATE_LIMITED),
        ({"error": {"message": "no", "code": "503"}}, Reason.UNAVAILABLE),
        ({"error": "overloaded"}, Reason.UNAVAILABLE),
        ({"object": "error", "message": "no", "type": "BadRequestError", "code": 400}, Reason.INVALID_REQUEST),
    ],
)
def test_an_answer_under_200_that_is_none_is_a_failure(body, reason):
    with pytest.raises(Failure) as caught:
        openai.response_in(body, Translation({}))

    assert reason == caught.value.reason


# Streams


def test_an_event_keeps_its_own_bytes():
    data = b'{"choices":[ {"index":0,"delta":{"content":"\\u00e9"},"obfuscation":1.0e0} ]}'

    [read], _ = feed(data)

    assert (data, True) == (read.data, read.content)


@pytest.mark.parametrize(
    ("delta", "content"),
    [
        ({"role": "assistant"}, False),
        ({"role": "assistant", "content": ""}, False),
        ({"content": None, "refusal": None, "tool_calls": None}, False),
        ({}, False),
        (None, False),
        ({"content": "a"}, True),
        ({"reasoning_content": "a"}, True),
        ({"reasoning": "a"}, True),
        ({"refusal": "no"}, True),
        ({"tool_calls": [{"index": 0, "id": "1", "function": {"name": "f", "arguments": ""}}]}, True),
        ({"function_call": {"name": "f"}}, True),
        ({"audio": {"data": "QQ=="}}, True),
    ],
)
def test_x5_first_content_is_content_reasoning_or_a_call(delta, content):
    [read], _ = feed(chunk(delta))

    assert content is read.content


def test_a_stream_is_complete_with_its_finish_reason_whether_done_comes_or_not():
    chunks, reader = feed(chunk({"content": "a"}), chunk({}, "stop"))

    assert ([read.finished for read in chunks], reader.complete) == ([0, 1], True)


def test_done_after_the_finish_reason_is_the_last_event():
    chunks, _ = feed(chunk({"content": "a"}, "stop"), b"[DONE]")

    assert (chunks[-1].last, chunks[-1].body, chunks[-1].data) == (True, None, b"[DONE]")


@pytest.mark.parametrize("events", [[], [b'{"choices":[],"usage":{"total_tokens":1}}']])
def test_c15_a_stream_without_a_finish_reason_is_no_success(events):
    """Ollama's compatible door ends like this after an error that it lost."""
    chunks, reader = feed(chunk({"content": "a"}), chunk({"content": ""}), *events)

    assert not reader.complete
    assert not any(read.last for read in chunks)
    with pytest.raises(Failure) as raised:
        reader.feed(Event("", b"[DONE]"))
    assert raised.value.reason is Reason.INTERRUPTED


def test_every_choice_must_finish_and_counts_once():
    _, one = feed(chunk({}, "stop", 0), chunk({}, "stop", 0), choices=2)
    _, both = feed(chunk({}, "stop", 0), chunk({}, "length", 1), choices=2)

    assert (one.complete, both.complete) == (False, True)


def test_c2_a_server_that_ignores_n_is_complete_with_its_one_choice():
    _, alone = feed(chunk({"content": "a"}), chunk({}, "stop"), b"[DONE]", choices=2)
    _, cut = feed(chunk({"content": "a"}), chunk({"content": "b"}, index=1), chunk({}, "stop"), choices=2)

    assert alone.complete
    with pytest.raises(Failure):
        cut.feed(Event("", b"[DONE]"))


def test_usage_is_read_where_it_comes():
    usage = {
        "prompt_tokens": 9,
        "completion_tokens": 5,
        "prompt_tokens_details": {"cached_tokens": 4},
        "completion_tokens_details": {"reasoning_tokens": 3},
    }

    chunks, _ = feed(chunk({"content": "a"}, usage=None), chunk({}, "stop"), {"choices": [], "usage": usage})

    assert [None, None, Usage(input=9, output=5, cached_read=4, reasoning=3)] == [read.usage for read in chunks]


@pytest.mark.parametrize(
    ("usage", "read"),
    [
        ({}, Usage()),
        ({"prompt_tokens": None, "completion_tokens": "5"}, Usage()),
        ({"prompt_tokens": -1, "completion_tokens": 5.0, "prompt_tokens_details": None}, Usage(output=5)),
        ({"prompt_tokens": 3, "prompt_tokens_details": {"cached_tokens": 7}}, Usage(input=3, cached_read=3)),
        (7, Usage()),
        (None, Usage()),
    ],
)
def test_an_odd_usage_counts_as_nothing(usage, read):
    assert read == openai.usage_in(usage)


def test_c11_usage_of_three_numbers_is_enough():
    assert Usage(input=2, output=3) == openai.usage_in({"prompt_tokens": 2, "completion_tokens": 3, "total_tokens": 5})


@pytest.mark.parametrize(
    ("event", "name", "reason"),
    [
        ({"error": {"message": "The server had an error", "type": "server_error"}}, "", Reason.SERVER_ERROR),
        ({"error": {"message": "slow down", "type": "rate_limit_error"}}, "", Reason.RATE_LIMITED),
        ({"error": {"message": "an error was encountered", "type": "api_error"}}, "", Reason.SERVER_ERROR),
        ({"error": {"code": 502, "message": "gone"}, **chunk({"content": ""}, "error")}, "", Reason.UNAVAILABLE),
        ({"error": "overloaded"}, "", Reason.UNAVAILABLE),
        (chunk({"content": ""}, "error"), "", Reason.UNAVAILABLE),
        (chunk({"content": ""}, "ERROR"), "", Reason.UNAVAILABLE),
        (chunk({}, "network_error"), "", Reason.UNAVAILABLE),
        ({"message": "no room", "code": "context_length_exceeded"}, "error", Reason.CONTEXT_LENGTH),
        ({"object": "error", "message": "bad", "code": 400}, "", Reason.INVALID_REQUEST),
    ],
)
def test_an_error_inside_a_stream_is_a_failure_and_no_end(event, name, reason):
    reader = openai.reader(Translation({}))

    with pytest.raises(Failure) as caught:
        reader.feed(Event(name, orjson.dumps(event)))

    assert (reason, False) == (caught.value.reason, reader.complete)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{",
        b"<html>",
        b"null",
        b"[]",
        b"7",
        b'{"choices":7}',
        b'{"choices":{"a":1}}',
        b'{"choices":[7]}',
        b'{"choices":[null]}',
        b'{"choices":[{"delta":"text"}]}',
        b'{"choices":[{"delta":[1]}]}',
        b'{"choices":[{"index":"0","delta":{}}]}',
        b'{"choices":[{"delta":{},"finish_reason":7}]}',
        b'{"choices":[{"delta":{"tool_calls":"f"}}]}',
        b'{"choices":[{"delta":{"tool_calls":[7]}}]}',
        b'{"choices":[{"delta":{"tool_calls":[{"index":"0"}]}}]}',
        b'{"choices":[{"delta":{"tool_calls":[{"function":7}]}}]}',
        b'{"choices":[{"delta":{"tool_calls":[{"function":{"arguments":[1]}}]}}]}',
        b'{"choices":[{"delta":{"function_call":7}}]}',
    ],
)
def test_an_event_that_is_not_of_the_grammar_is_skippable(data):
    reader = openai.reader(Translation({}))

    with pytest.raises(ValueError):  # noqa: PT011  (any of them is skipped)
        reader.feed(Event("", data))

    assert not reader.complete


@pytest.mark.parametrize(
    "event",
    [
        {"choices": None},
        {"choices": [], "usage": None},
        {},
        {"id": "", "model": "", "choices": []},
        {"choices": [{"index": 0}]},
        {"choices": [], "usage": "many"},
    ],
)
def test_an_event_that_says_nothing_is_no_error(event):
    [read], reader = feed(event)

    assert (read.content, read.finished, read.usage, reader.complete) == (False, 0, None, False)


# Errors


def error(status, body):
    return openai.error_in(status, {}, body if isinstance(body, bytes) else json.dumps(body).encode())


@pytest.mark.parametrize(
    ("status", "told", "reason"),
    [
        (400, {"code": "context_length_exceeded"}, Reason.CONTEXT_LENGTH),
        (400, {"message": "This model's maximum context length is 8192 tokens"}, Reason.CONTEXT_LENGTH),
        (400, {"message": "prompt too long; exceeded max context length by 9 tokens"}, Reason.CONTEXT_LENGTH),
        (400, {"message": "the request exceeds", "type": "exceed_context_size_error"}, Reason.CONTEXT_LENGTH),
        (400, {"code": "unsupported_parameter", "param": "max_tokens"}, Reason.INVALID_REQUEST),
        (422, {"message": "x"}, Reason.INVALID_REQUEST),
        (413, {"message": "x"}, Reason.INVALID_REQUEST),
        (400, {"code": "content_policy_violation"}, Reason.CONTENT_POLICY),
        (401, {"code": "invalid_api_key"}, Reason.AUTH),
        (403, {"message": "x"}, Reason.AUTH),
        (402, {"message": "x"}, Reason.QUOTA),
        (404, {"code": "model_not_found"}, Reason.MODEL_NOT_FOUND),
        (429, {"code": "insufficient_quota"}, Reason.QUOTA),
        (429, {"message": "You exceeded your current quota, please check your plan"}, Reason.QUOTA),
        (429, {"code": "rate_limit_exceeded", "type": "tokens"}, Reason.RATE_LIMITED),
        (500, {"type": "server_error"}, Reason.SERVER_ERROR),
        (503, {"message": "overloaded"}, Reason.UNAVAILABLE),
        (529, {"message": "overloaded"}, Reason.UNAVAILABLE),
        (408, {"message": "x"}, Reason.TIMEOUT),
    ],
)
def test_errors_by_code_and_status(status, told, reason):
    assert reason == error(status, {"error": told}).reason


@pytest.mark.parametrize("status", [429, 503])
def test_c14_the_status_decides_where_the_type_is_always_api_error(status):
    reason = error(status, {"error": {"message": "busy", "type": "api_error", "param": None, "code": None}}).reason

    assert {429: Reason.RATE_LIMITED, 503: Reason.UNAVAILABLE}[status] == reason


@pytest.mark.parametrize("body", [b"", b"<html>upstream</html>", b"\xff", b"{"])
@pytest.mark.parametrize(
    ("status", "reason"),
    [
        (500, Reason.SERVER_ERROR),
        (503, Reason.UNAVAILABLE),
        (429, Reason.RATE_LIMITED),
        (413, Reason.INVALID_REQUEST),
        (400, Reason.BAD_RESPONSE),
        (404, Reason.BAD_RESPONSE),
        (302, Reason.BAD_RESPONSE),
    ],
)
def test_a_page_of_a_proxy_does_not_blame_the_client(status, body, reason):
    failure = error(status, body)

    assert (failure.reason, failure.status, failure.message) == (reason, status, "")


@pytest.mark.parametrize("body", [b"[]", b"7", b"null", b'{"error":null}', b'{"error":{}}'])
def test_json_that_tells_nothing_leaves_the_status_to_decide(body):
    assert [error(status, body).reason for status in (400, 404, 500)] == [
        Reason.INVALID_REQUEST,
        Reason.MODEL_NOT_FOUND,
        Reason.SERVER_ERROR,
    ]


@pytest.mark.parametrize(
    "body",
    [
        {"error": {"message": "no such field", "param": "x"}},
        {"message": "no such field"},
        {"detail": "no such field"},
        {"error": "no such field"},
        [{"error": {"message": "no such field"}}],
        {"detail": [{"loc": ["body", "x"], "msg": "no such field", "type": "missing"}]},
        {"detail": {"message": "no such field"}},
        {"object": "error", "message": {"detail": [{"loc": ["body", "x"], "msg": "no such field"}]}},
    ],
)
def test_the_servers_words_are_found_in_every_shape(body):
    assert error(400, body).message == "no such field"


@pytest.mark.parametrize(
    ("body", "message", "param"),
    [
        ({"detail": [{"loc": ["body", "messages", 0, "role"], "msg": "Bad role"}]}, "Bad role", "messages[0].role"),
        ({"detail": [{"loc": ["body", "n"], "msg": "a"}, {"loc": ["body", "m"], "msg": "b"}]}, "a; b", "n"),
        ({"detail": [{"loc": ["query", "key"], "msg": "a"}]}, "a", "query.key"),
        ({"detail": [{"msg": "a", "loc": None}, {"loc": []}, "b"]}, "a", None),
        ({"detail": [1, {"msg": 2}], "message": None}, "", None),
        ({"message": {"detail": {"detail": "a"}}}, "a", None),
    ],
)
def test_a_list_of_faults_is_told_with_its_first_place(body, message, param):
    failure = error(422, body)

    assert (message, param) == (failure.message, failure.param)


def test_the_blamed_field_is_kept():
    assert error(400, {"error": {"message": "m", "param": "messages[2]"}}).to_client().param == "messages[2]"
