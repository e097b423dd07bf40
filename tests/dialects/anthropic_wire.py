"""What the tests of Anthropic's grammar share: models, a request there, an answer and a stream back."""

import copy
import json

from aura.call import Model
from aura.dialects import anthropic
from aura.dialects.assembly import Assembler
from aura.errors import Failure

USER = {"role": "user", "content": "Hello"}
OLD = Model(
    "claude-3-haiku",
    known=True,
    max_output=4096,
    capabilities=frozenset({"vision", "tools", "json_object", "sampling", "temperature_and_top_p", "prefill"}),
)
BUDGET = Model(
    "claude-sonnet-4",
    known=True,
    max_output=64000,
    capabilities=frozenset({"vision", "documents", "tools", "json_object", "reasoning", "sampling", "prefill"}),
)
ADAPTIVE = Model(
    "claude-opus-4-8",
    known=True,
    max_output=128000,
    capabilities=frozenset(
        {"vision", "documents", "tools", "json_object", "json_schema", "reasoning", "adaptive_thinking"}
        | {"effort_xhigh", "system_anywhere"}
    ),
)


def function(name="get_weather", parameters=None, **more):
    told = {"name": name, **({} if parameters is None else {"parameters": parameters}), **more}
    return {"type": "function", "function": told}


def call(name, arguments="{}", key="call_1"):
    return {"id": key, "type": "function", "function": {"name": name, "arguments": arguments}}


def calling(*calls, **more):
    return {"role": "assistant", "content": None, "tool_calls": list(calls), **more}


def result(key="call_1", content="sunny", **more):
    return {"role": "tool", "tool_call_id": key, "content": content, **more}


def text(said):
    return {"type": "text", "text": said}


def sent(model=OLD, **body):
    """The translation of a request; what the client sent stays as it was."""
    body = {"model": "auto", "messages": [USER], **body}
    before = copy.deepcopy(body)
    translation = anthropic.request_out(body, model)

    assert before == body, "the client's body is never changed"
    json.dumps(translation.body)
    translation.created = 1_700_000_000
    return translation


def turns(*messages, model=OLD, **body):
    return sent(model, messages=list(messages), **body).body["messages"]


def answer(*content, stop="end_turn", usage=None, **more):
    return {
        "id": "msg_01A",
        "type": "message",
        "role": "assistant",
        "model": "claude-3-haiku-20240307",
        "content": list(content),
        "stop_reason": stop,
        "stop_sequence": None,
        "usage": usage or {"input_tokens": 10, "output_tokens": 5},
        **more,
    }


def answered(*content, request=None, **more):
    return anthropic.response_in(answer(*content, **more), request or sent())


def message(*content, **more):
    return answered(*content, **more)["choices"][0]["message"]


def event(kind, **body):
    return f"event: {kind}\ndata: {json.dumps({'type': kind, **body})}\n\n".encode()


def start(usage=None, **more):
    told = {"input_tokens": 10, "output_tokens": 1} if usage is None else usage
    return event("message_start", message={**answer(), "stop_reason": None, "usage": told, **more})


def block(index, *deltas, **body):
    """A whole content block: its beginning, its deltas, its end."""
    begin = event("content_block_start", index=index, content_block=body)
    pieces = [event("content_block_delta", index=index, delta=delta) for delta in deltas]
    return b"".join([begin, *pieces, event("content_block_stop", index=index)])


def texts(index, *pieces):
    return block(index, *({"type": "text_delta", "text": piece} for piece in pieces), type="text", text="")


def tool(index, *pieces, name="get_weather", key="toolu_1", kind="tool_use"):
    deltas = ({"type": "input_json_delta", "partial_json": piece} for piece in pieces)
    return block(index, *deltas, type=kind, id=key, name=name, input={})


def end(stop="end_turn", usage=None, **more):
    delta = {"stop_reason": stop, "stop_sequence": None, **more}
    told = {"output_tokens": 5} if usage is None else usage
    return event("message_delta", delta=delta, usage=told) + event("message_stop")


class Played:
    """What became of a stream: the chunks, the reader at its end, how many events it could not read, the failure."""

    def __init__(self, *pieces, request=None, size=1 << 20):
        data = b"".join(pieces)
        decoder, self.reader = anthropic.DECODER(), anthropic.reader(request or sent(stream=True))
        self.chunks, self.skipped, self.failure = [], 0, None
        for begin in range(0, len(data), size):
            self._read(decoder.feed(data[begin : begin + size]))
        self._read(decoder.finish())

    def _read(self, events):
        for one in events:
            try:
                self.chunks += self.reader.feed(one)
            except ValueError:
                self.skipped += 1
            except Failure as failure:
                self.failure = failure

    @property
    def bodies(self):
        return [chunk.body for chunk in self.chunks if chunk.body is not None]

    @property
    def deltas(self):
        return [choice["delta"] for body in self.bodies for choice in body["choices"] if choice["delta"]]

    @property
    def finish(self):
        told = [choice["finish_reason"] for body in self.bodies for choice in body["choices"]]
        return next((reason for reason in told if reason), None)

    @property
    def whole(self):
        assembler = Assembler()
        for body in self.bodies:
            assembler.add(body)
        return assembler.completion()

    @property
    def message(self):
        return self.whole["choices"][0]["message"]
