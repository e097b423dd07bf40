"""Which calls share an answer."""

from __future__ import annotations

import json
import timeit

import pytest

from aura.cache.key import key_of, tag
from aura.call import KnownBody

HELLO = {"messages": [{"role": "user", "content": "Hello"}]}
TOOL = {"type": "function", "function": {"name": "f", "parameters": {"type": "object", "minimum": 1}}}


def key(body: str | dict, tenant: str = "a", namespace: str = "", signature: str = "plan", door: str = "chat") -> str:
    found = key_of(door, tenant, namespace, signature, json.loads(body) if isinstance(body, str) else body)
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ('{"seed": 1, "messages": []}', '{"messages": [], "seed": 1}'),
        ('{"messages": [{"role": "user", "content": "x"}]}', '{"messages": [{"content": "x", "role": "user"}]}'),
        ('{"temperature": 0}', '{"temperature": 0.0}'),
        ('{"temperature": 0}', '{"temperature": -0.0}'),
        ('{"max_tokens": 100}', '{"max_tokens": 1e2}'),
        ('{"seed": 10000000000000000}', '{"seed": 1e16}'),
        ('{"logit_bias": {"5": 1}}', '{"logit_bias": {"5": 1.0}}'),
        ('{"tools": [{"f": {"minimum": 1}}]}', '{"tools": [{"f": {"minimum": 1.0}}]}'),
        ('{"temperature": null}', "{}"),
        ('{"temperature": 1}', "{}"),
        ('{"n": 1}', "{}"),
        ('{"n": 1.0, "top_p": 1.0}', '{"n": null}'),
        ('{"response_format": {"type": "text"}}', "{}"),
        ('{"tool_choice": "none"}', "{}"),
        ('{"logprobs": false, "parallel_tool_calls": true, "encoding_format": "float"}', "{}"),
        ('{"echo": false, "best_of": 1, "suffix": null}', "{}"),
        ('{"stop": "a"}', '{"stop": ["a"]}'),
        ('{"messages": [{"content": [{"type": "text", "text": "x"}]}]}', '{"messages": [{"content": "x"}]}'),
        ('{"tools": [], "stop": null, "logit_bias": {}}', "{}"),
        ('{"stream": true, "stream_options": {"include_usage": true}}', '{"stream": false}'),
        ('{"user": "x", "metadata": {"a": "b"}, "store": false}', '{"user": "y"}'),
        ('{"aura": {"cache": {"ttl": 5}}, "model": "auto"}', '{"model": "aura"}'),
    ],
)
def test_what_means_the_same_has_one_key(one, other):
    assert key(one) == key(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ('{"messages": [{"content": "2.0"}]}', '{"messages": [{"content": "2"}]}'),
        ('{"messages": [{"content": "a"}, {"content": "b"}]}', '{"messages": [{"content": "b"}, {"content": "a"}]}'),
        ('{"temperature": 0}', "{}"),
        ('{"temperature": 0.5}', '{"temperature": 0.50001}'),
        ('{"seed": 1}', '{"seed": 2}'),
        ('{"seed": 0}', "{}"),
        ('{"stop": ["a", "b"]}', '{"stop": "a"}'),
        (
            '{"messages": [{"content": [{"type": "text", "text": "x", "cache_control": {}}]}]}',
            '{"messages": [{"content": "x"}]}',
        ),
        (
            '{"messages": [{"content": [{"type": "text", "text": "x"}, {"type": "text", "text": "y"}]}]}',
            '{"messages": [{"content": "xy"}]}',
        ),
        ('{"logprobs": 0}', "{}"),
        ('{"logprobs": 0}', '{"logprobs": false}'),
        ('{"encoding_format": "base64"}', "{}"),
        ('{"seed": 9007199254740993}', '{"seed": 9007199254740992}'),
        ('{"n": 2}', "{}"),
        ('{"unknown": 1}', '{"unknown": true}'),
        ('{"unknown": ""}', "{}"),
        ('{"response_format": {"type": "json_object"}}', "{}"),
        (json.dumps({"tools": [TOOL]}), "{}"),
        (json.dumps({"tools": [TOOL], "tool_choice": "none"}), json.dumps({"tools": [TOOL]})),
        (json.dumps({"tools": [TOOL]}), json.dumps({"tools": [TOOL]}).replace('"f"', '"g"')),
        ('{"image": "data:image/png;base64,AAAA"}', '{"image": "data:image/png;base64,AAAB"}'),
    ],
)
def test_what_may_change_the_answer_has_a_key_of_its_own(one, other):
    assert key(one) != key(other)


def test_nothing_is_shared_between_tenants_namespaces_plans_and_doors():
    keys = {
        key(HELLO),
        key(HELLO, tenant="b"),
        key(HELLO, tenant=""),
        key(HELLO, namespace="b"),
        key(HELLO, tenant="", namespace="a"),
        key(HELLO, signature="other"),
        key(HELLO, door="embeddings"),
    }

    assert len(keys) == 7


def test_two_tenants_with_ten_thousand_prompts_share_nothing():
    keys = {key({"messages": [{"role": "user", "content": f"{n}"}]}, tenant) for n in range(10_000) for tenant in "ab"}

    assert len(keys) == 20_000


def test_keys_begin_with_their_tenant_and_namespace():
    assert key(HELLO, tenant="acme", namespace="tests").startswith(tag("acme") + tag("tests"))


def test_a_body_that_many_calls_share_has_the_key_of_each():
    shared = KnownBody(HELLO)
    scopes = [
        (door, *rest) for door in ("chat", "messages") for rest in (("a", "", "p"), ("b", "", "p"), ("a", "n", "q"))
    ]
    for _ in range(2):
        for scope in scopes:
            for _ in range(2):
                assert key_of(*scope, shared) == key_of(*scope, HELLO)


def test_a_number_that_cannot_be_written_has_no_key():
    assert key_of("chat", "", "", "", {"seed": 2**70}) is None


def test_the_key_of_a_short_chat_costs_a_few_microseconds(record_property):
    content = "Explain in three sentences how a heat pump moves heat from a cold place to a warm one. " * 3
    body = {"model": "auto", "messages": [{"role": "user", "content": content}], "temperature": 0.7, "seed": 7}
    best = min(timeit.repeat(lambda: key(body), number=1000, repeat=5)) / 1000
    record_property("key_us", round(best * 1e6, 1))

    assert best < 150e-6  # ten times what it takes: only a slip of another order is caught
