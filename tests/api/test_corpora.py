"""The corpus of hostile requests, as far as it concerns the body, through Flask."""

import base64
import json
from collections import defaultdict
from pathlib import Path

import orjson
import pytest
from flask import Flask, Response, request

from aura.api import schemas
from aura.api.reading import read_json
from aura.errors import AuraError

FILE = Path(__file__).resolve().parents[3] / "shared" / "corpora" / "bad_inputs.jsonl"
# What these are about is decided elsewhere: keys, the URL map, the headers of the outbound call.
ELSEWHERE = {"auth", "path", "method", "actuator", "query", "header"}

pytestmark = pytest.mark.skipif(not FILE.is_file(), reason="the corpus of hostile requests is not beside the checkout")


def body_of(case: dict) -> bytes:
    if "body_gen" in case:
        parts = case["body_gen"]
        return (parts["prefix"] + parts["unit"] * parts["count"] + parts["suffix"]).encode()
    return base64.b64decode(case["body_b64"]) if "body_b64" in case else case["raw_body"].encode()


@pytest.fixture(scope="module")
def corpus() -> tuple[dict, list[dict]]:
    meta, *cases = [json.loads(line) for line in FILE.read_text(encoding="utf-8").splitlines() if line.strip()]
    return meta, [case for case in cases if case["cat"] not in ELSEWHERE]


@pytest.fixture(scope="module")
def client(corpus):
    """An application that reads and checks a chat, and answers what it read."""
    app = Flask("corpora")

    @app.errorhandler(AuraError)
    def answer(error: AuraError) -> Response:
        return Response(orjson.dumps(error.body()), error.status, mimetype="application/json")

    @app.post("/v1/chat/completions")
    def chat() -> Response:
        body = read_json(request, corpus[0]["max_body_bytes"])
        schemas.check_chat(body)
        return Response(orjson.dumps(body), mimetype="application/json")

    return app.test_client()


def test_every_case_about_the_body_is_right(corpus, client):
    """Where the corpus asks two params for one and the same request, either is right."""
    _, cases = corpus
    params = defaultdict(set)
    for case in cases:
        if case.get("error_param"):
            params[body_of(case)].add(case["error_param"])
    wrong = []
    for case in cases:
        body = body_of(case)
        response = client.post(case["path"], data=body, headers=case["headers"])
        if response.status_code not in case["expected_status"]:
            wrong.append(f"{case['id']}: {response.status_code}")
        elif response.status_code == 200:
            if response.get_json() != json.loads(body):
                wrong.append(f"{case['id']}: changed")
        elif case.get("error_param") and response.get_json()["error"]["param"] not in params[body]:
            wrong.append(f"{case['id']}: param {response.get_json()['error']['param']}")

    assert wrong == []
    assert len(cases) > 200
