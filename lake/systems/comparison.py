"""What a rehearsal finds, as values and as the JSON that is kept.

Belongs here: the record's shape. Does not: finding anything, or how it looks to people.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

MOST_REPORTED = 10  # differences of one question; all are counted
_CHARS = 300  # of a value that is reported


@dataclass(frozen=True)
class Difference:
    """A value that differs between the restored server and the lake."""

    where: str
    expected: str
    found: str


@dataclass
class RehearsalCheck:
    """One question to both sides: how many values were compared, and what differed.

    `wrong` counts all differences, `differences` has the first ones. `remark` is why
    less than all could be compared.
    """

    question: str
    compared: int = 0
    wrong: int = 0
    differences: list[Difference] = field(default_factory=list)
    remark: str = ""

    def compare(self, where: str, expected: Any, found: Any, *, same: bool | None = None) -> None:
        """Counts it; `same` where equality is not `==`."""
        self.compared += 1
        if not (expected == found if same is None else same):
            self.differ(where, expected, found=found)

    def differ(self, where: str, expected: Any, found: Any, times: int = 1) -> None:
        """Notes a difference; `expected` is the lake's, `found` the restored server's."""
        self.wrong += times
        if len(self.differences) < MOST_REPORTED:
            expected, found = _short(str(expected), str(found))
            self.differences.append(Difference(where, expected=expected, found=found))

    def to_json(self) -> dict[str, Any]:
        """For the report."""
        return {
            "question": self.question,
            "compared": self.compared,
            "wrong": self.wrong,
            "differences": [vars(difference) for difference in self.differences],
            "remark": self.remark,
        }


@dataclass
class Compared:
    """One partition of the lake and the same day of the restored server."""

    dataset: str
    day: str
    rows: int
    checks: list[RehearsalCheck] = field(default_factory=list)

    @property
    def wrong(self) -> int:
        """How many differences there are."""
        return sum(check.wrong for check in self.checks)

    def to_json(self) -> dict[str, Any]:
        """For the report."""
        return {
            "dataset": self.dataset,
            "day": self.day,
            "rows": self.rows,
            "ok": not self.wrong,
            "checks": [check.to_json() for check in self.checks],
        }


@dataclass(frozen=True)
class Recovery:
    """Wall seconds: the files, the server on them, its first answer."""

    download_s: float
    start_s: float
    first_answer_s: float

    @property
    def total_s(self) -> float:
        """From the command to the first answer."""
        return self.download_s + self.start_s + self.first_answer_s

    def to_json(self) -> dict[str, float]:
        """For the report."""
        times = {**vars(self), "total_s": self.total_s}
        return {name: round(seconds, 3) for name, seconds in times.items()}


@dataclass
class Rehearsed:
    """One snapshot. `chosen` is the reason: oldest, newest, random, or
    only where there is no other.

    `newest` is the newest timestamp in the restored server, ISO 8601 UTC. `problem` is why
    it could not be brought back or compared, with where, expected and found.
    """

    system: str
    day: str
    chosen: str
    taken: str = ""
    bytes: int = 0
    files: int = 0
    versions: str = ""
    recovery: Recovery | None = None
    newest: str | None = None
    newest_age_s: float | None = None
    compared: list[Compared] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    problem: str = ""

    @property
    def ok(self) -> bool:
        """Whether it was restored and nothing differs."""
        return not self.problem and not any(check.wrong for check in self.compared)

    def to_json(self) -> dict[str, Any]:
        """For the report."""
        fields = {name: value for name, value in vars(self).items() if not name.startswith("_")}
        return fields | {
            "ok": self.ok,
            "recovery": self.recovery.to_json() if self.recovery else None,
            "compared": [check.to_json() for check in self.compared],
        }


@dataclass
class Rehearsal:
    """A whole rehearsal; the same `seed` chooses the same snapshots again."""

    day: str
    begun_at: str
    version: str
    seed: int
    snapshots: list[Rehearsed] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def ok(self) -> bool:
        """Whether everything was restored and nothing differs."""
        return all(snapshot.ok for snapshot in self.snapshots)

    def differences(self) -> list[str]:
        """Each problem and difference in words."""
        lines = []
        for snapshot in self.snapshots:
            head = f"snapshot {snapshot.system} {snapshot.day}"
            if snapshot.problem:
                lines.append(f"{head}: {snapshot.problem}")
            for compared in snapshot.compared:
                for check in compared.checks:
                    place = f"{head}, {compared.dataset} {compared.day}, {check.question}"
                    lines += [
                        f"{place}\n  where: {difference.where}\n  expected: {difference.expected}"
                        f"\n  found: {difference.found}"
                        for difference in check.differences
                    ]
                    if check.wrong > len(check.differences):
                        more = check.wrong - len(check.differences)
                        lines.append(f"{place}: {more} more differences")
        return lines

    def to_json(self) -> dict[str, Any]:
        """For the report and `--json`."""
        return {
            "day": self.day,
            "begun_at": self.begun_at,
            "version": self.version,
            "seed": self.seed,
            "ok": self.ok,
            "seconds": round(self.seconds, 3),
            "differences": self.differences(),
            "snapshots": [snapshot.to_json() for snapshot in self.snapshots],
        }


def _short(expected: str, other: str) -> tuple[str, str]:
    """Long texts from shortly before where they differ."""
    if max(len(expected), len(other)) <= _CHARS:
        return expected, other
    pairs = zip(expected, other, strict=False)
    same = next((at for at, (a, b) in enumerate(pairs) if a != b), min(len(expected), len(other)))
    begin = max(0, same - _CHARS // 4)
    return _cut(expected, begin), _cut(other, begin)


def _cut(text: str, begin: int) -> str:
    end = begin + _CHARS
    return f"{'… ' if begin else ''}{text[begin:end]}{' …' if end < len(text) else ''}"
