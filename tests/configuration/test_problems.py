"""What is wrong with a configuration: named all at once, by place, with what would be right."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aura.configuration import ConfigurationError, load

from .loading import CANARY, entry, loaded, problems


@pytest.mark.parametrize(
    ("text", "where", "told"),
    [
        (
            "aura:\n  rooter: {spill: up}",
            "aura.yml, line 2 (aura.rooter)",
            "unknown key 'rooter'; did you mean 'router'?",
        ),
        (
            "aura:\n  router:\n    spil: up",
            "aura.yml, line 3 (aura.router.spil)",
            "unknown key 'spil'; did you mean 'spill'?",
        ),
        ("arua: {router: {spill: up}}", "aura.yml, line 1 (arua)", "unknown key 'arua'; did you mean 'aura'?"),
        ("providers: {openai: {}}", "aura.yml, line 1 (providers)", "belongs below 'aura', as aura.providers"),
        ("server: {workers: 3}", "aura.yml, line 1 (server.workers)", "belongs below 'aura', as aura.server.workers"),
        (
            "aura: {router: {spil: }}",
            "aura.yml, line 1 (aura.router.spil)",
            "unknown key 'spil'; did you mean 'spill'?",
        ),
        ("aura: {router: {spill: sideways}}", "aura.yml, line 1 (aura.router.spill)", "must be one of any, up, none"),
        (
            "aura: {router: {hedge: {after: p100}}}",
            "aura.yml, line 1 (aura.router.hedge.after)",
            "must be a percentile such as p95, or a duration such as 2s",
        ),
        (
            "aura: {router: {hedge: {at-most: 0}}}",
            "aura.yml, line 1 (aura.router.hedge.at-most)",
            "must be a share such as 5%, above 0 and at most 100%",
        ),
        (
            "aura: {router: {hedge: {afer: p95}}}",
            "aura.yml, line 1 (aura.router.hedge.afer)",
            "unknown key 'afer'; did you mean 'after'?",
        ),
        (
            "aura: {router: {hedge: 'on'}}",
            "aura.yml, line 1 (aura.router.hedge)",
            "must be a mapping {after, at-most}, or off",
        ),
        ("aura: {router: up}", "aura.yml, line 1 (aura.router)", "must be a mapping of keys to values"),
        ("aura: up", "aura.yml, line 1 (aura)", "must be a mapping of keys to values"),
        ("aura: {router: {spill: [up]}}", "aura.yml, line 1 (aura.router.spill)", "must be a single value"),
        ("aura: {server: {port: http}}", "aura.yml, line 1 (aura.server.port)", "must be a whole number"),
        ("aura: {server: {port: 65536}}", "aura.yml, line 1 (aura.server.port)", "must lie between 0 and 65535"),
        ("aura: {server: {port: 80.5}}", "aura.yml, line 1 (aura.server.port)", "must be a whole number"),
        ("aura: {server: {workers: -1}}", "aura.yml, line 1 (aura.server.workers)", "must lie between 0 and 1024"),
        (
            "aura: {server: {host: 'localhost:8080'}}",
            "aura.yml, line 1 (aura.server.host)",
            "must be a host's name or address, without a port",
        ),
        (
            "aura: {server: {max-body: lots}}",
            "aura.yml, line 1 (aura.server.max-body)",
            "must be a size such as 20MiB, 512KiB or a number of bytes",
        ),
        (
            "aura: {server: {graceful-timeout: soon}}",
            "aura.yml, line 1 (aura.server.graceful-timeout)",
            "must be a duration such as 60s, 500ms, 1h or PT60S",
        ),
        ("server: {port: x}", "aura.yml, line 1 (server.port)", "must be a whole number"),
        (
            "aura: {classifier: {premium-threshold: 1.1}}",
            "aura.yml, line 1 (aura.classifier.premium-threshold)",
            "must lie between 0 and 1",
        ),
        (
            "aura: {classifier: {premium-threshold: 0.3}}",
            "aura.yml, line 1 (aura.classifier.premium-threshold)",
            "must not lie below balanced-threshold, 0.4",
        ),
        (
            "aura: {classifier: {balanced-threshold: 0.8}}",
            "aura.yml, line 1 (aura.classifier.balanced-threshold)",
            "must not lie above premium-threshold",
        ),
        (
            "aura: {cache: {spec: 'expireAfterAccess=1h'}}",
            "aura.yml, line 1 (aura.cache.spec)",
            "expireAfterAccess is not supported: an answer ages from when it was written; use expireAfterWrite",
        ),
        (
            "aura: {cache: {redis-url: 'http://x'}}",
            "aura.yml, line 1 (aura.cache.redis-url)",
            "must be redis:// or rediss:// with [user:password@]host:port/database, or unix:// with a path",
        ),
        (
            "spring: {threads: {virtual: {enabled: false}}}",
            "aura.yml, line 1 (spring.threads.virtual.enabled)",
            "green threads, the counterpart of virtual threads, cannot be switched off; remove it or say true",
        ),
        (
            "aura: {server: {port: '${PORT}'}}",
            "aura.yml, line 1 (aura.server.port)",
            "the environment variable PORT is not set; write ${PORT:default} to have a default",
        ),
        (
            "aura: {auth: {keys-file: absent}}",
            "aura.yml, line 1 (aura.auth.keys-file)",
            "the file cannot be read: No such file or directory",
        ),
        (
            entry("modles: {}"),
            "aura.yml, line 1 (aura.providers.groq.modles)",
            "unknown key 'modles'; did you mean 'models'?",
        ),
        (
            entry("models: {echo: a}").replace("models: {eco: a}, ", ""),
            "aura.yml, line 1 (aura.providers.groq.models.echo)",
            "unknown key 'echo'; did you mean 'eco'?",
        ),
        (
            entry("models: {eco: [a, a]}").replace("models: {eco: a}, ", ""),
            "aura.yml, line 1 (aura.providers.groq.models.eco)",
            "names a model twice",
        ),
        (
            entry("models: {eco: [a, {nam: b}]}").replace("models: {eco: a}, ", ""),
            "aura.yml, line 1 (aura.providers.groq.models.eco.1.name)",
            "is missing",
        ),
        (
            entry("models: {eco: {name: b, capabilities: [visoin]}}").replace("models: {eco: a}, ", ""),
            "aura.yml, line 1 (aura.providers.groq.models.eco.capabilities)",
            "'visoin' is not known; did you mean 'vision'?",
        ),
        (
            entry("models: {eco: {name: b, price: {input: 1}}}").replace("models: {eco: a}, ", ""),
            "aura.yml, line 1 (aura.providers.groq.models.eco.price.output)",
            "is missing",
        ),
        (
            entry("").replace("models: {eco: a}, ", ""),
            "aura.yml, line 1 (aura.providers.groq)",
            "provider 'groq' names no models",
        ),
        (
            entry("headers: {Host: a}"),
            "aura.yml, line 1 (aura.providers.groq.headers.Host)",
            "is not the name of a header that can be set",
        ),
        (
            entry('headers: {x-a: "b\\r\\nc: d"}'),
            "aura.yml, line 1 (aura.providers.groq.headers.x-a)",
            "must be one line of Latin letters",
        ),
        (
            entry("", "gr%oq"),
            "aura.yml, line 1 (aura.providers.gr%oq)",
            "a provider's name is letters, digits, '-' and '_', and no tier's name, 'auto' or 'aura'",
        ),
        (
            entry("", "eco"),
            "aura.yml, line 1 (aura.providers.eco)",
            "a provider's name is letters, digits, '-' and '_', and no tier's name, 'auto' or 'aura'",
        ),
        (entry("", "demo"), "aura.yml, line 1 (aura.providers.demo.type)", "the name 'demo' is the built-in demo's"),
        (
            "aura: {providers: {opnai: {timeout: 5s}}}",
            "aura.yml, line 1 (aura.providers.opnai.type)",
            "provider 'opnai' needs a type; did you mean 'openai'?",
        ),
        (
            "aura: {providers: {groq: {type: gropenai}}}",
            "aura.yml, line 1 (aura.providers.groq.type)",
            "there is no provider type 'gropenai'; installed: anthropic, azure, demo, ollama, openai",
        ),
        (
            "aura: {providers: {openai: true}}",
            "aura.yml, line 1 (aura.providers.openai)",
            "must be a mapping of keys to values",
        ),
    ],
)
def test_what_is_wrong_is_named_by_place_with_what_would_be_right(text, where, told):
    assert (where, told) in problems(text)


@pytest.mark.parametrize(
    "url",
    [
        "redis://",
        "redis://:6379",
        "redis:/host",
        "redis://host:port",
        "redis://host:99999",
        "redis://host:0",
        "redis://[::1",
        "redis://host/name",
        "redis://host?db=x",
        "redis://host?unheard-of=1",
        "redis://host\n",
    ],
)
@pytest.mark.parametrize("section", ["cache", "limits"])
def test_an_address_that_no_redis_can_have_is_refused(section, url):
    (where, told), *others = problems(json.dumps({"aura": {section: {"redis-url": url}}}))

    assert f"aura.{section}.redis-url" in where
    assert told.startswith(("must be redis://", "begins or ends with white space"))
    assert others == [] or "\n" in url


@pytest.mark.parametrize(
    ("said", "where", "told"),
    [
        ({"proxy": "https://proxy:3128"}, "proxy", "must be http://host:port"),
        ({"proxy": "proxy:3128"}, "proxy", "must be http://host:port"),
        ({"proxy": "http://proxy:3128/path"}, "proxy", "must be http://host:port"),
        ({"no-proxy": ["a.test"]}, "no-proxy", "says nothing without aura.upstream.proxy"),
        ({"ca-bundle": "/nowhere/ca.pem"}, "ca-bundle", "/nowhere/ca.pem cannot be read: No such file or directory"),
        ({"ca-bundle": __file__}, "ca-bundle", f"{__file__} holds no certificate in PEM form"),
    ],
)
def test_a_way_to_providers_that_cannot_be_taken_is_refused(said, where, told):
    ((place, problem),) = problems(json.dumps({"aura": {"upstream": said}}))

    assert f"aura.upstream.{where}" in place
    assert problem.startswith(told)


@pytest.mark.parametrize(
    "url", ["redis://h", "redis://[::1]:6379/0", "rediss://u:p%40@h:1/2", "unix:///run/redis?db=1", "redis://h?db=1"]
)
def test_an_address_of_redis_is_taken(url):
    assert load(None, {"AURA_CACHE_REDIS_URL": url}).cache.redis_url.reveal() == url


@pytest.mark.parametrize(
    ("env", "where", "told"),
    [
        ({"AURA_SERVER_PORT": "http"}, "AURA_SERVER_PORT (aura.server.port)", "must be a whole number"),
        ({"SERVER_PORT": "http"}, "SERVER_PORT (server.port)", "must be a whole number"),
        (
            {"SPRING_CACHE_TYPE": "ehcache"},
            "SPRING_CACHE_TYPE (spring.cache.type)",
            "must be one of local, redis, none",
        ),
        (
            {"SPRING_THREADS_VIRTUAL_ENABLED": "false"},
            "SPRING_THREADS_VIRTUAL_ENABLED (spring.threads.virtual.enabled)",
            "green threads, the counterpart of virtual threads, cannot be switched off; remove it or say true",
        ),
        ({"AURA_AUTH_KEYS": CANARY}, "AURA_AUTH_KEYS (aura.auth.keys)", "must be name:key"),
        (
            {"AURA_AUTH_KEYS": f"a:{CANARY},a:{CANARY}2"},
            "AURA_AUTH_KEYS (aura.auth.keys)",
            "a name stands for one key only: a is there twice",
        ),
        ({"AURA_AUTH_KEYS": f"a:{CANARY},b:{CANARY}"}, "AURA_AUTH_KEYS (aura.auth.keys)", "a, b have the same key"),
        (
            {"AURA_AUTH_KEYS": f"a b:{CANARY}"},
            "AURA_AUTH_KEYS (aura.auth.keys.0.name)",
            "must be letters, digits, '.', '_', '-' or '@', at most 64",
        ),
        ({"AURA_PROFILE": "../prod"}, "profiles", "a profile's name is made of letters, digits, '.', '_' and '-'"),
    ],
)
def test_a_variable_that_is_wrong_is_named(env, where, told):
    found = problems(env=env)

    assert [(where, told)] == found


@pytest.mark.parametrize(
    ("text", "line", "told"),
    [
        ("aura: {server: {port: 1}}\naura: {}", 2, "the key 'aura' is there twice, first in line 1"),
        ("aura:\n  router: {}\n  server: {}\n  router: {}", 4, "the key 'router' is there twice, first in line 2"),
        ("aura:\n  auth: {keys: [{name: a, name: b, key: c}]}", 2, "the key 'name' is there twice, first in line 2"),
        (
            "aura:\n  providers:\n    openai:\n      models:\n        eco: a\n        ECO: b",
            6,
            "the key 'eco' is there twice in two spellings, first in line 5",
        ),
        (
            "aura:\n  server: {maxBody: 1}\n  server.max-body: 2",
            3,
            "the key 'max-body' is there twice in two spellings, first in line 2",
        ),
        ("- aura", 1, "must be a mapping of keys to values"),
        ("aura:\n\trouter: {}", 2, "is not valid YAML"),
        ("aura: {router: ", 2, "is not valid YAML"),
        ("aura: *nothing", 1, "is not valid YAML"),
        ("a: &a [*a]", 1, "is nested too deeply, or grows too large by its aliases"),
        ("? [a]\n: b", 1, "a key must be a word"),
        (
            "a: &a [x,x,x,x,x,x,x,x]\n"
            + "".join(f"{b}: &{b} [{','.join([f'*{a}'] * 8)}]\n" for a, b in zip("abcdefg", "bcdefgh", strict=True)),
            1,
            "is nested too deeply, or grows too large by its aliases",
        ),
    ],
)
def test_a_file_that_is_no_plain_mapping_is_one_problem_with_its_line(text, line, told):
    where, problem = problems(text)[0]

    assert where.startswith(f"aura.yml, line {line}") or "aliases" in told
    assert told in problem


def test_a_file_that_is_not_text_is_one_problem():
    assert problems(b"aura: \xff\xfe") == [("aura.yml", "is not UTF-8")]


def test_what_a_file_names_cannot_end_the_line_that_is_told():
    with pytest.raises(ConfigurationError) as refused:
        loaded('aura: {providers: {"a\\nb\\u2028": {type: openai}}}')

    assert len(str(refused.value).splitlines()) == 1
    assert "a\\nb\\u2028" in str(refused.value)


def test_all_problems_are_told_at_once():
    text = """
aura:
  server: {port: x}
  router: {spill: y}
  router: {spill: any}
  providers: {openai: {api-key: "${NOBODY}"}, groq: {type: nope}}
sprin: {}
"""
    found = [where.partition("(")[2].rstrip(")") for where, _ in problems(text, {"AURA_CACHE_TTL": "z"})]

    assert {
        "",
        "aura.server.port",
        "aura.router.spill",
        "aura.providers.openai.api-key",
        "aura.providers.groq.type",
        "aura.cache.ttl",
        "sprin",
    } == set(found)


@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=8) | st.sampled_from(["${A", "${A:b}", "1s"]),
        lambda below: (
            st.lists(below, max_size=3)
            | st.dictionaries(
                st.sampled_from(["aura", "providers", "openai", "models", "eco", "auth", "keys", "spring", "api-key"])
                | st.text(max_size=4),
                below,
                max_size=4,
            )
        ),
        max_leaves=12,
    )
)
def test_any_file_is_loaded_or_refused(value):
    for document in (value, {"aura": value}, {"aura": {"providers": value, "auth": value}}):
        Path("aura.yml").write_text(json.dumps(document))
        told, line = None, ""
        try:
            load(None, {"OPENAI_API_KEY": CANARY})
        except ConfigurationError as error:
            told, line = error.problems, str(error)

        assert told is None or all(where and problem for where, problem in told)
        assert len(line.splitlines()) <= 1
