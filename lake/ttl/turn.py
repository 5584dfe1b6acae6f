"""The lock that lets one guard run at a time, and what it records for the next one.

Belongs here: the object `guard/ttl.json`. Does not: what a guard does in its turn (apply).

Retention takes turns in the same way, by an object of its own.

The object is replaced only as it was read, so two guards can't both take the turn. A guard that
was killed has its turn taken away: at once where its process can be seen, else after the lease.
"""

from __future__ import annotations

import getpass
import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from lake.base.clock import utc_now
from lake.base.errors import BadData, Conflict, Missing
from lake.base.members import of_members
from lake.process.running import is_alive, this_writer
from lake.store import Store

KEY = "guard/ttl.json"
_LEASE = timedelta(minutes=30)  # renewed before each change of a limit


@dataclass
class Remembered:
    """`holder` has the turn, None where it is free. `datasets` has a record of each: `at` (when
    its guard last came to an end), `limit_s`, `decision`, `confirmed_s` (the limit that a person
    has confirmed, or a higher one that was wanted since) and the `identity` that this is about,
    `gone_before_ms`, `others` (number of further limits that delete rows). `audited` is the newest
    audit entry that is settled.
    """

    holder: dict[str, str] | None = None
    audited: int = 0
    datasets: dict[str, dict[str, Any]] = field(default_factory=dict)


def remembered(store: Store, key: str = KEY) -> Remembered:
    """What the last guard has left, as far as this version knows it. Raises BadData and what the
    store raises.
    """
    return _parsed(store, key, _content(store, key))


def _content(store: Store, key: str) -> bytes:
    try:
        return store.read(key)
    except Missing:
        return b"{}"


def _parsed(store: Store, key: str, content: bytes) -> Remembered:
    try:
        return of_members(Remembered, json.loads(content))
    except (ValueError, TypeError, AttributeError) as error:
        raise BadData(
            "the guard's record can't be read",
            where=store.url(key),
            found=error,
            remedy="delete the object; `apply` then requires confirmation again",
        ) from error


def _require_own_version(store: Store, key: str, content: bytes) -> None:
    """A run that wrote the record again would drop what a later version keeps there."""
    later = sorted(json.loads(content).keys() - Remembered.__dataclass_fields__.keys())
    if later:
        raise BadData(
            "the guard's record is of a later version",
            where=store.url(key),
            found=", ".join(later),
            remedy="run that version; or delete the object, then `apply` requires confirmation "
            "again",
        )


class Turn:
    """The turn of this process."""

    def __init__(self, store: Store, state: Remembered, etag: str, key: str = KEY) -> None:
        self._store = store
        self._key = key
        self._etag = etag
        self.state = state

    def renew(self) -> None:
        """Stores what is remembered. Raises Conflict where another guard has taken the turn."""
        self.state.holder = _this_guard()
        self._write()

    def release(self) -> None:
        """Another guard may begin."""
        self.state.holder = None
        self._write()

    def _write(self) -> None:
        data = (json.dumps(self.state.__dict__, indent=1) + "\n").encode()
        try:
            with self._store.upload(self._key, replaces=self._etag) as upload:
                upload.write(data)
        except Conflict as error:
            raise _taken(self._store, self._key, _holder_of(self._store, self._key)) from error
        self._etag = upload.etag


@contextmanager
def turn(store: Store, key: str = KEY) -> Iterator[Turn]:
    """Raises Conflict while another run has it, and what the store raises."""
    stat = store.stat(key)
    content = _content(store, key)
    state = _parsed(store, key, content)
    _require_own_version(store, key, content)
    if state.holder and not _is_over(state.holder):
        raise _taken(store, key, state.holder)
    mine = Turn(store, state, stat.etag if stat else "", key)
    mine.renew()
    try:
        yield mine
    except BaseException:
        with suppress(Exception):  # the first error is the one to report; the lease ends by itself
            mine.release()
        raise
    mine.release()


def _this_guard() -> dict[str, str]:
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a container's user without a name
        user = "unknown"
    now = utc_now().isoformat(timespec="seconds")
    return {"writer": this_writer(), "who": f"{user}@{socket.gethostname()}", "at": now}


def _is_over(holder: dict[str, str]) -> bool:
    if (alive := is_alive(holder["writer"])) is not None:
        return not alive
    return utc_now() - datetime.fromisoformat(holder["at"]) > _LEASE


def _holder_of(store: Store, key: str) -> dict[str, str] | None:
    with suppress(BadData):
        return remembered(store, key).holder
    return None


def _taken(store: Store, key: str, holder: dict[str, str] | None) -> Conflict:
    return Conflict(
        "another guard is at work" if key == KEY else "another run is at work",
        where=store.url(key),
        found=f"{holder['who']}, since {holder['at']}" if holder else "a run that has just ended",
        remedy="wait until it ends; a run that was killed on another machine blocks others for "
        f"{_LEASE}",
    )
