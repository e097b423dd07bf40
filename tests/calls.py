"""Calls as clients make them, and all that can be seen of an answer."""

from __future__ import annotations

import http.client
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

KEY = "sk-test-0123456789"


@dataclass
class Outcome:
    """What a client saw.

    Args:
        began: seconds until the answer's head.
        seconds: until its end.
        whole: whether the answer's framing ended as it should.
        at: when each piece of the body came, in seconds, with the piece.
    """

    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    began: float = 0.0
    seconds: float = 0.0
    whole: bool = False
    at: list[tuple[float, bytes]] = field(default_factory=list)

    @property
    def streamed(self) -> bool:
        return "event-stream" in self.headers.get("content-type", "")

    @property
    def frames(self) -> list[bytes]:
        """What stands between blank lines; nothing in an answer that is no stream."""
        if not self.streamed:
            return []
        assert not self.body or self.body.endswith(b"\n\n"), self.body[-200:]
        return self.body.split(b"\n\n")[:-1]

    @property
    def events(self) -> list[bytes]:
        """The data of the events."""
        return [frame[6:] for frame in self.frames if frame.startswith(b"data: ")]

    @property
    def comments(self) -> list[str]:
        return [frame[2:].decode() for frame in self.frames if frame.startswith(b": ")]

    @property
    def chunks(self) -> list[dict]:
        """The events that are chunks of the answer."""
        chunks = [json.loads(event) for event in self.events if event != b"[DONE]"]
        return [chunk for chunk in chunks if "error" not in chunk]

    @property
    def text(self) -> str:
        """What was said, of a stream or a whole answer."""
        if not self.streamed:
            return json.loads(self.body)["choices"][0]["message"]["content"] if self.status == 200 else ""
        deltas = [choice.get("delta") or {} for choice in self.choices]
        return "".join(delta.get("content") or "" for delta in deltas)

    @property
    def choices(self) -> list[dict]:
        """The choices of a stream's chunks."""
        return [choice for chunk in self.chunks for choice in chunk.get("choices") or ()]

    @property
    def finish(self) -> list[str]:
        """The finish reasons of a stream, in order."""
        return [choice["finish_reason"] for choice in self.choices if choice.get("finish_reason")]

    @property
    def usage(self) -> list[dict]:
        """The usages that a stream tells."""
        return [chunk["usage"] for chunk in self.chunks if chunk.get("usage")]

    @property
    def done(self) -> int:
        """How often ``[DONE]`` was said."""
        return self.events.count(b"[DONE]")

    @property
    def errors(self) -> list[dict]:
        """The errors that were told, in a stream or as the answer."""
        if self.status != 200:
            return [json.loads(self.body)["error"]]
        found = [json.loads(event) for event in self.events if event != b"[DONE]"]
        return [event["error"] for event in found if "error" in event]


def chat(
    port: int,
    model: str,
    nonce: str = "nonce",
    *,
    stream: bool = True,
    fallbacks: Sequence[str] = (),
    headers: Mapping[str, str] | None = None,
    limit: float = 130.0,
    **more: object,
) -> Outcome:
    """Ask for a chat and read the answer to its end, whatever it is.

    Args:
        limit: seconds that any one wait may take.
        more: further members of the body.
    """
    body: dict[str, object] = {"model": model, "messages": [{"role": "user", "content": f"{nonce} tell me"}]}
    body |= {"stream": stream} | ({"fallbacks": list(fallbacks)} if fallbacks else {}) | more
    started = time.monotonic()
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=limit)
    outcome = Outcome()
    try:
        sent = {"Content-Type": "application/json", "Connection": "close"} | dict(headers or {})
        connection.request("POST", "/v1/chat/completions", json.dumps(body), sent)
        response = connection.getresponse()
        outcome.status = response.status
        outcome.headers = {name.lower(): value for name, value in response.getheaders()}
        outcome.began = time.monotonic() - started
        while piece := response.read1(65536):
            outcome.at.append((time.monotonic() - started, piece))
            outcome.body += piece
        outcome.whole = True
    except http.client.HTTPException:
        pass  # cut
    except OSError as error:
        outcome.headers["broken"] = repr(error)
    finally:
        connection.close()
    outcome.seconds = time.monotonic() - started
    return outcome


def provider(name: str, url: str, *models: str, kind: str = "openai", timeout: str = "30s") -> str:
    """One entry of the configuration, indented to stand below ``providers:``; ``models`` are its eco models."""
    listed = f"models: {{eco: [{', '.join(models)}]}}" if models else "models: {eco: [m]}"
    base = f"{url}/v1" if kind == "openai" else url
    return (
        f'    {name}: {{type: {kind}, base-url: "{base}", api-key: {KEY}, timeout: {timeout}, '
        f'{listed}, extra-models: ["*"]}}\n'
    )
