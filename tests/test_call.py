"""The estimate of tokens: near enough for a limit of time or a context size, from lengths alone."""

import pytest

from aura.estimate import estimate_tokens, text_tokens


def body(content, **more):
    return {"messages": [{"role": "user", "content": content}], **more}


@pytest.mark.parametrize(
    ("text", "least", "most"),
    [
        pytest.param("The quick brown fox jumps over the lazy dog. " * 10, 90, 125, id="English"),
        pytest.param("Der schnelle braune Fuchs springt über den faulen Hund. " * 10, 120, 180, id="German"),
        pytest.param("Быстрая лиса прыгает через ленивую собаку. " * 10, 130, 260, id="Russian"),
        pytest.param("敏捷的棕色狐狸跳过懒狗。" * 10, 80, 150, id="Chinese"),
        pytest.param("😀" * 10, 10, 30, id="emoji"),
        pytest.param("", 0, 0, id="nothing"),
    ],
)
def test_a_text_is_estimated_by_its_script(text, least, most):
    assert least <= text_tokens(text) <= most


def test_messages_parts_tools_and_pictures_count():
    text = {"type": "text", "text": "word " * 100}
    picture = {"type": "image_url", "image_url": {"url": "data:image/png;base64," + "A" * 1_000_000}}

    plain = estimate_tokens(body("word " * 100))
    parts = estimate_tokens(body([text]))
    pictured = estimate_tokens(body([text, picture]))
    tooled = estimate_tokens(body("word " * 100, tools=[{"type": "function", "function": {"name": "f" * 400}}]))

    assert plain == parts == 129
    assert 200 < pictured - parts < 2000, "a picture costs what it shows, not what its bytes are"
    assert 100 < tooled - plain < 130


@pytest.mark.parametrize(
    "odd", [{}, {"messages": None}, {"messages": [7, None]}, body(7), body([7, {}]), body("\ud800")]
)
def test_an_odd_body_is_no_error(odd):
    assert estimate_tokens(odd) >= 0
