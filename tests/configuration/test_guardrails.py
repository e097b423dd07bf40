"""The guardrails' settings: off unless they are said, and checked before anything is served."""

from __future__ import annotations

import pytest

from aura.settings import GuardrailSettings, ModerationSettings

from .loading import KEYS, loaded, problems


def test_nothing_is_guarded_by_default():
    assert loaded().guardrails == GuardrailSettings(pii="off", moderation=None)


@pytest.mark.parametrize("mode", ["off", "mask", "block"])
def test_the_mode_is_said_in_a_file_or_a_variable(mode):
    """YAML reads a bare ``off`` as false elsewhere."""
    assert loaded(f"aura: {{guardrails: {{pii: {mode}}}}}").guardrails.pii == mode
    assert loaded(env={"AURA_GUARDRAILS_PII": mode}).guardrails.pii == mode


def test_a_tenant_may_have_a_mode_of_its_own():
    keys = loaded("aura: {auth: {keys: [{name: a, key: key-of-a, pii: block}, {name: b, key: key-of-b}]}}").auth.keys

    assert [key.pii for key in keys] == ["block", None]


def test_moderation_is_a_mapping_in_a_file_or_a_variable():
    text = "{provider: openai, model: own, timeout: 2s, on-failure: allow}"
    expected = ModerationSettings("openai", "own", 2.0, "allow")

    assert loaded(f"aura: {{guardrails: {{moderation: {text}}}}}", KEYS).guardrails.moderation == expected
    assert loaded(env=KEYS | {"AURA_GUARDRAILS_MODERATION": text}).guardrails.moderation == expected
    assert loaded("aura: {guardrails: {moderation: off}}").guardrails.moderation is None


def test_what_could_not_be_judged_is_refused_unless_the_operator_says_otherwise():
    moderation = loaded("aura: {guardrails: {moderation: {provider: openai}}}", KEYS).guardrails.moderation

    assert moderation == ModerationSettings("openai", "omni-moderation-latest", 5.0, "block")


@pytest.mark.parametrize(
    ("said", "problem"),
    [
        ("pii: hide", "must be one of off, mask, block"),
        ("moderation: true", "must be off, or a mapping"),
        ("moderation: {model: own}", "is missing"),
        ("moderation: {provider: openai, on-failure: retry}", "must be one of block, allow"),
        ("moderation: {provider: openai, timeout: 0s}", "must be at least 0.001"),
        ("moderation: {provider: groq}", "there is no provider 'groq' that is on"),
        ("moderation: {provider: anthropic}", "anthropic is of type anthropic: only openai has a moderation endpoint"),
        ("modration: {provider: openai}", "did you mean 'moderation'?"),
    ],
)
def test_what_is_wrong_is_told_with_its_place(said, problem):
    ((place, told),) = problems(f"aura: {{guardrails: {{{said}}}}}", KEYS)

    assert "aura.guardrails" in place
    assert problem in told
