"""A conversation stays put: its tier at least, and its target while that is healthy."""

import pytest

from aura.call import Tier
from aura.router.conversations import Conversations

from .world import SimulatedFleet, call, judge, names, provider, router, target

FLEET = SimulatedFleet()
START = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hello"}]
NEXT = [*START, {"role": "assistant", "content": "Hi."}, {"role": "user", "content": "And now?"}]
TWO = [provider("p", ["a", "b"], ["c"], ["d"])]


def converse(made, tier, messages=NEXT, fleet=FLEET, answered_by=None, **more):
    """One turn: planned, answered, remembered."""
    asked = call(messages=messages, **more)
    plan = made.plan(asked, judge(tier), fleet)
    made.remember(asked, plan, target(answered_by) if answered_by else plan.targets[0].target)
    return plan


def test_a_conversation_keeps_its_tier_at_least():
    made = router(TWO)
    converse(made, Tier.BALANCED, START)

    assert Tier.BALANCED is converse(made, Tier.ECO).tier
    assert Tier.PREMIUM is converse(made, Tier.PREMIUM).tier
    assert Tier.PREMIUM is converse(made, Tier.ECO).tier


def by_last_turn(body):
    """A judge for whom a prompt's own words are its tier."""
    said = [message["content"] for message in body["messages"] if message["role"] == "user"][-1]
    return judge(Tier(said) if said in set(Tier) else Tier.ECO)(body)


@pytest.mark.parametrize(
    ("turns", "tier"),
    [
        (["PREMIUM", "and now?"], Tier.PREMIUM),
        (["hi", "BALANCED", "and now?"], Tier.BALANCED),
        (["BALANCED", "PREMIUM", *["more"] * 3], Tier.PREMIUM),
        (["PREMIUM", *["more"] * 9], Tier.PREMIUM),
        (["PREMIUM"], Tier.PREMIUM),
        (["hi", "and now?"], Tier.ECO),
        (["hi", "BALANCED"], Tier.BALANCED),
    ],
)
def test_a_worker_that_has_not_answered_a_conversation_comes_to_its_tier_too(turns, tier):
    messages = [{"role": "user", "content": turns[0]}]
    for turn in turns[1:]:
        messages += [{"role": "assistant", "content": "Well."}, {"role": "user", "content": turn}]

    assert tier is router(TWO).plan(call(messages=messages), by_last_turn, FLEET).tier


def test_the_results_of_tools_do_not_lower_a_tier():
    called = {"role": "assistant", "content": None, "tool_calls": []}
    messages = [{"role": "user", "content": "PREMIUM"}, called, {"role": "tool", "content": "1", "tool_call_id": "t"}]

    def gets_easy(body):
        return judge(Tier.PREMIUM if len(body["messages"]) == 1 else Tier.ECO)(body)

    assert Tier.PREMIUM is router(TWO).plan(call(messages=messages), gets_easy, FLEET).tier


def test_few_turns_are_judged_again():
    judged = []
    messages = [
        m for n in range(50) for m in ({"role": "user", "content": f"{n}"}, {"role": "assistant", "content": "Hi"})
    ]

    def counts(body):
        judged.append(body["messages"][-1]["content"])
        return judge(Tier.ECO)(body)

    router(TWO).plan(call(messages=[*messages, {"role": "user", "content": "now"}]), counts, FLEET)

    assert judged == ["now", "0", "47", "48", "49"]


def test_the_score_told_is_the_classifiers_even_where_the_tier_is_kept():
    made = router(TWO)
    converse(made, Tier.PREMIUM, START)

    assert converse(made, Tier.ECO).verdict.score == 0.1


def test_a_conversation_keeps_its_target():
    made = router(TWO, strategy="least-busy")
    converse(made, Tier.ECO, START, SimulatedFleet(open={target("p/a"): 1}))

    assert names(converse(made, Tier.ECO)) == ["p/b", "p/a", "p/c", "p/d"]


def test_another_conversation_is_not_held():
    made = router(TWO, strategy="least-busy")
    converse(made, Tier.ECO, START, SimulatedFleet(open={target("p/a"): 1}))
    other = [START[0], {"role": "user", "content": "Good day"}, *NEXT[2:]]

    assert names(converse(made, Tier.ECO, other))[0] == "p/a"


def test_another_tenants_conversation_is_not_held():
    made = router(TWO)
    converse(made, Tier.PREMIUM, START, caller="one")

    assert Tier.ECO is converse(made, Tier.ECO, caller="two").tier


def test_the_same_single_prompt_is_routed_the_same_again():
    made = router(TWO, strategy="least-busy")
    first = converse(made, Tier.ECO, START)
    converse(made, Tier.PREMIUM)

    assert names(first) == names(converse(made, Tier.ECO, START))


def test_a_target_that_is_not_healthy_is_left_for_the_time_being():
    made = router(TWO)
    converse(made, Tier.ECO, START)
    sick = SimulatedFleet(down={target("p/a")})

    assert names(converse(made, Tier.ECO, fleet=sick))[0] == "p/b"
    assert names(converse(made, Tier.ECO))[0] == "p/a"


@pytest.mark.parametrize("strategy", ["priority", "least-busy"])
def test_a_target_reached_only_by_failover_is_not_clung_to(strategy):
    made = router(TWO, strategy=strategy)
    converse(made, Tier.ECO, START, answered_by="p/b")

    assert names(converse(made, Tier.ECO))[0] == "p/a"


def test_a_target_that_was_first_only_because_others_were_down_is_not_clung_to():
    made = router(TWO)
    converse(made, Tier.ECO, START, SimulatedFleet(down={target("p/a")}))

    assert names(converse(made, Tier.ECO))[0] == "p/a"


def test_a_failover_in_between_does_not_lose_the_target():
    made = router(TWO, strategy="least-busy")
    converse(made, Tier.ECO, START, SimulatedFleet(open={target("p/a"): 1}))
    converse(made, Tier.ECO, answered_by="p/a")

    assert names(converse(made, Tier.ECO))[0] == "p/b"


def test_a_pinned_call_neither_follows_nor_moves_a_conversation():
    made = router(TWO)
    converse(made, Tier.ECO, START)
    pinned = converse(made, Tier.ECO, model="p/d")

    assert names(pinned) == ["p/d"]
    assert names(converse(made, Tier.ECO))[0] == "p/a"


def test_a_tier_that_the_client_names_is_above_the_conversations():
    made = router(TWO)
    converse(made, Tier.PREMIUM, START)

    assert Tier.ECO is converse(made, Tier.PREMIUM, model="eco").tier
    assert Tier.PREMIUM is converse(made, Tier.ECO).tier


def test_a_ceiling_is_above_the_conversations_tier():
    made = router(TWO, requested_model="ceiling")
    converse(made, Tier.PREMIUM, START)

    assert Tier.ECO is converse(made, Tier.ECO, model="a").tier


def test_a_picture_makes_two_beginnings_differ():
    made = router(TWO)

    def talk(address):
        part = {"type": "image_url", "image_url": {"url": address}}
        return [{"role": "user", "content": [{"type": "text", "text": "Look"}, part]}]

    converse(made, Tier.PREMIUM, talk("data:image/png;base64,AAAA"))

    assert Tier.PREMIUM is converse(made, Tier.ECO, [*talk("data:image/png;base64,AAAA"), *NEXT[2:]]).tier
    assert Tier.ECO is converse(made, Tier.ECO, [*talk("data:image/png;base64,BBBB"), *NEXT[2:]]).tier


@pytest.mark.parametrize(
    "messages", [None, [], "text", [None], [{"role": "user"}], [{"role": "user", "content": {"a": [[]]}}]]
)
def test_strange_messages_make_no_trouble(messages):
    asked = call()
    asked.body["messages"] = messages
    made = router(TWO)

    plan = made.plan(asked, judge(Tier.ECO), FLEET)
    made.remember(asked, plan, plan.targets[0].target)

    assert Tier.ECO is plan.tier


def test_only_the_newest_conversations_are_kept():
    kept = Conversations(size=2)
    talks = [[{"role": "user", "content": str(n)}, {"role": "assistant", "content": "Yes"}] for n in range(3)]
    for talk in talks:
        kept.keep(call(messages=talk), Tier.ECO, target("p/a"))

    assert [kept.place(call(messages=talk)) is not None for talk in talks] == [False, True, True]
