"""Good requests, and what becomes of them when something in them is changed at random."""

# ruff: noqa: E501  (tables)

from __future__ import annotations

import copy
import json
from collections.abc import Iterator, Mapping
from random import Random
from typing import Any

from .hostile import CHAT, KEY, Request

_TOOL = {"type": "function", "function": {"name": "f", "description": "d", "parameters": {"type": "object", "properties": {"a": {"type": "string"}}}}}  # fmt: skip
_CALL = {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": '{"a": "b"}'}}
_HI = {"role": "user", "content": "hi"}
SEEDS: list[dict[str, Any]] = [
    {"messages": [_HI]},
    {"messages": [_HI], "stream": True},
    {"messages": [_HI], "stream": True, "stream_options": {"include_usage": True}},
    {"messages": [{"role": "system", "content": "Be brief."}, _HI], "temperature": 0.5, "top_p": 0.9, "max_tokens": 16},
    {"messages": [_HI, {"role": "assistant", "content": "Hello."}, {"role": "user", "content": "Again"}], "seed": 7, "n": 1},
    {"messages": [_HI], "tools": [_TOOL], "tool_choice": "auto", "parallel_tool_calls": True},
    {"messages": [_HI], "tools": [_TOOL], "tool_choice": {"type": "function", "function": {"name": "f"}}},
    {"messages": [_HI, {"role": "assistant", "content": None, "tool_calls": [_CALL]}, {"role": "tool", "tool_call_id": "call_1", "content": "c"}]},
    {"messages": [{"role": "user", "content": [{"type": "text", "text": "x"}, {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA", "detail": "low"}}]}]},
    {"messages": [{"role": "user", "content": [{"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}}]}]},
    {"messages": [{"role": "user", "content": [{"type": "file", "file": {"file_data": "data:application/pdf;base64,AAAA", "filename": "a.pdf"}}]}]},
    {"messages": [_HI], "response_format": {"type": "json_schema", "json_schema": {"name": "s", "schema": {"type": "object"}, "strict": True}}},
    {"messages": [_HI], "stop": ["a", "b"], "logit_bias": {"50256": -100}, "logprobs": True, "top_logprobs": 2},
    {"messages": [_HI], "user": "u", "metadata": {"a": "b"}, "store": False, "service_tier": "auto", "reasoning_effort": "low"},
    {"messages": [_HI], "aura": {"tier": "eco", "max_cost_usd": 1}, "fallbacks": ["only/gpt-4o-mini"]},
    {"messages": [_HI], "functions": [_TOOL["function"]], "function_call": {"name": "f"}},
    {"messages": [_HI], "presence_penalty": 1, "frequency_penalty": -1, "modalities": ["text"], "prediction": {"type": "content", "content": "x"}},
]  # fmt: skip
_BLOCK = {"type": "text", "text": "x", "cache_control": {"type": "ephemeral"}}
_MESSAGES: list[dict[str, Any]] = [
    {"messages": [_HI]},
    {"messages": [_HI], "stream": True, "system": "Be brief.", "temperature": 0.5, "top_k": 3, "stop_sequences": ["a"]},
    {"messages": [{"role": "user", "content": [_BLOCK]}, {"role": "assistant", "content": [{"type": "thinking", "thinking": "t", "signature": "s"}, {"type": "text", "text": "y"}]}, _HI], "system": [_BLOCK]},
    {"messages": [_HI], "tools": [{"name": "f", "description": "d", "input_schema": {"type": "object"}}], "tool_choice": {"type": "auto", "disable_parallel_tool_use": True}},
    {"messages": [_HI, {"role": "assistant", "content": [{"type": "tool_use", "id": "t1", "name": "f", "input": {"a": 1}}]}, {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t1", "content": [{"type": "text", "text": "r"}], "is_error": False}]}], "stream": True},
    {"messages": [{"role": "user", "content": [{"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AAAA"}}, _BLOCK]}], "metadata": {"user_id": "u"}},
    {"messages": [{"role": "user", "content": [{"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "d"}, "title": "t", "citations": {"enabled": True}}, _BLOCK]}], "stream": True},
    {"messages": [_HI], "thinking": {"type": "enabled", "budget_tokens": 1024}, "service_tier": "auto", "betas": ["a-b"]},
]  # fmt: skip
_COMPLETIONS: list[dict[str, Any]] = [
    {"prompt": "hi"},
    {"prompt": "hi", "stream": True, "stream_options": {"include_usage": True}, "max_tokens": 5},
    {"prompt": ["a", "b"], "echo": True, "best_of": 2, "n": 1, "suffix": "z"},
    {"prompt": [1, 2, 3], "logprobs": 2, "stop": ["a"], "stream": True, "logit_bias": {"1": 2}, "seed": 1, "user": "u"},
    {"prompt": [[1], [2, 3]], "temperature": 0.1, "fallbacks": ["only/x"], "aura": {"tier": "eco"}},
]
_EMBEDDINGS: list[dict[str, Any]] = [
    {"input": "hi"},
    {"input": ["a", "b"], "encoding_format": "base64", "dimensions": 3},
    {"input": [1, 2, 3], "user": "u"},
    {"input": [[1], [2, 3]], "encoding_format": "float", "aura": {"cache": False}},
]
_IMAGES: list[dict[str, Any]] = [{"prompt": "a cat", "n": 1, "size": "256x256", "response_format": "b64_json"}]
_SPEECH: list[dict[str, Any]] = [{"input": "say", "voice": "v", "speed": 1.0, "response_format": "mp3", "stream_format": "sse"}]  # fmt: skip
BOUNDARY = "a-boundary"
_FORMS = [
    b"".join(b'--a-boundary\r\nContent-Disposition: form-data; name="%b"\r\n%b\r\n%b\r\n' % part for part in parts) + b"--a-boundary--\r\n"
    for parts in (
        ((b"model", b"", b"only/whisper-1"), (b'file"; filename="a.wav', b"Content-Type: audio/wav\r\n", b"RIFF\0\xff" * 9)),
        ((b"model", b"", b"whisper-1"), (b"language", b"", b"de"), (b'file"; filename="a.wav', b"", b"--a-boundar\r\n\n\r")),
        ((b'file"; filename="a.wav', b"Content-Type: audio/wav\r\n", b"\r\n" * 30), (b"model", b"", b"whisper-1"), (b"stream", b"", b"true")),
    )
]  # fmt: skip
_RESPONSES_TOOL = {
    "type": "function",
    "name": "f",
    "parameters": {"type": "object", "properties": {}, "required": [], "additionalProperties": False},
    "strict": True,
}
_RESPONSES: list[dict[str, Any]] = [
    {"input": "hi", "instructions": "Be brief.", "temperature": 0.5, "max_output_tokens": 50, "metadata": {"a": "b"}, "user": "u"},
    {"input": [{"role": "user", "content": [{"type": "input_text", "text": "x"}, {"type": "input_image", "image_url": "data:image/png;base64,AAAA", "detail": "low"}]}], "stream": True, "store": False, "include": ["reasoning.encrypted_content"]},
    {"input": [_HI, {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "t"}], "encrypted_content": "aura1.W10="}, {"type": "function_call", "call_id": "c1", "name": "f", "arguments": "{}"}, {"type": "function_call_output", "call_id": "c1", "output": "r"}], "tools": [_RESPONSES_TOOL], "tool_choice": "auto", "parallel_tool_calls": True, "stream": True},
    {"input": [{"role": "developer", "content": "d"}, {"role": "assistant", "content": [{"type": "output_text", "text": "y", "annotations": []}]}, {"type": "message", "role": "user", "content": [{"type": "input_file", "filename": "a.pdf", "file_data": "data:application/pdf;base64,AAAA"}]}], "text": {"format": {"type": "json_schema", "name": "s", "schema": {"type": "object"}, "strict": True}, "verbosity": "low"}, "reasoning": {"effort": "low", "summary": "auto"}},
    {"input": [{"type": "custom_tool_call", "call_id": "c1", "name": "p", "input": "x"}, {"type": "custom_tool_call_output", "call_id": "c1", "output": [{"type": "input_text", "text": "z"}]}, _HI], "tools": [{"type": "custom", "name": "p", "format": {"type": "grammar", "syntax": "lark", "definition": "x"}}, {"type": "namespace", "name": "n", "tools": [_RESPONSES_TOOL]}, {"type": "web_search"}], "tool_choice": {"type": "allowed_tools", "mode": "auto", "tools": [{"type": "custom", "name": "p"}]}},
    {"input": "x", "truncation": "auto", "top_logprobs": 2, "include": ["message.output_text.logprobs"], "max_tool_calls": 3, "service_tier": "flex", "prompt_cache_key": "k", "previous_response_id": "resp_1"},
]  # fmt: skip
_OLLAMA: list[dict[str, Any]] = [
    {"messages": [_HI]},
    {"messages": [{"role": "system", "content": "s"}, {**_HI, "images": ["iVBORw0KGgo="]}], "options": {"temperature": 0.5, "top_k": 3, "num_predict": 20, "stop": ["a"], "num_ctx": 4096}, "keep_alive": "5m", "format": "json"},
    {"messages": [_HI, {"role": "assistant", "content": "", "tool_calls": [{"function": {"name": "f", "arguments": {"a": 1}}}], "thinking": "t"}, {"role": "tool", "content": "r", "tool_name": "f"}], "tools": [_TOOL], "stream": False, "think": True},
    {"messages": [_HI], "format": {"type": "object", "properties": {"a": {"type": "string"}}}, "think": "low", "logprobs": True, "top_logprobs": 2, "truncate": True},
]  # fmt: skip
_GENERATE: list[dict[str, Any]] = [
    {"prompt": "hi", "system": "s", "images": ["iVBORw0KGgo="], "options": {"num_predict": 3, "seed": 1}, "format": ""},
    {"prompt": "a", "suffix": "b", "raw": True, "template": "t", "context": [1, 2]},
    {"prompt": "x", "think": True, "keep_alive": 0, "stream": False},
]
OTHERS: dict[str, list[Any]] = {
    "/v1/messages": _MESSAGES,
    "/v1/messages/count_tokens": _MESSAGES,
    "/v1/completions": _COMPLETIONS,
    "/v1/embeddings": _EMBEDDINGS,
    "/v1/moderations": [{"input": "hi"}, {"input": ["a", {"type": "text", "text": "x"}]}],
    "/v1/images/generations": _IMAGES,
    "/v1/audio/speech": _SPEECH,
    "/v1/rerank": [{"query": "q", "documents": ["a", {"text": "b"}], "top_n": 1, "return_documents": True}],
    "/v1/route": SEEDS[:4],
    "/v1/audio/transcriptions": _FORMS,
    "/v1/audio/translations": _FORMS,
    "/openai/deployments/gpt-4o-mini/chat/completions": SEEDS,
    "/openai/deployments/gpt-4o-mini/completions": _COMPLETIONS,
    "/openai/deployments/small/embeddings": _EMBEDDINGS,
    "/openai/deployments/tts-1/audio/speech": _SPEECH,
    "/openai/deployments/whisper-1/audio/transcriptions": _FORMS,
    "/openai/v1/embeddings": _EMBEDDINGS,
    "/api/chat": _OLLAMA,
    "/api/generate": _GENERATE,
    "/api/embed": [
        {"input": ["a", "b"], "truncate": False, "dimensions": 3, "options": {"num_ctx": 5}, "keep_alive": "1m"}
    ],
    "/api/embeddings": [{"prompt": "a", "options": {"num_ctx": 5}}],
    "/api/show": [{"verbose": True}],
}
"""Good bodies of the other doors, by path; bytes are forms."""
CHATS: dict[str, list[Any]] = {CHAT: SEEDS}
TRANSLATED: dict[str, list[Any]] = {
    "/v1/responses": _RESPONSES,
    "/openai/responses": _RESPONSES,
    "/api/chat": _OLLAMA,
    "/api/generate": _GENERATE,
    CHAT: SEEDS,
    "/v1/completions": _COMPLETIONS,
}
"""Good bodies of the doors whose calls another grammar's provider answers, by path."""
# What mutations put in: values at the edges of ranges, kinds and encodings.
_VALUES: list[Any] = [
    None, True, False, 0, 1, -1, 5, 2**31, 2**53, 2**63 - 1, 2**63, 2**64, -(2**63), 10**30, 0.5, 1.0, -0.0, 1e308, 1e-308, "", "x", "5",
    "true", "null", "\0", "\ud800", "\udfff", "\u202e", "\u2028", "\ufeff", "é" * 40, "A" * 3000, "{{7*7}}", "%s%n", "../../etc/passwd",
    "http://127.0.0.1:9/", "file:///etc/passwd", "data:,", "<script>", "\r\nX-A: b", "data: [DONE]\n\n", "__class__", "user", "system", "tool",
    [], [None], [[]], [[[[[]]]]], ["x"] * 300, {}, {"": ""}, {"a": None}, {"__proto__": {}}, {"$ref": "#"}, {"type": "text"}, [{"role": "user"}],
]  # fmt: skip
_NAMES = ("", "x", "model", "messages", "role", "content", "type", "text", "name", "stream", "tools", "api_base", "timeout", "__init__", "aura", "fallbacks", "\0", "\u2028", "a" * 200)  # fmt: skip
_PIECES = (b"", b"\0", b"\xff", b"\xc0\xaf", b"\xed\xa0\x80", b'"', b"\\", b"\\u", b"\\ud800", b"{", b"}", b"[", b"]", b",", b":", b"NaN", b"-Infinity", b"1e999", b"9" * 40, b"\r\n", b"\xe2\x80\xa8", b"//", b'"a":1,', b"[" * 120)  # fmt: skip
_HEADERS = (
    ("Content-Type", (None, "text/plain", "application/json", "application/json; charset=utf-8", "application/json; charset=utf-16", "multipart/form-data", "")),
    ("Content-Encoding", ("gzip", "identity", "br", "")),
    ("Authorization", (None, "Bearer x", f"bearer {KEY}", f"Basic {KEY}", "Bearer \xff")),
    ("X-Aura-Tier", ("eco", "premium", "gold", "", "\xe9")),
    ("X-Aura-Timeout", ("5", "-1", "nan", "1e9", "x")),
    ("X-Request-Id", ("a", "a b", "x" * 300, "\xff")),
    ("Cache-Control", ("no-cache", "no-store", "max-age=5", "max-age=x", "\xff")),
    ("X-Stainless-Retry-Count", ("1", "-1", "x", "9" * 30)),
    ("Host", ("evil.example", "a b", "", "[::1]")),
    ("Expect", ("100-continue", "x")),
    ("Cookie", ("a=b", "\xff" * 50)),
)  # fmt: skip
_METHODS = ("GET", "PUT", "DELETE", "OPTIONS", "HEAD", "PATCH", "TRACE", "FOO", "post")
_PATHS = ("/", "/v1", f"{CHAT}/", f"/{CHAT}", f"{CHAT}?x=y", "/v1/chat%2fcompletions", "/v1/models", "/v1/models/x", "/v1/route", "/v1/cache", "/actuator/health", "/actuator/prometheus", "/actuator/env", "/v1/\xff".encode("latin-1").hex(), "/%ff%00")  # fmt: skip


def mutated(seed: int, count: int, doors: Mapping[str, list[Any]] = CHATS) -> Iterator[Request]:
    """Requests, the same for the same seed."""
    chance = Random(seed)
    paths = list(doors)
    for _ in range(count):
        path, method = chance.choice(paths), "POST"
        good = chance.choice(doors[path])
        headers: dict[str, str | None] = {}
        if isinstance(good, bytes):
            data, headers["Content-Type"] = good, f"multipart/form-data; boundary={BOUNDARY}"
        else:
            data = _written(_grown(good, path, chance), chance)
        for _ in range(chance.choice((0, 0, 0, 1, 1, 3))):
            data = _bitten(data, chance)
        if chance.random() < 0.1:
            name, values = chance.choice(_HEADERS)
            headers[name] = chance.choice(values)
        if chance.random() < 0.03:
            method = chance.choice(_METHODS)
        if chance.random() < 0.03:
            path = chance.choice(_PATHS)
        yield Request(data, headers, method, path)


def _grown(good: dict[str, Any], path: str, chance: Random) -> Any:
    """A body with its model, changed."""
    tree = copy.deepcopy(good)
    if "/deployments/" not in path:
        tree["model"] = chance.choice(("auto", "gpt-4o-mini", "eco", "only/gpt-4o-mini"))
    if path == "/v1/messages":
        tree["max_tokens"] = 2000
    for _ in range(chance.choice((0, 1, 1, 1, 2, 3))):
        tree = _changed(tree, chance)
    return tree


def _places(tree: Any, found: list[tuple[Any, Any]]) -> list[tuple[Any, Any]]:
    """All (container, key) of a tree."""
    steps = list(tree.items()) if isinstance(tree, dict) else list(enumerate(tree)) if isinstance(tree, list) else []
    for key, value in steps:
        found.append((tree, key))
        _places(value, found)
    return found


def _changed(tree: Any, chance: Random) -> Any:
    """Change one thing in a tree."""
    places = _places(tree, [])
    if not places:
        return chance.choice(_VALUES)
    holder, key = chance.choice(places)
    match chance.randrange(8):
        case 0 | 1:
            holder[key] = copy.deepcopy(chance.choice(_VALUES))
        case 2:
            del holder[key]
        case 3:
            other, its = chance.choice(places)
            holder[key] = copy.deepcopy(other[its])
        case 4:
            holder[key] = [holder[key]] if chance.random() < 0.5 else {"a": holder[key]}
        case 5:
            if isinstance(holder, dict):
                holder[chance.choice(_NAMES)] = holder.pop(key)
            else:
                holder.append(copy.deepcopy(holder[key]))
        case 6:
            if isinstance(holder, dict):
                holder[chance.choice(_NAMES)] = copy.deepcopy(chance.choice(_VALUES))
            else:
                holder *= 50
        case _:
            value = holder[key]
            holder[key] = (
                str(value) if isinstance(value, int | float) else chance.choice((-1, 0, 1e10, "")) if value else [value]
            )
    return tree


def _written(tree: Any, chance: Random) -> bytes:
    text = json.dumps(tree, ensure_ascii=chance.random() < 0.5, indent=chance.choice((None, None, 1)))
    return text.encode("utf-8", "surrogatepass")


def _bitten(data: bytes, chance: Random) -> bytes:
    """Change some bytes."""
    start = chance.randrange(len(data) + 1)
    end = min(len(data), start + chance.choice((0, 0, 1, 1, 2, 8, 40)))
    match chance.randrange(5):
        case 0:
            return data[:start] + chance.choice(_PIECES) + data[end:]
        case 1:
            return data[:start] + bytes([chance.randrange(256)]) + data[end:]
        case 2:
            return data[:start]
        case 3:
            return data[:end] + data[start:]
        case _:
            return data[:start] + data[end:]
