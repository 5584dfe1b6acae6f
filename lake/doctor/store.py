"""Can the lake's objects be written, read, listed, deleted, and queried?

Belongs here: the root, DuckDB's way to it, legal holds. Does not: what the objects hold.
"""

from __future__ import annotations

import shutil
import time
import uuid
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import requests

from lake.base.clock import utc_now
from lake.base.errors import LakeError, PermanentError, Refused
from lake.config.settings import Settings
from lake.holds import of as holds_of
from lake.query.failures import explained
from lake.query.session import Lake
from lake.store import Store, open_store
from lake.store.s3 import S3Store
from lake.systems.check import Check, failed, http_clock

_PROBES = "reports/doctor-"  # beside the tables, where no query looks
_LITTLE_BYTES = 1 << 30
_STALE_S = 86_400
_PATIENCE_S = 10


def check(settings: Settings) -> Iterator[Check]:
    """A probe object goes in and out. Raises what the store raises."""
    store = open_store(settings)
    try:
        yield from _round_trip(settings, store)
    except LakeError:
        yield from _endpoint_clock(store, settings)  # a wrong one is a reason to be refused
        raise
    if not settings.lake.root.startswith("s3://"):
        yield from _disk(Path(settings.lake.root))
        yield from _without_effect(settings)
        return
    yield from _endpoint_clock(store, settings)


def _round_trip(settings: Settings, store: Store) -> Iterator[Check]:
    with _Probe(store) as key:
        store.write(key, key.encode())
        if store.read(key) != key.encode():
            raise PermanentError(
                "an object is not read back as it was written", where=store.url(key)
            )
        if key not in [stat.key for stat in store.list(_PROBES)]:
            raise PermanentError("an object that was written is not listed", where=store.url(key))
    if store.stat(key):
        raise PermanentError(
            "an object that was deleted is still there",
            where=store.url(key),
            remedy="check that the credentials may delete",
        )
    yield Check("store", "ok", f"{settings.lake.root}: written, read, listed, deleted")


class _Probe:
    """A key that nothing else has; the object is gone afterwards."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._key = f"{_PROBES}{uuid.uuid4().hex}"

    def __enter__(self) -> str:
        return self._key

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        try:
            self._store.delete(self._key)
        except LakeError:
            if kind is None:  # else the first error is the one to report
                raise


def check_queries(settings: Settings) -> Iterator[Check]:
    """DuckDB has credentials and an extension of its own. Raises what queries raise."""
    store = open_store(settings)
    with (
        _Probe(store) as key,
        explained(settings.lake.root),
        closing(Lake(settings).connection) as connection,
    ):
        store.write(key, b"12345")
        row = connection.execute("SELECT size FROM read_blob(?)", [store.url(key)]).fetchone()
    if row != (5,):
        raise PermanentError("DuckDB does not read what was written", where=store.url(key))
    yield Check("queries", "ok", "DuckDB reads the store's objects")


def check_holds(settings: Settings) -> Iterator[Check]:
    """Whether versions of held objects can get an S3 legal hold, where there is a hold and the
    bucket has Object Lock on. The probe gets none: lifting one needs the same rights. Raises what
    the store raises.
    """
    store = open_store(settings)
    active = holds_of(store).active
    if not active:
        return
    try:
        if not store.locks():
            return
        with _Probe(store) as key:
            store.write(key, key.encode())
            store.set_legal_holds(key, lambda _: True, on=False)
    except Refused as error:
        held = "1 hold is" if len(active) == 1 else f"{len(active)} holds are"
        summary = failed("holds", error).found
        yield Check(
            "holds",
            "warn",
            f"{held} active, and these credentials may not set S3 legal holds: {summary}",
            "lake hold add and lake retention apply need the role `retention` (lake bucket policy)",
        )
        return
    yield Check("holds", "ok", "versions of held objects can get an S3 legal hold")


def _endpoint_clock(store: Store, settings: Settings) -> Iterator[Check]:
    if not isinstance(store, S3Store):
        return
    before = utc_now()
    try:
        address = store.endpoint_url or "https://s3.amazonaws.com"
        answer = requests.head(address, timeout=_PATIENCE_S, verify=settings.s3.ca_file or None)
    # The probe object shows whether S3 can be used: perhaps only by the AWS settings' own proxy.
    except (LakeError, OSError, ValueError):
        return
    yield from http_clock("store", answer.headers.get("Date"), before)


def _disk(root: Path) -> Iterator[Check]:
    free = shutil.disk_usage(root).free
    state, remedy = (
        ("ok", "") if free > _LITTLE_BYTES else ("warn", "free some space, or move [lake] root")
    )
    yield Check("store", "ok" if state == "ok" else "warn", f"{free / 1e9:,.1f} GB free", remedy)
    parts = [path for path in (root / ".parts").iterdir() if _is_stale(path)]
    if parts:
        yield Check(
            "store",
            "warn",
            f"{len(parts)} unfinished files of exports that were killed",
            f"remove what is older than a day in {root / '.parts'}",
        )


def _without_effect(settings: Settings) -> Iterator[Check]:
    """Protection that is configured, and that a directory does not have."""
    names = ["[s3] kms_key_id"] if settings.s3.kms_key_id else []
    names += [f"[bucket] {key}" for key in sorted(settings.bucket.model_fields_set)]
    if names:
        yield Check(
            "store",
            "warn",
            f"the root is a directory, where {', '.join(names)} can't apply",
            "protect the file system by its own means, or move [lake] root to S3",
        )


def _is_stale(path: Path) -> bool:
    return time.time() - path.stat().st_mtime > _STALE_S
