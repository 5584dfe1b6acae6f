"""A JSON record about one dataset and day: what manifests of partitions and rollups share.

Belongs here: writing one, reading it with its fields' types checked. Does not: which there are
(manifest, rollups).
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, fields
from functools import cache
from typing import Any, ClassVar, Self, cast, get_origin, get_type_hints

from lake.base.day import Day
from lake.base.errors import BadData, UsageError

Raw = bytes  # a record's field `bytes` hides the name


@dataclass(frozen=True)
class DayRecord:
    """The base of such dataclasses; `title` and `remedy` are for the error of an invalid one."""

    title: ClassVar[str]
    remedy: ClassVar[str]

    dataset: str
    day: str

    def to_bytes(self) -> Raw:
        """Human-readable UTF-8 JSON."""
        return (json.dumps(asdict(self), indent=1, ensure_ascii=False) + "\n").encode()

    @classmethod
    def from_bytes(cls, data: Raw, where: str) -> Self:
        """Raises BadData where it is not a JSON object with these fields and types."""
        try:
            members = json.loads(data)
            kinds = _kinds(cast("Any", cls))  # mypy takes it for unhashable
            record = cls(**{name: members[name] for name in kinds if name in members})
            Day.parse(record.day)
            for name, kind in kinds.items():
                if not isinstance(getattr(record, name), kind):
                    raise TypeError(f"{name} is not of type {kind.__name__}")
        except (ValueError, TypeError, UsageError) as error:
            raise cls.invalid(where, error) from error
        return record

    @classmethod
    def invalid(cls, where: str, found: object) -> BadData:
        """The error of a record that can't be used."""
        return BadData(f"invalid {cls.title}", where=where, found=found, remedy=cls.remedy)


@cache
def _kinds(record: type[DayRecord]) -> dict[str, Any]:
    """The type of each field's value."""
    hints = get_type_hints(record)
    names = [field.name for field in fields(record)]
    return {name: get_origin(hints[name]) or hints[name] for name in names}
