import os
import signal
import subprocess
import sys

import pytest

from lake.process.running import is_alive, this_writer

PROGRAM = """
import sys
from lake.base.faults import point
for step, key in [("begin", "tables/a"), ("complete", "m/b"), ("complete", "tables/a")]:
    point(step, key)
    print(step, key, flush=True)
"""


def run(fault: str) -> tuple[int, list[str]]:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        env=os.environ | {"LAKE_FAULT": fault},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout.splitlines() + done.stderr.splitlines()[-1:]


ALL = ["begin tables/a", "complete m/b", "complete tables/a"]


@pytest.mark.parametrize(
    ("fault", "status", "lines"),
    [
        ("", 0, ALL),
        ("SIGKILL 9", 0, ALL),
        ("SIGKILL 1", -signal.SIGKILL, []),
        # Not SIGTERM: whoever runs the tests may ignore that one, and we would inherit it.
        ("SIGUSR1 3", -signal.SIGUSR1, ALL[:2]),
        ("SIGKILL complete tables/*", -signal.SIGKILL, ALL[:2]),
        ("SIGKILL complete *", -signal.SIGKILL, ALL[:1]),
    ],
)
def test_the_signal_comes_at_its_point(fault, status, lines):
    assert run(fault) == (status, lines)


@pytest.mark.parametrize("fault", ["SIGNOTHING 1", "SIGKILL", "SIGKILL never tables/*", "9 9 9"])
def test_what_names_no_point_is_an_error(fault):
    code, lines = run(fault)
    assert code == 1
    assert f"found: {fault}" in lines[-1]


def test_a_writer_is_known_while_it_lives():
    with subprocess.Popen(
        [
            sys.executable,
            "-c",
            "from lake.process.running import this_writer\n"
            "print(this_writer(), flush=True)\ninput()",
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        writer = process.stdout.readline().strip()
        assert writer != this_writer()
        assert is_alive(writer) is True
        process.communicate("\n")
    assert is_alive(writer) is False
    assert is_alive(this_writer()) is True
    place, number, begun = this_writer().rsplit(" ", 2)
    assert is_alive(f"{place} {number} {int(begun) + 1}") is False  # the number is used again
    for elsewhere in ("", "another-boot pid:[1] 5 5", "x", this_writer().replace("pid:", "pid;")):
        assert is_alive(elsewhere) is None
