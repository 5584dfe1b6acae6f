"""The audit log: what was deleted, held, erased or let expire, by whom, why and on which proof.

Belongs here: entries, their chain, appending and checking. Does not: what an entry is about.

An entry is an object `audit/NNNNNNNNNN.json` that is created once and never replaced. It has the
SHA-256 of the entry before it. The number alone is the key, so that two writers can't both append
behind one entry: the second finds the key taken and takes the next. `guard/audit.json` repeats the
newest number and hash, by which `check` finds entries that are missing at the end.
"""

from __future__ import annotations

import getpass
import hashlib
import json
import re
import socket
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from lake import __version__
from lake.base.clock import utc_now
from lake.base.errors import BadData, Conflict, Missing, TransientError
from lake.base.members import of_members
from lake.store import Store
from lake.store.several import of_each

AUDIT = "audit/"
HEAD = "guard/audit.json"
ENTRY_UNREADABLE = "of the audit log can't be read"
HEAD_UNREADABLE = "the audit log's head can't be read"
_KEY = re.compile(r"audit/(\d{10})\.json")
_TRIES = 50  # writers that append at one moment


@dataclass(frozen=True)
class Entry:
    """One entry. `proof` is what the action relied on; `previous` the SHA-256 of the entry before,
    "" in the first.
    """

    sequence: int
    previous: str
    at: str
    who: str
    version: str
    action: str
    dataset: str
    why: str
    details: dict[str, Any] = field(default_factory=dict)
    proof: dict[str, Any] = field(default_factory=dict)

    def to_bytes(self) -> bytes:
        """Human-readable UTF-8 JSON."""
        return (json.dumps(self.__dict__, indent=1, ensure_ascii=False) + "\n").encode()


@dataclass(frozen=True)
class Chain:
    """The log, checked. `problems` is empty where every entry follows the one before it."""

    entries: int
    problems: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """For `--json`."""
        return {"entries": self.entries, "problems": list(self.problems)}


def key_of(sequence: int) -> str:
    """The key of an entry."""
    return f"{AUDIT}{sequence:010}.json"


def append(
    store: Store,
    action: str,
    dataset: str,
    why: str,
    *,
    details: Mapping[str, Any],
    proof: Mapping[str, Any] | None = None,
) -> Entry:
    """Adds an entry behind the newest. Raises what the store raises, and BadData where the newest
    can't be read: no entry may follow one that is unknown.
    """
    sequence, previous = _newest(store)
    for _ in range(_TRIES):
        entry = Entry(
            sequence + 1,
            previous,
            utc_now().isoformat(timespec="milliseconds"),
            who(),
            __version__,
            action,
            dataset,
            why,
            dict(details),
            dict(proof or {}),
        )
        data = entry.to_bytes()
        try:
            store.write(key_of(entry.sequence), data, replaces="")
        except Conflict:
            sequence, previous = entry.sequence, _hash(store.read(key_of(entry.sequence)))
            continue
        _advance_head(store, entry.sequence, _hash(data))
        return entry
    raise TransientError(
        "other writers append to the audit log without a pause",
        where=store.url(AUDIT),
        remedy="run it again",
    )


def entries(store: Store, after: int = 0) -> Iterator[Entry]:
    """The entries from number `after` + 1 on, in order. Raises BadData where one is unreadable."""
    numbers = [number for number in _numbers(store) if number > after]
    for number, data in _read_all(store, numbers):
        yield _parsed(store, number, data)


def check(store: Store) -> Chain:
    """Reads all entries and compares each with the one before it. Raises what the store raises.

    The head is read first: it never names an entry that is not there, whatever is appended later.
    """
    newest, known = _head(store)
    numbers = _numbers(store)
    problems: list[str] = []
    hashes: dict[int, str] = {}
    for number, data in _read_all(store, numbers):
        hashes[number] = _hash(data)
        before = hashes.get(number - 1, "")
        if number > 1 and not before:
            first = max((sequence for sequence in hashes if sequence < number), default=0) + 1
            problems.append(f"{_range(first, number - 1)} missing")
        try:
            entry = _parsed(store, number, data)
        except BadData as error:
            problems.append(str(error))
            continue
        if entry.previous != before and (before or number == 1):
            problems.append(
                f"entry {number} does not follow entry {number - 1}: that one was altered "
                "later, or the log was forked"
            )
    if newest and newest not in hashes:
        last = max(hashes, default=0)
        if newest > last:
            problems.append(f"{_range(last + 1, newest)} missing")
    elif newest and hashes[newest] != known:
        problems.append(f"entry {newest} was altered")
    return Chain(len(numbers), tuple(dict.fromkeys(problems)))


def _read_all(store: Store, numbers: Sequence[int]) -> Iterator[tuple[int, bytes]]:
    return zip(numbers, of_each(store, lambda number: _read(store, number), numbers), strict=True)


def _range(first: int, last: int) -> str:
    return f"entry {first} is" if first == last else f"entries {first} to {last} are"


def _numbers(store: Store) -> list[int]:
    matches = (_KEY.fullmatch(stat.key) for stat in store.list(AUDIT))
    return sorted(int(match[1]) for match in matches if match)


def _newest(store: Store) -> tuple[int, str]:
    """The newest entry's number and hash; 0 and "" in an empty log.

    Those of the head where the entries at the end are gone: a number that was used again would
    hide that they are.
    """
    number = max(_numbers(store), default=0)
    newest, known = _head(store)
    if newest > number:
        return newest, known
    if not number:
        return 0, ""
    data = _read(store, number)
    _parsed(store, number, data)
    return number, _hash(data)


def _read(store: Store, number: int) -> bytes:
    return store.read(key_of(number))


def _parsed(store: Store, number: int, data: bytes) -> Entry:
    try:
        entry = of_members(Entry, json.loads(data))
        if entry.sequence != number or not isinstance(entry.previous, str):
            raise ValueError(f"its sequence is {entry.sequence}")
    except (ValueError, TypeError, AttributeError) as error:
        raise BadData(
            f"entry {number} {ENTRY_UNREADABLE}",
            where=store.url(key_of(number)),
            found=error,
            remedy="restore the object's first version; nothing may replace an entry",
        ) from error
    return entry


def _head(store: Store) -> tuple[int, str]:
    try:
        head = json.loads(store.read(HEAD))
        return int(head["sequence"]), str(head["sha256"])
    except Missing:
        return 0, ""
    except (ValueError, TypeError, KeyError) as error:
        raise BadData(HEAD_UNREADABLE, where=store.url(HEAD)) from error


def _advance_head(store: Store, sequence: int, sha256: str) -> None:
    """Forward only. A run that is killed before it leaves the head behind, never ahead."""
    data = json.dumps({"sequence": sequence, "sha256": sha256}).encode()
    for _ in range(_TRIES):
        stat = store.stat(HEAD)
        if stat and _head(store)[0] >= sequence:
            return
        try:
            store.write(HEAD, data, replaces=stat.etag if stat else "")
        except Conflict:
            continue
        return


def who() -> str:
    """The user and the machine of this process."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a container's user without a name
        user = "unknown"
    return f"{user}@{socket.gethostname()}"


def _hash(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
