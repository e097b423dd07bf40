"""The provider of docs/providers.md, installed as written, answers a chat; the package is not touched."""

from __future__ import annotations

import re
from pathlib import Path

import requests

from .faulty import Faulty
from .server import ROOT, gateway


def test_the_documented_provider_is_loaded_from_its_entry_point_and_answers(tmp_path: Path):
    text = (ROOT / "docs" / "providers.md").read_text()
    code = re.search(r"`aura_example/__init__.py`:\n\n```python\n(.*?)```", text, re.DOTALL)
    points = re.search(r"\[options.entry_points\]\n(.*?)```", text, re.DOTALL)
    assert code
    assert points
    assert len(code[1].splitlines()) <= 40
    package, installed = tmp_path / "aura_example", tmp_path / "aura_example-1.0.dist-info"
    package.mkdir()
    installed.mkdir()
    (package / "__init__.py").write_text(code[1])
    (installed / "METADATA").write_text("Metadata-Version: 2.1\nName: aura-example\nVersion: 1.0\n")
    group, entry = (line.strip() for line in points[1].strip().splitlines())
    (installed / "entry_points.txt").write_text(f"[{group.rstrip(' =')}]\n{entry}\n")
    with Faulty() as provider:
        config = f"""
aura:
  providers:
    example:
      type: example
      base-url: "{provider.url}"
      api-key: "a-key-of-its-own"
      models: {{eco: small, premium: large}}
"""
        with gateway(config, env={"PYTHONPATH": f"{ROOT}:{tmp_path}"}) as server:
            answer = requests.post(
                f"{server.url}/v1/chat/completions",
                json={
                    "model": "premium",
                    "presence_penalty": 1,
                    "messages": [{"role": "user", "content": "nonce-7"}],
                },
                timeout=20,
            )
        asked = provider.asked[0]

    assert answer.status_code == 200, answer.text
    assert "nonce-7" in answer.json()["choices"][0]["message"]["content"]
    assert (answer.headers["x-aura-provider"], answer.headers["x-aura-dropped"]) == ("example", "presence_penalty")
    assert asked.path == "/chat"
    assert asked.headers["x-example-key"] == "a-key-of-its-own"
    assert asked.json()["user"] == "aura"
    assert "presence_penalty" not in asked.json()
