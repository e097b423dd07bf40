"""What requests to the doors that are no chats may hold."""

from __future__ import annotations

from typing import Any

from marshmallow import INCLUDE, Schema, pre_load, validate

from ..call import Json
from ..errors import BadRequest
from ..strict_json import kind
from .messages import refuse
from .schemas import MAX_MODEL, Checked, Integer, Text, check_model, check_object, refuse_steering, refuse_wrong

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


class EmbeddingsRequest(Schema):
    """The body of ``POST /v1/embeddings``. Fields that are not listed are passed on as they are."""

    class Meta:
        unknown = INCLUDE

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
        """Refuse what would steer the gateway itself."""
        refuse_steering(data)
        return data


class PassedRequest(Schema):
    """The body of a request that is passed on as it is; its provider knows what else belongs in it."""

    class Meta:
        unknown = INCLUDE

    model = Checked(check_model, "The provider's model, or provider/model.", type="string", maxLength=MAX_MODEL)

    @pre_load
    def refuse_steering(self, data: Json, **_kwargs: Any) -> Json:
        """Refuse what would steer the gateway itself."""
        refuse_steering(data)
        return data


_EMBEDDINGS, _PASSED = EmbeddingsRequest(), PassedRequest()


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
