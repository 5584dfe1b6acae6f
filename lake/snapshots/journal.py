"""What a run that is not finished has stored, and whether it still runs.

Belongs here: the journal's object, when it is written, its reading. Does not: what it has to
contain (collecting).

`<system>/YYYY/MM/DD/<run>/journal.json` stands while its run lasts. What a killed run left
behind is found by it: its objects need not be uploaded again, and what it made on a server's disk
can be removed.
"""

from __future__ import annotations

import json
import logging
import os
import re
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from threading import Event, Thread

from lake.base.clock import utc_now
from lake.base.errors import LakeError, Missing
from lake.base.members import of_members
from lake.process.running import here, started
from lake.snapshots.manifest import StoredFile, StoredObject
from lake.store import Store

_LOG = logging.getLogger(__name__)
JOURNAL = "journal.json"
_KEY = re.compile(r"\w+/\d{4}/\d\d/\d\d/([^/]+)/journal\.json")
_EVERY_S = 5.0
_HEARTBEAT_S = 300.0
_SILENT = timedelta(hours=1)  # a run on another machine that wrote nothing for this long is dead


@dataclass(frozen=True)
class Journal:
    """`at` is when it was last written, ISO 8601 UTC; `notes` are the system's own facts.

    `pid` and `since` name the process on `host`; `since` is empty where the run has failed.
    """

    key: str
    at: str
    host: str
    pid: int
    since: str
    notes: dict[str, str] = field(default_factory=dict)
    files: list[StoredFile] = field(default_factory=list)
    objects: list[StoredObject] = field(default_factory=list)

    @property
    def alive(self) -> bool:
        """Whether its run goes on: by its process where that can be seen, else by its last word."""
        if not self.since:
            return False
        if self.host == here():
            return started(self.pid) == self.since
        return utc_now() - datetime.fromisoformat(self.at) < _SILENT


def write_journal(
    store: Store,
    key: str,
    notes: dict[str, str],
    files: list[StoredFile],
    objects: list[StoredObject],
    *,
    ended: bool,
) -> None:
    """Records what this process has stored so far, and whether the run ended without success."""
    pid = os.getpid()
    at = utc_now().isoformat(timespec="seconds")
    since = "" if ended else started(pid)
    journal = Journal(key, at, here(), pid, since, notes, files, objects)
    store.write(key, json.dumps(asdict(journal)).encode())


class Journalling:
    """Writes the journal now and then, in the background, until it is stopped."""

    def __init__(self, write: Callable[[], None]) -> None:
        self._write = write
        self._done = Event()
        self._thread = Thread(target=self._run, name="journal", daemon=True)

    def start(self) -> None:
        """Begins."""
        self._thread.start()

    def stop(self) -> None:
        """Returns once nothing is written any more."""
        self._done.set()
        self._thread.join()

    def _run(self) -> None:
        pause = _EVERY_S
        while not self._done.wait(pause):
            begun = time.monotonic()
            try:
                self._write()
            except LakeError as error:  # the run itself meets the same error, or none
                _LOG.warning("the journal could not be written: %s", error)
            # A long journal is written less often, but often enough to be taken for alive.
            took = time.monotonic() - begun
            pause = min(max(_EVERY_S, 20 * took), _HEARTBEAT_S)


def journals(store: Store, keys: Iterable[str]) -> Iterator[Journal]:
    """Those among the keys. One that can't be read is ignored, with a warning."""
    for key in keys:
        if not _KEY.fullmatch(key):
            continue
        try:
            content = json.loads(store.read(key))
            files = [of_members(StoredFile, fields) for fields in content.pop("files")]
            objects = [of_members(StoredObject, fields) for fields in content.pop("objects")]
            content |= {"key": key, "files": files, "objects": objects}
            yield of_members(Journal, content)
        except Missing:
            continue  # its run has just ended
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            _LOG.warning("%s is no journal: %s", store.url(key), error)
