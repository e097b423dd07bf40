"""A headless Chromium for a test: Debian's packages chromium and chromium-driver, steered by selenium."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.wait import WebDriverWait

_SECONDS = 30
_OPTIONS = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--disable-background-networking",
    "--no-proxy-server", "--window-size=1300,1600",
)  # fmt: skip

needs_browser = pytest.mark.skipif(
    not (shutil.which("chromium") and shutil.which("chromedriver")),
    reason="a browser is missing (apt-get install chromium chromium-driver)",
)


class Browser:
    """A page that is open, and what it has asked for and complained of."""

    def __init__(self, driver: webdriver.Chrome) -> None:
        self.driver = driver

    def all(self, selector: str, within: WebElement | None = None) -> list[WebElement]:
        """The elements that there are at present."""
        return (within or self.driver).find_elements(By.CSS_SELECTOR, selector)

    def one(self, selector: str, within: WebElement | None = None) -> WebElement:
        """An element, waited for."""
        return self.until(lambda: self.all(selector, within))[0]

    def until(self, condition: Callable[[], Any]) -> Any:
        """What a condition gives as soon as it is something."""
        return WebDriverWait(self.driver, _SECONDS, 0.05).until(lambda _: condition())

    def click(self, selector: str, within: WebElement | None = None) -> None:
        """Click an element, wherever on the page it is."""
        self.driver.execute_script("arguments[0].click()", self.one(selector, within))

    def complaints(self) -> list[str]:
        """The lines of its console since the last look."""
        return [entry["message"] for entry in self.driver.get_log("browser")]

    def asked_for(self) -> list[str]:
        """The addresses that it has sent requests to since the last look."""
        messages = (json.loads(entry["message"])["message"] for entry in self.driver.get_log("performance"))
        sent = [told["params"]["request"]["url"] for told in messages if told["method"] == "Network.requestWillBeSent"]
        return [url for url in sent if not url.startswith("data:")]


@contextmanager
def browser() -> Iterator[Browser]:
    """Start a browser with an empty profile, and end it."""
    options = webdriver.ChromeOptions()
    options.binary_location = str(shutil.which("chromium"))
    for option in _OPTIONS:
        options.add_argument(option)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(shutil.which("chromedriver")))
    try:
        yield Browser(driver)
    finally:
        driver.quit()
