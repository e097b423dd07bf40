"""What is asked, and good answers in each grammar: deterministic but for the nonce."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field

GRAMMARS = ("openai", "anthropic", "ollama")
TOKENS = 12
_WORDS = ("alpha", "beta", "gamma", "delta", "été", "漢字", "👩‍🚀", "omega")


def pieces(nonce: str, tokens: int = TOKENS) -> list[str]:
    """The text of an answer, token by token."""
    return [nonce, *(f" {_WORDS[number % len(_WORDS)]}{number}" for number in range(1, tokens))]


def text(nonce: str, tokens: int = TOKENS) -> str:
    """The text of an answer."""
    return "".join(pieces(nonce, tokens))


@dataclass
class Asked:
    """One request as it came in.

    Args:
        connection: the number of the connection that it came over, from 0.
        order: how many requests that connection carried before.
    """

    connection: int
    order: int
    method: str
    path: str
    headers: dict[str, str]
    body: bytes
    fault: str = ""
    options: dict[str, str] = field(default_factory=dict)

    def json(self) -> dict:
        """The body; nothing of one that is a form."""
        form = self.headers.get("content-type", "").startswith("multipart/")
        return {} if form else json.loads(self.body or b"{}")

    @property
    def grammar(self) -> str:
        path = self.path.partition("?")[0]
        if path.endswith("/completions") and not path.endswith("/chat/completions"):
            return "completions"
        return "anthropic" if path.endswith("/messages") else "ollama" if path.endswith("/api/chat") else "openai"

    @property
    def nonce(self) -> str:
        return self._asked_and_begun()[0]

    @property
    def begun(self) -> str:
        """The answer that is to be continued: an assistant turn at the end, or before a user turn that asks for it."""
        return self._asked_and_begun()[1]

    def _asked_and_begun(self) -> tuple[str, str]:
        if self.path.partition("?")[0].rpartition("/")[2] not in ("messages", "completions", "chat"):
            return "nobody", ""
        turns = [(m.get("role"), _plain(m.get("content"))) for m in self.json().get("messages") or ()]
        turns = [turn for turn in turns if turn[0] in ("user", "assistant")]
        for at in (len(turns) - 1, len(turns) - 2):
            if at > 0 and turns[at][0] == "assistant":
                nonce, begun = turns[at - 1][1].split(" ", 1)[0], turns[at][1]
                if text(nonce, int(self.number("tokens", TOKENS))).startswith(begun):
                    return nonce, begun
        said = next((content for role, content in reversed(turns) if role == "user"), "nobody")
        return said.split(" ", 1)[0], ""

    @property
    def stream(self) -> bool:
        if self.path.endswith(("/embeddings", "/count_tokens")):
            return False
        return self.json().get("stream", self.grammar == "ollama")

    def number(self, name: str, default: float = 0) -> float:
        return float(self.options.get(name, default))


def _plain(content: object) -> str:
    if isinstance(content, list):
        return "".join(str(part.get("text", "")) for part in content)
    return str(content or "")


def said(asked: Asked) -> list[str]:
    """What is answered, token by token.

    An answer that was begun goes on, ``again``: on (exactly there), start (from the beginning, as models do that take
    no heed), words (with the last five words once more).
    """
    tokens = pieces(asked.nonce, int(asked.number("tokens", TOKENS)))
    begun, again = asked.begun, asked.options.get("again", "on")
    if not begun or again == "start":
        return tokens
    rest = "".join(tokens)[len(begun) :]
    if again == "words":
        rest = " ".join(begun.split(" ")[-5:]) + rest
    return re.findall(r"\s*\S+|\s+", rest)


def whole(asked: Asked) -> bytes:
    """A whole answer."""
    content, model = text(asked.nonce, int(asked.number("tokens", TOKENS))), asked.json().get("model", "m")
    if asked.grammar == "anthropic":
        body: dict = {
            "id": "msg_1", "type": "message", "role": "assistant", "model": model, "stop_reason": "end_turn",
            "stop_sequence": None, "content": [{"type": "text", "text": content}],
            "usage": {"input_tokens": 7, "output_tokens": 12},
        }  # fmt: skip
    elif asked.grammar == "ollama":
        body = {
            "model": model, "created_at": "2026-01-01T00:00:00Z", "done": True, "done_reason": "stop",
            "message": {"role": "assistant", "content": content}, "prompt_eval_count": 7, "eval_count": 12,
        }  # fmt: skip
    elif asked.path.endswith("/count_tokens"):
        body = {"input_tokens": 7}
    elif asked.path.endswith("/embeddings"):
        given = asked.json()["input"]
        many = len(given) if isinstance(given, list) and not isinstance(given[0], int) else 1
        data = [{"object": "embedding", "index": at, "embedding": [0.5, 1.5]} for at in range(many)]
        body = {"object": "list", "model": model, "data": data, "usage": {"prompt_tokens": 7, "total_tokens": 7}}
    elif asked.grammar == "completions":
        choice = {"index": 0, "text": content, "logprobs": None, "finish_reason": "stop"}
        usage = {"prompt_tokens": 7, "completion_tokens": 12, "total_tokens": 19}
        body = {
            "id": "cmpl-1", "object": "text_completion", "created": 1, "model": model, "choices": [choice],
            "usage": usage,
        }  # fmt: skip
    else:
        choice = {"index": 0, "message": {"role": "assistant", "content": content}, "finish_reason": "stop"}
        usage = {"prompt_tokens": 7, "completion_tokens": 12, "total_tokens": 19}
        body = {
            "id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": model, "choices": [choice],
            "usage": usage,
        }  # fmt: skip
    return dump(body)


def dump(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode()


def frames(asked: Asked) -> tuple[list[bytes], list[bytes], list[bytes]]:
    """A stream: what opens it, one frame for each token, and what ends it."""
    tokens = said(asked)
    model = asked.json().get("model", "m")
    made = {"openai": _openai, "anthropic": _anthropic, "ollama": _ollama, "completions": _completions}
    return made[asked.grammar](tokens, model)


def _completions(tokens: list[str], model: str) -> tuple[list[bytes], list[bytes], list[bytes]]:
    def frame(text: str, finish: str | None = None, **more: object) -> bytes:
        choices = [] if more else [{"index": 0, "text": text, "logprobs": None, "finish_reason": finish}]
        body = {"id": "cmpl-1", "object": "text_completion", "created": 1, "model": model, "choices": choices}
        return b"data: " + dump(body | more) + b"\n\n"

    usage = {"prompt_tokens": 7, "completion_tokens": len(tokens), "total_tokens": 7 + len(tokens)}
    ends = [frame("", "stop"), frame("", usage=usage), b"data: [DONE]\n\n"]
    return [], [frame(token) for token in tokens], ends


def _openai(tokens: list[str], model: str) -> tuple[list[bytes], list[bytes], list[bytes]]:
    def frame(delta: dict, finish: str | None = None, **more: object) -> bytes:
        choices = [] if "usage" in more else [{"index": 0, "delta": delta, "finish_reason": finish}]
        body = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": model, "choices": choices}
        return b"data: " + dump(body | more) + b"\n\n"

    usage = {"prompt_tokens": 7, "completion_tokens": len(tokens), "total_tokens": 7 + len(tokens)}
    return (
        [frame({"role": "assistant", "content": ""})],
        [frame({"content": token}) for token in tokens],
        [frame({}, "stop"), frame({}, usage=usage), b"data: [DONE]\n\n"],
    )


def _anthropic(tokens: list[str], model: str) -> tuple[list[bytes], list[bytes], list[bytes]]:
    def frame(kind: str, **more: object) -> bytes:
        return b"event: %b\ndata: %b\n\n" % (kind.encode(), dump({"type": kind} | more))

    message = {
        "id": "msg_1", "type": "message", "role": "assistant", "model": model, "content": [], "stop_reason": None,
        "stop_sequence": None, "usage": {"input_tokens": 7, "output_tokens": 1},
    }  # fmt: skip
    return (
        [
            frame("message_start", message=message),
            frame("content_block_start", index=0, content_block={"type": "text", "text": ""}),
        ],
        [frame("content_block_delta", index=0, delta={"type": "text_delta", "text": token}) for token in tokens],
        [
            frame("content_block_stop", index=0),
            frame(
                "message_delta",
                delta={"stop_reason": "end_turn", "stop_sequence": None},
                usage={"output_tokens": len(tokens)},
            ),
            frame("message_stop"),
        ],
    )


def _ollama(tokens: list[str], model: str) -> tuple[list[bytes], list[bytes], list[bytes]]:
    def frame(content: str, done: bool = False, **more: object) -> bytes:
        message = {"role": "assistant", "content": content}
        body = {"model": model, "created_at": "2026-01-01T00:00:00Z", "message": message, "done": done}
        return dump(body | more) + b"\n"

    end = frame("", True, done_reason="stop", prompt_eval_count=7, eval_count=len(tokens))
    return [], [frame(token) for token in tokens], [end]


def stream_kind(asked: Asked) -> str:
    return "application/x-ndjson" if asked.grammar == "ollama" else "text/event-stream"


def error(asked: Asked, kind: str = "server_error", message: str = "It failed.", code: str | None = None) -> bytes:
    """A provider's error, as a body."""
    if asked.grammar == "anthropic":
        return dump({"type": "error", "error": {"type": kind, "message": message}})
    if asked.grammar == "ollama":
        return dump({"error": message})
    return dump({"error": {"message": message, "type": kind, "param": None, "code": code}})


def error_event(asked: Asked) -> bytes:
    """The same inside a stream."""
    body = error(asked, "overloaded_error", "Overloaded")
    if asked.grammar == "ollama":
        return body + b"\n"
    return (b"event: error\n" if asked.grammar == "anthropic" else b"") + b"data: " + body + b"\n\n"
