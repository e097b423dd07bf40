"""The demo provider: honest, deterministic, word by word."""

import json

import jsonschema
import pytest

from aura.call import Model, Tier
from aura.catalogue import unknown
from aura.dialects.assembly import Assembler
from aura.providers import demo
from aura.settings import ProviderSettings

HELLO = {"messages": [{"role": "user", "content": "Hello"}]}


def chunks(model="demo-eco", **body):
    answer = demo.provider(ProviderSettings("demo", "demo")).answer
    return list(answer({**HELLO, **body}, unknown(model) if isinstance(model, str) else model))


def text(*args, **body):
    assembler = Assembler()
    for chunk in chunks(*args, **body):
        assembler.add(chunk.body)
    return assembler.completion()["choices"][0]["message"]["content"]


@pytest.mark.parametrize("tier", ["ECO", "BALANCED", "PREMIUM"])
def test_it_names_itself_and_the_tier_and_says_that_nothing_is_configured(tier):
    said = text(f"demo-{tier.lower()}")

    assert "demo" in said
    assert tier in said
    assert "No provider is configured" in said


def test_the_catalogues_tier_is_told_where_it_is_known():
    assert "PREMIUM" in text(Model("demo-eco", tier=Tier.PREMIUM))


def test_it_streams_word_by_word():
    words = [c.body["choices"][0]["delta"]["content"] for c in chunks() if c.content]

    assert len(words) > 20
    assert all(len(word.split()) == 1 for word in words)
    assert text() == "".join(words)


def test_it_is_a_whole_stream():
    said = chunks()

    assert (said[0].body["choices"][0]["delta"]["role"], said[0].content) == ("assistant", False)
    assert (sum(chunk.finished for chunk in said), said[-1].last) == (1, True)
    assert said[-1].usage.input > 0
    assert said[-1].usage.output > 0
    assert said[-1].body["choices"] == []


def test_the_same_request_gets_the_same_answer():
    assert chunks() == chunks()


def test_tools_are_not_pretended():
    said = chunks(tools=[{"type": "function", "function": {"name": "f"}}], tool_choice="required")

    assert not any("tool_calls" in choice["delta"] for chunk in said for choice in chunk.body["choices"])


def test_json_is_json():
    assert json.loads(text(response_format={"type": "json_object"}))["provider"] == "demo"


SCHEMAS = [
    {"type": "object", "properties": {"a": {"type": "string"}, "b": {"type": "integer"}}, "required": ["a", "b"]},
    {"type": "object", "properties": {"a": {"type": "string"}}, "required": [], "additionalProperties": False},
    {"type": "array", "items": {"enum": ["x", "y"]}, "minItems": 2},
    {"type": ["null", "string"]},
    {"anyOf": [{"type": "number", "minimum": 3}, {"type": "null"}]},
    {"type": "integer", "maximum": -2},
    {"const": 7},
    {"type": "string", "maxLength": 4},
    {"type": "boolean"},
    {
        "type": "object",
        "properties": {"x": {"$ref": "#/$defs/x"}},
        "required": ["x"],
        "$defs": {"x": {"type": "boolean"}},
    },
]


@pytest.mark.parametrize("schema", SCHEMAS)
def test_a_schema_is_satisfied(schema):
    said = json.loads(text(response_format={"type": "json_schema", "json_schema": {"name": "s", "schema": schema}}))

    jsonschema.validate(said, schema)


WIDE = {
    "type": "object",
    "properties": {f"p{i}": {"$ref": "#"} for i in range(50)},
    "required": [f"p{i}" for i in range(50)],
}
ODD = [
    {"$ref": "#"},
    {"type": "object", "properties": {"a": {"$ref": "#"}}, "required": ["a"]},
    WIDE,
    {"type": "array", "minItems": 10**12, "items": {"type": "array", "minItems": 10**12}},
    {"$ref": "#/x/y"},
    {"type": "string", "maxLength": "long"},
    {"type": "number", "minimum": "a", "maximum": []},
    {"type": "object", "required": 7, "properties": []},
    {"enum": 7, "anyOf": {}, "type": []},
    {"type": {"a": 1}},
    {},
    None,
]


@pytest.mark.parametrize("schema", ODD)
def test_a_schema_that_is_odd_or_without_an_end_still_gets_json(schema):
    said = text(response_format={"type": "json_schema", "json_schema": {"schema": schema}})

    json.loads(said)
    assert len(said) < 100_000
