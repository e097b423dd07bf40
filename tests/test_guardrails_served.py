"""Masking and refusing personal values, through a real worker to a provider that says what it was told."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
import requests

from .calls import Outcome, chat, provider
from .echo import Echo
from .server import Server, gateway

pytestmark = pytest.mark.xdist_group("guardrails")

PEM = "-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBg\n-----END PRIVATE KEY-----"
VALUES = {
    "email": "jo.doe@example.com",
    "phone": "+49 30 1234567",
    "card": "4111 1111 1111 1111",
    "iban": "DE89 3704 0044 0532 0130 00",
    "ip": "203.0.113.7",
    "key": "sk-proj-Ab12Cd34Ef56Gh78Ij90Kl12",
}
PROMPT = "<b> " + " and again ".join(f"{value}, {value}." for value in VALUES.values()) + " 1 < 2 && <EMAIL"
TOOL = {"type": "function", "function": {"name": "note", "parameters": {"type": "object", "properties": {}}}}
KINDS = {"openai": "echo", "anthropic": "claude", "ollama": "llama"}


@dataclass
class World:
    server: Server
    echo: Echo

    def ask(self, messages: object = None, kind: str = "openai", how: str = "whole", key: str = "", **more) -> Outcome:
        said = messages if isinstance(messages, list) else [{"role": "user", "content": messages or PROMPT}]
        headers = {"Authorization": f"Bearer {key or 'key-mask'}", **more.pop("headers", {})}
        more = {"stream": False} | more
        return chat(self.server.port, f"{KINDS[kind]}/{how}", messages=said, headers=headers, limit=20.0, **more)

    def metric(self, pattern: str) -> float:
        headers = {"Authorization": "Bearer key-mask"}
        text = requests.get(f"{self.server.url}/actuator/prometheus", headers=headers, timeout=10).text
        found = re.search(rf"^{pattern} (\S+)$", text, re.MULTILINE)
        return float(found[1]) if found else 0.0


@pytest.fixture(scope="module")
def _running() -> Iterator[World]:
    """Masks, but for tenants that say otherwise."""
    with Echo() as echo:
        entries = provider("echo", echo.url) + provider("claude", echo.url, kind="anthropic")
        entries += provider("llama", echo.url, kind="ollama")
        keys = "{name: a, key: key-mask}, {name: b, key: key-block, pii: block}, {name: c, key: key-off, pii: off}"
        config = f"aura:\n  auth: {{keys: [{keys}, {{name: d, key: key-mask-2}}]}}\n"
        config += f"  guardrails: {{pii: mask}}\n  providers:\n{entries}"
        with gateway(config) as server:
            yield World(server, echo)


@pytest.fixture
def world(_running: World) -> World:
    _running.echo.clear()
    return _running


def no_value_was_sent(world: World) -> None:
    sent = world.echo.sent()
    for value in [*VALUES.values(), *PEM.split("\n")[1:2]]:
        assert value not in sent


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("how", ["whole", "cut-1", "cut-2", "cut-3", "cut-7", "cut-100"])
@pytest.mark.parametrize("stream", [False, True])
def test_values_leave_as_placeholders_and_come_back_as_themselves(world, kind, how, stream):
    outcome = world.ask(kind=kind, how=how, stream=stream, headers={"Cache-Control": "no-store"})

    assert outcome.status == 200
    assert outcome.text == PROMPT
    assert outcome.finish == (["stop"] if stream else [])
    assert outcome.errors == []
    no_value_was_sent(world)
    for name in VALUES:
        assert world.echo.sent().count(f"<{name.upper()}_1>") == 2


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("stream", [False, True])
def test_values_in_the_arguments_of_calls_are_written_as_json_has_them(world, kind, stream):
    """A private key has line ends, which a string of JSON holds escaped."""
    prompt = f'Use "{PEM}" for {VALUES["email"]}'
    outcome = world.ask(prompt, kind, "cut-3", stream=stream, tools=[TOOL])
    calls = _calls(outcome)

    assert outcome.text == prompt
    assert len(calls) == (2 if kind == "openai" else 1)
    assert all(json.loads(call) == {"said": prompt} for call in calls)
    no_value_was_sent(world)


def _calls(outcome: Outcome) -> list[str]:
    if not outcome.streamed:
        message = json.loads(outcome.body)["choices"][0]["message"]
        return [call["function"]["arguments"] for call in message["tool_calls"]]
    calls: dict[int, str] = {}
    for choice in outcome.choices:
        for call in choice["delta"].get("tool_calls") or ():
            index = call["index"]
            calls[index] = calls.get(index, "") + (call["function"].get("arguments") or "")
    return list(calls.values())


@pytest.mark.parametrize("stream", [False, True])
def test_every_choice_and_the_reasoning_have_their_values(world, stream):
    outcome = world.ask(how="reasoning-cut-5", stream=stream, n=3)
    if stream:
        said = {
            (choice["index"], field): "".join(
                one["delta"].get(field) or "" for one in outcome.choices if one["index"] == choice["index"]
            )
            for choice in outcome.choices
            for field in ("content", "reasoning_content")
        }
        texts = [*(said[index, "content"] for index in range(3)), said[0, "reasoning_content"]]
        assert outcome.finish == ["stop"] * 3
    else:
        messages = [choice["message"] for choice in json.loads(outcome.body)["choices"]]
        texts = [*(message["content"] for message in messages), messages[0]["reasoning_content"]]

    assert texts == [PROMPT] * 4


def test_all_texts_of_a_body_are_masked_and_a_value_has_one_placeholder(world):
    email, key, card = VALUES["email"], VALUES["key"], "4111111111111111"
    call = {"name": "find", "arguments": f'{{"to":"\\n{email}","card":{card},"left":[1, 2.50]}}'}
    messages = [
        {"role": "system", "content": f"Answer {email}."},
        {"role": "user", "content": [{"type": "text", "text": f"I am {email}"}], "name": "jo"},
        {"role": "assistant", "content": None, "tool_calls": [{"id": "c", "type": "function", "function": call}]},
        {"role": "tool", "tool_call_id": "c", "content": json.dumps({"mail": email, "key": key})},
        {"role": "user", "content": "Go on."},
    ]
    tool = {"name": "find", "description": f"As {email} knows", "parameters": {"type": "object", "default": email}}
    outcome = world.ask(
        messages, tools=[{"type": "function", "function": tool}], user=email, metadata={"who": "jo"}, stop=[email]
    )
    body = world.echo.asked[0]

    assert outcome.status == 200
    assert email not in world.echo.sent()
    assert key not in world.echo.sent()
    assert card not in world.echo.sent()
    arguments = '{"to":"\\n<EMAIL_1>","card":"<CARD_1>","left":[1, 2.50]}'
    assert body["messages"][2]["tool_calls"][0]["function"] == {"name": "find", "arguments": arguments}
    assert body["messages"][3]["content"] == '{"mail": "<EMAIL_1>", "key": "<KEY_1>"}'
    assert body["tools"][0]["function"]["description"] == "As <EMAIL_1> knows"
    assert body["stop"] == ["<EMAIL_1>"]
    assert not {"user", "metadata"} & body.keys()
    assert outcome.headers["x-aura-dropped"] == "user,metadata"


def test_a_placeholder_is_never_what_the_client_wrote(world):
    prompt = f"Keep <EMAIL_1> and EMAIL_7 as they are, {VALUES['email']}"
    outcome = world.ask(prompt, how="cut-4", stream=True)

    assert outcome.text == prompt
    assert "Keep <EMAIL_1> and EMAIL_7 as they are, <EMAIL_8>" in world.echo.sent()


def test_what_holds_no_value_goes_on_byte_for_byte(world):
    """Also a body: nothing is written anew."""
    words = "Plain words, <b>and</b> \\u003c tags; a &lt; b."
    outcome = world.ask(words, how="cut-3", stream=True, stream_options={"include_usage": True})
    direct = world.ask(words, how="cut-3", stream=True, key="key-off", stream_options={"include_usage": True})

    assert outcome.text == words
    assert outcome.events == direct.events


def test_answers_are_cached_with_their_values_and_never_mixed(world):
    one, other = "Greet jo@example.com!", "Greet al@example.com!"
    answers = [world.ask(prompt) for prompt in (one, other, one, other)]

    assert [answer.text for answer in answers] == [one, other, one, other]
    assert [answer.headers["x-aura-cache"] for answer in answers] == ["miss", "miss", "hit", "hit"]
    assert world.ask(one, stream=True).text == one
    assert world.ask(one, key="key-mask-2").headers["x-aura-cache"] == "miss"
    assert len({said["messages"][0]["content"] for said in world.echo.asked}) == 1


@pytest.mark.parametrize("kind", KINDS)
def test_a_broken_stream_is_continued_with_its_values_masked_again(world, kind):
    prompt = "The address is jo.doe@example.com, " * 4 + "that is all of it."
    world.echo.breaks_after = 40
    outcome = world.ask(prompt, kind, "cut-3", stream=True, fallbacks=["echo/whole"])

    assert len(world.echo.asked) == 2
    assert "jo.doe@example.com" not in world.echo.sent()
    assert "<EMAIL_1>" in json.dumps(world.echo.asked[1]["messages"][1:])
    assert outcome.text.startswith(prompt[:40])
    assert "<EMAIL" not in outcome.text
    assert outcome.done == 1


def test_a_long_conversation_is_masked_to_its_end(world):
    """It is looked through on a thread, while others are served."""
    prompt = "Nothing to see here, and nothing there. " * 5_000 + VALUES["email"]
    outcome = world.ask(prompt, how="cut-1000", stream=True)

    assert outcome.text == prompt
    assert world.echo.asked[0]["messages"][0]["content"].endswith(" <EMAIL_1>")
    assert world.ask(prompt, key="key-block").errors[0]["code"] == "pii_detected"


def test_a_blocked_call_names_kinds_and_places_and_reaches_nobody(world):
    messages = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": [{"type": "text", "text": f"Write to {VALUES['email']}"}]},
        {"role": "user", "content": f"Pay with {VALUES['card']}"},
    ]
    before = world.metric(r'aura_guardrail_values_total\{action="blocked",kind="card"\}')
    for stream in (False, True):
        outcome = world.ask(messages, key="key-block", stream=stream)
        (error,) = outcome.errors

        assert outcome.status == 400
        assert error["code"] == "pii_detected"
        assert error["type"] == "invalid_request_error"
        assert error["param"] == "messages[1].content[0].text"
        assert "email in messages[1].content[0].text, card in messages[2].content" in error["message"]
        assert not any(value in outcome.body.decode() for value in VALUES.values())
    assert world.echo.asked == []
    assert world.metric(r'aura_guardrail_values_total\{action="blocked",kind="card"\}') == before + 2
    assert world.ask("Hello there", key="key-block").status == 200


def test_a_tenant_may_be_left_alone(world):
    assert world.ask(key="key-off", user="jo").text == PROMPT
    assert world.echo.asked[0]["messages"][0]["content"] == PROMPT
    assert world.echo.asked[0]["user"] == "jo"


def test_the_log_counts_values_and_shows_none(world):
    world.ask("Count jo@example.com and al@example.com and jo@example.com")
    line = json.loads(world.server.wait_for(r'\{.*"masked":2[,}].*')[0])

    assert line["event"] == "request.done"
    assert not re.search(r"@example\.com|4111|203\.0\.113", world.server.log())


def test_masked_values_are_counted_by_kind(world):
    before = world.metric(r'aura_guardrail_values_total\{action="masked",kind="iban"\}')
    world.ask(f"One {VALUES['iban']} only", headers={"Cache-Control": "no-store"})

    assert world.metric(r'aura_guardrail_values_total\{action="masked",kind="iban"\}') == before + 1


def post(world: World, path: str, key: str = "key-mask", **body: object) -> requests.Response:
    headers = {"Authorization": f"Bearer {key}"}
    return requests.post(f"{world.server.url}{path}", json=body, headers=headers, timeout=20)


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/embeddings", {"input": ["jo@example.com", "al@example.com or jo@example.com"]}),
        ("/v1/images/generations", {"prompt": "A letter to jo@example.com"}),
        ("/v1/rerank", {"query": "jo@example.com", "documents": ["al@example.com", {"text": "jo@example.com"}]}),
    ],
)
def test_the_other_doors_are_guarded_too(world, path, body):
    """The provider tells of all that it was told, as rerank does with its documents."""
    answer = post(world, path, model="echo/any", user="jo", **body)

    assert post(world, path, model="echo/any", key="key-block", **body).json()["error"]["code"] == "pii_detected"
    assert len(world.echo.asked) == 1
    assert "@example.com" not in world.echo.sent()
    assert "user" not in world.echo.asked[0]
    if path == "/v1/embeddings":
        assert world.echo.asked[0]["input"] == ["<EMAIL_1>", "<EMAIL_1> or <EMAIL_2>"]
        assert answer.status_code == 200
    else:
        told = answer.json()["told"]
        assert {name: told[name] for name in body} == body


def anthropic_text(answer: requests.Response, stream: bool) -> str:
    if not stream:
        return "".join(block["text"] for block in answer.json()["content"] if block["type"] == "text")
    events = [json.loads(line[6:]) for line in answer.text.splitlines() if line.startswith("data: ")]
    return "".join(event["delta"].get("text", "") for event in events if event["type"] == "content_block_delta")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("stream", [False, True])
def test_messages_are_masked_and_have_their_values_whoever_answers(world, kind, stream):
    """Anthropic's own body is not forwarded then: it could hold what nobody has looked through."""
    body = {"messages": [{"role": "user", "content": PROMPT}], "max_tokens": 500, "metadata": {"user_id": "jo"}}
    answer = post(world, "/v1/messages", model=f"{KINDS[kind]}/cut-3", stream=stream, system=VALUES["email"], **body)

    assert answer.status_code == 200
    assert anthropic_text(answer, stream) == PROMPT
    no_value_was_sent(world)
    assert "user_id" not in world.echo.sent()


def test_what_is_only_counted_is_guarded_too(world):
    body = {"messages": [{"role": "user", "content": PROMPT}]}
    counted = post(world, "/v1/messages/count_tokens", model="claude/whole", **body)
    refused = post(world, "/v1/messages/count_tokens", model="claude/whole", key="key-block", **body)

    assert counted.json() == {"input_tokens": 7}
    assert refused.status_code == 400
    assert "email in messages[0].content" in refused.json()["error"]["message"]
    assert len(world.echo.asked) == 1
    assert "<EMAIL_1>" in world.echo.sent()
    no_value_was_sent(world)
