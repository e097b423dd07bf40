"""Requests that no honest client sends, by what is wrong with them, and what each must be answered with.

A case is ``(name, request, status, param)``. ``status`` is the one answer that Aura keeps to; ``param`` is looked at where
it is not None. What is accepted is here too, for a gateway that refuses everything is not strict but broken.
"""

# ruff: noqa: E501  (tables)

from __future__ import annotations

import base64
import gzip
import json
import zlib
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

KEY = "aura-test-key-0001"
MAX_BODY = 1 << 20
CHAT = "/v1/chat/completions"
MESSAGES = [{"role": "user", "content": "hi"}]


class Request(NamedTuple):
    """One request; ``headers`` stand above the usual ones, None takes a usual one away."""

    body: bytes = b""
    headers: Mapping[str, str | None] = MappingProxyType({})
    method: str = "POST"
    path: str = CHAT


class Case(NamedTuple):
    name: str
    request: Request
    status: int
    param: str | None = None


def encoded(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode("utf-8", "surrogatepass")


def body(**fields: Any) -> bytes:
    """A good chat but for the fields given."""
    return encoded({"model": "gpt-4o-mini", "messages": MESSAGES, **fields})


def turn(**message: Any) -> bytes:
    """A chat of one message."""
    return body(messages=[message])


def part(**content: Any) -> bytes:
    """A chat whose message has one part."""
    return turn(role="user", content=[content])


def literal(name: str, text: str) -> bytes:
    """A good chat with one more field, as it is written."""
    return body()[:-1] + f', "{name}": {text}}}'.encode("utf-8", "surrogatepass")


GOOD = body()


def texts() -> Iterator[Case]:
    """What is no JSON text, or one that two readers may take differently."""
    broken: dict[str, bytes] = {
        "nothing": b"",
        "white space": b" \r\n\t ",
        "a NUL": b"\0",
        "a NUL behind": GOOD + b"\0",
        "a control Z behind": GOOD + b"\x1a",
        "two texts": GOOD + GOOD,
        "a comma behind": GOOD + b",",
        "a brace behind": GOOD + b"}",
        "a semicolon behind": GOOD + b";",
        "a trailing comma": GOOD[:-1] + b",}",
        "a trailing comma in an array": literal("stop", '["a",]'),
        "two commas": literal("stop", '["a",,"b"]'),
        "a leading comma": b"{," + GOOD[1:],
        "single quotes": GOOD.replace(b'"', b"'"),
        "a name without quotes": b"{model: 1," + GOOD[1:],
        "a name that is a number": b"{1: 1," + GOOD[1:],
        "a comment of a shell": b"# x\n" + GOOD,
        "hexadecimal": literal("n", "0x1"),
        "octal": literal("n", "01"),
        "a plus": literal("n", "+1"),
        "a bare fraction": literal("temperature", ".5"),
        "a fraction without digits": literal("temperature", "1.e0"),
        "an exponent without digits": literal("temperature", "1e+"),
        "two signs": literal("n", "--1"),
        "a grouped number": literal("n", "1,000"),
        "an arabic digit": literal("n", "\u0661"),
        "a fullwidth digit": literal("n", "\uff11"),
        "True": literal("stream", "True"),
        "nul": literal("user", "nul"),
        "undefined": literal("user", "undefined"),
        "a date": literal("user", "2026-01-01"),
        "a regular expression": literal("user", "/x/"),
        "a cut escape": literal("user", '"\\u12"'),
        "an escape that is none": literal("user", '"\\uZZZZ"'),
        "an escaped quote": literal("user", '"\\\'"'),
        "an escaped line end": literal("user", '"a\\\nb"'),
        "\\v": literal("user", '"\\v"'),
        "\\0": literal("user", '"\\0"'),
        "a raw line end": literal("user", '"a\r\nb"'),
        "a raw NUL": literal("user", '"a\0b"'),
        "a raw escape": literal("user", '"\x1b[2J"'),
        "a raw unit separator": literal("user", '"\x1f"'),
        "strings side by side": literal("user", '"a" "b"'),
        "a vertical tab as blank": b"\x0b" + GOOD,
        "a line separator as blank": "\u2028".encode() + GOOD,
        "an ideographic blank": "\u3000".encode() + GOOD,
        "a next line as blank": "\u0085".encode() + GOOD,
        "a soft hyphen": "\u00ad".encode() + GOOD,
        "a byte order mark inside": b"{\xef\xbb\xbf" + GOOD[1:],
        "a form": b"model=gpt-4o-mini&messages=hi",
        "XML": b"<?xml version='1.0'?><model>gpt</model>",
        "an external entity": b'<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]><x>&a;</x>',
        "YAML": b"model: gpt-4o-mini\nmessages: []\n",
        "YAML that makes objects": b"!!python/object/apply:os.system ['id']",
        "JSONP": b"callback(" + GOOD + b")",
        "base64": base64.b64encode(GOOD),
        "JSON in a string": encoded(GOOD.decode()),
        "MessagePack": b"\x82\xa5model\xa1x\xa8messages\x90",
        "CBOR": b"\xa1emodelax",
        "BSON": b"\x16\x00\x00\x00\x02model\x00\x02\x00\x00\x00x\x00\x00",
        "gzip": gzip.compress(GOOD),
        "zlib": zlib.compress(GOOD),
        "multipart": b'--x\r\nContent-Disposition: form-data; name="model"\r\n\r\ngpt\r\n--x--\r\n',
        "an HTTP request": b"GET /admin HTTP/1.1\r\nHost: x\r\n\r\n",
        "a Redis command": b"*1\r\n$8\r\nFLUSHALL\r\n",
        "a number": b"1e1",
        "true": b"true",
        "an array of chats": b"[" + GOOD + b"]",
        "an empty object": b"{}",
        "only a name": b'{"model"}',
    }
    named = {"an empty object": "model"}
    for name, data in broken.items():
        yield Case(f"text: {name}", Request(data), 400, named.get(name))


def encodings() -> Iterator[Case]:
    """What is no UTF-8."""
    inside: dict[str, bytes] = {
        "Latin-1": b"\xe9",
        "Windows-1252": b"\x93quoted\x94",
        "Shift-JIS": "\u65e5\u672c".encode("shift-jis"),
        "GB 18030": "\u4e2d\u6587".encode("gb18030"),
        "an overlong slash": b"\xc0\xaf",
        "an overlong quote": b"\xc0\xa2",
        "an overlong NUL": b"\xc0\x80",
        "a long overlong": b"\xe0\x80\xaf",
        "a longer overlong": b"\xf0\x80\x80\xaf",
        "a lone continuation": b"\x80",
        "a cut of three": b"\xe2\x82",
        "a cut of four": b"\xf0\x9f\x98",
        "half a surrogate pair": b"\xed\xa0\x80",
        "the other half": b"\xed\xbf\xbf",
        "both halves": b"\xed\xa0\xbd\xed\xb8\x80",
        "beyond the last plane": b"\xf4\x90\x80\x80",
        "FE": b"\xfe",
        "FF": b"\xff",
        "a six-byte form": b"\xfc\x84\x80\x80\x80\x80",
    }
    for name, data in inside.items():
        yield Case(f"encoding: {name}", Request(GOOD.replace(b"hi", data)), 400)
        yield Case(f"encoding in a name: {name}", Request(b'{"' + data + b'": 1, ' + GOOD[1:]), 400)
    text = GOOD.decode()
    for name in ("utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le", "utf-32-be", "utf-8-sig", "cp500"):
        yield Case(f"encoding: {name}", Request(text.encode(name)), 400)
    yield Case("encoding: utf-7", Request(text.replace("{", "+AHs-").encode()), 400)
    for name, half in {"high": "\\ud83d", "low": "\\ude00", "reversed": "\\ude00\\ud83d", "cut": "\\ud83dx"}.items():
        yield Case(f"surrogate: {name}", Request(GOOD.replace(b"hi", half.encode())), 400, "messages[0].content")
        yield Case(f"surrogate in a name: {name}", Request(literal("metadata", f'{{"{half}": 1}}')), 400)
        yield Case(f"surrogate deep inside: {name}", Request(literal("x", f'[{{"a": ["{half}"]}}]')), 400)


def nesting() -> Iterator[Case]:
    """How deep, and how often."""
    for name, opening, closing in (("arrays", "[", "]"), ("objects", '{"a":', "}"), ("both", '[{"a":', "}]")):
        steps = 2 if name == "both" else 1
        for levels in (100, 200, 1000, 1024, 1025, 20_000):
            deep = opening * (levels // steps) + "1" + closing * (levels // steps)
            yield Case(f"depth: {levels} {name} within", Request(literal("x", deep)), 400)
            yield Case(f"depth: {levels} {name} without end", Request(literal("x", opening * (levels // steps))), 400)
    deepest = "[" * 99 + "]" * 99
    yield Case("depth: as deep as may be", Request(literal("x", deepest)), 200)
    schema = '{"type": "object", "properties": {"a": ' * 60 + "{}" + "}}" * 60
    tool = f'[{{"type": "function", "function": {{"name": "f", "parameters": {schema}}}}}]'
    yield Case("depth: a tool's schema", Request(literal("tools", tool)), 400)
    yield Case("depth: of brackets in a string", Request(body(user="[{" * 5000)), 200)
    twice = {
        "at the top": literal("model", '"gpt-4o"'),
        "with an escape": literal("mod\\u0065l", '"gpt-4o"'),
        "messages": literal("messages", "[]"),
        "stream": literal("stream", "true")[:-1] + b', "stream": false}',
        "an unknown name": literal("x", "1")[:-1] + b', "x": 1}',
        "an empty name": literal("", "1")[:-1] + b', "": 2}',
        "in a message": GOOD.replace(b'"content": "hi"', b'"content": "hi", "content": "ho"'),
        "in metadata": literal("metadata", '{"a": 1, "b": 2, "a": 3}'),
        "deep inside": literal("x", '[[{"y": [{"a": 1, "a": 2}]}]]'),
        "far apart": literal("x", "[" + ",".join(["1"] * 50_000) + "]")[:-1] + b', "x": 0}',
        "behind strings like names": literal("a", '"\\": \\": "')[:-1] + b', "a": "\\": "}',
    }
    for name, data in twice.items():
        yield Case(f"twice: {name}", Request(data), 400)
    many = {f"x{number}": number for number in range(20_000)}
    yield Case("many unknown names", Request(body(**many)), 200)


def numbers() -> Iterator[Case]:
    """Numbers that are none, or that are not what they look like."""
    for field in ("temperature", "seed", "n", "max_tokens", "top_p", "x"):
        for text in ("NaN", "-NaN", "nan", "Infinity", "-Infinity", "inf", "1e400", "-1e400", "1e99999999"):
            yield Case(f"number: {field} {text}", Request(literal(field, text)), 400)
    for text in ("18446744073709551616", "-9223372036854775809", "9" * 25, "8" * 5000, "-" + "9" * 400):
        yield Case(f"wide: seed {text[:24]}", Request(literal("seed", text)), 400, "seed")
        yield Case(f"wide: an unknown field {text[:24]}", Request(literal("x", text)), 400, "x")
        yield Case(f"wide: deep inside {text[:24]}", Request(literal("x", f'{{"a": [{text}]}}')), 400)
    for field, text in (
        ("n", "1.0"), ("n", "1e0"), ("n", "1E0"), ("max_tokens", "16.0"), ("max_tokens", "1e2"), ("seed", "5.0"),
        ("seed", "1e3"), ("top_logprobs", "1.0"), ("max_completion_tokens", "2e1"), ("n", "-0"), ("n", "0"),
        ("max_tokens", "0"), ("max_tokens", "-0"), ("seed", "18446744073709551615"), ("seed", "9223372036854775808"),
        ("temperature", "2.0000001"), ("temperature", "-1e-9"), ("temperature", "1e308"), ("top_p", "-0.1"),
        ("top_p", "1.0000001"), ("frequency_penalty", "2.01"), ("presence_penalty", "-2.01"), ("n", "129"),
    ):  # fmt: skip
        yield Case(f"number: {field} {text}", Request(literal(field, text)), 400, field)
    for field, text in (
        ("temperature", "0"), ("temperature", "-0.0"), ("temperature", "1e-400"), ("temperature", "2"),
        ("temperature", "0.1e1"), ("top_p", "0"), ("seed", "-9223372036854775808"), ("seed", "9223372036854775807"),
        ("max_tokens", "1"), ("x", "18446744073709551615"), ("x", "1e308"), ("x", "1" + "0" * 30 + ".5"),
    ):  # fmt: skip
        yield Case(f"number accepted: {field} {text}", Request(literal(field, text)), 200)


KINDS: dict[str, Any] = {
    "an integer": 5,
    "a decimal": 1.5,
    "true": True,
    "false": False,
    "a string": "x",
    "an empty string": "",
    "a number as string": "5",
    "a flag as string": "true",
    "an array": [],
    "an array of null": [None],
    "an object": {},
    "nested": [[{}]],
}
TAKEN = {
    "stream": ("false", "true"),
    "logprobs": ("false", "true"),
    "store": ("false", "true"),
    "parallel_tool_calls": ("false", "true"),
    "temperature": ("a decimal",),
    "top_p": (),
    "frequency_penalty": ("a decimal",),
    "presence_penalty": ("a decimal",),
    "max_tokens": ("an integer",),
    "max_completion_tokens": ("an integer",),
    "n": ("an integer",),
    "top_logprobs": ("an integer",),
    "seed": ("an integer",),
    "stop": ("a string", "an empty string", "a number as string", "a flag as string"),
    "logit_bias": ("an object",),
    "metadata": ("an object",),
    "prediction": ("an object",),
    "audio": ("an object",),
    "tools": (),
    "functions": (),
    "tool_choice": (),
    "response_format": (),
    "stream_options": (),
    "fallbacks": ("an array",),
    "aura": ("an object",),
    "provider": ("an object",),
}
WORDS = ("a string", "an empty string", "a number as string", "a flag as string")
TAKEN |= dict.fromkeys(("user", "reasoning_effort", "service_tier", "verbosity", "prompt_cache_key"), WORDS)


def kinds() -> Iterator[Case]:
    """Every field with a value of every kind that it is not."""
    for field, taken in TAKEN.items():
        for kind, value in KINDS.items():
            if kind not in taken:
                yield Case(f"kind: {field} {kind}", Request(body(**{field: value})), 400, field)
    for kind, value in KINDS.items():
        if kind not in WORDS or kind == "an empty string":
            yield Case(f"kind: model {kind}", Request(body(model=value)), 400, "model")
        if kind not in ("an array of null", "nested"):
            yield Case(f"kind: messages {kind}", Request(body(messages=value)), 400, "messages")
        if not isinstance(value, dict):
            yield Case(f"kind: a message {kind}", Request(body(messages=[value])), 400, "messages[0]")
    for field in ("model", "messages", "aura", "fallbacks", "provider"):
        yield Case(f"kind: {field} null", Request(body(**{field: None})), 400, field)


def conversations() -> Iterator[Case]:
    """Messages, their roles, their parts, their calls."""
    first, content = "messages[0]", "messages[0].content"
    roles = ("USER", "User", " user", "user ", "user\n", "us\u200ber", "\u0443ser", "\uff55ser", "u\u0073\u0323er", "bot",
             "human", "model", "root", "admin", "ipython", "system\0", "__proto__", "null", "0", "user,system", "\u202euser")  # fmt: skip
    for role in roles:
        yield Case(f"role: {role!r}", Request(turn(role=role, content="x")), 400, f"{first}.role")
    wrong: list[tuple[str, dict[str, Any], str]] = [
        ("no role", {"content": "x"}, f"{first}.role"),
        ("null role", {"role": None, "content": "x"}, f"{first}.role"),
        ("no content", {"role": "user"}, content),
        ("null content", {"role": "user", "content": None}, content),
        ("no parts", {"role": "user", "content": []}, content),
        ("system without content", {"role": "system", "content": None}, content),
        ("assistant with nothing", {"role": "assistant"}, content),
        ("assistant with empty calls", {"role": "assistant", "content": None, "tool_calls": []}, content),
        ("assistant with an image", {"role": "assistant", "content": [{"type": "image_url", "image_url": {"url": "data:,"}}]}, f"{content}[0].type"),
        ("system with an image", {"role": "system", "content": [{"type": "image_url", "image_url": {"url": "data:,"}}]}, f"{content}[0].type"),
        ("tool without id", {"role": "tool", "content": "x"}, f"{first}.tool_call_id"),
        ("tool with an empty id", {"role": "tool", "content": "x", "tool_call_id": ""}, f"{first}.tool_call_id"),
        ("tool with a number as id", {"role": "tool", "content": "x", "tool_call_id": 1}, f"{first}.tool_call_id"),
        ("function without name", {"role": "function", "content": "x"}, f"{first}.name"),
        ("a number as name", {"role": "user", "content": "x", "name": 1}, f"{first}.name"),
        ("an object as name", {"role": "user", "content": "x", "name": {}}, f"{first}.name"),
        ("calls that are an object", {"role": "assistant", "tool_calls": {"0": {}}}, f"{first}.tool_calls"),
        ("calls that are a string", {"role": "assistant", "content": "x", "tool_calls": "x"}, f"{first}.tool_calls"),
        ("calls of null", {"role": "assistant", "content": "x", "tool_calls": [None]}, f"{first}.tool_calls"),
        ("a call of nothing", {"role": "assistant", "content": "x", "tool_calls": [{}]}, f"{first}.tool_calls[0].id"),
        ("a call without function", {"role": "assistant", "content": "x", "tool_calls": [{"id": "1", "type": "function"}]}, f"{first}.tool_calls[0].function"),
        ("arguments as object", {"role": "assistant", "content": "x", "tool_calls": [{"id": "1", "type": "function", "function": {"name": "f", "arguments": {}}}]}, f"{first}.tool_calls[0].function.arguments"),
        ("a call of another type", {"role": "assistant", "content": "x", "tool_calls": [{"id": "1", "type": "exec", "function": {}}]}, f"{first}.tool_calls[0].type"),
        ("a refusal that is a list", {"role": "assistant", "content": "x", "refusal": []}, f"{first}.refusal"),
        ("audio that is a string", {"role": "assistant", "content": "x", "audio": "x"}, f"{first}.audio"),
        ("a function call that is a list", {"role": "assistant", "content": "x", "function_call": []}, f"{first}.function_call"),
    ]  # fmt: skip
    for name, message, param in wrong:
        yield Case(f"message: {name}", Request(turn(**message)), 400, param)
    here = f"{content}[0]"
    parts: list[tuple[str, dict[str, Any], str]] = [
        ("no type", {"text": "x"}, f"{here}.type"),
        ("null type", {"type": None, "text": "x"}, f"{here}.type"),
        ("a type in capitals", {"type": "TEXT", "text": "x"}, f"{here}.type"),
        ("a list as type", {"type": ["text"], "text": "x"}, f"{here}.type"),
        ("a type of another api", {"type": "input_text", "text": "x"}, f"{here}.type"),
        ("a tool result", {"type": "tool_result", "content": "x"}, f"{here}.type"),
        ("no text", {"type": "text"}, f"{here}.text"),
        ("null text", {"type": "text", "text": None}, f"{here}.text"),
        ("a number as text", {"type": "text", "text": 1}, f"{here}.text"),
        ("an object as text", {"type": "text", "text": {"value": "x"}}, f"{here}.text"),
        ("no image", {"type": "image_url"}, f"{here}.image_url"),
        ("an image that is a string", {"type": "image_url", "image_url": "https://x/"}, f"{here}.image_url"),
        ("an image without url", {"type": "image_url", "image_url": {}}, f"{here}.image_url.url"),
        ("a detail that is a number", {"type": "image_url", "image_url": {"url": "data:,", "detail": 1}}, f"{here}.image_url.detail"),
        ("audio without format", {"type": "input_audio", "input_audio": {"data": "AA=="}}, f"{here}.input_audio.format"),
        ("audio without data", {"type": "input_audio", "input_audio": {"format": "wav"}}, f"{here}.input_audio.data"),
        ("a file without anything", {"type": "file", "file": {}}, f"{here}.file"),
        ("a file that is a path", {"type": "file", "file": "/etc/passwd"}, f"{here}.file"),
        ("a file with a number as id", {"type": "file", "file": {"file_id": 1}}, f"{here}.file.file_id"),
    ]  # fmt: skip
    for name, one, param in parts:
        yield Case(f"part: {name}", Request(part(**one)), 400, param)
    for url in (
        "", " ", "file:///etc/passwd", "FILE:///etc/passwd", "ftp://127.0.0.1/x", "gopher://127.0.0.1:6379/_FLUSHALL",
        "dict://127.0.0.1:11211/stat", "javascript:alert(1)", "jar:http://127.0.0.1!/", "ldap://127.0.0.1/", "data",
        "/etc/passwd", "//127.0.0.1/x", "\\\\127.0.0.1\\x", "blob:http://x/1", "about:blank", "\u0000http://127.0.0.1/",
        " http://127.0.0.1/", "\thttp://127.0.0.1/", "h\u0442tp://127.0.0.1/", "unix:/var/run/docker.sock", "s3://bucket/x",
    ):  # fmt: skip
        image = {"type": "image_url", "image_url": {"url": url}}
        yield Case(f"image: {url!r}", Request(part(**image)), 400, f"{here}.image_url.url")
    for url in (
        "https://x/y.png", "http://127.0.0.1/x", "HTTP://[::1]/", "data:image/png;base64,AAAA", "DATA:,", "http://2130706433/",
        "https://user:password@x/", "http://169.254.169.254/latest/meta-data/",
    ):  # fmt: skip
        image = {"type": "image_url", "image_url": {"url": url}}
        yield Case(f"image accepted: {url}", Request(part(**image)), 200)
    long = [{"role": "user", "content": "x"}] * 2049
    yield Case("2049 messages", Request(body(messages=long)), 400, "messages")
    yield Case("2048 messages", Request(body(messages=long[1:])), 200)
    texts_ = [{"type": "text", "text": "x"}] * 2049
    yield Case("2049 parts", Request(turn(role="user", content=texts_)), 400, content)


def tools() -> Iterator[Case]:
    """Tools, the choice among them, the form of the answer."""
    first = "tools[0]"
    definition = {"type": "function", "function": {"name": "f"}}
    for name in (
        "",
        " ",
        "get weather",
        "wetter_f\u00fcr",
        "\u5929\u6c14",
        "f\n",
        "f\0",
        "a" * 129,
        "f(x)",
        "f;drop",
        "$f",
        "f'",
        "\uff46",
        "{{7*7}}",
        "f\u200b",
    ):
        tool = {"type": "function", "function": {"name": name}}
        yield Case(f"tool's name: {name[:16]!r}", Request(body(tools=[tool])), 400, f"{first}.function.name")
    for name in ("f", "get_weather", "get-weather", "a" * 64, "a" * 128, "_", "9", "mcp__server__tool"):
        tool = {"type": "function", "function": {"name": name}}
        yield Case(f"tool's name accepted: {len(name)} {name[:24]}", Request(body(tools=[tool])), 200)
    wrong: list[tuple[str, Any, str]] = [
        ("null", [None], "tools"),
        ("an array", [[]], "tools"),
        ("nothing", [{}], first),
        ("no type", [{"function": {"name": "f"}}], f"{first}.type"),
        ("a number as type", [{"type": 1, "function": {"name": "f"}}], f"{first}.type"),
        ("another type", [{"type": "exec", "function": {"name": "f"}}], f"{first}.type"),
        ("no function", [{"type": "function"}], f"{first}.function"),
        ("a function that is a string", [{"type": "function", "function": "f"}], f"{first}.function"),
        ("a function that is an array", [{"type": "function", "function": []}], f"{first}.function"),
        ("no name", [{"type": "function", "function": {}}], f"{first}.function.name"),
        ("a number as name", [{"type": "function", "function": {"name": 1}}], f"{first}.function.name"),
        ("a number as description", [{"type": "function", "function": {"name": "f", "description": 1}}], f"{first}.function.description"),
        ("parameters that are an array", [{"type": "function", "function": {"name": "f", "parameters": []}}], f"{first}.function.parameters"),
        ("parameters that are a string", [{"type": "function", "function": {"name": "f", "parameters": "{}"}}], f"{first}.function.parameters"),
        ("strict as a string", [{"type": "function", "function": {"name": "f", "strict": "yes"}}], f"{first}.function.strict"),
        ("strict as a number", [{"type": "function", "function": {"name": "f", "strict": 1}}], f"{first}.function.strict"),
        ("too many", [definition] * 129, "tools"),
        ("a custom tool without a name", [{"type": "custom", "custom": {}}], f"{first}.custom.name"),
    ]  # fmt: skip
    for name, value, param in wrong:
        yield Case(f"tools: {name}", Request(body(tools=value)), 400, param)
    for name, choice, param in (
        ("another word", "any", "tool_choice"),
        ("a type alone", {"type": "function"}, "tool_choice.function"),
        ("no name", {"type": "function", "function": {}}, "tool_choice.function.name"),
        ("a name of blanks", {"type": "function", "function": {"name": "a b"}}, "tool_choice.function.name"),
        ("a type of another api", {"type": "tool", "name": "f"}, "tool_choice.type"),
        ("a number as type", {"type": 1}, "tool_choice.type"),
        ("allowed tools without mode", {"type": "allowed_tools", "allowed_tools": {"tools": []}}, "tool_choice.allowed_tools.mode"),
    ):  # fmt: skip
        fields = {"tools": [definition], "tool_choice": choice}
        yield Case(f"tool choice: {name}", Request(body(**fields)), 400, param)
    for name, form, param in (
        ("another type", {"type": "xml"}, "response_format.type"),
        ("a list as type", {"type": ["text"]}, "response_format.type"),
        ("no schema", {"type": "json_schema"}, "response_format.json_schema"),
        ("no name", {"type": "json_schema", "json_schema": {"schema": {}}}, "response_format.json_schema.name"),
        ("a name of blanks", {"type": "json_schema", "json_schema": {"name": "a b"}}, "response_format.json_schema.name"),
        ("a long name", {"type": "json_schema", "json_schema": {"name": "a" * 65}}, "response_format.json_schema.name"),
        ("a schema that is a string", {"type": "json_schema", "json_schema": {"name": "a", "schema": "{}"}}, "response_format.json_schema.schema"),
        ("strict as a word", {"type": "json_schema", "json_schema": {"name": "a", "strict": "true"}}, "response_format.json_schema.strict"),
    ):  # fmt: skip
        yield Case(f"response format: {name}", Request(body(response_format=form)), 400, param)


def steering() -> Iterator[Case]:
    """Names that steer other gateways, and models that are none."""
    address = "http://127.0.0.1:9/"
    for name in (
        "api_base", "base_url", "api_key", "api_version", "azure_endpoint", "deployment_id", "organization",
        "custom_llm_provider", "headers", "extra_headers", "extra_body", "timeout", "stream_timeout", "verify", "cert",
        "proxies", "hooks", "cache", "mock_response", "constructor", "litellm_params", "litellm_metadata", "litellm_x",
        "aura_tenant", "aura_key", "aura_x", "__class__", "__proto__", "__init__", "__",
    ):  # fmt: skip
        for value in (address, None, {}, {"a": address}):
            yield Case(f"steering: {name} {value}", Request(body(**{name: value})), 400, name)
    for name, fields, param in (
        ("fallbacks of objects", {"fallbacks": [{"model": "x", "api_base": address}]}, "fallbacks"),
        ("fallbacks of addresses", {"fallbacks": [address]}, "fallbacks[0]"),
        ("fallbacks that climb", {"fallbacks": ["only/../x"]}, "fallbacks[0]"),
        ("a fallback", {"fallbacks": "only/m"}, "fallbacks"),
        ("17 fallbacks", {"fallbacks": ["only/m"] * 17}, "fallbacks"),
        ("a provider that is a name", {"provider": "only"}, "provider"),
        ("an option of another tier", {"aura": {"tier": "gold"}}, "aura.tier"),
        ("a tier that is a number", {"aura": {"tier": 1}}, "aura.tier"),
        ("a negative budget", {"aura": {"max_cost_usd": -1}}, "aura.max_cost_usd"),
        ("a budget that is a word", {"aura": {"max_cost_usd": "1"}}, "aura.max_cost_usd"),
        ("a cache that is a word", {"aura": {"cache": "off"}}, "aura.cache"),
        ("fallbacks below aura", {"aura": {"fallbacks": [1]}}, "aura.fallbacks[0]"),
    ):
        yield Case(f"steering: {name}", Request(body(**fields)), 400, param)
    for model in (
        "../x", "a/../../b", "..", ".", "/etc/passwd", "a//b", "a/", "/a", "a/.b", "only/..%2f", "a%2fb", "%61", "a?b=c",
        "a#b", "a&b", "a=b", "a b", " gpt-4o", "gpt-4o ", "gpt-4o\n", "gpt-4o\r\nX-A: b", "gpt-4o\0", "\u202egpt", "\u200b",
        "gpt-4\u043e", "\uff47pt", "{model}", "{0}", "%s", "$HOME", "`id`", "a;b", "a|b", "a'b", 'a"b', "a\\b", "<b>", "a,b",
        "http://127.0.0.1/", "//127.0.0.1/x", "only://x", "a" * 129, "m\u0301", "\U0001f600", "[a]", "(a)", "*", "~root",
        "-rf", "_x", ".x", "@x", ":x", "+x",
    ):  # fmt: skip
        yield Case(f"model: {model[:24]!r}", Request(body(model=model)), 400, "model")
    for model in ("nowhere/x", "anthropic/claude", "nowhere/a/b"):
        yield Case(f"model: {model}", Request(body(model=model)), 404, "model")
    for model in (
        "a",
        "a" * 128,
        "gpt-4o-mini",
        "no-such-model",
        "ft:gpt-4o:org::id",
        "auto",
        "eco",
        "only/m",
        "only/a/b",
    ):
        yield Case(f"model accepted: {model[:24]}", Request(body(model=model)), 200)
    yield Case("stream options without a stream", Request(body(stream_options={})), 400, "stream_options")
    off = {"stream": False, "stream_options": {"include_usage": True}}
    yield Case("stream options with the stream off", Request(body(**off)), 400, "stream_options")
    on = {"stream": True, "stream_options": {"include_usage": "yes"}}
    yield Case("usage as a word", Request(body(**on)), 400, "stream_options.include_usage")
    for name, bias, param in (
        ("a word as token", {"a": 1}, "logit_bias"),
        ("a negative token", {"-1": 1}, "logit_bias"),
        ("an arabic token", {"\u0661": 1}, "logit_bias"),
        ("a word as bias", {"1": "2"}, "logit_bias.1"),
        ("true as bias", {"1": True}, "logit_bias.1"),
        ("null as bias", {"1": None}, "logit_bias.1"),
        ("too much", {"1": 100.1}, "logit_bias.1"),
        ("too many", {str(number): 1 for number in range(1025)}, "logit_bias"),
    ):
        yield Case(f"logit bias: {name}", Request(body(logit_bias=bias)), 400, param)


def media() -> Iterator[Case]:
    """Content types and codings."""
    for sent in (
        None, "", "text/plain", "text/json", "application/x-json", "application/jsonp", "application/json5", "application/xml",
        "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "application/octet-stream", "*/*", "json",
        "application/*", "application/vnd.api+json", "application/json,text/plain", "text/plain;application/json",
        "application/json/x", "application /json", "application/json; charset=utf-16", "application/json; charset=latin-1",
        "application/json;charset='utf-8'", "application/json; charset=", "application\\json", "application/j\u00e9son",
        "application/msgpack", "application/x-ndjson", "text/event-stream", ";", "application",
    ):  # fmt: skip
        yield Case(f"content type: {sent}", Request(GOOD, {"Content-Type": sent}), 415)
    for sent in (
        "application/json", "APPLICATION/JSON", "application/json;", "application/json ; charset=utf-8",
        'application/json; charset="UTF-8"', "application/json; charset=US-ASCII", "application/json; version=1; x=y",
        "application/json;charset=utf8",
    ):  # fmt: skip
        yield Case(f"content type accepted: {sent}", Request(GOOD, {"Content-Type": sent}), 200)
    bomb = gzip.compress(b" " * 50_000_000)
    for sent in (
        "gzip",
        "x-gzip",
        "GZIP",
        "deflate",
        "br",
        "zstd",
        "compress",
        "identity, gzip",
        "gzip, identity",
        "x",
        "*",
        ",",
        "identity;q=0",
    ):
        yield Case(f"content coding: {sent}", Request(gzip.compress(GOOD), {"Content-Encoding": sent}), 415)
        yield Case(f"content coding, a bomb: {sent}", Request(bomb, {"Content-Encoding": sent}), 415)
    for sent in ("identity", "IDENTITY", ""):
        yield Case(f"content coding accepted: {sent}", Request(GOOD, {"Content-Encoding": sent}), 200)
    yield Case("over the limit by one", Request(GOOD + b" " * (MAX_BODY + 1 - len(GOOD))), 413)
    yield Case("as large as the limit", Request(GOOD + b" " * (MAX_BODY - len(GOOD))), 200)


def places() -> Iterator[Case]:
    """Methods and paths."""
    for method in ("GET", "PUT", "PATCH", "DELETE", "OPTIONS", "HEAD"):
        yield Case(f"method: {method}", Request(b"", {"Content-Type": None}, method), 405)
    for method in ("TRACE", "PROPFIND", "LOCK", "PURGE", "SEARCH", "CONNECTX", "post", "Post", "DEBUG", "FOO"):
        known = method in ("TRACE", "PROPFIND", "LOCK", "PURGE", "SEARCH")
        yield Case(f"method: {method}", Request(b"", {"Content-Type": None}, method), 405 if known else 501)
    for path in (
        "/", "/v1", "/v1/", "/v1/chat", "/v1/chat/", "/v1/chat/completions/", "/v1//chat/completions", "//v1/chat/completions",
        "/v1/chat//completions", "/v1/./chat/completions", "/v1/x/../chat/completions", "/v1/chat/completions/.",
        "/v1/chat/completions/..", "/v1/chat/completions%2f", "/v1/chat%2fcompletions", "/v1%2Fchat/completions",
        "/v1/chat/completions%00", "/v1/chat/completions%20", "/v1/chat/completions%0a", "/v1/chat/completions%23",
        "/v1/chat/completions%3f", "/v1/chat/completions;x=y", "/v1/chat/completions.json", "/V1/chat/completions",
        "/v1/Chat/Completions", "/v1/chat/completion", "/v1/chat/completionss", "/v1/ch\\at/completions", "/v1/chat/completions\\",
        "/%c0%af/v1/chat/completions", "/v1/%ff", "/v1/%e2%80%ae", "/v1/%", "/v1/%zz", "/v1/%u0041", "/v2/chat/completions",
        "/%2e%2e/%2e%2e/etc/passwd", "/..%2f..%2fetc/passwd", "/....//etc/passwd", "/static/../x", "/static/x", "/admin",
        "/.git/config", "/.env", "/wp-login.php", "/cgi-bin/x", "/server-status", "/metrics", "/debug/pprof", "/api/push",
        "/openai/deployments", "/actuator/", "/actuator/env", "/actuator/heapdump",
        "/actuator/threaddump", "/actuator/configprops", "/actuator/beans", "/actuator/mappings", "/actuator/httptrace",
        "/actuator/shutdown", "/actuator/jolokia", "/actuator/gateway/routes", "/actuator/logfile", "/actuator/refresh",
        "/actuator/health/..%2fprometheus",
        "/actuator//health", "/actuator%2fhealth", "/actuator/..;/actuator/prometheus", "/actuator/prometheus/x",
    ):  # fmt: skip
        yield Case(f"path: {path}", Request(GOOD, path=path), 404)
    for path in (
        "/v1/%63hat/completions",
        f"{CHAT}?",
        f"{CHAT}?api_base=http://127.0.0.1:9/&api_key=x",
        f"{CHAT}?a=%00%ff%zz",
    ):
        yield Case(f"path accepted: {path}", Request(GOOD, path=path), 200)
    for path in (
        "/actuator/health/",
        "/actuator/health/db",
        "/actuator/health/../prometheus",
        "/actuator/health/%2e%2e/env",
    ):
        yield Case(f"a part of health: {path}", Request(b"", {"Content-Type": None}, "GET", path), 404)
    for name in ("..", "%2e%2e", "x/../y", "%2fetc%2fpasswd", "..%2f..%2fx", "%00", "%ff", "a" * 4000, "{x}", "<b>"):
        request = Request(b"", {"Content-Type": None}, "GET", f"/v1/models/{name}")
        yield Case(f"a model's path: {name[:24]}", request, 404)


def strangers() -> Iterator[Case]:
    """Keys that are none."""
    for sent in (
        None, "", "Bearer", "Bearer ", "Bearer  ", KEY, f"Basic {base64.b64encode(f'x:{KEY}'.encode()).decode()}",
        f"Token {KEY}", f"Bearer: {KEY}", f"Bearer{KEY}", f"Bearer={KEY}", f'Bearer "{KEY}"', f"Bearer {KEY}x",
        f"Bearer x{KEY}", f"Bearer {KEY[:-1]}", f"Bearer {KEY.upper()}", f"Bearer {KEY} x", f"Bearer x {KEY}", f"Bearer {KEY},{KEY}",
        f"Bearer {KEY}\u00a0x", f"Bearer {KEY}%00", "Bearer *", "Bearer .*", "Bearer %", "Bearer ***", "Bearer null", "Bearer None",
        "Bearer true", "Bearer 0", "Bearer -1", "Bearer []", "Bearer {}", "Bearer sk-", "Bearer ' OR 1=1 --", "Bearer $(id)",
        "Bearer ../../aura.yml", f"Bearer {'A' * 8000}", "Bearer \u00e9\u00ff", "Negotiate x", 'Digest username="x"', f"{KEY} Bearer",
        f"Bearer\u00a0{KEY}", f"Bearer tester:{KEY}", "Bearer tester",
    ):  # fmt: skip
        yield Case(f"key: {sent and sent[:32]!r}", Request(GOOD, {"Authorization": sent}), 401)
    for name in (
        "Proxy-Authorization", "X-Authorization", "Authentication", "Api-Key", "X-Forwarded-Authorization", "X-Original-Authorization",
        "X-Auth-Token", "X_Api_Key", "Cookie", "X-Forwarded-User", "X-Aura-Key", "Authorization2",
    ):  # fmt: skip
        headers = {"Authorization": None, name: f"Bearer {KEY}"}
        yield Case(f"key in {name}", Request(GOOD, headers), 401)
    for query in (f"key={KEY}", f"api_key={KEY}", f"access_token={KEY}", f"authorization=Bearer%20{KEY}"):
        yield Case(
            f"key in the query: {query[:8]}", Request(GOOD, {"Authorization": None}, path=f"{CHAT}?{query}"), 401
        )
    for sent in (f"bearer {KEY}", f"BEARER {KEY}", f"Bearer   {KEY}", f"Bearer {KEY} "):
        yield Case(f"key accepted: {sent[:10]!r}", Request(GOOD, {"Authorization": sent}), 200)
    yield Case("a key comes before the body's form", Request(b"{", {"Authorization": None}), 401)
    yield Case("a key comes before the body's type", Request(b"{", {"Authorization": None, "Content-Type": None}), 401)
    yield Case("a path comes before the key", Request(b"{", {"Authorization": None}, path="/v1/nowhere"), 404)


def headers() -> Iterator[Case]:
    """Headers that must not matter, or must be refused."""
    for name, sent in (
        ("X-Forwarded-Host", "evil.example"), ("X-Forwarded-Proto", "gopher"), ("X-Forwarded-Prefix", "/../.."),
        ("Forwarded", "for=127.0.0.1;host=evil"), ("X-Original-URL", "/actuator/env"), ("X-Rewrite-URL", "/admin"),
        ("X-HTTP-Method-Override", "DELETE"), ("X-Api-Key", "sk-ant-evil"), ("OpenAI-Organization", "org-evil"),
        ("anthropic-version", "1900-01-01"), ("X-Portkey-Custom-Host", "http://127.0.0.1:9"), ("Helicone-Target-Url", "http://x"),
        ("X-Request-Id", "x" * 5000), ("X-Request-Id", "a b"), ("X-Request-Id", "\u00e9"), ("X-Request-Id", '"><script>'),
        ("traceparent", "00-zz"), ("traceparent", "x" * 3000), ("tracestate", "," * 500), ("baggage", "x" * 3000),
        ("Cookie", "session=" + "x" * 3000), ("Range", "bytes=0-1"), ("If-None-Match", "*"), ("If-Modified-Since", "x"),
        ("Accept", "image/png"), ("Accept", "x" * 3000), ("Accept-Encoding", "gzip;q=0"), ("Accept-Language", "../../etc"),
        ("Accept-Charset", "utf-7"), ("User-Agent", "${jndi:ldap://127.0.0.1/a}"), ("Referer", "javascript:alert(1)"),
        ("Origin", "null"), ("X-Stainless-Retry-Count", "9" * 30), ("X-Stainless-Retry-Count", "-1"),
        ("X-Stainless-Retry-Count", "x"), ("X-Stainless-Timeout", "NaN"), ("Idempotency-Key", "x" * 3000),
        ("Cache-Control", "max-age=" + "9" * 30), ("Cache-Control", ",;=" * 300),
        ("Upgrade", "h2c"), ("HTTP2-Settings", "AAMAAABkAAQAoAAAAAIAAAAA"), ("TE", "trailers"),
        ("Via", "1.1 x"), ("Max-Forwards", "0"), ("Date", "x"), ("Content-MD5", "x"), ("Content-Location", "file:///etc/passwd"),
        ("X-Accel-Redirect", "/etc/passwd"), ("X-Sendfile", "/etc/passwd"), ("Priority", "u=9"), ("Sec-Fetch-Site", "cross-site"),
    ):  # fmt: skip
        yield Case(f"header: {name} {sent[:16]}", Request(GOOD, {name: sent}), 200)
    for sent in ("gold", "", "1", "PREMIUM,ECO", "\u00e9", "x" * 3000, "premium; drop"):
        yield Case(f"header: X-Aura-Tier {sent[:16]!r}", Request(GOOD, {"X-Aura-Tier": sent}), 400)
    for sent in ("x", "-1", "0", "nan", "inf", "1e999", "", "1,2", "9" * 400):
        yield Case(f"header: X-Aura-Timeout {sent[:16]!r}", Request(GOOD, {"X-Aura-Timeout": sent}), 400)
    for sent in ("max-age=-1", "max-age=x", "max-age=\u00b2"):
        yield Case(f"header: Cache-Control {sent}", Request(GOOD, {"Cache-Control": sent}), 400)
    for sent in ("x", "200-ok", "100-continue, x"):
        yield Case(f"header: Expect {sent}", Request(GOOD, {"Expect": sent}), 417)
    for sent in (
        "",
        "a b",
        "a/b",
        "a@b",
        "[::1",
        "a:b",
        "a:99999999",
        "\u00e9.example",
        "a\\b",
        "a?b",
        "a#b",
        "<x>",
        'a"b',
    ):
        yield Case(f"header: Host {sent!r}", Request(GOOD, {"Host": sent}), 400)
    for sent in ("evil.example", "127.0.0.1:1", "[::1]:80", "localhost", "xn--e1afmkfd.example"):
        yield Case(f"header accepted: Host {sent}", Request(GOOD, {"Host": sent}), 200)


GROUPS = {
    made.__name__: list(made())
    for made in (
        texts, encodings, nesting, numbers, kinds, conversations, tools, steering, media, places, strangers, headers,
    )
}  # fmt: skip
