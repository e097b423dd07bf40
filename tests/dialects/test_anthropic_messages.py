"""Messages to Anthropic's turns. The names of the tests are those of the translation cases."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aura.call import Model
from aura.catalogue import unknown
from aura.dialects.anthropic.messages import BEGIN, EMPTY, GO_ON
from aura.errors import BadRequest

from .anthropic_wire import ADAPTIVE, BUDGET, OLD, USER, call, calling, function, result, sent, text, turns

SYSTEM = {"role": "system", "content": "Be brief."}
CACHED = {"type": "ephemeral"}


def roles(sent_turns):
    return [turn["role"] for turn in sent_turns]


def said(turn):
    return [block["text"] for block in turn["content"] if block["type"] == "text"]


# System


@pytest.mark.parametrize("role", ["system", "developer"])
def test_a4_system_and_developer_stand_beside_the_messages(role):
    body = sent(messages=[{"role": role, "content": "Be brief."}, USER]).body

    assert body["system"] == "Be brief."
    assert roles(body["messages"]) == ["user"]


def test_a5_several_system_messages_become_blocks_in_their_order():
    body = sent(messages=[SYSTEM, {"role": "developer", "content": "Be kind."}, USER]).body

    assert [text("Be brief."), text("Be kind.")] == body["system"]


def test_a6_cache_control_stays_on_system_blocks():
    part = {**text("Long rules."), "cache_control": CACHED}
    body = sent(messages=[{"role": "system", "content": [part]}, {**SYSTEM, "cache_control": CACHED}, USER]).body

    assert [part, {**text("Be brief."), "cache_control": CACHED}] == body["system"]


def test_a7_empty_system_text_is_left_out():
    messages = [{"role": "system", "content": " \n"}, {"role": "system", "content": [text("")]}, USER]

    assert "system" not in sent(messages=messages).body


LATE = [SYSTEM, USER, {"role": "system", "content": "Now in French."}]
REPLY = {"role": "assistant", "content": "Hi."}
NEXT = {"role": "user", "content": "And now?"}


def test_a8_only_the_leading_system_messages_are_lifted():
    body = sent(ADAPTIVE, messages=LATE).body

    assert body["system"] == "Be brief."
    assert roles(body["messages"]) == ["user", "system"]
    assert [text("Now in French.")] == body["messages"][1]["content"]


def test_a8_a_system_message_stays_before_the_assistant_that_answered_it():
    assert roles(turns(*LATE, REPLY, NEXT, model=ADAPTIVE)) == ["user", "system", "assistant", "user"]


@pytest.mark.parametrize("model", [OLD, unknown("claude-next"), Model("claude-next")])
def test_a8_a_model_that_takes_none_in_mid_conversation_reads_it_in_the_users_turn(model):
    sent_turns = turns(USER, REPLY, {"role": "system", "content": "Now in French."}, NEXT, model=model)

    assert roles(sent_turns) == ["user", "assistant", "user"]
    assert said(sent_turns[-1]) == ["<system>\nNow in French.\n</system>", "And now?"]


def test_a8_a_system_message_before_a_user_message_cannot_stand_by_itself():
    """Anthropic takes it only before an assistant turn or at the end."""
    sent_turns = turns(USER, REPLY, {"role": "system", "content": "Now in French."}, NEXT, model=ADAPTIVE)

    assert roles(sent_turns) == ["user", "assistant", "user"]
    assert said(sent_turns[-1]) == ["<system>\nNow in French.\n</system>", "And now?"]


def test_a8_the_turns_before_stay_the_same_when_the_conversation_goes_on():
    """What the provider cached is the beginning of the next request."""
    for model in (OLD, ADAPTIVE):
        first = turns(*LATE, model=model)
        later = turns(*LATE, REPLY, NEXT, model=model)

        assert first == later[: len(first)]


@pytest.mark.parametrize("model", [OLD, ADAPTIVE])
def test_a8_a_system_message_after_the_assistant_alone_becomes_a_user_turn(model):
    sent_turns = turns(USER, REPLY, {"role": "system", "content": "Sum up."}, model=model)

    assert roles(sent_turns) == ["user", "assistant", "user"]
    assert said(sent_turns[-1]) == ["<system>\nSum up.\n</system>"]


def test_a8_a_picture_in_a_system_message_is_refused():
    part = {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}}
    with pytest.raises(BadRequest) as refused:
        sent(messages=[{"role": "system", "content": [part]}, USER])

    assert refused.value.param == "messages[0].content"


def test_a9_a_request_of_system_text_alone_gets_a_user_turn():
    body = sent(messages=[SYSTEM]).body

    assert body["system"] == "Be brief."
    assert [{"role": "user", "content": [text(BEGIN)]}] == body["messages"]


# Turns


def test_a10_consecutive_user_messages_become_one_turn():
    assert [{"role": "user", "content": [text("Hello"), text("And now?")]}] == turns(USER, NEXT)


def test_a10_user_and_tool_messages_become_one_turn_results_first():
    history = [USER, calling(call("get_weather")), NEXT, result()]
    last = turns(*history, tools=[function()])[-1]

    assert [block["type"] for block in last["content"]] == ["tool_result", "text"]


def test_a11_consecutive_assistant_messages_become_one_turn():
    sent_turns = turns(USER, REPLY, {"role": "assistant", "content": "There."}, NEXT)

    assert roles(sent_turns) == ["user", "assistant", "user"]
    assert said(sent_turns[1]) == ["Hi.", "There."]


def test_a12_the_first_turn_is_the_users():
    sent_turns = turns(REPLY, NEXT)

    assert roles(sent_turns) == ["user", "assistant", "user"]
    assert [text(BEGIN)] == sent_turns[0]["content"]


def test_a13_there_is_at_least_one_message():
    assert [{"role": "user", "content": [text(BEGIN)]}] == turns()


@pytest.mark.parametrize("content", ["", " \n\t", None, [], [text("")], [text("  "), text("\n")]])
def test_a14_an_empty_user_message_gets_a_placeholder(content):
    assert [text(EMPTY)] == turns({"role": "user", "content": content})[0]["content"]


def test_a14_empty_blocks_are_left_out_beside_others():
    sent_turns = turns({"role": "user", "content": ""}, {"role": "user", "content": [text(" "), text("Hello")]})

    assert [{"role": "user", "content": [text("Hello")]}] == sent_turns


def test_a14_an_empty_assistant_message_is_left_out():
    assert [{"role": "user", "content": [text("Hello"), text("And now?")]}] == turns(
        USER, {"role": "assistant", "content": " "}, NEXT
    )


def test_a15_a_prefill_loses_its_trailing_white_space():
    assert [text("The answer is")] == turns(USER, {"role": "assistant", "content": "The answer is \n"})[-1]["content"]


def test_a15_earlier_assistant_turns_keep_theirs():
    assert said(turns(USER, {"role": "assistant", "content": "Hi. \n"}, NEXT)[1]) == ["Hi. \n"]


@pytest.mark.parametrize(
    ("model", "body"),
    [
        pytest.param(ADAPTIVE, {}, id="the model rejects prefill"),
        pytest.param(unknown("claude-next"), {}, id="nothing is known of the model"),
        pytest.param(BUDGET, {"reasoning_effort": "low"}, id="thinking is on"),
        pytest.param(OLD, {"tools": [function()], "tool_choice": "required"}, id="a tool is forced"),
    ],
)
def test_a16_where_prefill_is_refused_the_model_is_asked_to_go_on(model, body):
    sent_turns = turns(USER, {"role": "assistant", "content": "The answer is "}, model=model, **body)

    assert roles(sent_turns) == ["user", "assistant", "user"]
    assert said(sent_turns[1]) == ["The answer is"]
    assert [text(GO_ON)] == sent_turns[2]["content"]


def test_a16_a_model_that_takes_prefill_gets_it():
    assert roles(turns(USER, REPLY, model=BUDGET)) == ["user", "assistant"]


def test_a17_names_tell_several_users_apart():
    first = {"role": "user", "content": "I say yes.", "name": "ann"}
    second = {"role": "user", "content": [text("I say no.")], "name": "ben"}

    assert said(turns(first, second)[0]) == ["ann: I say yes.", "ben: I say no."]


def test_a17_the_name_of_a_single_user_is_left_out():
    assert said(turns({**USER, "name": "ann"})[0]) == ["Hello"]


@pytest.mark.parametrize("content", ["Hello", [text("Hello")], ["Hello"]])
def test_a18_content_is_a_string_or_parts(content):
    assert [text("Hello")] == turns({"role": "user", "content": content})[0]["content"]


def test_a18_several_parts_stay_several_blocks():
    parts = [text("One"), {**text("Two"), "cache_control": CACHED}]

    assert parts == turns({"role": "user", "content": parts})[0]["content"]


@pytest.mark.parametrize(
    "reply",
    [
        {"role": "assistant", "content": [{"type": "refusal", "refusal": "I will not."}]},
        {"role": "assistant", "content": None, "refusal": "I will not."},
    ],
)
def test_a19_a_refusal_is_told_as_text(reply):
    assert said(turns(USER, reply, NEXT)[1]) == ["I will not."]


def test_a20_the_older_function_messages_are_calls_and_results():
    legacy = {"role": "assistant", "content": None, "function_call": {"name": "get_weather", "arguments": '{"a":1}'}}
    sent_turns = turns(
        USER,
        legacy,
        {"role": "function", "name": "get_weather", "content": "sunny"},
        functions=[{"name": "get_weather"}],
    )

    use = sent_turns[1]["content"][0]
    assert (use["type"], use["name"], use["input"]) == ("tool_use", "get_weather", {"a": 1})
    assert [{"type": "tool_result", "tool_use_id": use["id"], "content": "sunny"}] == sent_turns[2]["content"]


@pytest.mark.parametrize(
    ("messages", "param"),
    [
        ([{"role": "narrator", "content": "x"}], "messages[0].role"),
        ([{"role": ["user"], "content": "x"}], "messages[0].role"),
        ([USER, "x"], "messages[1].role"),
        ([{"role": "user", "content": 5}], "messages[0].content"),
        ([USER, {"role": "user", "content": [text("a"), 5]}], "messages[1].content[1]"),
        ([{"role": "user", "content": [{"type": {}}]}], "messages[0].content[0]"),
        ([{"role": "user", "content": [{"type": "text", "text": 5}]}], "messages[0].content[0]"),
        ([{"role": "user", "content": [{"type": "hologram"}]}], "messages[0].content[0]"),
    ],
)
def test_what_is_no_message_is_refused_by_its_place(messages, param):
    with pytest.raises(BadRequest) as refused:
        sent(messages=messages)

    assert param == refused.value.param


# Calls and results


def test_a28_results_of_parallel_calls_share_one_turn_in_the_order_of_the_calls():
    history = [USER, calling(call("get_weather", key="a"), call("get_time", key="b")), result("b", "noon"), result("a")]
    sent_turns = turns(*history, tools=[function(), function("get_time")])

    assert roles(sent_turns) == ["user", "assistant", "user"]
    assert [(b["tool_use_id"], b["content"]) for b in sent_turns[2]["content"]] == [("a", "sunny"), ("b", "noon")]


def test_a28_calls_in_consecutive_assistant_messages_are_parallel_too():
    history = [USER, calling(call("f", key="a")), calling(call("f", key="b")), result("a", "1"), result("b", "2")]
    sent_turns = turns(*history, tools=[function("f")])

    assert roles(sent_turns) == ["user", "assistant", "user"]
    assert [block["content"] for block in sent_turns[2]["content"]] == ["1", "2"]


@pytest.mark.parametrize("given", ["call:1/é", "fc|1", "functions.f:0"])
def test_a29_ids_are_made_fit_on_both_sides_alike(given):
    _, assistant, user = turns(USER, calling(call("f", key=given)), result(given), tools=[function("f")])

    assert assistant["content"][0]["id"] == user["content"][0]["tool_use_id"]
    assert assistant["content"][0]["id"].replace("_", "").replace("-", "").isalnum()
    assert assistant["content"][0]["id"].isascii()


def test_a29_an_id_that_returns_in_a_later_turn_is_made_another():
    """Some servers count their calls anew in every turn; Anthropic wants every id once."""
    exchange = [calling(call("f", key="call_0")), result("call_0", "1")]
    sent_turns = turns(USER, *exchange, *exchange, tools=[function("f")])
    uses = [sent_turns[i]["content"][0]["id"] for i in (1, 3)]

    assert len(set(uses)) == 2
    assert uses == [sent_turns[i]["content"][0]["tool_use_id"] for i in (2, 4)]


def test_a30_of_two_results_the_last_stands():
    last = turns(USER, calling(call("f")), result(content="old"), result(content="new"), tools=[function("f")])[-1]

    assert [block["content"] for block in last["content"]] == ["new"]


@pytest.mark.parametrize("orphan", [result("call_9"), {"role": "tool", "content": "x"}, result(None)])
def test_a31_a_result_without_its_call_is_removed(orphan):
    assert [{"role": "user", "content": [text("Hello"), text("And now?")]}] == turns(USER, orphan, NEXT)


def test_a32_a_call_without_result_gets_one_that_says_so():
    history = [USER, calling(call("f", key="a"), call("f", key="b")), result("b", "2"), NEXT]
    last = turns(*history, tools=[function("f")])[-1]["content"]

    assert [block["tool_use_id"] for block in last[:2]] == ["a", "b"]
    assert (last[0]["is_error"], last[1]["content"]) == (True, "2")


def test_a32_a_conversation_that_ends_with_calls_gets_results_too():
    last = turns(USER, calling(call("f")), tools=[function("f")])[-1]

    assert (
        last["role"],
        last["content"][0]["type"],
        last["content"][0]["tool_use_id"],
    ) == ("user", "tool_result", "call_1")


def test_a33_a_result_may_hold_images():
    parts = [text("Look:"), {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBO"}}]
    block = turns(USER, calling(call("f")), result(content=parts), tools=[function("f")])[-1]["content"][0]

    image = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "iVBO"}}
    assert [text("Look:"), image] == block["content"]


def test_a34_a_result_that_is_an_error_says_so():
    block = turns(USER, calling(call("f")), result(is_error=True), tools=[function("f")])[-1]["content"][0]

    assert block["is_error"] is True


@pytest.mark.parametrize("content", ["", None, []])
def test_a34_an_empty_result_is_a_result(content):
    block = turns(USER, calling(call("f")), result(content=content), tools=[function("f")])[-1]["content"][0]

    assert block == {"type": "tool_result", "tool_use_id": "call_1"}


@pytest.mark.parametrize(
    "told",
    [
        result(content=[{**text("sunny"), "cache_control": CACHED}]),
        result(content="sunny", cache_control=CACHED),
    ],
)
def test_a39_cache_control_inside_a_result_is_lifted_to_its_block(told):
    block = turns(USER, calling(call("f")), told, tools=[function("f")])[-1]["content"][0]

    assert block["cache_control"] == CACHED
    assert block["content"] in ("sunny", [text("sunny")])


# Thinking that comes back


SIGNED = {"type": "thinking", "thinking": "Hm.", "signature": "c2ln"}
REDACTED = {"type": "redacted_thinking", "data": "eHl6"}


def test_a66_signed_thinking_goes_back_unchanged_and_in_order():
    asked = calling(call("f"), content="Let me see.", reasoning_content="Hm.", thinking_blocks=[SIGNED, REDACTED])
    blocks = turns(USER, asked, result(), model=BUDGET, tools=[function("f")])[1]["content"]

    assert [SIGNED, REDACTED, text("Let me see.")] == blocks[:3]
    assert blocks[3]["type"] == "tool_use"


def test_a66_thinking_among_the_parts_goes_back_too():
    assert [SIGNED, text("Hi.")] == turns(USER, {"role": "assistant", "content": [SIGNED, text("Hi.")]}, NEXT)[1][
        "content"
    ]


def test_a66_interleaved_blocks_go_back_as_they_came():
    use = {"type": "tool_use", "id": "toolu_1", "name": "f", "input": {"b": 1, "a": 2}}
    came = [text("First."), SIGNED, text("Then."), use]
    asked = calling(call("f", key="toolu_1"), content="First.Then.", thinking_blocks=[SIGNED], content_blocks=came)
    _, assistant, user = turns(USER, asked, result("toolu_1"), model=BUDGET, tools=[function("f")])

    assert came == assistant["content"]
    assert user["content"][0]["tool_use_id"] == "toolu_1"


@pytest.mark.parametrize(
    "changed",
    [
        {"content": "Something else."},
        {"content": "First.", "content_blocks": [{"type": "text", "text": 5}]},
        {"content": "First.", "content_blocks": "First."},
        {"content": "First.", "tool_calls": [call("g", key="x")]},
    ],
)
def test_a66_blocks_that_do_not_fit_their_message_any_more_are_not_used(changed):
    blocks = turns(USER, {"role": "assistant", "content_blocks": [text("First.")], **changed}, NEXT)[1]["content"]

    assert changed["content"] == blocks[0]["text"]


@pytest.mark.parametrize(
    "unsigned",
    [
        {"type": "thinking", "thinking": "Hm."},
        {"type": "thinking", "thinking": "Hm.", "signature": ""},
        {"type": "redacted_thinking"},
        {"type": "something", "signature": "x"},
        "Hm.",
    ],
)
def test_a67_thinking_of_another_provider_is_left_out(unsigned):
    reply = {**REPLY, "thinking_blocks": [unsigned], "reasoning_content": "Hm."}

    assert [text("Hi.")] == turns(USER, reply, NEXT)[1]["content"]


KEYS = st.sampled_from(["a", "b", "c:1", ""])
SAID = st.sampled_from(["Hello", " ", "", None])
MESSAGES = st.one_of(
    st.builds(lambda said: {"role": "user", "content": said}, SAID),
    st.builds(lambda said: {"role": "system", "content": said}, SAID),
    st.builds(lambda said: {"role": "assistant", "content": said}, SAID),
    st.builds(lambda keys, said: calling(*(call("f", key=key) for key in keys), content=said), st.lists(KEYS), SAID),
    st.builds(result, KEYS, SAID),
    st.builds(lambda said: {"role": "function", "name": "f", "content": said}, SAID),
)


@given(st.lists(MESSAGES, max_size=9), st.sampled_from([OLD, BUDGET, ADAPTIVE]))
def test_any_conversation_becomes_turns_that_anthropic_takes(messages, model):
    sent_turns = turns(*messages, model=model, tools=[function("f")])
    ids = [block["id"] for turn in sent_turns for block in turn["content"] if block["type"] == "tool_use"]

    assert roles(sent_turns)[0] == "user"
    assert len(ids) == len(set(ids))
    assert all(turn["content"] and all(said(turn)) for turn in sent_turns)
    for before, turn in zip([None, *sent_turns], [*sent_turns, None], strict=True):
        asked = [block["id"] for block in before["content"] if block["type"] == "tool_use"] if before else []
        told = [block["tool_use_id"] for block in turn["content"] if block["type"] == "tool_result"] if turn else []
        assert told == asked, "every call has its result, in the turn after it, before anything else"
        assert turn is None or not told or turn["content"][len(told) - 1]["type"] == "tool_result"
        if before and turn:
            assert before["role"] != turn["role"]
        if before and before["role"] == "system":
            assert turn is None or turn["role"] == "assistant"
        if turn and turn["role"] == "system":
            assert before["role"] == "user"
