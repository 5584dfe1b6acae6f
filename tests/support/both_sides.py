"""One range of days, to be asked of the lake in SQL and of the collection in MongoDB's language.

Belongs here: how each side is asked, which spelling of a name has the column on which day.
Does not: the questions.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property
from typing import Any

from bson import Decimal128
from pymongo.collection import Collection

from lake.base.day import Day, day_range
from lake.query import Answer, Lake
from lake.query.kinds import parsed_type
from support.documents import FIRST, Document

_LEFT_OUT = re.compile(r"column (\S+) leaves out ([\d,]+) values?")


@dataclass(frozen=True)
class Part:
    """Some of the range's documents, and the name under which a column's values are in them."""

    path: str
    during: Document


class Both:
    """The range [start, end) of the days, whose first is FIRST."""

    def __init__(
        self,
        lake: Lake,
        collection: Collection[Document],
        days: Sequence[Sequence[Document]],
        start: Day,
        end: Day,
    ) -> None:
        self._lake = lake
        self._collection = collection
        self.start, self.end = start, end
        self._days = {day: days[FIRST.days_until(day)] for day in day_range(start, end)}

    # --- the lake

    def sql(self, select: str, more: str = "") -> Answer:
        """SELECT … FROM the range."""
        table = f"docs_between(DATE '{self.start}', DATE '{self.end}')"
        return self._lake.ask(f"SELECT {select} FROM {table} {more}")

    @cached_property
    def types(self) -> dict[str, str]:
        """DuckDB's types of the columns and of STRUCTs' members, by path."""
        answer = self.sql("*", "LIMIT 0")
        spelled = {}
        for name, text in zip(answer.columns, answer.types, strict=True):
            spelled[name] = text
            if text.startswith("STRUCT") and not text.endswith("[]"):
                members = parsed_type(text).children
                spelled |= {f"{name}.{member}": str(type_) for member, type_ in members}
        return spelled

    # --- the collection

    @property
    def has_numbered_documents(self) -> bool:
        """Whether there are documents, and the `_id` of each is a number."""
        ids = [document["_id"] for documents in self._days.values() for document in documents]
        return bool(ids) and all(isinstance(id_, int) for id_ in ids)

    def parts(self, path: str) -> list[Part]:
        """The documents by the spelling that has the column on their day: the commonest one, of
        equally common ones the first by bytes.
        """
        days: dict[str, list[Day]] = {}
        for day, documents in self._days.items():
            for name in self._spelling(path, documents):
                days.setdefault(name, []).append(day)
        return [Part(name, _during(chosen)) for name, chosen in days.items()]

    def _spelling(self, path: str, documents: Sequence[Document]) -> list[str]:
        if path.lower() != "userid":
            return [path]
        present = Counter(
            name
            for document in documents
            for name in document
            if name.lower() == "userid" and document[name] is not None
        )
        return sorted(present, key=lambda name: (-present[name], name))[:1]

    def whole(self, path: str) -> list[Part]:
        """All the documents, under each spelling."""
        names = ("userId", "userid") if path.lower() == "userid" else (path,)
        return [Part(name, _during(list(self._days))) for name in names]

    def count(self, parts: Sequence[Part], condition: Any) -> int:
        """How many values fulfil MongoDB's condition."""
        return sum(
            self._collection.count_documents({"$and": [part.during, {part.path: condition}]})
            for part in parts
        )

    def documents(self) -> int:
        """How many documents the days have."""
        return self._collection.count_documents(_during(list(self._days)))

    def total(self, parts: Sequence[Part], unwound: str = "") -> float:
        """The sum of the numbers."""
        sums = []
        for part in parts:
            unwind = [{"$unwind": f"${unwound}"}] if unwound else []
            group = {"$group": {"_id": None, "total": {"$sum": f"${part.path}"}}}
            groups = self._collection.aggregate([{"$match": part.during}, *unwind, group])
            sums += [plain(group["total"]) for group in groups]
        return sum(sums)

    def extreme(self, parts: Sequence[Part], direction: int) -> float | None:
        """The least (1) or the largest (-1) number."""
        values = []
        for part in parts:
            question = {"$and": [part.during, {part.path: {"$type": "number"}}]}
            first = self._collection.find(question).sort(part.path, direction).limit(1)
            values += [plain(value) for document in first for value in _at(document, part.path)]
        return (min if direction > 0 else max)(values) if values else None

    def groups(self, parts: Sequence[Part], type_: str) -> Counter[Any]:
        """How many documents have each value of a type."""
        counts: Counter[Any] = Counter()
        for part in parts:
            match = {"$match": {"$and": [part.during, {part.path: {"$type": type_}}]}}
            group = {"$group": {"_id": f"${part.path}", "n": {"$sum": 1}}}
            for counted in self._collection.aggregate([match, group]):
                counts[exact(counted["_id"])] += counted["n"]
        return counts


def left_out(notes: Sequence[str]) -> dict[str, int]:
    """Path to number of values that the notes say are left out."""
    matches = (match for note in notes for match in _LEFT_OUT.finditer(note))
    return {match[1]: int(match[2].replace(",", "")) for match in matches}


def _during(days: Sequence[Day]) -> Document:
    return {
        "$or": [
            {"timestamp": {"$gte": start.start, "$lt": end.start}} for start, end in _runs(days)
        ]
    }


def _runs(days: Sequence[Day]) -> Iterator[tuple[Day, Day]]:
    """Days that follow each other, as half-open ranges."""
    begin = days[0]
    for day in days:
        if day.plus(1) not in days:
            yield begin, day.plus(1)
            begin = next((later for later in days if later > day), day)


def _at(document: Document, path: str) -> list[Any]:
    value: Any = document
    for name in path.split("."):
        value = value[name]
    return [value]


def plain(value: Any) -> float:
    """A number of any BSON type."""
    return float(value.to_decimal()) if isinstance(value, Decimal128) else float(value)


def exact(value: Any) -> Any:
    """Equal for numbers that are equal, whatever their types."""
    if isinstance(value, Decimal128):
        return value.to_decimal()
    if isinstance(value, bool) or not isinstance(value, (int, float, Decimal)):
        return value
    return Decimal(value)
