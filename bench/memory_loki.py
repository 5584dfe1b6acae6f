"""Peak memory of exporting a day of Loki's lines, and of a day ten times as large.

Each export runs in a process of its own; idle is that process with all code loaded, compiled
code too, after it has read a day without lines. What the code itself takes is reported.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from pathlib import Path

from loki_day import DAY, BusyLoki, busy_loki
from measuring import Peak, in_a_process, machine, report, watched

_MIB = 2**20


def main() -> None:
    """Prints the growth and the absolute peak."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--lines", type=int, default=150_000)
    options.add_argument("--url", help=argparse.SUPPRESS)
    arguments = options.parse_args()
    if arguments.url:
        print(json.dumps(exported(arguments.url)))
        return
    print(machine())
    measured = []
    for lines in (arguments.lines, 10 * arguments.lines):
        with busy_loki(lines) as loki:
            measured.append(in_a_process(Path(__file__).name, "--url", loki.url))
            assert measured[-1]["rows"] == loki.lines, measured
            print(f"  {loki.lines:,} lines: {measured[-1]['peak'] / _MIB:.0f} MiB above idle")
    print(f"  the code itself takes {measured[0]['code'] / _MIB:.0f} MiB")
    report(
        "Loki: peak memory, day × 10 ÷ day", measured[1]["peak"] / _MIB, measured[0]["peak"] / _MIB,
        "MiB", target=1.1, at_most=True, peer_name="the day",
    )  # fmt: skip
    report(
        "Loki: peak memory above idle", measured[1]["peak"] / _MIB, 256, "MiB",
        target=1, at_most=True, peer_name="allowed",
    )  # fmt: skip


def exported(url: str) -> dict[str, float]:
    """An export in this process."""
    bare = Peak(os.getpid()).idle
    from loki_speed import export  # noqa: PLC0415  what it loads is measured

    loki = BusyLoki(url, Path(), 0, 0)
    with tempfile.TemporaryDirectory() as folder:
        export(loki, Path(folder), DAY.plus(-100))
        code = Peak(os.getpid()).idle - bare
        with watched() as peak:
            rows = export(loki, Path(folder), DAY)
    return {"rows": rows, "peak": peak.above_idle, "code": code}


if __name__ == "__main__":
    sys.exit(main())
