"""The command by which the user's shell calls this `lake`, for printed commands.

Belongs here: the program's name or path. Does not: which command suggests what.
"""

from __future__ import annotations

import shlex
import shutil
import sys
from pathlib import Path


def quoted(path: Path) -> str:
    """A path in a command that is printed, as the user's shell takes it."""
    return shlex.quote(str(path))


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
