"""A fourth system, brought by another package: exported, verified, queried, a Dagster asset.

The package lies in tests/systems/toy; docs/new-system.md explains it. The project knows nothing
of it: it is found by an entry point, as if it had been installed.
"""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from support.documented import blocks
from support.page_shell import lines_of

from lake.base.day import Day

TOY = Path(__file__).parent / "toy"
PAGE = Path(__file__).parents[2] / "docs/new-system.md"
DAY, NEXT = Day.parse("2026-07-01"), Day.parse("2026-07-02")
LAKE_TOML = """
[lake]
root = "lake"
[sources.lines]
directory = "{files}"
[hot]
lines = 3650
[[dataset]]
name = "app_lines"
source = "lines"
folder = "app"
"""
MATERIALISE = """
import dagster as dg
from assets.definitions import build
from lake.config.settings import load
definitions = build(load())
asset = definitions.resolve_assets_def("app_lines")
result = dg.materialize([asset], partition_key="2026-07-02")
event = result.get_asset_materialization_events()[0].materialization
print(result.success, event.metadata["rows"].value, asset.descriptions_by_key.values())
"""


class Installation:
    """The project with the package beside it."""

    def __init__(self, folder: Path) -> None:
        information = folder / "site/toy_lines-1.0.dist-info"
        information.mkdir(parents=True)
        (information / "METADATA").write_text(
            "Metadata-Version: 2.1\nName: toy-lines\nVersion: 1\n"
        )
        entry = "[monitoring_lake.systems]\nlines = toy_lines\n"
        (information / "entry_points.txt").write_text(entry)
        self.files = folder / "files"
        (folder / "lake.toml").write_text(LAKE_TOML.format(files=self.files))
        self._env = os.environ | {
            "PYTHONPATH": f"{information.parent}:{TOY}:{Path(__file__).parents[2]}",
            "LAKE_CONFIG": str(folder / "lake.toml"),
            "DAGSTER_HOME": "",
        }

    def write(self, day: Day, rows: int) -> None:
        path = self.files / f"app/{day}.jsonl"
        path.parent.mkdir(parents=True, exist_ok=True)
        times = (day.start_ms + number * 1000 for number in range(rows))
        lines = (json.dumps({"ts": ts, "text": f"line at {ts}"}) + "\n" for ts in times)
        path.write_text("".join(lines))

    def run(self, *command: str, status: int = 0) -> str:
        done = subprocess.run(
            [sys.executable, *command],
            env=self._env,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        assert done.returncode == status, done.stdout + done.stderr
        return done.stdout or done.stderr

    def lake(self, *arguments: str, status: int = 0) -> str:
        return self.run("-m", "lake", *arguments, status=status)


@pytest.fixture
def installed(tmp_path: Path) -> Installation:
    installation = Installation(tmp_path)
    installation.write(DAY, 2500)
    installation.write(NEXT, 3)
    return installation


def test_days_are_exported_verified_and_queried(installed: Installation):
    commands = blocks(PAGE)
    for line in (line for b in commands if b.language == "sh" for line in lines_of(b)):
        installed.lake(*shlex.split(line)[1:])  # of DAY alone
    installed.lake("export", "--from", str(DAY), "--to", str(NEXT.plus(1)))
    installed.lake("verify", "--from", str(DAY), "--to", str(NEXT.plus(1)), "--source")
    sql = (
        "SELECT day, count(*) AS lines, max(text) AS last FROM app_lines GROUP BY day ORDER BY day"
    )
    assert json.loads(installed.lake("query", "--json", sql)) == [
        {"day": str(DAY), "lines": 2500, "last": f"line at {DAY.start_ms + 2_499_000}"},
        {"day": str(NEXT), "lines": 3, "last": f"line at {NEXT.start_ms + 2000}"},
    ]


def test_a_day_that_grew_late_is_found(installed: Installation):
    installed.lake("export", "--day", str(DAY))
    installed.write(DAY, 2600)
    command = ("verify", "--from", str(DAY), "--to", str(NEXT), "--source", "--json")
    (partition,) = json.loads(installed.lake(*command, status=1))["partitions"]
    assert "2500" in partition["problems"][0]
    assert "2600" in partition["problems"][0]


def test_its_dataset_is_an_asset(installed: Installation):
    printed = installed.run("-c", MATERIALISE)
    assert printed.startswith("True 3 ")
    assert "Lines of the folder `app`." in printed


def test_what_it_does_not_offer_is_a_clear_error(installed: Installation):
    error = installed.lake("snapshot", "lines", status=2)
    assert "JSON lines has no snapshots" in error


def test_a_wrong_key_is_named(installed: Installation):
    config = Path(installed._env["LAKE_CONFIG"])
    config.write_text(config.read_text().replace("folder =", "foldr ="))
    error = installed.lake("status", status=2)
    assert "unknown key 'foldr'" in error
    assert "folder" in error


def test_the_page_shows_this_package():
    """Each file of the package stands on the page, word for word."""
    text = PAGE.read_text("utf-8")
    for file in ("config.py", "reading.py", "system.py"):
        assert (TOY / "toy_lines" / file).read_text("utf-8").strip() in text, file
