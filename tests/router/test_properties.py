"""What holds for every call and every configuration."""

import random

from hypothesis import given
from hypothesis import strategies as st

from aura.call import Tier
from aura.errors import AuraError, BadRequest, NotFound
from aura.settings import ModelSettings, ProviderSettings

from .world import KNOWN, SimulatedFleet, call, judge, router

NAMES = ["gpt-3.5-turbo", "gpt-4o", "o1", "claude-3-haiku-20240307", "llama3", "llava", "gemma3", "unknown-to-all"]
PARTS = {
    "text": {"type": "text", "text": "Hello"},
    "data image": {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}},
    "url image": {"type": "image_url", "image_url": {"url": "https://example.com/cat.png"}},
    "audio": {"type": "input_audio", "input_audio": {"data": "AA==", "format": "wav"}},
}
models = st.lists(st.sampled_from(NAMES), max_size=3, unique=True).map(lambda names: tuple(map(ModelSettings, names)))
providers = st.lists(
    st.tuples(st.sampled_from(["openai", "anthropic", "ollama", "azure"]), st.tuples(models, models, models)),
    min_size=1,
    max_size=3,
).map(
    lambda entries: [
        ProviderSettings(f"p{n}", kind, models=dict(zip(Tier, listed, strict=True)))
        for n, (kind, listed) in enumerate(entries)
    ]
)
settings = st.fixed_dictionaries(
    {
        "strategy": st.sampled_from(["priority", "cost", "latency", "weighted", "least-busy"]),
        "requested_model": st.sampled_from(["route", "ceiling", "respect"]),
        "spill": st.sampled_from(["any", "up", "none"]),
    }
)
bodies = st.fixed_dictionaries(
    {
        "model": st.sampled_from(["auto", "eco", "premium", "p0/gpt-4o", *NAMES]),
        "messages": st.lists(
            st.lists(st.sampled_from(sorted(PARTS)), min_size=1, max_size=3).map(
                lambda kinds: {"role": "user", "content": [PARTS[kind] for kind in kinds]}
            ),
            min_size=1,
            max_size=3,
        ),
    },
    optional={
        "max_tokens": st.integers(1, 20_000),
        "tools": st.just([{"type": "function", "function": {"name": "f"}}]),
        "aura": st.fixed_dictionaries({"max_cost_usd": st.floats(0, 0.1)}),
        "fallbacks": st.lists(st.sampled_from(["p0/gpt-4o", "p0/llama3"]), max_size=2),
    },
)


@given(providers, settings, bodies, st.sampled_from(Tier), st.sets(st.integers(0, 20)), st.integers(0, 9))
def test_a_plan_holds_only_configured_targets_that_can_serve_each_once(entries, chosen, body, tier, down, seed):
    made = router(entries, random=random.Random(seed).random, **chosen)
    fleet = SimulatedFleet(down={target for n, target in enumerate(made.targets()) if n in down})
    try:
        plan = made.plan(call(**body), judge(tier), fleet)
    except (BadRequest, NotFound):
        return

    targets = [planned.target for planned in plan.targets]
    kinds = {part["type"] for message in body["messages"] for part in message["content"]}
    address = PARTS["url image"] in [part for message in body["messages"] for part in message["content"]]
    assert targets
    assert len(targets) == len(set(targets))
    assert not {target for target, _ in plan.left_out} & set(targets)
    for planned in plan.targets:
        target, model = planned.target, planned.model
        kind = next(entry.type for entry in entries if entry.name == target.provider)
        assert target in made.targets() or KNOWN.lists(target.model, kind)
        assert model.can("vision") or "image_url" not in kinds
        assert not (kind == "ollama" and address)
        assert model.can("audio") or "input_audio" not in kinds
        assert model.can("tools") or "tools" not in body
        longest = min(body.get("max_tokens", 0), planned.max_tokens or 20_000)
        assert model.max_output is None or model.max_output >= longest


@given(providers, bodies, st.sampled_from(Tier))
def test_a_repeated_call_gets_the_same_plan(entries, body, tier):
    made = router(entries)

    def plan():
        try:
            found = made.plan(call(**body), judge(tier), SimulatedFleet())
        except AuraError as refused:
            return refused.body()
        made.remember(call(**body), found, found.targets[0].target)
        return found

    assert plan() == plan()
