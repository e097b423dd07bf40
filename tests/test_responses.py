"""OpenAI's Responses, through a real worker: what clients see, what providers are asked, what is kept."""

from __future__ import annotations

import itertools
import json
import shutil
from collections.abc import Iterator
from typing import Any

import gevent
import openai
import pytest
import requests

from .busy import PATIENT
from .calls import Outcome, provider
from .faulty import Faulty, pieces, text
from .obedient import GRAMMARS, Obedient, frame, item_events, obedient
from .redis_server import Redis
from .server import Server, gateway
from .test_completions import chatted
from .test_forward import Reply, Seen, entry, fake
from .test_forward import failing as fails
from .test_forward import told as reply
from .test_recorded import TRAFFIC, violations

pytestmark = pytest.mark.xdist_group("responses")

PROVIDERS = ("openai", "azure", "chats", "anthropic", "ollama")
NATIVE = ("openai", "azure")
KEYS = "  auth: {keys: [{name: one, key: sk-one-0123456789}, {name: two, key: sk-two-0123456789}]}\n"
ONE, TWO = ({"authorization": f"Bearer sk-{name}-0123456789"} for name in ("one", "two"))
OBJECT = {"type": "object", "properties": {"asked": {"type": "string"}}, "required": ["asked"]}
TOOLS = [{"type": "function", "name": name, "parameters": OBJECT, "strict": False} for name in ("weather", "time")]
CUSTOM = {"type": "custom", "name": "patch", "description": "Change files."}
LONG = 30
CLAUDE = "claude-sonnet-4-5"  # known to think
numbers = itertools.count()


def configured(address: str, more: str = "") -> str:
    return f"""aura:
  log: {{level: WARNING}}
{more}  providers:
    openai: {{base-url: "{address}/v1", api-key: test-key-1, extra-models: "*", models: {{eco: [m]}}}}
    chats: {{type: openai, base-url: "{address}/chat/v1", api-key: test-key-2, extra-models: "*"}}
    anthropic: {{base-url: "{address}", api-key: test-key-3, extra-models: "*"}}
    azure: {{base-url: "{address}", api-key: test-key-4, api-version: 2025-04-01-preview, extra-models: "*"}}
    ollama: {{enabled: true, base-url: "{address}", extra-models: "*"}}
"""


@pytest.fixture(scope="module")
def _far() -> Iterator[Obedient]:
    with obedient() as server:
        yield server


@pytest.fixture(scope="module")
def server(_far: Obedient) -> Iterator[Server]:
    with gateway(configured(_far.url)) as running:
        yield running


@pytest.fixture(scope="module")
def shared(_far: Obedient) -> Iterator[Server]:
    """A gateway of two tenants."""
    with gateway(configured(_far.url, KEYS)) as running:
        yield running


@pytest.fixture
def far(_far: Obedient) -> Obedient:
    _far.asked.clear()
    return _far


def sdk(server: Server, **more: Any) -> openai.OpenAI:
    told = {"api_key": "none"} | more
    return openai.OpenAI(base_url=f"{server.url}/v1", max_retries=0, timeout=LONG, **told)


def send(server: Server, body: Any, path: str = "/v1/responses", **headers: str) -> requests.Response:
    return requests.post(f"{server.url}{path}", json=body, headers=headers, timeout=LONG)


def asking(name: str = "openai", **more: Any) -> dict[str, Any]:
    """A body that no other test sends."""
    return {"model": f"{name}/m{next(numbers)}", "input": "Go.", **more}


def events_of(data: bytes) -> list[dict[str, Any]]:
    """The events of a stream, each under the name that its type says, numbered."""
    events = []
    for part in data.decode().split("\n\n")[:-1]:
        if part.startswith(":"):
            continue
        name, line = part.split("\n")
        events.append(json.loads(line.removeprefix("data: ")))
        assert name == f"event: {events[-1]['type']}"
    assert [event["sequence_number"] for event in events] == list(range(len(events)))
    return events


def response_of(events: list[dict[str, Any]]) -> dict[str, Any]:
    """The response that events mean; their order is what OpenAI's is, and pieces and wholes agree."""
    assert [event["type"] for event in events[:2]] == ["response.created", "response.in_progress"]
    last = events[-1]
    assert last["type"] == f"response.{last['response']['status']}"
    items: list[dict[str, Any]] = []
    pieces = ""
    is_open = False
    for event in events[2:-1]:
        kind = event["type"]
        assert event["output_index"] == len(items) - (kind != "response.output_item.added")
        if kind == "response.output_item.added":
            assert not is_open
            items.append(event["item"])
            is_open, pieces = True, ""
        elif kind == "response.output_item.done":
            assert items[-1]["id"] == event["item"]["id"]
            items[-1], is_open = event["item"], False
        else:
            assert is_open
            assert event["item_id"] == items[-1]["id"]
            if kind.endswith(".delta"):
                pieces += event["delta"]
            elif kind.endswith(".done") and "part" not in event:
                assert pieces == next(event[key] for key in ("text", "refusal", "arguments", "input") if key in event)
            elif kind.endswith("part.added"):
                pieces = ""
    assert not is_open
    assert last["response"]["output"] == items
    return dict(last["response"])


def ask(server: Server, body: dict[str, Any], **headers: str) -> dict[str, Any]:
    """A response, however it was asked for; what Aura builds keeps to OpenAI's published schema."""
    got = send(server, body, **headers)
    assert got.status_code == 200, got.text
    events = events_of(got.content) if body.get("stream") else []
    response = response_of(events) if events else got.json()
    if "parallel_tool_calls" in response and (TRAFFIC / "schemas").is_dir():
        assert [fault for event in events for fault in violations("response.event", event, strict=True)] == []
        assert violations("response", response, strict=True) == []
    return response


def text_of(response: dict[str, Any]) -> str:
    parts = [part for item in response["output"] if item["type"] == "message" for part in item["content"]]
    return "".join(part.get("text", "") for part in parts)


# --- a loop of tools


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("name", PROVIDERS)
def test_a_loop_of_tools_comes_to_its_end_with_the_sdk(server, far, name, stream):
    items: list[Any] = [{"role": "user", "content": "Go."}]
    asked: dict[str, Any] = {"model": f"{name}/m{next(numbers)}", "tools": TOOLS, "store": False}
    if name != "ollama":
        asked["reasoning"] = {"effort": "low"}
    with sdk(server) as client:
        for _ in range(2):
            if stream:
                with client.responses.stream(input=items, **asked) as events:
                    answer = events.get_final_response()
            else:
                answer = client.responses.create(input=items, **asked)
            calls = [item for item in answer.output if item.type == "function_call"]
            if not calls:
                break
            assert [json.loads(call.arguments) for call in calls] == [{"asked": call.name} for call in calls]
            items += [item.to_dict() for item in answer.output]
            items += [
                {"type": "function_call_output", "call_id": call.call_id, "output": f"{call.name} is well"}
                for call in calls
            ]

    assert answer.output_text == "They say: weather is well, time is well."
    assert answer.status == "completed"
    assert answer.usage.input_tokens == 9
    paths = [path for path, _, _ in far.asked]
    if name in NATIVE:
        assert all(path.endswith("/responses") for path in paths)
    assert sum(not path.startswith("/chat/v1/responses") for path in paths) == 2


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("name", PROVIDERS)
def test_a_loop_goes_on_by_the_id_of_the_response_before(server, far, name, stream):
    model = f"{name}/m{next(numbers)}"
    tools = [*TOOLS, CUSTOM]
    first = ask(server, {"model": model, "input": "Go.", "tools": tools, "stream": stream, "instructions": "Be."})
    calls = [item for item in first["output"] if item["type"].endswith("_call")]
    assert [call["type"] for call in calls] == ["function_call", "function_call", "custom_tool_call"]
    assert calls[2]["input"].replace(" ", "") == ("patch" if name in NATIVE else '{"asked":"patch"}')
    results = [
        {"type": f"{call['type']}_output", "call_id": call["call_id"], "output": f"{call['name']} is well"}
        for call in calls
    ]
    body = {"model": model, "input": results, "tools": tools, "stream": stream, "previous_response_id": first["id"]}
    second = ask(server, body)

    assert text_of(second) == "They say: weather is well, time is well, patch is well."
    sent = far.asked[-1][2]
    assert "previous_response_id" not in sent
    assert "instructions" not in sent
    assert "Be." not in json.dumps(sent)


def test_a_chain_goes_from_provider_to_provider(server, far):
    previous: str | None = None
    for turn, name in enumerate((*PROVIDERS, *reversed(PROVIDERS))):
        body = {
            "model": f"{name}/m",
            "input": f"Turn {turn}.",
            "stream": bool(turn % 2),
            "reasoning": {"effort": "low"},
        }
        if name == "ollama":
            del body["reasoning"]
        response = ask(server, {**body, "previous_response_id": previous})
        previous = response["id"]
        sent = json.dumps(far.asked[-1][2])
        assert text_of(response) == "Nothing to do."
        assert [sent.count(f"Turn {earlier}.") for earlier in range(turn + 2)] == [1] * (turn + 1) + [0]
        assert sent.count("Nothing to do.") == turn


def test_anthropics_signed_thinking_comes_back_to_it_and_to_no_other(server, far):
    asked = {"tools": TOOLS, "reasoning": {"effort": "low"}}
    first = ask(server, {"model": f"anthropic/{CLAUDE}", "input": "Go.", **asked})
    calls = [item for item in first["output"] if item["type"] == "function_call"]
    results = [{"type": "function_call_output", "call_id": call["call_id"], "output": "fine"} for call in calls]
    items = [{"role": "user", "content": "Go."}, *first["output"], *results]
    for name in PROVIDERS[:4]:
        ask(server, {"model": f"{name}/{CLAUDE if name == 'anthropic' else 'm'}", "input": items, **asked})
        sent = json.dumps(far.asked[-1][2])
        assert ("c2lnbmVk" in sent) is (name == "anthropic"), name
        assert "aura1." not in sent


# --- what providers are asked


def test_who_speaks_responses_is_asked_what_the_client_asked(server, far):
    body = asking(
        input=[
            {"role": "user", "content": [{"type": "input_text", "text": "Go."}]},
            {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "b3BhcXVl"},
            {"type": "web_search_call", "id": "ws_1", "status": "completed"},
            {"type": "item_reference", "id": "msg_1"},
        ],
        tools=[{"type": "web_search"}, *TOOLS],
        include=["reasoning.encrypted_content"],
        a_member_of_next_year={"a": [1, None]},
        prompt_cache_key="k",
        store=False,
        metadata={"a": "b"},
    )
    got = send(server, body)
    [(path, _, sent)] = far.asked

    assert got.status_code == 200
    assert path == "/v1/responses"
    assert sent == {**body, "model": body["model"].partition("/")[2]}
    assert "x-aura-dropped" not in got.headers


def test_azures_dated_versions_have_responses_beside_the_deployments(server, far):
    ask(server, asking("azure"))

    assert far.asked[-1][0] == "/openai/responses"
    assert far.asked[-1][2]["model"].startswith("m")


@pytest.mark.parametrize("name", ["chats", "anthropic", "ollama"])
def test_another_grammar_is_asked_in_its_own_words_and_the_rest_is_named(server, far, name):
    got = send(
        server,
        asking(
            name,
            instructions="Be brief.",
            tools=[{"type": "web_search"}, *TOOLS],
            truncation="auto",
            max_output_tokens=99,
            text={"format": {"type": "json_schema", "name": "n", "schema": OBJECT}},
            metadata={"a": "b"},
            prompt_cache_key="k",
            a_member_of_next_year=1,
        ),
    )
    [(_, _, sent)] = [one for one in far.asked if not one[0].endswith("/responses")]

    assert "Be brief." in json.dumps(sent)
    assert {"tools[0]", "truncation", "a_member_of_next_year"} <= set(got.headers["x-aura-dropped"].split(","))
    assert not {"input", "instructions", "text", "aura_native", "prompt_cache_key", "metadata"} & sent.keys()
    assert 99 in (sent.get("max_tokens"), sent.get("options", {}).get("num_predict"))


def test_a_server_without_responses_is_asked_by_chat_from_then_on(far):
    with gateway(configured(far.url)) as server:
        for _ in range(3):
            ask(server, asking("chats", stream=True))

    assert [path for path, _, _ in far.asked] == ["/chat/v1/responses", *["/chat/v1/chat/completions"] * 3]


@pytest.mark.parametrize(
    ("more", "param"),
    [
        ({"tools": [{"type": "web_search"}]}, "tools[0]"),
        ({"tools": [*TOOLS, {"type": "mcp", "server_label": "x"}]}, "tools[2]"),
        ({"tool_choice": {"type": "mcp", "server_label": "x"}}, "tool_choice"),
        ({"input": [{"type": "item_reference", "id": "msg_1"}]}, "input[0]"),
        (
            {"input": [{"role": "user", "content": [{"type": "input_file", "file_id": "f"}]}]},
            "input[0].content[0].file_id",
        ),
        ({"previous_response_id": "resp_unknown"}, "previous_response_id"),
        ({"conversation": "conv_1"}, "conversation"),
        ({"prompt": {"id": "pmpt_1"}}, "prompt"),
    ],
)
@pytest.mark.parametrize("name", ["chats", "anthropic", "ollama"])
def test_what_no_other_grammar_has_is_sent_to_none_and_refused_with_its_name(server, far, name, more, param):
    got = send(server, asking(name, **more))

    if name == "chats":  # it might have spoken Responses, and says itself that it does not
        assert got.status_code in (400, 502)
        assert [path for path, _, _ in far.asked if "chat/completions" in path] == []
        return
    assert (got.status_code, got.json()["error"]["param"]) == (400, param)
    assert not far.asked


BAD = [
    ({"input": 1}, "input"),
    ({"input": None}, "input"),
    ({"input": [1]}, "input[0]"),
    ({"input": [{}]}, "input[0].type"),
    ({"input": [{"type": 1}]}, "input[0].type"),
    ({"input": [{"role": "robot", "content": "x"}]}, "input[0].role"),
    ({"input": [{"role": ["user"], "content": "x"}]}, "input[0].role"),
    ({"input": [{"role": "user"}]}, "input[0].content"),
    ({"input": [{"role": "user", "content": [{"type": "input_text"}]}]}, "input[0].content[0].text"),
    ({"input": [{"role": "user", "content": [{"type": "input_image", "image_url": "file:///etc/passwd"}]}]},
     "input[0].content[0].image_url"),
    ({"input": [{"type": "function_call", "call_id": "c", "name": "n"}]}, "input[0].arguments"),
    ({"input": [{"type": "function_call_output", "output": "x"}]}, "input[0].call_id"),
    ({"input": [{"type": "reasoning", "summary": "x"}]}, "input[0].summary"),
    ({"input": [{"type": "reasoning", "summary": [{"text": 1}]}]}, "input[0].summary.text"),
    ({"tools": [{"type": "function"}]}, "tools[0].name"),
    ({"tools": [{"name": "n"}]}, "tools[0].type"),
    ({"tools": [{"type": "function", "name": "n", "parameters": []}]}, "tools[0].parameters"),
    ({"tools": [{"type": "namespace", "name": "n", "tools": [{"type": "mcp"}]}]}, "tools[0].tools[0].type"),
    ({"tool_choice": "perhaps"}, "tool_choice"),
    ({"tool_choice": {"type": "allowed_tools", "mode": "auto", "tools": [1]}}, "tool_choice.tools[0]"),
    ({"tool_choice": {"type": "allowed_tools", "mode": "any", "tools": []}}, "tool_choice.mode"),
    ({"text": {"format": {"type": "xml"}}}, "text.format.type"),
    ({"text": {"format": {"type": "json_schema", "name": "n"}}}, "text.format.schema"),
    ({"text": {"format": "json"}}, "text.format"),
    ({"reasoning": {"effort": 3}}, "reasoning.effort"),
    ({"include": [1]}, "include"),
    ({"background": True}, "background"),
    ({"max_output_tokens": 0}, "max_output_tokens"),
    ({"temperature": 3}, "temperature"),
    ({"truncation": "some"}, "truncation"),
    ({"metadata": {"a": 1}}, "metadata.a"),
    ({"previous_response_id": 7}, "previous_response_id"),
    ({"aura_previous": "resp_1"}, "aura_previous"),
    ({"aura_native": {}}, "aura_native"),
]  # fmt: skip


@pytest.mark.parametrize(("more", "param"), BAD, ids=[param for _, param in BAD])
def test_what_is_wrong_is_refused_with_its_path(server, far, more, param):
    got = send(server, asking("anthropic") | more)

    assert (got.status_code, got.json()["error"]["param"]) == (400, param)
    assert got.json()["error"]["type"] == "invalid_request_error"
    assert not far.asked


# --- what is kept


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("name", PROVIDERS)
def test_a_response_is_kept_under_the_id_that_was_told(server, far, name, stream):
    told = ask(server, asking(name, stream=stream, metadata={"a": "b"}))
    with sdk(server) as client:
        found = client.responses.retrieve(told["id"]).to_dict()
        listed = client.responses.input_items.list(told["id"])
        with pytest.raises(openai.BadRequestError):
            client.responses.cancel(told["id"])
        client.responses.delete(told["id"])
        for again in (client.responses.retrieve, client.responses.delete, client.responses.cancel):
            with pytest.raises(openai.NotFoundError):
                again(told["id"])

    assert found == told
    assert [item.content[0].text for item in listed.data] == ["Go."]


def test_what_it_answered_is_listed_a_page_at_a_time(server, far):
    turns = [{"role": "user", "content": f"Turn {n}."} for n in range(5)]
    told = ask(server, asking("ollama", input=turns))
    with sdk(server) as client:
        down = [item.content[0].text for item in client.responses.input_items.list(told["id"], limit=2)]
        up = [item.content[0].text for item in client.responses.input_items.list(told["id"], order="asc")]
    page = requests.get(f"{server.url}/v1/responses/{told['id']}/input_items?limit=2", timeout=LONG).json()
    wrong = [
        requests.get(f"{server.url}/v1/responses/{told['id']}/input_items?{query}", timeout=LONG).status_code
        for query in ("limit=0", "limit=101", "limit=x", "order=up", "after=nothing")
    ]

    assert up == [f"Turn {n}." for n in range(5)]
    assert down == up[::-1]
    assert (page["object"], len(page["data"]), page["has_more"]) == ("list", 2, True)
    assert page["first_id"] == page["data"][0]["id"]
    assert wrong == [400] * 5


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("name", ["openai", "ollama"])
def test_what_is_not_to_be_stored_is_not_kept(server, far, name, stream):
    told = ask(server, asking(name, stream=stream, store=False))
    got = requests.get(f"{server.url}/v1/responses/{told['id']}", timeout=LONG)

    assert got.status_code == 404
    assert got.json()["error"]["type"] == "invalid_request_error"


@pytest.mark.parametrize("name", ["openai", "ollama"])
def test_another_tenants_response_does_not_exist(shared, far, name):
    told = ask(shared, asking(name), **ONE)
    address = f"{shared.url}/v1/responses/{told['id']}"
    theirs = [
        requests.get(address, headers=TWO, timeout=LONG),
        requests.get(f"{address}/input_items", headers=TWO, timeout=LONG),
        requests.delete(address, headers=TWO, timeout=LONG),
        requests.post(f"{address}/cancel", headers=TWO, timeout=LONG),
    ]
    far.asked.clear()
    gone_on = send(shared, asking(name, previous_response_id=told["id"]), **TWO)

    assert [got.status_code for got in theirs] == [404] * 4
    assert (gone_on.status_code, gone_on.json()["error"]["code"]) == (400, "previous_response_not_found")
    assert not far.asked
    assert requests.get(address, headers=ONE, timeout=LONG).json()["id"] == told["id"]


def test_a_response_that_was_kept_elsewhere_is_asked_for_where_it_may_be(server, far):
    got = send(server, asking("openai", previous_response_id="resp_of_openais"))

    assert got.status_code == 200
    assert far.asked[-1][2]["previous_response_id"] == "resp_of_openais"


@pytest.mark.parametrize("more", ["  cache: {type: none}\n", "  responses: {ttl: 0s}\n"])
def test_without_a_store_nothing_is_kept_and_the_answer_says_so(far, more):
    with gateway(configured(far.url, more)) as server:
        told = ask(server, asking("ollama"))
        got = requests.get(f"{server.url}/v1/responses/{told['id']}", timeout=LONG)
        gone_on = send(server, asking("ollama", previous_response_id=told["id"]))

    assert got.status_code == 404
    assert "not kept here" in got.json()["error"]["message"]
    assert (gone_on.status_code, gone_on.json()["error"]["param"]) == (400, "previous_response_id")


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("name", PROVIDERS)
def test_a_cached_answer_is_a_response_of_its_own(server, far, name, stream):
    body = asking(name, tools=TOOLS)
    first = ask(server, {**body, "metadata": {"a": "1"}})
    asked = len(far.asked)
    again = ask(server, {**body, "stream": stream, "metadata": {"a": "2"}})

    assert len(far.asked) == asked
    assert again["id"] != first["id"]
    assert again["metadata"] == {"a": "2"}
    kind = [item["type"] for item in first["output"]]
    assert [item["type"] for item in again["output"]] == kind
    assert [item["arguments"] for item in again["output"]] == [item["arguments"] for item in first["output"]]
    found = requests.get(f"{server.url}/v1/responses/{again['id']}", timeout=LONG).json()
    assert found["output"] == again["output"]


# --- Azure's client


@pytest.mark.parametrize("version", ["2025-04-01-preview", "v1"])
def test_azures_client_uses_aura_as_its_resource(server, far, version):
    more: dict[str, Any] = {"azure_endpoint": server.url, "api_version": version}
    if version == "v1":
        more = {"base_url": f"{server.url}/openai/v1", "api_version": "preview"}
    with openai.AzureOpenAI(api_key="none", max_retries=0, timeout=LONG, **more) as client:
        told = client.responses.create(model=f"ollama/m{next(numbers)}", input="Go.")
        found = client.responses.retrieve(told.id)
        gone_on = client.responses.create(model="openai/m", input="More.", previous_response_id=told.id)
        client.responses.delete(told.id)

    assert told.output_text == found.output_text == gone_on.output_text == "Nothing to do."


# --- streams that break


CUTS = {
    "in its text": 7,
    "before its text": 4,
    "behind its item's beginning": 3,
    "behind its text": -4,
    "behind its item": -1,
}


def cut(nonce: str, where: str) -> list[bytes]:
    """The first events of a response that says what all of a test's providers say."""
    body = {"model": "m", "input": "x"}
    whole, _ = GRAMMARS["responses"](body, text(nonce), [])
    item, whole["id"] = whole["output"][0], f"resp_{nonce}"
    begun = {**whole, "status": "in_progress", "output": [], "usage": None}
    events: list[dict[str, Any]] = [
        {"type": f"response.{word}", "response": begun} for word in ("created", "in_progress")
    ]
    inside = item_events(0, item)
    deltas = [event for event in inside if event["type"].endswith(".delta")]
    at = inside.index(deltas[0])
    split = [{**deltas[0], "delta": piece} for piece in pieces(nonce)]
    events += [*inside[:at], *split, *inside[at + len(deltas) :], {"type": "response.completed", "response": whole}]
    numbered = [{"type": event["type"], "sequence_number": n, **event} for n, event in enumerate(events)]
    return [frame(event, event["type"]) for event in numbered][: CUTS[where]]


@pytest.fixture(scope="module")
def failing() -> Iterator[tuple[Server, Faulty, Faulty, dict[str, str]]]:
    """Providers that break off, and such as go on; the last says where Responses break off."""
    place: dict[str, str] = {}

    def begun(asked: Seen) -> Reply:
        nonce = asked.json()["input"].split(" ")[0]
        return 200, "text/event-stream", iter(cut(nonce, place["cut"]))

    with Faulty() as first, Faulty() as second, fake(responses=begun, completions=fails) as native:
        config = "aura:\n  log: {level: WARNING}\n  providers:\n"
        for name, at in (("first", first), ("second", second)):
            config += provider(name, at.url, kind="azure") + provider(f"{name}-claude", at.url, kind="anthropic")
            config += provider(f"{name}-llama", at.url, kind="ollama")
        config += entry("native", native).replace("}}", "}, extra-models: ['*']}")
        with gateway(config) as server:
            yield server, first, second, place


KINDS = ("", "-claude", "-llama")


def streamed(server: Server, nonce: str, model: str, *fallbacks: str, **more: Any) -> Outcome:
    body = {"model": model, "input": f"{nonce} tell me", "stream": True, "fallbacks": fallbacks, **more}
    got = send(server, body)
    return Outcome(got.status_code, {name.lower(): value for name, value in got.headers.items()}, got.content)


@pytest.mark.parametrize("goes_on", KINDS)
@pytest.mark.parametrize("where", CUTS)
def test_a_response_that_is_forwarded_and_breaks_off_goes_on_as_the_same_response(failing, goes_on, where):
    server, _, _, place = failing
    place["cut"] = where
    nonce = f"n{next(numbers)}"
    outcome = streamed(server, nonce, f"native/{nonce}", f"second{goes_on}/m")
    response = response_of(events_of(outcome.body))

    assert text_of(response) == text(nonce)
    assert [item["type"] for item in response["output"]] == ["message"]
    assert response["status"] == "completed"
    unseen = where in ("before its text", "behind its item's beginning")  # nothing was said, so another just answers
    assert response["id"].startswith("resp_aura") is unseen
    assert any(f"continued by second{goes_on}/m" in comment for comment in outcome.comments) is not unseen
    kept = requests.get(f"{server.url}/v1/responses/{response['id']}", timeout=LONG).json()
    assert kept["output"] == response["output"]


@pytest.mark.parametrize("after", [1, 3, 6])
@pytest.mark.parametrize("goes_on", KINDS)
@pytest.mark.parametrize("begins", KINDS)
def test_a_translated_response_that_breaks_off_goes_on_as_the_same_response(failing, begins, goes_on, after):
    server, first, _, _ = failing
    first.next.append(f"cut:after:{after}")
    nonce = f"n{next(numbers)}"
    response = response_of(events_of(streamed(server, nonce, f"first{begins}/m", f"second{goes_on}/m").body))

    assert text_of(response) == text(nonce)
    assert response["usage"]["output_tokens"] >= 12


def test_a_broken_response_that_nobody_goes_on_with_ends_in_an_error_and_failed(failing):
    server, first, _, place = failing
    place["cut"] = "in its text"
    for begins in ("native/x", "first/x", "first-claude/x"):
        first.next.extend(["cut:after:4", "status:code:500", "status:code:500"] if begins != "native/x" else [])
        outcome = streamed(server, f"n{next(numbers)}", begins, max_output_tokens=100)
        first.next.clear()
        events = events_of(outcome.body)

        assert [event["type"] for event in events[-2:]] == ["error", "response.failed"]
        assert events[-2]["code"] == events[-2]["error"]["code"] == "stream_interrupted"
        failed = events[-1]["response"]
        assert (failed["status"], failed["error"]["code"]) == ("failed", "server_error")
        assert requests.get(f"{server.url}/v1/responses/{failed['id']}", timeout=LONG).status_code == 404


def test_a_failure_before_content_is_not_seen(failing):
    server, first, _, _ = failing
    first.next.append("status:code:529")
    outcome = streamed(server, f"n{next(numbers)}", "first-claude/m", "second/m")

    assert response_of(events_of(outcome.body))["status"] == "completed"
    assert outcome.headers["x-aura-provider"] == "second"


# --- one path for all


@pytest.mark.parametrize("stream", [False, True])
def test_what_only_openai_can_look_up_is_refused_with_its_name_at_a_server_without_responses(server, stream):
    got = send(server, asking("chats", conversation="conv_1", stream=stream))

    assert (got.status_code, got.json()["error"]["param"]) == (400, "conversation")


def test_a_model_that_is_not_there_says_nothing_of_the_door():
    def answered(asked: Seen) -> Reply:
        if asked.json()["model"] == "gone":
            return reply({"error": {"message": "Model not found gone", "param": "model", "code": None}}, 404)
        return reply(GRAMMARS["responses"](asked.json(), "Hello.", [])[0])

    with fake(responses=answered, completions=chatted) as at:
        listed = entry("one", at).replace("}}", "}, extra-models: ['*']}")
        with gateway(f"aura:\n  providers:\n{listed}") as server:
            texts = [text_of(ask(server, {"model": f"one/{model}", "input": "Hi"})) for model in ("gone", "here")]

    assert texts == [" after Hi", "Hello."]
    assert [seen.path for seen in at.seen] == ["/v1/responses", "/v1/chat/completions", "/v1/responses"]


@pytest.mark.parametrize("name", ["openai", "ollama"])
def test_equal_streams_at_once_are_asked_once_and_kept_under_the_id_that_all_were_told(server, far, name):
    body = asking(name, stream=True)
    jobs = [gevent.spawn(ask, server, body) for _ in range(4)]
    told = [job.get(timeout=LONG)["id"] for job in jobs]

    for one in told:
        assert requests.get(f"{server.url}/v1/responses/{one}", timeout=LONG).status_code == 200
    assert len([path for path, _, _ in far.asked if path.endswith(("/responses", "/api/chat"))]) <= 2


def test_a_stream_ends_incomplete_where_its_money_ends(failing):
    server, _, _, place = failing
    place["cut"] = "behind its item"
    nonce = f"n{next(numbers)}"
    got = send(
        server,
        {
            "model": "native/gpt-4o",
            "input": f"{nonce} tell me",
            "stream": True,
            "store": False,
            "aura": {"max_cost_usd": 0.00012},
        },
    )
    response = response_of(events_of(got.content))

    assert (response["status"], response["incomplete_details"]) == ("incomplete", {"reason": "max_output_tokens"})
    assert text(nonce).startswith(text_of(response))


def test_numbers_of_the_books_are_those_of_a_chat(server, far):
    got = send(server, asking("openai", store=False))

    assert got.headers["x-aura-provider"] == "openai"
    assert got.headers["x-aura-cache"] == "miss"
    assert "x-aura-cost-usd" in got.headers
    metrics = requests.get(f"{server.url}/actuator/prometheus", timeout=LONG).text
    assert "aura_tokens_total{" in metrics


def test_where_values_are_masked_a_chat_is_asked_and_what_none_can_carry_is_refused(far):
    with gateway(configured(far.url, "  guardrails: {pii: mask}\n")) as server:
        told = ask(server, asking("openai", input="Write to jane.doe@example.com now."))
        far.asked.clear()
        gone_on = ask(server, asking("openai", previous_response_id=told["id"], stream=True))
        sent = [(path, json.dumps(body)) for path, _, body in far.asked]
        refused = send(server, asking("openai", input=[{"type": "item_reference", "id": "msg_1"}]))

    assert text_of(gone_on) == "Nothing to do."
    assert [path for path, _ in sent] == ["/v1/chat/completions"]
    assert "jane.doe" not in sent[0][1]
    assert (refused.status_code, refused.json()["error"]["param"]) == (400, "input[0]")


@pytest.mark.skipif(shutil.which("redis-server") is None, reason="there is no redis-server here")
def test_in_redis_a_response_is_kept_for_all_instances(far):
    store = Redis()
    try:
        more = f"  cache: {{type: redis, redis-url: '{store.url}'}}\n"
        config = configured(far.url, more)
        with gateway(config, app=PATIENT) as one, gateway(config, app=PATIENT) as other:
            told = ask(one, asking("ollama", stream=True))
            found = requests.get(f"{other.url}/v1/responses/{told['id']}", timeout=LONG)
    finally:
        store.close()

    assert found.json() == told


@pytest.mark.parametrize("path", ["/v1/responses", "/openai/responses"])
def test_what_is_wrong_is_told_by_the_clients_own_name_for_it(server, path):
    picture = {"type": "input_image", "image_url": "https://example.com/a.png"}
    got = send(server, asking("ollama", input=[{"role": "user", "content": [picture]}]), path)

    assert (got.status_code, got.json()["error"]["param"]) == (400, "input")
