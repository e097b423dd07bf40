"""What the router's tests stand on: configurations, calls, a judge and a fleet, all of them plain data."""

from dataclasses import dataclass, field

from aura import catalogue
from aura.call import Call, Model, Price, Target, Tier, Verdict
from aura.router import Router
from aura.settings import CostSettings, ModelSettings, ProviderSettings, RouterSettings, Settings

KNOWN = catalogue.load()
TEXT = [{"role": "user", "content": "Hello"}]


def target(name: str) -> Target:
    """The target that ``provider/model`` names."""
    return Target(*name.split("/", 1))


def provider(name, eco=(), balanced=(), premium=(), kind="openai", **more):
    """A provider's entry; a model is a name or :class:`ModelSettings`."""
    models = {
        tier: tuple(ModelSettings(model) if isinstance(model, str) else model for model in listed)
        for tier, listed in zip(Tier, (eco, balanced, premium), strict=True)
    }
    return ProviderSettings(name, kind, models=models, **more)


def default_providers():
    """What a gateway with both vendors' keys has."""
    return [
        provider("openai", ["gpt-3.5-turbo"], ["gpt-4o-mini"], ["gpt-4o"]),
        provider(
            "anthropic",
            ["claude-3-haiku-20240307"],
            ["claude-3-sonnet-20240229"],
            ["claude-3-5-sonnet-20241022"],
            kind="anthropic",
        ),
    ]


def router(providers=None, random=None, baseline="", **settings):
    """A router over some providers; ``settings`` are those of ``aura.router``."""
    entries = default_providers() if providers is None else providers
    made = Settings(
        router=RouterSettings(**settings),
        cost=CostSettings(baseline),
        providers={entry.name: entry for entry in entries},
    )
    return Router(made, KNOWN, random) if random else Router(made, KNOWN)


def call(model="auto", messages=None, caller="", headers=None, door="chat", **body):
    """A call with a chat body."""
    return Call(
        "req", {"model": model, "messages": messages or TEXT, **body}, door, caller=caller, headers=headers or {}
    )


def judge(tier: Tier):
    """A classifier that always says the same."""
    return lambda body: Verdict(tier, {Tier.ECO: 0.1, Tier.BALANCED: 0.5, Tier.PREMIUM: 0.9}[tier])


def never(body):
    """A classifier that must not be asked."""
    raise AssertionError("the prompt was classified")


@dataclass
class SimulatedFleet:
    """A fleet whose state is written down."""

    down: set[Target] = field(default_factory=set)
    seconds: dict[Target, float] = field(default_factory=dict)
    open: dict[Target, int] = field(default_factory=dict)

    @property
    def all_well(self) -> bool:
        """Whether none is down."""
        return not self.down

    def available(self, target: Target) -> bool:
        """Whether it is not among those that are down."""
        return target not in self.down

    def first_content_s(self, target: Target) -> float | None:
        """As written down."""
        return self.seconds.get(target)

    def in_flight(self, target: Target) -> int:
        """As written down."""
        return self.open.get(target, 0)


def names(plan):
    """The targets of a plan, by name."""
    return [planned.target.name for planned in plan.targets]


def priced(name, input_price, output_price=0.0, **more):
    """A model that the operator prices."""
    return ModelSettings(name, price=Price(input_price, output_price), **more)


def model(name: str, kind: str = "openai") -> Model:
    """A model as a provider of a type serves it."""
    return KNOWN.model(name, None, kind)
