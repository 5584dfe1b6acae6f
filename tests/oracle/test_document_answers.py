"""SQL over the tables of collections answers as MongoDB's own aggregation does.

Random documents of a few days, whose fields drift in type, spelling and shape. Each question is
put to both. Where a column leaves values out, the query has to say how many: then the answer is
that of the others.
"""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import bson
import pymongo
import pytest
from bson import Decimal128, Int64
from hypothesis import given
from hypothesis import strategies as st
from lakes import examples, exported, same_number
from pymongo.collection import Collection

from lake.base.day import Day, day_range
from lake.base.errors import UsageError
from lake.query import Lake

FIRST = Day.parse("2026-03-02")
Document = dict[str, Any]

_UUIDS = [bson.Binary(uuid.UUID(int=number).bytes, 4) for number in (1, 2)]
_INTS = st.one_of(st.integers(-9, 9), st.integers(-9, 9).map(Int64))
_DOUBLES = st.integers(-40, 40).map(lambda n: n / 4)
_DECIMALS = st.sampled_from(["1.10", "2.5", "3", "-0.25", "19.99", "1E+2"]).map(Decimal128)
_WORDS = st.sampled_from(["error", "ok", "", "läuft", "x y"])
_ODD = st.one_of(
    st.sampled_from([Int64(2**53 + 1), Int64(-(2**62))]),
    st.sampled_from([float("inf"), 1e300, 0.1]),
    st.sampled_from(["0.1", "1E-30", "9" * 34]).map(Decimal128),
)
_DATES = st.integers(0, 5).map(lambda n: dt.datetime(2026, 1, 1 + n, tzinfo=dt.UTC))
# What a field holds on one day: mostly the first, sometimes the others.
_KINDS = {
    "ints": [_INTS],
    "doubles": [_DOUBLES],
    "ints and doubles": [_INTS, _DOUBLES],
    "decimals": [_DECIMALS],
    "decimals and ints": [_DECIMALS, _INTS],
    "decimals and doubles": [_DECIMALS, _DOUBLES],
    "numbers": [_INTS, _DOUBLES, _DECIMALS, _ODD],
    "words": [_WORDS],
    "words and numbers": [_WORDS, _INTS],
    "numbers and words": [_DOUBLES, _WORDS],
    "bools": [st.booleans()],
    "dates": [_DATES],
    "uuids": [st.sampled_from(_UUIDS)],
    "nothing": [st.none()],
    "documents and words": [st.fixed_dictionaries({"a": _INTS}), _WORDS],
}
_NUMBERS = ["ints", "doubles", "ints and doubles", "decimals", "decimals and ints", "numbers"]
NAMES = ("x", "y", "userId", "userid")
_ABSENT = object()


def values_of(kind: str) -> st.SearchStrategy[Any]:
    first, *others = _KINDS[kind]
    return st.one_of(first, first, *others) if others else first


@st.composite
def days_of_documents(draw: st.DrawFn) -> list[list[Document]]:
    """Documents day by day. A field has a kind a day, and may be absent or null."""
    kinds = {name: draw(st.sampled_from(sorted(_KINDS))) for name in NAMES}
    inner = draw(st.sampled_from(_NUMBERS))
    days = []
    for day in day_range(FIRST, FIRST.plus(draw(st.integers(1, 3)))):
        if draw(st.booleans()):
            kinds.pop("userid", None)
        for name in kinds:  # now and then a field changes for a day
            if draw(st.integers(0, 3)) == 0:
                kinds[name] = draw(st.sampled_from(sorted(_KINDS)))
        if draw(st.integers(0, 3)) == 0:
            inner = draw(st.sampled_from(_NUMBERS))
        shapes: dict[str, st.SearchStrategy[Any]] = {
            name: st.one_of(*[values_of(kinds[name])] * 5, st.just(_ABSENT), st.none())
            for name in kinds
        }
        shapes["meta"] = st.one_of(
            st.just(_ABSENT), st.fixed_dictionaries({"k": _WORDS, "n": values_of(inner)})
        )
        shapes["list"] = st.one_of(st.just(_ABSENT), st.lists(values_of(inner), max_size=4))
        shapes["parts"] = st.one_of(
            st.just(_ABSENT),
            st.lists(st.fixed_dictionaries({"n": values_of(inner)}), max_size=3),
        )
        drawn = draw(st.lists(st.fixed_dictionaries(shapes), min_size=1, max_size=12))
        at = day.start
        days.append(
            [
                {"timestamp": at + dt.timedelta(seconds=number)}
                | {name: value for name, value in one.items() if value is not _ABSENT}
                for number, one in enumerate(drawn)
            ]
        )
    return days


@dataclass
class Both:
    """One range of days, to be asked of the lake and of the collection."""

    lake: Lake
    collection: Collection[Document]
    start: Day
    end: Day
    ambiguous: frozenset[str] = frozenset()

    def sql(self, select: str, where: str = "true", more: str = "") -> tuple[list[Any], str]:
        """The first column, and the notes that came with the answer."""
        answer = self.lake.ask(
            f"SELECT {select} FROM docs_between(DATE '{self.start}', DATE '{self.end}') "
            f"WHERE {where} {more}"
        )
        rows = [row[0] for row in answer.rows]
        return rows, "\n".join(answer.notes)

    def pipeline(self, *stages: dict[str, Any]) -> list[Document]:
        during = {"timestamp": {"$gte": self.start.start, "$lt": self.end.start}}
        return list(self.collection.aggregate([{"$match": during}, *stages]))

    def total(self, path: str, *before: dict[str, Any]) -> tuple[float, int]:
        """MongoDB's sum of the numbers at a path, and how many numbers there are."""
        is_number = {"$in": [{"$type": f"${path}"}, ["int", "long", "double", "decimal"]]}
        found = self.pipeline(
            *before,
            {
                "$group": {
                    "_id": None,
                    "total": {"$sum": f"${path}"},
                    "many": {"$sum": {"$cond": [is_number, 1, 0]}},
                }
            },
        )
        return (plain(found[0]["total"]), found[0]["many"]) if found else (0.0, 0)

    def type_of(self, path: str) -> str:
        """DuckDB's name of the type, or "" where these days have no such column.

        SQL's names do not heed case, so that a column may be of either spelling on any day.
        """
        table = f"docs_between(DATE '{self.start}', DATE '{self.end}')"
        columns = {row["column_name"] for row in self.lake.rows(f"DESCRIBE FROM {table}")}
        name = path.partition(".")[0]
        if name not in columns or name in self.ambiguous:
            return ""
        try:
            return str(
                self.lake.rows(f"DESCRIBE SELECT {path} AS it FROM {table}")[0]["column_type"]
            )
        except UsageError:  # a STRUCT without this member, or no STRUCT
            return ""


def plain(value: Any) -> float:
    return float(value.to_decimal()) if isinstance(value, Decimal128) else float(value)


def is_number(kind: str) -> bool:
    return kind.startswith(("DECIMAL", "DOUBLE", "BIGINT", "HUGEINT"))


@pytest.fixture(scope="module")
def databases(mongo_uri: str) -> Iterator[tuple[str, Collection[Document]]]:
    name = f"oracle_{uuid.uuid4().hex[:12]}"
    with pymongo.MongoClient[Document](mongo_uri, tz_aware=True) as client:
        client[name]["docs"].create_index("timestamp")
        yield mongo_uri, client[name]["docs"]
        client.drop_database(name)


def ranges(days: Sequence[object]) -> list[tuple[Day, Day]]:
    """Each day by itself, and all of them."""
    end = FIRST.plus(len(days))
    single = [(day, day.plus(1)) for day in day_range(FIRST, end)]
    return single if len(days) == 1 else [*single, (FIRST, end)]


@examples(10)
@pytest.mark.slow
@given(days_of_documents())
def test_answers(databases, days):
    uri, collection = databases
    collection.delete_many({})
    collection.insert_many(one for day in days for one in day)
    sections = f"""
[sources.mongo]
uri = "{uri}"
database = "{collection.database.name}"
[hot]
mongo = 10000
[[dataset]]
name = "docs"
source = "mongo"
collection = "docs"
time_field = "timestamp"
"""
    end = FIRST.plus(len(days))
    used = {name for day in days for one in day for name in one}
    spellings = frozenset({"userId", "userid"} if {"userId", "userid"} <= used else ())
    with exported(sections, list(day_range(FIRST, end))) as lake:
        for start, stop in ranges(days):
            both = Both(lake, collection, start, stop, spellings)
            problems = [*_counts(both), *_sums(both), *_groups(both), *_lists(both)]
            assert problems == [], (start, stop)


def _left_out(notes: str, path: str) -> bool:
    return path in notes


def _counts(both: Both) -> Iterator[str]:
    found, _ = both.sql("count(*)")
    expected = len(both.pipeline({"$project": {"_id": 1}}))
    if found != [expected]:
        yield f"count(*): lake {found}, source {expected}"
    for name in NAMES:
        kind = both.type_of(name)
        if not kind:
            continue
        found, notes = both.sql(f"count({name})")
        some = both.pipeline({"$match": {name: {"$ne": None}}}, {"$project": {"_id": 1}})
        if found != [len(some)] and not _left_out(notes, name):
            yield f"count({name}) of {kind}: lake {found}, source {len(some)}, notes {notes!r}"


def _sums(both: Both) -> Iterator[str]:
    for path in (*NAMES, "meta.n"):
        kind = both.type_of(path)
        if not kind:
            continue
        value = path if is_number(kind) else f"TRY_CAST({path} AS DOUBLE)"
        if not is_number(kind) and kind != "VARCHAR":
            continue
        (total,), notes = both.sql(f"CAST(sum({value}) AS DOUBLE)")
        expected, _ = both.total(path)
        if not same_number(total or 0.0, expected) and not _left_out(notes, path):
            yield f"sum({path}) of {kind}: lake {total}, source {expected}, notes {notes!r}"
        for function in ("min", "max"):
            (found,), notes = both.sql(f"CAST({function}({value}) AS DOUBLE)")
            match = {"$match": {path: {"$type": "number"}}}
            group = {"$group": {"_id": None, "v": {f"${function}": f"${path}"}}}
            answers = both.pipeline(match, group)
            wanted = plain(answers[0]["v"]) if answers else None
            if not same_number(found, wanted) and not _left_out(notes, path):
                yield f"{function}({path}) of {kind}: lake {found}, source {wanted}"


def _groups(both: Both) -> Iterator[str]:
    """Equality filters: words as text, numbers as numbers, UUIDs as text."""
    for name in (*NAMES, "meta.k"):
        kind = both.type_of(name)
        if kind == "VARCHAR":
            for word in ("error", "ok", ""):
                yield from _equal(both, name, kind, f"'{word}'", word)
            yield from _equal(both, name, kind, f"'{uuid.UUID(int=1)}'", _UUIDS[0])
        elif is_number(kind):
            for number in (0, 2, 2.5):
                yield from _equal(both, name, kind, str(number), number)
        elif kind == "BOOLEAN":
            yield from _equal(both, name, kind, "true", True)


def _equal(both: Both, name: str, kind: str, literal: str, value: Any) -> Iterator[str]:
    (found,), notes = both.sql("count(*)", f"{name} = {literal}")
    expected = len(both.pipeline({"$match": {name: value}}, {"$project": {"_id": 1}}))
    if found != expected and not _left_out(notes, name):
        yield f"{name} = {literal} of {kind}: lake {found}, source {expected}, notes {notes!r}"


def _lists(both: Both) -> Iterator[str]:
    for path, item, unwind in (("list", "v", "list"), ("parts", "v.n", "parts")):
        kind = both.type_of(path)
        if not kind.endswith("[]"):
            continue
        inner = f"(SELECT sum(CAST({item} AS DOUBLE)) FROM unnest({path}) AS u(v))"
        (total,), notes = both.sql(f"sum({inner})")
        source = "list" if path == "list" else "parts.n"
        expected, _ = both.total(source, {"$unwind": f"${unwind}"})
        if not same_number(total or 0.0, expected) and not _left_out(notes, path):
            yield f"sum over {path} of {kind}: lake {total}, source {expected}, notes {notes!r}"
