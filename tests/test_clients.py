"""Real clients against a running gateway: OpenAI's SDKs, old and new, and every curl line of README.md."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import openai
import pytest

from .server import ROOT, Server, gateway

CLIENTS = Path(__file__).resolve().parent / "clients"
LEGACY = CLIENTS / ".venv" / "bin" / "python"


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """A gateway without a provider: the demo answers."""
    with gateway() as running:
        yield running


def run(*command: str) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout


def test_openais_sdk_for_python_gets_answers_streams_errors_and_models(server):
    with openai.OpenAI(base_url=f"{server.url}/v1", api_key="none", max_retries=0) as client:
        messages = [{"role": "user", "content": "Hello"}]
        whole = client.chat.completions.create(model="auto", messages=messages)
        stream = client.chat.completions.create(
            model="premium", messages=messages, stream=True, stream_options={"include_usage": True}
        )
        chunks = list(stream)
        with pytest.raises(openai.BadRequestError) as refused:
            client.chat.completions.create(model="auto", messages=[])
        listed = [model.id for model in client.models.list()]

    assert "demo" in whole.choices[0].message.content
    assert "ECO" in whole.choices[0].message.content
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert "PREMIUM" in text
    assert len(chunks) > 5
    assert chunks[-1].usage.total_tokens > 0
    assert refused.value.param == "messages"
    assert {"eco", "balanced", "premium"} <= set(listed)


def test_a_stream_without_include_usage_shows_none(server):
    with openai.OpenAI(base_url=f"{server.url}/v1", api_key="none", max_retries=0) as client:
        stream = client.chat.completions.create(
            model="eco", messages=[{"role": "user", "content": "Hello, no usage"}], stream=True
        )

        assert all(chunk.choices for chunk in stream)


def test_openais_sdk_for_javascript_gets_the_same(server):
    if not (CLIENTS / "node_modules" / "openai").is_dir() or not shutil.which("node"):
        pytest.skip("needs Node.js and: npm install --prefix tests/clients")
    told = json.loads(run("node", str(CLIENTS / "chat.mjs"), server.url))

    assert "demo" in told["whole"]
    assert "demo" in told["streamed"]
    assert told["finish"] == "stop"
    assert told["refused"] == {"status": 400, "param": "messages", "type": "invalid_request_error"}
    assert "premium" in told["listed"]


def test_openai_0_28_is_served_as_it_was_by_the_java_service(server):
    if not LEGACY.is_file():
        pytest.skip("needs: python3 -m venv tests/clients/.venv && tests/clients/.venv/bin/pip install openai==0.28.1")
    told = json.loads(run(str(LEGACY), str(CLIENTS / "legacy.py"), server.url))

    assert "demo" in told["whole"]
    assert told["whole"] == told["streamed"]


def readme_curls() -> list[str]:
    blocks = re.findall(r"^```bash\n(.*?)^```", (ROOT / "README.md").read_text(), re.DOTALL | re.MULTILINE)
    joined = "\n".join(blocks).replace("\\\n", " ")
    return [line for line in joined.splitlines() if line.startswith("curl ")]


@pytest.mark.parametrize("line", readme_curls(), ids=lambda line: line[-50:])
def test_every_curl_line_of_the_readme_is_answered(server, line):
    if not shutil.which("curl"):
        pytest.skip("needs curl (Debian's package curl)")
    command = line.replace("http://localhost:8080", server.url).replace("curl ", "curl -sS --fail-with-body ", 1)

    assert run("bash", "-c", command)
