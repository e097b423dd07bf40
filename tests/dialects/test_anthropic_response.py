"""Whole answers of Anthropic's, and its errors. The names of the tests are those of the translation cases."""

import json

import pytest

from aura.call import Usage
from aura.dialects import anthropic
from aura.dialects.openai import usage_in
from aura.errors import Failure, Reason

from .anthropic_wire import ADAPTIVE, BUDGET, OLD, USER, answer, answered, function, message, result, sent, text

USE = {"type": "tool_use", "id": "toolu_1", "name": "get_weather", "input": {"city": "Rome", "a": 1}}
SIGNED = {"type": "thinking", "thinking": "Hm.", "signature": "c2ln"}
REDACTED = {"type": "redacted_thinking", "data": "eHl6"}
SCHEMA = {"type": "json_schema", "json_schema": {"name": "n", "schema": {"type": "object"}}}


def test_a70_text_blocks_are_joined():
    assert message(text("One "), text("two."))["content"] == "One two."


def test_a71_thinking_becomes_reasoning_content_and_its_blocks_are_kept():
    told = message(SIGNED, REDACTED, text("Hi."))

    assert (told["content"], told["reasoning_content"]) == ("Hi.", "Hm.")
    assert told["thinking_blocks"] == [SIGNED, REDACTED]


def test_a72_tool_use_becomes_tool_calls_with_arguments_in_a_string():
    told = message(text("Let me see."), USE, stop="tool_use")

    assert told["content"] == "Let me see."
    assert told["tool_calls"] == [
        {
            "id": "toolu_1",
            "type": "function",
            "function": {"name": "get_weather", "arguments": '{"city":"Rome","a":1}'},
        }
    ]


def test_a72_the_older_grammar_gets_its_function_call():
    request = sent(functions=[{"name": "get_weather"}])
    choice = answered(USE, request=request, stop="tool_use")["choices"][0]

    assert choice["message"]["function_call"] == {"name": "get_weather", "arguments": '{"city":"Rome","a":1}'}
    assert choice["finish_reason"] == "function_call"


@pytest.mark.parametrize(("content", "expected"), [([USE], None), ([], ""), ([text(""), USE], None)])
def test_a73_content_is_null_where_there_are_only_tools(content, expected):
    assert message(*content)["content"] == expected


SEARCH = {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {"query": "x"}}
FOUND = {"type": "web_search_tool_result", "tool_use_id": "srvtoolu_1", "content": []}
CITED = {**text("So."), "citations": [{"type": "web_search_result_location", "url": "https://example.com"}]}


@pytest.mark.parametrize("content", [[SEARCH, FOUND, text("So.")], [CITED], [text("So."), SIGNED, USE]])
def test_a74_what_a_message_has_no_place_for_is_kept(content):
    told = message(*content)

    assert told["content"] == "So."
    assert told["content_blocks"] == content


def test_a74_a_plain_answer_says_nothing_twice():
    assert "content_blocks" not in message(SIGNED, text("Hi."), USE)


@pytest.mark.parametrize("content", [[SEARCH, FOUND, text("So.")], [CITED], [text("So."), SIGNED, USE]])
def test_a74_what_was_kept_goes_back_as_it_came(content):
    told = message(*content)
    back = sent(BUDGET, messages=[USER, told, result("toolu_1"), USER], tools=[function()]).body["messages"]

    assert back[1]["content"] == content


@pytest.mark.parametrize(
    ("reason", "content", "finish"),
    [
        ("end_turn", [text("Hi.")], "stop"),
        ("stop_sequence", [text("Hi.")], "stop"),
        ("max_tokens", [text("Hi.")], "length"),
        ("tool_use", [USE], "tool_calls"),
        ("refusal", [], "content_filter"),
        ("model_context_window_exceeded", [text("Hi.")], "length"),
        ("pause_turn", [text("Hi.")], "length"),
        (None, [text("Hi.")], "stop"),
        ("something_new", [text("Hi.")], "stop"),
    ],
)
def test_a75_stop_reason(reason, content, finish):
    assert answered(*content, stop=reason)["choices"][0]["finish_reason"] == finish


def test_a75_an_unknown_reason_is_noted():
    request = sent()
    choice = answered(text("Hi."), request=request, stop="something_new")["choices"][0]

    assert choice["stop_reason"] == "something_new"
    assert request.memo["unknown_stop_reason"] == "something_new"


def test_a75_the_sequence_that_ended_the_answer_is_told():
    choice = answered(text("Hi."), stop="stop_sequence", stop_sequence="END")["choices"][0]

    assert (choice["stop_reason"], choice["stop_sequence"]) == ("stop_sequence", "END")


def test_a75_a_refusal_tells_why():
    told = message(stop="refusal", stop_details={"type": "refusal", "explanation": "Not this."})

    assert told["refusal"] == "Not this."


FULL = {
    "input_tokens": 3,
    "cache_read_input_tokens": 20,
    "cache_creation_input_tokens": 100,
    "cache_creation": {"ephemeral_5m_input_tokens": 60, "ephemeral_1h_input_tokens": 40},
    "output_tokens": 50,
    "output_tokens_details": {"thinking_tokens": 30},
    "server_tool_use": {"web_search_requests": 2},
    "service_tier": "standard",
}


def test_a76_prompt_tokens_count_the_caches_in():
    usage = answered(text("Hi."), usage=FULL)["usage"]

    assert (usage["prompt_tokens"], usage["completion_tokens"], usage["total_tokens"]) == (123, 50, 173)
    assert usage["prompt_tokens_details"]["cached_tokens"] == 20
    assert usage["completion_tokens_details"] == {"reasoning_tokens": 30}
    expected = Usage(input=123, output=50, cached_read=20, cached_write=100, reasoning=30, cached_write_1h=40)
    assert usage_in(usage) == expected


def test_a76_what_is_cached_for_an_hour_is_told_apart():
    details = answered(text("Hi."), usage=FULL)["usage"]["prompt_tokens_details"]

    assert details["cache_creation_token_details"] == {
        "ephemeral_5m_input_tokens": 60,
        "ephemeral_1h_input_tokens": 40,
    }


def test_a76_the_use_of_server_tools_is_kept():
    assert answered(text("Hi."), usage=FULL)["usage"]["server_tool_use"] == {"web_search_requests": 2}


@pytest.mark.parametrize("usage", [{"input_tokens": None, "output_tokens": "x"}, {"output_tokens": -1}])
def test_a76_odd_counts_count_as_nothing(usage):
    assert answered(text("Hi."), usage=usage)["usage"]["total_tokens"] == 0


@pytest.mark.parametrize(("tier", "told"), [("standard", "default"), ("priority", "priority"), ("batch", None)])
def test_a57_the_tier_that_served_has_openais_name(tier, told):
    whole = answered(text("Hi."), usage={"input_tokens": 1, "output_tokens": 1, "service_tier": tier})

    assert whole.get("service_tier") == told


def test_a77_id_time_and_model_of_the_answer():
    whole = answered(text("Hi."))

    assert (whole["id"], whole["object"]) == ("chatcmpl-01A", "chat.completion")
    assert (whole["created"], whole["model"]) == (1_700_000_000, "claude-3-haiku-20240307")


def test_a77_an_answer_without_a_name_gets_one():
    whole = answered(text("Hi."), id=None, model=None)

    assert whole["id"].startswith("chatcmpl-")
    assert len(whole["id"]) > 20
    assert whole["model"] == "claude-3-haiku"


def test_a59_the_input_of_the_forced_tool_is_the_answer():
    request = sent(OLD, response_format=SCHEMA)
    use = {**USE, "name": "json_tool_call"}
    choice = answered(text("Here it is:"), use, request=request, stop="tool_use")["choices"][0]

    assert json.loads(choice["message"]["content"]) == {"city": "Rome", "a": 1}
    assert "tool_calls" not in choice["message"]
    assert choice["finish_reason"] == "stop"


def test_a59_a_wrapped_answer_is_unwrapped():
    schema = {"type": "json_schema", "json_schema": {"name": "n", "schema": {"type": "array"}}}
    use = {**USE, "name": "json_tool_call", "input": {"value": [1, 2]}}

    assert message(use, request=sent(OLD, response_format=schema), stop="tool_use")["content"] == "[1,2]"


def test_a59_a_cut_answer_says_so():
    use = {**USE, "name": "json_tool_call"}

    choice = answered(use, request=sent(OLD, response_format=SCHEMA), stop="max_tokens")["choices"][0]
    assert choice["finish_reason"] == "length"


def test_a59_a_call_of_the_clients_tool_stays_a_call():
    request = sent(OLD, response_format=SCHEMA, tools=[function()])
    choice = answered(USE, request=request, stop="tool_use")["choices"][0]

    assert choice["message"]["tool_calls"][0]["function"]["name"] == "get_weather"
    assert choice["finish_reason"] == "tool_calls"


@pytest.mark.parametrize(
    "body",
    [
        {},
        {**answer(), "content": None},
        {**answer(), "content": "Hi."},
        {**answer(), "content": ["Hi."]},
        answer({"type": "text"}),
        answer({"type": "text", "text": None}),
    ],
)
def test_an_answer_of_another_shape_is_none(body):
    with pytest.raises(Failure) as failed:
        anthropic.response_in(body, sent())

    assert failed.value.reason is Reason.BAD_RESPONSE


def test_an_error_under_status_200_is_an_error():
    with pytest.raises(Failure) as failed:
        anthropic.response_in({"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}, sent())

    assert failed.value.reason is Reason.UNAVAILABLE


# Errors


def failed(status, kind, said="No.", headers=None):
    body = {"type": "error", "error": {"type": kind, "message": said}, "request_id": "req_1"}
    return anthropic.error_in(status, headers or {}, json.dumps(body).encode())


@pytest.mark.parametrize(
    ("status", "kind", "said", "reason"),
    [
        pytest.param(400, "invalid_request_error", "max_tokens: Field required", Reason.INVALID_REQUEST, id="a94"),
        pytest.param(400, "invalid_request_error", "prompt is too long: 9 > 8", Reason.CONTEXT_LENGTH, id="a94 prompt"),
        pytest.param(400, "invalid_request_error", "prompt: length: 9", Reason.CONTEXT_LENGTH, id="a94 prompt length"),
        pytest.param(
            400,
            "invalid_request_error",
            "input length and `max_tokens` exceed context limit: 199999 + 4096 > 200000",
            Reason.CONTEXT_LENGTH,
            id="a94 with the answer",
        ),
        pytest.param(401, "authentication_error", "invalid x-api-key", Reason.AUTH, id="a95"),
        pytest.param(403, "permission_error", "No access.", Reason.AUTH, id="a96"),
        pytest.param(404, "not_found_error", "model: claude-x", Reason.MODEL_NOT_FOUND, id="a97"),
        pytest.param(404, "not_found_error", "File not found: file_1", Reason.INVALID_REQUEST, id="a97 a file"),
        pytest.param(408, "timeout_error", "Timed out.", Reason.TIMEOUT, id="a98"),
        pytest.param(504, "timeout_error", "Timed out.", Reason.TIMEOUT, id="a98 in between"),
        pytest.param(504, "api_error", "Bad gateway.", Reason.UNAVAILABLE, id="a98 without saying so"),
        pytest.param(413, "request_too_large", "Too large.", Reason.INVALID_REQUEST, id="a99"),
        pytest.param(429, "rate_limit_error", "Slow down.", Reason.RATE_LIMITED, id="a100"),
        pytest.param(500, "api_error", "Internal server error", Reason.SERVER_ERROR, id="a101"),
        pytest.param(529, "overloaded_error", "Overloaded", Reason.UNAVAILABLE, id="a102"),
        pytest.param(
            400,
            "invalid_request_error",
            "Output blocked by content filtering policy",
            Reason.CONTENT_POLICY,
            id="a103",
        ),
        pytest.param(
            400, "invalid_request_error", "Your credit balance is too low to use it.", Reason.QUOTA, id="a104"
        ),
        pytest.param(402, "billing_error", "Pay.", Reason.QUOTA, id="a104 its own status"),
        pytest.param(
            400,
            "invalid_request_error",
            "You have reached your specified API usage limits.",
            Reason.QUOTA,
            id="a104 cap",
        ),
        pytest.param(
            400, "invalid_request_error", "image exceeds 5 MB maximum: 6 > 5", Reason.INVALID_REQUEST, id="a47 an image"
        ),
    ],
)
def test_a94_to_a104_errors(status, kind, said, reason):
    failure = failed(status, kind, said)

    assert (failure.reason, failure.status) == (reason, status)


@pytest.mark.parametrize(
    ("status", "kind", "told"),
    [
        (400, "invalid_request_error", (400, "invalid_request", False)),
        (401, "authentication_error", (502, "provider_auth_failed", False)),
        (413, "request_too_large", (413, "invalid_request", False)),
        (529, "overloaded_error", (503, "provider_unavailable", True)),
        (500, "api_error", (503, "provider_unavailable", True)),
    ],
)
def test_a99_to_a102_what_the_client_is_told(status, kind, told):
    error = failed(status, kind).to_client()

    assert (error.status, error.code, error.should_retry) == told


def test_a47_a_request_over_anthropics_limits_is_not_tried_again():
    rule = failed(400, "invalid_request_error", "image exceeds 5 MB maximum: 6291456 bytes > 5242880 bytes").rule

    assert (rule.same.value, rule.next) == ("never", False)


def test_a104_without_credit_another_provider_is_asked():
    rule = failed(400, "invalid_request_error", "Your credit balance is too low.").rule

    assert (rule.same.value, rule.next) == ("never", True)


LIMITS = {
    "anthropic-ratelimit-requests-limit": "50",
    "anthropic-ratelimit-requests-remaining": "0",
    "anthropic-ratelimit-requests-reset": "2026-01-01T00:00:07Z",
    "anthropic-ratelimit-input-tokens-limit": "40000",
    "anthropic-ratelimit-input-tokens-remaining": "39000",
    "anthropic-ratelimit-input-tokens-reset": "2026-01-01T00:01:00+00:00",
}


def test_a100_limits_have_openais_names():
    told = {
        "x-ratelimit-limit-requests": "50",
        "x-ratelimit-remaining-requests": "0",
        "x-ratelimit-reset-requests": "7s",
        "x-ratelimit-limit-tokens": "40000",
        "x-ratelimit-remaining-tokens": "39000",
        "x-ratelimit-reset-tokens": "60s",
    }

    assert anthropic.ratelimit_headers({**LIMITS, "date": "Thu, 01 Jan 2026 00:00:00 GMT"}) == told
    assert anthropic.ratelimit_headers(LIMITS, now=1767225600.0) == told


@pytest.mark.parametrize("reset", ["", "soon", "2026-13-01T00:00:00Z"])
def test_a100_a_time_that_is_none_is_left_out(reset):
    headers = {**LIMITS, "anthropic-ratelimit-requests-reset": reset}

    assert "x-ratelimit-reset-requests" not in anthropic.ratelimit_headers(headers, now=0.0)


def test_a100_a_time_that_is_past_is_now():
    assert anthropic.ratelimit_headers(LIMITS, now=1867225600.0)["x-ratelimit-reset-requests"] == "0s"


def test_a100_without_such_headers_nothing_is_said():
    assert anthropic.ratelimit_headers({"content-type": "application/json"}) == {}


def test_a78_the_id_of_the_request_can_be_logged():
    assert anthropic.request_id({"request-id": "req_1"}) == "req_1"
    assert anthropic.request_id({}) == ""


HTML = b"<html><body>nginx</body></html>"


@pytest.mark.parametrize(
    ("status", "client"),
    [(400, 502), (403, 502), (404, 502), (302, 502), (502, 503), (503, 503), (529, 503), (429, 429)],
)
def test_a105_a_page_of_a_proxy_never_blames_the_client(status, client):
    error = anthropic.error_in(status, {}, HTML).to_client()

    assert error.status == client
    assert "nginx" not in error.message


@pytest.mark.parametrize("body", [b"", b"null", b"[]", b'"x"', b"5", b'{"error": "boom"}', b'{"error": {"type": []}}'])
def test_any_body_of_an_error_can_be_read(body):
    assert anthropic.error_in(500, {}, body).reason is Reason.SERVER_ERROR


def test_a_request_with_thinking_reads_its_answer_alike():
    assert message(text("Hi."), request=sent(ADAPTIVE, reasoning_effort="low"))["content"] == "Hi."
