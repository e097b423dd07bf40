"""From chunks to a whole answer, and back to chunks."""

from aura.dialects.assembly import Assembler, completion_chunks

HEAD = {"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": "m"}


def piece(delta=None, finish=None, index=0, **more):
    return {**HEAD, "choices": [{"index": index, "delta": delta or {}, "finish_reason": finish, **more}]}


def assembled(*chunks):
    assembler = Assembler()
    for chunk in chunks:
        assembler.add(chunk)
    return assembler.completion()


def message(*deltas):
    return assembled(*(piece(delta) for delta in deltas))["choices"][0]["message"]


def test_a_text_is_put_together():
    whole = assembled(
        piece({"role": "assistant", "content": ""}),
        piece({"content": "Hel"}),
        piece({"content": "lo"}),
        piece({}, "stop"),
        {**HEAD, "choices": [], "usage": {"total_tokens": 3}},
    )

    said = {"role": "assistant", "content": "Hello", "refusal": None}
    assert {
        "id": "c1",
        "object": "chat.completion",
        "created": 1,
        "model": "m",
        "choices": [{"index": 0, "message": said, "logprobs": None, "finish_reason": "stop"}],
        "usage": {"total_tokens": 3},
    } == whole


def test_what_only_fills_chunks_up_is_no_part_of_the_answer():
    first = {**piece({"role": "assistant", "content": ""}), "obfuscation": ""}
    whole = assembled(first, {**piece({"content": "Hi"}), "obfuscation": "aZ09"})

    assert set(whole) == {*HEAD, "choices"}


def test_the_first_name_and_id_that_say_something_count():
    empty = {"id": "", "model": "", "object": "", "created": 0, "choices": [], "prompt_filter_results": [1]}

    whole = assembled(empty, piece({"content": "a"}))

    assert (whole["id"], whole["model"], whole["created"], whole["prompt_filter_results"]) == ("c1", "m", 1, [1])


def test_tool_calls_are_put_together_by_index():
    [first, second] = message(
        {"tool_calls": [{"index": 0, "id": "a", "type": "function", "function": {"name": "f", "arguments": ""}}]},
        {"tool_calls": [{"index": 0, "function": {"arguments": '{"x"'}}]},
        {"tool_calls": [{"index": 1, "id": "b", "type": "function", "function": {"name": "f", "arguments": "{}"}}]},
        {"tool_calls": [{"index": 0, "function": {"arguments": ":1}"}}]},
    )["tool_calls"]

    assert first == {"type": "function", "id": "a", "function": {"name": "f", "arguments": '{"x":1}'}}
    assert second == {"type": "function", "id": "b", "function": {"name": "f", "arguments": "{}"}}


def test_tool_calls_without_an_index_go_by_their_id():
    calls = message(
        {"tool_calls": [{"id": "a", "function": {"name": "f", "arguments": "{"}}]},
        {"tool_calls": [{"function": {"arguments": "}"}}]},
        {"tool_calls": [{"id": "b", "function": {"name": "g", "arguments": "{}"}}]},
    )["tool_calls"]

    assert [(c["id"], c["function"]["name"], c["function"]["arguments"]) for c in calls] == [
        ("a", "f", "{}"),
        ("b", "g", "{}"),
    ]


def test_a_name_that_is_repeated_with_every_piece_is_one_name():
    [call] = message(
        {"tool_calls": [{"index": 0, "id": "a", "function": {"name": "get_time", "arguments": "{"}}]},
        {"tool_calls": [{"index": 0, "id": "a", "function": {"name": "get_time", "arguments": "}"}}]},
    )["tool_calls"]

    assert call["function"] == {"name": "get_time", "arguments": "{}"}


def test_a_custom_tools_input_is_put_together():
    [call] = message(
        {"tool_calls": [{"index": 0, "id": "a", "type": "custom", "custom": {"name": "shell", "input": "ls "}}]},
        {"tool_calls": [{"index": 0, "custom": {"input": "-l"}}]},
    )["tool_calls"]

    assert call == {"id": "a", "type": "custom", "custom": {"name": "shell", "input": "ls -l"}}


def test_the_older_function_call_is_put_together():
    said = message({"function_call": {"name": "f", "arguments": ""}}, {"function_call": {"arguments": "{}"}})

    assert said["function_call"] == {"name": "f", "arguments": "{}"}


def test_choices_are_kept_apart():
    whole = assembled(
        piece({"content": "b"}, index=1), piece({"content": "a"}), piece({"content": "c"}, "stop", index=1)
    )

    assert [(choice["index"], choice["message"]["content"]) for choice in whole["choices"]] == [(0, "a"), (1, "bc")]


def test_reasoning_refusal_and_what_is_unknown_are_kept():
    said = message(
        {"reasoning": "a", "reasoning_content": "x", "refusal": "n"},
        {"reasoning": "b", "reasoning_content": "y", "refusal": "o"},
        {"annotations": [1]},
        {"annotations": [2], "new": 1},
        {"audio": {"id": "z", "data": "AA", "transcript": "one "}},
        {"audio": {"data": "BB", "transcript": "two"}},
    )

    assert (said["reasoning"], said["reasoning_content"], said["refusal"]) == ("ab", "xy", "no")
    assert (said["annotations"], said["new"]) == ([1, 2], 1)
    assert said["audio"] == {"id": "z", "data": "AABB", "transcript": "one two"}


def test_logprobs_are_joined_and_filter_results_are_not_lost():
    whole = assembled(
        piece({"content": "a"}, logprobs={"content": [1], "refusal": None}, content_filter_results={"hate": {}}),
        piece({"content": "b"}, logprobs={"content": [2], "refusal": None}, content_filter_results={}),
        piece({}, "stop", logprobs=None, content_filter_results={}),
    )

    choice = whole["choices"][0]
    assert choice["logprobs"] == {"content": [1, 2], "refusal": None}
    assert choice["content_filter_results"] == {"hate": {}}


def test_a_tool_call_is_open_until_something_else_is_said():
    assembler = Assembler()
    seen = []
    for chunk in (
        piece({"content": "Looking."}),
        piece({"tool_calls": [{"index": 0, "function": {"name": "f"}}]}),
        {**HEAD, "choices": []},
        piece({}, "tool_calls"),
    ):
        assembler.add(chunk)
        seen.append(assembler.in_tool_call)

    assert seen == [False, True, True, False]


def test_the_answer_so_far_can_be_asked_for_in_between():
    assembler = Assembler()
    assembler.add(piece({"content": "a"}))
    first = assembler.completion()["choices"][0]["message"]["content"]
    assembler.add(piece({"content": "b"}))

    assert (first, assembler.completion()["choices"][0]["message"]["content"]) == ("a", "ab")


WHOLE = {
    "id": "c1",
    "object": "chat.completion",
    "created": 1,
    "model": "m",
    "system_fingerprint": "fp",
    "choices": [
        {
            "index": 0,
            "message": {
                "role": "assistant",
                "content": None,
                "refusal": None,
                "tool_calls": [
                    {"id": "a", "type": "function", "function": {"name": "f", "arguments": "{}"}},
                    {"id": "b", "type": "function", "function": {"name": "g", "arguments": "{}"}},
                ],
            },
            "logprobs": None,
            "finish_reason": "tool_calls",
        },
        {
            "index": 1,
            "message": {"role": "assistant", "content": "Hi", "refusal": None, "reasoning_content": "hm"},
            "logprobs": {"content": [1], "refusal": []},
            "finish_reason": "stop",
        },
    ],
    "usage": {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3},
}


def test_a_whole_answer_said_as_a_stream_is_the_same_answer():
    assert assembled(*completion_chunks(WHOLE, include_usage=True)) == WHOLE


def test_a_replayed_stream_shows_usage_only_if_it_was_asked_for():
    with_usage = list(completion_chunks(WHOLE, include_usage=True))
    without = list(completion_chunks(WHOLE, include_usage=False))

    assert ([], WHOLE["usage"]) == (with_usage[-1]["choices"], with_usage[-1]["usage"])
    assert all(chunk["usage"] is None for chunk in with_usage[:-1])
    assert not any("usage" in chunk for chunk in without)


def test_a_replayed_stream_finishes_every_choice():
    finished = [c["finish_reason"] for chunk in completion_chunks(WHOLE, include_usage=False) for c in chunk["choices"]]

    assert finished == [None, "tool_calls", None, "stop"]


def test_choices_without_an_index_count_from_zero():
    whole = {"choices": [{"message": {"content": "a"}, "finish_reason": "stop"}]}

    assert [chunk["choices"][0]["index"] for chunk in completion_chunks(whole, include_usage=False)] == [0, 0]
