"""A chat's messages to Anthropic's system text and alternating turns."""

from __future__ import annotations

from typing import Any

from ...call import Json, Model
from ...errors import BadRequest
from .parts import blocks_out, text_block
from .tools import Names, id_out, input_out

# What stands where Anthropic wants a turn and the client has none.
BEGIN = "Begin."
EMPTY = "(empty message)"
NO_RESULT = "(no result)"
DOCUMENT = "(see the document)"
GO_ON = "Go on with your last message exactly where it stops. Do not repeat any of it."
_SYSTEM = ("system", "developer")
_ROLES = {"user", "assistant", "tool", "function", *_SYSTEM}
_THOUGHTS = ("thinking", "redacted_thinking")


def conversation_out(messages: list[Json], model: Model, names: Names) -> tuple[list[Json], list[Json]]:
    """The system blocks, and the turns: they begin with the user's and alternate, each call has its result.

    Raises:
        BadRequest: a message holds what Anthropic cannot be told; ``param`` names it.
    """
    conversation = _Conversation(model, names, _several_speakers(messages))
    system: list[Json] = []
    begun = False
    for index, message in enumerate(messages):
        where = f"messages[{index}]"
        role = message.get("role") if isinstance(message, dict) else None
        if not isinstance(role, str) or role not in _ROLES:
            raise BadRequest("role must be system, developer, user, assistant, tool or function", param=f"{where}.role")
        if role in _SYSTEM and not begun:
            system += _system(message, where)
        else:
            begun = True
            conversation.add(message, where)
    return system, conversation.finish()


def _several_speakers(messages: list[Json]) -> bool:
    """Whether users are told apart by name: then the names are part of what is said."""
    named = {message.get("name") for message in messages if isinstance(message, dict) and message.get("role") == "user"}
    return len({name for name in named if isinstance(name, str) and name}) > 1


def _system(message: Json, where: str) -> list[Json]:
    blocks = _content(message, where)
    if any(block["type"] != "text" for block in blocks):
        raise BadRequest("a system message holds text only", param=f"{where}.content")
    return blocks


def _content(message: Json, where: str) -> list[Json]:
    """A message's blocks; a cache mark on the message goes to the last of them."""
    blocks = blocks_out(message.get("content"), f"{where}.content")
    if blocks and message.get("cache_control"):
        blocks[-1] = {**blocks[-1], "cache_control": message["cache_control"]}
    return blocks


class _Conversation:
    """The turns so far, and the user's side of the current exchange, which is open until the assistant speaks."""

    def __init__(self, model: Model, names: Names, speakers: bool) -> None:
        self._names = names
        self._speakers = speakers
        # Refused by most models, so it must be known; said by the user, it is understood by all.
        self._system_anywhere = model.known and model.can("system_anywhere")
        self._turns: list[Json] = []
        self._user: list[Json] = []
        self._user_spoke = False
        self._system: list[Json] = []
        self._calls: dict[str, str] = {}  # the open calls: id as sent -> name
        self._given: dict[str, list[str]] = {}  # the client's id -> ids as sent
        self._results: dict[str, Json] = {}
        self._ids: set[str] = set()

    def add(self, message: Json, where: str) -> None:
        """Take the next message."""
        role = message["role"]
        if role == "assistant":
            self._assistant(message, where)
        elif role in _SYSTEM:
            self._system += _system(message, where)
        elif role == "user":
            self._say_system()
            self._user_spoke = True
            self._user += self._named(_content(message, where), message)
        else:
            self._result(message, where)

    def finish(self) -> list[Json]:
        """All turns."""
        self._close_user()
        turns = self._turns
        if not turns or turns[0]["role"] != "user":
            turns.insert(0, {"role": "user", "content": [text_block(BEGIN)]})
        return turns

    def _named(self, blocks: list[Json], message: Json) -> list[Json]:
        name = message.get("name")
        if not self._speakers or not isinstance(name, str) or not name:
            return blocks
        for index, block in enumerate(blocks):
            if block["type"] == "text":
                blocks[index] = {**block, "text": f"{name}: {block['text']}"}
                return blocks
        return [text_block(f"{name}:"), *blocks] if blocks else blocks

    def _say_system(self) -> None:
        """A system text that cannot stand by itself becomes part of the user's turn, marked as what it is."""
        for block in self._system:
            self._user.append({**block, "text": f"<system>\n{block['text']}\n</system>"})
        self._system = []

    def _assistant(self, message: Json, where: str) -> None:
        blocks = _said(message, where)
        calls = _calls(message, where)
        if not blocks and not calls:
            return
        if self._user or self._user_spoke or self._results or self._system:
            self._close_user()
        known = {block.get("id"): block for block in blocks if block.get("type") == "tool_use"}
        for block in known.values():
            self._open_call(block, str(block.get("id")), block["name"])
        for call, block in calls:
            if call not in known or not call:
                block["name"] = self._names.out(block["name"])
                self._open_call(block, call, block["name"])
                blocks.append(block)
        if self._turns and self._turns[-1]["role"] == "assistant":
            self._turns[-1]["content"] += blocks
        else:
            self._turns.append({"role": "assistant", "content": blocks})

    def _open_call(self, block: Json, given: str, name: str) -> None:
        """Give a call an id that no other call of the conversation has: some servers count them anew in every turn."""
        sent = base = id_out(given) if given else "call"
        count = 1
        while sent in self._ids:
            count += 1
            sent = f"{base}_{count}"
        self._ids.add(sent)
        self._calls[sent] = name
        self._given.setdefault(given, []).append(sent)
        block["id"] = sent

    def _result(self, message: Json, where: str) -> None:
        """Keep a result for its call. One that belongs to no open call is left out, a second one replaces the first."""
        sent = self._call_of(message)
        if sent is None:
            return
        self._say_system()
        blocks = blocks_out(message.get("content"), f"{where}.content")
        result: Json = {"type": "tool_result", "tool_use_id": sent}
        mark = message.get("cache_control")
        for block in blocks:
            mark = block.pop("cache_control", None) or mark
        if len(blocks) == 1 and blocks[0] == {"type": "text", "text": message.get("content")}:
            result["content"] = message["content"]
        elif blocks:
            result["content"] = blocks
        if message.get("is_error"):
            result["is_error"] = True
        if mark:
            result["cache_control"] = mark
        self._results[sent] = result

    def _call_of(self, message: Json) -> str | None:
        given = message.get("tool_call_id")
        if isinstance(given, str) and given:
            sent = self._given.get(given, [])
        else:  # the older grammar has no ids: the function's name tells
            name = message.get("name")
            wanted = self._names.out(name) if isinstance(name, str) and name else None
            sent = [call for call, called in self._calls.items() if wanted in (None, called)]
        return next((call for call in sent if call not in self._results), sent[-1] if sent else None)

    def _close_user(self) -> None:
        """End the user's side of the exchange: results first, in the order of their calls, then what was said.

        A system text stands by itself where the model takes it: after a user turn, before the assistant or the end.
        """
        stands = self._system_anywhere and bool(self._user or self._user_spoke or self._results)
        if not stands:
            self._say_system()
        blocks = [self._results.get(call) or _no_result(call) for call in self._calls]
        if not blocks and not self._user and self._user_spoke:
            self._user.append(text_block(EMPTY))
        kinds = {block["type"] for block in self._user}
        if "document" in kinds and "text" not in kinds:
            self._user.append(text_block(DOCUMENT))
        blocks += self._user
        if blocks:
            self._turns.append({"role": "user", "content": blocks})
        if self._system:
            self._turns.append({"role": "system", "content": self._system})
        self._user, self._system, self._user_spoke = [], [], False
        self._calls, self._given, self._results = {}, {}, {}


def _no_result(call: str) -> Json:
    return {"type": "tool_result", "tool_use_id": call, "content": NO_RESULT, "is_error": True}


def _said(message: Json, where: str) -> list[Json]:
    """What an assistant message says and thought; the tools that it calls come by themselves."""
    replayed = _replayed(message)
    if replayed is not None:
        return replayed
    content = message.get("content")
    own: list[Json] = []
    if isinstance(content, list):
        own = [part for part in content if isinstance(part, dict) and part.get("type") in _THOUGHTS]
        content = [part for part in content if part not in own]
    given = own or message.get("thinking_blocks")
    thoughts = [block for block in given if signed(block)] if isinstance(given, list) else []
    blocks = _content({**message, "content": content}, where)
    refusal = message.get("refusal")
    if not blocks and isinstance(refusal, str) and refusal.strip():
        blocks = [text_block(refusal)]
    return [*thoughts, *blocks]


def signed(block: Any) -> bool:
    """Whether thinking is Anthropic's own: another provider's has no signature, and would be refused."""
    if not isinstance(block, dict):
        return False
    kind = block.get("type")
    proof = block.get("signature" if kind == "thinking" else "data") if kind in _THOUGHTS else None
    return isinstance(proof, str) and bool(proof)


def _replayed(message: Json) -> list[Json] | None:
    """The blocks of an earlier answer as they came, if the client sent them back and changed nothing of the text."""
    given = message.get("content_blocks")
    if not isinstance(given, list) or not given or not all(isinstance(block, dict) for block in given):
        return None
    texts = [block.get("text") for block in given if block.get("type") == "text"]
    calls = [block for block in given if block.get("type") == "tool_use"]
    if not all(isinstance(text, str) for text in texts) or "".join(map(str, texts)) != (message.get("content") or ""):
        return None
    told = message.get("tool_calls")
    asked = [call.get("id") for call in told if isinstance(call, dict)] if isinstance(told, list) else []
    if asked != [block.get("id") for block in calls] or not all(isinstance(b.get("name"), str) for b in calls):
        return None
    return [dict(block) for block in given if _worth(block)]


def _worth(block: Json) -> bool:
    """Whether a block may be sent back: not without its signature, not without text."""
    if block.get("type") in _THOUGHTS:
        return signed(block)
    return block.get("type") != "text" or bool(block["text"].strip())


def _calls(message: Json, where: str) -> list[tuple[str, Json]]:
    """The tools that an assistant message calls: the client's id and the block, without its id yet."""
    given = message.get("tool_calls")
    calls = [(call, f"{where}.tool_calls[{i}]") for i, call in enumerate(given)] if isinstance(given, list) else []
    if not calls and isinstance(message.get("function_call"), dict):
        calls = [({"function": message["function_call"]}, f"{where}.function_call")]
    return [_call(call, place) for call, place in calls]


def _call(call: Any, where: str) -> tuple[str, Json]:
    function = call.get("function") if isinstance(call, dict) else None
    custom = call.get("custom") if isinstance(call, dict) else None
    if isinstance(custom, dict):
        function = {"name": custom.get("name"), "arguments": {"input": custom.get("input")}}
    if not isinstance(function, dict) or not isinstance(function.get("name"), str) or not function["name"]:
        raise BadRequest("a tool call must name its function", param=where)
    arguments = input_out(function.get("arguments"), f"{where}.function.arguments")
    given = call.get("id")
    block: Json = {"type": "tool_use", "id": "", "name": function["name"], "input": arguments}
    if call.get("cache_control"):
        block["cache_control"] = call["cache_control"]
    return (given if isinstance(given, str) else ""), block


def end_with_user(turns: list[Json], prefill: bool) -> None:
    """See to a last turn that is the assistant's: it is continued where the model does that, else asked to go on.

    Args:
        prefill: the model continues its own turn, and nothing of the request forbids it.
    """
    last = turns[-1]
    if last["role"] != "assistant":
        return
    block = last["content"][-1]
    spoken = block.get("type") == "text"
    if spoken:
        last["content"][-1] = {**block, "text": block["text"].rstrip()}
    if not (prefill and spoken):
        turns.append({"role": "user", "content": [text_block(GO_ON)]})


def add_system(system: list[Json], text: str) -> None:
    """Say one more thing as system text; after the client's own, so that what it had cached stays so."""
    if text:
        system.append(text_block(text))


def system_out(blocks: list[Json]) -> str | list[Json] | None:
    """The parameter ``system``: one plain text as it is, several as blocks."""
    if not blocks:
        return None
    if len(blocks) == 1 and blocks[0].keys() == {"type", "text"}:
        text: str = blocks[0]["text"]
        return text
    return blocks
