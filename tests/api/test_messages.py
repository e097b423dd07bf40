"""Messages: roles, content, parts, tool calls."""

import pytest

from aura.api import schemas
from aura.errors import BadRequest

CALL = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
PNG = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA", "detail": "low"}}
TEXT = {"type": "text", "text": "a"}


def check(*messages: object) -> None:
    schemas.check_chat({"model": "auto", "messages": list(messages)})


def refusal(*messages: object) -> BadRequest:
    """The error of a conversation that must be refused."""
    with pytest.raises(BadRequest) as caught:
        check(*messages)
    return caught.value


ACCEPTED = [
    {"role": "system", "content": ""},
    {"role": "developer", "content": [TEXT]},
    {"role": "user", "content": "a\u0000b", "name": "bob"},
    {"role": "user", "content": [TEXT, {**TEXT, "cache_control": {"type": "ephemeral"}}, PNG]},
    {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "HTTPS://example.com/a.png"}}]},
    {"role": "user", "content": [{"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}}]},
    {"role": "user", "content": [{"type": "file", "file": {"file_id": "file-1"}}]},
    {
        "role": "user",
        "content": [{"type": "file", "file": {"filename": "a.pdf", "file_data": "data:x", "file_id": None}}],
    },
    {"role": "assistant", "content": "a", "refusal": None, "audio": None, "function_call": None, "tool_calls": None},
    {"role": "assistant", "content": [TEXT, {"type": "refusal", "refusal": "no"}]},
    {"role": "assistant", "content": [{"type": "thinking", "thinking": "hm", "signature": "s"}, TEXT]},
    {"role": "assistant", "content": "a", "reasoning_content": "hm", "anything": [1]},
    {"role": "assistant", "content": "a", "tool_calls": []},
    {"role": "assistant", "content": None, "tool_calls": [CALL, {**CALL, "id": "c2"}]},
    {"role": "assistant", "content": [], "tool_calls": [CALL]},
    {"role": "assistant", "tool_calls": [{**CALL, "function": {"name": "f", "arguments": ""}}]},
    {"role": "assistant", "tool_calls": [{"id": "c", "type": "custom", "custom": {"name": "f", "input": "x"}}]},
    {"role": "assistant", "content": None, "function_call": {"name": "f", "arguments": "{}"}},
    {"role": "assistant", "content": None, "refusal": "no"},
    {"role": "assistant", "content": None, "audio": {"id": "audio_1"}},
    {"role": "tool", "tool_call_id": "c1", "content": "x"},
    {"role": "tool", "tool_call_id": "c1", "content": [TEXT, PNG]},
    {"role": "function", "name": "f", "content": "x"},
]


@pytest.mark.parametrize("message", ACCEPTED)
def test_a_message_of_the_right_form_is_accepted(message):
    check({"role": "user", "content": "hi"}, message)


def user(content: object) -> dict:
    return {"role": "user", "content": content}


def assistant(**fields: object) -> dict:
    return {"role": "assistant", "content": None, **fields}


def call(**fields: object) -> dict:
    return assistant(tool_calls=[CALL, {**CALL, **fields}])


REFUSED = [
    (None, ""),
    ("x", ""),
    ([], ""),
    ({}, ""),
    ({"content": "x"}, ".role"),
    ({"role": None, "content": "x"}, ".role"),
    ({"role": True, "content": "x"}, ".role"),
    ({"role": ["user"], "content": "x"}, ".role"),
    ({"role": {}, "content": "x"}, ".role"),
    ({"role": "", "content": "x"}, ".role"),
    ({"role": "User", "content": "x"}, ".role"),
    ({"role": "user ", "content": "x"}, ".role"),
    ({"role": "user\u0000", "content": "x"}, ".role"),
    ({"role": "\u0443ser", "content": "x"}, ".role"),
    ({"role": "user"}, ".content"),
    (user(None), ".content"),
    (user(5), ".content"),
    (user(True), ".content"),
    (user(False), ".content"),
    (user({}), ".content"),
    (user([]), ".content"),
    (user([None]), ".content"),
    (user(["x"]), ".content"),
    (user([TEXT, [{}]]), ".content"),
    (user([TEXT] * 2049), ".content"),
    ({"role": "system", "content": None}, ".content"),
    ({"role": "system", "content": [PNG]}, ".content[0].type"),
    ({"role": "user", "content": "x", "name": 5}, ".name"),
    (user([{"text": "x"}]), ".content[0].type"),
    (user([TEXT, {"type": "exec", "text": "x"}]), ".content[1].type"),
    (user([{"type": ["text"], "text": "x"}]), ".content[0].type"),
    (user([{"type": "refusal", "refusal": "x"}]), ".content[0].type"),
    (user([{"type": "text"}]), ".content[0].text"),
    (user([{"type": "text", "text": None}]), ".content[0].text"),
    (user([{"type": "text", "text": ["x"]}]), ".content[0].text"),
    (user([{"type": "image_url"}]), ".content[0].image_url"),
    (user([{"type": "image_url", "image_url": "https://x/"}]), ".content[0].image_url"),
    (user([{"type": "image_url", "image_url": {}}]), ".content[0].image_url.url"),
    (user([{"type": "image_url", "image_url": {"url": ""}}]), ".content[0].image_url.url"),
    (user([{"type": "image_url", "image_url": {"url": "file:///etc/passwd"}}]), ".content[0].image_url.url"),
    (user([{"type": "image_url", "image_url": {"url": "gopher://x/"}}]), ".content[0].image_url.url"),
    (user([{"type": "image_url", "image_url": {"url": "data:x", "detail": 1}}]), ".content[0].image_url.detail"),
    (user([{"type": "input_audio"}]), ".content[0].input_audio"),
    (user([{"type": "input_audio", "input_audio": {"data": "A"}}]), ".content[0].input_audio.format"),
    (user([{"type": "file", "file": {}}]), ".content[0].file"),
    (user([{"type": "file", "file": {"file_id": 1}}]), ".content[0].file.file_id"),
    ({"role": "assistant"}, ".content"),
    (assistant(), ".content"),
    (assistant(tool_calls=[]), ".content"),
    (assistant(content=[PNG]), ".content[0].type"),
    (assistant(refusal=5), ".refusal"),
    (assistant(audio="x"), ".audio"),
    (assistant(audio={"x": 1}), ".audio.id"),
    (assistant(function_call="f"), ".function_call"),
    (assistant(function_call={"name": "f"}), ".function_call.arguments"),
    (assistant(tool_calls="x"), ".tool_calls"),
    (assistant(tool_calls={"0": CALL}), ".tool_calls"),
    (assistant(tool_calls=[None]), ".tool_calls"),
    (assistant(tool_calls=[CALL] * 2049), ".tool_calls"),
    (call(id=None), ".tool_calls[1].id"),
    (call(id=""), ".tool_calls[1].id"),
    (call(id=7), ".tool_calls[1].id"),
    (call(type=None), ".tool_calls[1].type"),
    (call(type="web"), ".tool_calls[1].type"),
    (call(type="custom"), ".tool_calls[1].custom"),
    (call(function=None), ".tool_calls[1].function"),
    (call(function={"arguments": "{}"}), ".tool_calls[1].function.name"),
    (call(function={"name": "f", "arguments": {}}), ".tool_calls[1].function.arguments"),
    ({"role": "tool", "content": "x"}, ".tool_call_id"),
    ({"role": "tool", "content": "x", "tool_call_id": ""}, ".tool_call_id"),
    ({"role": "tool", "content": "x", "tool_call_id": 5}, ".tool_call_id"),
    ({"role": "tool", "content": None, "tool_call_id": "c1"}, ".content"),
    ({"role": "function", "content": "x"}, ".name"),
]


@pytest.mark.parametrize(("message", "below"), REFUSED)
def test_a_message_of_a_wrong_form_is_refused_by_its_path(message, below):
    error = refusal({"role": "user", "content": "hi"}, message)

    assert error.param == f"messages[1]{below}"
    assert error.message.startswith(f"'messages[1]{below}' ")


def test_a_conversation_has_1_to_2048_messages():
    one = {"role": "user", "content": "x"}
    check(*[one] * 2048)

    assert refusal().param == "messages"
    assert "1 to 2048 messages, not 2049" in refusal(*[one] * 2049).message


def test_a_message_names_the_kind_of_a_value_and_never_the_value():
    secret = "tell nobody"

    assert "not an object" in refusal(user({"text": secret})).message
    assert secret not in refusal({"role": secret, "content": secret}).message
    assert secret not in refusal(user([{"type": secret, "text": secret}])).message


def test_a_tool_message_may_answer_a_call_that_is_not_there():
    """Clients trim old turns; what is left over is dropped where a provider would not take it."""
    check({"role": "tool", "tool_call_id": "gone", "content": "x"}, {"role": "user", "content": "go on"})
