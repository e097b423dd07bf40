"""Recorded completions, embeddings and moderations, sent through a real worker: they come out as they were."""

from __future__ import annotations

import json
from typing import Any

import pytest
import requests

from .test_recorded import STATUS, TRAFFIC, replay, served
from .test_recorded_messages import recorded

__all__ = ["replay", "served"]
pytestmark = pytest.mark.skipif(
    not (TRAFFIC / "replay.py").is_file(), reason="the recorded traffic (../shared/traffic) is not beside this checkout"
)
EXCHANGES = [
    item for item in recorded("completions", "embeddings", "moderations") if item["provider"] in ("openai", "azure")
]
# What Aura's own check of a request refuses before a provider is asked.
REFUSED = [item for item in EXCHANGES if item["response"]["status"] == 400]
FAILED = [item for item in EXCHANGES if item["response"]["status"] not in (200, 400)]
ANSWERED = [item for item in EXCHANGES if item["response"]["status"] == 200]


def wire(server: Any, item: dict[str, Any]) -> requests.Response:
    body = {**item["request"]["body"], "model": f"{item['provider']}/replay:{item['id']}"}
    if "raw_stream" in item["response"]:
        body["stream"] = True  # one recording has lost it
    return requests.post(f"{server.url}/v1/{item['case'].split('.')[0]}", json=body, timeout=60)


def events(text: str) -> list[Any]:
    data = [line[6:] for line in text.splitlines() if line.startswith("data: ")]
    return [json.loads(one) for one in data if one != "[DONE]"]


@pytest.mark.parametrize("item", ANSWERED, ids=lambda item: item["id"])
def test_an_answer_is_what_was_recorded(served, item):
    answer, response = wire(served, item), item["response"]

    assert answer.status_code == 200, answer.text
    if "raw_stream" in response:
        said = [event for event in events(answer.text) if event.get("choices")]
        assert said == [event for event in events(response["raw_stream"]) if event.get("choices")]
        assert answer.text.rstrip().endswith("data: [DONE]")
    else:
        assert answer.json() == response["body"]


@pytest.mark.parametrize("item", REFUSED + FAILED, ids=lambda item: item["id"])
def test_an_error_has_openais_form(served, item):
    answer, status = wire(served, item), item["response"]["status"]

    assert answer.status_code == STATUS.get(status, status)
    assert answer.json()["error"].keys() >= {"message", "type", "param", "code"}


def test_every_exchange_is_looked_at():
    assert len(ANSWERED) + len(REFUSED) + len(FAILED) == len(EXCHANGES) > 0
    print(f"{len(EXCHANGES)} of {len(EXCHANGES)} recorded completions, embeddings and moderations")
