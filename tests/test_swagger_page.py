"""The page of the API's description in a real browser; ``apt-get install chromium chromium-driver`` brings it."""

from __future__ import annotations

import json

import pytest
from selenium.webdriver.remote.webelement import WebElement

from tests.browser import Browser, browser, needs_browser
from tests.server import Server, gateway

pytestmark = [needs_browser, pytest.mark.xdist_group("swagger")]

KEY = "key-of-a-0001"
CHAT = "#operations-chat-post_v1_chat_completions"


@pytest.fixture(scope="module")
def window():
    with browser() as opened:
        yield opened


@pytest.fixture(scope="module")
def server():
    with gateway("aura: {}\n") as running:
        yield running


def opened(window: Browser, server: Server) -> WebElement:
    """The page, with the form of a chat ready to be sent."""
    window.asked_for()
    window.complaints()
    window.driver.get(f"{server.url}/swagger-ui.html")
    block = window.one(CHAT)
    window.click(".opblock-summary-control", block)
    window.click(".try-out__btn", block)
    window.one("textarea.body-param__text", block)
    return block


def choose(window: Browser, block: WebElement, example: str) -> None:
    """Choose one of the example bodies."""
    window.driver.execute_script(
        "const [list, value] = arguments;"
        "Object.getOwnPropertyDescriptor(HTMLSelectElement.prototype, 'value').set.call(list, value);"
        "list.dispatchEvent(new Event('change', {bubbles: true}));",
        window.one("select.examples-select-element", block),
        example,
    )
    window.until(lambda: '"stream"' in body(window, block))


def body(window: Browser, block: WebElement) -> str:
    return window.one("textarea.body-param__text", block).get_attribute("value") or ""


def executed(window: Browser, block: WebElement) -> str:
    """What the page shows of the answer."""
    window.click("button.execute", block)
    return window.one(".live-responses-table .response", block).text


def test_the_page_shows_every_route_and_asks_no_other_host(window, server):
    opened(window, server)
    paths = [path.text.replace("\u200b", "") for path in window.all(".opblock-summary-path")]

    assert "/v1/chat/completions" in paths
    assert "/actuator/health" in paths
    assert len(paths) > 40
    assert window.one("h1.title").text.startswith("Aura Gateway")
    asked = window.asked_for()
    assert len(asked) >= 5
    assert [url for url in asked if not url.startswith(server.url)] == []
    assert window.complaints() == []


def test_a_call_from_the_page_is_answered(window, server):
    told = executed(window, opened(window, server))

    assert told.startswith("200")
    assert "Aura's demo provider" in told
    assert "x-aura-provider: demo" in told
    assert window.complaints() == []


def test_a_streamed_call_from_the_page_is_answered(window, server):
    block = opened(window, server)
    choose(window, block, "streamed")
    assert json.loads(body(window, block))["stream"] is True
    told = executed(window, block)

    assert told.startswith("200")
    assert "chat.completion.chunk" in told
    assert "[DONE]" in told
    assert "text/event-stream" in told
    assert [url for url in window.asked_for() if not url.startswith(server.url)] == []
    assert window.complaints() == []


def test_a_key_that_is_entered_is_sent(window):
    keys = f"aura:\n  auth: {{keys: [{{name: a, key: {KEY}}}]}}\n  docs: {{public: true}}\n"
    with gateway(keys) as server:
        block = opened(window, server)
        refused = executed(window, block)
        window.click("button.authorize")
        window.one(".auth-container input").send_keys(KEY)
        window.click(".auth-btn-wrapper button.authorize")
        window.click(".btn-done")
        window.click("button.btn-clear", block)
        answered = executed(window, block)
        log = server.log()

    assert refused.startswith("401")
    assert answered.startswith("200")
    assert "Aura's demo provider" in answered
    assert KEY not in log
