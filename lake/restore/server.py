"""A temporary server on restored files, compared with what its snapshot counted.

Belongs here: which program runs, that nothing is left running after an error.
Does not: restoring files (files), what a system needs (its `restored`), how servers run
(lake.servers).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lake.base.errors import PermanentError
from lake.restore.compose import FILE as COMPOSE_FILE
from lake.servers import Binary, Stack, closest, find, other_version, start
from lake.servers.installing import how_installed
from lake.servers.progress import Progress
from lake.snapshots.manifest import SnapshotManifest
from lake.systems.protocol import System
from lake.systems.registry import system


@dataclass(frozen=True)
class Served:
    """A running server; `checked` is what was compared with the snapshot's manifest.

    `version` is the running program's, which may be another one than the data came from.
    """

    stack: Stack
    endpoint: dict[str, str]
    version: str
    checked: dict[str, Any]
    remarks: list[str] = field(default_factory=list)


def serve(
    manifest: SnapshotManifest, into: Path, tenant: str = "", progress: Progress | None = None
) -> Served:
    """Starts the server on what was restored and compares it with the snapshot's counts.

    `tenant`: whose lines are counted, where Loki has tenants. Raises PermanentError where
    its program is missing or it does not start (with its log), Incomplete where it does
    not hold what the manifest records. On an error nothing is left running.
    """
    restored, version = system(manifest.system), str(manifest.server["version"])
    into = into.absolute()  # servers run in their own directories
    program = _program(restored, version, into)
    options = restored.server_options(manifest, into, program)
    stack = start([restored.name], into, progress, programs={restored.name: program}, **options)
    try:
        endpoint = stack.endpoints[restored.name]
        checked, remarks = restored.check_restored(manifest, into, endpoint, tenant)
    except BaseException:
        stack.stop()
        raise
    if not restored.reads_other_versions and (
        other := other_version(restored.name, version, program)
    ):
        remarks = [other, *remarks]
    return Served(stack, endpoint, program.version, checked, remarks)


def serving_remark(manifest: SnapshotManifest) -> str:
    """The remark for a restore that starts no server: whether one of the data's version is here.

    '' where it is, and for systems whose servers take what any version has written.
    """
    restored, version = system(manifest.system), str(manifest.server["version"])
    name = restored.name
    program = find(name) if restored.reads_other_versions else closest(name, version)
    if program is None:
        return (
            f"no usable {restored.program} on this machine: `lake services install {name}` "
            f"installs {how_installed(name)}"
        )
    return "" if restored.reads_other_versions else other_version(name, version, program)


def _program(restored: System, version: str, into: Path) -> Binary:
    """That of the version that the data came from, where it is on this machine."""
    name = restored.name
    program = find(name) if restored.reads_other_versions else closest(name, version)
    if program is None:
        # None beside files that are gone after the error, as those of a rehearsal.
        compose = f"; or `docker compose up` in {into}" if (into / COMPOSE_FILE).exists() else ""
        raise PermanentError(
            f"no usable {restored.program} on this machine",
            expected=f"{restored.program} on PATH, or installed by `lake services`",
            remedy=f"`lake services install {name}` gets {how_installed(name)}; or put "
            f"{restored.program} on PATH" + compose,
        )
    return program
