"""Every door at providers of every grammar, in every case that can become of a call: what the client sees.

Providers are scripted: the case stands in the model's name. ``python -m tests.matrix docs/compatibility.md`` runs it
all and writes the table into the page.
"""

from __future__ import annotations

import itertools
import json
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import requests

from aura.fronts import FRONTS

from .obedient import Json
from .scripted import CASES, PNG, scripted
from .server import Server, gateway

PROVIDERS = ("openai", "anthropic", "azure", "ollama")
SCHEMA: Json = {
    "type": "object",
    "properties": {"asked": {"type": "string"}},
    "required": ["asked"],
    "additionalProperties": False,
}
NAMES = ("weather", "time")
AT_ONCE = 12
THINKER = "reasoning-0"  # known to think
numbers = itertools.count()


def configured(address: str) -> str:
    """Pinned targets, no one to go on with a broken answer: each case is told as it is."""
    return f"""
aura:
  log: {{level: WARNING}}
  router: {{stream-rescue: false, max-attempts: 1}}
  providers:
    openai: {{base-url: "{address}/v1", api-key: test-key-1, extra-models: "*", models: {{eco: [m]}}}}
    anthropic: {{base-url: "{address}", api-key: test-key-2, extra-models: "*",
                 models: {{premium: [{{name: {THINKER}, base-model: claude-sonnet-4-5}}]}}}}
    azure: {{base-url: "{address}", api-key: test-key-3, extra-models: "*"}}
    ollama: {{enabled: true, base-url: "{address}", extra-models: "*"}}
"""


# --- what clients send and see


@dataclass
class Seen:
    """What a client sees of one answer.

    Args:
        end: why it ended, in the grammar's own word; empty where that was not told.
        refusal: what it is told of a refusal, apart from the text.
        errors: what it is told as errors, in the grammar's own form.
        over: whether the grammar's own end of a whole answer came.
    """

    status: int
    text: str = ""
    thoughts: str = ""
    calls: list[tuple[str, Any]] = field(default_factory=list)
    end: str = ""
    refusal: str = ""
    errors: list[Any] = field(default_factory=list)
    over: bool = False


@dataclass(frozen=True)
class Door:
    """An address and its grammar: how a case is asked for there, and how its answer is read."""

    path: str
    body: Callable[[str], Json]
    whole: Callable[[Json, Seen], None]
    streamed: Callable[[bytes, Seen], None]


def events_of(data: bytes) -> Iterator[Json]:
    for frame in data.decode().split("\n\n"):
        for line in frame.split("\n"):
            if line.startswith("data: ") and line != "data: [DONE]":
                yield json.loads(line[6:])


FUNCTIONS = [{"name": name, "parameters": SCHEMA} for name in NAMES]


def chat_body(case: str) -> Json:
    content: Any = "Go."
    if case == "image":
        content = [{"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}}]
    more: Json = {}
    if case == "tools":
        more = {"tools": [{"type": "function", "function": function} for function in FUNCTIONS]}
    elif case == "schema":
        wanted = {"name": "answer", "schema": SCHEMA, "strict": True}
        more = {"response_format": {"type": "json_schema", "json_schema": wanted}}
    elif case == "reasoning":
        more = {"reasoning_effort": "medium"}
    return {"messages": [{"role": "user", "content": content}], **more}


def chat_whole(body: Json, seen: Seen) -> None:
    [choice] = body["choices"]
    message = choice["message"]
    seen.text, seen.refusal = message.get("content") or "", message.get("refusal") or ""
    seen.thoughts = message.get("reasoning_content") or ""
    for call in message.get("tool_calls") or ():
        seen.calls.append((call["function"]["name"], json.loads(call["function"]["arguments"])))
    seen.end, seen.over = choice["finish_reason"], True


def chat_streamed(data: bytes, seen: Seen) -> None:
    calls: dict[int, list[str]] = {}
    for event in events_of(data):
        if "error" in event:
            seen.errors.append(event["error"])
        for choice in event.get("choices") or ():
            delta = choice["delta"]
            seen.text += delta.get("content") or ""
            seen.refusal += delta.get("refusal") or ""
            seen.thoughts += delta.get("reasoning_content") or ""
            for call in delta.get("tool_calls") or ():
                into = calls.setdefault(call["index"], ["", ""])
                into[0] += call["function"].get("name") or ""
                into[1] += call["function"].get("arguments") or ""
            seen.end = choice.get("finish_reason") or seen.end
    seen.calls = [(name, json.loads(given)) for _, (name, given) in sorted(calls.items())]
    seen.over = data.endswith(b"data: [DONE]\n\n")


def messages_body(case: str) -> Json:
    content: Any = "Go."
    more: Json = {}
    if case == "image":
        content = [{"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PNG}}]
    elif case == "tools":
        more = {"tools": [{"name": name, "input_schema": SCHEMA} for name in NAMES]}
    elif case == "schema":
        more = {"output_config": {"format": {"type": "json_schema", "schema": SCHEMA}}}
    elif case == "reasoning":
        more = {"thinking": {"type": "enabled", "budget_tokens": 1024}}
    return {"messages": [{"role": "user", "content": content}], "max_tokens": 4000, **more}


def messages_whole(body: Json, seen: Seen) -> None:
    for block in body["content"]:
        if block["type"] == "text":
            seen.text += block["text"]
        elif block["type"] == "thinking":
            seen.thoughts += block["thinking"]
        else:
            seen.calls.append((block["name"], block["input"]))
    seen.refusal = (body.get("stop_details") or {}).get("explanation") or ""
    seen.end, seen.over = body["stop_reason"], True


def messages_streamed(data: bytes, seen: Seen) -> None:
    blocks: list[Json] = []
    message: Json = {}
    for event in events_of(data):
        kind = event["type"]
        if kind == "error":
            seen.errors.append(event)
        elif kind == "content_block_start":
            blocks.append({**event["content_block"], "given": ""})
        elif kind == "content_block_delta":
            pieces = {"given" if key == "partial_json" else key: piece for key, piece in event["delta"].items()}
            blocks[-1] |= {key: blocks[-1][key] + piece for key, piece in pieces.items() if key != "type"}
        elif kind == "message_delta":
            message = event["delta"]
        seen.over = kind == "message_stop"
    seen.text = "".join(block.get("text", "") for block in blocks)
    if seen.over:
        seen.text = ""
        told = [{**block, "input": json.loads(block["given"] or "{}")} for block in blocks]
        messages_whole({"content": told, **message}, seen)


def ollama_body(case: str) -> Json:
    message: Json = {"role": "user", "content": "Go."}
    more: Json = {}
    if case == "image":
        message["images"] = [PNG]
    elif case == "tools":
        more = {"tools": [{"type": "function", "function": function} for function in FUNCTIONS]}
    elif case == "schema":
        more = {"format": SCHEMA}
    elif case == "reasoning":
        more = {"think": True}
    return {"messages": [message], **more}


def ollama_whole(body: Json, seen: Seen) -> None:
    ollama_streamed(json.dumps(body).encode() + b"\n", seen)


def ollama_streamed(data: bytes, seen: Seen) -> None:
    assert data.endswith(b"\n")
    for line in map(json.loads, data.decode().removesuffix("\n").split("\n")):
        if "error" in line:
            seen.errors.append(line)
            continue
        message = line["message"]
        seen.text += message.get("content") or ""
        seen.thoughts += message.get("thinking") or ""
        for call in message.get("tool_calls") or ():
            seen.calls.append((call["function"]["name"], call["function"]["arguments"]))
        seen.end, seen.over = line.get("done_reason") or "", line["done"]


def responses_body(case: str) -> Json:
    content: Any = "Go."
    more: Json = {}
    if case == "image":
        content = [{"type": "input_image", "image_url": f"data:image/png;base64,{PNG}"}]
    elif case == "tools":
        more = {"tools": [{"type": "function", "strict": True, **function} for function in FUNCTIONS]}
    elif case == "schema":
        more = {"text": {"format": {"type": "json_schema", "name": "answer", "schema": SCHEMA, "strict": True}}}
    elif case == "reasoning":
        more = {"reasoning": {"effort": "medium", "summary": "auto"}}
    return {"input": [{"role": "user", "content": content}], "store": False, **more}


def responses_whole(body: Json, seen: Seen) -> None:
    for item in body["output"]:
        if item["type"] == "reasoning":
            told = [*(item.get("summary") or ()), *(item.get("content") or ())]
            seen.thoughts += "".join(part["text"] for part in told)
        elif item["type"] == "message":
            for part in item["content"]:
                seen.text += part.get("text") or ""
                seen.refusal += part.get("refusal") or ""
        else:
            seen.calls.append((item["name"], json.loads(item["arguments"])))
    seen.end = (body.get("incomplete_details") or {}).get("reason") or body["status"]
    seen.over = True


def responses_streamed(data: bytes, seen: Seen) -> None:
    for event in events_of(data):
        kind = event["type"]
        if kind == "error":
            seen.errors.append(event)
        elif kind == "response.output_text.delta":
            seen.text += event["delta"]
        elif kind in ("response.completed", "response.incomplete"):
            seen.text = ""
            responses_whole(event["response"], seen)


DOORS = {
    "openai": Door("/v1/chat/completions", chat_body, chat_whole, chat_streamed),
    "anthropic": Door("/v1/messages", messages_body, messages_whole, messages_streamed),
    "ollama": Door("/api/chat", ollama_body, ollama_whole, ollama_streamed),
    "responses": Door("/v1/responses", responses_body, responses_whole, responses_streamed),
}
DOORS = {grammar: door for grammar, door in DOORS.items() if grammar in FRONTS}
Cell = tuple[str, str, str, bool]
CELLS: list[Cell] = list(itertools.product(DOORS, PROVIDERS, CASES, (False, True)))


def ask(server: Server, cell: Cell) -> Seen:
    """Run one cell."""
    grammar, provider, case, stream = cell
    door = DOORS[grammar]
    name = THINKER if case == "reasoning" else f"{case}-{next(numbers)}"  # each with a circuit of its own
    body = {"model": f"{provider}/{name}", "stream": stream, **door.body(case)}
    answer = requests.post(f"{server.url}{door.path}", json=body, timeout=60)
    seen = Seen(answer.status_code)
    if answer.status_code != 200:
        seen.errors.append(answer.json())
    elif stream:
        door.streamed(answer.content, seen)
    else:
        door.whole(answer.json(), seen)
    return seen


def run() -> dict[Cell, Seen]:
    """Run all of it."""
    with scripted() as far, gateway(configured(far.url)) as server, ThreadPoolExecutor(AT_ONCE) as pool:
        return dict(zip(CELLS, pool.map(lambda cell: ask(server, cell), CELLS), strict=True))


# --- the table

BEGIN, END = "<!-- begin matrix -->\n", "<!-- end matrix -->\n"


def shown(seen: Seen) -> str:
    """One cell's end, as the client sees it."""
    if seen.status != 200:
        return str(seen.status)
    return seen.end if seen.over and not seen.errors else "error"


def table(found: dict[Cell, Seen]) -> str:
    """The table, in Markdown; both ends where a stream has another than a whole answer."""
    lines = [f"| door | provider | {' | '.join(CASES)} |", f"|---|---|{'---|' * len(CASES)}"]
    for grammar, provider in itertools.product(DOORS, PROVIDERS):
        cells = []
        for case in CASES:
            ends = [shown(found[grammar, provider, case, stream]) for stream in (False, True)]
            cells.append(" / ".join(f"`{end}`" for end in dict.fromkeys(ends)))
        lines.append(f"| `{DOORS[grammar].path}` | {provider} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def kept(page: str) -> str:
    """The table that a page holds."""
    return page.partition(BEGIN)[2].partition(END)[0]


if __name__ == "__main__":
    at = Path(sys.argv[1])
    text = at.read_text()
    at.write_text(text.replace(BEGIN + kept(text), BEGIN + table(run())))
