"""How long the answers of docs/questions.md take, each as a command of its own.

    .venv/bin/lake demo --serve, then in another terminal with its env.sh:
    .venv/bin/python bench/questions.py [--rounds 3] [--page docs/quarter.md]
        [--replace OLD=NEW …] [--skip NUMBER …]

The days of the page are moved to the last ones of the lake of $LAKE_CONFIG, which lies on S3 while
the demo serves. The first round has an empty cache of manifests. Seconds of wall time, Python's
start included, and of processor time. Another page is one with the same form; texts of its
answers are replaced, such as datasets' names, and answers that the lake's data can't have are
skipped.
"""

from __future__ import annotations

import argparse
import os
import re
import shlex
import subprocess
import sys
import tempfile
import time
from datetime import date, timedelta
from pathlib import Path

from measuring import machine

from lake.base.day import Day
from lake.config.settings import load
from lake.partition.ledger import read_ledger
from lake.store import open_store

_PAGE = Path(__file__).parents[1] / "docs/questions.md"
_ANSWER = re.compile(r"^##+ (\d+)\. ([^\n]+)\n.*?^```(sh|sql)\n(.*?)^```", re.MULTILINE | re.DOTALL)
_DATE = re.compile(r"\b2026-\d\d-\d\d\b")
_LAKE = str(Path(sys.executable).with_name("lake"))
_LIMIT_S = 2.0


def last_day() -> Day:
    """The newest day of the lake's first dataset."""
    settings = load(os.environ["LAKE_CONFIG"])
    return max(read_ledger(open_store(settings), settings.dataset[0].name))


def moved(text: str, by: timedelta) -> str:
    """The text with its dates moved."""
    return _DATE.sub(lambda match: str(date.fromisoformat(match[0]) + by), text)


def timed(command: list[str], folder: Path, cache: Path) -> tuple[float, float]:
    """Wall and processor seconds of a command, whose output goes nowhere."""
    begun, before = time.perf_counter(), os.times()
    done = subprocess.run(
        command, cwd=folder, capture_output=True, text=True, check=False,
        env={**os.environ, "LAKE_CACHE_DIR": str(cache)},
    )  # fmt: skip
    if done.returncode > 1 or not done.stdout:
        raise SystemExit(f"{shlex.join(command)} failed:\n{done.stderr}")
    after = os.times()
    used = after.children_user - before.children_user
    used += after.children_system - before.children_system
    return time.perf_counter() - begun, used


def main() -> None:
    """Prints a row for each question."""
    arguments = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    arguments.add_argument("--rounds", type=int, default=3)
    arguments.add_argument("--page", type=Path, default=_PAGE)
    arguments.add_argument("--replace", nargs="*", default=[], metavar="OLD=NEW")
    arguments.add_argument("--skip", nargs="*", default=[], metavar="NUMBER")
    chosen = arguments.parse_args()
    text = chosen.page.read_text("utf-8")
    for old, _, new in (pair.partition("=") for pair in chosen.replace):
        text = text.replace(old, new)
    answers = [answer for answer in _ANSWER.findall(text) if answer[0] not in chosen.skip]
    newest = max(map(date.fromisoformat, _DATE.findall("".join(body for *_, body in answers))))
    by = last_day().date - newest
    print(machine())
    print(f"{'':>3} {'first':>7} {'best':>7} {'CPU':>7}  question")
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        slow = 0
        for number, title, kind, body in answers:
            text = moved(body.strip(), by)
            command = [_LAKE, "query", text] if kind == "sql" else [_LAKE, *shlex.split(text)[1:]]
            cache = folder / f"cache{number}"
            first, _ = timed(command, folder, cache)
            wall, used = min(timed(command, folder, cache) for _ in range(chosen.rounds))
            slow += wall >= _LIMIT_S
            print(f"{number:>3} {first:>6.2f}s {wall:>6.2f}s {used:>6.2f}s  {title}")
    print(f"{slow} of {len(answers)} take {_LIMIT_S:.0f} s or longer")


if __name__ == "__main__":
    main()
