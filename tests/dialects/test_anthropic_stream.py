"""Streams of Anthropic's. The names of the tests are those of the translation cases."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aura.call import Usage
from aura.errors import Reason

from .anthropic_wire import OLD, Played, block, end, event, function, sent, start, text, texts, tool

SCHEMA = {"type": "json_schema", "json_schema": {"name": "n", "schema": {"type": "object"}}}
ERROR = event("error", error={"type": "overloaded_error", "message": "Overloaded"})
PING = event("ping")


def calls(played):
    return [piece for delta in played.deltas for piece in delta.get("tool_calls", [])]


def begun_call(key):
    return event(
        "content_block_start", index=0, content_block={"type": "tool_use", "id": key, "name": "f", "input": {}}
    )


def test_a79_message_start_gives_the_role():
    played = Played(start())

    assert [body["choices"] for body in played.bodies] == [
        [{"index": 0, "delta": {"role": "assistant", "content": ""}, "logprobs": None, "finish_reason": None}]
    ]
    assert not any(chunk.content for chunk in played.chunks)


def test_a79_every_chunk_has_the_head_of_the_answer():
    heads = {
        (body["id"], body["object"], body["created"], body["model"])
        for body in Played(start(), texts(0, "Hi", "."), end()).bodies
    }

    assert heads == {("chatcmpl-01A", "chat.completion.chunk", 1_700_000_000, "claude-3-haiku-20240307")}


def test_a79_the_usage_so_far_is_told_at_once():
    """A client that leaves is billed for what it has caused."""
    told = [chunk.usage for chunk in Played(start({"input_tokens": 7, "output_tokens": 1})).chunks if chunk.usage]

    assert told == [Usage(input=7, output=1)]


def test_a80_a_tool_begins_with_its_id_and_name():
    played = Played(
        start(),
        event(
            "content_block_start",
            index=0,
            content_block={"type": "tool_use", "id": "toolu_1", "name": "f", "input": {}},
        ),
    )

    assert calls(played) == [
        {"index": 0, "id": "toolu_1", "type": "function", "function": {"name": "f", "arguments": ""}}
    ]
    assert played.chunks[-1].content


def test_a81_the_index_counts_tools_not_blocks():
    played = Played(
        start(), texts(0, "Hm."), tool(1, "{}"), texts(2, "And"), tool(5, "{}", key="toolu_2"), end("tool_use")
    )

    assert [piece["index"] for piece in calls(played) if "id" in piece] == [0, 1]
    assert [call["id"] for call in played.message["tool_calls"]] == ["toolu_1", "toolu_2"]


def test_a82_the_arguments_come_in_pieces_alone():
    played = Played(start(), tool(0, '{"city":', '"Rome"}'), end("tool_use"))

    assert calls(played)[1:] == [
        {"index": 0, "function": {"arguments": '{"city":'}},
        {"index": 0, "function": {"arguments": '"Rome"}'}},
    ]


def test_a83_empty_pieces_say_nothing():
    assert [c["function"]["arguments"] for c in calls(Played(start(), tool(0, "", '{"a":1}', "")))] == ["", '{"a":1}']


@pytest.mark.parametrize("pieces", [(), ("",)])
def test_a84_a_tool_without_arguments_gets_an_empty_object(pieces):
    played = Played(start(), tool(0, *pieces), tool(1, *pieces, key="toolu_2"), end("tool_use"))

    assert [call["function"]["arguments"] for call in played.message["tool_calls"]] == ["{}", "{}"]


def test_a84_arguments_that_came_with_the_beginning_are_told():
    played = Played(start(), block(0, type="tool_use", id="t", name="f", input={"a": 1}), end("tool_use"))

    assert played.message["tool_calls"][0]["function"]["arguments"] == '{"a":1}'


THOUGHT = block(
    0,
    {"type": "thinking_delta", "thinking": "Hm"},
    {"type": "thinking_delta", "thinking": "."},
    {"type": "signature_delta", "signature": "c2ln"},
    type="thinking",
    thinking="",
    signature="",
)


def test_a85_text_and_thinking_come_in_pieces():
    played = Played(start(), THOUGHT, texts(1, "Hel", "lo"), end())

    assert [d["reasoning_content"] for d in played.deltas if "reasoning_content" in d] == ["Hm", "."]
    assert [d["content"] for d in played.deltas if d.get("content")] == ["Hel", "lo"]


def test_a85_signed_thinking_is_told_whole_at_its_end():
    redacted = block(1, type="redacted_thinking", data="eHl6")
    played = Played(start(), THOUGHT, redacted, texts(2, "Hi."), end())

    assert played.message["thinking_blocks"] == [
        {"type": "thinking", "thinking": "Hm.", "signature": "c2ln"},
        {"type": "redacted_thinking", "data": "eHl6"},
    ]
    assert "content_blocks" not in played.message


def test_a85_citations_are_kept_with_their_text():
    cited = [
        {"type": "citations_delta", "citation": {"type": "char_location", "cited_text": "So."}},
        {"type": "text_delta", "text": "So."},
    ]
    played = Played(start(), block(0, *cited, type="text", text="", citations=[]), end())

    assert played.message["content"] == "So."
    assert played.message["content_blocks"] == [{**text("So."), "citations": [cited[0]["citation"]]}]


def test_a85_the_work_of_server_tools_is_kept_and_is_no_call_of_the_clients():
    found = block(1, type="web_search_tool_result", tool_use_id="s", content=[{"url": "https://example.com"}])
    played = Played(
        start(),
        tool(0, '{"query":', '"x"}', key="s", name="web_search", kind="server_tool_use"),
        found,
        texts(2, "So."),
        end(),
    )

    assert "tool_calls" not in played.message
    assert played.message["content_blocks"] == [
        {"type": "server_tool_use", "id": "s", "name": "web_search", "input": {"query": "x"}},
        {"type": "web_search_tool_result", "tool_use_id": "s", "content": [{"url": "https://example.com"}]},
        text("So."),
    ]


@pytest.mark.parametrize("odd", [PING, event("something_new", data=1)])
def test_a86_pings_and_what_is_not_known_say_nothing(odd):
    played = Played(start(), odd, texts(0, "Hi."), odd, end())

    assert played.message["content"] == "Hi."
    assert played.skipped == 0
    assert [chunk.body for chunk in Played(odd).chunks] == [None]


@pytest.mark.parametrize(
    ("reason", "finish"), [("end_turn", "stop"), ("max_tokens", "length"), ("pause_turn", "length"), ("new", "stop")]
)
def test_a87_the_end_has_its_reason(reason, finish):
    played = Played(start(), texts(0, "Hi."), end(reason))

    assert played.finish == finish
    assert sum(chunk.finished for chunk in played.chunks) == 1


def test_a87_usage_is_cumulative():
    begun = {"input_tokens": 3, "cache_creation_input_tokens": 100, "cache_read_input_tokens": 20, "output_tokens": 1}
    first = event("message_delta", delta={}, usage={"output_tokens": 9})
    played = Played(start(begun), texts(0, "Hi."), first, end(usage={"input_tokens": 5, "output_tokens": 12}))

    assert played.chunks[-1].usage == Usage(input=125, output=12, cached_read=20, cached_write=100)


def test_a87_the_split_of_a_written_cache_outlives_the_counts_that_come_later():
    begun = {
        "input_tokens": 3,
        "cache_creation_input_tokens": 100,
        "cache_creation": {"ephemeral_5m_input_tokens": 60, "ephemeral_1h_input_tokens": 40},
    }
    played = Played(start(begun), texts(0, "Hi."), end(usage={"cache_creation_input_tokens": 150, "output_tokens": 2}))

    assert played.whole["usage"]["prompt_tokens_details"]["cache_creation_token_details"] == {
        "ephemeral_5m_input_tokens": 110,
        "ephemeral_1h_input_tokens": 40,
    }


def test_a88_the_last_chunk_tells_the_usage():
    played = Played(start(), texts(0, "Hi."), end())
    last = played.chunks[-1]

    assert last.last
    assert last.body["choices"] == []
    assert (last.body["usage"]["prompt_tokens"], last.body["usage"]["completion_tokens"]) == (10, 5)
    assert [chunk.last for chunk in played.chunks[:-1]] == [False] * (len(played.chunks) - 1)


def test_a88_what_comes_after_the_end_is_not_read():
    assert len(Played(start(), end(), texts(0, "More.")).chunks) == len(Played(start(), end()).chunks)


WHOLE = start(), texts(0, "Hel", "lo"), tool(1, "{}"), end("tool_use")
EVENTS = b"".join(WHOLE).split(b"\n\n")[:-1]


@pytest.mark.parametrize("kept", range(len(EVENTS)))
def test_a89_a_stream_without_its_end_is_not_whole(kept):
    played = Played(*(piece + b"\n\n" for piece in EVENTS[:kept]))

    assert not played.reader.complete
    assert played.finish is None
    assert not any(chunk.last or chunk.finished for chunk in played.chunks)


def test_a89_an_end_without_a_reason_is_none():
    assert not Played(start(), texts(0, "Hi."), event("message_stop")).reader.complete


def test_a89_a_whole_stream_is_whole():
    assert Played(*WHOLE).reader.complete


@pytest.mark.parametrize("before", [(), (start(),), (start(), texts(0, "Hi."))])
def test_a90_an_error_is_a_failure_and_no_end(before):
    played = Played(*before, ERROR)

    assert (played.failure.reason, played.failure.message) == (Reason.UNAVAILABLE, "Overloaded")
    assert (played.finish, played.reader.complete) == (None, False)


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ("api_error", Reason.SERVER_ERROR),
        ("rate_limit_error", Reason.RATE_LIMITED),
        ("invalid_request_error", Reason.INVALID_REQUEST),
        ("timeout_error", Reason.TIMEOUT),
        ("something_new", Reason.UNAVAILABLE),
    ],
)
def test_a90_the_type_of_an_error_is_read(kind, reason):
    assert Played(event("error", error={"type": kind, "message": "No."})).failure.reason is reason


@pytest.mark.parametrize("body", [b'{"error":{"message":"No."}}', b'{"type":"error"}', b'{"error":"No."}'])
def test_a90_any_shape_of_an_error_is_one(body):
    assert Played(start(), b"data: " + body + b"\n\n").failure.reason is Reason.UNAVAILABLE


def outcome(played):
    return [(c.body, c.data, c.name, c.content, c.finished, c.usage, c.last) for c in played.chunks]


def test_a91_a_stream_may_be_split_anywhere():
    pieces = start(), texts(0, "Grüße 😀\u2028", "天気"), tool(1, '{"a":', '"é"}'), end("tool_use")
    expected = outcome(Played(*pieces))

    assert [outcome(Played(*pieces, size=size)) for size in (1, 2, 3, 7)] == [expected] * 4


@pytest.mark.parametrize("line_end", [b"\r\n", b"\r"])
def test_a91_lines_end_as_they_like(line_end):
    data = b"".join([start(), texts(0, "Hi", "."), end()])

    assert outcome(Played(data.replace(b"\n", line_end), size=1)) == outcome(Played(data))


def test_a91_data_may_take_several_lines_and_names_may_be_missing():
    data = b"".join([start(), texts(0, "Hi."), end()])
    folded = data.replace(b'data: {"type":', b'data: {"type":\ndata:')
    nameless = b"\n".join(line for line in data.split(b"\n") if not line.startswith(b"event:"))

    assert Played(folded).message == Played(nameless).message == Played(data).message


@given(
    st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=12), max_size=6),
    st.lists(st.integers(1, 40), min_size=1, max_size=8),
)
def test_a91_any_split_of_any_text_gives_the_same_chunks(pieces, sizes):
    data = b"".join([start(), texts(0, *pieces), end()])
    whole = Played(data)

    assert whole.message["content"] == "".join(pieces)
    assert [outcome(Played(data, size=size)) for size in sizes] == [outcome(whole)] * len(sizes)


@given(st.lists(st.sampled_from([*EVENTS, b"data: 5", b"data: {}", b"data: [DONE]", b"data: {", b": x"]), max_size=12))
def test_a91_any_order_of_events_is_survived(pieces):
    played = Played(*(piece + b"\n\n" for piece in pieces))

    assert played.failure is None
    assert sum(chunk.finished for chunk in played.chunks) == int(played.reader.complete)


def test_a92_a_refusal_in_mid_stream_is_a_filtered_answer():
    played = Played(start(), texts(0, "Well, "), end("refusal", stop_details={"type": "refusal", "explanation": "No."}))

    assert played.finish == "content_filter"
    assert (played.message["content"], played.message["refusal"]) == ("Well, ", "No.")


@pytest.mark.parametrize("again", [b"", start({"input_tokens": 4, "output_tokens": 1})])
def test_a93_indexes_that_begin_anew_belong_to_new_blocks(again):
    played = Played(
        start(), texts(0, "One "), tool(1, '{"a":1}'), again, texts(0, "two"), tool(1, "{}", key="t2"), end("tool_use")
    )

    assert played.message["content"] == "One two"
    assert [(c["id"], c["function"]["arguments"]) for c in played.message["tool_calls"]] == [
        ("toolu_1", '{"a":1}'),
        ("t2", "{}"),
    ]
    assert [delta for delta in played.deltas if "role" in delta] == [{"role": "assistant", "content": ""}]


def test_a93_the_usage_of_several_messages_adds_up():
    second = start({"input_tokens": 4, "output_tokens": 1})
    played = Played(start(), texts(0, "One"), second, texts(0, "two"), end(usage={"output_tokens": 5}))

    assert played.chunks[-1].usage == Usage(input=14, output=6)


# The answer through a tool


def test_a60_the_input_of_the_forced_tool_streams_as_content():
    request = sent(OLD, stream=True, response_format=SCHEMA)
    played = Played(start(), tool(0, '{"n":', "7}", name="json_tool_call"), end("tool_use"), request=request)

    assert [d["content"] for d in played.deltas if d.get("content")] == ['{"n":', "7}"]
    assert (played.finish, calls(played)) == ("stop", [])
    assert all("content_blocks" not in delta for delta in played.deltas)


def test_a60_text_beside_the_answer_is_none():
    """The content must be JSON, so what the model says around it is left out."""
    request = sent(OLD, stream=True, response_format=SCHEMA)
    answer = tool(1, '{"n":7}', name="json_tool_call")
    played = Played(start(), texts(0, "Here:"), answer, texts(2, "There."), end("tool_use"), request=request)

    assert json.loads(played.message["content"]) == {"n": 7}


def test_a60_text_without_the_tool_is_the_answer_after_all():
    request = sent(OLD, stream=True, response_format=SCHEMA)
    played = Played(start(), texts(0, "I can", "not."), end(), request=request)

    assert (played.message["content"], played.finish) == ("I cannot.", "stop")
    assert sum(chunk.content for chunk in played.chunks) >= 2, "the client's patience is kept"


def test_a60_text_before_a_call_of_the_clients_is_said():
    request = sent(OLD, stream=True, response_format=SCHEMA, tools=[function()])
    played = Played(start(), texts(0, "Let me see."), tool(1, "{}"), end("tool_use"), request=request)

    assert (played.message["content"], played.finish) == ("Let me see.", "tool_calls")


def test_a60_a_wrapped_answer_is_unwrapped():
    schema = {"type": "json_schema", "json_schema": {"name": "n", "schema": {"type": "array"}}}
    request = sent(OLD, stream=True, response_format=schema)
    played = Played(start(), tool(0, '{"value": [1', ", 2]}", name="json_tool_call"), end("tool_use"), request=request)

    assert played.message["content"] == "[1,2]"


def test_a25_renamed_tools_have_their_names_back():
    request = sent(stream=True, tools=[function("get.weather")])

    assert (
        calls(Played(start(), tool(0, "{}", name="get_weather"), request=request))[0]["function"]["name"]
        == "get.weather"
    )


def test_the_older_grammar_gets_its_function_call():
    request = sent(stream=True, functions=[{"name": "get_weather"}])
    played = Played(start(), tool(0, '{"a":1}'), tool(1, "{}", key="t2"), end("tool_use"), request=request)

    assert played.message["function_call"] == {"name": "get_weather", "arguments": '{"a":1}'}
    assert played.finish == "function_call"


# Bytes and shapes


def test_every_event_is_forwarded_once_byte_for_byte():
    pieces = start(), PING, THOUGHT, texts(1, "Hi."), tool(2, ""), end("tool_use")
    played = Played(*pieces)
    forwarded = [(chunk.name, chunk.data) for chunk in played.chunks if chunk.data]

    assert b"".join(f"event: {name}\ndata: ".encode() + data + b"\n\n" for name, data in forwarded) == b"".join(pieces)


@pytest.mark.parametrize(
    "odd",
    [
        b"{",
        b"5",
        b"[]",
        b"null",
        b"{}",
        b'{"type":"content_block_delta"}',
        b'{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":5}}',
        b'{"type":"content_block_delta","index":0,"delta":{"type":"text_delta"}}',
        b'{"type":"content_block_delta","index":9,"delta":{"type":"input_json_delta","partial_json":"x"}}',
        b'{"type":"content_block_start","index":0,"content_block":{}}',
        b'{"type":"content_block_start","index":[],"content_block":{"type":"text","text":""}}',
        b'{"type":"content_block_start","index":0,"content_block":{"type":"tool_use","id":"x","name":5}}',
        b'{"type":"content_block_stop","index":9}',
        b'{"type":"message_start"}',
        b'{"type":"message_delta"}',
        b'{"type":["x"]}',
        b"[DONE]",
    ],
)
def test_an_event_of_another_shape_is_skipped(odd):
    played = Played(start(), b"data: " + odd + b"\n\n", texts(0, "Hi."), end())

    assert played.message["content"] == "Hi."
    assert played.skipped <= 1
    assert played.reader.complete


def test_text_that_was_not_announced_is_text():
    delta = event("content_block_delta", index=0, delta={"type": "text_delta", "text": "Hi."})

    assert Played(delta, end()).message["content"] == "Hi."


def test_a_block_that_was_not_closed_is_told_whole():
    begun = event(
        "content_block_start", index=0, content_block={"type": "tool_use", "id": "t", "name": "f", "input": {}}
    )

    assert Played(start(), begun, end("tool_use")).message["tool_calls"][0]["function"]["arguments"] == "{}"
