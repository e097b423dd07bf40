"""Answers to Anthropic's clients, whole and streamed. The names of the tests are those of the translation cases."""

import json

import pytest

from aura.call import Call, Chunk, Usage
from aura.catalogue import unknown
from aura.dialects import anthropic
from aura.dialects.assembly import completion_chunks
from aura.errors import AuraError, BadRequest, Failure, Reason, UpstreamError

from .anthropic_wire import ADAPTIVE, BUDGET, OLD, Played, block, end, start, text, texts, tool

THINKS = {"thinking": {"type": "enabled", "budget_tokens": 1024}}
CALL = {"id": "call_1", "type": "function", "function": {"name": "weather", "arguments": '{"city":"Rome"}'}}
USED = {"type": "tool_use", "id": "call_1", "name": "weather", "input": {"city": "Rome"}}
THOUGHT = {"type": "thinking", "thinking": "Hm.", "signature": "c2ln"}
HIDDEN = {"type": "redacted_thinking", "data": "ZGF0YQ=="}


def call(**native):
    return Call("req_1", {"messages": [{"role": "user", "content": "Hi there, you"}]}, native=native)


def completion(finish="stop", usage=None, choice=None, **message):
    message = {"role": "assistant", "content": None, **message}
    told = {"index": 0, "message": message, "finish_reason": finish, **(choice or {})}
    usage = usage or {"prompt_tokens": 9, "completion_tokens": 5, "total_tokens": 14}
    return {"id": "chatcmpl-1", "object": "chat.completion", "model": "m", "choices": [told], "usage": usage}


def answered(native=None, **more):
    return anthropic.response_out(completion(**more), call(**(native or {})))


def content(native=None, **message):
    return answered(native, **message)["content"]


def delta(finish=None, **said):
    choice = {"index": 0, "delta": said, "finish_reason": finish}
    return Chunk({"id": "chatcmpl-1", "model": "m", "choices": [choice]}, content=bool(said))


USAGE = Chunk({"choices": [], "usage": {"prompt_tokens": 9, "completion_tokens": 5}}, usage=Usage(9, 5))


def events(data):
    found = []
    for part in data.decode().split("\n\n")[:-1]:
        if not part.startswith(":"):
            name, line = part.split("\n")
            found.append(json.loads(line.removeprefix("data: ")))
            assert name == f"event: {found[-1]['type']}"
    return found


def written(*chunks, native=None, verbatim=False, size=1):
    """The events of a stream that was written a few chunks at a time."""
    writer = anthropic.writer(call(**(native or {})))
    data = b"".join(writer.write(list(chunks[n : n + size]), verbatim) for n in range(0, len(chunks), size))
    return events(data + writer.end())


def kinds(found):
    return [event["type"].removeprefix("content_block_") for event in found]


def add(told, delta):
    for key, value in delta.items():
        if key == "partial_json":
            told["json"] = told.get("json", "") + value
        elif key == "citation":
            told["citations"] = [*told["citations"], value]
        elif key != "type":
            told[key] += value


def blocks(found):
    """The blocks that events mean; each is closed before the next begins."""
    told, is_open = [], False
    for event in found:
        if event["type"] == "content_block_start":
            assert not is_open
            assert event["index"] == len(told)
            told.append(dict(event["content_block"]))
            is_open = True
        elif event["type"] == "content_block_delta":
            assert is_open
            assert event["index"] == len(told) - 1
            add(told[-1], event["delta"])
        elif event["type"] == "content_block_stop":
            is_open = False
    assert not is_open
    for one in told:
        if "json" in one:
            assert one["input"] == {}
            one["input"] = json.loads(one.pop("json"))
    return told


# Whole answers


def test_outbound_an_answer_is_a_message():
    assert answered(content="Yes.") == {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "m",
        "content": [text("Yes.")],
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "usage": {
            "input_tokens": 9,
            "cache_creation_input_tokens": 0,
            "cache_read_input_tokens": 0,
            "output_tokens": 5,
        },
    }


@pytest.mark.parametrize(
    ("message", "told"),
    [
        ({"content": ""}, []),
        ({"content": "a", "tool_calls": [CALL]}, [text("a"), USED]),
        ({"refusal": "No."}, [text("No.")]),
        ({"content": "a", "thinking_blocks": [THOUGHT, HIDDEN]}, [THOUGHT, HIDDEN, text("a")]),
        ({"content": "a", "content_blocks": [text("a"), USED, text("b")]}, [text("a"), USED, text("b")]),
        ({"content": "a", "reasoning_content": "Hm."}, [text("a")]),
        ({"tool_calls": [{**CALL, "id": "functions.weather:0"}]}, None),
        ({"tool_calls": [{**CALL, "id": None}]}, None),
        ({"function_call": CALL["function"]}, None),
    ],
)
def test_outbound_what_a_message_holds(message, told):
    found = content(**message)

    if told is None:
        [block] = found
        assert block | {"id": "call_1"} == USED
        assert block["id"].replace("_", "").isalnum()
    else:
        assert found == told


@pytest.mark.parametrize("key", ["reasoning_content", "reasoning"])
def test_outbound_thinking_of_others_is_shown_unsigned_to_who_asked(key):
    shown = {"type": "thinking", "thinking": "Hm.", "signature": ""}

    assert content(THINKS, content="a", **{key: "Hm."}) == [shown, text("a")]
    assert content({"thinking": {"type": "adaptive", "display": "omitted"}}, content="a", **{key: "Hm."}) == [text("a")]


@pytest.mark.parametrize(
    ("arguments", "given"), [("", {}), ("{}", {}), ('{"a": 1}', {"a": 1}), ('{"a": ', {"arguments": '{"a": '})]
)
def test_outbound_arguments_become_an_object(arguments, given):
    [block] = content(tool_calls=[{**CALL, "function": {"name": "weather", "arguments": arguments}}])

    assert block["input"] == given


@pytest.mark.parametrize(
    ("more", "reason", "sequence"),
    [
        ({"content": "a"}, "end_turn", None),
        ({"content": "a", "finish": "length"}, "max_tokens", None),
        ({"content": "a", "finish": "content_filter"}, "refusal", None),
        ({"tool_calls": [CALL], "finish": "tool_calls"}, "tool_use", None),
        ({"tool_calls": [CALL], "finish": "stop"}, "tool_use", None),
        ({"tool_calls": [CALL], "finish": "length"}, "max_tokens", None),
        ({"content": "a", "choice": {"stop_reason": "stop_sequence", "stop_sequence": "END"}}, "stop_sequence", "END"),
        ({"content": "a", "choice": {"stop_reason": "pause_turn"}, "finish": "length"}, "pause_turn", None),
        ({"content": "a", "choice": {"stop_reason": "END"}}, "stop_sequence", "END"),
        ({"content": "a", "choice": {"stop_reason": "other"}}, "end_turn", None),
        ({"content": "a", "choice": {"stop_reason": 128009}}, "end_turn", None),
        ({"content": "a", "finish": "odd"}, "end_turn", None),
    ],
)
def test_a108_why_an_answer_ended_and_at_which_sequence(more, reason, sequence):
    found = answered({"stop_sequences": ["END"]}, **more)

    assert (found["stop_reason"], found["stop_sequence"]) == (reason, sequence)


def test_a109_usage_is_split_into_what_was_read_fresh_from_a_cache_and_written_to_it():
    prompt = {
        "cached_tokens": 30,
        "cache_creation_tokens": 20,
        "cache_creation_token_details": {"ephemeral_5m_input_tokens": 20, "ephemeral_1h_input_tokens": 0},
    }
    usage = {"prompt_tokens": 100, "completion_tokens": 5, "prompt_tokens_details": prompt}

    assert answered(content="a", usage=usage)["usage"] == {
        "input_tokens": 50,
        "cache_creation_input_tokens": 20,
        "cache_read_input_tokens": 30,
        "output_tokens": 5,
        "cache_creation": prompt["cache_creation_token_details"],
    }


def test_a109_a_server_that_counts_more_cached_tokens_than_there_were_is_not_believed():
    usage = {"prompt_tokens": 10, "completion_tokens": 5, "prompt_tokens_details": {"cached_tokens": 40}}

    assert answered(content="a", usage=usage)["usage"]["input_tokens"] == 0
    assert answered(content="a", usage=usage)["usage"]["cache_read_input_tokens"] == 10


def test_outbound_an_answer_of_anthropics_comes_out_as_it_went_in():
    whole = {
        "id": "msg_01A",
        "type": "message",
        "role": "assistant",
        "model": "claude",
        "content": [THOUGHT, HIDDEN, text("a"), USED],
        "stop_reason": "tool_use",
        "stop_sequence": None,
        "usage": {
            "input_tokens": 5,
            "cache_creation_input_tokens": 3,
            "cache_read_input_tokens": 2,
            "output_tokens": 5,
            "service_tier": "standard",
        },
    }
    canonical = anthropic.response_in(json.loads(json.dumps(whole)), anthropic.request_out(call().body, OLD))

    assert anthropic.response_out(canonical, call()) == whole


# Streams


def test_a110_events_in_their_full_order():
    found = written(
        delta(role="assistant", content=""),
        delta(content="Yes"),
        delta(content="."),
        delta(tool_calls=[{"index": 0, **CALL, "function": {"name": "weather", "arguments": ""}}]),
        delta(tool_calls=[{"index": 0, "function": {"arguments": '{"city":"Rome"}'}}]),
        delta("tool_calls"),
        USAGE,
    )

    assert kinds(found) == [
        "message_start", "start", "delta", "delta", "stop", "start", "delta", "stop", "message_delta", "message_stop",
    ]  # fmt: skip
    assert found[0]["message"]["content"] == []
    assert found[0]["message"]["stop_reason"] is None
    assert found[0]["message"]["usage"]["input_tokens"] > 0
    assert found[-2]["delta"] == {"stop_reason": "tool_use", "stop_sequence": None}
    assert (found[-2]["usage"]["input_tokens"], found[-2]["usage"]["output_tokens"]) == (9, 5)
    assert blocks(found) == [text("Yes."), USED]


def pieces(*told):
    """Chunks of calls: index, then a name or a piece of arguments."""
    made = []
    for index, name, arguments in told:
        named = {"id": f"call_{index}", "function": {"name": name, "arguments": arguments}}
        made.append(delta(tool_calls=[{"index": index, **(named if name else {"function": {"arguments": arguments}})}]))
    return made


@pytest.mark.parametrize(
    "told",
    [
        [(0, "a", '{"x":'), (0, "", "1}"), (1, "b", '{"y":'), (1, "", "2}")],
        [(0, "a", ""), (1, "b", ""), (0, "", '{"x":1}'), (1, "", '{"y":2}')],
        [(0, "a", '{"x":'), (1, "b", '{"y":'), (0, "", "1}"), (1, "", "2}")],
        [(0, "a", ""), (1, "b", '{"y":2}'), (0, "", '{"x":1}')],
        [(0, "a", '{"x":1}'), (0, "a", ""), (1, "b", '{"y":2}')],
        [(3, "a", '{"x":1}'), (7, "b", '{"y":2}')],
    ],
    ids=["one after the other", "announced first", "in turns", "the second first", "named twice", "odd indexes"],
)
@pytest.mark.parametrize("size", [1, 2, 9])
def test_a111_arguments_go_out_as_pieces_of_input_one_call_after_the_other(told, size):
    found = written(*pieces(*told), delta("tool_calls"), size=size)

    assert [(one["name"], one["input"]) for one in blocks(found)] == [("a", {"x": 1}), ("b", {"y": 2})]


def test_a111_calls_without_index_or_arguments():
    bare = {"id": "call_a", "type": "function", "function": {"name": "a", "arguments": ""}}
    found = written(
        delta(tool_calls=[bare]),
        delta(tool_calls=[{"id": "call_b", "function": {"name": "b", "arguments": '{"y":'}}]),
        delta(tool_calls=[{"function": {"arguments": "2}"}}]),
        delta("tool_calls"),
    )

    assert [(one["id"], one["input"]) for one in blocks(found)] == [("call_a", {}), ("call_b", {"y": 2})]


def test_outbound_thinking_is_a_block_of_its_own():
    chunks = [delta(reasoning_content="H"), delta(reasoning_content="m."), delta(content="a"), delta("stop")]

    assert blocks(written(*chunks, native=THINKS)) == [{**THOUGHT, "signature": ""}, text("a")]
    assert blocks(written(*chunks)) == [text("a")]


def test_a114_thinking_that_is_not_shown_is_told_as_pings():
    writer = anthropic.writer(call())
    first = writer.write([delta(content="a")], False)
    later = writer.write([delta(reasoning_content="Hm.")], False)

    assert b"ping" not in first
    assert events(later) == [{"type": "ping"}]


def test_a114_a_silent_connection_is_kept_open_by_a_comment_then_by_pings():
    writer = anthropic.writer(call())

    assert writer.alive.startswith(b": ")
    writer.write([delta(content="a")], False)
    assert events(writer.alive) == [{"type": "ping"}]


def test_an_answer_that_is_there_as_a_whole_begins_with_what_it_took():
    [began, *_] = written(delta(content="a"), delta("stop"), USAGE, size=3)

    assert began["message"]["usage"]["input_tokens"] == 9


def test_outbound_signed_thinking_gets_its_signature():
    chunks = [delta(reasoning_content="Hm."), delta(thinking_blocks=[THOUGHT]), delta(thinking_blocks=[HIDDEN])]

    assert blocks(written(*chunks, delta(content="a"), delta("stop"), native=THINKS)) == [THOUGHT, HIDDEN, text("a")]
    assert blocks(written(*chunks, delta(content="a"), delta("stop"))) == [THOUGHT, HIDDEN, text("a")]


CITED = {"type": "text", "text": "a", "citations": [{"type": "char_location", "cited_text": "b"}]}
SERVED = {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {"query": "x"}}
FOUND = {"type": "web_search_tool_result", "tool_use_id": "srvtoolu_1", "content": []}


@pytest.mark.parametrize(
    "message",
    [
        {"content": "a"},
        {"content": "a", "tool_calls": [CALL]},
        {"content": "a", "reasoning_content": "Hm.", "thinking_blocks": [THOUGHT, HIDDEN], "tool_calls": [CALL]},
        {"content": "a", "content_blocks": [SERVED, FOUND, CITED, USED]},
        {"content": "", "refusal": "No."},
    ],
)
def test_outbound_a_stored_answer_means_the_same_whole_and_streamed(message):
    stored = completion(finish="tool_calls" if message.get("tool_calls") else "stop", **message)
    chunks = [Chunk(body) for body in completion_chunks(stored, include_usage=True)]
    whole, found = anthropic.response_out(stored, call()), written(*chunks, size=9)

    assert blocks(found) == whole["content"]
    assert found[-2]["delta"]["stop_reason"] == whole["stop_reason"]
    assert found[-2]["usage"] == whole["usage"]


def test_outbound_a_refusal_is_told_as_such():
    found = written(delta(content="I ca"), delta("content_filter", refusal="It is not allowed."))
    whole = answered(content="I ca", refusal="It is not allowed.", finish="content_filter")

    details = {"type": "refusal", "category": None, "explanation": "It is not allowed."}
    assert blocks(found) == whole["content"] == [text("I ca")]
    assert found[-2]["delta"]["stop_reason"] == whole["stop_reason"] == "refusal"
    assert found[-2]["delta"]["stop_details"] == whole["stop_details"] == details


def test_outbound_an_answer_that_says_nothing_is_whole_all_the_same():
    assert kinds(written(delta("stop"))) == ["message_start", "message_delta", "message_stop"]


def test_outbound_a_second_choice_is_not_told():
    other = Chunk({"choices": [{"index": 1, "delta": {"content": "b"}, "finish_reason": None}]})

    assert blocks(written(delta(content="a"), other, delta("stop"))) == [text("a")]


# Forwarded streams

STREAM = b"".join(
    [
        start(),
        block(0, {"type": "thinking_delta", "thinking": "Hm."}, {"type": "signature_delta", "signature": "c2ln"},
              type="thinking", thinking="", signature=""),
        b'event: ping\ndata: {"type": "ping"}\n\n',
        texts(1, "On", "e."),
        tool(2, '{"a":', "1}"),
        b'event: something_new\ndata: {"type": "something_new"}\n\n',
        end("tool_use"),
    ]
)  # fmt: skip


def forwarded(data, size=1 << 20):
    """What a writer makes of an Anthropic stream, and the writer."""
    writer, played = anthropic.writer(call()), Played(data)
    chunks = played.chunks
    out = b"".join(writer.write(chunks[n : n + size], True) for n in range(0, len(chunks), size))
    return out, writer, played


@pytest.mark.parametrize("size", [1, 3, 1 << 20])
def test_a110_a_stream_of_anthropics_is_forwarded_byte_for_byte(size):
    out, writer, played = forwarded(STREAM, size)

    assert played.reader.complete
    assert out + writer.end() == STREAM


def test_a110_the_reason_of_the_end_waits_until_it_is_the_end():
    out, _, _ = forwarded(STREAM.removesuffix(b'event: message_stop\ndata: {"type": "message_stop"}\n\n'))

    assert b"message_delta" not in out
    assert out == STREAM[: len(out)]


def test_a110_events_without_a_name_get_one():
    out, writer, _ = forwarded(STREAM.replace(b"event: content_block_delta\n", b""))

    assert out + writer.end() == STREAM


@pytest.mark.parametrize("after", range(1, 12))
def test_a110_another_grammar_goes_on_behind_a_broken_stream(after):
    """Wherever Anthropic's stream broke, what follows is a message whose blocks are closed and counted on."""
    frames = (start() + texts(0, "a", "b") + texts(1, "c", "d") + texts(2, "e")).split(b"\n\n")[:-1]
    out, writer, _ = forwarded(b"\n\n".join(frames[:after]) + b"\n\n")
    out += writer.write([delta(content="!"), delta("stop"), USAGE], False) + writer.end()
    found = events(out)

    said = "".join(one["text"] for one in blocks(found))
    assert said.endswith("!")
    assert "abcde".startswith(said[:-1])
    assert kinds(found)[-2:] == ["message_delta", "message_stop"]
    assert kinds(found).count("message_start") == 1
    assert found[-2]["usage"]["output_tokens"] == 5


def test_a110_an_open_text_is_gone_on_with():
    out, writer, _ = forwarded(start() + texts(0, "a").partition(b"event: content_block_stop")[0])
    out += writer.write([delta(content="b"), delta("stop")], False) + writer.end()

    assert blocks(events(out)) == [text("ab")]


def test_outbound_a_forwarded_stream_that_is_cut_for_money_ends_as_one_that_was_too_long():
    out, writer, _ = forwarded(start() + texts(0, "a").partition(b"event: content_block_stop")[0])
    out += writer.write([delta("length"), USAGE], True) + writer.end()

    assert events(out)[-2]["delta"]["stop_reason"] == "max_tokens"
    assert blocks(events(out)) == [text("a")]


# Errors


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, "invalid_request_error"), (401, "authentication_error"), (402, "billing_error"),
        (403, "permission_error"), (404, "not_found_error"), (405, "invalid_request_error"), (408, "timeout_error"),
        (413, "request_too_large"), (415, "invalid_request_error"), (422, "invalid_request_error"),
        (429, "rate_limit_error"), (500, "api_error"), (502, "api_error"), (503, "overloaded_error"),
        (504, "timeout_error"), (529, "overloaded_error"),
    ],
)  # fmt: skip
def test_a112_errors_in_anthropics_words(status, kind):
    told = anthropic.error_out(AuraError("It failed.", status=status), "req_1")

    assert told == {"type": "error", "error": {"type": kind, "message": "It failed."}, "request_id": "req_1"}


@pytest.mark.parametrize(
    ("param", "message"),
    [
        ("messages.0.content", "messages.0.content: is odd"),
        ("messages[3].content", "messages: is odd"),
        (None, "is odd"),
    ],
)
def test_a112_an_error_names_the_clients_own_field(param, message):
    assert anthropic.error_out(BadRequest("is odd", param=param), "req_1")["error"]["message"] == message


def test_a112_an_error_in_mid_stream_is_one_event():
    error = UpstreamError("It broke off.", code="stream_interrupted")
    [event] = events(anthropic.writer(call()).error(error))

    assert event == {
        "type": "error",
        "error": {"type": "api_error", "message": "It broke off."},
        "request_id": "req_1",
    }


def test_a100_limits_are_told_in_anthropics_names_too():
    told = {"x-ratelimit-limit-requests": "50", "x-ratelimit-remaining-tokens": "0", "x-ratelimit-reset-tokens": "1s"}

    assert anthropic.ratelimit_out(told) == {
        "anthropic-ratelimit-requests-limit": "50",
        "anthropic-ratelimit-tokens-remaining": "0",
    }


def test_a112_a_failure_of_the_providers_is_not_the_clients():
    told = anthropic.error_out(Failure(Reason.AUTH, "invalid x-api-key", status=401).to_client(), "req_1")

    assert told["error"]["type"] == "api_error"


# Forwarded requests


def sent(model=BUDGET, paid=None, **body):
    body = {"model": "auto", "max_tokens": 100, "messages": [{"role": "user", "content": "Hi"}], **body}
    before = json.dumps(body)
    translation = anthropic.request_forward(body, model, paid)

    assert json.dumps(body) == before, "the client's body is never changed"
    return translation


def test_outbound_a_body_is_forwarded_with_the_targets_model_alone():
    body = {
        "messages": [{"role": "user", "content": [{"type": "of_next_year", "x": None}]}],
        "new": {"a": 1},
        "top_p": None,
        "stream": True,
    }
    translation = sent(unknown("claude-x"), **body)

    assert translation.body == {"model": "claude-x", "max_tokens": 100, **body}
    assert (translation.dropped, translation.headers) == ([], {})


def test_outbound_auras_own_members_stay_here_and_betas_go_in_a_header():
    translation = sent(aura={"tier": "eco"}, fallbacks=["a/b"], anthropic_beta=["a", "b", "a"])

    assert translation.body.keys() == {"model", "max_tokens", "messages"}
    assert translation.headers == {"anthropic-beta": "a,b"}


FOREIGN = {"type": "thinking", "thinking": "Hm.", "signature": ""}


def test_a67_what_other_providers_left_in_the_history_is_taken_out():
    used = {"type": "tool_use", "id": "functions.a:0", "name": "a", "input": {}}
    messages = [
        {"role": "user", "content": "Hi"},
        {"role": "assistant", "content": [FOREIGN, THOUGHT, used]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "functions.a:0", "content": "x"}]},
        {"role": "assistant", "content": [FOREIGN]},
        {"role": "user", "content": "Go on."},
    ]
    told = sent(messages=messages).body["messages"]

    [thought, call_block], [result_block] = told[1]["content"], told[2]["content"]
    assert thought == THOUGHT
    assert call_block["id"] == result_block["tool_use_id"] != "functions.a:0"
    assert [message["role"] for message in told] == ["user", "assistant", "user", "user"]


def calling(*blocks_of_it):
    used = {"type": "tool_use", "id": "a", "name": "a", "input": {}}
    result = {"type": "tool_result", "tool_use_id": "a", "content": "x"}
    return [
        {"role": "user", "content": "Hi"},
        {"role": "assistant", "content": [*blocks_of_it, used]},
        {"role": "user", "content": [result]},
    ]


@pytest.mark.parametrize(
    ("messages", "thinking", "dropped"),
    [
        (calling(THOUGHT), {"type": "enabled", "budget_tokens": 1024}, []),
        (calling(FOREIGN), {"type": "enabled", "budget_tokens": 1024}, ["thinking"]),
        (calling(), {"type": "enabled", "budget_tokens": 1024}, ["thinking"]),
        (calling(), {"type": "adaptive"}, []),
    ],
)
def test_a68_thinking_is_off_where_the_calling_turn_did_not_begin_with_its_own(messages, thinking, dropped):
    model = ADAPTIVE if thinking["type"] == "adaptive" else BUDGET
    translation = sent(model, messages=messages, thinking=thinking, max_tokens=4000)

    assert translation.dropped == dropped
    assert ("thinking" in translation.body) == (not dropped)


def test_outbound_a_routed_body_keeps_to_what_the_model_can():
    thinking = {"type": "enabled", "budget_tokens": 20000}
    old = sent(OLD, thinking=thinking, max_tokens=32000, temperature=1)
    adaptive = sent(ADAPTIVE, thinking=thinking, max_tokens=32000, temperature=0.5, top_k=3)

    assert "thinking" not in old.body
    assert old.body["max_tokens"] == OLD.max_output
    assert old.dropped == ["thinking"]
    assert adaptive.body["thinking"] == {"type": "adaptive"}
    assert not {"temperature", "top_k"} & adaptive.body.keys()
    assert adaptive.dropped == ["temperature", "top_k"]


def test_outbound_a_limit_that_is_paid_for_holds_and_thinking_fits_into_it():
    thinking = {"type": "enabled", "budget_tokens": 20000}
    translation = sent(BUDGET, 3000, thinking=thinking, max_tokens=32000)

    assert translation.body["max_tokens"] == 3000
    assert translation.body["thinking"] == {"type": "enabled", "budget_tokens": 1500}


def test_outbound_a_model_without_schemas_is_not_asked_for_one():
    form = {"type": "json_schema", "schema": {"type": "object"}}

    with pytest.raises(BadRequest) as error:
        sent(OLD, output_config={"format": form})
    assert error.value.param == "output_config.format"


def test_a16_and_a8_a_prefill_and_a_system_text_take_the_form_of_the_model():
    messages = [
        {"role": "user", "content": "Hi"},
        {"role": "system", "content": "Now French."},
        {"role": "assistant", "content": "Ou"},
    ]
    told = sent(ADAPTIVE, messages=messages).body["messages"]
    kept = sent(unknown("m"), messages=messages).body["messages"]

    without = sent(BUDGET, messages=messages).body["messages"]

    assert [message["role"] for message in told][-2:] == ["assistant", "user"]
    assert without[1] == {"role": "user", "content": [text("<system>\nNow French.\n</system>")]}
    assert kept == messages
