"""What a Messages request may hold at its top; what lies deeper is checked where it is translated.

Facts
  - ``max_tokens`` is mandatory for an answer, and unknown to counting; 0 only fills the prompt cache.
  - Anthropic's own clients send parameters that newer versions of its grammar have: what is unknown is forwarded.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from marshmallow import ValidationError, pre_load

from ..call import Json
from ..errors import BadRequest
from ..strict_json import MAX_SHOWN, kind
from .checking import RequestSchema, faults
from .messages import MAX_MESSAGES, refuse
from .schemas import (
    MAX_INT32,
    Checked,
    Flag,
    Integer,
    Number,
    Text,
    check_fallbacks,
    check_model,
    check_object,
    refuse_steering,
    steers,
)

MAX_TOOLS = 1024
MAX_BLOCKS = 2048


def array_of(what: str, least: int, most: int) -> Any:
    """A check of an array by its length."""

    def check(value: Any) -> None:
        if value.__class__ is not list:
            refuse(f"must be an array of {what}, not {kind(value)}")
        if not least <= len(value) <= most:
            refuse(f"must hold {least} to {most} {what}, not {len(value)}")

    return check


def check_system(system: Any) -> None:
    """Check ``system``: a text, or blocks."""
    if system.__class__ is not str:
        array_of("blocks", 0, MAX_BLOCKS)(system)


class CountRequest(RequestSchema):
    """The body of ``POST /v1/messages/count_tokens``."""

    model = Checked(
        check_model,
        "auto, a tier (eco, balanced, premium), a model's name, or provider/model.",
        needed=True,
        null=False,
        type="string",
    )
    messages = Checked(
        array_of("messages", 1, MAX_MESSAGES), "The conversation so far.", needed=True, null=False, type="array"
    )
    system = Checked(check_system, "What the model is told first.")
    tools = Checked(array_of("tools", 0, MAX_TOOLS), "Tools that the model may call.", type="array")
    tool_choice = Checked(check_object, "auto, any, none, or the tool to call.", type="object")
    thinking = Checked(check_object, "Whether and how the model thinks first.", type="object")
    output_config = Checked(check_object, "The effort, and the form of the answer.", type="object")
    output_format = Checked(check_object, "The older name of output_config.format.", type="object")

    @pre_load
    def refuse_steering(self, data: Json, **_kwargs: Any) -> Json:
        """Refuse what would steer the gateway itself."""
        refuse_steering(data)
        return data


class MessagesRequest(CountRequest):
    """The body of ``POST /v1/messages``. Fields that are not listed are forwarded to Anthropic as they are."""

    max_tokens = Checked(
        Integer(0, MAX_INT32, "").deserialize,
        "The most tokens of the answer, thinking among them.",
        needed=True,
        null=False,
        type="integer",
    )
    stream = Flag("Whether the answer comes as server-sent events.")
    temperature = Number(0, 1, "How freely tokens are chosen.")
    top_p = Number(0, 1, "The share of probability that tokens are chosen from.")
    top_k = Integer(0, MAX_INT32, "How many tokens are chosen from.")
    stop_sequences = Checked(array_of("strings", 0, MAX_BLOCKS), "What ends the answer.", type="array")
    metadata = Checked(check_object, "user_id, an opaque name of the user.", type="object")
    service_tier = Text("auto or standard_only.")
    fallbacks = Checked(check_fallbacks, "Targets to try after the plan's.", null=False, type="array")
    aura = Checked(check_object, "Options of this gateway.", null=False, type="object")


class Checker:
    """Checks bodies by a schema, with a quick way through it for what is surely right."""

    def __init__(self, schema: RequestSchema) -> None:
        self._schema = schema
        # Of the schema's own fields: what is taken is declared once, above; a provider is looked at in all schemas.
        self._passes: dict[str, Callable[[Any], bool]] = {"provider": lambda value: value.__class__ is dict} | {
            name: field.passes  # type: ignore[attr-defined]
            for name, field in schema.load_fields.items()
        }
        self._needed = [name for name, field in schema.load_fields.items() if field.required]

    def check(self, body: Json) -> None:
        """Refuse what is not well formed; BadRequest names the first field that is wrong, in Anthropic's way."""
        if self.surely_right(body):
            return
        found: Any = faults(self._schema, body)
        steps: list[str] = []
        while isinstance(found, Mapping) and found:
            step, found = next(iter(found.items()))
            steps.append(str(step)[:MAX_SHOWN])
        if steps:
            raise BadRequest(str(found[0]), param=".".join(steps))

    def surely_right(self, body: Json) -> bool:
        """Whether the schema would take a body, as far as its fields say it one by one."""
        try:
            for name, value in body.items():
                passes = self._passes.get(name)
                if not (passes(value) if passes is not None else not steers(name)):
                    return False
        except ValidationError:
            return False
        return all(name in body for name in self._needed)


MESSAGES, COUNT = Checker(MessagesRequest()), Checker(CountRequest())
