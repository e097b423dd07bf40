"""What the documentation says of the routes of other grammars than OpenAI's chat: Anthropic's, Responses, Ollama's."""

from __future__ import annotations

from typing import Any

from ...call import Json
from .. import message_schemas, ollama_schemas, response_schemas
from . import answers, other_answers
from .operation import CALL_ERRORS, CHAT, LINES, Operation

_RESPONSE: Json = {
    "id": "resp_aura1",
    "object": "response",
    "created_at": 1795554008,
    "status": "completed",
    "model": "gpt-4o-mini",
    "output": [
        {
            "id": "msg_aura1",
            "type": "message",
            "status": "completed",
            "role": "assistant",
            "content": [{"type": "output_text", "annotations": [], "text": "It computes with amplitudes."}],
        }
    ],
    "usage": {"input_tokens": 12, "output_tokens": 7, "total_tokens": 19},
}
_WHEN = "2026-11-24T21:00:00Z"


def _lines(member: str, first: str, last: str) -> str:
    head = f'{{"model":"gpt-4o-mini","created_at":"{_WHEN}","{member}":'
    return f'{head}{first},"done":false}}\n{head}{last},"done":true,"done_reason":"stop"}}\n'


def _ollama(answer: type[answers.Answer], example: Any, bodies: dict[str, Json], **more: Any) -> Operation:
    return Operation("ollama", answer, example, bodies=bodies, errors=CALL_ERRORS, **more)


GRAMMARS: dict[str, Operation] = {
    "anthropic.messages": Operation(
        "chat",
        answers.Message,
        {
            "id": "msg_1",
            "type": "message",
            "role": "assistant",
            "model": "claude-3-haiku-20240307",
            "content": [{"type": "text", "text": "It computes with amplitudes."}],
            "stop_reason": "end_turn",
            "stop_sequence": None,
            "usage": {"input_tokens": 12, "output_tokens": 7},
        },
        body=message_schemas.MessagesRequest,
        bodies={
            "whole": {**CHAT, "max_tokens": 500},
            "streamed": {**CHAT, "max_tokens": 500, "stream": True},
        },
        events='event: content_block_delta\ndata: {"type":"content_block_delta","index":0,'
        '"delta":{"type":"text_delta","text":"It computes"}}\n\nevent: message_stop\ndata: {"type":"message_stop"}\n\n',
        errors=CALL_ERRORS,
    ),
    "anthropic.count_tokens": Operation(
        "chat",
        answers.TokenCount,
        {"input_tokens": 12},
        body=message_schemas.CountRequest,
        bodies={"an example": CHAT},
        errors=CALL_ERRORS,
    ),
    "responses.responses": Operation(
        "chat",
        other_answers.ResponseObject,
        _RESPONSE,
        body=response_schemas.ResponsesRequest,
        bodies={
            "whole": {"model": "auto", "input": "Explain quantum computing"},
            "streamed": {"model": "auto", "input": "Explain quantum computing", "stream": True},
        },
        events='event: response.output_text.delta\ndata: {"type":"response.output_text.delta","sequence_number":4,'
        '"item_id":"msg_aura1","output_index":0,"content_index":0,"delta":"It computes"}\n\n',
        errors=CALL_ERRORS,
    ),
    "responses.response": Operation("chat", other_answers.ResponseObject, _RESPONSE, errors=(400, 404)),
    "responses.forget": Operation(
        "chat",
        other_answers.ResponseDeleted,
        {"id": "resp_aura1", "object": "response", "deleted": True},
        errors=(404,),
    ),
    "responses.cancel": Operation(
        "chat",
        other_answers.ResponseObject,
        errors=(400, 404),
        note="Always 400: none is made in the background.",
    ),
    "responses.input_items": Operation(
        "chat",
        other_answers.Items,
        {
            "object": "list",
            "data": [{"id": "msg_in_aura1", "type": "message", "role": "user", "content": []}],
            "first_id": "msg_in_aura1",
            "last_id": "msg_in_aura1",
            "has_more": False,
        },
        query=(
            ("order", "asc or desc; the last is first otherwise."),
            ("after", "The id of the item behind which the page begins."),
            ("limit", "How many, from 1 to 100."),
        ),
        errors=(400, 404),
    ),
    "ollama.chat": _ollama(
        other_answers.OllamaChat,
        {
            "model": "gpt-4o-mini",
            "created_at": _WHEN,
            "message": {"role": "assistant", "content": "It computes with amplitudes."},
            "done": True,
        },
        {"whole": {**CHAT, "stream": False}, "line by line": CHAT},
        body=ollama_schemas.ChatRequest,
        events=_lines("message", '{"role":"assistant","content":"It"}', '{"role":"assistant","content":""}'),
        events_type=LINES,
        event=other_answers.OllamaChat,
    ),
    "ollama.generate": _ollama(
        other_answers.OllamaText,
        {"model": "gpt-4o-mini", "created_at": _WHEN, "response": "It computes with amplitudes.", "done": True},
        {
            "whole": {"model": "auto", "prompt": "Explain quantum computing", "stream": False},
            "line by line": {"model": "auto", "prompt": "Explain quantum computing"},
        },
        body=ollama_schemas.GenerateRequest,
        events=_lines("response", '"It"', '""'),
        events_type=LINES,
        event=other_answers.OllamaText,
    ),
    "ollama.embed": _ollama(
        other_answers.OllamaEmbeddings,
        {"model": "nomic-embed-text", "embeddings": [[0.0123, -0.0456]]},
        {"an example": {"model": "nomic-embed-text", "input": ["Quantum computing", "Cooking"]}},
        body=ollama_schemas.EmbedRequest,
    ),
    "ollama.embeddings": _ollama(
        other_answers.OllamaEmbedding,
        {"embedding": [0.0123, -0.0456]},
        {"an example": {"model": "nomic-embed-text", "prompt": "Quantum computing"}},
        body=ollama_schemas.EmbeddingsRequest,
    ),
    "ollama.show": Operation(
        "ollama",
        other_answers.OllamaShown,
        {"capabilities": ["completion", "tools"], "details": {"family": "aura"}},
        body={"type": "object", "required": ["model"], "properties": {"model": {"type": "string"}}},
        bodies={"an example": {"model": "auto"}},
        errors=(400, 404, 408, 413, 415),
    ),
    "ollama.tags": Operation("ollama", other_answers.OllamaModels, {"models": [{"name": "auto", "model": "auto"}]}),
    "ollama.running": Operation("ollama", other_answers.OllamaModels, {"models": []}),
    "ollama.version": Operation("ollama", other_answers.OllamaVersion, {"version": "0.13.3"}),
}
