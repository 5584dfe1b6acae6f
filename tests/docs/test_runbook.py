"""docs/runbook-restore.md: its commands are run, and print what it says.

Compared are the fixed parts: numbers, sizes and addresses differ from day to day. Commands that
serve run in the background, as in a second terminal; the address that they print takes the
place of the one on the page.
"""

from __future__ import annotations

import datetime as dt
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pymongo
import pytest
import yaml
from support.loaded_site import Site

pytestmark = pytest.mark.slow
TEXT = (Path(__file__).parents[2] / "docs/runbook-restore.md").read_text("utf-8")
_BLOCK = re.compile(
    r"<!-- (?P<how>run|serve): (?P<name>[\w-]+)(?: exit=(?P<status>\d))? -->\n"
    r"```sh\n(?P<command>.*?)```\n```\n(?P<prints>.*?)```\n",
    re.DOTALL,
)
_ADDRESS = re.compile(r"(?:http|mongodb)://127\.0\.0\.1:\d+")
_WITHIN_S = 90


@dataclass(frozen=True)
class Block:
    """A marked command of the page, and the output below it."""

    how: str
    name: str
    status: int
    command: str
    prints: list[str]


BLOCKS = [
    Block(
        match["how"],
        match["name"],
        int(match["status"] or 0),
        match["command"],
        match["prints"].splitlines(),
    )
    for match in _BLOCK.finditer(TEXT)
]


class Terminal:
    """A shell in which the page's days, directory and addresses are this test's."""

    def __init__(self, site: Site, directory: Path) -> None:
        self._names = {
            "2026-11-21": str(site.first),
            "2026-11-22": str(site.last),
            "2026-11-23": str(site.end),
            **{day: str(site.first) for day in ("2026-08-24", "2026-11-08", "2026-10-24")},
            "/tmp/incident": str(directory),
        }
        self._env = os.environ | {
            "LAKE_CONFIG": str(site.config),
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        }
        self._serving: subprocess.Popen[str] | None = None
        self._address = ""

    def run(self, block: Block) -> str:
        done = subprocess.run(
            ["bash", "-c", self._mine(block.command)],
            env=self._env,
            capture_output=True,
            text=True,
            timeout=_WITHIN_S,
            check=False,
        )
        assert done.returncode == block.status, done.stderr
        return done.stdout + done.stderr

    def serve(self, block: Block) -> str:
        """Returns when all that the page shows has been printed, or too late."""
        lines: list[str] = []
        self._serving = subprocess.Popen(
            ["bash", "-c", f"exec {self._mine(block.command)}"],
            env=self._env,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        reader = threading.Thread(target=lambda: lines.extend(self._serving.stdout), daemon=True)
        reader.start()
        last = shape(self._mine(block.prints[-1]))
        end = time.monotonic() + _WITHIN_S
        while time.monotonic() < end and self._serving.poll() is None:
            if any(shape(line) == last for line in list(lines)):
                break
            time.sleep(0.05)
        text = "".join(lines)
        match = _ADDRESS.search(text)
        assert match, text
        self._address = match[0]
        return text

    def drop(self, dataset: str) -> None:
        """So that its days have to come from elsewhere."""
        days = ["--from", self._names["2026-11-21"], "--to", self._names["2026-11-23"]]
        command = [sys.executable, "-m", "lake", "drop", dataset, *days, "--force", "--yes"]
        subprocess.run(command, env=self._env, check=True, capture_output=True)

    def count_in_mongosh(self) -> int:
        """The page's expression, evaluated by pymongo."""
        match = re.search(
            r"^mongosh (\S+) --eval 'db\.(\w+)\.countDocuments\((.*)\)'$",
            self._mine(TEXT),
            re.MULTILINE,
        )
        assert match
        dated = re.sub(r'ISODate\("([\d-]+)"\)', r"\1", match[3])
        condition = yaml.safe_load(dated)
        for bounds in condition.values():
            bounds |= {name: dt.datetime.combine(day, dt.time()) for name, day in bounds.items()}
        with pymongo.MongoClient(match[1]) as client:
            return client.get_default_database()[match[2]].count_documents(condition)

    def ended(self) -> bool:
        """Whether what served has ended, and no trouble."""
        assert self._serving is not None
        return self._serving.wait(_WITHIN_S) == 0

    def close(self) -> None:
        if self._serving and self._serving.poll() is None:
            self._serving.send_signal(signal.SIGTERM)
            self._serving.wait(_WITHIN_S)

    def expected(self, block: Block) -> list[str]:
        return [shape(self._mine(line)) for line in block.prints]

    def _mine(self, text: str) -> str:
        for name, mine in self._names.items():
            text = text.replace(name, mine)
        return _ADDRESS.sub(self._address, text) if self._address else text


def shape(line: str) -> str:
    """The line without what differs from day to day."""
    line = _ADDRESS.sub("ADDRESS", line.strip())
    line = re.sub(r"servers-[0-9a-f]+", "servers-ID", line)
    line = re.sub(r"\b(MongoDB|Prometheus|Loki) \d[^\s,]*", r"\1 VERSION", line)
    line = re.sub(r"\b(bytes|kB|MB|GB)\b", "SIZE", line)
    line = re.sub(
        r"\b(\d+\.\d+\.\d+)[-+][\w.+-]*\w", r"\1", line
    )  # 3.7.9-main, a build of one's own
    line = re.sub(r"\d+(?:[.,:]\d+)*", "#", line)
    return re.sub(r"\s+", " ", line)


@pytest.fixture(scope="module")
def terminal(site: Site, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Terminal]:
    missing = [name for name in ("bash", "curl", "date", "grep") if shutil.which(name) is None]
    if missing:
        (pytest.fail if os.environ.get("CI") else pytest.skip)(f"no {', '.join(missing)} here")
    folder = tmp_path_factory.mktemp("runbook")
    opened = Terminal(site.copy(folder / "own"), folder / "incident")
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def printed() -> dict[str, Any]:
    """What the blocks so far have printed."""
    return {}


@pytest.mark.parametrize("block", BLOCKS, ids=[block.name for block in BLOCKS])
def test_what_the_page_shows_is_what_happens(block, terminal, printed):
    """In the page's order: a block may need the ones before it."""
    if block.name == "from-snapshot":
        terminal.drop("container_logs")
    printed[block.name] = terminal.serve(block) if block.how == "serve" else terminal.run(block)
    if block.name == "mongo":
        printed["mongosh"] = terminal.count_in_mongosh()
    lines = [shape(line) for line in printed[block.name].splitlines()]
    lost = [line for line in terminal.expected(block) if line not in lines]
    assert lost == [], printed[block.name]
    if block.name.endswith("-down"):
        assert terminal.ended()
        assert not Path(terminal._names["/tmp/incident"]).exists()


def test_mongosh_would_count_the_same(printed):
    """What the page has for mongosh, of the day, by pymongo while the server was there."""
    assert int(printed["mongo-here"].split()[-1]) == printed["mongosh"] > 0


def test_every_command_is_run_or_known() -> None:
    """Marked ones are run here, those without this package by test_restore_script."""
    marks = re.findall(r"(?:<!-- (.*) -->\n)?```sh\n(.*)", TEXT)
    unmarked = [command for mark, command in marks if not mark]
    assert [command.split()[0] for command in unmarked] == ["mongosh"]
    own = [mark for mark, _ in marks if mark.startswith(("run: ", "serve: "))]
    assert len(own) == len(BLOCKS)
    others = {mark for mark, _ in marks if mark and mark not in own}
    assert others == {"one-liners", "without: fetch", "without: restore"}


@pytest.mark.parametrize("name", ["logs", "metrics"])
def test_both_sides_of_a_verification_say_the_same(name, printed):
    there = re.findall(r'"(\d+)"\]', printed[f"{name}-there"])
    here = printed[f"{name}-here"].split()[1:]
    assert there == here
    assert int(here[0]) > 0


def test_the_one_liners_are_the_scenarios_commands():
    match = re.search(r"<!-- one-liners -->\n```sh\n(.*?)```", TEXT, re.DOTALL)
    lines = [line.partition("#")[0].split() for line in match[1].splitlines()]
    served = [block.command.split() for block in BLOCKS if block.how == "serve"]
    assert lines == served[:3]


def test_everything_that_is_served_is_ended():
    names = [block.name for block in BLOCKS]
    served = [block.name for block in BLOCKS if block.how == "serve"]
    assert len(served) == 4
    assert all(names.index(f"{name}-down") > names.index(name) for name in served)
