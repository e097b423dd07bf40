"""Azure OpenAI: addresses, keys and versions, and what its answers look like."""

import copy
import json
from urllib.parse import parse_qs

import pytest

from aura.call import Model
from aura.catalogue import ORDINARY, unknown
from aura.dialects.assembly import Assembler
from aura.errors import Failure, Reason
from aura.providers import azure
from aura.settings import ProviderSettings, Secret
from aura.sse import encode

ENDPOINT = "https://res.openai.azure.com"
USER = {"role": "user", "content": "Hello"}
TOOL = {"type": "function", "function": {"name": "get_time", "parameters": {}}}
OTHER_TOOL = {"type": "function", "function": {"name": "get_weather", "parameters": {}}}
GPT4O = Model("my-4o", known=True, capabilities=ORDINARY)
GPT5 = Model(
    "my-5",
    known=True,
    capabilities=frozenset(
        {"tools", "json_schema", "reasoning", "max_completion_tokens", "developer_role", "streaming"}
    ),
)
GPT35 = Model("my-35", known=True, capabilities=ORDINARY - {"developer_role", "json_schema", "vision"})
O1 = Model("my-o1", known=True, capabilities=frozenset({"reasoning", "max_completion_tokens", "developer_role"}))


def provider(**settings):
    settings = {"base_url": ENDPOINT, "api_key": Secret("0123abcd"), **settings}
    return azure.provider(ProviderSettings("azure", "azure", **settings))


def request(model=GPT4O, body=None, **settings):
    return provider(**settings).request({"model": "auto", "messages": [USER], **(body or {})}, model)


def sent(model=GPT4O, version="", **body):
    http, translation = request(model, body, api_version=version)
    return json.loads(http.body), translation.dropped


def url(base_url, **settings):
    return request(unknown("gpt-4"), base_url=base_url, **settings)[0].url


def read(*events, size=1 << 20, **body):
    """Play a stream through the provider's grammar; chunks, reader, and the failure that ended it."""
    made = provider()
    _, translation = made.request({"messages": [USER], "stream": True, **body}, GPT4O)
    data = b"".join(encode(json.dumps(event).encode() if isinstance(event, dict) else event) for event in events)
    decoder, reader, chunks = made.dialect.DECODER(), made.dialect.reader(translation), []
    try:
        for start in range(0, len(data), size):
            for event in decoder.feed(data[start : start + size]):
                chunks += reader.feed(event)
    except Failure as failure:
        return chunks, reader, failure
    return chunks, reader, None


def assembled(chunks):
    assembler = Assembler()
    for chunk in chunks:
        if chunk.body is not None:
            assembler.add(chunk.body)
    return assembler.completion()


def failure(status, error, headers=None, now=0.0):
    body = error if isinstance(error, bytes) else json.dumps({"error": error}).encode()
    return provider().failure(status, headers or {}, body, now)


# Addresses


def test_z1_the_deployment_is_in_the_path_and_the_version_in_the_query():
    address = f"{ENDPOINT}/openai/deployments/gpt-4/chat/completions?api-version=2024-06-01"

    assert address == url(ENDPOINT, api_version="2024-06-01")


def test_z1_a_deployments_name_cannot_leave_its_place_in_the_path():
    address = request(unknown("../../x?api-version=1#y"))[0].url

    assert (
        f"{ENDPOINT}/openai/deployments/..%2F..%2Fx%3Fapi-version%3D1%23y/chat/completions?api-version=2024-10-21"
        == address
    )


@pytest.mark.parametrize(
    ("base_url", "version"),
    [
        (ENDPOINT, "v1"),
        (f"{ENDPOINT}/openai/v1", ""),
        (f"{ENDPOINT}/openai/v1/", "2024-10-21"),
        (f"{ENDPOINT}/openai/", "v1"),
    ],
)
def test_z2_the_v1_form_has_the_model_in_the_body_and_no_version(base_url, version):
    http, _ = request(GPT4O, base_url=base_url, api_version=version)

    assert f"{ENDPOINT}/openai/v1/chat/completions" == http.url
    assert json.loads(http.body)["model"] == "my-4o"


def test_z2_the_v1_forms_preview_is_asked_for_by_name():
    assert f"{ENDPOINT}/openai/v1/chat/completions?api-version=preview" == url(ENDPOINT, api_version="preview")


@pytest.mark.parametrize("tail", ["", "/", "/openai", "/openai/", "/openai/deployments/", "/openai/deployments/other"])
def test_z3_the_endpoint_may_end_as_people_copy_it(tail):
    assert f"{ENDPOINT}/openai/deployments/gpt-4/chat/completions?api-version=2024-10-21" == url(ENDPOINT + tail)


def test_z4_the_models_name_is_the_deployment():
    http, _ = request(unknown("my deployment"))

    assert "/deployments/my%20deployment/" in http.url
    assert json.loads(http.body)["model"] == "my deployment"


def test_z5_a_version_is_stated_where_the_configuration_says_none():
    assert url(ENDPOINT).endswith("?api-version=2024-10-21")


def test_other_makers_models_answer_below_models():
    address = "https://res.services.ai.azure.com/models/chat/completions?api-version=2024-05-01-preview"

    assert address == url("https://res.services.ai.azure.com/models")


# Keys


def test_z6_the_key_goes_in_its_own_header():
    headers = request()[0].headers

    assert (headers["api-key"], "authorization" in headers) == ("0123abcd", False)


@pytest.mark.parametrize(
    "key", ["Bearer tok", "bearer Bearer tok", "Bearer  tok", "eyJ0.eyJh.c2ln", "Bearer eyJ0.eyJh.c2ln"]
)
def test_z7_an_entra_token_goes_as_bearer_once(key):
    headers = request(api_key=Secret(key))[0].headers

    assert f"Bearer {key.split()[-1]}" == headers["authorization"]
    assert "api-key" not in headers


def test_z7_no_key_at_all_is_for_a_proxy_that_adds_it():
    assert {"content-type"} == set(request(api_key=Secret("none"))[0].headers)


APPLICATION = {"api_key": Secret(""), "tenant_id": "t-1", "client_id": "c-1", "client_secret": Secret("a+b&c=d")}


@pytest.mark.parametrize("base_url", [ENDPOINT, f"{ENDPOINT}/openai/v1", f"{ENDPOINT}/models", f"{ENDPOINT}/anthropic"])
def test_z8_an_application_asks_for_its_token_with_its_secret(base_url):
    made = provider(base_url=base_url, **APPLICATION)
    http = made.token.request()

    assert ("POST", "https://login.microsoftonline.com/t-1/oauth2/v2.0/token") == (http.method, http.url)
    assert http.headers["content-type"] == "application/x-www-form-urlencoded"
    assert parse_qs(http.body.decode(), strict_parsing=True) == {
        "grant_type": ["client_credentials"],
        "client_id": ["c-1"],
        "client_secret": ["a+b&c=d"],
        "scope": ["https://cognitiveservices.azure.com/.default"],
    }
    assert not {"api-key", "x-api-key", "authorization"} & set(made.headers)
    assert "a+b" not in repr(made)


def test_z8_another_cloud_has_its_own_authority_and_scope():
    cloud = {"authority": "https://login.microsoftonline.us", "scope": "https://cognitiveservices.azure.us/.default"}
    http = provider(**APPLICATION, **cloud).token.request()

    assert http.url == "https://login.microsoftonline.us/t-1/oauth2/v2.0/token"
    assert parse_qs(http.body.decode())["scope"] == ["https://cognitiveservices.azure.us/.default"]


@pytest.mark.parametrize(
    "said",
    [
        {"api_key": Secret("0123abcd")},
        {"api_key": Secret("none")},
        {"headers": {"Authorization": Secret("Bearer mine")}},
        {"tenant_id": ""},
        {"client_id": ""},
        {"client_secret": Secret("")},
    ],
    ids=lambda said: next(iter(said)),
)
def test_z8_no_token_is_asked_for_where_there_is_another_way_or_something_lacks(said):
    assert provider(**APPLICATION | said).token is None


def test_z8_applications_that_are_the_same_share_a_token():
    assert provider(**APPLICATION).token == provider(base_url="https://other.example", **APPLICATION).token
    assert provider(**APPLICATION).token != provider(**APPLICATION | {"client_id": "c-2"}).token


# Requests


def test_z9_developer_becomes_system_on_older_models():
    messages = [{"role": "developer", "content": "Be brief."}, USER]

    assert sent(GPT35, messages=messages)[0]["messages"][0]["role"] == "system"
    assert sent(GPT5, messages=messages)[0]["messages"][0]["role"] == "developer"


def test_z10_the_limit_is_renamed_for_models_that_want_the_new_name():
    body, _ = sent(GPT5, max_tokens=5)

    assert (body["max_completion_tokens"], "max_tokens" in body) == (5, False)


def test_z10_what_hides_behind_a_deployment_is_the_catalogues_word():
    """A deployment of unknown make is asked with the client's own parameters."""
    assert sent(unknown("gpt-5-behind-a-name"), max_tokens=5)[0]["max_tokens"] == 5


def test_z10_an_older_version_gets_the_older_name():
    assert sent(GPT4O, "2024-06-01", max_completion_tokens=5)[0]["max_tokens"] == 5
    assert sent(GPT4O, "2024-10-21", max_completion_tokens=5)[0]["max_completion_tokens"] == 5


def test_z11_a_reasoning_model_is_spared_sampling():
    knobs = {"temperature": 0.5, "top_p": 0.5, "presence_penalty": 1, "frequency_penalty": 1, "logprobs": True}

    body, dropped = sent(GPT5, **knobs)

    assert (set(), set(knobs)) == (set(knobs) & set(body), set(dropped))


@pytest.mark.parametrize(("model", "kept"), [(GPT5, True), (GPT4O, False), (unknown("x"), True)])
def test_z12_reasoning_effort_goes_where_it_is_supported(model, kept):
    body, dropped = sent(model, reasoning_effort="low")

    assert (kept, [] if kept else ["reasoning_effort"]) == ("reasoning_effort" in body, dropped)


@pytest.mark.parametrize(("model", "streams"), [(O1, False), (GPT4O, True), (unknown("x"), True)])
def test_z13_a_model_that_cannot_stream_is_asked_for_a_whole_answer(model, streams):
    assert streams is provider().streams(model)


@pytest.mark.parametrize(
    ("version", "choice", "tools", "told", "dropped"),
    [
        pytest.param("2024-10-21", "required", [TOOL, OTHER_TOOL], "required", [], id="a version that knows it"),
        pytest.param("v1", "required", [TOOL], "required", [], id="the form without versions"),
        pytest.param("2023-07-01-preview", "auto", [TOOL], None, [], id="auto says nothing"),
        pytest.param("2023-07-01-preview", TOOL, [TOOL], None, ["tool_choice"], id="older than tool_choice"),
        pytest.param("2024-05-01-preview", "auto", [TOOL], "auto", [], id="auto is known early"),
    ],
)
def test_z14_tool_choice_by_version(version, choice, tools, told, dropped):
    body, noted = sent(GPT4O, version, tools=tools, tool_choice=choice)

    assert (told, dropped) == (body.get("tool_choice"), noted)


def test_z14_none_still_means_none():
    body, _ = sent(GPT4O, "2023-07-01-preview", tools=[TOOL], tool_choice="none")

    assert {"model", "messages"} == set(body)


def test_z15_required_is_said_by_name_where_one_tool_is_offered():
    body, dropped = sent(GPT4O, "2024-05-01-preview", tools=[TOOL], tool_choice="required")

    assert (body["tool_choice"], dropped) == ({"type": "function", "function": {"name": "get_time"}}, [])


def test_z15_required_of_several_is_dropped_with_a_note():
    body, dropped = sent(GPT4O, "2024-02-01", tools=[TOOL, OTHER_TOOL], tool_choice="required")

    assert (body["tool_choice"], dropped) == ("auto", ["tool_choice"])


@pytest.mark.parametrize("tools", [None, []])
def test_z16_tool_choice_without_tools_is_dropped(tools):
    assert "tool_choice" not in sent(tools=tools, tool_choice="auto")[0]


SCHEMA = {"type": "object", "properties": {"n": {"type": "integer"}}}
JSON_SCHEMA = {"type": "json_schema", "json_schema": {"name": "n", "schema": SCHEMA, "strict": True}}


@pytest.mark.parametrize(
    ("model", "version"), [(GPT4O, "2024-08-01-preview"), (GPT4O, "v1"), (unknown("x"), "2024-10-21")]
)
def test_z17_a_schema_is_forwarded_where_it_is_known(model, version):
    body, dropped = sent(model, version, response_format=JSON_SCHEMA)

    assert (body["response_format"], body["messages"], dropped) == (JSON_SCHEMA, [USER], [])


@pytest.mark.parametrize(
    ("model", "version"), [(GPT35, "2024-10-21"), (GPT4O, "2024-06-01"), (unknown("x"), "2024-02-01")]
)
def test_z17_elsewhere_the_schema_is_shown_and_json_is_asked_for(model, version):
    body, dropped = sent(model, version, response_format=JSON_SCHEMA)

    assert body["response_format"] == {"type": "json_object"}
    assert json.dumps(SCHEMA, separators=(",", ":")) in body["messages"][0]["content"]
    assert (body["messages"][-1], dropped) == (USER, ["response_format"])


@pytest.mark.parametrize(
    ("version", "asked"), [("2024-10-21", True), ("2024-08-01-preview", True), ("v1", True), ("2024-06-01", False)]
)
def test_z18_usage_in_streams_is_asked_for_by_version(version, asked):
    body, dropped = sent(GPT4O, version, stream=True)

    assert asked is ("stream_options" in body)
    assert dropped == []


def test_z18_the_client_is_told_that_its_wish_was_not_taken():
    body, dropped = sent(GPT4O, "2024-06-01", stream=True, stream_options={"include_usage": True})

    assert ("stream_options" in body, dropped) == (False, ["stream_options"])


def test_z19_parallel_tool_calls_is_passed():
    assert sent(GPT4O, tools=[TOOL], parallel_tool_calls=False)[0]["parallel_tool_calls"] is False


def test_z20_azures_own_fields_are_passed():
    own = {
        "data_sources": [{"type": "azure_search", "parameters": {"k": 1}}],
        "enhancements": {"ocr": {"enabled": True}},
    }

    body, dropped = sent(GPT4O, **own)

    assert (own, []) == ({key: body[key] for key in own}, dropped)


def test_the_clients_body_is_never_changed():
    body = {
        "model": "auto",
        "messages": [USER],
        "tools": [TOOL],
        "tool_choice": "required",
        "response_format": JSON_SCHEMA,
    }
    untouched = copy.deepcopy(body)

    request(GPT35, body, api_version="2024-02-01")

    assert untouched == body


# Answers


SAFE = {"hate": {"filtered": False, "severity": "safe"}}
FILTERED_PROMPT = [{"prompt_index": 0, "content_filter_results": SAFE}]
PRELUDE = {"choices": [], "created": 0, "id": "", "model": "", "object": "", "prompt_filter_results": FILTERED_PROMPT}


def chunk(delta, finish=None, results=None):
    choice = {
        "index": 0,
        "delta": delta,
        "finish_reason": finish,
        "logprobs": None,
        "content_filter_results": results or {},
    }
    return {
        "id": "c1",
        "object": "chat.completion.chunk",
        "created": 1,
        "model": "gpt-4o-2024-08-06",
        "choices": [choice],
    }


OFFSETS = {
    "id": "",
    "object": "",
    "created": 0,
    "model": "",
    "choices": [
        {
            "index": 0,
            "finish_reason": None,
            "content_filter_results": SAFE,
            "content_filter_offsets": {"check_offset": 5, "start_offset": 5, "end_offset": 9},
        }
    ],
}
STREAM = [
    PRELUDE,
    chunk({"role": "assistant", "content": ""}),
    chunk({"content": "Hel"}),
    chunk({"content": "lo"}, results=SAFE),
]


@pytest.mark.parametrize("size", [1, 7, 1 << 20])
def test_z21_a_filter_prelude_is_no_first_content(size):
    chunks, reader, _ = read(*STREAM, chunk({}, "stop"), b"[DONE]", size=size)

    assert [read.content for read in chunks] == [False, False, True, True, False, False]
    assert reader.complete


def test_z22_the_asynchronous_filter_sends_choices_without_a_delta():
    chunks, reader, _ = read(*STREAM, OFFSETS, chunk({}, "stop"), OFFSETS, b"[DONE]")

    assert (assembled(chunks)["choices"][0]["message"]["content"], reader.complete) == ("Hello", True)
    assert not chunks[4].content


def test_z23_an_empty_id_and_model_in_early_chunks_are_not_the_answers():
    whole = assembled(read(*STREAM, chunk({}, "stop"))[0])

    assert (whole["id"], whole["model"], whole["created"]) == ("c1", "gpt-4o-2024-08-06", 1)


def test_z24_filter_results_are_kept():
    chunks, _, _ = read(*STREAM, chunk({}, "stop"))

    assert chunks[0].data == json.dumps(PRELUDE).encode()
    whole = assembled(chunks)
    assert PRELUDE["prompt_filter_results"] == whole["prompt_filter_results"]
    assert whole["choices"][0]["content_filter_results"] == SAFE


def test_z25_a_stream_that_opens_with_metadata_and_then_fails_is_tried_elsewhere():
    error = {"error": {"code": "InternalServerError", "message": "The server is busy", "status": 503}}

    chunks, _, failed = read(PRELUDE, chunk({"role": "assistant", "content": ""}), error)

    assert not any(read.content for read in chunks)
    assert (failed.reason, failed.rule.next) == (Reason.UNAVAILABLE, True)


def test_z26_an_answer_that_was_filtered_ends_so():
    chunks, reader, _ = read(*STREAM, chunk({}, "content_filter", {"hate": {"filtered": True, "severity": "high"}}))

    choice = assembled(chunks)["choices"][0]
    assert (choice["finish_reason"], reader.complete) == ("content_filter", True)
    assert choice["content_filter_results"]["hate"]["filtered"] is True


def test_z26_a_filtered_whole_answer_without_a_message_gets_an_empty_one():
    """Azure leaves ``message`` out then, and clients read it."""
    made = provider()
    _, translation = made.request({"messages": [USER]}, GPT4O)
    body = {"model": "m", "choices": [{"index": 0, "finish_reason": "content_filter", "content_filter_results": SAFE}]}

    choice = made.dialect.response_in(body, translation)["choices"][0]

    assert choice["message"] == {"role": "assistant", "content": None, "refusal": None}
    assert choice["content_filter_results"] == SAFE


# Errors


POLICY = {
    "code": "ResponsibleAIPolicyViolation",
    "content_filter_result": {"jailbreak": {"filtered": True, "detected": True}},
}


@pytest.mark.parametrize("code", ["content_filter", None])
def test_z27_a_filtered_prompt_is_a_policy_violation_with_its_reason(code):
    failed = failure(
        400, {"message": "The response was filtered", "param": "prompt", "code": code, "innererror": POLICY}
    )

    assert (failed.reason, failed.rule.next) == (Reason.CONTENT_POLICY, False)
    told = failed.to_client().body()["error"]
    assert (told["code"], told["param"], told["innererror"]) == ("content_policy_violation", "prompt", POLICY)


@pytest.mark.parametrize(
    ("status", "code"), [(404, "DeploymentNotFound"), (400, "unknown_model"), (404, "404"), (404, "Resource not found")]
)
def test_z28_a_missing_deployment_moves_on(status, code):
    failed = failure(status, {"code": code, "message": "The API deployment for this resource does not exist."})

    assert (failed.reason, failed.rule.next) == (Reason.MODEL_NOT_FOUND, True)


@pytest.mark.parametrize(("status", "code"), [(401, "401"), (403, "403"), (401, "PermissionDenied")])
def test_z29_a_wrong_key_or_region_is_ours(status, code):
    failed = failure(
        status, {"code": code, "message": "Access denied due to invalid subscription key or wrong endpoint."}
    )

    assert (failed.reason, failed.to_client().status) == (Reason.AUTH, 502)


@pytest.mark.parametrize(
    ("headers", "wait"),
    [
        pytest.param({"retry-after": "60"}, 60.0, id="seconds"),
        pytest.param({"retry-after-ms": "1500", "retry-after": "2"}, 1.5, id="milliseconds first"),
        pytest.param({"retry-after": "Thu, 01 Jan 1970 00:02:00 GMT"}, 20.0, id="a date"),
        pytest.param({"x-ratelimit-remaining-tokens": "0", "x-ratelimit-reset-tokens": "30"}, 30.0, id="Azure's reset"),
        pytest.param(
            {"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "1m30.5s"}, 90.5, id="OpenAI's reset"
        ),
        pytest.param({"x-ratelimit-remaining-tokens": "-9", "x-ratelimit-reset-tokens": "120ms"}, 0.12, id="overdrawn"),
        pytest.param(
            {"x-ratelimit-remaining-requests": "5", "x-ratelimit-reset-requests": "9s"}, None, id="not used up"
        ),
        pytest.param({"retry-after": "soon"}, None, id="nonsense"),
        pytest.param({"retry-after": "-5"}, 0.0, id="the past"),
        pytest.param({"retry-after": "Thu, 99 Foo 99999999999 00:00:00 GMT"}, None, id="no date"),
        pytest.param({"retry-after": "1e999"}, None, id="endless"),
        pytest.param({}, None, id="nothing"),
    ],
)
def test_z30_how_long_to_wait_is_read_from_every_form(headers, wait):
    failed = failure(429, {"code": "429", "message": "exceeded token rate limit"}, headers, now=100.0)

    assert (Reason.RATE_LIMITED, wait) == (failed.reason, failed.retry_after)


@pytest.mark.parametrize(
    "error",
    [
        {"code": "context_length_exceeded", "message": "too long"},
        {"code": None, "message": "This model's maximum context length is 8192 tokens. Please reduce the length."},
    ],
)
def test_z31_context_length_exceeded(error):
    assert failure(400, error).to_client().code == "context_length_exceeded"


@pytest.mark.parametrize(
    ("status", "reason"), [(408, Reason.TIMEOUT), (504, Reason.UNAVAILABLE), (502, Reason.UNAVAILABLE)]
)
def test_z32_a_gateways_html_leaves_the_status_to_decide(status, reason):
    failed = failure(status, b"<html><body><h1>504 Gateway Time-out</h1></body></html>")

    assert (reason, True, "") == (failed.reason, failed.rule.next, failed.message)


def test_z32_html_never_reaches_the_client():
    assert "<" not in failure(413, b"<html>too large</html>").to_client().message


@pytest.mark.parametrize("tail", ["/anthropic", "/anthropic/", "/anthropic/v1"])
def test_z33_claude_on_azure_speaks_its_own_grammar(tail):
    http, _ = request(unknown("claude-sonnet-4-5"), base_url="https://res.services.ai.azure.com" + tail)

    assert http.url == "https://res.services.ai.azure.com/anthropic/v1/messages"
    assert (http.headers["x-api-key"], http.headers["anthropic-version"]) == ("0123abcd", "2023-06-01")
    assert "api-key" not in http.headers
    assert json.loads(http.body)["max_tokens"] > 0, "Claude's grammar demands a limit"


def test_z33_an_entra_token_reaches_claude_as_bearer():
    http, _ = request(
        unknown("claude"), base_url="https://r.services.ai.azure.com/anthropic", api_key=Secret("Bearer t")
    )

    assert (http.headers["authorization"], "x-api-key" in http.headers) == ("Bearer t", False)


def test_z35_a_full_reservation_spills_to_the_next_deployment():
    failed = failure(
        429, {"code": "429", "message": "The provisioned throughput is fully used"}, {"retry-after-ms": "9000"}
    )

    assert (failed.rule.next, failed.retry_after) == (True, 9.0)
