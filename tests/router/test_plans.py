"""What is in a plan: targets that can serve the call, the tiers that follow, the client's own fallbacks and money."""

import random as chance

import pytest

from aura.call import KnownBody, Tier
from aura.errors import BadRequest
from aura.settings import ModelSettings

from .world import SimulatedFleet, call, judge, names, never, priced, provider, router, target

FLEET = SimulatedFleet()


def user(*parts):
    return [{"role": "user", "content": [{"type": "text", "text": "Look"}, *parts]}]


DATA_IMAGE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}}
URL_IMAGE = {"type": "image_url", "image_url": {"url": "https://example.com/cat.png"}}
AUDIO = {"type": "input_audio", "input_audio": {"data": "UklGRg==", "format": "wav"}}
FILE = {"type": "file", "file": {"file_data": "data:application/pdf;base64,JVBERi0="}}
TOOLS = [{"type": "function", "function": {"name": "f", "parameters": {}}}]
SCHEMA = {"type": "json_schema", "json_schema": {"name": "s", "schema": {"type": "object"}}}


def planned(made, tier=Tier.ECO, fleet=FLEET, **more):
    return made.plan(call(**more), judge(tier), fleet)


NEEDS = {
    "vision": {"messages": user(DATA_IMAGE)},
    "audio": {"messages": user(AUDIO)},
    "documents": {"messages": user(FILE)},
    "tools": {"tools": TOOLS},
    "json_schema": {"response_format": SCHEMA},
    "json_object": {"response_format": {"type": "json_object"}},
}


@pytest.mark.parametrize("word", NEEDS)
def test_a_body_that_many_calls_share_needs_what_it_needs_in_each(word):
    made = router([provider("p", [ModelSettings("lacking", capabilities=frozenset()), "unknown-to-all"])])
    asked = call(**NEEDS[word])
    asked.body = KnownBody(asked.body)

    plans = [made.plan(asked, judge(Tier.ECO), FLEET) for _ in range(2)]

    assert [names(plan) for plan in plans] == [["p/unknown-to-all"]] * 2


@pytest.mark.parametrize("word", NEEDS)
def test_a_target_without_a_capability_that_the_call_needs_is_left_out(word):
    lacking = ModelSettings("lacking", capabilities=frozenset(NEEDS) - {word, *({"json_schema"} & {word[:4]})})
    if word == "json_object":
        lacking = ModelSettings("lacking", capabilities=frozenset(NEEDS) - {"json_object", "json_schema"})
    made = router([provider("p", [lacking, "unknown-to-all"])])

    plan = planned(made, **NEEDS[word])

    assert names(plan) == ["p/unknown-to-all"]
    assert [target("p/lacking")] == [left for left, _ in plan.left_out]


@pytest.mark.parametrize(
    ("word", "param"),
    [
        ("vision", "messages[0].content[1]"),
        ("audio", "messages[0].content[1]"),
        ("documents", "messages[0].content[1]"),
        ("tools", "tools"),
        ("json_schema", "response_format"),
    ],
)
def test_what_nothing_can_serve_is_refused_by_name(word, param):
    made = router([provider("p", [ModelSettings("plain", capabilities=frozenset())])])

    with pytest.raises(BadRequest) as refused:
        planned(made, **NEEDS[word])

    assert param == refused.value.param
    assert "p/plain" in refused.value.message


@pytest.mark.parametrize(
    "body", [{"tools": []}, {"tools": None}, {"response_format": {"type": "text"}}, {"modalities": ["text"]}]
)
def test_what_asks_for_nothing_needs_nothing(body):
    made = router([provider("p", [ModelSettings("plain", capabilities=frozenset())])])

    assert names(planned(made, **body)) == ["p/plain"]


def test_an_image_in_an_older_turn_counts():
    messages = [*user(DATA_IMAGE), {"role": "assistant", "content": "A cat."}, {"role": "user", "content": "Sure?"}]

    assert "openai/gpt-3.5-turbo" not in names(planned(router(), messages=messages))


def test_a_pinned_target_that_cannot_serve_is_refused():
    with pytest.raises(BadRequest, match="vision"):
        planned(router(), model="openai/gpt-3.5-turbo", messages=user(DATA_IMAGE))


def test_a_server_that_fetches_nothing_gets_no_image_by_its_address():
    made = router([provider("ollama", ["llava"], kind="ollama"), provider("openai", ["gpt-4o-mini"])])

    assert names(planned(made, messages=user(DATA_IMAGE))) == ["ollama/llava", "openai/gpt-4o-mini"]
    assert names(planned(made, messages=user(URL_IMAGE))) == ["openai/gpt-4o-mini"]


@pytest.mark.parametrize(("kind", "part"), [("ollama", AUDIO), ("ollama", FILE), ("anthropic", AUDIO)])
def test_a_grammar_that_cannot_carry_a_part_is_left_out_even_with_an_unknown_model(kind, part):
    made = router([provider("p", ["unknown-to-all"], kind=kind), provider("q", ["unknown-to-all"])])

    assert names(planned(made, messages=user(part))) == ["q/unknown-to-all"]


def test_anthropics_grammar_follows_a_schema_by_a_tool():
    made = router([provider("anthropic", ["claude-3-haiku-20240307"], kind="anthropic")])

    assert names(planned(made, response_format=SCHEMA))


def test_an_emptied_tier_gives_way_to_the_next_one_up():
    plan = planned(router(), response_format=SCHEMA, max_tokens=5000)

    assert Tier.BALANCED is plan.tier
    assert names(plan)[0] == "openai/gpt-4o-mini"


def test_with_nothing_above_a_lower_tier_serves():
    plan = planned(router([provider("p", ["small"])], spill="none"), Tier.PREMIUM)

    assert (names(plan), plan.tier) == (["p/small"], Tier.ECO)


@pytest.mark.parametrize(
    ("spill", "expected"),
    [("any", ["p/b", "p/c", "p/a"]), ("up", ["p/b", "p/c"]), ("none", ["p/b"])],
)
def test_other_tiers_continue_a_plan_as_far_as_the_setting_says(spill, expected):
    made = router([provider("p", ["a"], ["b"], ["c"])], spill=spill)

    assert expected == names(planned(made, Tier.BALANCED))


def test_tiers_above_come_nearest_first_and_those_below_too():
    made = router([provider("p", ["a"], ["b"], ["c"])])

    assert names(planned(made, Tier.ECO)) == ["p/a", "p/b", "p/c"]
    assert names(planned(made, Tier.PREMIUM)) == ["p/c", "p/b", "p/a"]


def test_no_target_is_in_a_plan_twice():
    made = router([provider("p", ["a", "b"], ["b", "a"], ["b"])], requested_model="respect")

    assert names(planned(made, Tier.ECO)) == ["p/a", "p/b"]
    assert names(planned(made, model="b", fallbacks=["p/a", "p/b", "p/a"])) == ["p/b", "p/a"]


def test_a_configuration_without_tiers_cannot_be_asked_for_auto():
    with pytest.raises(BadRequest, match="provider/model"):
        planned(router([provider("p", extra_models=("*",))]))


def test_a_window_must_hold_prompt_and_answer():
    made = router(
        [provider("p", [ModelSettings("short", context_window=1000), ModelSettings("long", context_window=9000)])]
    )
    words = "word " * 600  # about 750 tokens

    assert names(planned(made, messages=[{"role": "user", "content": words}])) == ["p/short", "p/long"]
    assert names(planned(made, messages=[{"role": "user", "content": words}], max_tokens=500)) == ["p/long"]
    assert names(planned(made, messages=[{"role": "user", "content": words * 2}])) == ["p/long"]


@pytest.mark.parametrize("model", ["auto", "p/short"])
def test_a_prompt_that_no_window_holds_is_told_so(model):
    made = router([provider("p", [ModelSettings("short", context_window=100)])])

    with pytest.raises(BadRequest) as refused:
        planned(made, model=model, messages=[{"role": "user", "content": "word " * 1000}])

    assert (refused.value.code, refused.value.param) == ("context_length_exceeded", "messages")


def test_an_ollama_server_holds_what_its_setting_says():
    made = router([provider("ollama", ["llama3.1"], kind="ollama", num_ctx=100), provider("p", ["big"])])

    assert names(planned(made, messages=[{"role": "user", "content": "word " * 1000}])) == ["p/big"]


@pytest.mark.parametrize("field", ["max_tokens", "max_completion_tokens"])
def test_a_model_must_be_able_to_write_as_much_as_is_asked(field):
    made = router([provider("p", [ModelSettings("terse", max_output=100), "unknown-to-all"])])

    assert names(planned(made, **{field: 101})) == ["p/unknown-to-all"]
    assert names(planned(made, **{field: 100})) == ["p/terse", "p/unknown-to-all"]


def test_what_is_not_available_goes_last_in_the_whole_plan():
    fleet = SimulatedFleet(down={target("openai/gpt-3.5-turbo"), target("openai/gpt-4o-mini")})

    plan = planned(router(), fleet=fleet)

    assert Tier.ECO is plan.tier
    assert names(plan)[:2] == ["anthropic/claude-3-haiku-20240307", "anthropic/claude-3-sonnet-20240229"]
    assert names(plan)[-2:] == ["openai/gpt-3.5-turbo", "openai/gpt-4o-mini"]


def test_a_pinned_target_stays_first_even_if_it_is_not_available():
    fleet = SimulatedFleet(down={target("openai/gpt-4o")})

    plan = planned(router(), fleet=fleet, model="openai/gpt-4o", fallbacks=["openai/gpt-4o-mini"])

    assert names(plan) == ["openai/gpt-4o", "openai/gpt-4o-mini"]


@pytest.mark.parametrize(
    "more",
    [
        {"fallbacks": ["anthropic/claude-3-haiku-20240307"]},
        {"aura": {"fallbacks": ["anthropic/claude-3-haiku-20240307"]}},
    ],
)
def test_a_pinned_call_goes_on_with_its_own_fallbacks_and_nothing_else(more):
    plan = planned(router(), model="openai/gpt-4o", **more)

    assert names(plan) == ["openai/gpt-4o", "anthropic/claude-3-haiku-20240307"]
    assert plan.pinned


def test_a_routed_calls_fallbacks_follow_its_tier():
    plan = planned(router([provider("p", ["a"], ["b"], extra_models=("x",))]), fallbacks=["p/x"])

    assert names(plan) == ["p/a", "p/x", "p/b"]


def test_a_fallback_that_cannot_serve_is_left_out():
    plan = planned(router(), model="openai/gpt-4o", messages=user(DATA_IMAGE), fallbacks=["openai/gpt-3.5-turbo"])

    assert names(plan) == ["openai/gpt-4o"]
    assert [target("openai/gpt-3.5-turbo")] == [left for left, _ in plan.left_out]


def test_money_caps_the_answer():
    made = router([provider("p", [priced("a", 0, 10)])])

    plan = planned(made, aura={"max_cost_usd": 0.005})

    assert (plan.max_tokens, plan.targets[0].max_tokens) == (500, 500)


def test_money_that_is_enough_caps_nothing():
    made = router([provider("p", [priced("a", 0, 10)])])

    assert planned(made, max_tokens=400, aura={"max_cost_usd": 0.005}).max_tokens is None
    assert planned(made, max_tokens=600, aura={"max_cost_usd": 0.005}).max_tokens == 500


def test_several_answers_share_the_money():
    made = router([provider("p", [priced("a", 0, 10)])])

    assert planned(made, n=2, aura={"max_cost_usd": 0.005}).max_tokens == 250


def test_money_caps_the_tier():
    made = router([provider("p", [priced("cheap", 1, 1)], premium=[priced("dear", 100, 1000)])])

    plan = planned(made, Tier.PREMIUM, aura={"max_cost_usd": 0.01})

    assert (names(plan), plan.tier) == (["p/cheap"], Tier.ECO)


def test_little_money_gives_a_short_answer_rather_than_none():
    made = router([provider("p", [priced("a", 0, 10)])])

    assert planned(made, aura={"max_cost_usd": 0.0002}).max_tokens == 20


@pytest.mark.parametrize("model", ["auto", "p/a"])
def test_too_little_money_for_the_cheapest_is_refused(model):
    made = router([provider("p", [priced("a", 5, 10)])])

    with pytest.raises(BadRequest) as refused:
        planned(made, model=model, aura={"max_cost_usd": 0.000001})

    assert refused.value.param == "aura.max_cost_usd"


def test_a_model_without_a_price_costs_nothing():
    made = router([provider("p", ["unknown-to-all"]), provider("ollama", ["llama3"], kind="ollama")])

    plan = planned(made, aura={"max_cost_usd": 0})

    assert names(plan) == ["p/unknown-to-all", "ollama/llama3"]
    assert plan.max_tokens is None


def test_each_target_has_its_own_limit_and_the_plan_the_least_of_them():
    made = router([provider("p", [priced("a", 0, 1), priced("b", 0, 10)])])

    plan = planned(made, aura={"max_cost_usd": 0.005})

    assert [planned.max_tokens for planned in plan.targets] == [5000, 500]
    assert plan.max_tokens == 500


class TestSignature:
    """Equal for plans that may share a cached answer."""

    def test_it_does_not_depend_on_the_fleet_or_on_chance(self):
        made = router(strategy="latency", random=chance.Random(6).random)
        down = SimulatedFleet(down={target("openai/gpt-3.5-turbo")})

        assert planned(made).signature == planned(made, fleet=down).signature

    def test_names_that_lead_to_the_same_tier_share(self):
        made = router()

        assert planned(made, model="gpt-4").signature == planned(made, model="eco").signature

    @pytest.mark.parametrize(
        "other",
        [
            {"tier": Tier.PREMIUM},
            {"model": "openai/gpt-3.5-turbo"},
            {"fallbacks": ["openai/o3-mini"]},
            {"aura": {"max_cost_usd": 0.5}},
        ],
    )
    def test_another_choice_is_another_signature(self, other):
        made = router()

        assert planned(made).signature != planned(made, **other).signature

    def test_another_configuration_is_another_signature(self):
        one, other = router([provider("p", ["a"])]), router([provider("p", ["b"])])

        assert planned(one).signature != planned(other).signature
        assert planned(one).signature == planned(router([provider("p", ["a"])])).signature


def test_a_tier_in_the_header_is_not_classified():
    plan = router().plan(call("gpt-4o", headers={"x-aura-tier": "Premium"}), never, FLEET)

    assert Tier.PREMIUM is plan.tier


def test_a_pinned_model_is_above_a_tier_in_the_header():
    plan = router().plan(call("openai/gpt-4o-mini", headers={"x-aura-tier": "premium"}), never, FLEET)

    assert (names(plan), plan.tier) == (["openai/gpt-4o-mini"], Tier.BALANCED)


def test_the_calls_own_tier_is_above_the_headers():
    asked = call(headers={"x-aura-tier": "premium"}, aura={"tier": "eco"})

    assert Tier.ECO is router().plan(asked, never, FLEET).tier


@pytest.mark.parametrize(
    ("more", "param"),
    [
        ({"headers": {"x-aura-tier": "gold"}}, "X-Aura-Tier"),
        ({"headers": {"x-aura-tier": ""}}, "X-Aura-Tier"),
        ({"aura": []}, "aura"),
        ({"aura": "eco"}, "aura"),
        ({"aura": {"teir": "eco"}}, "aura.teir"),
        ({"aura": {"tier": "gold"}}, "aura.tier"),
        ({"aura": {"tier": 1}}, "aura.tier"),
        ({"aura": {"max_cost_usd": "1"}}, "aura.max_cost_usd"),
        ({"aura": {"max_cost_usd": True}}, "aura.max_cost_usd"),
        ({"aura": {"max_cost_usd": -0.1}}, "aura.max_cost_usd"),
        ({"aura": {"max_cost_usd": float("inf")}}, "aura.max_cost_usd"),
        ({"aura": {"fallbacks": {}}}, "aura.fallbacks"),
        ({"aura": {"fallbacks": ["nobody/x"]}}, "aura.fallbacks[0]"),
        ({"fallbacks": "openai/gpt-4o"}, "fallbacks"),
        ({"fallbacks": ["openai/gpt-4o", 1]}, "fallbacks[1]"),
        ({"fallbacks": ["openai/gpt-4o", "gpt-4o"]}, "fallbacks[1]"),
        ({"fallbacks": ["openai/gpt-4o", "openai/gpt-99"]}, "fallbacks[1]"),
        ({"fallbacks": ["http://169.254.169.254/"]}, "fallbacks[0]"),
    ],
)
def test_an_option_of_another_form_is_refused_by_its_path(more, param):
    with pytest.raises(BadRequest) as refused:
        planned(router(), **more)

    assert (400, param) == (refused.value.status, refused.value.param)


@pytest.mark.parametrize(
    "aura", [{}, None, {"cache": {"mode": "off"}}, {"tier": None, "fallbacks": None, "max_cost_usd": None}]
)
def test_options_that_say_nothing_change_nothing(aura):
    assert names(planned(router())) == names(planned(router(), aura=aura))
