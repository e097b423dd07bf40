"""What finding and masking values costs: for a MiB of ordinary and of hostile text, and for a short prompt.

::

    python bench/guardrails.py
"""

from __future__ import annotations

import random
import time
import timeit
from pathlib import Path

from aura.guardrails.detection import find
from aura.guardrails.masking import masked

MIB = 1024 * 1024
ROOT = Path(__file__).resolve().parent.parent
HOSTILE = [
    "a", "9", "9 ", "01 ", "a@", "a@a.", "a@" + "b." * 40, ":", "a:", "f:1:", "1.", "+1 (", "(0", "00 1 ",
    "1234567, ", "tel 1234567, ",
    "4111111111111112 ", "4111 1111 1111 1112, ", "DE89370400440532013001 ", "-----BEGIN PRIVATE KEY-----",
    "sk-a_", "eyJaaaaaaaaaa.aaaaaaaaa.",
    "token=", "://a:bbb@", "::1 ",
]  # fmt: skip
DENSE = [
    "john.doe@example.com ",
    "+49 30 1234567, ",
    "10.20.30.40 ",
    "sk-abcdefghijklmnopqrstuvwxyz1234 ",
    "token=abc1defgh ",
]


def filled(text: str) -> str:
    """A MiB of a text."""
    return (text * (MIB // len(text) + 1))[:MIB]


def texts() -> dict[str, str]:
    """What is looked through, by name."""
    generator = random.Random(1)
    numbers = ",".join(str(generator.randrange(10 ** generator.randrange(1, 12))) for _ in range(200_000))
    pairs = '{"id": 12345, "key": "some-value-here1", "name": "abc", "at": "2024-01-01T10:00:00Z"}, '
    ordinary = {
        "code": "".join(path.read_text() for path in sorted((ROOT / "aura").rglob("*.py"))),
        "documents": "".join(path.read_text() for path in sorted((ROOT / "docs").glob("*.md"))),
        "JSON": pairs,
        "numbers": numbers,
        "Chinese": "请联系我们的客户服务电话获取更多信息。",
    }
    told = ordinary | {repr(piece[:30]): piece for piece in [*HOSTILE, *DENSE]}
    return {name: filled(text) for name, text in told.items()}


def main() -> None:
    """Print a line for each text."""
    for name, text in texts().items():
        best, found = float("inf"), 0
        for _ in range(3):
            began = time.process_time()
            found = len(find(text))
            best = min(best, time.process_time() - began)
        print(f"{name:34} {best * 1000:8.1f} ms for a MiB, {found:6} values")
    prompt = "Please write to the team about the plan for next week, and summarise it in ten lines."
    for name, said in (("a short prompt", prompt), ("the same with an e-mail", prompt + " I am jo@example.com.")):
        body = {"messages": [{"role": "user", "content": said}]}
        seconds = min(timeit.repeat(lambda body=body: masked(body), number=2000, repeat=5)) / 2000
        print(f"{name:34} {seconds * 1e6:8.1f} µs")


if __name__ == "__main__":
    main()
