"""Ollama's native grammar, there and back. Lines are hand-written after the shapes that Ollama documents."""

import copy
import json

import pytest

from aura.call import Model, Usage
from aura.catalogue import unknown
from aura.dialects import ollama
from aura.dialects.assembly import Assembler
from aura.errors import BadRequest, Failure, Reason

USER = {"role": "user", "content": "Hello"}
WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "additionalProperties": False},
    },
}
TIME = {"type": "function", "function": {"name": "get_time", "parameters": {"type": "object", "properties": {}}}}
AT = "2026-03-04T05:06:07.123456789Z"
DONE = {
    "done": True,
    "done_reason": "stop",
    "total_duration": 900000000,
    "load_duration": 250000000,
    "prompt_eval_count": 11,
    "eval_count": 7,
}
PNG = "iVBORw0KGgo="


def sent(model=None, **body):
    return ollama.request_out({"model": "auto", "messages": [USER], **body}, model or unknown("llama3"))


def sent_messages(*messages):
    return sent(messages=list(messages)).body["messages"]


def line(done=None, **message):
    said = {"role": "assistant", "content": "", **message}
    return {"model": "llama3", "created_at": AT, "message": said, **(done or {"done": False})}


def answered(answer, **body):
    return ollama.response_in(copy.deepcopy(answer), sent(**body))


def streamed(lines, size=1 << 20, **body):
    """Play a stream in pieces of ``size`` bytes; return its chunks, its reader and the failure that ended it."""
    data = b"".join(item if isinstance(item, bytes) else json.dumps(item).encode() + b"\n" for item in lines)
    decoder, reader, chunks = ollama.DECODER(), ollama.reader(sent(stream=True, **body)), []
    try:
        for start in range(0, len(data), size):
            for event in decoder.feed(data[start : start + size]):
                chunks += reader.feed(event)
        for event in decoder.finish():
            chunks += reader.feed(event)
    except Failure as failure:
        return chunks, reader, failure
    return chunks, reader, None


def assembled(chunks):
    assembler = Assembler()
    for chunk in chunks:
        assembler.add(chunk.body)
    return assembler.completion()


# Requests


@pytest.mark.parametrize("stream", [True, False, None])
def test_o1_stream_is_always_said_because_it_defaults_to_true(stream):
    body = sent(stream=stream).body if stream is not None else sent().body

    assert bool(stream) is body["stream"]


@pytest.mark.parametrize(
    ("body", "options"),
    [
        pytest.param(
            {"temperature": 0.3, "top_p": 0.9, "seed": 7},
            {"temperature": 0.3, "top_p": 0.9, "seed": 7},
            id="same names",
        ),
        pytest.param({"top_k": 5, "min_p": 0.1}, {"top_k": 5, "min_p": 0.1}, id="Ollama's own names"),
        pytest.param({"max_tokens": 9}, {"num_predict": 9}, id="max_tokens"),
        pytest.param({"max_completion_tokens": 8}, {"num_predict": 8}, id="max_completion_tokens"),
        pytest.param({"max_completion_tokens": 8, "max_tokens": 9}, {"num_predict": 8}, id="the newer name wins"),
        pytest.param({"stop": "END"}, {"stop": ["END"]}, id="one stop"),
        pytest.param({"stop": ["a", "b"]}, {"stop": ["a", "b"]}, id="several stops"),
        pytest.param(
            {"frequency_penalty": 0.5}, {"frequency_penalty": 0.5}, id="frequency_penalty is not repeat_penalty"
        ),
        pytest.param({"presence_penalty": 0.5}, {"presence_penalty": 0.5}, id="presence_penalty"),
        pytest.param(
            {"repeat_penalty": 1.1, "num_ctx": 8192},
            {"repeat_penalty": 1.1, "num_ctx": 8192},
            id="repeat_penalty, num_ctx",
        ),
        pytest.param(
            {"temperature": 0, "options": {"num_gpu": 1}}, {"temperature": 0, "num_gpu": 1}, id="options as they are"
        ),
    ],
)
def test_o2_parameters_go_into_options(body, options):
    translation = sent(**body)

    assert options == translation.body["options"]
    assert translation.dropped == []


@pytest.mark.parametrize("body", [{}, {"temperature": None, "top_p": None, "stop": None, "max_tokens": None}])
def test_o3_what_is_absent_stays_absent(body):
    """The Modelfile's own temperature applies then."""
    assert "options" not in sent(**body).body


SCHEMA = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}


@pytest.mark.parametrize(
    ("wanted", "form"),
    [
        ({"type": "json_object"}, "json"),
        ({"type": "json_schema", "json_schema": {"name": "n", "strict": True, "schema": SCHEMA}}, SCHEMA),
        ({"type": "text"}, None),
        (None, None),
    ],
)
def test_o4_response_format_becomes_the_schema_itself(wanted, form):
    assert form == sent(response_format=wanted).body.get("format")


def test_o5_tools_go_as_they_are():
    translation = sent(tools=[WEATHER, TIME], tool_choice="auto")

    assert translation.body["tools"] == [WEATHER, TIME]
    assert translation.body["messages"] == [USER]
    assert translation.dropped == []


def test_o5_tool_choice_none_offers_no_tools():
    assert "tools" not in sent(tools=[WEATHER], tool_choice="none").body


@pytest.mark.parametrize(
    ("choice", "offered", "told"),
    [
        pytest.param("required", [WEATHER, TIME], "one of the tools get_weather, get_time", id="required"),
        pytest.param(
            {"type": "function", "function": {"name": "get_time"}}, [TIME], "the tool get_time", id="function"
        ),
        pytest.param(
            {
                "type": "allowed_tools",
                "allowed_tools": {"mode": "required", "tools": [{"type": "function", "name": "get_time"}]},
            },
            [TIME],
            "the tool get_time",
            id="allowed_tools",
        ),
    ],
)
def test_o5_a_forced_tool_is_asked_for_in_words_and_noted(choice, offered, told):
    translation = sent(tools=[WEATHER, TIME], tool_choice=choice)

    assert offered == translation.body["tools"]
    assert translation.body["messages"][0]["role"] == "system"
    assert told in translation.body["messages"][0]["content"]
    assert translation.dropped == ["tool_choice"]


def test_o5_the_demand_joins_the_clients_own_system_message():
    messages = [{"role": "system", "content": "Be brief."}, USER]

    out = sent(messages=messages, tools=[TIME], tool_choice="required").body["messages"]

    assert [message["role"] for message in out] == ["system", "user"]
    assert out[0]["content"].startswith("Be brief.\n\n")
    assert messages[0]["content"] == "Be brief."


def test_o5_allowed_tools_that_need_not_be_called_are_no_demand():
    choice = {"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": [TIME]}}

    translation = sent(tools=[WEATHER, TIME], tool_choice=choice)

    assert (translation.body["tools"], translation.body["messages"]) == ([TIME], [USER])


@pytest.mark.parametrize(
    "choice", [{"type": "function", "function": {"name": "nope"}}, {"type": "function"}, "sometimes", 7]
)
def test_o5_a_choice_of_no_offered_tool_is_the_clients_mistake(choice):
    with pytest.raises(BadRequest) as caught:
        sent(tools=[WEATHER], tool_choice=choice)

    assert caught.value.param == "tool_choice"


def test_o5_a_tool_that_is_no_function_is_refused():
    with pytest.raises(BadRequest) as caught:
        sent(tools=[WEATHER, {"type": "custom", "custom": {"name": "shell"}}])

    assert caught.value.param == "tools[1].type"


@pytest.mark.parametrize(
    ("effort", "think"),
    [
        ("none", False),
        ("minimal", "low"),
        ("low", "low"),
        ("medium", "medium"),
        ("high", "high"),
        ("xhigh", "max"),
        ("ultra", "max"),
        ("max", "max"),
    ],
)
def test_o6_reasoning_effort_becomes_think(effort, think):
    assert think == sent(reasoning_effort=effort).body["think"]
    assert think == sent(reasoning={"effort": effort}).body["think"]


def test_o6_think_itself_is_passed():
    assert sent(think=True, reasoning_effort="low").body["think"] is True


def test_o6_an_effort_is_dropped_where_the_model_is_known_not_to_think():
    plain = Model("llama3", known=True)

    translation = sent(plain, reasoning_effort="high")

    assert ("think" not in translation.body, ["reasoning_effort"]) == (True, translation.dropped)
    assert sent(plain, reasoning_effort="none").dropped == []


def test_o7_developer_becomes_system():
    assert sent_messages({"role": "developer", "content": "Be brief."}) == [{"role": "system", "content": "Be brief."}]


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ("plain", "plain"),
        ([{"type": "text", "text": "one"}, {"type": "text", "text": "two"}], "one\ntwo"),
        ([{"type": "refusal", "refusal": "no"}], "no"),
        ([], ""),
        (None, ""),
    ],
)
def test_o8_content_is_a_string(content, text):
    assert [{"role": "assistant", "content": text}] == sent_messages({"role": "assistant", "content": content})


@pytest.mark.parametrize(
    "part", [{"type": "input_audio", "input_audio": {}}, {"type": "file", "file": {}}, {"type": "text"}, "text", {}]
)
def test_o8_a_part_that_is_neither_text_nor_image_is_refused(part):
    with pytest.raises(BadRequest) as caught:
        sent_messages(USER, {"role": "user", "content": [{"type": "text", "text": "look"}, part]})

    assert caught.value.param == "messages[1].content[1]"


@pytest.mark.parametrize("kind", ["image/png", "image/jpeg", "image/png;name=a.png", ""])
def test_o9_a_data_url_becomes_raw_base64(kind):
    parts = [
        {"type": "text", "text": "What is it?"},
        {"type": "image_url", "image_url": {"url": f"data:{kind};base64,{PNG}", "detail": "low"}},
    ]

    assert sent_messages({"role": "user", "content": parts}) == [
        {"role": "user", "content": "What is it?", "images": [PNG]}
    ]


@pytest.mark.parametrize(
    "url",
    [
        "https://example.com/a.png",
        "http://169.254.169.254/",
        "file:///etc/passwd",
        "data:image/png,abc",
        "data:;base64,",
        7,
    ],
)
def test_o9_an_image_by_address_is_refused_and_never_fetched(url):
    with pytest.raises(BadRequest) as caught:
        sent_messages({"role": "user", "content": [{"type": "image_url", "image_url": {"url": url}}]})

    assert caught.value.param == "messages[0].content[0].image_url.url"


@pytest.mark.parametrize(
    ("arguments", "sent_as"),
    [
        ('{"city":"Rome","days":2}', {"city": "Rome", "days": 2}),
        ("", {}),
        (None, {}),
        ({"city": "Rome"}, {"city": "Rome"}),
        ('{"city":"Ro', {"arguments": '{"city":"Ro'}),
        ("[1]", {"arguments": [1]}),
    ],
)
def test_o10_arguments_become_an_object(arguments, sent_as):
    call = {"id": "call_1", "type": "function", "function": {"name": "get_weather", "arguments": arguments}}

    [message] = sent_messages({"role": "assistant", "content": None, "tool_calls": [call]})

    assert {"id": "call_1", "function": {"name": "get_weather", "arguments": sent_as}} == message["tool_calls"][0]
    assert message["content"] == ""


def test_o10_a_call_without_a_name_is_refused():
    with pytest.raises(BadRequest) as caught:
        sent_messages(USER, {"role": "assistant", "tool_calls": [{"id": "1", "type": "function"}]})

    assert caught.value.param == "messages[1].tool_calls[0]"


def test_o11_a_tool_result_names_its_tool():
    calls = [
        {"id": "call_a", "type": "function", "function": {"name": "get_weather", "arguments": "{}"}},
        {"id": "call_b", "type": "function", "function": {"name": "get_time", "arguments": "{}"}},
    ]

    out = sent_messages(
        USER,
        {"role": "assistant", "tool_calls": calls},
        {"role": "tool", "tool_call_id": "call_b", "content": "noon"},
        {"role": "tool", "tool_call_id": "call_a", "content": [{"type": "text", "text": "sunny"}]},
        {"role": "tool", "tool_call_id": "call_unknown", "content": "?"},
    )

    assert out[2] == {"role": "tool", "content": "noon", "tool_name": "get_time", "tool_call_id": "call_b"}
    assert out[3] == {"role": "tool", "content": "sunny", "tool_name": "get_weather", "tool_call_id": "call_a"}
    assert out[4] == {"role": "tool", "content": "?", "tool_call_id": "call_unknown"}


def test_the_older_function_grammar_is_translated_both_ways():
    functions = [WEATHER["function"]]
    history = [
        USER,
        {
            "role": "assistant",
            "content": None,
            "function_call": {"name": "get_weather", "arguments": '{"city":"Rome"}'},
        },
        {"role": "function", "name": "get_weather", "content": "sunny"},
    ]

    body = sent(messages=history, functions=functions, function_call="auto").body

    assert body["tools"] == [WEATHER]
    assert body["messages"][1]["tool_calls"][0]["function"]["arguments"] == {"city": "Rome"}
    assert body["messages"][2] == {"role": "tool", "content": "sunny", "tool_name": "get_weather"}
    called = line(DONE, tool_calls=[{"function": {"name": "get_weather", "arguments": {"city": "Oslo"}}}])
    choice = answered(called, functions=functions)["choices"][0]
    assert choice["finish_reason"] == "function_call"
    assert choice["message"]["function_call"] == {"name": "get_weather", "arguments": '{"city":"Oslo"}'}
    assert "tool_calls" not in choice["message"]
    chunks, _, _ = streamed([called], functions=functions)
    assert choice["message"]["function_call"] == assembled(chunks)["choices"][0]["message"]["function_call"]


def test_a_thought_of_an_earlier_turn_is_replayed():
    [message] = sent_messages({"role": "assistant", "content": "4", "reasoning_content": "2+2"})

    assert message == {"role": "assistant", "content": "4", "thinking": "2+2"}


def test_o12_ollamas_own_settings_are_passed():
    own = {"keep_alive": "10m", "truncate": False, "shift": False, "logprobs": True, "top_logprobs": 2}

    translation = sent(**own)

    assert own == {key: translation.body[key] for key in own}
    assert translation.dropped == []


def test_o29_what_ollama_cannot_take_is_dropped_with_a_note():
    translation = sent(n=2, logit_bias={"50256": -100}, parallel_tool_calls=False, user="u", prediction={}, new_knob=1)

    assert translation.dropped == ["n", "logit_bias", "parallel_tool_calls", "user", "prediction", "new_knob"]
    assert {"model", "messages", "stream"} == set(translation.body)


def test_o29_a_value_that_asks_for_nothing_needs_no_note():
    body = {
        "n": 1,
        "logit_bias": {},
        "parallel_tool_calls": True,
        "store": False,
        "user": None,
        "aura": {},
        "fallbacks": [],
    }

    assert sent(**body).dropped == []


@pytest.mark.parametrize("body", [{"modalities": ["text", "audio"]}, {"audio": {"voice": "x", "format": "wav"}}])
def test_spoken_answers_are_refused(body):
    with pytest.raises(BadRequest):
        sent(**body)


def test_the_clients_body_is_never_changed():
    body = {
        "model": "auto",
        "messages": [{"role": "system", "content": "s"}, {"role": "user", "content": [{"type": "text", "text": "t"}]}],
        "tools": [WEATHER],
        "tool_choice": "required",
        "options": {"num_gpu": 1},
        "temperature": 1,
    }
    untouched = copy.deepcopy(body)

    first = ollama.request_out(body, unknown("llama3"))
    second = ollama.request_out(body, unknown("llama3"))

    assert untouched == body
    assert first == second


# Whole answers


def test_a_whole_answer_becomes_a_completion():
    answer = answered(line(DONE, content="Hi there"))

    message = {"role": "assistant", "content": "Hi there", "refusal": None}
    assert [{"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}] == answer["choices"]
    assert answer["usage"] == {"prompt_tokens": 11, "completion_tokens": 7, "total_tokens": 18}
    assert (
        answer["object"],
        answer["model"],
        answer["id"].startswith("chatcmpl-"),
    ) == ("chat.completion", "llama3", True)


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param({}, id="nothing"),
        pytest.param({"message": "hi", "done": True}, id="a message that is none"),
        pytest.param({"message": {"content": "hi"}, "done": False}, id="not done"),
        pytest.param({"error": "something broke"}, id="an error under 200"),
    ],
)
def test_an_answer_that_is_none_is_a_failure(answer):
    with pytest.raises(Failure):
        answered(answer)


# Streams


TEXT = [line(content="Grü"), line(content="ße 😀"), line(content=" ?"), line(DONE)]


@pytest.mark.parametrize("size", [1, 2, 5, 1 << 20])
def test_o13_lines_may_be_split_anywhere(size):
    lines = [b"\n", TEXT[0], b"\r\n", *TEXT[1:], b"\n"]

    chunks, reader, _ = streamed(lines, size)

    assert assembled(chunks)["choices"][0]["message"]["content"] == "Grüße 😀 ?"
    assert reader.complete


def test_o13_the_last_line_needs_no_line_end():
    chunks, reader, _ = streamed([*TEXT[:-1], json.dumps(TEXT[-1]).encode()])

    assert (reader.complete, chunks[-1].last) == (True, True)


def test_o14_content_thinking_and_tool_calls_may_share_a_line():
    calls = [{"id": "call_1", "function": {"name": "get_time", "arguments": {}}}]

    chunks, _, _ = streamed([line(DONE, content="Looking.", thinking="hm", tool_calls=calls)])

    delta = chunks[0].body["choices"][0]["delta"]
    name = delta["tool_calls"][0]["function"]["name"]
    assert (delta["content"], delta["reasoning_content"], name) == ("Looking.", "hm", "get_time")
    message = answered(line(DONE, content="Looking.", thinking="hm", tool_calls=calls))["choices"][0]["message"]
    assert message == assembled(chunks)["choices"][0]["message"]


def test_o15_thinking_becomes_reasoning_content():
    lines = [line(thinking="Let me "), line(thinking="see."), line(content="4"), line(DONE)]

    chunks, _, _ = streamed(lines)

    message = assembled(chunks)["choices"][0]["message"]
    assert (message["reasoning_content"], message["content"]) == ("Let me see.", "4")
    whole = answered(line(DONE, thinking="Let me see.", content="4"))["choices"][0]["message"]
    assert (whole["reasoning_content"], whole["content"]) == ("Let me see.", "4")


@pytest.mark.parametrize("size", [1, 2, 3, 7, 100])
@pytest.mark.parametrize(
    ("text", "thought", "content"),
    [
        pytest.param("<think>2+2</think>\n\n4", "2+2", "4", id="thought and answer"),
        pytest.param("\n<think>\na < b </thi</think>x", "\na < b </thi", "x", id="what only looks like the end"),
        pytest.param("<think>never closed", "never closed", "", id="never closed"),
        pytest.param("plain <think>no</think>", "", "plain <think>no</think>", id="not at the beginning"),
        pytest.param("<thing>", "", "<thing>", id="another tag"),
        pytest.param("<thi", "", "<thi", id="cut in the tag"),
        pytest.param("<think></think>4", "", "4", id="an empty thought"),
    ],
)
def test_o15_older_models_think_in_tags(text, thought, content, size):
    pieces = [line(content=text[start : start + size]) for start in range(0, len(text), size)]

    chunks, _, _ = streamed([*pieces, line(DONE)])

    streamed_message = assembled(chunks)["choices"][0]["message"]
    whole = answered(line(DONE, content=text))["choices"][0]["message"]
    for message in (streamed_message, whole):
        assert (thought, content) == (message.get("reasoning_content", ""), message["content"] or "")


def test_o15_tags_are_content_where_the_thought_has_its_own_field():
    chunks, _, _ = streamed([line(thinking="hm"), line(content="<think>literal</think>"), line(DONE)])

    assert assembled(chunks)["choices"][0]["message"]["content"] == "<think>literal</think>"


TWO_CALLS = [
    {"function": {"name": "get_weather", "arguments": {"city": "Rome"}}},
    {"function": {"name": "get_weather", "arguments": {"city": "Oslo"}}},
]


@pytest.mark.parametrize(
    "lines",
    [
        pytest.param([line(tool_calls=TWO_CALLS), line(DONE)], id="in one line"),
        pytest.param([line(tool_calls=TWO_CALLS[:1]), line(tool_calls=TWO_CALLS[1:]), line(DONE)], id="in two lines"),
        pytest.param([line(DONE, tool_calls=TWO_CALLS)], id="in the last line"),
    ],
)
def test_o16_two_calls_of_one_tool_have_ids_of_their_own(lines):
    chunks, _, _ = streamed(lines)

    pieces = [
        piece for chunk in chunks for choice in chunk.body["choices"] for piece in choice["delta"].get("tool_calls", ())
    ]
    assert [piece["index"] for piece in pieces] == [0, 1]
    assert [piece["type"] for piece in pieces] == ["function", "function"]
    assert [piece["function"]["arguments"] for piece in pieces] == ['{"city":"Rome"}', '{"city":"Oslo"}']
    ids = {piece["id"] for piece in pieces}
    assert (len(ids), all(name.startswith("call_") for name in ids)) == (2, True)


def test_o16_the_servers_own_id_is_kept():
    call = {"id": "call_abc", "function": {"index": 0, "name": "get_time", "arguments": {}}}

    chunks, _, _ = streamed([line(tool_calls=[call]), line(DONE)])

    [whole] = assembled(chunks)["choices"][0]["message"]["tool_calls"]
    assert whole == {"id": "call_abc", "type": "function", "function": {"name": "get_time", "arguments": "{}"}}
    assert [whole] == answered(line(DONE, tool_calls=[call]))["choices"][0]["message"]["tool_calls"]


def test_o16_generated_ids_differ_from_turn_to_turn():
    first = answered(line(DONE, tool_calls=TWO_CALLS))
    second = answered(line(DONE, tool_calls=TWO_CALLS), messages=[USER, {"role": "assistant", "content": "x"}, USER])

    ids = [call["id"] for answer in (first, second) for call in answer["choices"][0]["message"]["tool_calls"]]
    assert len(set(ids)) == 4


@pytest.mark.parametrize(
    ("told", "indexes"),
    [([0, 1], [0, 1]), ([0, 0], [0, 1]), ([1, 0], [1, 0]), ([None, None], [0, 1]), (["x", -1], [0, 1])],
)
def test_o17_the_index_is_the_functions_own_unless_it_is_taken(told, indexes):
    lines = [line(tool_calls=[{"function": {"index": index, "name": "f", "arguments": {}}}]) for index in told]

    chunks, _, _ = streamed([*lines, line(DONE)])

    assert indexes == [chunk.body["choices"][0]["delta"]["tool_calls"][0]["index"] for chunk in chunks[:2]]


@pytest.mark.parametrize(
    ("reason", "calls", "finish"),
    [
        ("stop", [], "stop"),
        ("stop", TWO_CALLS, "tool_calls"),
        ("length", [], "length"),
        ("length", TWO_CALLS, "length"),
        ("load", [], "stop"),
        ("unload", [], "stop"),
        (None, [], "stop"),
    ],
)
def test_o18_done_reasons(reason, calls, finish):
    done = {**DONE, "done_reason": reason}

    chunks, _, _ = streamed([line(tool_calls=calls), line(done)])

    assert finish == assembled(chunks)["choices"][0]["finish_reason"]
    assert sum(chunk.finished for chunk in chunks) == 1
    assert finish == answered(line(done, tool_calls=calls))["choices"][0]["finish_reason"]


def test_o18_an_answer_that_only_loaded_the_model_is_empty_but_complete():
    chunks, reader, _ = streamed([line({"done": True, "done_reason": "load"})])

    assert (reader.complete, any(chunk.content for chunk in chunks)) == (True, False)
    assert chunks[0].body["choices"][0]["delta"]["role"] == "assistant"


def test_o19_usage_comes_with_the_last_line():
    chunks, _, _ = streamed(TEXT)

    assert Usage(input=11, output=7) == chunks[-1].usage
    assert (chunks[-1].body["choices"], chunks[-1].body["usage"]["total_tokens"]) == ([], 18)


def test_o19_a_count_that_was_left_out_is_estimated():
    done = {"done": True, "done_reason": "stop"}
    question = [{"role": "user", "content": "word " * 80}]

    chunks, _, _ = streamed([line(content="a" * 40), line(done)], messages=question)
    usage = answered(line(done, content="a" * 40), messages=question)["usage"]

    assert Usage(input=104, output=10) == chunks[-1].usage
    assert (usage["prompt_tokens"], usage["completion_tokens"]) == (104, 10)


@pytest.mark.parametrize("before", [[], TEXT[:2]])
def test_o20_an_error_line_under_200_is_a_failure(before):
    chunks, reader, failure = streamed(
        [*before, {"error": "an error was encountered while running the model"}, line(DONE)]
    )

    assert (failure.reason, failure.rule.next) == (Reason.SERVER_ERROR, True)
    assert (len(before), False) == (len(chunks), reader.complete)


def test_o21_an_end_without_done_is_no_end():
    chunks, reader, failure = streamed(TEXT[:-1])

    assert (len(chunks), reader.complete, failure) == (3, False, None)
    assert not any(chunk.last or chunk.finished for chunk in chunks)


def test_a_line_after_the_last_says_nothing():
    chunks, _, _ = streamed([*TEXT, line(content="more")])

    assert chunks[-1].last
    assert assembled(chunks)["choices"][0]["message"]["content"] == "Grüße 😀 ?"


@pytest.mark.parametrize(
    "data",
    [
        b"{",
        b"[]",
        b"7",
        b'"x"',
        b"{}",
        b"<html>",
        b'{"message":7}',
        b'{"message":{"content":7}}',
        b'{"message":{"thinking":[1]}}',
        b'{"message":{"tool_calls":7}}',
        b'{"message":{"tool_calls":[7]}}',
        b'{"message":{"tool_calls":[{"function":{"name":7}}]}}',
    ],
)
def test_a_line_that_is_not_of_the_grammar_is_skippable(data):
    reader = ollama.reader(sent(stream=True))

    with pytest.raises(ValueError):  # noqa: PT011  (any of them is skipped)
        reader.feed(ollama.DECODER().feed(data + b"\n")[0])

    assert not reader.complete


@pytest.mark.parametrize(
    ("status", "body", "reason"),
    [
        (400, b'{"error":"registry.ollama.ai/library/llama3 does not support tools"}', Reason.INVALID_REQUEST),
        (400, b'{"error":"\\"llama3\\" does not support thinking"}', Reason.INVALID_REQUEST),
        (400, b'{"error":"\\"nomic-embed-text\\" does not support chat"}', Reason.INVALID_REQUEST),
        (400, b'{"error":"the input length exceeds the context length"}', Reason.CONTEXT_LENGTH),
        (404, b'{"error":"model \\"llama9\\" not found, try pulling it first"}', Reason.MODEL_NOT_FOUND),
        (404, b"404 page not found", Reason.BAD_RESPONSE),
        (401, b'{"error":"unauthorized"}', Reason.AUTH),
        (429, b'{"error":"too many concurrent requests"}', Reason.RATE_LIMITED),
        (429, b'{"error":"you have reached your hourly usage limit"}', Reason.QUOTA),
        (500, b'{"error":"model requires more system memory (9 GiB) than is available"}', Reason.UNAVAILABLE),
        (500, b'{"error":"llama runner process has terminated: exit status 2"}', Reason.UNAVAILABLE),
        (500, b'{"error":"unexpected EOF"}', Reason.SERVER_ERROR),
        (503, b'{"error":"server busy, please try again. maximum pending requests exceeded"}', Reason.UNAVAILABLE),
        (502, b"<html>bad gateway</html>", Reason.UNAVAILABLE),
        (500, b'{"error":{"message":"wrapped"}}', Reason.SERVER_ERROR),
        (400, b"[]", Reason.INVALID_REQUEST),
    ],
)
def test_o22_errors_before_content(status, body, reason):
    assert reason == ollama.error_in(status, {}, body).reason


def test_o22_the_servers_words_reach_the_client_whose_fault_it_is():
    failure = ollama.error_in(400, {}, b'{"error":"\\"llama3\\" does not support tools"}')

    assert (failure.to_client().status, failure.to_client().message) == (400, '"llama3" does not support tools')


def test_o24_the_time_to_load_is_kept_for_a_metric():
    translation = sent()
    ollama.response_in(line(DONE, content="x"), translation)

    assert translation.memo["load_s"] == 0.25


@pytest.mark.parametrize(
    ("text", "created"),
    [(AT, 1772600767), ("2026-03-04T06:06:07+01:00", 1772600767), ("soon", 99), (None, 99), (7, 99)],
)
def test_o28_created_at_becomes_unix_seconds(text, created):
    translation = sent()
    translation.created = 99

    assert created == ollama.response_in({**line(DONE), "created_at": text}, translation)["created"]


def test_o12_logprobs_are_told():
    item = {"token": "Hi", "logprob": -0.1, "bytes": [72, 105], "top_logprobs": []}

    chunks, _, _ = streamed([{**line(content="Hi"), "logprobs": [item]}, line(DONE)])

    told = {"content": [item], "refusal": None}
    assert told == assembled(chunks)["choices"][0]["logprobs"]
    assert told == answered({**line(DONE, content="Hi"), "logprobs": [item]})["choices"][0]["logprobs"]


def test_x5_first_content_is_content_thinking_or_a_call():
    chunks, _, _ = streamed(
        [line(content=""), line(thinking="a"), line(content="b"), line(tool_calls=TWO_CALLS), line(DONE)]
    )

    assert [chunk.content for chunk in chunks] == [True, True, True, False, False]
