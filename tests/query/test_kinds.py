"""Types of columns."""

from __future__ import annotations

import duckdb
import pytest

from lake.base.errors import BadData
from lake.query.failures import spelled
from lake.query.kinds import kind_of, parsed_type, widest


@pytest.mark.parametrize(
    ("kind", "other", "both"),
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
        ("BOOLEAN", "INTEGER", None),
        ("VARCHAR", "BIGINT", None),
    ],
)
def test_the_number_type_that_holds_two(kind: str, other: str, both: str | None) -> None:
    assert widest([kind, other]) == widest([other, kind, kind]) == both


def test_a_type_that_no_table_has() -> None:
    with pytest.raises(BadData, match=r"interval\[month\]"):
        kind_of({"name": "x", "type": "interval[month]"})


def test_the_transaction_of_the_default_connection_is_left_alone() -> None:
    rows = duckdb.sql("FROM range(100_000)")
    first = rows.fetchone()  # a transaction that goes on
    with pytest.raises(duckdb.Error):
        parsed_type("STRUCT(")
    assert spelled("select") == '"select"'
    assert [first, *rows.fetchall()] == [(n,) for n in range(100_000)]
