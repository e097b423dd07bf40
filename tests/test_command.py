"""The ``aura`` command, as a person runs it."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from xml.etree import ElementTree

import pytest

from .configuration.loading import JAVA
from .server import gateway


def aura(*arguments: str, folder: Path, stdin: str = "", **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the command in a folder, with nothing of the tester's environment."""
    environ = {"PATH": os.environ["PATH"], **environment}
    command = [sys.executable, "-m", "aura", *arguments]
    return subprocess.run(
        command, cwd=folder, env=environ, input=stdin, capture_output=True, text=True, timeout=60, check=False
    )


def test_check_praises_the_java_services_file_as_it_is(tmp_path):
    (tmp_path / "application.yml").write_text(JAVA)
    told = aura("check", folder=tmp_path, OPENAI_API_KEY="sk-test-1234567", ANTHROPIC_API_KEY="sk-ant-test-1234567")

    assert told.returncode == 0, told.stderr
    assert "openai" in told.stdout
    assert "anthropic" in told.stdout
    assert "azure" not in told.stdout.splitlines()[-1]


def test_check_names_what_is_wrong_and_where_and_exits_with_78(tmp_path):
    (tmp_path / "aura.yml").write_text("aura:\n  router: {stratgy: cost}\n  server: {port: many}\n")
    told = aura("check", folder=tmp_path)

    assert told.returncode == 78
    assert "stratgy" in told.stderr
    assert "strategy" in told.stderr
    assert "aura.server.port" in told.stderr
    assert "Traceback" not in told.stderr


def test_strangers_are_not_served_without_keys(tmp_path):
    told = aura("check", folder=tmp_path, AURA_SERVER_HOST="0.0.0.0")

    assert told.returncode == 78
    assert "AURA_ALLOW_ANONYMOUS" in told.stderr
    assert len(told.stderr.splitlines()) == 1
    assert aura("check", folder=tmp_path, AURA_SERVER_HOST="0.0.0.0", AURA_ALLOW_ANONYMOUS="true").returncode == 0


def test_serve_refuses_the_same_with_one_line_and_78(tmp_path):
    told = aura("serve", "--host", "0.0.0.0", "--port", "0", folder=tmp_path)

    assert told.returncode == 78
    assert sum("AURA_ALLOW_ANONYMOUS" in line for line in told.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    ("arguments", "environment", "named"),
    [
        (("check", "--config", "nope.yml"), {}, "--config"),
        (("serve", "--config", "nope.yml"), {}, "--config"),
        (("check",), {"AURA_CONFIG": "nope.yml"}, "AURA_CONFIG"),
        (("check",), {"AURA_CACHE_REDIS_URL": "redis://:secret@host:port/0"}, "AURA_CACHE_REDIS_URL"),
        (("serve", "--port", "0"), {"AURA_LIMITS_REDIS_URL": "http://:secret@host"}, "AURA_LIMITS_REDIS_URL"),
    ],
)
def test_what_is_wrong_is_called_as_it_was_given(tmp_path, arguments, environment, named):
    told = aura(*arguments, folder=tmp_path, **environment)

    assert told.returncode == 78
    assert len(told.stderr.splitlines()) == 1
    assert told.stderr.startswith(f"aura: {named}")
    assert "secret" not in told.stderr


def test_a_port_that_is_taken_is_told_at_once(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        told = aura("serve", "--port", port, folder=tmp_path)

    assert told.returncode == 1
    assert len(told.stderr.splitlines()) == 1
    assert port in told.stderr
    assert "already in use" in told.stderr


def test_models_lists_tiers_and_targets(tmp_path):
    told = aura("models", folder=tmp_path, OPENAI_API_KEY="sk-test-1234567")

    assert told.returncode == 0
    names = [line.split()[0] for line in told.stdout.splitlines()]
    assert {"eco", "balanced", "premium", "openai/gpt-4o", "openai/gpt-4o-mini"} <= set(names)


@pytest.mark.parametrize(
    ("prompt", "tier"),
    [
        ("Hello", "ECO"),
        ("Can you explain the basics of machine learning and provide a simple explanation?", "BALANCED"),
        ("Write a Java class that implements a binary search tree", "PREMIUM"),
    ],
)
def test_explain_says_the_tier_and_the_plan(tmp_path, prompt, tier):
    told = aura("explain", "--json", prompt, folder=tmp_path, OPENAI_API_KEY="sk-test-1234567")

    assert told.returncode == 0, told.stderr
    answer = json.loads(told.stdout)
    assert answer["tier"] == tier
    assert answer["plan"][0]["target"].startswith("openai/")
    assert 0 <= answer["score"] <= 1


def test_a_reader_that_has_had_enough_is_no_error(tmp_path):
    (tmp_path / "chats").write_text(f"{chat(EASY)}\n" * 500)
    command = f"{sys.executable} -m aura explain --json --file chats | head -c 10"
    told = subprocess.run(command, shell=True, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)

    assert told.stdout == '{"object":'
    assert told.stderr == ""


def test_every_subcommand_has_help(tmp_path):
    for command in ("serve", "check", "models", "explain", "calibrate", "replay"):
        told = aura(command, "--help", folder=tmp_path)

        assert told.returncode == 0
        assert "usage: aura" in told.stdout


def test_help_loads_nothing_heavy():
    code = "import sys, aura.__main__ as m; m.parser().format_help(); print(*sys.modules)"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)

    heavy = {"flask", "gevent", "requests", "orjson", "marshmallow", "yaml", "aura.settings", "aura.router"}
    assert not heavy & set(told.stdout.split())


def chat(text: str, **more: object) -> str:
    return json.dumps({"model": "auto", "messages": [{"role": "user", "content": text}], **more})


KEYLESS = """
aura:
  classifier: {type: heuristic}
  providers: {openai: {api-key: none}}
"""
HARD, MEDIUM, EASY = "refactor this", "Can you explain the basics of machine learning? " * 3, "Hello"


def test_explain_reads_bodies_and_writes_a_line_for_each(tmp_path):
    (tmp_path / "aura.yml").write_text(KEYLESS)
    lines = [chat(HARD), "", chat(EASY, model="eco"), '{"messages": [{"role": "user", "content": "Hello"}]}']
    told = aura("explain", "--json", "--stdin", folder=tmp_path, stdin="\n".join(lines))

    assert told.returncode == 0, told.stderr
    answers = [json.loads(line) for line in told.stdout.splitlines()]
    assert [answer["tier"] for answer in answers] == ["PREMIUM", "ECO", "ECO"]
    for answer in answers:
        assert sum(answer["contributions"].values()) == pytest.approx(answer["score"], abs=1e-6)
        assert "probabilities" in answer


def test_bodies_are_explained_by_the_learned_classifier(tmp_path):
    (tmp_path / "aura.yml").write_text(KEYLESS.replace("heuristic", "learned"))
    told = aura("explain", "--json", "--stdin", folder=tmp_path, stdin=f"{chat(HARD)}\n{chat(EASY)}\n")
    answers = [json.loads(line) for line in told.stdout.splitlines()]

    assert told.returncode == 0, told.stderr
    for answer in answers:
        assert sum(answer["contributions"].values()) == pytest.approx(answer["score"], abs=1e-9)
        assert sum(answer["probabilities"].values()) == pytest.approx(1)
    assert answers[0]["score"] > answers[1]["score"]


def test_a_bad_line_is_told_in_its_place_and_the_others_are_explained(tmp_path):
    (tmp_path / "aura.yml").write_text(KEYLESS)
    image = {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}}
    lines = [
        chat(HARD),
        "{no json",
        "[]",
        json.dumps({"model": "auto", "messages": []}),
        chat(EASY, model="nowhere/model"),
        json.dumps({"model": "openai/gpt-3.5-turbo", "messages": [{"role": "user", "content": [image]}]}),
        chat(EASY),
    ]
    (tmp_path / "chats").write_text("\n".join(lines))
    told = aura("explain", "--json", "--file", "chats", folder=tmp_path)
    answers = [json.loads(line) for line in told.stdout.splitlines()]

    assert told.returncode == 1
    assert [answer.get("tier") for answer in answers] == ["PREMIUM", None, None, None, None, "ECO", "ECO"]
    assert [answer.get("line") for answer in answers] == [None, 2, 3, 4, 5, None, None]
    errors = [answer["error"]["param"] for answer in answers if "error" in answer]
    assert errors == [None, None, "messages", "model", "messages[0].content[0]"]
    assert "Traceback" not in told.stderr


def test_a_person_is_told_the_reasons_the_costs_and_who_is_left_out(tmp_path):
    (tmp_path / "aura.yml").write_text(KEYLESS)
    told = aura("explain", HARD, folder=tmp_path)

    assert told.returncode == 0
    assert "PREMIUM" in told.stdout.splitlines()[0]
    assert "refactor" in told.stdout
    assert "1. openai/gpt-4o (PREMIUM): about 0.0050" in told.stdout


def test_explain_says_which_file_cannot_be_read(tmp_path):
    told = aura("explain", "--file", "none.jsonl", folder=tmp_path)

    assert told.returncode == 1
    assert told.stderr == "aura: none.jsonl cannot be read: No such file or directory\n"


GRADED = """
from aura.call import Tier, Verdict

def make(settings):
    \"\"\"A classifier whose score is the number that the prompt begins with.\"\"\"

    def judge(body):
        score = float(body["messages"][-1]["content"].split()[0])
        high, low = settings.premium_threshold, settings.balanced_threshold
        tier = Tier.PREMIUM if score >= high else Tier.BALANCED if score >= low else Tier.ECO
        return Verdict(tier, score, (("number", score),))

    return judge
"""


@pytest.fixture
def graded(tmp_path):
    """A folder with an installed classifier, a hundred prompts with the scores 0.00 to 0.99, and a configuration."""
    (tmp_path / "graded.py").write_text(GRADED)
    (tmp_path / "graded-1.dist-info").mkdir()
    (tmp_path / "graded-1.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: graded\nVersion: 1\n")
    (tmp_path / "graded-1.dist-info" / "entry_points.txt").write_text("[aura.classifiers]\ngraded = graded:make\n")
    (tmp_path / "aura.yml").write_text(KEYLESS.replace("heuristic", "graded"))
    (tmp_path / "traffic.jsonl").write_text("\n".join(chat(f"{n / 100} points") for n in range(100)))
    return tmp_path


def tiers_with(block: str, folder: Path) -> list[str]:
    """The tiers of the traffic when a configuration block is laid over the configuration."""
    (folder / "aura-calibrated.yml").write_text(block)
    there = {"PYTHONPATH": str(folder), "AURA_PROFILE": "calibrated"}
    told = aura("explain", "--json", "--file", "traffic.jsonl", folder=folder, **there)
    return [json.loads(line)["tier"] for line in told.stdout.splitlines()]


@pytest.mark.parametrize("share", [0.05, 0.2, 0.9])
def test_calibrate_prints_a_configuration_that_meets_the_share(graded, share):
    arguments = ("--traffic", "traffic.jsonl", "--premium-share", str(share))
    told = aura("calibrate", *arguments, folder=graded, PYTHONPATH=str(graded))

    assert told.returncode == 0, told.stderr
    assert tiers_with(told.stdout, graded).count("PREMIUM") == round(100 * share)


def test_calibrate_keeps_a_budget_and_draws_the_curve(graded):
    arguments = ("--traffic", "traffic.jsonl", "--budget-usd-per-1k", "1.50", "--plot", "curve.svg")
    told = aura("calibrate", *arguments, folder=graded, PYTHONPATH=str(graded))
    chosen = next(line for line in told.stdout.splitlines() if line.endswith("chosen")).split()

    assert told.returncode == 0, told.stderr
    assert float(chosen[6]) <= 1.5
    assert float(chosen[6]) > 1.4
    tiers = tiers_with(told.stdout, graded)
    spent = sum({"ECO": 0.75, "BALANCED": 0.3, "PREMIUM": 5.0}[tier] for tier in tiers) / 100
    assert spent == pytest.approx(float(chosen[6]), rel=0.05)
    drawing = ElementTree.parse(graded / "curve.svg").getroot()
    assert drawing.tag.endswith("svg")
    assert any("chosen" in (text.text or "") for text in drawing.iter("{http://www.w3.org/2000/svg}text"))


@pytest.mark.parametrize(
    ("plot", "status", "said"),
    [("curve.png", 2, "must end with .svg"), ("nowhere/curve.svg", 1, "nowhere/curve.svg cannot be written")],
)
def test_a_drawing_that_cannot_be_made_is_said_to_be_one(graded, plot, status, said):
    arguments = ("--traffic", "traffic.jsonl", "--premium-share", "0.2", "--plot", plot)
    told = aura("calibrate", *arguments, folder=graded, PYTHONPATH=str(graded))

    assert told.returncode == status
    assert said in told.stderr
    assert "Traceback" not in told.stderr
    assert not (graded / plot).exists()


def test_a_budget_that_nothing_meets_is_said_to_be_one(graded):
    arguments = ("--traffic", "traffic.jsonl", "--budget-usd-per-1k", "0.01")
    told = aura("calibrate", *arguments, folder=graded, PYTHONPATH=str(graded))

    assert told.returncode == 1
    assert "USD per 1,000 calls" in told.stderr


def test_replay_tells_the_same_twice_and_asks_no_one(graded):
    (graded / "new.yml").write_text(KEYLESS.replace("{type: heuristic}", "{type: graded, premium-threshold: 0.9}"))
    arguments = ("replay", "--traffic", "traffic.jsonl", "--config", "new.yml")
    told, again = (aura(*arguments, folder=graded, PYTHONPATH=str(graded)) for _ in range(2))
    as_json = json.loads(aura(*arguments, "--json", folder=graded, PYTHONPATH=str(graded)).stdout)

    assert told.returncode == 0, told.stderr
    assert told.stdout == again.stdout
    assert as_json["matrix"]["PREMIUM"] == {"ECO": 0, "BALANCED": 20, "PREMIUM": 10}
    assert as_json["changed_tier"] == 20
    assert as_json["cost_usd"]["difference"] == pytest.approx(20 * (0.0003 - 0.005), rel=0.05)
    assert as_json["targets"] == [{"before": "openai/gpt-4o", "after": "openai/gpt-4o-mini", "calls": 20}]


@pytest.mark.parametrize("command", [("calibrate", "--premium-share", "0.2"), ("replay", "--config", "aura.yml")])
def test_traffic_lines_that_are_no_chats_are_told_and_left_out(graded, command):
    (graded / "mixed.jsonl").write_text(f"{chat('0.5 x')}\nnothing\n{chat('0.9 x')}\n")
    (graded / "nothing.jsonl").write_text("nothing\n")
    mixed = aura(*command, "--traffic", "mixed.jsonl", folder=graded, PYTHONPATH=str(graded))
    nothing = aura(*command, "--traffic", "nothing.jsonl", folder=graded, PYTHONPATH=str(graded))

    assert (mixed.returncode, nothing.returncode) == (0, 1)
    assert "mixed.jsonl, line 2, is left out" in mixed.stderr
    assert "2 calls" in mixed.stdout
    assert "nothing.jsonl holds no chat" in nothing.stderr


@pytest.mark.parametrize("share", ["2", "-0.1", "nan", "many"])
def test_a_share_that_is_none_is_refused(tmp_path, share):
    told = aura("calibrate", "--traffic", "x", f"--premium-share={share}", folder=tmp_path)

    assert told.returncode == 2
    assert "--premium-share" in told.stderr


def test_serve_says_where_it_listens_and_that_the_demo_answers(tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    log = tmp_path / "log"
    environ = {"PATH": os.environ["PATH"], "TMPDIR": str(tmp_path)}
    command = [sys.executable, "-m", "aura", "serve", "--port", str(port), "--workers", "1"]
    with log.open("wb") as out, subprocess.Popen(command, cwd=tmp_path, env=environ, stdout=out, stderr=out) as process:
        deadline = time.monotonic() + 60
        answer = b""
        while not answer and time.monotonic() < deadline and process.poll() is None:
            try:
                answer = urllib.request.urlopen(f"http://127.0.0.1:{port}/actuator/health", timeout=30).read()
            except OSError:
                time.sleep(0.05)
        process.send_signal(signal.SIGTERM)
        status = process.wait(20)
    told = log.read_text()

    assert json.loads(answer)["status"] == "UP", told
    assert status == 0
    assert f"http://127.0.0.1:{port}" in told
    assert sum("demo" in line for line in told.splitlines()) == 1
    assert not list(tmp_path.glob("aura-metrics-*"))


def test_check_tells_who_answers_each_tier_and_who_is_missing(tmp_path):
    (tmp_path / "aura.yml").write_text("aura: {providers: {openai: {models: {premium: gpt-4o, eco: [a, b]}}}}\n")
    told = aura("check", folder=tmp_path, OPENAI_API_KEY="sk-test-1234567")

    assert "ECO: openai/a, openai/b." in told.stdout
    assert "BALANCED: no model; the next tier up answers, else one below." in told.stdout
    assert "PREMIUM: openai/gpt-4o." in told.stdout
    assert "Provider anthropic is off: ANTHROPIC_API_KEY is not set." in told.stdout


def test_serve_tells_who_answers_each_tier():
    with gateway(
        "aura: {providers: {openai: {models: {premium: gpt-4o, eco: a}}}}\n", {"OPENAI_API_KEY": "sk-1234567890"}
    ) as server:
        told = server.log()

    assert "ECO: openai/a." in told
    assert "BALANCED: no model" in told
    assert "PREMIUM: openai/gpt-4o." in told
