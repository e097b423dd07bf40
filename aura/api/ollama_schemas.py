"""What requests in Ollama's grammar may hold at their top; what lies deeper is checked where it is translated.

Facts
  - Older clients send what they leave out as empty texts, lists and objects, or as null.
  - What is unknown here is forwarded to an Ollama server: newer versions of its clients know more.
"""

from __future__ import annotations

from typing import Any

from marshmallow import pre_load

from ..call import Json
from ..strict_json import kind
from .checking import RequestSchema
from .message_schemas import MAX_BLOCKS, MAX_TOOLS, Checker, array_of
from .messages import MAX_MESSAGES, refuse
from .requests import check_input
from .schemas import (
    MAX_INT32,
    MAX_MODEL,
    Checked,
    Flag,
    Integer,
    Text,
    check_fallbacks,
    check_model,
    check_object,
    refuse_steering,
)


def _check_think(value: Any) -> None:
    if value.__class__ is not bool and value not in ("low", "medium", "high", "max"):
        refuse("must be true, false, low, medium, high or max")


def _check_format(value: Any) -> None:
    if value.__class__ is not dict and value not in ("", "json"):
        refuse("must be json or a JSON schema")


def _check_keep_alive(value: Any) -> None:
    if value.__class__ not in (str, int, float):
        refuse(f"must be a duration, not {kind(value)}")


class _Request(RequestSchema):
    """What all requests have."""

    model = Checked(
        check_model,
        "auto, a tier (eco, balanced, premium), a model's name, or provider/model.",
        needed=True,
        null=False,
        type="string",
        minLength=1,
        maxLength=MAX_MODEL,
    )
    options = Checked(check_object, "How the model is run: temperature, num_predict, stop, num_ctx, …", type="object")
    keep_alive = Checked(_check_keep_alive, "How long an Ollama server keeps the model in memory.")
    fallbacks = Checked(check_fallbacks, "Targets to try after the plan's.", null=False, type="array")
    aura = Checked(check_object, "Options of this gateway.", null=False, type="object")

    @pre_load
    def refuse_steering(self, data: Json, **_kwargs: Any) -> Json:
        """Refuse what would steer the gateway itself."""
        refuse_steering(data)
        return data


class _Answered(_Request):
    stream = Flag("Whether the answer comes line by line, as it does unless this is false.")
    format = Checked(_check_format, "json, or the JSON schema of the answer.")
    think = Checked(_check_think, "Whether, or how much, the model thinks first.")
    logprobs = Flag("Whether each token is shown with its probability.")
    top_logprobs = Integer(0, 20, "How many alternatives each token is shown with.")


class ChatRequest(_Answered):
    """The body of ``POST /api/chat``."""

    messages = Checked(
        array_of("messages", 0, MAX_MESSAGES), "The conversation so far; empty only loads the model.", type="array"
    )
    tools = Checked(array_of("tools", 0, MAX_TOOLS), "Tools that the model may call.", type="array")


class GenerateRequest(_Answered):
    """The body of ``POST /api/generate``."""

    prompt = Text("The text; empty only loads the model.")
    system = Text("What the model is told first.")
    suffix = Text("What comes after the answer; at Ollama servers only.")
    template = Text("Another template than the model's; at Ollama servers only.")
    raw = Flag("Whether the prompt is no question but the model's very input; at Ollama servers only.")
    images = Checked(array_of("images", 0, MAX_BLOCKS), "Images in base64.", type="array")
    context = Checked(array_of("tokens", 0, MAX_INT32), "What an earlier answer told; at Ollama servers only.")


def _check_embedded(given: Any) -> None:
    if given not in ("", []):
        check_input(given)


class EmbedRequest(_Request):
    """The body of ``POST /api/embed``."""

    input = Checked(_check_embedded, "A text, or an array of texts; none only loads the model.")
    truncate = Flag("Whether a text that is too long is cut, as it is unless this is false.")
    dimensions = Integer(1, 65_536, "How many numbers an embedding has.")


class EmbeddingsRequest(_Request):
    """The body of ``POST /api/embeddings``, the older form."""

    prompt = Checked(_check_embedded, "The text; an empty one only loads the model.", type="string")


CHAT, GENERATE = Checker(ChatRequest()), Checker(GenerateRequest())
EMBED, EMBEDDINGS = Checker(EmbedRequest()), Checker(EmbeddingsRequest())
