"""What answers hold, for the documentation: nothing is checked by these schemas while serving.

Answers may hold more than what is listed: a provider's own members are passed on.
"""

from __future__ import annotations

from typing import Any

from marshmallow import INCLUDE, Schema, fields


class Answer(Schema):
    """An object that may hold more than its fields."""

    class Meta:
        unknown = INCLUDE


def string(description: str, *values: str, null: bool = False) -> fields.String:
    """A string, one of some values where they are given."""
    told: dict[str, Any] = {"description": description}
    if values:
        told["enum"] = [*values, None] if null else list(values)
    return fields.String(required=True, allow_none=null, metadata=told)


def whole(description: str) -> fields.Integer:
    """A whole number."""
    return fields.Integer(required=True, metadata={"description": description})


def number(description: str, null: bool = False) -> fields.Float:
    """A number."""
    return fields.Float(required=True, allow_none=null, metadata={"description": description})


def anything(description: str, **shape: Any) -> fields.Raw:
    """A value that is described and no more; ``shape`` is its JSON schema."""
    return fields.Raw(metadata={"description": description, **shape})


def numbers(description: str) -> fields.Dict:
    """Names and numbers."""
    return fields.Dict(
        keys=fields.String(), values=fields.Float(), required=True, metadata={"description": description}
    )


class ErrorBody(Answer):
    """What is wrong."""

    message = string("One sentence that says what the reader can do.")
    type = string("Whose fault it is.", "invalid_request_error", "rate_limit_error", "server_error", "upstream_error")
    param = string("The path of the field that is wrong.", null=True)
    code = string("The kind of error, for programs.", null=True)


class Error(Answer):
    """OpenAI's error object. A stream that fails ends in one as its last event, and not in [DONE]."""

    error = fields.Nested(ErrorBody, required=True)


class AnthropicErrorBody(Answer):
    """What is wrong, in Anthropic's words."""

    type = string("The kind of error.")
    message = string("One sentence; it begins with the path of the field that is wrong.")


class AnthropicError(Answer):
    """Anthropic's error object."""

    type = string("Always error.", "error")
    error = fields.Nested(AnthropicErrorBody, required=True)
    request_id = string("The request's id.")


class Usage(Answer):
    """Tokens, as the provider counted them."""

    prompt_tokens = whole("Tokens of the prompt.")
    completion_tokens = whole("Tokens of the answer, reasoning among them.")
    total_tokens = whole("Both together.")


class ChatMessage(Answer):
    """The model's turn."""

    role = string("Always assistant.", "assistant")
    content = string("What was said; null beside tool calls.", null=True)
    tool_calls = fields.List(fields.Dict(), metadata={"description": "Functions that the model calls."})


class ChatChoice(Answer):
    """One of the answers."""

    index = whole("Its place, from 0.")
    message = fields.Nested(ChatMessage, required=True)
    finish_reason = string("Why it ended: stop, length, tool_calls, content_filter.", null=True)


class ChatCompletion(Answer):
    """A chat's answer."""

    id = string("The provider's id of the answer.")
    object = string("Always chat.completion.", "chat.completion")
    created = whole("Unix seconds.")
    model = string("The model that answered.")
    choices = fields.List(fields.Nested(ChatChoice), required=True)
    usage = fields.Nested(Usage)


class ChunkChoice(Answer):
    """A piece of one of the answers."""

    index = whole("Its place, from 0.")
    delta = anything("What has come to role, content and tool_calls.", type="object")
    finish_reason = string("Why it ended; null until then.", null=True)


class ChatCompletionChunk(Answer):
    """The data of one event of a chat's stream."""

    id = string("The provider's id of the answer.")
    object = string("Always chat.completion.chunk.", "chat.completion.chunk")
    created = whole("Unix seconds.")
    model = string("The model that answers.")
    choices = fields.List(fields.Nested(ChunkChoice), required=True)
    usage = fields.Nested(Usage, allow_none=True, metadata={"description": "In the last chunk, if it was asked for."})


class CompletionChoice(Answer):
    """One of the continuations."""

    index = whole("Its place, from 0.")
    text = string("What continues the prompt.")
    finish_reason = string("Why it ended: stop, length, content_filter.", null=True)


class Completion(Answer):
    """A text's continuation; the events of its stream have the same form."""

    id = string("The provider's id of the answer.")
    object = string("Always text_completion.", "text_completion")
    created = whole("Unix seconds.")
    model = string("The model that answered.")
    choices = fields.List(fields.Nested(CompletionChoice), required=True)
    usage = fields.Nested(Usage, allow_none=True)


class MessageUsage(Answer):
    """Tokens, in Anthropic's words."""

    input_tokens = whole("Tokens of the prompt that no cache held.")
    output_tokens = whole("Tokens of the answer.")


class Message(Answer):
    """The answer of a Messages call."""

    id = string("The provider's id of the answer.")
    type = string("Always message.", "message")
    role = string("Always assistant.", "assistant")
    model = string("The model that answered.")
    content = fields.List(fields.Dict(), required=True, metadata={"description": "Blocks: text, thinking, tool_use."})
    stop_reason = string("Why it ended: end_turn, max_tokens, stop_sequence, tool_use, refusal.", null=True)
    stop_sequence = string("What ended it.", null=True)
    usage = fields.Nested(MessageUsage, required=True)


class TokenCount(Answer):
    """How many tokens a conversation has."""

    input_tokens = whole("Its tokens; with the header x-aura-estimated, about.")


class EmbeddingsUsage(Answer):
    """Tokens of the inputs."""

    prompt_tokens = whole("Tokens of all inputs.")
    total_tokens = whole("The same.")


class Embedding(Answer):
    """One input's embedding."""

    object = string("Always embedding.", "embedding")
    index = whole("The input's place, from 0.")
    embedding = anything(
        "Numbers, or base64 of them.", oneOf=[{"type": "array", "items": {"type": "number"}}, {"type": "string"}]
    )


class Embeddings(Answer):
    """Embeddings in the order of the inputs."""

    object = string("Always list.", "list")
    model = string("The model that made them.")
    data = fields.List(fields.Nested(Embedding), required=True)
    usage = fields.Nested(EmbeddingsUsage)


class Model(Answer):
    """What can be asked for."""

    id = string("The name for model.")
    object = string("Always model.", "model")
    created = whole("Unix seconds; 0 where it is not known.")
    owned_by = string("The provider, or aura.")


class Models(Answer):
    """All that can be asked for."""

    object = string("Always list.", "list")
    data = fields.List(fields.Nested(Model), required=True)


class Planned(Answer):
    """A target of a plan."""

    target = string("provider/model.")
    tier = string("Its tier.", null=True)
    available = fields.Boolean(required=True, metadata={"description": "Whether its circuit lets it be asked now."})
    cost_usd = number("What the call would cost there.")
    priced = fields.Boolean(required=True, metadata={"description": "Whether its price is known."})


class LeftOut(Answer):
    """A target that was left out."""

    target = string("provider/model.")
    reason = string("Why.")


class Route(Answer):
    """What a chat would do."""

    object = string("Always aura.route.", "aura.route")
    tier = string("The tier that would answer.", "ECO", "BALANCED", "PREMIUM", null=True)
    score = number("How demanding the prompt is, from 0 to 1.", null=True)
    decided_by = string("classifier, or what in the request decided.")
    contributions = numbers("What each feature of the prompt adds to the score.")
    probabilities = numbers("How likely each tier is, where the classifier tells.")
    plan = fields.List(
        fields.Nested(Planned), required=True, metadata={"description": "Who would be asked, in this order."}
    )
    left_out = fields.List(fields.Nested(LeftOut), required=True)


class CacheDeleted(Answer):
    """What was forgotten."""

    object = string("Always cache.deleted.", "cache.deleted")
    deleted = whole("How many answers.")


class Health(Answer):
    """How well it is."""

    status = string("UP, DOWN or OUT_OF_SERVICE.", "UP", "DOWN", "OUT_OF_SERVICE")
    components = anything("What that rests on, by name.", type="object")
    groups = anything("The probes.", type="array", items={"type": "string"})


class Links(Answer):
    """The endpoints, as HAL links."""

    _links = fields.Dict(required=True, metadata={"description": "Addresses by name."})


class Info(Answer):
    """What runs here."""

    app = fields.Dict(required=True, metadata={"description": "Name and version."})


class MetricNames(Answer):
    """The metrics there are."""

    names = fields.List(fields.String(), required=True)


class Metric(Answer):
    """One metric."""

    name = string("Its dotted name.")
    description = string("What it counts.")
    measurements = fields.List(fields.Dict(), required=True, metadata={"description": "Statistics and their values."})
    availableTags = fields.List(  # noqa: N815  (Spring's name)
        fields.Dict(), required=True, metadata={"description": "What is left to choose from by ?tag=key:value."}
    )


class LoggerLevel(Answer):
    """One logger."""

    effectiveLevel = string("The level that holds.")  # noqa: N815  (Spring's name)
    configuredLevel = fields.String(  # noqa: N815
        allow_none=True, metadata={"description": "The level that was set for it."}
    )


class Loggers(Answer):
    """All loggers and their levels."""

    levels = fields.List(fields.String(), required=True)
    loggers = fields.Dict(required=True, metadata={"description": "Loggers by name."})


class LevelRequest(Schema):
    """The level that a logger is to have."""

    configuredLevel = fields.String(  # noqa: N815  (Spring's name)
        allow_none=True, metadata={"description": "OFF to TRACE; null gives it back the configuration's."}
    )
