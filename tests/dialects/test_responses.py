"""OpenAI's Responses, as pure translation: requests in, answers out, and providers' answers in."""

import copy
import json
import random
from contextlib import suppress

import orjson
import pytest

from aura.call import Call, Chunk, Model
from aura.catalogue import unknown
from aura.dialects import anthropic, ollama, openai, responses
from aura.dialects.anthropic.names import MAX_NAME
from aura.dialects.assembly import Assembler, completion_chunks
from aura.dialects.beyond import KEY
from aura.dialects.responses.items import BESIDE, NO_RESULT
from aura.dialects.responses.kept import history_of, numbered
from aura.dialects.responses.outbound import NATIVE
from aura.dialects.responses.sealed import seal, unseal
from aura.errors import AuraError, BadRequest, Failure, Reason
from aura.sse import Decoder, Event

from ..obedient import GRAMMARS
from ..test_responses import response_of, text_of

SIGNED = [{"type": "thinking", "thinking": "Hm.", "signature": "c2ln"}]
TOOL = {"type": "function", "name": "weather", "parameters": {"type": "object", "properties": {}}}
PATCH = {"type": "custom", "name": "patch", "format": {"type": "grammar", "syntax": "lark", "definition": "start: X"}}
SPACE = {"type": "namespace", "name": "files", "description": "", "tools": [{**TOOL, "name": "read"}, PATCH]}
PICTURE = "data:image/png;base64,aGk="
KNOWN = Model("m", known=True, max_output=1000, capabilities=frozenset({"reasoning"}))


def both(**body):
    """The canonical body and what is lost with it; what the client sent stays as it was."""
    body = {"model": "auto", "input": "Hi", **body}
    before = copy.deepcopy(body)
    found = responses.request_in(body)

    assert before == body, "the client's body is never changed"
    json.dumps(found)
    return found


def canonical(**body):
    return both(**body)[0]


def only(**body):
    return canonical(**body)[KEY]["only"]


def called(key="c1", name="weather", arguments="{}"):
    return {"type": "function_call", "call_id": key, "name": name, "arguments": arguments}


def result(output="sunny", key="c1"):
    return {"type": "function_call_output", "call_id": key, "output": output}


def chat_call(key="c1", name="weather", arguments="{}"):
    return {"id": key, "type": "function", "function": {"name": name, "arguments": arguments}}


def user(*parts):
    return {"role": "user", "content": list(parts)}


ASKED = {"role": "user", "content": "Hi"}
TURNS = {
    "a text": ("Hi", [ASKED]),
    "a message": ([{"role": "user", "content": "Hi"}], [ASKED]),
    "a typed one": ([{"type": "message", **user({"type": "input_text", "text": "Hi"})}], [ASKED]),
    "all roles": (
        [{"role": role, "content": "Hi"} for role in ("system", "developer", "user", "assistant")],
        [{"role": role, "content": "Hi"} for role in ("system", "developer", "user", "assistant")],
    ),
    "a picture": (
        [user({"type": "input_text", "text": "See"}, {"type": "input_image", "image_url": PICTURE, "detail": "low"})],
        [user({"type": "text", "text": "See"}, {"type": "image_url", "image_url": {"url": PICTURE, "detail": "low"}})],
    ),
    "a file": (
        [user({"type": "input_file", "filename": "a.pdf", "file_data": "data:application/pdf;base64,aGk="})],
        [user({"type": "file", "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,aGk="}})],
    ),
    "sound": (
        [user({"type": "input_audio", "input_audio": {"data": "aGk=", "format": "wav"}})],
        [user({"type": "input_audio", "input_audio": {"data": "aGk=", "format": "wav"}})],
    ),
    "an assistant's turn of several items": (
        [
            {"type": "reasoning", "summary": [{"type": "summary_text", "text": "Hm."}]},
            {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "I look."}]},
            called(),
            called("c2"),
            result("rain", "c2"),
            result("sunny", "c1"),
        ],
        [
            {
                "role": "assistant",
                "content": "I look.",
                "reasoning_content": "Hm.",
                "tool_calls": [chat_call(), chat_call("c2")],
            },
            {"role": "tool", "tool_call_id": "c1", "content": "sunny"},
            {"role": "tool", "tool_call_id": "c2", "content": "rain"},
        ],
    ),
    "one call after the other": (
        [called(), result(), called("c2"), result("rain", "c2")],
        [
            {"role": "assistant", "content": None, "tool_calls": [chat_call()]},
            {"role": "tool", "tool_call_id": "c1", "content": "sunny"},
            {"role": "assistant", "content": None, "tool_calls": [chat_call("c2")]},
            {"role": "tool", "tool_call_id": "c2", "content": "rain"},
        ],
    ),
    "a call without a result": (
        [called(), {"role": "user", "content": "Hi"}],
        [
            {"role": "assistant", "content": None, "tool_calls": [chat_call()]},
            {"role": "tool", "tool_call_id": "c1", "content": NO_RESULT},
            ASKED,
        ],
    ),
    "a result without a call": ([result(), {"role": "user", "content": "Hi"}], [ASKED]),
    "a result that comes late": (
        [called(), {"role": "user", "content": "Hi"}, result()],
        [
            {"role": "assistant", "content": None, "tool_calls": [chat_call()]},
            {"role": "tool", "tool_call_id": "c1", "content": "sunny"},
            ASKED,
        ],
    ),
    "a result with a picture": (
        [called(), result([{"type": "input_image", "image_url": PICTURE}])],
        [
            {"role": "assistant", "content": None, "tool_calls": [chat_call()]},
            {"role": "tool", "tool_call_id": "c1", "content": BESIDE},
            user({"type": "image_url", "image_url": {"url": PICTURE}}),
        ],
    ),
    "a custom call": (
        [
            {"type": "custom_tool_call", "call_id": "c1", "name": "patch", "input": "a\nb"},
            {"type": "custom_tool_call_output", "call_id": "c1", "output": "done"},
        ],
        [
            {
                "role": "assistant",
                "content": None,
                "tool_calls": [chat_call(name="patch", arguments='{"input":"a\\nb"}')],
            },
            {"role": "tool", "tool_call_id": "c1", "content": "done"},
        ],
    ),
    "a call in a namespace": (
        [{**called(name="read"), "namespace": "files"}, result()],
        [
            {"role": "assistant", "content": None, "tool_calls": [chat_call(name="files__read")]},
            {"role": "tool", "tool_call_id": "c1", "content": "sunny"},
        ],
    ),
    "what tools of OpenAI's found before": (
        [{"role": "user", "content": "Hi"}, {"type": "web_search_call", "id": "ws_1", "status": "completed"}],
        [ASKED],
    ),
    "a refusal": (
        [{"role": "assistant", "content": [{"type": "refusal", "refusal": "No."}]}],
        [{"role": "assistant", "content": "No."}],
    ),
    "signed thinking of Anthropic's": (
        [{"type": "reasoning", "summary": [{"text": "Hm."}], "encrypted_content": seal(SIGNED)}, called(), result()],
        [
            {"role": "assistant", "content": None, "thinking_blocks": SIGNED, "tool_calls": [chat_call()]},
            {"role": "tool", "tool_call_id": "c1", "content": "sunny"},
        ],
    ),
}


@pytest.mark.parametrize("case", TURNS)
def test_r1_items_become_a_chats_messages(case):
    items, messages = TURNS[case]

    assert canonical(input=items)["messages"] == messages
    assert only(input=items) == ""


def test_r1_what_was_said_in_several_messages_stays_apart_and_what_in_one_together():
    def said(*texts):
        return {"role": "assistant", "content": [{"type": "output_text", "text": text} for text in texts]}

    [_, message] = canonical(input=[{"role": "user", "content": "Go."}, said("I look", "ed."), said("It is well.")])[
        "messages"
    ]

    assert message == {"role": "assistant", "content": "I looked.\n\nIt is well."}


def test_r2_instructions_come_first():
    assert canonical(instructions="Be brief.")["messages"] == [{"role": "system", "content": "Be brief."}, ASKED]


@pytest.mark.parametrize(
    ("tool", "functions"),
    [
        (TOOL, [("weather", None)]),
        ({**TOOL, "strict": True}, [("weather", True)]),
        ({**TOOL, "strict": None}, [("weather", None)]),
        (PATCH, [("patch", None)]),
        (SPACE, [("files__read", None), ("files__patch", None)]),
    ],
)
def test_r3_tools_become_functions(tool, functions):
    found = [one["function"] for one in canonical(tools=[tool])["tools"]]

    assert [(one["name"], one.get("strict")) for one in found] == functions


def test_r3_a_custom_tools_grammar_is_told_to_the_model():
    [tool] = canonical(tools=[PATCH])["tools"]

    assert "start: X" in tool["function"]["description"]
    assert tool["function"]["parameters"]["required"] == ["input"]


def test_r3_tools_of_openais_own_are_dropped_aloud_beside_others_and_needed_alone():
    assert both(tools=[{"type": "web_search"}, TOOL])[1] == ["tools[0]"]
    assert only(tools=[{"type": "web_search"}, TOOL]) == ""
    assert only(tools=[{"type": "web_search"}]) == "tools[0]"
    assert only(tools=[TOOL, {"type": "file_search", "vector_store_ids": ["v"]}]) == "tools[1]"


@pytest.mark.parametrize(
    ("choice", "told"),
    [
        ("required", "required"),
        ({"type": "function", "name": "weather"}, {"type": "function", "function": {"name": "weather"}}),
        ({"type": "custom", "name": "patch"}, {"type": "function", "function": {"name": "patch"}}),
    ],
)
def test_r4_a_choice_of_tools_is_told(choice, told):
    assert canonical(tools=[TOOL, PATCH], tool_choice=choice)["tool_choice"] == told


def test_r4_allowed_tools_are_the_only_ones_offered():
    allowed = {"type": "allowed_tools", "mode": "required", "tools": [{"type": "function", "name": "weather"}]}
    body = canonical(tools=[PATCH, TOOL], tool_choice=allowed)

    assert [tool["function"]["name"] for tool in body["tools"]] == ["weather"]
    assert body["tool_choice"] == "required"


@pytest.mark.parametrize(
    ("sent", "told"),
    [
        ({"text": {"format": {"type": "json_object"}}}, {"response_format": {"type": "json_object"}}),
        (
            {"text": {"format": {"type": "json_schema", "name": "n", "schema": {"a": 1}, "strict": True}}},
            {
                "response_format": {
                    "type": "json_schema",
                    "json_schema": {"name": "n", "schema": {"a": 1}, "strict": True},
                }
            },
        ),
        ({"text": {"format": {"type": "text"}, "verbosity": "low"}}, {"verbosity": "low"}),
        ({"reasoning": {"effort": "high", "summary": "auto"}}, {"reasoning_effort": "high"}),
        ({"max_output_tokens": 9}, {"max_tokens": 9}),
        ({"top_logprobs": 3}, {"logprobs": True, "top_logprobs": 3}),
        ({"include": ["message.output_text.logprobs"]}, {"logprobs": True}),
        ({"temperature": 0.5, "top_p": 0.1, "user": "u"}, {"temperature": 0.5, "top_p": 0.1, "user": "u"}),
        ({"service_tier": "flex"}, {"service_tier": "flex"}),
        ({"tools": [TOOL], "parallel_tool_calls": False}, {"parallel_tool_calls": False}),
        ({"store": True, "metadata": {"a": "b"}, "prompt_cache_key": "k", "truncation": "disabled"}, {}),
    ],
)
def test_r5_parameters_are_told_by_a_chats_names(sent, told):
    body, lost = both(**sent)

    assert {key: value for key, value in body.items() if key not in ("model", "messages", "tools", KEY)} == told
    assert lost == []


@pytest.mark.parametrize(
    ("sent", "lost"),
    [
        ({"truncation": "auto"}, ["truncation"]),
        ({"include": ["web_search_call.action.sources"]}, ["include"]),
        ({"max_tool_calls": 3}, ["max_tool_calls"]),
        ({"reasoning": {"context": "auto"}}, ["reasoning.context"]),
        ({"a_member_of_next_year": 1}, ["a_member_of_next_year"]),
    ],
)
def test_r6_what_a_chat_lacks_is_named(sent, lost):
    assert both(**sent)[1] == lost


@pytest.mark.parametrize(
    ("sent", "path"),
    [
        ({"input": [{"type": "item_reference", "id": "x"}]}, "input[0]"),
        ({"input": [{"type": "computer_call_output", "call_id": "x"}]}, "input[0]"),
        ({"input": [user({"type": "input_image", "file_id": "f"})]}, "input[0].content[0].file_id"),
        ({"input": [user({"type": "input_file", "file_url": "https://a.b/c.pdf"})]}, "input[0].content[0].file_url"),
        ({"input": [user({"type": "input_smell"})]}, "input[0].content[0]"),
        ({"previous_response_id": "resp_1"}, "previous_response_id"),
        ({"conversation": "conv_1"}, "conversation"),
        ({"prompt": {"id": "pmpt_1"}}, "prompt"),
        ({"tool_choice": {"type": "web_search_preview"}}, "tool_choice"),
    ],
)
def test_r7_what_openai_alone_can_read_is_asked_of_no_other(sent, path):
    assert only(**sent) == path


@pytest.mark.parametrize("dialect", [openai, anthropic, ollama])
@pytest.mark.parametrize("case", TURNS)
def test_r8_no_provider_of_another_grammar_sees_what_is_meant_for_us(dialect, case):
    items, _ = TURNS[case]
    with suppress(BadRequest):  # sound, files
        sent = dialect.request_out(canonical(input=items, tools=[TOOL, PATCH, SPACE]), unknown("m")).body

        assert KEY not in sent
        assert "aura1." not in json.dumps(sent)
        assert dialect is anthropic or "thinking_blocks" not in json.dumps(sent)


# --- forwarded


def forwarded(model=KNOWN, max_tokens=None, **body):
    body = {"model": "auto", "input": "Hi", "aura": {}, "fallbacks": [], "aura_previous": "resp_1", **body}
    before = copy.deepcopy(body)
    found = responses.request_forward(body, model, max_tokens)

    assert before == body
    return found


OWN = {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "b3du"}


@pytest.mark.parametrize(
    ("item", "stays"),
    [
        (OWN, True),
        ({**OWN, "encrypted_content": None}, True),
        ({"type": "reasoning", "summary": [], "encrypted_content": "b3du"}, True),
        ({"type": "reasoning", "summary": []}, False),
        ({**OWN, "encrypted_content": seal(SIGNED)}, False),
        ({"type": "reasoning", "id": "rs_aura12", "summary": []}, False),
        (called(), True),
    ],
)
def test_r9_openai_gets_its_own_reasoning_back_and_no_others(item, stays):
    assert forwarded(input=[item]).body["input"] == ([item] if stays else [])


def test_r10_what_the_model_refuses_is_left_out_aloud_and_limits_come_down():
    reasons = forwarded(temperature=0.5, top_p=1, max_output_tokens=5000, reasoning={"effort": "low"})
    plain = forwarded(Model("m", known=True, capabilities=frozenset({"sampling"})), reasoning={"effort": "low"})
    other = forwarded(unknown("m"), max_tokens=50, temperature=0.5, reasoning={"effort": "low"}, next_year=1)

    assert reasons.body == {"model": "m", "input": "Hi", "max_output_tokens": 1000, "reasoning": {"effort": "low"}}
    assert reasons.dropped == ["temperature"]
    assert (plain.body, plain.dropped) == ({"model": "m", "input": "Hi"}, ["reasoning"])
    assert (other.body["max_output_tokens"], other.body["next_year"], other.dropped) == (50, 1, [])


# --- answers out


def call(**native):
    return Call("req_1", {"messages": [ASKED]}, native=native, created=7)


def completion(finish="stop", logprobs=None, **message):
    message = {"role": "assistant", "content": None, "refusal": None, **message}
    choice = {"index": 0, "message": message, "logprobs": logprobs, "finish_reason": finish}
    usage = {"prompt_tokens": 9, "completion_tokens": 5, "total_tokens": 14}
    return {"id": "chatcmpl-1", "object": "chat.completion", "model": "m", "choices": [choice], "usage": usage}


PROBABLE = {"content": [{"token": "Hi", "logprob": -0.1, "bytes": None, "top_logprobs": []}]}
ANSWERS = {
    "text": completion(content="Hi"),
    "reasoning and text": completion(reasoning_content="Hm.", content="Hi"),
    "signed thinking": completion(reasoning_content="Hm.", thinking_blocks=SIGNED, content="Hi"),
    "hidden thinking": completion(thinking_blocks=[{"type": "redacted_thinking", "data": "ZA=="}], content="Hi"),
    "calls": completion("tool_calls", content="I look.", tool_calls=[chat_call(), chat_call("c2", "files__read")]),
    "a custom call": completion("tool_calls", tool_calls=[chat_call(name="patch", arguments='{"input": "a\\nb"}')]),
    "a custom call against its form": completion("tool_calls", tool_calls=[chat_call(name="patch", arguments="a")]),
    "a call without an id": completion(
        "tool_calls", tool_calls=[{"type": "function", "function": {"name": "weather"}}]
    ),
    "the older call": completion("function_call", function_call={"name": "weather", "arguments": "{}"}),
    "a cut text": completion("length", content="Hi"),
    "a filtered one": completion("content_filter", content="Hi"),
    "a cut call": completion("length", content="I look.", tool_calls=[chat_call(arguments='{"a')]),
    "nothing": completion(),
    "probabilities": completion(content="Hi", logprobs=PROBABLE),
}
NATIVES = {"tools": [TOOL, PATCH, SPACE], "store": False, "metadata": {"a": "b"}, "instructions": "Be brief."}


def events_of(written):
    """The events that bytes hold, numbered."""
    found = [orjson.loads(event.data) for event in Decoder().feed(written)]
    assert [event["sequence_number"] for event in found] == list(range(len(found)))
    return found


def streamed(answer, pieces=1):
    """The events of an answer that comes in pieces of a text's length or of single letters."""
    writer = responses.writer(call(**NATIVES))
    written = b"".join(writer.write([Chunk(chunk)], verbatim=False) for chunk in chunks_of(answer, pieces))
    return events_of(written + writer.end())


def chunks_of(answer, pieces):
    for chunk in completion_chunks(answer, include_usage=True):
        for choice in chunk["choices"] if pieces == 1 else ():
            yield from cut(chunk, choice)
        if pieces != 1 or not chunk["choices"]:
            yield chunk


ORDER = ("role", "reasoning_content", "thinking_blocks", "content", "refusal", "function_call", "tool_calls")


def cut(chunk, choice):
    """A chunk as one for each member of its delta, calls in letters."""
    delta = choice["delta"]
    for key, value in sorted(delta.items(), key=lambda member: ORDER.index(member[0])):
        if key != "tool_calls":
            yield {**chunk, "choices": [{**choice, "delta": {key: value}}]}
            continue
        for one in value:
            begin = {**one, "function": {**one["function"], "arguments": ""}}
            yield {**chunk, "choices": [{**choice, "delta": {"tool_calls": [begin]}}]}
            for letter in one["function"].get("arguments") or "":
                piece = {"index": one["index"], "function": {"arguments": letter}}
                yield {**chunk, "choices": [{**choice, "delta": {"tool_calls": [piece]}}]}
    if not choice["delta"]:
        yield chunk


@pytest.mark.parametrize("pieces", [1, 2])
@pytest.mark.parametrize("name", ANSWERS)
def test_r11_a_response_is_the_same_whole_and_streamed(name, pieces):
    whole = responses.response_out(ANSWERS[name], call(**NATIVES))
    events = streamed(ANSWERS[name], pieces)

    assert events[-1]["response"] == whole
    assert events[-1]["type"] == f"response.{whole['status']}"
    done = [event["item"] for event in events if event["type"] == "response.output_item.done"]
    assert done == whole["output"]


def output(name):
    return responses.response_out(ANSWERS[name], call(**NATIVES))["output"]


def test_r12_items_are_what_the_client_calls_them():
    assert [item["type"] for item in output("reasoning and text")] == ["reasoning", "message"]
    assert [(item.get("namespace"), item["name"]) for item in output("calls")[1:]] == [
        (None, "weather"),
        ("files", "read"),
    ]
    assert [(item["type"], item["input"]) for item in output("a custom call")] == [("custom_tool_call", "a\nb")]
    assert output("a custom call against its form")[0]["input"] == "a"
    assert output("a call without an id")[0]["call_id"].startswith("call_")
    assert unseal(output("signed thinking")[0]["encrypted_content"]) == SIGNED
    assert output("probabilities")[0]["content"][0]["logprobs"][0]["bytes"] == []


@pytest.mark.parametrize(
    ("name", "reason"), [("a cut text", "max_output_tokens"), ("a filtered one", "content_filter")]
)
def test_r13_an_answer_that_is_not_whole_says_why(name, reason):
    response = responses.response_out(ANSWERS[name], call())

    assert (response["status"], response["incomplete_details"]) == ("incomplete", {"reason": reason})
    assert response["output"][0]["status"] == "incomplete"


def test_r14_a_response_repeats_what_was_asked():
    response = responses.response_out(ANSWERS["text"], call(**NATIVES, aura_previous="resp_0", temperature=0.5))

    assert response["tools"][0] == {**TOOL, "description": None, "strict": False}
    assert (response["instructions"], response["store"], response["temperature"]) == ("Be brief.", False, 0.5)
    assert response["previous_response_id"] == "resp_0"
    assert response["usage"]["total_tokens"] == 14


def test_r15_tool_names_that_are_too_long_come_back_whole():
    name = "x" * (MAX_NAME + 1)
    native = {"tools": [{**TOOL, "name": name}]}
    [tool] = canonical(**native)["tools"]
    sent = tool["function"]["name"]
    answer = responses.response_out(completion("tool_calls", tool_calls=[chat_call(name=sent)]), call(**native))

    assert len(sent) <= MAX_NAME
    assert answer["output"][0]["name"] == name


# --- providers' answers in


def response(*items, status="completed", **more):
    usage = {"input_tokens": 9, "input_tokens_details": {"cached_tokens": 2}, "output_tokens": 5}
    usage |= {"output_tokens_details": {"reasoning_tokens": 1}, "total_tokens": 14}
    head = {"id": "resp_1", "object": "response", "created_at": 7, "model": "m", "status": status}
    return {**head, "output": list(items), "usage": usage, **more}


def message(text):
    return {"type": "message", "id": "msg_1", "role": "assistant", "content": [{"type": "output_text", "text": text}]}


def read(*events):
    """The chunks of a stream, put together, and its reader."""
    reader, assembler = responses.reader(openai.request_out({"messages": []}, unknown("m"))), Assembler()
    chunks = [chunk for event in events for chunk in reader.feed(Event(event["type"], orjson.dumps(event)))]
    for chunk in chunks:
        if chunk.body is not None:
            assembler.add(chunk.body)
    return assembler.completion(), reader, chunks


def begun(kind, item, **more):
    return {"type": f"response.output_item.{kind}", "output_index": 0, "item": item, **more}


def delta(kind, text, item="msg_1"):
    return {"type": f"response.{kind}.delta", "item_id": item, "output_index": 0, "delta": text}


CALLED = {"type": "function_call", "id": "fc_1", "call_id": "c1", "name": "weather", "arguments": '{"a":1}'}
EMPTY = {**CALLED, "arguments": ""}
THOUGHT = {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "Hm."}]}
STREAMS = {
    "text in pieces": ([begun("added", message("")), delta("output_text", "H"), delta("output_text", "i"),
                        begun("done", message("Hi"))], [message("Hi")]),
    "text at once": ([begun("done", message("Hi"))], [message("Hi")]),
    "arguments in pieces": ([begun("added", EMPTY), delta("function_call_arguments", '{"a":1}', "fc_1"),
                             begun("done", CALLED)], [CALLED]),
    "arguments at once": ([begun("added", EMPTY), begun("done", CALLED)], [CALLED]),
    "arguments at the beginning": ([begun("added", CALLED), begun("done", CALLED)], [CALLED]),
    "reasoning": ([begun("added", {**THOUGHT, "summary": []}), delta("reasoning_summary_text", "Hm.", "rs_1"),
                   begun("done", THOUGHT), begun("done", message("Hi"))], [THOUGHT, message("Hi")]),
    "another's tool": ([begun("added", {"type": "web_search_call", "id": "ws_1"}), begun("done", message("Hi"))],
                       [{"type": "web_search_call", "id": "ws_1"}, message("Hi")]),
}  # fmt: skip


@pytest.mark.parametrize("name", STREAMS)
def test_r16_a_stream_and_a_whole_response_mean_the_same(name):
    events, items = STREAMS[name]
    whole = responses.response_in(response(*items), openai.request_out({"messages": []}, unknown("m")))
    found, reader, chunks = read(*events, {"type": "response.completed", "response": response(*items)})

    assert reader.complete
    assert chunks[-1].last
    assert found["choices"][0]["message"] == whole["choices"][0]["message"]
    assert found["choices"][0]["finish_reason"] == whole["choices"][0]["finish_reason"]
    assert found["usage"] == whole["usage"]
    assert found[NATIVE] == whole[NATIVE] == response(*items)
    assert (chunks[-1].usage.input, chunks[-1].usage.cached_read, chunks[-1].usage.reasoning) == (9, 2, 1)


@pytest.mark.parametrize(
    ("more", "finish"),
    [
        ({"status": "incomplete", "incomplete_details": {"reason": "max_output_tokens"}}, "length"),
        ({"status": "incomplete", "incomplete_details": {"reason": "content_filter"}}, "content_filter"),
        ({"status": "incomplete"}, "length"),
    ],
)
def test_r17_an_incomplete_response_is_one_that_was_cut(more, finish):
    whole = response(message("Hi"), **more)
    found, reader, _ = read({"type": "response.incomplete", "response": whole})

    assert reader.complete
    assert found["choices"][0]["finish_reason"] == finish
    assert (
        responses.response_in(whole, openai.request_out({"messages": []}, unknown("m")))["choices"][0]["finish_reason"]
        == finish
    )


ERRORS = [
    ({"type": "error", "code": "rate_limit_exceeded", "message": "Slowly."}, Reason.RATE_LIMITED),
    ({"type": "error", "error": {"code": "insufficient_quota", "message": "No."}}, Reason.QUOTA),
    ({"type": "response.failed", "response": response(status="failed", error={"code": "server_error", "message": "x"})},
     Reason.SERVER_ERROR),
    ({"type": "response.failed", "response": response(status="failed", error=None)}, Reason.SERVER_ERROR),
]  # fmt: skip


@pytest.mark.parametrize(("event", "reason"), ERRORS)
def test_r18_an_error_in_a_stream_is_a_failure(event, reason):
    with pytest.raises(Failure) as caught:
        read(event)

    assert caught.value.reason is reason


@pytest.mark.parametrize(
    "body",
    [{"error": {"code": "server_error"}}, {"output": "x"}, {}, response(status="failed"), response(status="cancelled")],
)
def test_r18_a_whole_answer_that_is_none_is_a_failure(body):
    with pytest.raises(Failure):
        responses.response_in(body, openai.request_out({"messages": []}, unknown("m")))


def test_r19_an_error_is_told_as_an_event_and_as_a_response_that_failed():
    writer = responses.writer(call())
    events = events_of(writer.error(AuraError("It broke.", code="stream_interrupted", status=502)))

    assert [event["type"] for event in events[-2:]] == ["error", "response.failed"]
    assert events[-2]["message"] == events[-2]["error"]["message"] == "It broke."
    assert events[-1]["response"]["error"] == {"code": "server_error", "message": "It broke."}


NATIVE_ANSWERS = {
    "text": ({}, "Hello you", []),
    "thoughts and text": ({"reasoning": {}}, "Hello you", []),
    "text and calls": ({"tools": [TOOL, PATCH]}, "Hello you", ["weather", "patch"]),
    "thoughts and calls": ({"reasoning": {}, "tools": [TOOL, PATCH]}, "", ["weather", "patch"]),
}


@pytest.mark.parametrize("name", NATIVE_ANSWERS)
def test_r11_wherever_anothers_stream_breaks_off_what_follows_makes_one_response_of_it(name):
    body, said, calls = NATIVE_ANSWERS[name]
    _, frames = GRAMMARS["responses"]({"model": "m", **body}, said, calls)
    events = Decoder().feed(b"".join(frames))
    for count in range(2, len(events)):  # what comes before content is held back
        kept = []
        reader = responses.reader(openai.request_out({"messages": []}, unknown("m")))
        asked = call()
        asked.kept = lambda _call, response, kept=kept: kept.append(response)
        writer = responses.writer(asked)
        written = b"".join(writer.write(reader.feed(event), verbatim=True) for event in events[:count])
        rest = completion_chunks(ANSWERS["text"], include_usage=True)
        written += writer.write([Chunk(chunk) for chunk in rest], verbatim=False) + writer.end()
        whole = response_of(events_of(written))

        assert kept == [whole]
        assert whole["id"] == orjson.loads(events[0].data)["response"]["id"]
        assert text_of(whole).endswith("Hi")
        assert said.startswith(text_of(whole)[:-2])


# --- kept


def test_r20_what_is_kept_begins_the_next_input_without_names_of_its_own():
    items = numbered("Hi", call())
    answer = response(
        {**OWN, "encrypted_content": None}, OWN, message("Hello"), {**CALLED}, {"type": "x_call", "id": "x"}
    )
    found = history_of(items, answer, "Go on.")

    assert items[0]["id"].startswith("msg_")
    assert [item.get("type") for item in found] == ["message", "reasoning", "message", "function_call", "x_call", None]
    assert [item.get("id") for item in found] == [None] * 4 + ["x", None]
    assert found[-1] == {"role": "user", "content": "Go on."}


def test_r20_items_are_told_with_types_and_parts():
    items = numbered([{"role": "assistant", "content": "Hi"}, called(), {"role": "user", "content": []}], call())

    assert [item["type"] for item in items] == ["message", "function_call", "message"]
    assert items[0]["content"] == [{"type": "output_text", "text": "Hi", "annotations": []}]
    assert len({item["id"] for item in items}) == 3


@pytest.mark.parametrize("text", [None, 1, "", "aura1.", "aura1.%%", "aura1.e30=", "aura1.WzFd", "b3du"])
def test_r21_what_was_not_sealed_here_is_nothing(text):
    assert unseal(text) == []


# --- hostile


JUNK = [None, True, -1, 1.5, "", "x", [], {}, [1], [None], {"type": 1}, {"type": "message"}, [[]], {"a": {"b": []}}]
BODY = {
    "input": [item for items, _ in TURNS.values() if isinstance(items, list) for item in items],
    "tools": [TOOL, PATCH, SPACE],
    "tool_choice": {"type": "allowed_tools", "mode": "auto", "tools": [{"type": "function", "name": "weather"}]},
    "text": {"format": {"type": "json_schema", "name": "n", "schema": {}}},
    "reasoning": {"effort": "low", "summary": "auto"},
    "include": ["reasoning.encrypted_content"],
}


def spoilt(value, chance):
    """A value with junk somewhere in it."""
    if chance.random() < 0.03:
        return chance.choice(JUNK)
    if isinstance(value, dict):
        return {key: spoilt(inner, chance) for key, inner in value.items() if chance.random() > 0.02}
    return [spoilt(inner, chance) for inner in value] if isinstance(value, list) else value


@pytest.mark.parametrize("seed", range(200))
def test_r22_a_body_of_any_shape_is_translated_or_refused(seed):
    chance = random.Random(seed)
    body = spoilt(BODY, chance)
    if not isinstance(body, dict):
        return
    body = {key: value for key, value in body.items() if key != "tools" or isinstance(value, list)}
    with suppress(BadRequest):
        found, _ = responses.request_in({"model": "auto", **body})
        for dialect in (openai, anthropic, ollama):
            with suppress(BadRequest):
                json.dumps(dialect.request_out(found, unknown("m")).body)
        responses.request_forward({"model": "auto", **body}, unknown("m"), None)
        numbered(body.get("input"), call())
        responses.response_out(ANSWERS["calls"], call(**body))


@pytest.mark.parametrize("seed", range(200))
def test_r22_events_of_any_shape_are_read_passed_on_or_skipped(seed):
    chance = random.Random(seed)
    reader = responses.reader(openai.request_out({"messages": []}, unknown("m")))
    writer = responses.writer(call())
    whole = streamed(ANSWERS["signed thinking"]) + streamed(ANSWERS["calls"])
    for event in whole:
        chunks = []
        with suppress(ValueError, KeyError, TypeError, AttributeError, Failure):
            chunks = reader.feed(Event("", orjson.dumps(spoilt(event, chance))))
        writer.write(chunks, verbatim=True)
    writer.write([Chunk(chunk) for chunk in completion_chunks(ANSWERS["text"], include_usage=True)], verbatim=False)
    writer.end()
