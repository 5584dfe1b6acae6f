"""A run that is interrupted or killed while its temporary server runs leaves nothing."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from support.gone_sources import remove_tables, without_sources
from support.left_behind import left_in
from support.waiting import wait_until

from lake.process.scratch import scratch_directory

WITHIN_S = 60.0


def running_below(folder: Path) -> set[int]:
    """Processes whose working directory or command line lies below the folder."""
    pids = set()
    for process in Path("/proc").glob("[0-9]*"):
        try:
            directory = str((process / "cwd").readlink())
            command = (process / "cmdline").read_bytes().decode(errors="replace")
        except OSError:
            continue
        if directory.startswith(str(folder)) or str(folder) in command:
            pids.add(int(process.name))
    return pids


@pytest.mark.slow
@pytest.mark.parametrize("ended_by", [signal.SIGINT, signal.SIGKILL])
def test_nothing_is_left(own, tmp_path, ended_by):
    remove_tables(own)
    without_sources(own)
    folder = tmp_path / "work"
    folder.mkdir()
    command = [
        *(sys.executable, "-m", "lake", "export", "container_logs", "--from-snapshot"),
        *("--from", str(own.first), "--to", str(own.end), "--config", str(own.config)),
    ]
    environment = {**os.environ, "TMPDIR": str(folder)}
    with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if "starting the server" in line:
                break
        # The log is there a little before the server.
        wait_until(lambda: list(folder.glob("*/work/restored/loki/server.log")), every_s=0.05)
        wait_until(lambda: running_below(folder), every_s=0.05)
        process.send_signal(ended_by)
        process.stderr.read()
        status = process.wait(WITHIN_S)
    wait_until(lambda: not running_below(folder))
    assert list(own.store.list("manifests/")) == []
    if ended_by == signal.SIGINT:
        assert status == 130
        assert left_in(folder) == []
        return
    # Nobody could remove the files; the next run does, once they are old enough to be no one's.
    (left,) = folder.iterdir()
    os.utime(left, (0, 0))
    with scratch_directory(parent=folder):
        assert not left.exists()
