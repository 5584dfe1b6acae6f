"""How a quarter's questions are timed beside a peer: seconds, processor time, equal answers.

Belongs here: runs of commands and of functions, the rows about them. Does not: the questions, or
what all benchmarks share (measuring).
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from operator import attrgetter
from pathlib import Path
from typing import Any

from measuring import best, interleave, report

_LAKE = str(Path(sys.executable).with_name("lake"))


@dataclass(frozen=True)
class Ran:
    """A run's wall seconds, processor seconds and, of a command, peak resident bytes."""

    wall_s: float
    cpu_s: float
    peak: int = 0


Runs = Mapping[str, Callable[[], Ran]]


def measured(runs: Runs, rounds: int) -> dict[str, list[Ran]]:
    """Of each, in interleaved rounds."""
    ran: dict[str, list[Ran]] = {name: [] for name in runs}

    def noted(name: str) -> Callable[[], object]:
        return lambda: ran[name].append(runs[name]())

    interleave({name: noted(name) for name in runs}, rounds)
    return ran


def timed(run: Callable[[], object], pid: int | None = None) -> Ran:
    """Processor time is this process's, or the other one's: what answers."""
    before, begun = _processor_s(pid), time.perf_counter()
    run()
    return Ran(time.perf_counter() - begun, _processor_s(pid) - before)


def _processor_s(pid: int | None) -> float:
    if pid is None:
        return time.process_time()
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def beside_peer(title: str, ours: list[Ran], peer: list[Ran], **row: Any) -> None:
    """The ratio by wall time, and by processor time."""
    for what, of in (("", attrgetter("wall_s")), (", processor time", attrgetter("cpu_s"))):
        us, them = (best([of(ran) for ran in side]) for side in (ours, peer))
        report(title + what, us, them, "s", at_most=True, **row)


def command(folder: Path, *arguments: str, cache: Path | None = None) -> Ran:
    """Runs `lake` there; its output goes nowhere."""
    env = {**os.environ, "LAKE_CACHE_DIR": str(cache)} if cache else None
    begun = time.perf_counter()
    process = subprocess.Popen(
        [_LAKE, *arguments], cwd=folder, env=env,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    # Not the usage's maximum: it counts this process, too, before the child begins.
    peak = 0
    while not os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT | os.WNOHANG):
        peak = max(peak, _most_resident(process.pid))
        time.sleep(0.01)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"lake {' '.join(arguments)} failed")
    wall = time.perf_counter() - begun
    return Ran(wall, usage.ru_utime + usage.ru_stime, peak)


def _most_resident(pid: int) -> int:
    """Bytes; 0 of a process that has ended."""
    for line in Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    return 0


def require_same(ours: dict[Any, float], theirs: dict[Any, float], within: float = 0) -> None:
    """Raises SystemExit where the answers differ."""
    different = [
        f"{key}: ours {ours.get(key)}, peer {theirs.get(key)}"
        for key in sorted({*ours, *theirs})
        if key not in ours
        or key not in theirs
        or abs(ours[key] - theirs[key]) > within * abs(theirs[key])
    ]
    if different or not ours:
        raise SystemExit("the answers differ:\n  " + "\n  ".join(different[:10] or ["no answer"]))


def beside(
    title: str, ours: Callable[[], Any], peer: Callable[[], Any], rounds: int, **row: Any
) -> None:
    """Compares the answers, then times both."""
    require_same(ours(), peer(), row.pop("within", 0))
    times = interleave({"ours": ours, "peer": peer}, rounds)
    report(title, best(times["ours"]), best(times["peer"]), "s", at_most=True, **row)
