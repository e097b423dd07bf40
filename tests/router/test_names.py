"""What a request's ``model`` means: a closed table."""

import pytest

from aura.call import Tier
from aura.errors import BadRequest, NotFound
from aura.settings import ModelSettings

from .world import SimulatedFleet, call, default_providers, judge, names, never, provider, router

FLEET = SimulatedFleet()
ECO = ["openai/gpt-3.5-turbo", "anthropic/claude-3-haiku-20240307"]
BALANCED = ["openai/gpt-4o-mini", "anthropic/claude-3-sonnet-20240229"]
PREMIUM = ["openai/gpt-4o", "anthropic/claude-3-5-sonnet-20241022"]


def planned(made, name, tier=None, **more):
    return made.plan(call(name, **more), judge(tier) if tier else never, FLEET)


@pytest.mark.parametrize(
    "name", ["auto", "aura", "AUTO", "gpt-4", "my-model", "a", "x" * 128, "org:model@v1+fast_2.0-b"]
)
def test_a_name_that_nobody_lists_is_classified(name):
    plan = planned(router(), name, Tier.BALANCED)

    assert Tier.BALANCED is plan.tier
    assert plan.verdict.score == 0.5
    assert [*BALANCED, *PREMIUM, *ECO] == names(plan)
    assert not plan.pinned


def test_a_request_without_a_model_is_classified():
    body = call()
    del body.body["model"]

    assert names(router().plan(body, judge(Tier.ECO), FLEET))[:2] == ECO


@pytest.mark.parametrize(
    "name",
    [
        *(
            "",
            " ",
            "-gpt",
            ".gpt",
            "gpt 4",
            "gpt-4\n",
            "g\u0440t",
            "../../etc/passwd",
            "/gpt-4o",
            "openai/",
            "openai//gpt-4o",
        ),
        *(
            "http://169.254.169.254/latest",
            "openai/../gpt-4o",
            "openai/gpt-4o?x=1",
            "openai/gpt-4o#",
            "a%2fb",
            "x" * 129,
        ),
        *(None, 4, True, ["gpt-4o"], {"name": "gpt-4o"}),
    ],
)
def test_a_name_of_another_form_is_refused(name):
    with pytest.raises(BadRequest) as refused:
        planned(router(), name)

    assert (refused.value.status, refused.value.param) == (400, "model")


@pytest.mark.parametrize(
    ("name", "tier"),
    [
        *(("eco", Tier.ECO), ("balanced", Tier.BALANCED), ("premium", Tier.PREMIUM)),
        *(("aura-eco", Tier.ECO), ("aura-balanced", Tier.BALANCED), ("Aura-Premium", Tier.PREMIUM), ("ECO", Tier.ECO)),
    ],
)
def test_a_tiers_name_is_that_tier_and_is_not_classified(name, tier):
    plan = planned(router(), name)

    assert tier is plan.tier
    assert plan.verdict is None
    assert {Tier.ECO: ECO, Tier.BALANCED: BALANCED, Tier.PREMIUM: PREMIUM}[tier] == names(plan)[:2]


@pytest.mark.parametrize(
    "name",
    [
        *("openai/gpt-4o", "anthropic/claude-3-haiku-20240307"),  # listed in a tier
        *("openai/o3-mini", "openai/gpt-4-0613", "anthropic/claude-sonnet-4-20250514"),  # the vendor has it
    ],
)
def test_a_pinned_target_is_the_whole_plan(name):
    plan = planned(router(), name)

    assert [name] == names(plan)
    assert plan.pinned
    assert plan.verdict is None


@pytest.mark.parametrize(
    "name", ["openai/gpt-99", "openai/claude-3-haiku-20240307", "anthropic/gpt-4o", "nobody/gpt-4o"]
)
def test_a_pinned_target_that_its_provider_does_not_list_is_not_found(name):
    with pytest.raises(NotFound) as refused:
        planned(router(), name)

    assert (refused.value.status, refused.value.code, refused.value.param) == (404, "model_not_found", "model")


def test_a_provider_that_is_off_is_no_provider():
    providers = [*default_providers(), provider("azure", premium=["gpt-4"], kind="azure", enabled=False)]

    with pytest.raises(NotFound):
        planned(router(providers), "azure/gpt-4")


def test_extra_models_can_be_pinned_but_belong_to_no_tier():
    made = router([provider("local", ["small"], extra_models=("large", "org/huge"))])

    assert names(planned(made, "local/large")) == ["local/large"]
    assert names(planned(made, "local/org/huge")) == ["local/org/huge"]
    assert names(planned(made, "auto", Tier.PREMIUM)) == ["local/small"]


def test_a_provider_with_a_star_takes_any_model():
    made = router([provider("local", ["small"], extra_models=("*",))])

    assert names(planned(made, "local/whatever/you.like")) == ["local/whatever/you.like"]
    assert all(name != "*" for name, _, _ in made.models())


def test_a_name_with_a_slash_that_a_provider_lists_is_a_models_name():
    """OpenRouter's names look like a pin, but its first part is no provider."""
    made = router([provider("openrouter", ["meta-llama/llama-3-70b"], premium=["big"])])

    assert names(planned(made, "meta-llama/llama-3-70b", Tier.ECO)) == [
        "openrouter/meta-llama/llama-3-70b",
        "openrouter/big",
    ]
    assert names(planned(made, "openrouter/meta-llama/llama-3-70b")) == ["openrouter/meta-llama/llama-3-70b"]


def test_the_first_slash_divides_where_both_readings_are_possible():
    entries = [provider("openai", ["gpt-4o"]), provider("openrouter", ["openai/gpt-4o", "openai/special"])]
    made = router(entries)

    assert names(planned(made, "openai/gpt-4o")) == ["openai/gpt-4o"]
    assert not planned(made, "openai/special", Tier.ECO).pinned


def test_a_deployment_is_pinned_by_its_own_name():
    made = router([provider("azure", kind="azure", deployment_name="team-a", extra_models=("team-b",))])

    assert names(planned(made, "azure/team-a")) == ["azure/team-a"]
    assert names(planned(made, "azure/team-b")) == ["azure/team-b"]


@pytest.mark.parametrize("name", ["gpt-4o", "claude-3-5-sonnet-20241022", "gpt-4-turbo"])
def test_a_catalogue_name_is_only_a_hint_by_default(name):
    assert Tier.ECO is planned(router(), name, Tier.ECO).tier


@pytest.mark.parametrize(
    ("name", "judged", "tier"),
    [
        ("gpt-4o-mini", Tier.PREMIUM, Tier.BALANCED),
        ("gpt-4o-mini", Tier.ECO, Tier.ECO),
        ("gpt-4o", Tier.PREMIUM, Tier.PREMIUM),
        ("claude-3-haiku", Tier.BALANCED, Tier.ECO),  # by the catalogue: not configured under this name
        ("nobody-knows-it", Tier.PREMIUM, Tier.PREMIUM),
    ],
)
def test_a_ceiling_is_the_named_models_tier(name, judged, tier):
    plan = planned(router(requested_model="ceiling"), name, judged)

    assert tier is plan.tier


def test_nothing_above_a_ceiling_is_in_the_plan():
    assert [*BALANCED, *ECO] == names(planned(router(requested_model="ceiling"), "gpt-4o-mini", Tier.PREMIUM))


def test_a_model_of_several_tiers_belongs_to_the_highest():
    made = router([provider("p", ["m"], ["m"], ["top"])], requested_model="ceiling")

    assert names(planned(made, "m", Tier.PREMIUM)) == ["p/m"]


def test_a_respected_model_comes_first_then_its_tiers_others():
    plan = planned(router(requested_model="respect"), "claude-3-sonnet-20240229")

    assert ["anthropic/claude-3-sonnet-20240229", "openai/gpt-4o-mini", *PREMIUM, *ECO] == names(plan)
    assert Tier.BALANCED is plan.tier
    assert not plan.pinned


def test_a_respected_model_that_only_the_vendor_lists_is_asked_too():
    plan = planned(router(requested_model="respect"), "gpt-4.1-mini")

    assert ["openai/gpt-4.1-mini", *BALANCED] == names(plan)[:3]


def test_a_respected_model_of_several_providers_is_asked_at_each():
    entries = [provider("east", ["m"], premium=["x"]), provider("west", ["m"])]

    assert names(planned(router(entries, requested_model="respect"), "m")) == ["east/m", "west/m", "east/x"]


def test_a_respected_model_that_nobody_serves_leaves_its_tier():
    assert names(planned(router(requested_model="respect"), "gemini-2.5-flash"))[:2] == BALANCED


@pytest.mark.parametrize("policy", ["ceiling", "respect"])
@pytest.mark.parametrize("name", ["auto", "eco", "nobody-knows-it"])
def test_a_policy_concerns_catalogue_names_only(policy, name):
    plain, other = router(), router(requested_model=policy)

    assert names(plain.plan(call(name), judge(Tier.ECO), FLEET)) == names(
        other.plan(call(name), judge(Tier.ECO), FLEET)
    )


def test_models_are_the_tiers_and_every_target_by_itself_and_pinned():
    made = router([provider("p", ["small"], ["small"], extra_models=("big",)), provider("q", ["small"])])

    listed = made.models()

    assert [name for name, _, _ in listed] == [
        "auto",
        "eco",
        "balanced",
        "premium",
        "small",
        "big",
        "p/small",
        "q/small",
        "p/big",
    ]
    assert {"aura", "p", "q"} == {owner for _, _, owner in listed}


@pytest.mark.parametrize("model", ["eco", "gpt-4o", "openai/gpt-4o", "anthropic/claude-3-haiku-20240307"])
def test_every_listed_model_can_be_asked_for(model):
    made = router()

    assert model in [name for name, _, _ in made.models()]
    assert names(made.plan(call(model), judge(Tier.ECO), FLEET))


def test_the_baseline_is_the_first_premium_target_unless_named():
    assert router().baseline().name == "gpt-4o"
    assert router([provider("p", ["small"])]).baseline().name == "small"
    assert router(baseline="gpt-4o-mini").baseline().name == "gpt-4o-mini"
    assert router(baseline="anthropic/claude-3-opus-20240229").baseline().price.input == 15
    assert router(baseline="gpt-4-turbo").baseline().price.input == 10
    assert router([]).baseline() is None


def test_embeddings_fail_over_only_within_the_same_model():
    entries = [
        provider("openai", ["gpt-4o"]),
        provider("other", ["text-embedding-3-small"]),
        provider("third", extra_models=("text-embedding-3-small",)),
    ]

    plan = planned(router(entries), "text-embedding-3-small", door="embeddings")

    assert names(plan) == ["other/text-embedding-3-small", "third/text-embedding-3-small"]


@pytest.mark.parametrize("name", ["auto", "eco", "nobody-knows-it"])
def test_embeddings_need_a_models_name(name):
    with pytest.raises(NotFound):
        planned(router(), name, door="embeddings")


def test_a_chat_model_makes_no_embeddings_and_an_embedding_model_no_chat():
    made = router([provider("openai", ["text-embedding-3-small"])])

    with pytest.raises(BadRequest, match="no chat model"):
        planned(made, "openai/text-embedding-3-small")
    with pytest.raises(BadRequest, match="no embeddings"):
        planned(made, "openai/gpt-4o", door="embeddings")


def test_an_operators_base_model_stands_behind_a_deployments_name():
    made = router([provider("azure", premium=[ModelSettings("prod-1", base_model="gpt-4o-mini")], kind="azure")])

    plan = planned(made, "azure/prod-1")

    assert (plan.targets[0].model.name, plan.targets[0].model.context_window) == ("prod-1", 128000)
    assert plan.targets[0].model.price.input == 0.15
