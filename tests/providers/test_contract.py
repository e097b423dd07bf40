"""What holds for every provider, whatever its grammar: one table of answers, one set of tests."""

import copy
import json
from importlib.metadata import entry_points

import pytest

from aura.catalogue import unknown
from aura.dialects.assembly import Assembler
from aura.errors import Failure, Reason
from aura.providers import GROUP, UnknownProviderType, build
from aura.settings import ProviderSettings, Secret
from aura.sse import encode

KEY = "sk-never-to-be-seen-0123456789"
QUESTION = {
    "model": "auto",
    "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Say hello."}],
    "temperature": 0.5,
    "max_tokens": 50,
}
ADDRESSES = {
    "openai": "https://api.example/v1",
    "azure": "https://res.example",
    "ollama": "http://ollama.example",
    "anthropic": "https://claude.example",
}
PROVIDERS = sorted(ADDRESSES)


def made(kind):
    return build(ProviderSettings("mine", kind, base_url=ADDRESSES[kind], api_key=Secret(KEY)))


# One answer, "Hello 😀 there", in every grammar.


def _openai_chunk(delta, finish=None):
    choices = [{"index": 0, "delta": delta, "finish_reason": finish}]
    chunk = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": choices}
    return encode(json.dumps(chunk, ensure_ascii=False).encode())


OPENAI_USAGE = {"prompt_tokens": 12, "completion_tokens": 3, "total_tokens": 15}
OPENAI_WHOLE = {
    "id": "c",
    "object": "chat.completion",
    "created": 1,
    "model": "m",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "Hello 😀 there"}, "finish_reason": "stop"}],
    "usage": OPENAI_USAGE,
}
OPENAI_STREAM = [
    _openai_chunk({"role": "assistant", "content": ""}),
    _openai_chunk({"content": "Hello "}),
    _openai_chunk({"content": "😀 there"}),
    _openai_chunk({}, "stop"),
    encode(json.dumps({"id": "c", "object": "chat.completion.chunk", "choices": [], "usage": OPENAI_USAGE}).encode()),
    encode(b"[DONE]"),
]


def _line(content, **more):
    message = {"role": "assistant", "content": content}
    return {"model": "m", "created_at": "2026-03-04T05:06:07Z", "message": message, "done": False, **more}


OLLAMA_END = {"done": True, "done_reason": "stop", "prompt_eval_count": 12, "eval_count": 3}
OLLAMA_STREAM = [
    json.dumps(line, ensure_ascii=False).encode() + b"\n"
    for line in (_line("Hello "), _line("😀 there"), _line("", **OLLAMA_END))
]


def _named(name, **data):
    return encode(json.dumps({"type": name, **data}, ensure_ascii=False).encode(), name)


ANTHROPIC_WHOLE = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "m",
    "content": [{"type": "text", "text": "Hello 😀 there"}],
    "stop_reason": "end_turn",
    "stop_sequence": None,
    "usage": {"input_tokens": 12, "output_tokens": 3},
}
ANTHROPIC_BEGUN = {
    **ANTHROPIC_WHOLE,
    "content": [],
    "stop_reason": None,
    "usage": {"input_tokens": 12, "output_tokens": 1},
}
ANTHROPIC_STREAM = [
    _named("message_start", message=ANTHROPIC_BEGUN),
    _named("content_block_start", index=0, content_block={"type": "text", "text": ""}),
    _named("content_block_delta", index=0, delta={"type": "text_delta", "text": "Hello "}),
    _named("content_block_delta", index=0, delta={"type": "text_delta", "text": "😀 there"}),
    _named("content_block_stop", index=0),
    _named("message_delta", delta={"stop_reason": "end_turn", "stop_sequence": None}, usage={"output_tokens": 3}),
    _named("message_stop"),
]
WHOLE = {
    "openai": OPENAI_WHOLE,
    "azure": OPENAI_WHOLE,
    "ollama": _line("Hello 😀 there", **OLLAMA_END),
    "anthropic": ANTHROPIC_WHOLE,
}
STREAMS = {"openai": OPENAI_STREAM, "azure": OPENAI_STREAM, "ollama": OLLAMA_STREAM, "anthropic": ANTHROPIC_STREAM}
# Events up to and including the one that tells the end.
TERMINAL = {"openai": 4, "azure": 4, "ollama": 3, "anthropic": 7}


def play(kind, data, size=1 << 20):
    """Read a stream in pieces; its chunks, whether it was complete, and how many events were skipped."""
    provider = made(kind)
    _, translation = provider.request({**QUESTION, "stream": True}, unknown("m"))
    decoder, reader, chunks, skipped = provider.dialect.DECODER(), provider.dialect.reader(translation), [], 0
    pieces = [data[start : start + size] for start in range(0, len(data), size)]
    for events in [*map(decoder.feed, pieces), decoder.finish()]:
        for event in events:
            try:
                chunks += reader.feed(event)
            except ValueError:
                skipped += 1
    return chunks, reader.complete, skipped


def assembled(chunks):
    assembler = Assembler()
    for chunk in chunks:
        if chunk.body is not None:
            assembler.add(chunk.body)
    return assembler.completion()


def test_every_provider_of_the_package_is_in_this_table():
    ours = {point.name for point in entry_points(group=GROUP) if point.value.startswith("aura.")}

    assert {*PROVIDERS, "demo"} == ours


def test_a_type_that_no_package_offers_is_named():
    with pytest.raises(UnknownProviderType, match="nonesuch"):
        build(ProviderSettings("x", "nonesuch"))


@pytest.mark.parametrize("kind", PROVIDERS)
def test_a_request_goes_to_the_configured_address_and_names_the_model(kind):
    request, translation = made(kind).request(QUESTION, unknown("the-model"))

    assert (request.method, request.url.startswith(ADDRESSES[kind])) == ("POST", True)
    assert (json.loads(request.body)["model"], translation.model) == ("the-model", "the-model")
    assert all(name == name.lower() for name in request.headers)


@pytest.mark.parametrize("kind", PROVIDERS)
def test_the_key_is_in_a_header_and_nowhere_else(kind):
    provider = made(kind)

    request, _ = provider.request(QUESTION, unknown("m"))

    assert sum(KEY in value for value in request.headers.values()) == 1
    assert KEY not in request.url + request.body.decode() + repr(provider)


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("kind", PROVIDERS)
def test_every_attempt_starts_from_the_untouched_body(kind, stream):
    body = {**copy.deepcopy(QUESTION), "stream": stream, "aura": {"tier": "eco"}, "fallbacks": ["a/b"]}
    untouched = copy.deepcopy(body)
    provider = made(kind)

    first, second = (provider.request(body, unknown("m"))[0] for _ in range(2))

    assert (untouched, first) == (body, second)
    assert stream is bool(json.loads(first.body).get("stream"))
    assert b"fallbacks" not in first.body
    assert b'"aura"' not in first.body


@pytest.mark.parametrize("kind", PROVIDERS)
def test_a_whole_answer_is_read(kind):
    provider = made(kind)
    _, translation = provider.request(QUESTION, unknown("m"))

    answer = provider.dialect.response_in(copy.deepcopy(WHOLE[kind]), translation)

    [choice] = answer["choices"]
    assert (choice["message"]["content"], choice["finish_reason"], answer["model"]) == ("Hello 😀 there", "stop", "m")
    assert (answer["usage"]["prompt_tokens"], answer["usage"]["completion_tokens"]) == (12, 3)


@pytest.mark.parametrize("size", [1, 2, 5, 64, 1 << 20])
@pytest.mark.parametrize("kind", PROVIDERS)
def test_a_stream_is_read_however_it_was_split(kind, size):
    chunks, complete, skipped = play(kind, b"".join(STREAMS[kind]), size)

    [choice] = assembled(chunks)["choices"]
    assert (choice["message"]["content"], choice["finish_reason"]) == ("Hello 😀 there", "stop")
    assert (complete, skipped, sum(chunk.finished for chunk in chunks)) == (True, 0, 1)
    assert [(c.usage.input, c.usage.output) for c in chunks if c.usage][-1] == (12, 3)
    assert sum(chunk.content for chunk in chunks) == 2


@pytest.mark.parametrize("kind", PROVIDERS)
def test_a_stream_that_is_cut_before_its_terminal_event_is_not_complete(kind):
    for length in range(TERMINAL[kind]):
        chunks, complete, _ = play(kind, b"".join(STREAMS[kind][:length]))

        assert not complete
        assert not any(chunk.last for chunk in chunks)


@pytest.mark.parametrize("garbage", [b"garbage", b"{", b"[1]", b"null", b"<html></html>"])
@pytest.mark.parametrize("kind", PROVIDERS)
def test_an_event_that_is_not_of_the_grammar_is_skipped(kind, garbage):
    events = list(STREAMS[kind])
    events.insert(2, garbage + b"\n" if kind == "ollama" else encode(garbage))

    chunks, complete, skipped = play(kind, b"".join(events))

    assert assembled(chunks)["choices"][0]["message"]["content"] == "Hello 😀 there"
    assert (complete, skipped) == (True, 1)


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        (400, Reason.INVALID_REQUEST),
        (401, Reason.AUTH),
        (403, Reason.AUTH),
        (404, Reason.MODEL_NOT_FOUND),
        (413, Reason.INVALID_REQUEST),
        (429, Reason.RATE_LIMITED),
        (500, Reason.SERVER_ERROR),
        (502, Reason.UNAVAILABLE),
        (503, Reason.UNAVAILABLE),
        (504, Reason.UNAVAILABLE),
        (529, Reason.UNAVAILABLE),
        (302, Reason.BAD_RESPONSE),
    ],
)
@pytest.mark.parametrize("body", [b"[]", b"null", b"7", b'{"error":{}}'])
@pytest.mark.parametrize("kind", PROVIDERS)
def test_a_failed_answer_that_says_nothing_is_classified_by_its_status(kind, body, status, reason):
    failure = made(kind).failure(status, {}, body, 0.0)

    assert (reason, status) == (failure.reason, failure.status)
    assert "<" not in failure.to_client().message


@pytest.mark.parametrize("body", [b"", b"<html>oops</html>", b"{"])
@pytest.mark.parametrize("status", [301, 400, 404, 422, 500, 502, 503])
@pytest.mark.parametrize("kind", PROVIDERS)
def test_a_failed_answer_that_is_not_json_moves_on_and_shows_no_page(kind, status, body):
    failure = made(kind).failure(status, {}, body, 0.0)

    assert (failure.rule.next, failure.to_client().status >= 500, failure.message) == (True, True, "")


@pytest.mark.parametrize("kind", PROVIDERS)
def test_retry_after_is_read(kind):
    assert made(kind).failure(429, {"retry-after": "7"}, b"", 0.0).retry_after == 7.0


@pytest.mark.parametrize("kind", PROVIDERS)
def test_a_providers_words_never_show_a_key_or_an_address(kind):
    message = f"bad key {KEY} at https://internal.example/x"
    body = {"type": "error", "error": {"type": "invalid_request_error", "message": message}}

    failure = made(kind).failure(400, {}, json.dumps(body).encode(), 0.0)

    assert KEY not in failure.to_client().message
    assert "internal.example" not in failure.to_client().message


@pytest.mark.parametrize(
    "answer", [{}, {"error": {"message": "no", "type": "api_error"}}, {"choices": []}, {"content": "x"}]
)
@pytest.mark.parametrize("kind", PROVIDERS)
def test_a_whole_answer_that_is_none_is_a_failure(kind, answer):
    provider = made(kind)
    _, translation = provider.request(QUESTION, unknown("m"))

    with pytest.raises(Failure) as caught:
        provider.dialect.response_in(answer, translation)

    assert caught.value.rule.next
