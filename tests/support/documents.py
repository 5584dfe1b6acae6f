"""Random documents of a few days, whose fields drift in type, spelling and shape.

Belongs here: content. Does not: questions, servers.
"""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Mapping
from typing import Any

import bson
from bson import Decimal128, Int64
from hypothesis import strategies as st

from lake.base.day import Day, day_range

FIRST = Day.parse("2026-03-02")
Document = dict[str, Any]

UUIDS = [bson.Binary(uuid.UUID(int=number).bytes, 4) for number in (1, 2)]
WORDS = ("error", "ok", "", "läuft", "x y")
DATES = [dt.datetime(2026, 1, 1 + n, tzinfo=dt.UTC) for n in range(6)]
# Two of the names differ only in case.
NAMES = ("x", "y", "userId", "userid")

_INTS = st.one_of(st.integers(-9, 9), st.integers(-9, 9).map(Int64))
_DOUBLES = st.integers(-40, 40).map(lambda n: n / 4)
_DECIMALS = st.sampled_from(["1.10", "2.5", "3", "-0.25", "19.99", "1E+2"]).map(Decimal128)
_WORDS = st.sampled_from(WORDS)
# Whose sums are int64: beyond that the test's server fails, where MongoDB answers a double.
_LARGE = st.sampled_from([Int64(2**53 + 1), Int64(-(2**55)), 1e300, 0.1])
_LONG = st.sampled_from(["0.1", "1E-30", "9" * 34]).map(Decimal128)
# What a field holds on one day: mostly the first, sometimes the others.
_COMMON: Mapping[str, list[st.SearchStrategy[Any]]] = {
    "ints": [_INTS],
    "doubles": [_DOUBLES],
    "ints and doubles": [_INTS, _DOUBLES],
    "binary numbers": [_INTS, _DOUBLES, _LARGE],
    "words": [_WORDS],
    "words and numbers": [_WORDS, _INTS],
    "numbers and words": [_DOUBLES, _WORDS],
    "bools": [st.booleans()],
    "dates": [st.sampled_from(DATES)],
    "uuids": [st.sampled_from(UUIDS)],
    "nothing": [st.none()],
    "documents and words": [st.fixed_dictionaries({"a": _INTS}), _WORDS],
}
_MONGODB: Mapping[str, list[st.SearchStrategy[Any]]] = {
    "decimals": [_DECIMALS],
    "decimals and ints": [_DECIMALS, _INTS],
    "decimals and doubles": [_DECIMALS, _DOUBLES],
    "numbers": [_INTS, _DOUBLES, _DECIMALS, _LARGE, _LONG],
    "infinities": [_DOUBLES, st.sampled_from([float("inf"), 1e300]), _INTS],
}
_NUMBERS = ("ints", "doubles", "ints and doubles", "binary numbers", *_MONGODB)
_ABSENT = object()


def _values(kinds: Mapping[str, list[st.SearchStrategy[Any]]], kind: str) -> st.SearchStrategy[Any]:
    first, *others = kinds[kind]
    return st.one_of(first, first, *others) if others else first


@st.composite
def days_of_documents(draw: st.DrawFn, *, whole: bool) -> list[list[Document]]:
    """Documents day by day. A field has a kind a day, and may be absent or null.

    `whole`: of all numbers that MongoDB has, decimals and infinities too. Days after the first may
    be empty, and `_id` a number: it is the one column that an empty day has, too.
    """
    numbered = draw(st.integers(0, 9)) > 4
    possible = {**_COMMON, **(_MONGODB if whole else {})}
    numbers = [kind for kind in _NUMBERS if kind in possible]
    kinds = {name: draw(st.sampled_from(sorted(possible))) for name in NAMES}
    inner = draw(st.sampled_from(numbers))
    days = []
    for day in day_range(FIRST, FIRST.plus(draw(st.integers(1, 3)))):
        if draw(st.booleans()):
            kinds.pop("userid", None)
        for name in kinds:  # now and then a field changes for a day
            if draw(st.integers(0, 3)) == 0:
                kinds[name] = draw(st.sampled_from(sorted(possible)))
        if draw(st.integers(0, 3)) == 0:
            inner = draw(st.sampled_from(numbers))
        of_number = _values(possible, inner)
        shapes = {
            name: st.one_of(*[_values(possible, kind)] * 5, st.just(_ABSENT), st.none())
            for name, kind in kinds.items()
        } | {
            "meta": st.one_of(
                st.just(_ABSENT), st.fixed_dictionaries({"k": _WORDS, "n": of_number})
            ),
            "list": st.one_of(st.just(_ABSENT), st.lists(of_number, max_size=4)),
            "parts": st.one_of(
                st.just(_ABSENT), st.lists(st.fixed_dictionaries({"n": of_number}), max_size=3)
            ),
        }
        is_empty = bool(days) and draw(st.integers(0, 9)) > 6
        drawn = draw(st.lists(st.fixed_dictionaries(shapes), min_size=1, max_size=12))
        drawn = [] if is_empty else drawn
        days.append([_at(day, second, fields) for second, fields in enumerate(drawn)])
    if numbered:
        for number, document in enumerate(document for day in days for document in day):
            document["_id"] = 7 * number + 5
    return days


def _at(day: Day, second: int, fields: Document) -> Document:
    present = {name: value for name, value in fields.items() if value is not _ABSENT}
    return {"timestamp": day.start + dt.timedelta(seconds=second), **present}
