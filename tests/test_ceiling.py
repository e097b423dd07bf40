"""What a call may still cost: before an attempt, and in the middle of a stream."""

from __future__ import annotations

import pytest

from aura.call import Call, Chunk, Model, Planned, Price, Target, Usage
from aura.ceiling import Meter, max_tokens, prompt_tokens
from aura.errors import BadRequest

# A dollar per million tokens of prompt, two per million of answer.
PRICE = Price(1.0, 2.0, cached_read=0.1)


def call(usd=None, spent=0.0, text="", **more):
    body = {"messages": [{"role": "user", "content": text}], **more}
    made = Call("req", body if usd is None else {**body, "aura": {"max_cost_usd": usd}})
    made.cost_usd = spent
    return made


def planned(limit=None, price=PRICE, window=None):
    return Planned(Target("p", "m"), Model("m", price=price, context_window=window), max_tokens=limit)


def says(text, index=0, finish=None, **delta):
    choice = {"index": index, "delta": {"content": text, **delta}, "finish_reason": finish}
    return Chunk({"id": "c", "choices": [choice]}, content=True, finished=int(finish is not None))


@pytest.mark.parametrize(
    ("made", "target", "most"),
    [
        (call(), planned(), None),
        (call(usd=1), planned(), None),
        (call(usd=1), planned(limit=100), 100),
        (call(usd=0.001, spent=0.0005), planned(), 246),
        (call(usd=0.001, spent=0.0005), planned(limit=100), 100),
        (call(usd=0.001, spent=0.0005, n=2), planned(), 123),
        (call(usd=1, spent=0.5), planned(price=None), None),
        (call(usd=1, spent=0.5), planned(price=Price(0, 0)), None),
        (call(usd=1), planned(limit=400_000, window=8192), 8188),
    ],
)
def test_an_answer_may_be_as_long_as_the_rest_of_the_money_pays_for(made, target, most):
    assert max_tokens(made, target, made.body) == most


def test_what_is_spent_buys_nothing():
    made = call(usd=0.001, spent=0.001)

    with pytest.raises(BadRequest) as refused:
        max_tokens(made, planned(), made.body)
    assert refused.value.param == "aura.max_cost_usd"


# Tokens by OpenAI's o200k_base, with the 7 of a message's frame.
TEXTS = [
    ("Hello", 8),
    ("1234567890" * 30, 107),
    ("The quick brown fox jumps over the lazy dog. " * 20, 208),
    ("for (int i = 0; i < n; i++) { a[i] += b[i] * c[i]; }\n" * 10, 277),
    ("Быстрая бурая лиса прыгает через ленивую собаку. " * 10, 189),
    ("敏捷的棕色狐狸跳过了懒狗。" * 10, 147),
    ("9f86d081884c7d659a2feaa0c55ad015" * 10, 197),
]


@pytest.mark.parametrize(("text", "tokens"), TEXTS)
def test_a_prompt_is_not_taken_to_be_shorter_than_it_is(text, tokens):
    assert tokens <= prompt_tokens(call(text=text).body) <= 3.5 * tokens


def test_pictures_tools_and_tool_calls_count_and_a_long_text_is_not_read_whole():
    plain = prompt_tokens(call(text="x").body)
    picture = {
        "role": "user",
        "content": [{"type": "image_url", "image_url": {"url": "data:image/png;base64," + "A" * 10**6}}],
    }
    called = {"role": "assistant", "tool_calls": [{"id": "c", "function": {"name": "f", "arguments": "9" * 100}}]}

    assert 1600 <= prompt_tokens({"messages": [picture]}) < 2000
    assert prompt_tokens({"messages": [called]}) >= 100
    assert (
        prompt_tokens(call(text="x", tools=[{"type": "function", "function": {"name": "f" * 600}}]).body) >= plain + 100
    )
    assert prompt_tokens(call(text="12 " * 10**6).body) == pytest.approx(3 * 10**6, rel=0.01)


@pytest.mark.parametrize("made", [call(), call(usd=1e-9)])
def test_without_a_ceiling_or_a_price_nothing_is_counted(made):
    chunks = [says("word")] * 1000
    price = None if made.body.get("aura") else PRICE

    assert Meter(made, planned(price=price)).within(chunks) == (chunks, False)


# The prompt is taken to have 8 tokens: of 208 millionths 200 are left, for 100 tokens.
@pytest.mark.parametrize(
    ("chunk", "count"),
    [
        (says("word"), 100),
        (says("漢字"), 100),
        (says("x" * 16), 100),
        (says("x" * 40), 10),
        (says(None, reasoning_content="thought"), 100),
        (says(None, tool_calls=[{"index": 0, "id": "call_1234567890", "function": {"arguments": "y" * 40}}]), 10),
        (Chunk(None, content=True), 100),
    ],
)
def test_a_stream_is_paid_for_up_to_its_ceiling(chunk, count):
    kept, over = Meter(call(usd=0.000208), planned()).within([chunk] * 1000)

    assert (len(kept), over) == (count, True)


def test_the_providers_own_count_is_believed():
    meter = Meter(call(usd=0.000208), planned())
    told = Chunk(None, usage=Usage(input=105, output=1, cached_read=100))
    kept, _ = meter.within([told, *[says("word")] * 1000])

    assert len(kept) == 1 + (208 - 5 - 10) // 2 - 1
    assert meter.usage == Usage(input=105, output=96, cached_read=100)


def test_every_choice_that_still_speaks_is_ended():
    meter = Meter(call(usd=0.000208), planned())
    meter.within([says("a", 0), says("b", 1), says("c", 2), says("", 1, "stop")])
    end = meter.end()

    assert [(choice["index"], choice["finish_reason"]) for choice in end.body["choices"]] == [
        (0, "length"),
        (2, "length"),
    ]
    assert end.body["id"] == "c"
    assert end.finished == 2
