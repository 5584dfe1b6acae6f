"""Records of erasures: which days lost rows to `lake erase`, and what their manifests say of it.

Belongs here: the objects below `erasures/`, the keys in a manifest's details. Does not: erasing
(lake.erase).

`erasures/<dataset>/<id>.json` is created once, before the first day is rewritten.
`<id>.done.json` is written when the run has ended. An export looks here before it writes a day: the
source may still hold the rows that were erased, also after the day was dropped, or under another
name of the dataset. What can't be read forbids the export.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from lake.base.day import Day
from lake.base.errors import BadData, Missing, UsageError
from lake.base.members import LaterVersion, of_own_members
from lake.config.datasets import Dataset
from lake.config.settings import Settings
from lake.partition.ledger import read_manifest
from lake.partition.manifest import Manifest
from lake.process.running import is_alive
from lake.store import Store

ERASURES = "erasures/"
ERASED_ROWS = "erased_rows"
"""In a manifest's details: rows that the source counted and that were erased from the day."""
STEPS = "erasures"
"""In a manifest's details: each erasure's `id`, `at`, `rows`, and the `fingerprint` of the day
before it."""
_DONE = ".done.json"


@dataclass(frozen=True)
class Erasure:
    """One run. `columns` are those that its condition reads, `condition` the keyed hash of the
    condition with the key's id, empty without a key. `definition` is the dataset's, as manifests
    have it; empty in records of earlier versions. `days` has `rows` (that matched) and `sha256`
    (of the object before) of each day.
    """

    id: str
    dataset: str
    at: str
    who: str
    version: str
    writer: str
    reason: str
    columns: tuple[str, ...]
    condition: dict[str, str]
    days: dict[str, dict[str, Any]]
    definition: dict[str, Any] = field(default_factory=dict)

    @property
    def key(self) -> str:
        """Where it lies."""
        return f"{ERASURES}{self.dataset}/{self.id}.json"

    @property
    def done_key(self) -> str:
        """Where its end is recorded."""
        return f"{ERASURES}{self.dataset}/{self.id}{_DONE}"

    def to_bytes(self) -> bytes:
        """Human-readable UTF-8 JSON."""
        return (json.dumps(asdict(self), indent=1, ensure_ascii=False) + "\n").encode()


@dataclass(frozen=True)
class ErasureEnd:
    """How a run ended. `days` has `erased`, `rows` (left) and `sha256` of each rewritten day,
    `kept` why another one was not.
    """

    at: str
    days: dict[str, dict[str, Any]]
    kept: dict[str, str] = field(default_factory=dict)

    def to_bytes(self) -> bytes:
        """Human-readable UTF-8 JSON."""
        return (json.dumps(asdict(self), indent=1, ensure_ascii=False) + "\n").encode()


def read_erasures(store: Store, dataset: str = "") -> Iterator[tuple[Erasure, ErasureEnd | None]]:
    """Those of a dataset, or all, oldest first. Raises BadData where one can't be read."""
    prefix = f"{ERASURES}{dataset}/" if dataset else ERASURES
    keys = [stat.key for stat in store.list(prefix)]
    ended = {key for key in keys if key.endswith(_DONE)}
    for key in sorted(set(keys) - ended, key=lambda key: key.rpartition("/")[2]):
        erasure = _erasure(store, key)
        yield erasure, _ended(store, erasure.done_key) if erasure.done_key in ended else None


class ErasedDays:
    """The days whose export may bring erased rows back. Each record is read once: none changes."""

    def __init__(self, settings: Settings, store: Store) -> None:
        self._settings, self._store = settings, store
        self._records: dict[str, Erasure] = {}
        self._definitions: dict[str, Mapping[str, Any]] = {}

    def of(self, dataset: Dataset) -> dict[Day, str]:
        """The days of which rows were erased, or may have been by a run that was killed, each with
        the dataset that it was erased from.

        That is the dataset itself, or another one with the same rows: it had another name, or was
        split. Of one that lake.toml no longer has, any that may have had some of its rows.
        Raises BadData where a record can't be read, and what the store raises.
        """
        days: dict[Day, str] = {}
        for stat in self._store.list(ERASURES):
            if stat.key.endswith(_DONE):
                continue
            if stat.key not in self._records:
                self._records[stat.key] = _erasure(self._store, stat.key)
            erasure = self._records[stat.key]
            if self._concerns(erasure, dataset):
                days |= {Day.parse(day): erasure.dataset for day in erasure.days}
        return days

    def _concerns(self, erasure: Erasure, dataset: Dataset) -> bool:
        if erasure.dataset == dataset.name:
            return True
        is_configured = any(other.name == erasure.dataset for other in self._settings.dataset)
        definition = erasure.definition or self._definition(erasure)
        shares = dataset.shares_rows(definition) if definition else None
        return not is_configured if shares is None else shares

    def _definition(self, erasure: Erasure) -> Mapping[str, Any]:
        """Where the record has none: as lake.toml or the erased days have it; else empty."""
        name = erasure.dataset
        if name not in self._definitions:
            configured = [other for other in self._settings.dataset if other.name == name]
            if configured:
                self._definitions[name] = configured[0].model_dump()
            else:
                manifests = (_manifest(self._store, name, Day.parse(day)) for day in erasure.days)
                known = (manifest.definition for manifest in manifests if manifest)
                self._definitions[name] = next(filter(None, known), {})
        return self._definitions[name]


def _manifest(store: Store, dataset: str, day: Day) -> Manifest | None:
    try:
        return read_manifest(store, dataset, day)
    except BadData:
        return None


def interrupted(store: Store) -> dict[str, tuple[str, ...]]:
    """The killed runs by id, each with the days that it has not changed yet."""
    left: dict[str, tuple[str, ...]] = {}
    for erasure, ended in read_erasures(store):
        if ended is None and is_alive(erasure.writer) is not True:
            days = tuple(sorted(day for day in erasure.days if _is_as_before(store, erasure, day)))
            if days:
                left[erasure.id] = days
    return left


def _is_as_before(store: Store, erasure: Erasure, day: str) -> bool:
    """Also where the day's manifest can't be read."""
    try:
        manifest = read_manifest(store, erasure.dataset, Day.parse(day))
    except BadData:
        return True
    return manifest is not None and manifest.sha256 == erasure.days[day].get("sha256")


def erased_rows(details: Mapping[str, Any]) -> int:
    """The number of rows of the day that were erased, from a manifest's details."""
    rows = details.get(ERASED_ROWS, 0)
    return rows if isinstance(rows, int) else 0


def erasure_details(details: Mapping[str, Any]) -> dict[str, Any]:
    """Those of a manifest's details that are about erasures."""
    return {name: details[name] for name in (ERASED_ROWS, STEPS) if name in details}


def earlier_fingerprints(details: Mapping[str, Any]) -> set[str]:
    """What a day's rows were before each erasure: what a source has that lost none of them."""
    return {str(step.get("fingerprint")) for step in details.get(STEPS, ())} - {"", "None"}


def _erasure(store: Store, key: str) -> Erasure:
    try:
        fields = json.loads(store.read(key))
        erasure = of_own_members(Erasure, {**fields, "columns": tuple(fields["columns"])})
        for day in erasure.days:
            Day.parse(day)
        if erasure.key != key:
            raise ValueError(f"it is {erasure.id} of {erasure.dataset}")
    except (ValueError, TypeError, KeyError, AttributeError, UsageError, Missing) as error:
        raise _unreadable(store, key, error) from error
    return erasure


def _ended(store: Store, key: str) -> ErasureEnd:
    try:
        return of_own_members(ErasureEnd, json.loads(store.read(key)))
    except (ValueError, TypeError, AttributeError, Missing) as error:
        raise _unreadable(store, key, error) from error


def _unreadable(store: Store, key: str, error: Exception) -> BadData:
    if isinstance(error, LaterVersion):
        return error.explained("the record of an erasure", store.url(key))
    return BadData(
        "the record of an erasure can't be read",
        where=store.url(key),
        found=error,
        remedy="restore the object's first version; nothing may replace it",
    )
