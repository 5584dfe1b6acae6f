"""Restore and verification of a snapshot ÷ restic's restore and check of the same files.

Both keep their data in a directory on the same disk, both are run as programs from the shell,
both read every byte against its SHA-256 (`lake snapshots verify`, `restic check --read-data`).
Beside the wall time stands the CPU time, which other work on the machine does not change as much.
The files are random bytes, as compressed blocks and chunks are to whoever stores them. After
each round what came back is compared with the files.

    .venv/bin/python bench/restore.py [--megabytes N] [--small N] [--rounds N]
"""

from __future__ import annotations

import argparse
import filecmp
import os
import random
import resource
import subprocess
import sys
import tempfile
from collections.abc import Callable
from itertools import count
from pathlib import Path

from measuring import best, interleave, machine, report
from restic import Repository, restic_program

import lake.snapshot
from lake.base.day import Day
from lake.config.settings import load
from lake.snapshots.collecting import Collector
from lake.snapshots.taken import Taken
from lake.store import open_store

_LARGE = 60_000_000
_SMALL = 100_000


class _Folder:
    """A plain folder as a system's files."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def take(self, _day: Day, into: Collector) -> Taken:
        for path in sorted(self._folder.iterdir()):
            into.file(path, path.name, pack=True)
        return Taken({"name": "Prometheus", "version": "0.0.0"}, {"start": None, "end": None}, {})

    def close(self) -> None:
        pass


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--megabytes", type=int, default=1500)
    parser.add_argument("--small", type=int, default=2000, help="files of 100 kB among them")
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    print(machine())
    with tempfile.TemporaryDirectory(prefix="lake-bench-") as name:
        compare(Path(name), arguments.megabytes * 1_000_000, arguments.small, arguments.rounds)


def compare(place: Path, total: int, small: int, rounds: int) -> None:
    source = place / "source"
    fill(source, total, small)
    config = place / "lake.toml"
    config.write_text('[lake]\nroot = "lake"\n[sources.prometheus]\nurl = "http://127.0.0.1:1"\n')
    lake.snapshot.open_snapshotter = lambda *_: _Folder(source)
    settings = load(str(config), {})
    lake.snapshot.take_snapshot(settings, open_store(settings), "prometheus")
    repository = Repository(restic_program(), place / "repository")
    repository("init")
    repository("backup", str(source))

    def ours(*arguments: str) -> None:
        command = [sys.executable, "-m", "lake", *arguments, "--config", str(config)]
        subprocess.run(command, check=True, capture_output=True)

    def verified() -> None:
        ours("snapshots", "verify", "prometheus", "--day", str(Day.today()))

    numbers = count()

    def restored() -> None:
        into = place / f"ours-{next(numbers)}"
        ours("restore", "prometheus", "--snapshot", str(Day.today()), "--into", str(into))

    def restored_by_restic() -> None:
        repository("restore", "latest", "--target", str(place / f"theirs-{next(numbers)}"))

    cpu: dict[str, float] = {}

    def counted(name: str, what: Callable[[], None]) -> Callable[[], None]:
        def run() -> None:
            begun = resource.getrusage(resource.RUSAGE_CHILDREN)
            what()
            ended = resource.getrusage(resource.RUSAGE_CHILDREN)
            used = ended.ru_utime + ended.ru_stime - begun.ru_utime - begun.ru_stime
            cpu[name] = min(used, cpu.get(name, used))

        return run

    restoring = interleave(
        {
            "lake": counted("lake restore", restored),
            "restic": counted("restic restore", restored_by_restic),
        },
        rounds,
    )
    for folder in place.glob("ours-*"):
        require_same(source, folder / "prometheus/data")
    for folder in place.glob("theirs-*"):
        require_same(source, folder / source.relative_to("/"))
    verifying = interleave(
        {
            "lake": counted("lake verify", verified),
            "restic": counted("restic check", lambda: repository("check", "--read-data")),
        },
        rounds,
    )
    print("CPU seconds:", ", ".join(f"{name} {used:.2f}" for name, used in cpu.items()))
    for title, seconds, target in (("restore", restoring, 3), ("verify", verifying, 6)):
        rates = {name: total / best(times) / 1e6 for name, times in seconds.items()}
        report(
            f"{title}, {total / 1e6:,.0f} MB in {small} small and some large files",
            rates["lake"], rates["restic"], "MB/s",
            target=target, at_most=False, peer_name="restic",
        )  # fmt: skip


def fill(folder: Path, total: int, small: int) -> None:
    folder.mkdir()
    chance, left = random.Random(1), total
    for number in range(small):
        (folder / f"small-{number:05d}").write_bytes(chance.randbytes(_SMALL))
        left -= _SMALL
    while left > 0:
        (folder / f"large-{left:012d}").write_bytes(chance.randbytes(min(_LARGE, left)))
        left -= _LARGE
    os.sync()


def require_same(source: Path, restored: Path) -> None:
    names = sorted(path.name for path in source.iterdir())
    if sorted(path.name for path in restored.iterdir()) != names:
        raise SystemExit(f"{restored} has other files")
    _, other, unread = filecmp.cmpfiles(source, restored, names, shallow=False)
    if other or unread:
        raise SystemExit(f"{restored} differs: {other} {unread}")


if __name__ == "__main__":
    main()
