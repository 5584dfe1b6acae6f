"""SQL over the tables of collections answers as MongoDB's own language does, on both servers.

Each question is put to both. Where a column leaves values out, the query has to say how many:
then the answer is that of the others.
"""

from __future__ import annotations

import random
import uuid
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pymongo
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pymongo.collection import Collection
from support.both_sides import Both, Part, exact, left_out
from support.documents import DATES, FIRST, NAMES, UUIDS, WORDS, Document, days_of_documents
from support.lakes import examples, exported, same_number
from support.on_request import needed

from lake.base.day import Day, day_range
from lake.servers import start


@dataclass(frozen=True)
class Server:
    """A server of MongoDB's protocol. FerretDB 1 takes neither decimals nor infinities."""

    uri: str
    collection: Collection[Document]
    all_numbers: bool


@dataclass(frozen=True)
class Question:
    """An aggregate in SQL over the column `path`, and the source's answer."""

    path: str
    sql: str
    expected: float | None
    what: str = "value"  # "value", "total" or "rows", of which fewer may be found


@pytest.fixture(scope="module", params=["mongo", "ferretdb"])
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    name = f"oracle_{uuid.uuid4().hex[:12]}"
    if request.param == "ferretdb":
        needed("ferretdb")
    with start([request.param]) as stack:
        uri = stack.endpoints[request.param]["uri"]
        with pymongo.MongoClient[Document](uri, tz_aware=True) as client:
            collection = client[name]["docs"]
            collection.create_index("timestamp")
            yield Server(uri, collection, all_numbers=request.param == "mongo")


def ranges(days: Sequence[object], chance: random.Random) -> set[tuple[Day, Day]]:
    """All days, and one of them."""
    single = FIRST.plus(chance.randrange(len(days)))
    return {(FIRST, FIRST.plus(len(days))), (single, single.plus(1))}


@examples(10)
@pytest.mark.slow
@given(st.data())
def test_answers(server, data):
    days = data.draw(days_of_documents(whole=server.all_numbers))
    chance = random.Random(data.draw(st.integers(0, 999)))
    server.collection.delete_many({})
    server.collection.insert_many(document for day in days for document in day)
    sections = f"""
[sources.mongo]
uri = "{server.uri}"
database = "{server.collection.database.name}"
[hot]
mongo = 10000
[[dataset]]
name = "docs"
source = "mongo"
collection = "docs"
time_field = "timestamp"
"""
    end = FIRST.plus(len(days))
    with exported(sections, list(day_range(FIRST, end))) as lake:
        for first, last in ranges(days, chance):
            both = Both(lake, server.collection, days, first, last)
            assert list(differences(both, chance)) == [], (first, last)


def differences(both: Both, chance: random.Random) -> Iterator[str]:
    """What the sides say otherwise."""
    equalities = list(_equalities(both, chance))
    questions = [*_counts(both), *_numbers(both), *_lists(both)]
    columns = [q.sql for q in questions]
    columns += [f"count(*) FILTER (WHERE {q.sql})" for q in equalities]
    answer = both.sql(", ".join(["count(*)", *columns]))
    ((rows, *values),) = list(answer.rows)
    notes = left_out(answer.notes)
    if both.has_numbered_documents and not is_number(both.types["_id"]):
        yield f"_id: {both.types['_id']}, the source has numbers alone"
    if rows != both.documents():
        yield f"count(*): lake {rows}, source {both.documents()}"
    for question, number in zip([*questions, *equalities], values, strict=True):
        yield from _compared(both, question, number, notes)
    # As a filter, which may leave out row groups by their statistics, or as GROUP BY.
    if equalities and chance.randrange(2):
        question = chance.choice(equalities)
        answer = both.sql("count(*)", f"WHERE {question.sql}")
        ((number,),) = list(answer.rows)
        yield from _compared(both, question, number, left_out(answer.notes))
        return
    grouped = [path for path in (*NAMES, "meta.k", "meta.n") if path in both.types]
    for path in chance.sample(grouped, min(1, len(grouped))):
        yield from _groups(both, path)


def _compared(both: Both, question: Question, number: Any, notes: dict[str, int]) -> Iterator[str]:
    """Exactly, unless the notes say that the column leaves values out."""
    missing = sum(n for path, n in notes.items() if _concerns(path, question.path))
    expected = question.expected
    if question.what == "total":
        same = number + missing == expected
    elif not missing:
        same = same_number(None if number is None else float(number), expected)
    else:
        same = question.what == "value" or number <= expected
    if not same:
        kind = both.types.get(question.path)
        yield f"{question}: {kind}, lake {number}, source {expected}, notes {notes}"


def _concerns(path: str, column: str) -> bool:
    """Whether a path is the column, in any spelling, or part of it."""
    return path.lower() == column.lower() or path.lower().startswith(f"{column.lower()}.")


def _counts(both: Both) -> Iterator[Question]:
    for name in NAMES:
        if name in both.types:
            number = both.count(both.whole(name), {"$ne": None})
            yield Question(name, f"count({name})", number, "total")


def _numbers(both: Both) -> Iterator[Question]:
    for path in (*NAMES, "meta.n", *(["_id"] if both.has_numbered_documents else [])):
        kind = both.types.get(path, "")
        if not is_number(kind) and kind != "VARCHAR":
            continue
        value = path if is_number(kind) else f"TRY_CAST({path} AS DOUBLE)"
        parts = both.parts(path)
        yield Question(path, f"coalesce(CAST(sum({value}) AS DOUBLE), 0)", both.total(parts))
        for function, direction in (("min", 1), ("max", -1)):
            expected = both.extreme(parts, direction)
            yield Question(path, f"CAST({function}({value}) AS DOUBLE)", expected)
        if is_number(kind):
            distinct = len(_numbers_of(both, parts, kind))
            yield Question(path, f"count(DISTINCT {path})", distinct, "rows")


def _equalities(both: Both, chance: random.Random) -> Iterator[Question]:
    """Words, dates and UUIDs as text, numbers as numbers: some of each column's."""
    for path in (*NAMES, "meta.k", "meta.n"):
        parts = both.parts(path)
        literals = _literals(both.types.get(path, ""))
        for literal, value in chance.sample(literals, min(3, len(literals))):
            yield Question(path, f"{path} = {literal}", both.count(parts, value), "rows")


def _literals(kind: str) -> list[tuple[str, Any]]:
    """SQL and the value in MongoDB."""
    numbers = [(str(number), number) for number in (0, 2, 2.5)]
    if is_number(kind):
        return [*numbers, ("-0.25", -0.25)]
    match kind:
        case "VARCHAR":
            words = [(f"'{word}'", word) for word in WORDS]
            texts = [(f"'{text}'", number) for text, number in numbers]
            return [
                *words,
                *texts,
                (f"'{uuid.UUID(int=1)}'", UUIDS[0]),
                (f"'{DATES[2]:%Y-%m-%d}T00:00:00.000Z'", DATES[2]),
                ("'true'", True),
            ]
        case "BOOLEAN":
            return [("true", True), ("false", False)]
        case "TIMESTAMP WITH TIME ZONE":
            return [(f"TIMESTAMPTZ '{DATES[2]}'", DATES[2])]
    return []


def _groups(both: Both, path: str) -> Iterator[str]:
    kind = both.types[path]
    answer = both.sql(f"{path}, count(*)", "GROUP BY ALL")
    counts = {exact(value): count for value, count in answer.rows if _hashable(value)}
    notes = left_out(answer.notes)
    if any(_concerns(left, path) for left in notes):
        return
    if is_number(kind):
        expected = _numbers_of(both, both.parts(path), kind)
        counts.pop(None, None)
    elif kind == "VARCHAR":
        expected = both.groups(both.parts(path), "string")
        counts = {word: count for word, count in counts.items() if word in WORDS}
    else:
        return
    if Counter(counts) != expected:
        yield f"GROUP BY {path} of {kind}: lake {counts}, source {expected}"


def _numbers_of(both: Both, parts: Sequence[Part], kind: str) -> Counter[Any]:
    """How often each number is there. Over days of different types DOUBLE rounds."""
    several_days = both.start.plus(1) < both.end
    numbers: Counter[Any] = Counter()
    for number, count in both.groups(parts, "number").items():
        numbers[exact(float(number)) if kind == "DOUBLE" and several_days else number] += count
    return numbers


def _hashable(value: Any) -> bool:
    return not isinstance(value, (dict, list))


def _lists(both: Both) -> Iterator[Question]:
    for path, item, inside in (("list", "v", "list"), ("parts", "v.n", "parts.n")):
        if both.types.get(path, "").endswith("[]"):
            inner = f"(SELECT sum(CAST({item} AS DOUBLE)) FROM unnest({path}) AS u(v))"
            expected = both.total(both.whole(inside), path)
            yield Question(path, f"coalesce(sum({inner}), 0)", expected)


def is_number(kind: str) -> bool:
    return kind.startswith(("DECIMAL", "DOUBLE", "BIGINT", "HUGEINT"))
