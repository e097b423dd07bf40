"""Masking and what undoes it: nothing is lost, nothing stays, however a stream is cut."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aura.errors import BadRequest
from aura.guardrails import Kind
from aura.guardrails.detection import find
from aura.guardrails.masking import Mask, masked, masked_each, places
from aura.guardrails.texts import users
from aura.guardrails.unmasking import Restorer, Stream, message, restored

VALUES = [
    "jo@example.com",
    "al.b+c@mail.example.org",
    "+49 30 1234567",
    "(212) 555-1234",
    "4111 1111 1111 1111",
    "5555555555554444",
    "DE89 3704 0044 0532 0130 00",
    "192.168.1.10",
    "2001:db8::8a2e:370:7334",
    "sk-abcdefghijklmnopqrstuvwxyz123456",
    "AKIAIOSFODNN7EXAMPLE",
    "-----BEGIN PRIVATE KEY-----\nMIIEvQ\n-----END PRIVATE KEY-----",
]
NOISE = [
    "<",
    ">",
    "<EMAIL_1>",
    "<EMAIL_",
    "EMAIL_3",
    "&lt;",
    "&",
    "\\u003c",
    "\\",
    '"',
    "_1>",
    "<KEY_2",
    " ",
    "\n",
    "abc",
    "1",
]
PIECES = st.one_of(st.sampled_from(VALUES), st.sampled_from(NOISE), st.text(max_size=12))
TEXTS = st.lists(PIECES, max_size=12).map("".join)
APART = st.lists(st.one_of(st.sampled_from(VALUES), st.sampled_from(["and", "<EMAIL_1>", "so,", "x<"])), max_size=10)


def said(*texts: str) -> dict:
    return {"model": "m", "messages": [{"role": "user", "content": text} for text in texts]}


def contents(body: dict) -> list[str]:
    return [message["content"] for message in body["messages"]]


@settings(max_examples=300, deadline=None)
@given(st.lists(TEXTS, min_size=1, max_size=4))
def test_what_is_masked_and_put_back_is_what_it_was(texts):
    mask = masked(said(*texts))

    assert [restored(text, mask.values) for text in contents(mask.body)] == texts


@settings(max_examples=300, deadline=None)
@given(TEXTS, st.lists(st.integers(1, 9), min_size=1), st.booleans())
def test_a_stream_gives_the_same_however_it_is_cut(text, sizes, quoted):
    mask = masked(said(text))
    sent = contents(mask.body)[0]
    sent = json.dumps(sent).replace("<", "\\u003c") if quoted else sent
    restorer, told, at = Restorer(mask.values, quoted), [], 0
    while at < len(sent):
        size = sizes[len(told) % len(sizes)]
        told.append(restorer.feed(sent[at : at + size]))
        at += size
    whole = "".join(told) + restorer.finish()

    assert whole == restored(sent, mask.values, quoted)
    assert (json.loads(whole) if quoted else whole) == text


@settings(max_examples=300, deadline=None)
@given(st.lists(APART.map(" ".join), min_size=1, max_size=3))
def test_no_value_stays_in_what_goes_out(texts):
    sent = contents(masked(said(*texts)).body)

    assert [find(text) for text in sent] == [[]] * len(texts)
    assert not any(value in text for value in VALUES for text in sent)


@settings(max_examples=60, deadline=None)
@given(st.recursive(TEXTS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner)))
def test_arguments_keep_their_meaning(value):
    arguments = json.dumps({"a": value}, ensure_ascii=False)
    call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": arguments}}
    body = {"messages": [{"role": "assistant", "content": None, "tool_calls": [call]}]}
    mask = masked(body)
    sent = mask.body["messages"][0]["tool_calls"][0]["function"]["arguments"]

    assert json.loads(restored(sent, mask.values, quoted=True)) == {"a": value}


@given(APART.map(" ".join))
def test_what_was_put_back_is_masked_again_as_it_was(text):
    mask = masked(said(text))

    assert mask.again(restored(contents(mask.body)[0], mask.values)) == contents(mask.body)[0]


def test_a_value_has_one_placeholder_in_the_whole_conversation():
    texts = ["I am jo@example.com", "al@example.com and jo@example.com", "call +49 30 1234567"]

    assert contents(masked(said(*texts)).body) == [
        "I am <EMAIL_1>",
        "<EMAIL_2> and <EMAIL_1>",
        "call <PHONE_1>",
    ]


def test_a_secret_that_a_name_told_is_known_where_it_stands_alone():
    body = masked(
        said("password = S3cr3t9xyz and phone: 555-1234", "Is S3cr3t9xyz good? Ask 555-1234, not 1555-12345.")
    ).body

    assert contents(body) == [
        "password = <KEY_1> and phone: <PHONE_1>",
        "Is <KEY_1> good? Ask <PHONE_1>, not 1555-12345.",
    ]


def test_a_body_without_values_is_the_same_object():
    body = said("Nothing here, on 2024-01-15 at 10:30.") | {"tools": [{"type": "function", "function": {"name": "f"}}]}

    assert masked(body).body is body
    assert masked(body).values == {}


def test_nothing_is_changed_in_place():
    body = said("jo@example.com") | {"stop": ["jo@example.com"], "user": "jo"}
    before = json.dumps(body)
    masked(body)

    assert json.dumps(body) == before


def test_names_ids_media_and_signatures_stay():
    email = "jo@example.com"
    body = {
        "model": email,
        "messages": [
            {
                "role": "user",
                "name": email,
                "content": [{"type": "image_url", "image_url": {"url": f"https://x/{email}"}}],
            },
            {"role": "user", "content": [{"type": "input_audio", "input_audio": {"data": email, "format": "wav"}}]},
            {"role": "user", "content": [{"type": "file", "file": {"file_data": email, "filename": f"{email}.txt"}}]},
            {"role": "assistant", "thinking_blocks": [{"type": "thinking", "thinking": email, "signature": email}]},
            {"role": "tool", "tool_call_id": email, "content": "done"},
        ],
        "tools": [
            {"type": "function", "function": {"name": email, "parameters": {"properties": {email: {"type": ["null"]}}}}}
        ],
        "tool_choice": {"type": "function", "function": {"name": email}},
    }
    out = masked(body).body

    assert out["model"] == email
    assert out["messages"][0]["name"] == "EMAIL_1"
    assert out["messages"][0]["content"] == body["messages"][0]["content"]
    assert out["messages"][1] == body["messages"][1]
    assert out["messages"][2]["content"][0]["file"] == {"file_data": email, "filename": "<EMAIL_1>.txt"}
    assert out["messages"][3]["thinking_blocks"] == [{"type": "thinking", "thinking": "<EMAIL_1>", "signature": email}]
    assert out["messages"][4] == body["messages"][4]
    assert (out["tools"], out["tool_choice"]) == (body["tools"], body["tool_choice"])


def test_members_that_are_not_known_are_masked_too():
    body = said("x") | {"new": {"deep": [{"text": "jo@example.com"}]}, "prediction": {"content": "jo@example.com"}}
    out = masked(body).body

    assert out["new"] == {"deep": [{"text": "<EMAIL_1>"}]}
    assert out["prediction"] == {"content": "<EMAIL_1>"}


def test_places_count_and_name_no_value():
    body = said("jo@example.com, al@example.com", "4111111111111111") | {"user": "jo@example.com"}

    assert places(body) == {
        (Kind.EMAIL, "messages[0].content"): 2,
        (Kind.CARD, "messages[1].content"): 1,
        (Kind.EMAIL, "user"): 1,
    }


@pytest.mark.parametrize(
    ("piece", "held"),
    [
        ("a <", "<"),
        ("a <E", "<E"),
        ("a <EMAIL_", "<EMAIL_"),
        ("a <EMAIL_1", "<EMAIL_1"),
        ("a &lt;EMAIL_1&g", "&lt;EMAIL_1&g"),
        ("a <PHONE_", ""),  # there is none
        ("a <EMAIL_2", ""),
        ("a <EMAIL_0", ""),
        ("a < ", ""),
        ("a <b", ""),
        ("a <EMAIL_1 ", ""),
        ("a <EMAILS", ""),
    ],
)
def test_only_what_may_be_a_placeholder_is_held_back(piece, held):
    restorer = Restorer({"EMAIL_1": "jo@example.com"}, quoted=False)

    assert restorer.feed(piece) == piece.removesuffix(held)
    assert restorer.finish() == held


def test_the_forms_that_servers_and_models_give_a_placeholder_are_known():
    values = {"EMAIL_1": "jo@example.com", "KEY_1": "a\nb"}

    assert restored("&lt;EMAIL_1&gt; <EMAIL_1> <EMAIL_2> EMAIL_1", values) == (
        "jo@example.com jo@example.com <EMAIL_2> EMAIL_1"
    )
    assert restored(r'{"a": "\u003cKEY_1\u003E", "b": "<KEY_1>"}', values, quoted=True) == r'{"a": "a\nb", "b": "a\nb"}'


def test_all_of_a_message_is_put_back():
    values = {"EMAIL_1": "jo@example.com", "KEY_1": "a\nb"}
    call = {"id": "<EMAIL_1>", "function": {"name": "f", "arguments": '{"k": "<KEY_1>"}'}}
    whole = {"role": "assistant", "content": "<KEY_1>", "refusal": "<EMAIL_1>", "reasoning_content": "<KEY_1>"}
    out = message(whole | {"tool_calls": [call], "thinking_blocks": [{"thinking": "<EMAIL_1>"}]}, values, quoted=False)

    assert out["content"] == out["reasoning_content"] == "a\nb"
    assert out["refusal"] == out["thinking_blocks"][0]["thinking"] == "jo@example.com"
    assert out["tool_calls"][0]["function"]["arguments"] == r'{"k": "a\nb"}'


def test_an_answer_in_json_has_its_values_as_a_string_holds_them():
    key = "-----BEGIN PRIVATE KEY-----\nMII\n-----END PRIVATE KEY-----"
    mask = masked(said(key) | {"response_format": {"type": "json_object"}})

    assert message({"content": '{"key": "<KEY_1>"}'}, mask.values, mask.quoted)["content"] == json.dumps({"key": key})


def test_pieces_of_calls_without_an_index_are_told_apart_by_their_ids():
    stream = Stream({"EMAIL_1": "jo@example.com"}, quoted=False)
    pieces = [
        {"id": "a", "function": {"name": "f", "arguments": '"<EMA'}},
        {"function": {"arguments": 'IL_1>"'}},
        {"id": "b", "function": {"name": "f", "arguments": '"<EMAIL'}},
        {"function": {"arguments": "_"}},
    ]
    told = [stream.delta({"tool_calls": [piece]})["tool_calls"][0]["function"]["arguments"] for piece in pieces]

    assert told == ['"', 'jo@example.com"', '"', ""]
    assert stream.finish() == [{"tool_calls": [{"id": "b", "function": {"arguments": "<EMAIL_"}}]}]


def test_what_users_say_is_told_with_its_place():
    parts = [{"type": "text", "text": "two"}, {"type": "image_url", "image_url": {"url": "https://x"}}]
    body = {
        "messages": [
            {"role": "system", "content": "zero"},
            {"role": "user", "content": "one"},
            {"role": "user", "content": parts},
            {"role": "user", "content": " "},
        ]
    }

    assert users(body) == [("messages[1].content", "one"), ("messages[2].content", "two")]


def test_numbers_begin_above_what_the_client_wrote():
    mask = Mask(5)

    assert mask.text("jo@example.com") == "<EMAIL_5>"
    assert masked(said("EMAIL_12345678901 <IP_9>", "jo@example.com")).values.keys() == {"EMAIL_123456790"}


def test_inputs_of_embeddings_are_masked_each_by_itself():
    body = {"model": "m", "input": ["jo@example.com", "al@example.com, jo@example.com"], "user": "jo"}
    mask = masked_each(body)

    assert mask.body == {"model": "m", "input": ["<EMAIL_1>", "<EMAIL_1>, <EMAIL_2>"]}
    assert mask.counts == {Kind.EMAIL: 3}
    assert masked_each({"input": "jo@example.com"}).body == {"input": "<EMAIL_1>"}
    assert masked_each({"input": [[1, 2], [3]]}).body == {"input": [[1, 2], [3]]}


@pytest.mark.parametrize("unit", ["01 ", "tel 1234567, ", "+49 30 1234567, ", "someone{n}@example.com "])
def test_more_values_than_any_prompt_holds_are_refused_and_not_masked(unit):
    text = "".join(unit.replace("{n}", str(n)) for n in range(60_000))

    with pytest.raises(BadRequest) as told:
        masked({"messages": [{"role": "user", "content": text}]})

    assert (told.value.code, told.value.param) == ("pii_detected", "messages[0].content")
