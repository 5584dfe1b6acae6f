"""Can `lake snapshot` read what it needs of Prometheus and Loki?

Belongs here: directories, the configuration file, Prometheus' admin API. Does not: taking
snapshots.

Exports need none of it, so what is missing is a warning.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from lake.base.errors import LakeError
from lake.base.settings import Settings
from lake.systems.prometheus.discovery import ATTEMPTS
from lake.systems.check import Check, failed
from lake.http.client import Http

_UNREAD = "whether its admin API is on can't be read"
_MOUNT = (
    "where it is in a container's volume, mount the volume here ({mode}), or run "
    "`lake snapshot {system}` on the server's host"
)


def check(settings: Settings) -> Iterator[Check]:
    """One check of each thing that a snapshot of a configured source reads."""
    if settings.sources.prometheus:
        found = settings.snapshots.prometheus
        # Removing the snapshot's hard links afterwards is a write.
        yield _path("prometheus", "data_dir", Path(found.data_dir), "writable")
        yield _admin_api(settings)
    if settings.sources.loki:
        own = settings.snapshots.loki
        yield _path("loki", "data_dir", Path(own.data_dir), "read-only")
        yield _path("loki", "config_file", Path(own.config_file), "read-only")


def _path(system: str, key: str, path: Path, mode: str) -> Check:
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


def _admin_api(settings: Settings) -> Check:
    """By the server's flags: a call of the API would take a snapshot."""
    section, subject = settings.sources.prometheus, "snapshots of prometheus"
    assert section is not None  # noqa: S101  the caller looked
    remedy = "start Prometheus with --web.enable-admin-api"
    try:
        with closing(Http(section, "prometheus")) as http:
            flags = http.get("/api/v1/status/flags", attempts=ATTEMPTS).json()["data"]
            enabled = flags["web.enable-admin-api"]
    except LakeError as error:
        reason = failed(subject, error).found
        return Check(
            subject, "warn", f"whether its admin API is on can't be read: {reason}", remedy
        )
    except (KeyError, TypeError):
        return Check(subject, "warn", "whether its admin API is on can't be read", remedy)
    if enabled != "true":
        return Check(subject, "warn", "Prometheus' admin API is off", remedy)
    return Check(subject, "ok", "Prometheus' admin API is on")
