"""Tools, tool choice and response format."""

import pytest

from aura.api import schemas
from aura.errors import BadRequest

HELLO = {"model": "auto", "messages": [{"role": "user", "content": "hi"}]}


def function(name: object = "get_weather", **fields: object) -> dict:
    return {"type": "function", "function": {"name": name, **fields}}


def schema(**fields: object) -> dict:
    return {"response_format": {"type": "json_schema", "json_schema": {"name": "x", **fields}}}


ACCEPTED = [
    {"tools": [function(), function("a.b/c:d-e_F1", description=None, parameters=None, strict=None)]},
    {"tools": [function(parameters={"type": "object", "properties": {}}, description="d", strict=True, x=1)]},
    {"tools": [function("n" * 128)] * 128},
    {"tools": [{"type": "custom", "custom": {"name": "sql", "description": "d", "format": {"type": "text"}}}]},
    {"functions": [{"name": "f", "parameters": {}}]},
    *({"tool_choice": choice} for choice in ("none", "auto", "required")),
    {"tool_choice": {"type": "function", "function": {"name": "f"}}},
    {"tool_choice": {"type": "custom", "custom": {"name": "f"}}},
    {"tool_choice": {"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": [{"type": "function"}]}}},
    *({"function_call": choice} for choice in ("none", "auto", {"name": "f"})),
    {"response_format": {"type": "text"}},
    {"response_format": {"type": "json_object"}},
    schema(),
    schema(schema={"type": "object"}, strict=True, description="d"),
]


@pytest.mark.parametrize("fields", ACCEPTED)
def test_the_documented_forms_are_accepted(fields):
    schemas.check_chat({**HELLO, **fields})


REFUSED = [
    ({"tools": []}, "tools"),
    ({"tools": [function()] * 129}, "tools"),
    ({"tools": ["x"]}, "tools"),
    ({"tools": [function(), {}]}, "tools[1]"),
    ({"tools": [function(), {"x": 1}]}, "tools[1].type"),
    ({"tools": [{"type": "function"}]}, "tools[0].function"),
    ({"tools": [{"type": "function", "function": "f"}]}, "tools[0].function"),
    ({"tools": [{"type": "shell", "function": {"name": "f"}}]}, "tools[0].type"),
    ({"tools": [{"type": 5}]}, "tools[0].type"),
    ({"tools": [{"type": "custom", "custom": {"name": ""}}]}, "tools[0].custom.name"),
    ({"tools": [function(), function(None)]}, "tools[1].function.name"),
    ({"tools": [function(), function(7)]}, "tools[1].function.name"),
    ({"tools": [function(), function("")]}, "tools[1].function.name"),
    ({"tools": [function(), function("get weather")]}, "tools[1].function.name"),
    ({"tools": [function(), function("f\n")]}, "tools[1].function.name"),
    ({"tools": [function(), function("n" * 129)]}, "tools[1].function.name"),
    ({"tools": [function(description=5)]}, "tools[0].function.description"),
    ({"tools": [function(parameters="{}")]}, "tools[0].function.parameters"),
    ({"tools": [function(parameters=[])]}, "tools[0].function.parameters"),
    ({"tools": [function(strict="yes")]}, "tools[0].function.strict"),
    ({"functions": [{"parameters": {}}]}, "functions[0].name"),
    ({"tool_choice": "any"}, "tool_choice"),
    ({"tool_choice": ""}, "tool_choice"),
    ({"tool_choice": True}, "tool_choice"),
    ({"tool_choice": {"type": "function"}}, "tool_choice.function"),
    ({"tool_choice": {"type": "function", "function": {}}}, "tool_choice.function.name"),
    ({"tool_choice": {"type": "shell"}}, "tool_choice.type"),
    ({"tool_choice": {"type": "allowed_tools", "allowed_tools": {"mode": "x"}}}, "tool_choice.allowed_tools.mode"),
    ({"tool_choice": {"type": "allowed_tools", "allowed_tools": {"mode": "auto"}}}, "tool_choice.allowed_tools.tools"),
    ({"function_call": "f"}, "function_call"),
    ({"function_call": {"name": 5}}, "function_call.name"),
    ({"response_format": {"type": "xml"}}, "response_format.type"),
    ({"response_format": {"type": ["text"]}}, "response_format.type"),
    ({"response_format": {"schema": {}}}, "response_format.type"),
    ({"response_format": {"type": "json_schema"}}, "response_format.json_schema"),
    (schema(name=None), "response_format.json_schema.name"),
    (schema(name="a b"), "response_format.json_schema.name"),
    (schema(schema="{}"), "response_format.json_schema.schema"),
    (schema(strict=1), "response_format.json_schema.strict"),
]


@pytest.mark.parametrize(("fields", "param"), REFUSED)
def test_another_form_is_refused_by_its_path(fields, param):
    with pytest.raises(BadRequest) as caught:
        schemas.check_chat({**HELLO, **fields})

    assert caught.value.param == param
