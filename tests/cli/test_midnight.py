"""Commands over which a UTC midnight passes: each shows one day's view, never a mixture of two.

Belongs here: what each command prints. Does not: what exports, snapshots and the guard leave in
the lake (their own folders).
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from support.command_line import Run, run
from support.fake_source import FakeSource

from lake.base.clock import simulated
from lake.base.day import Day
from lake.config.settings import load
from lake.export import Exporter

__all__ = ["run"]  # for pytest
LAST = Day.parse("2026-07-12")  # a Sunday, which ends
MIDNIGHT = LAST.end
BEFORE, AFTER = MIDNIGHT - timedelta(milliseconds=1), MIDNIGHT
FILE = """
[lake]
root = "lake"
[sources.mongo]
uri = "mongodb://127.0.0.1:1"
database = "d"
lateness_days = 1
timeout_s = 0.5
[hot]
mongo = 6
[retention]
enabled = true
[retention.dataset.users]
tables = 9
[[dataset]]
name = "events"
source = "mongo"
collection = "events"
[[dataset]]
name = "users"
source = "mongo"
collection = "users"
[[dataset]]
name = "orders"
source = "mongo"
collection = "orders"
"""


@dataclass
class Turning:
    """A clock that shows the moment before midnight `readings` times, and midnight from then on."""

    readings: float
    read: int = 0

    def __call__(self) -> datetime:
        self.read += 1
        return BEFORE if self.read <= self.readings else AFTER


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ten days to the day before LAST; of `orders` one is missing."""
    folder = tmp_path_factory.mktemp("made")
    (folder / "lake.toml").write_text(FILE)
    settings = load(str(folder / "lake.toml"), {})
    source = FakeSource(rows={str(LAST.plus(-n)): 10 for n in range(11)})
    exporter = Exporter(settings, sources={"mongo": source})
    with simulated(lambda: LAST.start + timedelta(hours=1)):
        for dataset in settings.dataset:
            for ago in range(10, 0, -1):
                if (dataset.name, ago) != ("orders", 3):
                    exporter.export(dataset, LAST.plus(-ago))
    return folder


MEASURED = re.compile(r'"(seconds|took_s)": [\d.]+|\d+\.\d s\b|[\d,.]+ GB free')
COMMANDS = {
    "status": ("status", "--json"),
    "status as text": ("status",),
    "status without sources": ("status", "--no-sources", "--json"),
    "status from a day": ("status", "--json", "--from", "2026-07-08", "--to", "2026-07-20"),
    "doctor": ("doctor", "--json"),
    "metrics": ("metrics",),
    "metrics with sources": ("metrics", "--sources"),
    "report": ("report", "--json"),
    "report as text": ("report", "--sources"),
    "review": ("review", "--preview", "--json"),
    "retention": ("retention", "plan", "--json"),
    "can": ("can", "--json", "SELECT count(*) FROM events, orders, users"),
    "recheck": ("recheck", "--json", "--jobs", "1"),
    "an unfinished day": ("export", "--day", "2026-07-12", "--jobs", "1", "--json"),
    "the open day": ("export", "--day", "2026-07-12", "--open-day", "--jobs", "1", "--json"),
    "a trend": ("trend", "sessions", "--json"),
}


@pytest.fixture
def command(
    made: Path, tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., tuple[Turning, str]]:
    """Runs a command on a copy of the lake, with such a clock: the clock, and all that is shown."""
    place = tmp_path / "place"
    rows = {str(LAST.plus(-ago)): 10 for ago in range(11)}
    monkeypatch.setattr("lake.export.open_source", lambda *_: FakeSource(rows=dict(rows)))
    monkeypatch.setenv("LAKE_CONFIG", str(place / "lake.toml"))

    def on_a_copy(readings: float, *arguments: str) -> tuple[Turning, str]:
        shutil.rmtree(place, ignore_errors=True)
        shutil.copytree(made, place, copy_function=shutil.copy2)
        clock = Turning(readings)
        with simulated(clock):
            shown = run(*arguments)
        return clock, MEASURED.sub("", json.dumps(shown).replace("\\n", "\n").replace('\\"', '"'))

    return on_a_copy


@pytest.mark.parametrize("arguments", COMMANDS.values(), ids=COMMANDS)
def test_a_command_shows_one_day(
    command: Callable[..., tuple[Turning, str]], arguments: tuple[str, ...]
) -> None:
    clock, before = command(float("inf"), *arguments)
    _, after = command(0, *arguments)
    # Of many readings some: the first ones make the plan.
    for readings in range(1, min(clock.read, 10)):
        _, shown = command(readings, *arguments)
        assert shown in (before, after), f"midnight after reading {readings}"
