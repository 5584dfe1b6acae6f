"""The days that `[retention]` has deleted.

Belongs here: the record of retired days. Does not: how long the lake keeps a day (lake.kept),
deleting (lake.retention).

A retired day is one whose table retention has deleted: it is neither missing nor proven. The record
is one object, `retention/retired.json`, so that the ledger needs no earlier policy than the present
one. A day that is exported again is no longer retired: if it is lost then, it is missing.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from lake.base.day import Day, day_range
from lake.base.errors import BadData, Conflict, Missing, TransientError, UsageError
from lake.config.datasets import Dataset
from lake.config.settings import Settings
from lake.kept import is_retired_by_age
from lake.store import Store

RETENTION = "retention/"
RETIRED = f"{RETENTION}retired.json"
DELETIONS = f"{RETENTION}deletions/"
_TRIES = 20
_Days = Mapping[str, Iterable[Day]]


class Retired:
    """By dataset the days that retention has deleted, and those that were exported again since."""

    def __init__(self, deleted: _Days | None = None, again: _Days | None = None) -> None:
        self._deleted = {name: frozenset(days) for name, days in (deleted or {}).items()}
        self._again = {
            name: frozenset(days) & self.deleted(name) for name, days in (again or {}).items()
        }

    @property
    def datasets(self) -> list[str]:
        """Those that have retired days."""
        return [name for name in self._deleted if self.days(name)]

    def days(self, dataset: str) -> frozenset[Day]:
        """The retired ones of a dataset."""
        return self.deleted(dataset) - self._again.get(dataset, frozenset())

    def deleted(self, dataset: str) -> frozenset[Day]:
        """With those that were exported again."""
        return self._deleted.get(dataset, frozenset())

    def changed(self, added: _Days, removed: _Days, again: _Days) -> Retired:
        """With more days, without others, and with days that were exported again."""
        names = {*self._deleted, *added}
        return Retired(
            {
                name: (self.deleted(name) | {*added.get(name, ())}) - {*removed.get(name, ())}
                for name in names
            },
            {
                name: (self._again.get(name, frozenset()) - {*added.get(name, ())})
                | {*again.get(name, ())}
                for name in names
            },
        )

    def to_bytes(self) -> bytes:
        """Half-open ranges by dataset. What was exported again is in both."""
        record = {"datasets": _by_name(self._deleted), "exported_again": _by_name(self._again)}
        record = {key: days for key, days in record.items() if days or key == "datasets"}
        return (json.dumps(record, indent=1) + "\n").encode()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Retired) and self.to_bytes() == other.to_bytes()

    __hash__ = None  # type: ignore[assignment]


def is_retired(
    settings: Settings, dataset: Dataset, day: Day, retired: Retired, today: Day
) -> bool:
    """Whether a day without a manifest is none that is missing: retention has deleted it, or no
    longer keeps days of its age.
    """
    return day in retired.days(dataset.name) or is_retired_by_age(settings, dataset, day, today)


def read_retired(store: Store) -> Retired:
    """The record; empty where there is none. Raises BadData and what the store raises."""
    try:
        record = json.loads(store.read(RETIRED))
        return Retired(_parsed(record["datasets"]), _parsed(record.get("exported_again", {})))
    except Missing:
        return Retired()
    except (ValueError, TypeError, KeyError, AttributeError, UsageError) as error:
        raise BadData(
            "the record of retired days can't be read",
            where=store.url(RETIRED),
            found=error,
            remedy="delete the object, then run `lake retention apply`: it is made again from the "
            "deletion manifests",
        ) from error


def is_record_lost(store: Store) -> bool:
    """Whether there are deletions, but no record of retired days: which rollups stand alone on
    purpose is unknown then.
    """
    return store.stat(RETIRED) is None and any(True for _ in store.list(DELETIONS))


def change_retired(
    store: Store, added: _Days, removed: _Days | None = None, again: _Days | None = None
) -> None:
    """Adds days to the record, and removes others; `again` are those that were exported again. The
    record is there afterwards, empty or not. Raises what reading raises.
    """
    for _ in range(_TRIES):
        stat = store.stat(RETIRED)
        before = read_retired(store)
        after = before.changed(added, removed or {}, again or {})
        if stat and before == after:
            return
        try:
            store.write(RETIRED, after.to_bytes(), replaces=stat.etag if stat else "")
        except Conflict:
            continue
        return
    raise TransientError(
        "the record of retired days is being changed without a pause", where=store.url(RETIRED)
    )


def _parsed(ranges_of: Mapping[str, Iterable[Any]]) -> dict[str, set[Day]]:
    return {
        str(name): {
            day for start, end in ranges for day in day_range(Day.parse(start), Day.parse(end))
        }
        for name, ranges in ranges_of.items()
    }


def _by_name(days_of: Mapping[str, frozenset[Day]]) -> dict[str, list[list[str]]]:
    return {name: _ranges(days) for name, days in sorted(days_of.items()) if days}


def _ranges(days: Iterable[Day]) -> list[list[str]]:
    ranges: list[list[Day]] = []
    for day in sorted(days):
        if ranges and ranges[-1][1] == day:
            ranges[-1][1] = day.plus(1)
        else:
            ranges.append([day, day.plus(1)])
    return [[str(start), str(end)] for start, end in ranges]
