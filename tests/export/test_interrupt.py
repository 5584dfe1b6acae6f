"""Ctrl-C and SIGTERM: what runs stops and leaves nothing half-done."""

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import pytest

from lake.base.day import Day
from lake.runs import export_many

WEEK = ("--from", "2026-07-01", "--to", "2026-07-08")


# Whatever interrupts this process may interrupt pytest, or get lost in a callback: a process of its
# own gets the signal.
ENDLESS = """
import json, sys
import lake.export
from support.fake_source import FakeSource
from lake.base.day import Day

class Endless(FakeSource):
    def read(self, dataset, day, scratch):
        if self.rows.get(str(day)) == 10**9:
            print("reading", day, file=sys.stderr, flush=True)
        return super().read(dataset, day, scratch)

rows = json.loads(sys.argv.pop(1))
lake.export.open_source = lambda name, settings: Endless(rows=rows)
Day.today = classmethod(lambda cls: Day.parse("2026-07-10"))
from lake.cli import main
main()
"""


@contextmanager
def running(place, program: str, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    environment = os.environ | {
        "LAKE_CONFIG": str(place.config),
        "PYTHONPATH": str(Path(__file__).parents[1]),
    }
    with subprocess.Popen(
        [sys.executable, "-c", program, *arguments],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("arguments", [(), ("--json",)])
def test_an_interrupted_export(place, lake, number, arguments):
    place.source.rows = {f"2026-07-0{n}": 2000 for n in range(1, 8)}
    assert lake("export", "events", "--day", "2026-07-04")[0] == 0
    before = place.files()
    endless = {"2026-07-02": 10**9, "2026-07-04": 10**9}  # end never by themselves
    rows = json.dumps(place.source.rows | endless)
    options = ("--force", "--jobs", "2", *arguments)
    with running(place, ENDLESS, rows, "export", "events", *WEEK, *options) as process:
        while (line := process.stderr.readline()) != "reading 2026-07-02\n":
            assert line
        process.send_signal(number)
        out, err = process.communicate(timeout=100)
    assert (process.returncode, out) == (130, "")
    assert "stopping the running exports" in err
    assert err.rstrip().endswith("interrupted")
    assert "Traceback" not in err
    after = place.files()
    assert {key: after[key] for key in before} == before
    tables = {key.split("day=")[1][:10] for key in after if key.startswith("tables")}
    manifests = {Path(key).stem for key in after if key.startswith("manifests")}
    assert tables == manifests
    assert "2026-07-02" not in tables
    assert list((place.store.root / ".parts").iterdir()) == []


class Interrupted:
    """A dataset at whose submission Ctrl-C arrives: its name is read once before that."""

    reads = 0

    @property
    def name(self) -> str:
        self.reads += 1
        if self.reads == 2:
            raise KeyboardInterrupt
        return "events"


def test_an_interrupt_while_exports_are_submitted():
    stopped = threading.Event()
    exporter = SimpleNamespace(export=lambda *_, **_options: stopped.wait(20), stop=stopped.set)
    pairs = [(SimpleNamespace(name="first"), Day.today()), (Interrupted(), Day.today())]
    with pytest.raises(KeyboardInterrupt):
        list(export_many(exporter, pairs, jobs=2, force=True))
    assert stopped.is_set()


STUCK = """
import sys, threading
import lake.export
from support.fake_source import FakeSource

class Stuck(FakeSource):
    def read(self, *arguments):
        print("reading", file=sys.stderr, flush=True)
        threading.Event().wait()

lake.export.open_source = lambda name, settings: Stuck()
from lake.cli import main
sys.argv = ["lake", "export", "events", "--day", "2026-07-01"]
main()
"""


def test_a_second_ctrl_c_ends_what_is_stuck(place):
    with running(place, STUCK) as process:
        assert process.stderr.readline() == "reading\n"
        process.send_signal(signal.SIGINT)
        assert "a second signal" in process.stderr.readline()
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(0.5)
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 130
