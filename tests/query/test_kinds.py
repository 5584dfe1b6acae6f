"""The type that holds two others."""

from __future__ import annotations

import pytest

from lake.base.errors import BadData
from lake.query.kinds import MIXED, NOTHING, ListOf, Plain, Struct, kind_of, sql_type, united


@pytest.mark.parametrize(
    ("one", "other", "both"),
    [
        ("TINYINT", "BIGINT", "BIGINT"),
        ("UTINYINT", "SMALLINT", "SMALLINT"),
        ("UINTEGER", "INTEGER", "BIGINT"),
        ("UTINYINT", "TINYINT", "SMALLINT"),
        ("UBIGINT", "BIGINT", "HUGEINT"),
        ("UINTEGER", "UBIGINT", "UBIGINT"),
        ("INTEGER", "DOUBLE", "DOUBLE"),
        ("FLOAT", "DOUBLE", "DOUBLE"),
        ("INTEGER", "DECIMAL(5,2)", "DECIMAL(12,2)"),
        ("DECIMAL(10,8)", "DECIMAL(10,0)", "DECIMAL(18,8)"),
        ("DECIMAL(38,30)", "DECIMAL(38,0)", "DOUBLE"),
        ("DECIMAL(5,2)", "DOUBLE", "DOUBLE"),
        ("BOOLEAN", "INTEGER", MIXED.name),
        ("VARCHAR", "BIGINT", MIXED.name),
        ("TIMESTAMP", "TIMESTAMP WITH TIME ZONE", MIXED.name),
        ("DATE", NOTHING.name, "DATE"),
        ("VARCHAR", MIXED.name, MIXED.name),
    ],
)
def test_plain_kinds(one: str, other: str, both: str) -> None:
    assert united(Plain(one), Plain(other)) == united(Plain(other), Plain(one)) == Plain(both)


def test_nested_kinds() -> None:
    left = Struct((("a", Plain("INTEGER")), ("L", ListOf(Plain("INTEGER")))))
    right = Struct((("b", Plain("DATE")), ("l", ListOf(Plain("DOUBLE")))))
    assert sql_type(united(left, right)) == 'STRUCT("b" DATE, "a" INTEGER, "L" DOUBLE[])'
    assert united(left, ListOf(left)) == united(ListOf(left), Plain("VARCHAR")) == MIXED
    assert united(left, NOTHING) == united(NOTHING, left) == left


def test_a_type_that_no_table_has() -> None:
    with pytest.raises(BadData, match=r"interval\[month\]"):
        kind_of({"name": "x", "type": "interval[month]"})
