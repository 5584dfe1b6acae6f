"""What the benchmarks share: interleaved rounds, peak memory, one way to report a ratio.

Belongs here: how things are timed and reported. Does not: what is timed.
"""

from __future__ import annotations

import json
import os
import platform
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

Seconds = dict[str, list[float]]
_SAMPLED_EVERY_S = 0.01


def interleave(runs: Mapping[str, Callable[[], object]], rounds: int) -> Seconds:
    """Wall seconds of each, in rounds that begin with another one each time.

    So whatever slows the machine down for a while slows all of them down.
    """
    seconds: Seconds = {name: [] for name in runs}
    names = list(runs)
    for number in range(rounds):
        first = number % len(names)
        for name in names[first:] + names[:first]:
            begun = time.perf_counter()
            runs[name]()
            seconds[name].append(time.perf_counter() - begun)
            print(f"  round {number + 1}: {name} {seconds[name][-1]:.2f} s", file=sys.stderr)
    return seconds


def best(seconds: Sequence[float]) -> float:
    """The median: what one may expect, untouched by one slow round."""
    return statistics.median(seconds)


@dataclass(frozen=True)
class Ratio:
    """One row of the table. `at_most` says which side of the target is the good one."""

    title: str
    ours: float
    peer: float
    unit: str
    target: float
    at_most: bool
    peer_name: str

    @property
    def value(self) -> float:
        """Ours ÷ the peer's."""
        return self.ours / self.peer

    @property
    def met(self) -> bool:
        """Whether the target is reached."""
        return self.value <= self.target if self.at_most else self.value >= self.target


def report(
    title: str,
    ours: float,
    peer: float,
    unit: str,
    *,
    target: float,
    at_most: bool,
    peer_name: str,
) -> Ratio:
    """Prints the row, for people and as the last line in JSON, and returns it."""
    ratio = Ratio(title, ours, peer, unit, target, at_most, peer_name)
    sign = "≤" if at_most else "≥"
    reported = "met" if ratio.met else "MISSED"
    print(f"{title}")
    print(f"  ours          {_number(ours)} {unit}")
    print(f"  {peer_name:<13} {_number(peer)} {unit}")
    print(f"  ratio         {ratio.value:.4g} (target {sign} {target:g}: {reported})")
    row = {**ratio.__dict__, "ratio": ratio.value, "met": ratio.met}
    print(json.dumps(row, ensure_ascii=False))
    return ratio


def machine() -> str:
    """Cores, processor, memory, Python: what a figure depends on."""
    model = "unknown processor"
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("model name"):
            model = line.partition(":")[2].strip()
            break
    gib = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    python = platform.python_version()
    return f"{os.cpu_count()} cores of {model}, {gib:.0f} GiB, Python {python}"


class Peak:
    """The largest resident memory of a process while it is watched, and where it began."""

    def __init__(self, pid: int) -> None:
        self._status = Path(f"/proc/{pid}/status")
        self.idle = self.peak = self._resident()

    def _resident(self) -> int:
        for line in self._status.read_text(encoding="ascii").splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) * 1024
        return 0

    def look(self) -> None:
        """Takes a sample."""
        self.peak = max(self.peak, self._resident())

    @property
    def above_idle(self) -> int:
        """Bytes."""
        return self.peak - self.idle


@contextmanager
def watched(pid: int | None = None) -> Iterator[Peak]:
    """Watches a process's memory (this one's by default) while the block runs."""
    peak, done = Peak(pid or os.getpid()), threading.Event()

    def watch() -> None:
        while not done.wait(_SAMPLED_EVERY_S):
            peak.look()

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield peak
    finally:
        done.set()
        thread.join()
        peak.look()


def in_a_process(module: str, *arguments: str) -> dict[str, float]:
    """Runs a script of this folder by itself; its last line of output is JSON."""
    command = [sys.executable, str(Path(__file__).with_name(module)), *arguments]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    answer: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return answer


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 1000 else f"{value:.4g}"
