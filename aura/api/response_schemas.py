"""What a Responses request may hold at its top; what lies deeper is checked where it is translated."""

from __future__ import annotations

from typing import Any

from marshmallow import ValidationError, pre_load, validates_schema

from ..call import Json
from ..strict_json import kind
from .checking import RequestSchema, refuse_wrong
from .message_schemas import Checker
from .messages import refuse
from .schemas import (
    MAX_INT32,
    MAX_MODEL,
    Checked,
    Flag,
    Integer,
    Number,
    Text,
    check_fallbacks,
    check_model,
    check_object,
    refuse_steering,
)

MAX_ITEMS = 16_384
MAX_TOOLS = 1024
MAX_METADATA = 16
# Any of them tells what is to be answered.
_ASKS = ("input", "previous_response_id", "prompt", "conversation")


def check_input(given: Any) -> None:
    """Check ``input``: a text, or items."""
    if given.__class__ is str:
        return
    if given.__class__ is not list:
        refuse(f"must be a string or an array of items, not {kind(given)}")
    if len(given) > MAX_ITEMS:
        refuse(f"must hold at most {MAX_ITEMS} items, not {len(given)}")


def check_tools(tools: Any) -> None:
    """Check ``tools``."""
    if tools.__class__ is not list:
        refuse(f"must be an array of tools, not {kind(tools)}")
    if len(tools) > MAX_TOOLS:
        refuse(f"must hold at most {MAX_TOOLS} tools, not {len(tools)}")


def check_metadata(metadata: Any) -> None:
    """Check ``metadata``: up to 16 short texts by name."""
    check_object(metadata)
    if len(metadata) > MAX_METADATA:
        refuse(f"must hold at most {MAX_METADATA} entries, not {len(metadata)}")
    for name, value in metadata.items():
        if value.__class__ is not str:
            refuse(f"must be a string, not {kind(value)}", (name[:64],))


def check_background(background: Any) -> None:
    """Check ``background``: answers are given where they are asked for."""
    if background.__class__ is not bool:
        refuse(f"must be true or false, not {kind(background)}")
    if background:
        refuse("is not taken: responses are answered at once, streamed or not")


def check_tool_choice(choice: Any) -> None:
    """Check ``tool_choice``: a word, or an object."""
    if choice.__class__ is not str and choice.__class__ is not dict:
        refuse(f"must be a string or an object, not {kind(choice)}")


def check_truncation(truncation: Any) -> None:
    """Check ``truncation``."""
    if truncation not in ("auto", "disabled"):
        refuse("must be auto or disabled")


class ResponsesRequest(RequestSchema):
    """The body of ``POST /v1/responses``. Fields that are not listed are passed on to who speaks this grammar."""

    model = Checked(
        check_model,
        "auto, a tier (eco, balanced, premium), a model's name, or provider/model.",
        needed=True,
        null=False,
        type="string",
        minLength=1,
        maxLength=MAX_MODEL,
    )
    input = Checked(
        check_input,
        "A text, or an array of items: messages, calls of tools, their results, reasoning.",
        oneOf=[{"type": "string"}, {"type": "array", "maxItems": MAX_ITEMS}],
    )
    instructions = Text("What the model is told first, in this call alone.")
    previous_response_id = Text("The response that this one goes on with.")
    store = Flag("Whether the response is kept.")
    stream = Flag("Whether the answer comes as server-sent events.")
    stream_options = Checked(check_object, "Options of a stream.", type="object")
    background = Checked(check_background, "false: answers are given at once.", type="boolean")
    max_output_tokens = Integer(1, MAX_INT32, "The most tokens of the answer, reasoning among them.")
    max_tool_calls = Integer(1, MAX_INT32, "The most calls of tools that the provider runs itself.")
    temperature = Number(0, 2, "How freely tokens are chosen.")
    top_p = Number(0, 1, "The share of probability that tokens are chosen from.")
    top_logprobs = Integer(0, 20, "How many alternatives each token is shown with.")
    tools = Checked(check_tools, "Tools that the model may call.", type="array")
    tool_choice = Checked(check_tool_choice, "none, auto, required, or the tool to call.")
    parallel_tool_calls = Flag("Whether several tools may be called in one turn.")
    text = Checked(check_object, "The form of the answer, and its verbosity.", type="object")
    reasoning = Checked(check_object, "How long a reasoning model thinks, and what it tells of that.", type="object")
    include = Checked(
        lambda value: None if value.__class__ is list else refuse(f"must be an array, not {kind(value)}"),
        "What else the answer holds.",
        type="array",
    )
    metadata = Checked(check_metadata, "The caller's own notes.", type="object")
    truncation = Checked(check_truncation, "auto or disabled.", type="string")
    user = Text("The caller's own name for its user.")
    safety_identifier = Text("A stable name of the user, for the provider's abuse detection.")
    prompt_cache_key = Text("Groups requests for the provider's prompt cache.")
    service_tier = Text("The provider's class of service.")
    fallbacks = Checked(check_fallbacks, "Targets to try after the plan's.", null=False, type="array")
    aura = Checked(check_object, "Options of this gateway.", null=False, type="object")

    @pre_load
    def refuse_steering(self, data: Json, **_kwargs: Any) -> Json:
        """Refuse what would steer the gateway itself."""
        refuse_steering(data)
        return data

    @validates_schema
    def check_asks(self, data: Json, **_kwargs: Any) -> None:
        """Check that something is asked."""
        if not _asks(data):
            raise ValidationError("is missing", "input")


_SCHEMA = ResponsesRequest()
_CHECKER = Checker(_SCHEMA)


def _asks(body: Json) -> bool:
    return any(body.get(name) for name in _ASKS)


def check_response(body: Json) -> None:
    """Refuse a request that is not well formed; BadRequest names the first field that is wrong."""
    if not (_CHECKER.surely_right(body) and _asks(body)):
        refuse_wrong(_SCHEMA, body)
