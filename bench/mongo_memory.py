"""Peak memory above idle while a day of MongoDB documents is exported: day × 10 ÷ day.

Idle is the process with all of it imported, after an export of a small day. The documents are
those of mongo_decode, out of a file; each day is exported in a process of its own.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path

from measuring import in_a_process, machine, report, watched
from mongo_day import DATASET, DAY, Replayed, day_file, settings

from lake.export import Exporter
from lake.store import open_store

_SMALL = 2000
_MIB = 2**20


def export(count: int, root: Path) -> None:
    """One export of so many documents."""
    requested = settings(root)
    source = Replayed(day_file(count), count)
    Exporter(requested, open_store(requested), {"mongo": source}).export(DATASET, DAY, force=True)


def peak(count: int) -> None:
    """Prints the peak of one export, in MiB, as JSON."""
    with tempfile.TemporaryDirectory() as root:
        export(_SMALL, Path(root))
        with watched() as seen:
            export(count, Path(root, "day"))
    print(json.dumps({"mib": seen.above_idle / _MIB}))


def main() -> None:
    """Prints both rows."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--documents", type=int, default=150_000, help="of the smaller day")
    parser.add_argument("--peak", type=int, help="internal: one measurement")
    arguments = parser.parse_args()
    if arguments.peak:
        peak(arguments.peak)
        return
    print(machine())
    sizes = [arguments.documents, 10 * arguments.documents]
    for size in sizes:
        print(
            f"{size:,} documents: {day_file(size).stat().st_size / _MIB:,.0f} MiB", file=sys.stderr
        )
    day, tenfold = (in_a_process("mongo_memory.py", "--peak", str(size))["mib"] for size in sizes)
    title = "MongoDB: peak memory above idle"
    report(
        f"{title}, day × 10 ÷ day", tenfold, day, "MiB", target=1.1, at_most=True, peer_name="day"
    )
    report(f"{title} of day × 10", tenfold, 1, "MiB", target=256, at_most=True, peer_name="1 MiB")


main()
