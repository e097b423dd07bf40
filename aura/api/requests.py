"""What requests to the doors that are no chats may hold."""

from __future__ import annotations

from typing import Any

from marshmallow import ValidationError, pre_load, validate, validates_schema

from ..call import Json
from ..errors import BadRequest
from ..strict_json import kind
from .checking import RequestSchema, refuse_wrong
from .messages import refuse
from .schemas import (
    MAX_INT32,
    MAX_INT64,
    MAX_MODEL,
    Checked,
    Flag,
    Integer,
    Number,
    Text,
    check_fallbacks,
    check_logit_bias,
    check_model,
    check_object,
    check_stop,
    check_stream_options,
    check_together,
    refuse_steering,
)

MAX_INPUTS = 65_536
MAX_TOKEN = 2**31 - 1


def check_input(given: Any) -> None:
    """Check the ``input`` of embeddings: a text, texts, tokens, or lists of tokens."""
    if given.__class__ is str:
        if not given:
            refuse("must not be empty")
        return
    if given.__class__ is not list:
        refuse(f"must be a string or an array, not {kind(given)}")
    if not 1 <= len(given) <= MAX_INPUTS:
        refuse(f"must hold 1 to {MAX_INPUTS} inputs, not {len(given)}")
    first = given[0].__class__
    if first is int:
        _check_tokens(given)
    elif first is str or first is list:
        _check_many(given, first)
    else:
        refuse(f"must hold strings or tokens, not {kind(given[0])}", (0,))


def _check_many(given: list[Any], one: type[Any]) -> None:
    for index, item in enumerate(given):
        if item.__class__ is not one:
            refuse(f"must hold inputs of one kind, not {kind(item)}", (index,))
        if not item:
            refuse("must not be empty", (index,))
        if one is list:
            _check_tokens(item)


def _check_tokens(tokens: list[Any]) -> None:
    for token in tokens:
        if token.__class__ is not int or not 0 <= token <= MAX_TOKEN:
            refuse("must hold tokens: whole numbers that are not negative")


def refuse_conversation(body: Json) -> None:
    """Refuse messages where there is no chat: all that judges and counts would take them for one, unchecked."""
    if "messages" in body:
        raise ValidationError("belongs to a chat: this door takes none", "messages")


class EmbeddingsRequest(RequestSchema):
    """The body of ``POST /v1/embeddings``. Fields that are not listed are passed on as they are."""

    model = Checked(
        check_model,
        "An embedding model's name, or provider/model.",
        needed=True,
        null=False,
        type="string",
        minLength=1,
        maxLength=MAX_MODEL,
    )
    input = Checked(
        check_input,
        "A text, an array of texts, an array of tokens, or an array of those.",
        needed=True,
        null=False,
        oneOf=[{"type": "string"}, {"type": "array", "minItems": 1, "maxItems": MAX_INPUTS}],
    )
    encoding_format = Text(
        "float, or base64: numbers of 32 bits, the lowest byte first.",
        validate=validate.OneOf(("float", "base64"), error="must be float or base64"),
    )
    dimensions = Integer(1, 65_536, "How many numbers an embedding has.")
    user = Text("The caller's own name for its user.")
    aura = Checked(check_object, "Options of this gateway: cache.", null=False, type="object")

    @pre_load
    def refuse_steering(self, data: Json, **_kwargs: Any) -> Json:
        """Refuse what would steer the gateway itself, and a conversation, which is a chat's."""
        refuse_steering(data)
        refuse_conversation(data)
        return data


def check_prompt(given: Any) -> None:
    """Check the ``prompt`` of a completion: a text, texts, tokens, or lists of tokens."""
    if given.__class__ is str:
        return
    check_input(given)


class CompletionRequest(RequestSchema):
    """The body of ``POST /v1/completions``. Fields that are not listed are passed on to who speaks this grammar."""

    model = Checked(
        check_model,
        "auto, a tier (eco, balanced, premium), a model's name, or provider/model.",
        needed=True,
        null=False,
        type="string",
        minLength=1,
        maxLength=MAX_MODEL,
    )
    prompt = Checked(
        check_prompt,
        "The text that is to be continued. Several, or tokens, only at a target that speaks this grammar.",
        needed=True,
        null=False,
        oneOf=[{"type": "string"}, {"type": "array"}],
    )
    stream = Flag("Whether the answer comes as server-sent events.")
    stream_options = Checked(check_stream_options, "Options of a stream; only with stream: true.", type="object")
    max_tokens = Integer(0, MAX_INT32, "The most tokens of the answer; 0 tells the prompt's own, with echo.")
    temperature = Number(0, 2, "How freely tokens are chosen.")
    top_p = Number(0, 1, "The share of probability that tokens are chosen from.")
    n = Integer(1, 128, "How many answers are wanted.")
    best_of = Integer(1, 20, "How many answers are made, of which the best are given.")
    echo = Flag("Whether the prompt stands before the answer.")
    suffix = Text("What comes after the answer.")
    logprobs = Integer(0, 5, "How many alternatives each token is shown with.")
    stop = Checked(check_stop, "Up to four strings that end the answer.")
    presence_penalty = Number(-2, 2, "Makes what was said already less probable.")
    frequency_penalty = Number(-2, 2, "Makes what was said often less probable.")
    logit_bias = Checked(check_logit_bias, "Token ids and how much more probable each is made.", type="object")
    seed = Integer(-MAX_INT64 - 1, MAX_INT64, "Asks for the same answer to the same request.")
    user = Text("The caller's own name for its user.")
    fallbacks = Checked(check_fallbacks, "Targets to try after the plan's.", null=False, type="array")
    aura = Checked(check_object, "Options of this gateway.", null=False, type="object")

    @pre_load
    def refuse_steering(self, data: Json, **_kwargs: Any) -> Json:
        """Refuse what would steer the gateway itself."""
        refuse_steering(data)
        return data

    @validates_schema
    def check_together(self, data: Json, **_kwargs: Any) -> None:
        """Check what depends on another field."""
        check_together(data)


class PassedRequest(RequestSchema):
    """The body of a request that is passed on as it is; its provider knows what else belongs in it."""

    model = Checked(check_model, "The provider's model, or provider/model.", type="string", maxLength=MAX_MODEL)
    fallbacks = Checked(check_fallbacks, "Not taken here: a call goes to the provider alone.", null=False, type="array")
    aura = Checked(
        check_object, "Options of this gateway, none of which is one of these calls'.", null=False, type="object"
    )

    @pre_load
    def refuse_steering(self, data: Json, **_kwargs: Any) -> Json:
        """Refuse what would steer the gateway itself, and a conversation, which is a chat's."""
        refuse_steering(data)
        refuse_conversation(data)
        return data


_COMPLETION, _EMBEDDINGS, _PASSED = CompletionRequest(), EmbeddingsRequest(), PassedRequest()


def check_completion(body: Json) -> None:
    """Refuse a request for a completion that is not well formed."""
    refuse_wrong(_COMPLETION, body)


def check_embeddings(body: Json) -> None:
    """Refuse a request for embeddings that is not well formed."""
    refuse_wrong(_EMBEDDINGS, body)


def check_passed(body: Json, needed: str) -> None:
    """Refuse a request that is not worth passing on.

    Args:
        needed: the field that its provider could do nothing without.
    """
    refuse_wrong(_PASSED, body)
    if body.get(needed) is None:
        raise BadRequest(f"'{needed}' is missing.", param=needed)
