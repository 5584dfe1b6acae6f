"""One hold: which datasets and days, why, by whom.

Belongs here: its fields, its object, what it covers. Does not: reading a store.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from typing import Any

from lake.base.day import Day
from lake.base.errors import BadData, PermanentError, UsageError
from lake.base.members import LaterVersion, of_own_members
from lake.config.datasets import Dataset

PREFIX = "holds/"
ALL = "*"
_RELEASED = ".released.json"
_SUFFIX = ".json"
ID = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")


@dataclass(frozen=True)
class Hold:
    """`datasets` are names, or `*` for all. `start` and `end` are a half-open range of UTC days,
    each None where it is open. `systems` are those of the datasets: their snapshots are held.
    `definitions` are the datasets' as they were then, by name; empty of all, and in holds of
    earlier versions.

    `problem` is set where the object can't be read; such a hold covers everything.
    """

    id: str
    datasets: tuple[str, ...]
    systems: tuple[str, ...]
    start: Day | None
    end: Day | None
    reason: str
    who: str
    at: str
    problem: str = ""
    definitions: dict[str, dict[str, Any]] = field(default_factory=dict)

    def to_bytes(self) -> bytes:
        """Human-readable UTF-8 JSON."""
        fields = {name: value for name, value in self.to_json().items() if name != "problem"}
        return (json.dumps(fields, indent=1, ensure_ascii=False) + "\n").encode()

    def to_json(self) -> dict[str, Any]:
        """The object's keys; `from` and `to` are null where the range is open."""
        fields = asdict(self)
        for name, key in (("start", "from"), ("end", "to")):
            day = getattr(self, name)
            fields.pop(name)
            fields[key] = str(day) if day else None
        fields |= {"datasets": list(self.datasets), "systems": list(self.systems)}
        return fields

    def widened(self, configured: Sequence[Dataset]) -> Hold:
        """The hold, with the configured datasets that have the rows of those which it names: of the
        same collection, selector or query, then or now. Of one that is no longer configured,
        perhaps renamed, all that may have had some of its rows.
        """
        names = {dataset.name for dataset in configured}
        more = [
            dataset.name
            for dataset in configured
            if not self.concerns(dataset.name)
            and any(self._shares(name, dataset, configured, names) for name in self.datasets)
        ]
        return replace(self, datasets=(*self.datasets, *more)) if more else self

    def _shares(
        self, name: str, dataset: Dataset, configured: Sequence[Dataset], names: Collection[str]
    ) -> bool:
        definition = self.definitions.get(name)
        shares = dataset.shares_rows(definition) if definition else None
        if name in names and not shares:  # its collection, say, may be another one since
            (held,) = [other for other in configured if other.name == name]
            return dataset.shares_rows(held.model_dump()) is True
        if definition:
            return shares is not False
        return self.concerns_system(dataset.source)

    def covers(self, dataset: str, day: Day) -> bool:
        """Whether the day of that dataset is held."""
        return self.concerns(dataset) and self.overlaps(day, day.plus(1))

    def concerns(self, dataset: str) -> bool:
        """Whether some day of that dataset is held."""
        return ALL in self.datasets or dataset in self.datasets

    def concerns_system(self, system: str) -> bool:
        """Whether snapshots of that system are held."""
        return ALL in self.systems or system in self.systems

    def overlaps(self, start: Day | None, end: Day | None) -> bool:
        """Whether a half-open range of days has a held one. None: open."""
        begins_before = self.start is None or end is None or self.start < end
        return begins_before and (self.end is None or start is None or start < self.end)

    def __str__(self) -> str:
        if self.problem:
            return f"hold {self.id}, which can't be read and so covers everything ({self.problem})"
        return f"hold {self.id} by {self.who}: {self.reason}"


def key_of(hold_id: str) -> str:
    """Where a hold lies."""
    return f"{PREFIX}{hold_id}{_SUFFIX}"


def release_key_of(hold_id: str) -> str:
    """Where its release lies."""
    return f"{PREFIX}{hold_id}{_RELEASED}"


def id_of(key: str) -> tuple[str, bool] | None:
    """A key's hold, and whether it is the release. None for anything that is not JSON."""
    name = key.removeprefix(PREFIX)
    if name.endswith(_RELEASED):
        return name.removesuffix(_RELEASED), True
    return (name.removesuffix(_SUFFIX), False) if name.endswith(_SUFFIX) else None


def parsed(hold_id: str, data: bytes) -> Hold:
    """The hold of that object. One that is not as written covers everything."""
    try:
        fields = json.loads(data)
        if fields["id"] != hold_id:
            raise ValueError(f"its id is {fields['id']!r}")
        hold = Hold(
            hold_id,
            _names(fields["datasets"]),
            _names(fields["systems"]),
            Day.parse(fields["from"]) if fields["from"] is not None else None,
            Day.parse(fields["to"]) if fields["to"] is not None else None,
            _text(fields["reason"]),
            _text(fields["who"]),
            _text(fields["at"]),
            definitions=_definitions(fields.get("definitions", {})),
        )
        datetime.fromisoformat(hold.at)
    except UsageError as error:  # a day
        return unreadable(hold_id, f"{error.what}: {error.parts.get('found')}")
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        return unreadable(hold_id, f"{type(error).__name__}: {error}")
    return hold


def unreadable(hold_id: str, problem: str) -> Hold:
    """A hold of everything."""
    return Hold(hold_id, (ALL,), (ALL,), None, None, "", "", "", problem=problem)


def _names(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or not value or not all(isinstance(v, str) for v in value):
        raise ValueError(f"a list of names, not {value!r}")
    return tuple(value)


def _definitions(value: Any) -> dict[str, dict[str, Any]]:
    if not isinstance(value, dict) or not all(isinstance(v, dict) for v in value.values()):
        raise TypeError(f"definitions by name, not {value!r}")
    return value


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"a text, not {value!r}")
    return value


@dataclass(frozen=True)
class Release:
    """The end of a hold."""

    id: str
    reason: str
    who: str
    at: str

    def to_bytes(self) -> bytes:
        """Human-readable UTF-8 JSON."""
        return (json.dumps(asdict(self), indent=1, ensure_ascii=False) + "\n").encode()


def parsed_release(hold_id: str, data: bytes, where: str) -> Release:
    """Raises BadData: a release that can't be read releases nothing."""
    try:
        release = of_own_members(Release, json.loads(data))
        for value in asdict(release).values():
            _text(value)
        if release.id != hold_id:
            raise ValueError(f"its id is {release.id!r}")
        datetime.fromisoformat(release.at)
    except LaterVersion as error:
        raise error.explained("a hold's release", where) from error
    except (ValueError, TypeError, AttributeError, RecursionError) as error:
        raise BadData("a hold's release can't be read", where=where, found=error) from error
    return release


def held_error(what: str, where: str, hold: Hold) -> PermanentError:
    """What a use case raises that may not go on."""
    return PermanentError(
        what,
        where=where,
        expected="days that no hold covers",
        found=str(hold),
        remedy=f"when the hold is over: lake hold release {hold.id} --reason …",
    )
