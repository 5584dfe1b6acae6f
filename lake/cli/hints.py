"""Commands that `lake` prints for people to type next.

Belongs here: how this `lake` is called in the user's shell, questions to a server that runs.
Does not: which command suggests what.
"""

from __future__ import annotations

import shlex
import shutil
import sys
from pathlib import Path

from lake.base.day import Day

# What people mostly select by, Loki's own last.
_LABELS = ("container", "app", "job", "service_name")
_PLACEHOLDER = "LABEL"


def lake_command() -> str:
    """How the user's shell finds this installation: `lake`, or the path of its program."""
    program = Path(sys.executable).parent / "lake"
    if not program.exists():
        return f"{shlex.quote(sys.executable)} -m lake"
    on_path = shutil.which("lake")
    if on_path and Path(on_path).samefile(program):
        return "lake"
    here = Path.cwd()
    near = program.relative_to(here) if program.is_relative_to(here) else program
    return shlex.quote(str(near))


def logcli(url: str, day: Day) -> str:
    """A query of all lines of the UTC day; `--to` is exclusive."""
    return (
        f"logcli --addr={url} query --from={day}T00:00:00Z --to={day.plus(1)}T00:00:00Z "
        f"'{{{_label(url, day)}=~\".+\"}}'"
    )


def _label(url: str, day: Day) -> str:
    """A label that streams of that day have."""
    from lake.servers.recipe import ask  # noqa: PLC0415

    answer = ask(f"{url}/loki/api/v1/labels?start={day.start_ns}&end={day.end_ns}")
    names = answer.json().get("data") or [] if answer is not None and answer.ok else []
    known = [name for name in _LABELS if name in names]
    return next(iter([*known, *(name for name in names if name[:2] != "__")]), _PLACEHOLDER)
