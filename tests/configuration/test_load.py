"""What a configuration means: each table shows what is written and what holds then."""

from __future__ import annotations

from pathlib import Path

import pytest

from aura.call import Hedge
from aura.configuration import ConfigurationError, load

from .loading import AZURE, JAVA, KEYS, VLLM, loaded, names, reach


@pytest.mark.parametrize("name", ["aura.yml", "application.yml"])
def test_the_java_services_file_means_what_it_says(name):
    Path(name).write_text(JAVA)

    settings = load(None, KEYS | AZURE)

    assert list(settings.providers) == ["openai", "anthropic"]
    assert names(settings.providers["openai"]) == {
        "premium": ["gpt-4o"],
        "balanced": ["gpt-4o-mini"],
        "eco": ["gpt-3.5-turbo"],
    }
    assert reach(settings, "providers.anthropic.api_key") == "sk-ant-1"
    assert (settings.classifier.premium_threshold, settings.classifier.balanced_threshold) == (0.7, 0.4)
    assert (
        settings.cache.enabled,
        settings.cache.type,
        settings.cache.max_entries,
        settings.cache.ttl,
    ) == (True, "local", 10_000, 3600)
    assert settings.log.level == "INFO"
    assert settings.notes == ("Provider azure is off: enabled is false, although AZURE_OPENAI_API_KEY is set.",)


def test_the_defaults_without_a_file_are_the_java_services_values():
    written = loaded(JAVA.replace("enabled: false", "enabled: true"), KEYS | AZURE)
    Path("aura.yml").unlink()
    absent = load(None, KEYS | AZURE | {"AURA_PROVIDERS_OLLAMA_ENABLED": "true"})

    assert written.providers == absent.providers
    assert list(absent.providers) == ["openai", "anthropic", "azure", "ollama"]
    assert (written.cache, written.classifier, written.log) == (absent.cache, absent.classifier, absent.log)


@pytest.mark.parametrize(
    ("text", "key", "expected"),
    [
        ("aura: {server: {port: 9090}}", "server.port", 9090),
        ("aura.server.port: 9090", "server.port", 9090),
        ("aura: {server.host: '::1'}", "server.host", "::1"),
        ("aura: {server: {max-body: 1MiB}}", "server.max_body", 1024 * 1024),
        ("aura: {server: {maxBody: 1MiB}}", "server.max_body", 1024 * 1024),
        ("aura: {server: {max_body: 1MiB}}", "server.max_body", 1024 * 1024),
        ("aura: {server: {graceful-timeout: 2m, keep-alive: 90}}", "server.graceful_timeout", 120),
        ("aura: {server: {port: '${SERVER_PORT:8181}'}}", "server.port", 8181),
        ("aura: {server: {port: }}", "server.port", 8080),
        ("aura: {router: {stream-rescue: off}}", "router.stream_rescue", False),
        ("aura: {router: {stream-rescue: 'on'}}", "router.stream_rescue", True),
        ("aura: {router: {strategy: least-busy, spill: none}}", "router.strategy", "least-busy"),
        ("aura: {router: {requested-model: ceiling}}", "router.requested_model", "ceiling"),
        ("aura: {router: {content-policy-failover: yes}}", "router.content_policy_failover", True),
        ("aura: {router: {hedge: {after: p95, at-most: 5%}}}", "router.hedge", Hedge()),
        ("aura: {router: {hedge: {after: p50}}}", "router.hedge", Hedge(0.5)),
        ("aura: {router: {hedge: {after: 1.5s, atMost: 0.2}}}", "router.hedge", Hedge(seconds=1.5, at_most=0.2)),
        ("aura: {router: {hedge: {at-most: 100%}}}", "router.hedge", Hedge(at_most=1)),
        ("aura: {router: {hedge: off}}", "router.hedge", None),
        ("aura: {router: {hedge: }}", "router.hedge", None),
        ("aura: {classifier: {premium-threshold: 1, balanced-threshold: .5}}", "classifier.balanced_threshold", 0.5),
        ("aura: {cost: {baseline-model: gpt-4o}}", "cost.baseline_model", "gpt-4o"),
        ("aura: {actuator: {public: [health, info]}}", "actuator.public", ("health", "info")),
        ("aura: {log: {level: warn, format: text}}", "log.level", "WARNING"),
        ("aura: {cache: {enabled: false}}", "cache.enabled", False),
        ("aura: {cache: {type: none}}", "cache.enabled", False),
        ("aura: {cache: {spec: 'maximumSize=5,expireAfterWrite=1m'}}", "cache.max_entries", 5),
        ("aura: {cache: {spec: 'maximumSize=5', max-entries: 7}}", "cache.max_entries", 7),
        ("aura: {cache: {spec: 'expireAfterWrite=1m'}}", "cache.ttl", 60),
        ("aura: {cache: {spec: 'maximumSize=0'}}", "cache.enabled", False),
        ("aura: {cache: {max-entry: 64KiB}}", "cache.max_entry", 65536),
        ("aura: {providers: {openai: {timeout: PT30S}}}", "providers.openai.timeout", 30),
        (
            "aura: {providers: {openai: {baseUrl: 'https://proxy.example/v1/'}}}",
            "providers.openai.base_url",
            "https://proxy.example/v1",
        ),
        ("aura: {providers: {openai: {api-key: 0123456789}}}", "providers.openai.api_key", "0123456789"),
        (
            "aura: {providers: {azure: {endpoint: https://unit, api-version: 2024-10-21, api-key: k}}}",
            "providers.azure.api_version",
            "2024-10-21",
        ),
        # The Java service's own names.
        ("server: {port: 9090, address: 127.0.0.2}", "server.port", 9090),
        ("server: {port: 9090, address: 127.0.0.2}", "server.host", "127.0.0.2"),
        ("server: {port: 9090}\naura: {server: {port: 7070}}", "server.port", 7070),
        ("spring: {cache: {type: simple}}", "cache.type", "local"),
        ("spring: {cache: {type: none}}", "cache.enabled", False),
        ("spring.cache.type: redis", "cache.type", "redis"),
        ("spring: {cache: {redis: {time-to-live: 60000}}}", "cache.ttl", 60),
        ("spring: {data: {redis: {host: cache, port: 6380}}}", "cache.redis_url", "redis://cache:6380/0"),
        (
            "spring: {data: {redis: {host: c, password: 'p@ss', ssl: {enabled: true}, database: 2}}}",
            "cache.redis_url",
            "rediss://:p%40ss@c:6379/2",
        ),
        ("spring: {data: {redis: {url: 'redis://u:p@c:1/0'}}}", "cache.redis_url", "redis://u:p@c:1/0"),
        ("spring: {lifecycle: {timeout-per-shutdown-phase: 20s}}", "server.graceful_timeout", 20),
        ("logging: {level: {root: ERROR}}", "log.level", "ERROR"),
        ("logging: {level: {root: ERROR, io.github.girisenji.ai.aura: TRACE}}", "log.level", "DEBUG"),
        ("logging: {level: {io.github.girisenji.ai.aura: TRACE, root: ERROR}}", "log.level", "DEBUG"),
        ("logging: {level: {io: {github: OFF}}}", "log.level", "CRITICAL"),
        ("logging: {level: {io.github: WARN}}\naura: {log: {level: DEBUG}}", "log.level", "DEBUG"),
        ("logging: {file: {name: aura.log}}", "log.file", "aura.log"),
    ],
)
def test_a_file_is_understood(text, key, expected):
    assert expected == reach(loaded(text, KEYS), key)


@pytest.mark.parametrize(
    ("variable", "value", "key", "expected"),
    [
        ("AURA_SERVER_PORT", "9090", "server.port", 9090),
        ("AURA_SERVER_MAX_BODY", "1MiB", "server.max_body", 1024 * 1024),
        ("AURA_SERVER_MAXBODY", "1MiB", "server.max_body", 1024 * 1024),
        ("AURA_SERVER_WORKERS", "3", "server.workers", 3),
        ("AURA_ROUTER_STREAM_RESCUE", "off", "router.stream_rescue", False),
        ("AURA_ACTUATOR_PUBLIC", "health,prometheus", "actuator.public", ("health", "prometheus")),
        ("AURA_CACHE_REDIS_URL", "redis://r:1/0", "cache.redis_url", "redis://r:1/0"),
        ("AURA_ALLOW_ANONYMOUS", "true", "auth.allow_anonymous", True),
        ("AURA_AUTH_ALLOW_ANONYMOUS", "true", "auth.allow_anonymous", True),
        ("AURA_PROVIDERS_OPENAI_TIMEOUT", "5s", "providers.openai.timeout", 5),
        ("AURA_PROVIDERS_OPENAI_API_KEY", "sk-other", "providers.openai.api_key", "sk-other"),
        ("AURA_PROVIDERS_OPENAI_BASE_URL", "https://proxy/v1", "providers.openai.base_url", "https://proxy/v1"),
        ("AURA_PROVIDERS_OPENAI_BASEURL", "https://proxy/v1", "providers.openai.base_url", "https://proxy/v1"),
        ("AURA_PROVIDERS_OPENAI_EXTRA_MODELS", "o3,gpt-4.1", "providers.openai.extra_models", ("o3", "gpt-4.1")),
        ("AURA_PROVIDERS_OPENAI_HEADERS_X_TEAM", "blue", "providers.openai.headers.x-team", "blue"),
        ("AURA_PROVIDERS_GPU_BOX_TIMEOUT", "5m", "providers.gpu-box.timeout", 300),
        ("SERVER_PORT", "9090", "server.port", 9090),
        ("SERVER_ADDRESS", "127.0.0.3", "server.host", "127.0.0.3"),
        ("SPRING_CACHE_TYPE", "caffeine", "cache.type", "local"),
        ("SPRING_CACHE_TYPE", "redis", "cache.type", "redis"),
        ("SPRING_CACHE_CAFFEINE_SPEC", "maximumSize=9", "cache.max_entries", 9),
        ("SPRING_DATA_REDIS_HOST", "cache", "cache.redis_url", "redis://cache:6379/0"),
        ("SPRING_DATA_REDIS_PORT", "6380", "cache.redis_url", "redis://localhost:6380/0"),
        ("SPRING_THREADS_VIRTUAL_ENABLED", "true", "server.port", 8080),
        ("LOGGING_LEVEL_IO_GITHUB_GIRISENJI_AI_AURA", "DEBUG", "log.level", "DEBUG"),
        ("LOGGING_LEVEL_ROOT", "warn", "log.level", "WARNING"),
    ],
)
def test_the_environment_is_understood(variable, value, key, expected):
    settings = loaded(
        f"aura: {{providers: {{gpu-box: {{type: openai, api-key: none, {VLLM}}}}}}}", KEYS | {variable: value}
    )

    assert expected == reach(settings, key)


@pytest.mark.parametrize(
    ("layers", "expected"),
    [
        ("", 8080),
        ("file", 1001),
        ("file profile", 1002),
        ("file profile later-profile", 1003),
        ("file profile later-profile java", 1004),
        ("file profile later-profile java variable", 1005),
        ("file profile later-profile java variable command", 1006),
        ("profile java", 1004),
        ("file command", 1006),
    ],
)
def test_the_later_layer_wins(layers, expected):
    said = layers.split()
    env, overrides = {"AURA_PROFILE": "prod,eu"}, {"host": None}
    if "file" in said:
        Path("aura.yml").write_text("aura: {server: {port: 1001, workers: 2}}")
    if "profile" in said:
        Path("aura-prod.yml").write_text("aura: {server: {port: 1002}}")
    if "later-profile" in said:
        Path("aura-eu.yml").write_text("aura: {server: {port: 1003}}")
    if "java" in said:
        env["SERVER_PORT"] = "1004"
    if "variable" in said:
        env["AURA_SERVER_PORT"] = "1005"
    if "command" in said:
        overrides["port"] = 1006

    settings = load(None, env, overrides)

    assert expected == settings.server.port
    assert (2 if "file" in said else 0) == settings.server.workers


def test_the_file_is_searched_in_order(folders):
    here, etc = folders
    found = []
    for place in (etc / "application.yml", etc / "aura.yml", here / "application.yml", here / "aura.yml"):
        place.write_text("{}")
        found.append(load(None, {}).files)
    (here / "named.yml").write_text("{}")

    assert [(str(etc / "application.yml"),), (str(etc / "aura.yml"),), ("application.yml",), ("aura.yml",)] == found
    assert load(None, {"AURA_CONFIG": "named.yml"}).files == ("named.yml",)
    assert load("aura.yml", {"AURA_CONFIG": "named.yml"}).files == ("aura.yml",)
    assert "application.yml is not read, because aura.yml is there." in load(None, {}).notes


@pytest.mark.parametrize(
    ("path", "env", "where"), [("no.yml", {}, "--config"), (None, {"AURA_CONFIG": "no.yml"}, "AURA_CONFIG")]
)
def test_a_file_that_is_named_must_be_there(path, env, where):
    with pytest.raises(ConfigurationError) as caught:
        load(path, env)

    assert [(where, "there is no file no.yml")] == caught.value.problems


@pytest.mark.parametrize(
    ("env", "expected"),
    [
        ({}, "gpt-a"),
        ({"SPRING_PROFILES_ACTIVE": "prod"}, "gpt-prod"),
        ({"AURA_PROFILE": "test", "SPRING_PROFILES_ACTIVE": "prod"}, "gpt-a"),
    ],
)
def test_a_profile_is_laid_on_top_key_by_key(env, expected):
    Path("application.yml").write_text("aura: {providers: {openai: {models: {premium: gpt-a, eco: gpt-e}}}}")
    Path("application-prod.yml").write_text("aura: {providers: {openai: {models: {premium: gpt-prod}}}}")

    assert {"premium": [expected], "eco": ["gpt-e"]} == names(load(None, KEYS | env).providers["openai"])


def test_a_profile_without_a_file_is_told():
    assert "The profile 'blue' has no file of its own." in load(None, {"AURA_PROFILE": "blue"}).notes


def test_a_profile_may_be_chosen_and_written_in_the_file_itself():
    text = """
spring: {profiles: {active: "${STAGE:prod}"}}
aura: {server: {port: 1001}}
---
spring: {config: {activate: {on-profile: prod}}}
aura: {server: {port: 1002}}
---
spring: {config: {activate: {on-profile: ["!prod", test]}}}
aura: {server: {port: 1003}}
"""
    assert loaded(text).server.port == 1002
    assert loaded(text, {"STAGE": "test"}).server.port == 1003


@pytest.mark.parametrize(
    ("text", "env", "told"),
    [
        (
            "",
            {"AURA_ROUTER_STRATGY": "cost"},
            "AURA_ROUTER_STRATGY is not known and ignored; did you mean 'AURA_ROUTER_STRATEGY'?",
        ),
        (
            "",
            {"AURA_PROVIDERS_GROK_API_KEY": "k"},
            "The variable AURA_PROVIDERS_GROK_API_KEY is ignored: there is no such entry;",
        ),
        ("", {"AURA_AUTH_KEYS": "ada:short"}, "Keys of fewer than 8 characters are easily guessed: that of ada."),
        ("", {"AURA_ALLOW_ANONYMOUS": "yes"}, "everyone who reaches the address may call"),
        (
            "spring: {application: {name: aura}, jpa: {a: '${X}'}}\nmanagement: {endpoint: x}",
            {},
            "Ignored, for they have no counterpart here: spring.application, spring.jpa, management.endpoint.",
        ),
        (
            "logging: {level: {org.springframework: DEBUG}}",
            {},
            "no counterpart here: logging.level.org.springframework.",
        ),
        (
            "aura: {cache: {spec: 'maximumSize=1,recordStats'}}",
            {},
            "recordStats in the cache's spec has no counterpart",
        ),
    ],
)
def test_what_is_not_understood_but_harmless_is_told(text, env, told):
    assert any(told in note for note in loaded(text, env).notes)


def test_what_kubernetes_sets_for_a_service_of_that_name_is_no_setting():
    env = {
        "AURA_SERVICE_HOST": "10.0.0.1",
        "AURA_SERVICE_PORT": "8080",
        "AURA_PORT": "tcp://10.0.0.1:8080",
        "AURA_PORT_8080_TCP_PROTO": "tcp",
        "AURA_SERVER_PORT": "tcp://10.0.0.1:8080",
    }

    settings = load(None, env)

    assert settings.server.port == 8080
    assert load(None, {}).notes == settings.notes


def test_yamls_own_means_are_understood():
    text = """
aura:
  providers:
    one: &one {type: openai, api-key: none, models: &models {eco: a}}
    two:
      <<: *one
      models: *models
      timeout: 5s
"""
    settings = loaded(text)

    assert names(settings.providers["two"]) == {"eco": ["a"]}
    assert (settings.providers["one"].timeout, settings.providers["two"].timeout) == (60, 5)
