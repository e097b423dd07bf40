"""One scripted conversation through all four grammars: the same answer, and a history that each can take over."""

import copy
import json

import pytest

from aura.catalogue import unknown
from aura.dialects.assembly import Assembler
from aura.errors import Failure
from aura.providers import build, retry_after
from aura.settings import ProviderSettings, Secret
from aura.sse import encode

ADDRESSES = {
    "openai": "https://api.openai.com/v1",
    "azure": "https://res.openai.azure.com",
    "ollama": "http://localhost:11434",
    "anthropic": "https://api.anthropic.com",
}
PROVIDERS = sorted(ADDRESSES)
TOOLS = [
    {
        "type": "function",
        "function": {"name": name, "parameters": {"type": "object", "properties": {"city": {"type": "string"}}}},
    }
    for name in ("get_weather", "get_time")
]
SCHEMA = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"], "additionalProperties": False}
JSON_FORMAT = {"type": "json_schema", "json_schema": {"name": "n", "schema": SCHEMA}}
# What is asked, and what the model says: text, tool calls, and how it ends in OpenAI's words.
SCRIPT = {
    "text": ({}, "Grüße 😀\nfrom here", [], "stop"),
    "parallel tools": (
        {"tools": TOOLS},
        None,
        [("get_weather", {"city": "Rome"}), ("get_time", {"city": "Oslo"})],
        "tool_calls",
    ),
    "text and a tool": ({"tools": TOOLS}, "Looking.", [("get_time", {})], "tool_calls"),
    "JSON": ({"response_format": JSON_FORMAT}, '{"n": 7}', [], "stop"),
    "cut by the limit": ({"max_tokens": 3}, "one two", [], "length"),
    "refusal": ({}, "I can", [], "content_filter"),
}
CASES = [
    (kind, case) for kind in PROVIDERS for case in SCRIPT if (kind, case) != ("ollama", "refusal")
]  # it never refuses


def made(kind):
    return build(ProviderSettings(kind, kind, base_url=ADDRESSES[kind], api_key=Secret("k")))


def asked(kind, case, **more):
    body = {"model": "auto", "messages": [{"role": "user", "content": "Go."}], **SCRIPT[case][0], **more}
    return made(kind).request(body, unknown("m"))


# How each provider says it, whole and as events.


def _openai(text, calls, finish, filtered=None):
    tool_calls = [
        {"id": f"call_{i}", "type": "function", "function": {"name": name, "arguments": json.dumps(arguments)}}
        for i, (name, arguments) in enumerate(calls)
    ]
    message = {"role": "assistant", "content": text, **({"tool_calls": tool_calls} if calls else {})}
    usage = {"prompt_tokens": 9, "completion_tokens": 5, "total_tokens": 14}
    head = {"id": "c1", "created": 1, "model": "m", **(filtered or {})}
    whole = {
        **head,
        "object": "chat.completion",
        "choices": [{"index": 0, "message": message, "finish_reason": finish}],
        "usage": usage,
    }
    deltas = [{"role": "assistant", "content": "" if text else None}]
    deltas += [{"content": piece} for piece in (text[:3], text[3:])] if text else []
    for index, call in enumerate(tool_calls):
        arguments = call["function"]["arguments"]
        deltas.append({"tool_calls": [{"index": index, **call, "function": {**call["function"], "arguments": ""}}]})
        deltas += [
            {"tool_calls": [{"index": index, "function": {"arguments": piece}}]}
            for piece in (arguments[:4], arguments[4:])
        ]
    steps = [*((delta, None) for delta in deltas), ({}, finish)]
    chunks = [{**head, "choices": [{"index": 0, "delta": delta, "finish_reason": end}]} for delta, end in steps]
    prelude = [{"id": "", "model": "", "choices": [], **filtered}] if filtered else []
    events = [*prelude, *chunks, {**head, "choices": [], "usage": usage}]
    return whole, [*(encode(json.dumps(event).encode()) for event in events), encode(b"[DONE]")]


def _ollama(text, calls, finish):
    tool_calls = [{"function": {"name": name, "arguments": arguments}} for name, arguments in calls]
    end = {
        "done": True,
        "done_reason": "length" if finish == "length" else "stop",
        "prompt_eval_count": 9,
        "eval_count": 5,
    }

    def line(content="", end=None, **more):
        message = {"role": "assistant", "content": content, **more}
        return {"model": "m", "created_at": "2026-03-04T05:06:07.5Z", "message": message, **(end or {"done": False})}

    whole = line(text or "", end, **({"tool_calls": tool_calls} if calls else {}))
    lines = [line(piece) for piece in (text[:3], text[3:])] if text else []
    lines += [line(tool_calls=[call]) for call in tool_calls]
    return whole, [json.dumps(item).encode() + b"\n" for item in [*lines, line(end=end)]]


_STOPS = {"stop": "end_turn", "tool_calls": "tool_use", "length": "max_tokens", "content_filter": "refusal"}


def _anthropic(text, calls, finish):
    blocks = [{"type": "text", "text": text}] if text else []
    blocks += [{"type": "tool_use", "id": f"toolu_{i}", "name": name, "input": a} for i, (name, a) in enumerate(calls)]
    end = {"stop_reason": _STOPS[finish], "stop_sequence": None}
    head = {"id": "msg_1", "type": "message", "role": "assistant", "model": "m"}
    whole = {**head, "content": blocks, **end, "usage": {"input_tokens": 9, "output_tokens": 5}}
    begun = {
        **head,
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": {"input_tokens": 9, "output_tokens": 1},
    }
    events = [{"type": "message_start", "message": begun}, {"type": "ping"}]
    for index, block in enumerate(blocks):
        if block["type"] == "text":
            opened, kind, pieces = (
                {"type": "text", "text": ""},
                ("text_delta", "text"),
                [block["text"][:3], block["text"][3:]],
            )
        else:
            said = json.dumps(block["input"])
            opened, kind, pieces = (
                {**block, "input": {}},
                ("input_json_delta", "partial_json"),
                ["", said[:4], said[4:]],
            )
        events.append({"type": "content_block_start", "index": index, "content_block": opened})
        events += [
            {"type": "content_block_delta", "index": index, "delta": {"type": kind[0], kind[1]: piece}}
            for piece in pieces
        ]
        events.append({"type": "content_block_stop", "index": index})
    events += [{"type": "message_delta", "delta": end, "usage": {"output_tokens": 5}}, {"type": "message_stop"}]
    return whole, [encode(json.dumps(event).encode(), event["type"]) for event in events]


def said(kind, case):
    """The provider's own words of a case: whole, and as framed events."""
    _, text, calls, finish = SCRIPT[case]
    if kind == "azure":
        return _openai(
            text, calls, finish, {"prompt_filter_results": [{"prompt_index": 0, "content_filter_results": {}}]}
        )
    return {"openai": _openai, "ollama": _ollama, "anthropic": _anthropic}[kind](text, calls, finish)


def whole(kind, case):
    _, translation = asked(kind, case)
    return made(kind).dialect.response_in(copy.deepcopy(said(kind, case)[0]), translation)


def streamed(kind, case, events=None, size=1 << 20):
    """Play a case as a stream; its chunks, and whether its terminal event was seen."""
    provider = made(kind)
    _, translation = asked(kind, case, stream=True)
    data = b"".join(said(kind, case)[1] if events is None else events)
    decoder, reader, chunks = provider.dialect.DECODER(), provider.dialect.reader(translation), []
    pieces = [data[start : start + size] for start in range(0, len(data), size)]
    for found in [*map(decoder.feed, pieces), decoder.finish()]:
        for event in found:
            chunks += reader.feed(event)
    return chunks, reader.complete


def assembled(chunks):
    assembler = Assembler()
    for chunk in chunks:
        if chunk.body is not None:
            assembler.add(chunk.body)
    return assembler.completion()


def told(completion):
    """What a client reads of an answer, but for ids and times."""
    [choice] = completion["choices"]
    calls = choice["message"].get("tool_calls") or []
    assert len({call["id"] for call in calls}) == len(calls)
    names = [(call["type"], call["function"]["name"], json.loads(call["function"]["arguments"])) for call in calls]
    usage = {key: completion["usage"][key] for key in ("prompt_tokens", "completion_tokens", "total_tokens")}
    return choice["message"]["content"], names, choice["finish_reason"], usage, completion["model"]


def expected(case):
    _, text, calls, finish = SCRIPT[case]
    usage = {"prompt_tokens": 9, "completion_tokens": 5, "total_tokens": 14}
    return text, [("function", name, arguments) for name, arguments in calls], finish, usage, "m"


@pytest.mark.parametrize(("kind", "case"), CASES)
def test_x1_the_same_answer_from_all_providers(kind, case):
    assert expected(case) == told(whole(kind, case))


@pytest.mark.parametrize("size", [1, 1 << 20])
@pytest.mark.parametrize(("kind", "case"), CASES)
def test_x1_the_same_streamed_answer_from_all_providers(kind, case, size):
    chunks, complete = streamed(kind, case, size=size)

    assert (expected(case), True) == (told(assembled(chunks)), complete)


@pytest.mark.parametrize(("kind", "case"), CASES)
def test_x1_an_answer_that_breaks_off_is_complete_from_none(kind, case):
    events = said(kind, case)[1]
    terminal = {"openai": 3, "azure": 3, "ollama": 1, "anthropic": 1}[kind]

    for length in range(1, len(events) - terminal + 1):
        assert not streamed(kind, case, events[:length])[1]


@pytest.mark.parametrize("case", ["parallel tools", "text and a tool"])
@pytest.mark.parametrize("after", PROVIDERS)
@pytest.mark.parametrize("before", PROVIDERS)
def test_x2_a_history_of_one_provider_is_taken_over_by_another(before, after, case):
    """A call and its result still belong together, and the tool is still named, whoever called it."""
    message = {**whole(before, case)["choices"][0]["message"], "reasoning_content": "Let me see."}
    results = [{"role": "tool", "tool_call_id": call["id"], "content": "fine"} for call in message["tool_calls"]]

    request, _ = made(after).request(
        {"model": "auto", "messages": [{"role": "user", "content": "Go."}, message, *results], "tools": TOOLS},
        unknown("m"),
    )

    called, answered = _calls_in(json.loads(request.body)["messages"])
    assert [name for name, _ in SCRIPT[case][2]] == [name for _, name in called]
    assert [name for name, _ in called] == answered


@pytest.mark.parametrize("after", ["openai", "azure"])
@pytest.mark.parametrize("before", PROVIDERS)
def test_x2_what_only_another_grammar_says_is_not_sent_to_openai(before, after):
    message = {
        **whole(before, "text")["choices"][0]["message"],
        "reasoning_content": "Let me see.",
        "thinking_blocks": [{"type": "thinking", "thinking": "Let me see.", "signature": "c2ln"}],
        "content_blocks": [{"type": "text", "text": "x"}],
    }
    messages = [{"role": "user", "content": "Go."}, message, {"role": "user", "content": "On."}]

    request, _ = made(after).request({"model": "auto", "messages": messages}, unknown("m"))

    assert set(json.loads(request.body)["messages"][1]) <= {"role", "content", "refusal"}


def _calls_in(messages):
    """The tool calls of a history as (id, name), and the ids that its results answer, in any grammar."""
    called, answered = [], []
    for message in messages:
        called += [(call["id"], call["function"]["name"]) for call in message.get("tool_calls") or ()]
        if message["role"] == "tool":
            answered.append(message["tool_call_id"])
        for block in message["content"] if isinstance(message.get("content"), list) else ():
            if block["type"] == "tool_use":
                called.append((block["id"], block["name"]))
            elif block["type"] == "tool_result":
                answered.append(block["tool_use_id"])
    return called, answered


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "3"}, 3.0),
        ({"retry-after": "2.5"}, 2.5),
        ({"retry-after": "Thu, 01 Jan 1970 00:01:00 GMT"}, 50.0),
        ({"retry-after-ms": "250", "retry-after": "9"}, 0.25),
        ({"retry-after": "Thu, 01 Jan 1970 00:00:01 GMT"}, 0.0),
        ({"retry-after": "nan"}, None),
        ({}, None),
    ],
)
def test_x3_retry_after_in_its_three_forms(headers, seconds):
    assert seconds == retry_after(headers, now=10.0)


@pytest.mark.parametrize("kind", PROVIDERS)
def test_x3_a_long_wait_is_capped_for_the_client(kind):
    failure = made(kind).failure(429, {"retry-after": "86400"}, b"", 0.0)

    assert (failure.retry_after, failure.to_client().retry_after) == (86400.0, 120.0)


@pytest.mark.parametrize(("kind", "case"), CASES)
def test_x5_the_first_content_is_the_first_that_a_client_can_show(kind, case):
    chunks, _ = streamed(kind, case)

    first = next(chunk for chunk in chunks if chunk.content)
    [choice] = first.body["choices"]
    assert choice["delta"].get("content") or choice["delta"].get("tool_calls")
    before = chunks[: chunks.index(first)]
    shown = [
        c
        for chunk in before
        if chunk.body
        for c in chunk.body["choices"]
        if c["delta"].get("content") or c["delta"].get("tool_calls")
    ]
    assert shown == []


@pytest.mark.parametrize("kind", PROVIDERS)
def test_an_error_before_or_after_content_is_a_failure_in_every_grammar(kind):
    events = said(kind, "text")[1]
    error = {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}
    line = json.dumps({"error": "overloaded"} if kind == "ollama" else error).encode()
    framed = line + b"\n" if kind == "ollama" else encode(line, "error" if kind == "anthropic" else "")

    for place in (0, 2):
        with pytest.raises(Failure) as caught:
            streamed(kind, "text", [*events[:place], framed])
        assert caught.value.rule.next
