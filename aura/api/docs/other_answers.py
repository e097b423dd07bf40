"""What answers hold in other grammars than OpenAI's chat and Anthropic's: Responses and Ollama's."""

from __future__ import annotations

from marshmallow import fields

from .answers import Answer, anything, number, string


class ResponseObject(Answer):
    """A response."""

    id = string("Its id.")
    object = string("Always response.", "response")
    created_at = number("Unix seconds.")
    status = string("completed, incomplete, failed or in_progress.")
    model = string("The model that answered.")
    output = fields.List(fields.Dict(), required=True, metadata={"description": "Items: messages, reasoning, calls."})
    usage = anything("Tokens, as the provider counted them.", type=["object", "null"])


class ResponseDeleted(Answer):
    """What was forgotten."""

    id = string("The response's id.")
    object = string("Always response.", "response")
    deleted = fields.Boolean(required=True)


class Items(Answer):
    """A page of items."""

    object = string("Always list.", "list")
    data = fields.List(fields.Dict(), required=True)
    first_id = string("The first item's id.", null=True)
    last_id = string("The last item's id.", null=True)
    has_more = fields.Boolean(required=True)


class OllamaError(Answer):
    """Ollama's error object."""

    error = string("One sentence; it begins with the field that is wrong.")


class OllamaChat(Answer):
    """A chat's answer, or a piece of it: a line of a stream."""

    model = string("The model that answers.")
    created_at = string("When.")
    message = fields.Dict(required=True, metadata={"description": "role, content, thinking and tool_calls."})
    done = fields.Boolean(required=True, metadata={"description": "Whether this is the end."})


class OllamaText(Answer):
    """A prompt's answer, or a piece of it: a line of a stream."""

    model = string("The model that answers.")
    created_at = string("When.")
    response = string("What was said.")
    done = fields.Boolean(required=True, metadata={"description": "Whether this is the end."})


class OllamaEmbeddings(Answer):
    """Embeddings in the order of the inputs."""

    model = string("The model that made them.")
    embeddings = fields.List(fields.List(fields.Float()), required=True)


class OllamaEmbedding(Answer):
    """One embedding."""

    embedding = fields.List(fields.Float(), required=True)


class OllamaShown(Answer):
    """A model."""

    capabilities = fields.List(fields.String(), required=True)
    details = fields.Dict(required=True)


class OllamaModels(Answer):
    """Models."""

    models = fields.List(fields.Dict(), required=True)


class OllamaVersion(Answer):
    """A version of Ollama."""

    version = string("The version whose grammar this is.")
