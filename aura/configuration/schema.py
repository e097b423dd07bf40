"""The declarations of :mod:`aura.settings` as marshmallow schemas: what each key takes, and what is wrong with it."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlsplit

from marshmallow import RAISE, Schema, ValidationError, fields, validate

from ..call import TIERS, Hedge, Price, Tier
from ..settings import ClientKey, ModelSettings, ModerationSettings, Secret, Setting, declared
from . import units
from .problems import squashed, suggestion, unknown

_MISSING: dict[str, str | list[Any] | dict[Any, Any]] = {"required": "is missing"}
_MODEL = re.compile(r"[^\s\x00-\x1f\x7f]{1,256}")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,63}")
_HOST = re.compile(r"[A-Za-z0-9._-]*|\[?[0-9A-Fa-f:.]*(%[A-Za-z0-9._-]+)?\]?")
_PERCENTILE = re.compile(r"[pP]([1-9]\d?)")
_TOKEN = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_OWN_HEADERS = frozenset({"host", "content-length", "transfer-encoding", "connection", "content-type"})
_LEVELS = {"TRACE": "DEBUG", "WARN": "WARNING", "FATAL": "CRITICAL", "OFF": "CRITICAL", "FALSE": "CRITICAL"}


class Value(fields.Field[Any]):
    """A field of the kind that its declaration names."""

    def __init__(self, declaration: Setting, required: bool = False) -> None:
        super().__init__(data_key=declaration.key, required=required, allow_none=True, error_messages=_MISSING)
        self.declaration = declaration
        if declaration.least is not None or declaration.most is not None:
            self.validators.append(_between(declaration))

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> Any:
        try:
            return _READERS[self.declaration.kind](value, self.declaration)
        except ValueError as error:
            raise error if isinstance(error, ValidationError) else ValidationError(str(error)) from None


def _between(one: Setting) -> validate.Validator:
    if one.most is None:
        return validate.Range(one.least, error="must be at least {min}")
    return validate.Range(one.least, one.most, error="must lie between {min} and {max}")


def schema_of(record: type[Any], required: tuple[str, ...] = ()) -> Schema:
    """The schema of a settings record; keys that are not in it are errors."""
    made: dict[str, fields.Field[Any]] = {name: Value(one, one.key in required) for name, one in declared(record)}
    return Schema.from_dict(made)(unknown=RAISE)


def load_record(schema: Schema, value: Mapping[str, Any]) -> dict[str, Any]:
    """Check a mapping whose keys may be written in any of relaxed binding's ways; null is as good as absent.

    Raises:
        ValidationError: messages by key.
    """
    known = {squashed(one.data_key or name): one.data_key or name for name, one in schema.fields.items()}
    strange = {key: [unknown(key, known.values())] for key in value if squashed(key) not in known}
    named = {known[squashed(key)]: one for key, one in value.items() if squashed(key) in known and one is not None}
    try:
        loaded: dict[str, Any] = schema.load(named)
    except ValidationError as error:
        raise ValidationError({**error.messages_dict, **strange}) from None
    if strange:
        raise ValidationError(strange)
    return loaded


def _scalar(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError("must be a single value")
    return value


def _text(value: Any, _: Setting) -> str:
    text = _scalar(value).strip()
    if any(ord(character) < 32 for character in text):
        raise ValueError("must be one line without control characters")
    return text


def _host(value: Any, _: Setting) -> str:
    text = _scalar(value).strip()
    if not _HOST.fullmatch(text):
        raise ValueError("must be a host's name or address, without a port")
    return text.removeprefix("[").removesuffix("]")


def _choice(value: Any, one: Setting) -> str:
    text = _scalar(value).strip().lower()
    if text not in one.choices:
        raise ValueError(f"must be one of {', '.join(one.choices)}")
    return text


def _level(value: Any, one: Setting) -> str:
    text = _scalar(value).strip().upper()
    text = _LEVELS.get(text, text)
    if text not in one.choices:
        raise ValueError(f"must be one of {', '.join(one.choices)}, TRACE, WARN, FATAL, OFF")
    return text


def _names(value: Any, one: Setting) -> tuple[str, ...] | frozenset[str]:
    listed = units.names(value) if isinstance(value, str) else value
    if not isinstance(listed, list) or not all(isinstance(name, str) and name for name in listed):
        raise ValueError("must be a list of names")
    for name in listed:
        if one.choices and name not in one.choices:
            raise ValueError(f"{name!r} is not known{suggestion(name, one.choices)}")
    return frozenset(listed) if one.choices else tuple(dict.fromkeys(listed))


def _url(value: Any, _: Setting) -> str:
    """A base URL, without the slash at its end."""
    text = _scalar(value)
    if not text:
        return ""
    if not text.isascii() or any(ord(character) <= 32 or ord(character) == 127 for character in text):
        raise ValueError("must be a URL without blanks, control or non-ASCII characters")
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        raise ValueError("is not a valid URL") from None
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("must be a URL that begins with https:// or http:// and a host")
    if "@" in parts.netloc or parts.username is not None:
        raise ValueError("must not hold a user or a password")
    if "?" in text or "#" in text:
        raise ValueError("must not hold a query or a fragment")
    if port == 0 or not re.fullmatch(r"[A-Za-z0-9._-]+|[0-9a-fA-F:.]+", parts.hostname) or "\\" in text:
        raise ValueError("is not a valid URL")
    return text.rstrip("/")


def secret(value: Any, _: Setting | None = None) -> Secret:
    """A secret; what is wrong with it is said without it."""
    if not isinstance(value, str):
        raise ValueError("must be a single text")
    if value != value.strip():
        raise ValueError("begins or ends with white space (a line end, often)")
    return Secret(value)


def key_problem(text: str) -> str | None:
    """What makes a key unfit for a header."""
    if any(character in "\r\n" for character in text):
        return "holds a line end"
    if any(character.isspace() for character in text):
        return "holds white space"
    if not all(33 <= ord(character) <= 126 for character in text):
        return "holds a character that cannot stand in a header"
    return None


def _models(value: Any, _: Setting) -> dict[Tier, tuple[ModelSettings, ...]]:
    if not isinstance(value, dict):
        raise ValueError("must be a mapping of tiers (premium, balanced, eco) to models")
    out, wrong = {}, {}
    for tier, listed in value.items():
        try:
            if tier.upper() not in TIERS:
                raise ValidationError(unknown(tier, ["premium", "balanced", "eco"]))
            if tier.upper() in out:
                raise ValidationError("is there twice, in other letters")
            out[Tier(tier.upper())] = _tier(listed)
        except ValidationError as error:
            wrong[tier] = error.messages
    if wrong:
        raise ValidationError(wrong)
    return {tier: out[tier] for tier in TIERS if out.get(tier)}


def _tier(value: Any) -> tuple[ModelSettings, ...]:
    listed = units.names(value) if isinstance(value, str) else value
    listed = [value] if isinstance(value, dict) and value else listed
    if not isinstance(listed, list):
        raise ValidationError("must be a model's name, a list of names, or models with their keys")
    out, wrong = [], {}
    for number, one in enumerate(listed):
        try:
            out.append(_model(one))
        except ValidationError as error:
            wrong[str(number)] = error.messages
    if wrong:
        raise ValidationError(wrong if len(listed) > 1 else wrong["0"])
    if len({model.name for model in out}) < len(out):
        raise ValidationError("names a model twice")
    return tuple(out)


def _model(value: Any) -> ModelSettings:
    loaded = load_record(_MODEL_SCHEMA, value if isinstance(value, dict) else {"name": value})
    if not _MODEL.fullmatch(loaded["name"]):
        raise ValidationError("a model's name has no blanks and at most 256 characters")
    return ModelSettings(**loaded)


def _price(value: Any, _: Setting) -> Price:
    if not isinstance(value, dict):
        raise ValueError("must be a mapping {input, output, cached-read, cached-write, cached-write-1h}")
    return Price(**load_record(_PRICE_SCHEMA, value))


def _moderation(value: Any, _: Setting) -> ModerationSettings | None:
    if isinstance(value, str) and value.strip().lower() in ("off", "false", "none"):
        return None
    if not isinstance(value, dict):
        raise ValueError("must be off, or a mapping {provider, model, timeout, on-failure}")
    return ModerationSettings(**load_record(_MODERATION_SCHEMA, value))


def _hedge(value: Any, _: Setting) -> Hedge | None:
    if isinstance(value, str) and not units.boolean(value):
        return None
    if not isinstance(value, dict):
        raise ValueError("must be a mapping {after, at-most}, or off")
    said = load_record(_HEDGE_SCHEMA, value)
    return Hedge(**_after(said.get("after", "p95")), at_most=_share(said.get("at_most", "5%")))


def _after(text: str) -> dict[str, float]:
    """A percentile or a duration, as members of a :class:`Hedge`."""
    found = _PERCENTILE.fullmatch(text)
    if found:
        return {"percentile": int(found[1]) / 100}
    try:
        seconds = units.duration(text)
    except ValueError:
        seconds = 0.0
    if seconds <= 0:
        raise ValidationError({"after": ["must be a percentile such as p95, or a duration such as 2s"]})
    return {"seconds": seconds}


def _share(text: str) -> float:
    try:
        share = units.number(text[:-1]) / 100 if text.endswith("%") else units.number(text)
    except ValueError:
        share = 0.0
    if not 0 < share <= 1:
        raise ValidationError({"at-most": ["must be a share such as 5%, above 0 and at most 100%"]})
    return share


def _headers(value: Any, _: Setting) -> dict[str, Secret]:
    if not isinstance(value, dict):
        raise ValueError("must be a mapping of names to values")
    out = {}
    for name, text in value.items():
        if not _TOKEN.fullmatch(name) or name.lower() in _OWN_HEADERS:
            raise ValidationError({name: ["is not the name of a header that can be set"]})
        if not isinstance(text, str) or any(not (32 <= ord(one) <= 126 or 160 <= ord(one) <= 255) for one in text):
            raise ValidationError({name: ["must be one line of Latin letters"]})
        out[name.lower()] = Secret(text.strip())
    return out


def _targets(value: Any, one: Setting) -> dict[str, tuple[str, ...]]:
    if not isinstance(value, dict):
        raise ValueError("must be a mapping of names to lists of provider/model")
    out = {}
    for name, listed in value.items():
        found = _names(listed, one)
        if not _MODEL.fullmatch(name) or "/" in name:
            raise ValidationError({name: ["is not a name without blanks and slashes"]})
        if not found or any("/" not in target.strip("/") for target in found):
            raise ValidationError({name: ["must be a list of provider/model"]})
        out[name] = tuple(found)
    return out


def _keys(value: Any, _: Setting) -> tuple[ClientKey, ...]:
    listed = [keyed_line(part) for part in units.names(value)] if isinstance(value, str) else value
    if not isinstance(listed, list) or not all(isinstance(one, dict) for one in listed):
        raise ValueError("must be a list of {name, key, admin}")
    out, wrong = [], {}
    for number, one in enumerate(listed):
        try:
            out.append(client_key(one))
        except ValidationError as error:
            wrong[str(number)] = error.messages
    if wrong:
        raise ValidationError(wrong)
    return tuple(out)


def keyed_line(text: str) -> dict[str, str]:
    """A client's key as ``name:key``, with ``admin`` and ``setting=value`` behind it where they are wanted.

    Raises:
        ValueError: it is none.
    """
    name, divided, rest = text.strip().partition(":")
    key, *words = rest.split() if rest[:1].strip() else [""]
    if not divided or not key:
        raise ValueError("must be name:key")
    out = {"name": name.strip(), "key": key}
    for word in words:
        setting, divided, value = word.partition("=")
        # What stands here may be a part of the key, so it is not shown.
        if setting in out or setting not in _KEY_SETTINGS or not (divided or word == "admin"):
            raise ValueError("must be name:key, with 'admin' or 'setting=value' behind it")
        out[setting] = value if divided else "true"
    return out


def client_key(value: Mapping[str, Any]) -> ClientKey:
    """Check one client's key.

    Raises:
        ValidationError: without the key.
    """
    loaded = load_record(_KEY_SCHEMA, value)
    if not _NAME.fullmatch(loaded["name"]):
        raise ValidationError({"name": ["must be letters, digits, '.', '_', '-' or '@', at most 64"]})
    problem = key_problem(loaded["key"].reveal())
    if problem or not loaded["key"]:
        raise ValidationError({"key": [problem or "is empty"]})
    return ClientKey(**loaded)


def _plain(read: Callable[[str], Any]) -> Callable[[Any, Setting], Any]:
    return lambda value, _: read(_scalar(value))


_READERS: dict[str, Callable[[Any, Setting], Any]] = {
    "text": _text,
    "secret": secret,
    "url": _url,
    "host": _host,
    "integer": _plain(units.integer),
    "number": _plain(units.number),
    "duration": _plain(units.duration),
    "size": _plain(units.size),
    "boolean": _plain(units.boolean),
    "names": _names,
    "choice": _choice,
    "level": _level,
    "models": _models,
    "headers": _headers,
    "targets": _targets,
    "keys": _keys,
    "price": _price,
    "moderation": _moderation,
    "hedge": _hedge,
}
_MODEL_SCHEMA = schema_of(ModelSettings, ("name",))
_KEY_SCHEMA = schema_of(ClientKey, ("name", "key"))
_MODERATION_SCHEMA = schema_of(ModerationSettings, ("provider",))
_KEY_SETTINGS = tuple(one.key for _, one in declared(ClientKey) if one.key not in ("name", "key"))
_PRICE_SCHEMA = Schema.from_dict(
    {
        name: Value(Setting(name.replace("_", "-"), "number", None, "", least=0), name in ("input", "output"))
        for name in ("input", "output", "cached_read", "cached_write", "cached_write_1h")
    }
)(unknown=RAISE)
_HEDGE_SCHEMA = Schema.from_dict(
    {name: Value(Setting(name.replace("_", "-"), "text", None, "")) for name in ("after", "at_most")}
)(unknown=RAISE)
