"""The result of one of `lake doctor`'s checks.

Belongs here: the type, and errors and clocks as checks. Does not: any check.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from datetime import datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Literal

from lake.base.clock import utc_now
from lake.base.errors import LakeError

State = Literal["ok", "warn", "fail"]
_CLOCKS_DIFFER_S = 30


@dataclass(frozen=True)
class Check:
    """One line: what was looked at, how it is, and the remedy where it is not ok."""

    subject: str
    state: State
    found: str
    remedy: str = ""

    def to_json(self) -> dict[str, str]:
        """For `--json`."""
        return asdict(self)


def guarded(subject: str, checks: Iterable[Check]) -> Iterator[Check]:
    """The checks; an error ends them as one that failed."""
    try:
        yield from checks
    except LakeError as error:
        yield failed(subject, error)


def failed(subject: str, error: LakeError) -> Check:
    """An error as a check."""
    parts = dict(error.parts)
    remedy = parts.pop("remedy", "")
    summary = "; ".join([error.what, *(f"{name}: {part}" for name, part in parts.items())])
    return Check(subject, "fail", summary, remedy)


def clock(subject: str, server: datetime, before: datetime) -> Check:
    """Compares a server's time with ours: of the middle of the question, `before` at its start."""
    after = utc_now()
    off_s = abs((server - (before + (after - before) / 2)).total_seconds())
    if off_s <= _CLOCKS_DIFFER_S + (after - before).total_seconds():
        return Check(subject, "ok", "its clock agrees with ours")
    return Check(
        subject,
        "warn",
        f"its clock and ours are {off_s:.0f} s apart",
        "set both by NTP: where a day ends depends on them",
    )


def http_clock(subject: str, date_header: str | None, before: datetime) -> Iterator[Check]:
    """The same for an HTTP answer; nothing where it has no date."""
    if date_header:
        yield clock(subject, parsedate_to_datetime(date_header), before)


_MOUNT = (
    "where it is in a container's volume, mount the volume here ({mode}), or run "
    "`lake snapshot {system}` on the server's host"
)


def snapshot_path(
    system: str, key: str, path: Path, mode: Literal["read-only", "writable"]
) -> Check:
    """Whether `[snapshots.SYSTEM] KEY` names what a snapshot can read, or write, too."""
    kind = "directory" if key == "data_dir" else "file"
    there = path.is_dir() if kind == "directory" else path.is_file()
    setting = f"[snapshots.{system}] {key}"
    subject = f"snapshots of {system}"
    mount = _MOUNT.format(mode=mode, system=system)
    if not there:
        remedy = f"set {setting} to the server's {kind} as it is seen from here; {mount}"
        return Check(subject, "warn", f"{setting}: no such {kind}: {path}", remedy)
    needed = os.R_OK | (os.X_OK if kind == "directory" else 0)
    needed |= os.W_OK if mode == "writable" else 0
    if not os.access(path, needed):
        remedy = f"let this user {'read and write' if needed & os.W_OK else 'read'} it; {mount}"
        return Check(subject, "warn", f"{setting}: {path} is not accessible to this user", remedy)
    return Check(subject, "ok", f"{setting}: {path}")


def kept_check(subject: str, source: str, kept_days: int | None, hot_days: int) -> Iterator[Check]:
    """Compares the source's retention with [hot]; empty where the source does not report it."""
    if kept_days is None:
        return
    if kept_days >= hot_days:
        yield Check(subject, "ok", f"keeps {kept_days} days, [hot] {source} = {hot_days}")
        return
    yield Check(
        subject,
        "fail",
        f"keeps {kept_days} days only, [hot] {source} = {hot_days}: alarms would come too late",
        f"set [hot] {source} = {kept_days}, or let it keep more",
    )
