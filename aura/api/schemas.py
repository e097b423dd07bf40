"""What a chat request may hold: one marshmallow schema, and a quick way through it.

Requests are validated, never loaded: what goes on is the client's own dict, with everything in it that is unknown here.

Facts
  - marshmallow coerces ("5" is 5, "yes" is true): the fields here take a value as it is or not at all. An integer is
    written without a point (5.0 is none), a boolean is neither a number nor a string.
  - OpenAI's parameters may be null, but for ``model`` and ``messages``: clients send those so that they leave out.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from marshmallow import ValidationError, fields, pre_load, validate, validates_schema

from ..call import Json
from ..strict_json import kind
from .checking import RequestSchema, refuse_wrong
from .messages import MAX_MESSAGES, check_messages, refuse
from .tools import (
    MAX_TOOLS,
    check_function_call,
    check_functions,
    check_response_format,
    check_tool_choice,
    check_tools,
)

MAX_MODEL = 128
MAX_STOP = 4
MAX_FALLBACKS = 16
MAX_LOGIT_BIAS = 1024
MAX_INT32 = 2**31 - 1
MAX_INT64 = 2**63 - 1
# A name, or names divided by slashes: no part begins with a dot, so that none climbs in a path.
_MODEL = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:@+-]*(/[A-Za-z0-9@][A-Za-z0-9._:@+-]*)*")
_TOKEN = re.compile(r"[0-9]{1,10}")

# Names by which clients of other gateways steer the gateway, or its HTTP client: refused aloud, never passed on.
STEERING = frozenset(
    {
        "api_base",
        "base_url",
        "api_key",
        "api_version",
        "azure_endpoint",
        "deployment_id",
        "organization",
        "custom_llm_provider",
        "headers",
        "extra_headers",
        "extra_body",
        "timeout",
        "stream_timeout",
        "verify",
        "cert",
        "proxies",
        "hooks",
        "cache",
        "mock_response",
        "constructor",
    }
)
STEERING_PREFIXES = ("litellm_", "aura_", "__")


class _Strict(fields.Field[Any]):
    """A value that is one of some classes already."""

    expected = ""
    classes: tuple[Any, ...] = ()

    def __init__(self, description: str, **options: Any) -> None:
        super().__init__(allow_none=True, metadata={"description": description}, **options)

    def _deserialize(self, value: Any, *_args: Any, **_options: Any) -> Any:
        if value.__class__ not in self.classes:
            refuse(f"must be {self.expected}, not {kind(value)}")
        return value

    def passes(self, value: Any) -> bool:
        """Whether ``deserialize`` would take a value."""
        return value is None or value.__class__ in self.classes


class _Ranged(_Strict):
    """A number in a range. The validator also tells the documentation of it."""

    def __init__(self, low: float, high: float, description: str) -> None:
        limits = validate.Range(low, high, error=f"must lie between {low} and {high}")
        super().__init__(description, validate=limits)
        self._low, self._high = low, high

    def passes(self, value: Any) -> bool:
        """Whether ``deserialize`` would take a value."""
        if value.__class__ in self.classes:
            return bool(self._low <= value <= self._high)
        return value is None


class Number(_Ranged, fields.Float):
    """A number of JSON in a range."""

    expected, classes = "a number", (float, int)


class Integer(_Ranged, fields.Integer):
    """A number of JSON without a point, in a range."""

    expected, classes = "an integer", (int,)


class Flag(_Strict, fields.Boolean):
    """true or false, nothing like it."""

    expected, classes = "true or false", (bool,)


class Text(_Strict, fields.String):
    """A string."""

    expected, classes = "a string", (str,)


class Checked(fields.Raw):
    """A value that a function checks; ``shape`` is its JSON schema for the documentation."""

    def __init__(
        self, check: Callable[[Any], None], description: str, *, needed: bool = False, null: bool = True, **shape: Any
    ) -> None:
        super().__init__(
            required=needed,
            allow_none=null,
            error_messages={"required": "is missing", "null": "must not be null"},
            metadata={"description": description, **shape},
        )
        self._check = check

    def _deserialize(self, value: Any, *_args: Any, **_options: Any) -> Any:
        self._check(value)
        return value

    def passes(self, value: Any) -> bool:
        """Whether ``deserialize`` would take a value; it may say no by the error itself."""
        if value is None:
            return self.allow_none
        self._check(value)
        return True


def check_object(value: Any) -> None:
    """Check an object whose members are not looked at."""
    if value.__class__ is not dict:
        refuse(f"must be an object, not {kind(value)}")


def check_model(model: Any) -> None:
    """Check the form of a model's name; whether there is such a model is the router's to say."""
    if model.__class__ is not str:
        refuse(f"must be a string, not {kind(model)}")
    if not 1 <= len(model) <= MAX_MODEL:
        refuse(f"must have 1 to {MAX_MODEL} characters, not {len(model)}")
    if not _MODEL.fullmatch(model):
        refuse("must be a model's name, or provider/model: letters, digits and ._:@+- only")


def check_stop(stop: Any) -> None:
    """Check ``stop``: a string or up to four."""
    if stop.__class__ is str:
        return
    if stop.__class__ is not list:
        refuse(f"must be a string or an array of strings, not {kind(stop)}")
    if not 1 <= len(stop) <= MAX_STOP:
        refuse(f"must hold 1 to {MAX_STOP} strings, not {len(stop)}")
    for item in stop:
        if item.__class__ is not str:
            refuse(f"must hold strings, not {kind(item)}")


def check_logit_bias(bias: Any) -> None:
    """Check ``logit_bias``: token ids and numbers."""
    if bias.__class__ is not dict:
        refuse(f"must be an object, not {kind(bias)}")
    if len(bias) > MAX_LOGIT_BIAS:
        refuse(f"must hold at most {MAX_LOGIT_BIAS} tokens, not {len(bias)}")
    for token, value in bias.items():
        if not _TOKEN.fullmatch(token):
            refuse("must have token ids as names")
        if value.__class__ is not int and value.__class__ is not float:
            refuse(f"must be a number, not {kind(value)}", (token,))
        if not -100 <= value <= 100:
            refuse("must lie between -100 and 100", (token,))


def check_stream_options(options: Any) -> None:
    """Check ``stream_options``."""
    if options.__class__ is not dict:
        refuse(f"must be an object, not {kind(options)}")
    for name in ("include_usage", "include_obfuscation"):
        value = options.get(name)
        if value is not None and value.__class__ is not bool:
            refuse(f"must be true or false, not {kind(value)}", (name,))


def check_modalities(modalities: Any) -> None:
    """Check ``modalities``."""
    if modalities.__class__ is not list or not all(item in ("text", "audio") for item in modalities):
        refuse("must be an array of text and audio")


def check_fallbacks(fallbacks: Any) -> None:
    """Check ``fallbacks``: targets by name, never addresses."""
    if fallbacks.__class__ is not list:
        refuse(f"must be an array of strings, not {kind(fallbacks)}")
    if len(fallbacks) > MAX_FALLBACKS:
        refuse(f"must hold at most {MAX_FALLBACKS} targets, not {len(fallbacks)}")
    for item in fallbacks:
        if item.__class__ is not str:
            refuse(f"must hold strings, not {kind(item)}")
    for index, item in enumerate(fallbacks):
        if not (len(item) <= MAX_MODEL and _MODEL.fullmatch(item)):
            refuse("must be a target, as provider/model", (index,))


def check_together(body: Json) -> None:
    """Check what depends on another field."""
    if body.get("stream_options") is not None and body.get("stream") is not True:
        raise ValidationError("is allowed only together with stream: true", "stream_options")


_ONE_OR_MORE_TEXTS = [
    {"type": "string"},
    {"type": "array", "items": {"type": "string"}, "minItems": 1, "maxItems": MAX_STOP},
]
_NAME_OR_OBJECT = [{"type": "string"}, {"type": "object"}]


class ChatRequest(RequestSchema):
    """The body of ``POST /v1/chat/completions``. Fields that are not listed are passed on as they are."""

    model = Checked(
        check_model,
        "auto, a tier (eco, balanced, premium), a model's name, or provider/model.",
        needed=True,
        null=False,
        type="string",
        pattern=f"^{_MODEL.pattern}$",
        minLength=1,
        maxLength=MAX_MODEL,
    )
    messages = Checked(
        check_messages,
        "The conversation so far.",
        needed=True,
        null=False,
        type="array",
        minItems=1,
        maxItems=MAX_MESSAGES,
        items={"type": "object"},
    )
    stream = Flag("Whether the answer comes as server-sent events.")
    stream_options = Checked(check_stream_options, "Options of a stream; only with stream: true.", type="object")
    max_tokens = Integer(1, MAX_INT32, "The most tokens of the answer.")
    max_completion_tokens = Integer(1, MAX_INT32, "The most tokens of the answer, reasoning among them.")
    temperature = Number(0, 2, "How freely tokens are chosen.")
    top_p = Number(0, 1, "The share of probability that tokens are chosen from.")
    n = Integer(1, 128, "How many answers are wanted.")
    stop = Checked(check_stop, "Up to four strings that end the answer.", oneOf=_ONE_OR_MORE_TEXTS)
    presence_penalty = Number(-2, 2, "Makes what was said already less probable.")
    frequency_penalty = Number(-2, 2, "Makes what was said often less probable.")
    logit_bias = Checked(check_logit_bias, "Token ids and how much more probable each is made.", type="object")
    logprobs = Flag("Whether the answer tells the tokens' probabilities.")
    top_logprobs = Integer(0, 20, "How many alternatives each token is shown with.")
    seed = Integer(-MAX_INT64 - 1, MAX_INT64, "Asks for the same answer to the same request.")
    user = Text("The caller's own name for its user.")
    tools = Checked(
        check_tools, "Functions that the model may call.", type="array", maxItems=MAX_TOOLS, items={"type": "object"}
    )
    tool_choice = Checked(check_tool_choice, "none, auto, required, or the tool to call.", oneOf=_NAME_OR_OBJECT)
    parallel_tool_calls = Flag("Whether several tools may be called in one turn.")
    functions = Checked(check_functions, "The older form of tools.", type="array", items={"type": "object"})
    function_call = Checked(check_function_call, "The older form of tool_choice.", oneOf=_NAME_OR_OBJECT)
    response_format = Checked(check_response_format, "text, json_object or json_schema.", type="object")
    reasoning_effort = Text("How long a reasoning model thinks.")
    verbosity = Text("How long the answer should be.")
    service_tier = Text("The provider's class of service.")
    modalities = Checked(check_modalities, "What the answer is made of.", type="array", items={"type": "string"})
    audio = Checked(check_object, "The voice and format of a spoken answer.", type="object")
    prediction = Checked(check_object, "What most of the answer is expected to be.", type="object")
    metadata = Checked(check_object, "The caller's own notes.", type="object")
    store = Flag("Whether the provider keeps the answer.")
    prompt_cache_key = Text("Groups requests for the provider's prompt cache.")
    safety_identifier = Text("A stable name of the user, for the provider's abuse detection.")
    web_search_options = Checked(check_object, "Options of the provider's web search.", type="object")
    provider = Checked(check_object, "OpenRouter's preferences, an object.", null=False, type="object")
    fallbacks = Checked(
        check_fallbacks, "Targets to try after the plan's.", null=False, type="array", items={"type": "string"}
    )
    aura = Checked(
        check_object, "Options of this gateway: tier, fallbacks, cache, max_cost_usd.", null=False, type="object"
    )

    @pre_load
    def refuse_steering(self, data: Json, **_kwargs: Any) -> Json:
        """Refuse what would steer the gateway itself."""
        refuse_steering(data)
        return data

    @validates_schema
    def check_together(self, data: Json, **_kwargs: Any) -> None:
        """Check what depends on another field."""
        check_together(data)


SCHEMA = ChatRequest()
# Of the schema's own fields, by name: what is taken is declared once, above.
_PASSES: dict[str, Callable[[Any], bool]] = {name: field.passes for name, field in SCHEMA.load_fields.items()}  # type: ignore[attr-defined]
_NEEDED = [name for name, field in SCHEMA.load_fields.items() if field.required]


def check_chat(body: Json) -> None:
    """Refuse a chat request that is not well formed; BadRequest names the first field that is wrong."""
    if not _surely_right(body):
        refuse_wrong(SCHEMA, body)


def refuse_steering(body: Json) -> None:
    """Refuse what would steer the gateway itself."""
    for name in body:
        if steers(name):
            raise ValidationError("is not taken from a request: the gateway's operator decides it", name)
    preferred = body.get("provider", {})
    if preferred.__class__ is not dict:  # OpenRouter's preferences; other gateways take a name, or an address
        raise ValidationError(f"must be an object, not {kind(preferred)}", "provider")


def _surely_right(body: Json) -> bool:
    """Whether the schema would take a request: the fields that it uses are asked, and none of the others."""
    try:
        for name, value in body.items():
            passes = _PASSES.get(name)
            if passes is None:
                if steers(name):
                    return False
            elif not passes(value):
                return False
        check_together(body)
    except ValidationError:
        return False
    return all(name in body for name in _NEEDED)


def steers(name: str) -> bool:
    """Whether a field would steer the gateway itself, or its HTTP client."""
    return name in STEERING or name.startswith(STEERING_PREFIXES)
