"""Ctrl-C and SIGTERM: what runs stops and leaves nothing half-done."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

WEEK = ("--from", "2026-07-01", "--to", "2026-07-08")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("arguments", [(), ("--json",)])
def test_an_interrupted_export(place, lake, number, arguments):
    place.source.rows = {f"2026-07-0{n}": 2000 for n in range(1, 8)}
    assert lake("export", "events", "--day", "2026-07-04")[0] == 0
    before = place.files()
    place.source.rows |= {"2026-07-02": 10**9, "2026-07-04": 10**9}  # end never by themselves
    timer = threading.Timer(1.0, os.kill, (os.getpid(), number))
    timer.start()
    began = time.monotonic()
    code, out, err = lake("export", "events", *WEEK, "--force", "--jobs", "2", *arguments)
    assert time.monotonic() - began < 10
    assert (code, out) == (130, "")
    assert "stopping the running exports" in err
    assert err.rstrip().endswith("interrupted")
    after = place.files()
    assert {key: after[key] for key in before} == before
    tables = {key.split("day=")[1][:10] for key in after if key.startswith("tables")}
    manifests = {Path(key).stem for key in after if key.startswith("manifests")}
    assert tables == manifests
    assert "2026-07-02" not in tables
    assert list((place.store.root / ".parts").iterdir()) == []
    assert not [t for t in threading.enumerate() if "ThreadPool" in t.name]


STUCK = """
import sys, threading
import lake.export
from fake_source import FakeSource

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
    environment = os.environ | {
        "LAKE_CONFIG": str(place.config),
        "PYTHONPATH": str(Path(__file__).parents[1]),
    }
    with subprocess.Popen(
        [sys.executable, "-c", STUCK], env=environment, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr.readline() == "reading\n"
        process.send_signal(signal.SIGINT)
        assert "once more" in process.stderr.readline()
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(0.5)
        process.send_signal(signal.SIGINT)
        assert process.wait(5) == 130
