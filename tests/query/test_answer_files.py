"""`lake query --parquet`, `--arrow` and `--xlsx`, read by other libraries."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import openpyxl
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lake.base.errors import PermanentError
from lake.cli.excel import MAX_CHARACTERS, MAX_ROWS

_VALUES = """
SELECT 9007199254740993 AS big, 1234567890123456 AS id, 123456789012345 AS fits,
       0.30000000000000004::DECIMAL(20, 17) AS longer, 1234567890.12345::DECIMAL(38, 20) AS padded,
       12345678901234567890.10::DECIMAL(38, 2) AS exact, 0.1::DOUBLE AS f,
       1.50::DECIMAL(5, 2) AS price, 'nan'::DOUBLE AS nan, NULL AS nothing, '' AS empty,
       '=1+1' AS formula, true AS yes, DATE '2026-07-01' AS d, DATE '1850-01-01' AS old,
       TIMESTAMPTZ '2026-07-01 12:00:00.5+09' AS ts, '\\xFF'::BLOB AS bytes, 'a_x0041_b\x01' AS odd,
       {'a': 1} AS s, MAP {'k': 1} AS m, 1 AS yes
"""


@pytest.fixture
def lake(make_lake, table):
    lake = make_lake("events")
    for day in ("2026-07-01", "2026-07-03"):
        lake.put("events", day, table(n=[1, 2]))
    return lake


@pytest.mark.parametrize("form", ["parquet", "arrow"])
def test_every_value_as_the_query_has_it(lake, run, tmp_path: Path, form: str) -> None:
    file = tmp_path / "answer"
    status, out, err = run("query", _VALUES, f"--{form}", file, "--config", lake.config)
    assert (status, out, err) == (0, "", f"1 row in {file}\n")
    read = pq.read_table(file) if form == "parquet" else pa.ipc.open_file(file).read_all()
    (row,) = read.to_pylist()
    assert pd.isna(row.pop("nan"))
    assert row == {
        "big": 9007199254740993,
        "id": 1234567890123456,
        "fits": 123456789012345,
        "longer": Decimal("0.30000000000000004"),
        "padded": Decimal("1234567890.12345"),
        "exact": Decimal("12345678901234567890.10"),
        "f": 0.1,
        "price": Decimal("1.50"),
        "nothing": None,
        "empty": "",
        "formula": "=1+1",
        "yes": True,
        "d": date(2026, 7, 1),
        "old": date(1850, 1, 1),
        "ts": datetime(2026, 7, 1, 3, 0, 0, 500_000, UTC),
        "bytes": b"\xff",
        "odd": "a_x0041_b\x01",
        "s": {"a": 1},
        "m": [("k", 1)],
        "yes_1": 1,
    }
    assert read.schema.field("ts").type == pa.timestamp("us", "UTC")


def test_a_workbook_has_cells_of_their_types(lake, run, tmp_path: Path) -> None:
    file = tmp_path / "answer.xlsx"
    assert run("query", _VALUES, "--xlsx", file, "--config", lake.config)[0] == 0
    header, cells = openpyxl.load_workbook(file)["answer"].iter_rows()
    row = {name.value: cell for name, cell in zip(header, cells, strict=True)}
    values = {name: cell.value for name, cell in row.items()}
    assert values == {
        "big": "9007199254740993",
        "id": "1234567890123456",
        "fits": 123456789012345,
        "longer": "0.30000000000000004",
        "padded": 1234567890.12345,
        "exact": "12345678901234567890.10",
        "f": 0.1,
        "price": 1.5,
        "nan": "NaN",
        "nothing": None,
        "empty": values["empty"],
        "formula": "=1+1",
        "yes": True,
        "d": datetime(2026, 7, 1),  # noqa: DTZ001  a cell has no time zone
        "old": "1850-01-01",
        "ts": datetime(2026, 7, 1, 3, 0, 0, 500_000),  # noqa: DTZ001
        "bytes": "/w==",
        "odd": values["odd"],
        "s": '{"a": 1}',
        "m": '{"k": 1}',
        "yes_1": 1,
    }
    assert row["formula"].data_type == "s" or row["formula"].data_type == "inlineStr"
    assert values["empty"] in ("", None)
    assert openpyxl.utils.escape.unescape(values["odd"]) == "a_x0041_b\x01"
    assert row["d"].number_format == "yyyy-mm-dd"
    assert row["ts"].number_format.startswith("yyyy-mm-dd hh:mm:ss")


def test_values_beyond_excels_are_text(lake, run, tmp_path: Path) -> None:
    """Of a time that Excel would round into the year 10000 it shows an error."""
    file = tmp_path / "answer.xlsx"
    sql = "SELECT 'infinity'::TIMESTAMPTZ, TIMESTAMP '9999-12-31 23:59:59.999', INTERVAL 3 MONTH"
    assert run("query", sql, "--xlsx", file, "--config", lake.config)[0] == 0
    _, cells = openpyxl.load_workbook(file).active.iter_rows()
    assert [cell.data_type for cell in cells] == ["s", "d", "s"]
    assert cells[1].value.isoformat() == "9999-12-31T23:59:59.999000"
    assert cells[2].value == "3 months"


@pytest.mark.parametrize("form", ["parquet", "arrow"])
@pytest.mark.parametrize("kind", ["VARIANT", "VARIANT[]", "BIGNUM"])
def test_a_type_that_the_format_lacks_is_named(lake, run, tmp_path: Path, form, kind) -> None:
    value = "[1]" if kind.endswith("[]") else "1"
    sql = f"SELECT {value}::{kind} AS a"
    status, _, err = run("query", sql, f"--{form}", tmp_path / "x", "--config", lake.config)
    assert (status, list(tmp_path.glob("x*"))) == (2, [])
    assert "has no type for" in err
    assert kind.removesuffix("[]") in err


@pytest.mark.parametrize("form", ["parquet", "arrow"])
def test_names_like_types_are_no_types(lake, run, tmp_path: Path, form: str) -> None:
    sql = (
        """SELECT {'INTERVAL': 1, 'a"''BIT"b': 2} AS s, 'BIT'::ENUM ('BIT', 'it''s UNION(') AS e"""
    )
    file = tmp_path / "x"
    assert run("query", sql, f"--{form}", file, "--config", lake.config)[0] == 0
    read = pq.read_table(file) if form == "parquet" else pa.ipc.open_file(file).read_all()
    assert read.to_pylist() == [{"s": {"INTERVAL": 1, 'a"\'BIT"b': 2}, "e": "BIT"}]


def test_a_long_answer_is_streamed_in_order(lake, run, tmp_path: Path) -> None:
    question = "SELECT i, repeat('x', 100) || i AS t FROM range(300000) t(i)"
    file = tmp_path / "long.parquet"
    assert run("query", question, "--parquet", file, "--config", lake.config)[0] == 0
    read = pq.ParquetFile(file)
    assert read.metadata.num_rows == 300_000
    assert read.num_row_groups == 3
    assert read.read(["i"])["i"].to_pylist() == list(range(300_000))


@pytest.mark.parametrize("form", ["parquet", "arrow", "xlsx"])
def test_an_answer_without_rows_and_what_the_days_lack(lake, run, tmp_path: Path, form) -> None:
    file = tmp_path / f"none.{form}"
    question = "SELECT n FROM events WHERE n > 5"
    status, _, err = run("query", question, f"--{form}", file, "--config", lake.config)
    assert status == 0
    assert err.splitlines() == [
        "events: 1 of 3 days from 2026-07-01 to 2026-07-03 is not in the lake (2026-07-02)",
        f"0 rows in {file}",
    ]
    read = {
        "parquet": lambda: list(pq.read_table(file).to_pandas()["n"]),
        "arrow": lambda: list(pa.ipc.open_file(file).read_pandas()["n"]),
        "xlsx": lambda: [row[0].value for row in openpyxl.load_workbook(file).active][1:],
    }[form]
    assert read() == []


@pytest.mark.parametrize("form", ["parquet", "arrow", "xlsx"])
def test_half_an_answer_is_no_file(lake, run, tmp_path: Path, form: str) -> None:
    file = tmp_path / "answer"
    file.write_text("before")
    before = sorted(tmp_path.iterdir())
    question = (
        "SELECT CASE WHEN i = 30000 THEN error('boom') ELSE i END AS i FROM range(40000) t(i)"
    )
    status, out, err = run("query", question, f"--{form}", file, "--force", "--config", lake.config)
    assert (status, out) == (1, "")
    assert "boom" in err
    assert sorted(tmp_path.iterdir()) == before
    assert file.read_text() == "before"


def test_a_damaged_object_is_named(lake, run, tmp_path: Path) -> None:
    lake.store.write("tables/events/day=2026-07-03/data.parquet", b"broken")
    out = tmp_path / "x.parquet"
    status, _, err = run("query", "FROM events", "--parquet", out, "--config", lake.config)
    assert status == 1
    assert "2026-07-03/data.parquet" in err
    assert "lake verify" in err


@pytest.mark.parametrize(
    "command", [("query", "SELECT 1 AS a", "--force", "--parquet"), ("catalog",)]
)
def test_a_link_stays(lake, run, tmp_path: Path, command: tuple[str, ...]) -> None:
    file, link = tmp_path / "folder" / "file", tmp_path / "link"
    file.parent.mkdir()
    link.symlink_to(file)
    for _ in range(2):
        assert run(*command, link, "--config", lake.config)[0] == 0
    assert link.readlink() == file
    assert file.stat().st_size > 0
    assert list(file.parent.iterdir()) == [file]


def test_a_file_is_replaced_only_on_request(lake, run, tmp_path: Path) -> None:
    file, config = tmp_path / "answer.parquet", ("--config", lake.config)
    file.write_text("mine")
    status, _, err = run("query", "SELECT 1 AS a", "--parquet", file, *config)
    assert (status, file.read_text()) == (2, "mine")
    assert "--force" in err
    assert run("query", "SELECT 1 AS a", "--parquet", file, "--force", *config)[0] == 0
    assert pq.read_table(file).to_pylist() == [{"a": 1}]


def test_a_new_file_has_the_usual_permissions_and_a_replaced_one_its_own(
    lake, run, tmp_path: Path
) -> None:
    file = tmp_path / "answer.parquet"
    command = ("query", "SELECT 1 AS a", "--force", "--parquet", file, "--config", lake.config)
    umask = os.umask(0o027)
    try:
        for mode in (0o640, 0o600):
            assert run(*command)[0] == 0
            assert file.stat().st_mode & 0o777 == mode
            file.chmod(0o600)
    finally:
        os.umask(umask)


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["SELECT 1", "--parquet", "{}/x", "--csv"], "--csv and --parquet exclude each other"),
        (["SELECT 1", "--parquet", "{}/x", "--xlsx", "{}/y"], "exclude each other"),
        (["SELECT 1", "--parquet", ""], "--parquet names no file"),
        (["SELECT 1", "--xlsx", "", "--json"], "exclude each other"),
        (["SELECT 1", "--force"], "--force without a file"),
        (["SELECT 1", "--arrow", "{}/no/x"], "no such directory"),
        (["SELECT 1", "--arrow", "{}"], "not a file"),
        (["SELECT 1", "--xlsx", "{}/" + "x" * 300], "found: file name too long"),
        (["SELECT INTERVAL 1 DAY AS i", "--parquet", "{}/x"], "Parquet has no type for a column"),
        (["SELECT 1::UHUGEINT AS i", "--arrow", "{}/x"], "Arrow has no type for a column"),
        (["SELECT repeat('x', 32768) AS t", "--xlsx", "{}/x"], "too many characters in a cell"),
        (["SELECT 1 FROM nowhere", "--arrow", "{}/x"], "the tables are events"),
    ],
)
def test_wrong_usage(lake, run, tmp_path: Path, arguments: list[str], text: str) -> None:
    folder = tmp_path / "out"
    folder.mkdir()
    status, out, err = run("query", *(a.format(folder) for a in arguments), "--config", lake.config)
    assert (status, out) == (2, "")
    assert text in err
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("form", ["parquet", "arrow", "xlsx"])
def test_standard_output_is_the_file_alone(lake, form: str) -> None:
    command = ["query", "SELECT 7 AS n", f"--{form}", "-", "--config", lake.config]
    done = subprocess.run(
        [sys.executable, "-m", "lake", *map(str, command)], capture_output=True, check=True
    )
    assert done.stderr == b"1 row in standard output\n"
    assert _read_n(form, io.BytesIO(done.stdout)) == [7]


def _read_n(form: str, file: io.BytesIO) -> list[object]:
    if form == "parquet":
        return pq.read_table(file)["n"].to_pylist()
    if form == "arrow":
        return pa.ipc.open_file(file).read_all()["n"].to_pylist()
    return [row[0].value for row in openpyxl.load_workbook(file).active][1:]


def test_a_sheet_has_a_last_row(lake, run, tmp_path: Path, monkeypatch) -> None:
    assert (MAX_ROWS + 1, MAX_CHARACTERS) == (2**20, 2**15 - 1)
    monkeypatch.setattr("lake.cli.excel.MAX_ROWS", 10)
    config, file = ("--config", lake.config), tmp_path / "x.xlsx"
    assert run("query", "FROM range(10)", "--xlsx", file, *config)[0] == 0
    assert openpyxl.load_workbook(file).active.max_row == 11
    packed = []
    monkeypatch.setattr("xlsxwriter.Workbook.close", lambda *_: packed.append(1))
    status, _, err = run("query", "FROM range(11)", "--xlsx", file, "--force", *config)
    assert packed == []  # of a million rows that takes as long as the query
    assert (status, openpyxl.load_workbook(file).active.max_row) == (2, 11)
    assert "too many rows for an Excel sheet" in err


def test_a_data_frame(lake) -> None:
    with lake.connect() as session:
        frame = session.sql("SELECT day, sum(n) AS n FROM events GROUP BY day ORDER BY day").df()
    assert frame["n"].tolist() == [3, 3]
    assert frame["day"].dt.date.tolist() == [date(2026, 7, 1), date(2026, 7, 3)]


def test_numbers_that_a_data_frame_rounds(lake) -> None:
    """As the reference says: pandas has neither of these types."""
    sql = "SELECT sum(9007199254740993) AS s, 0.1::DECIMAL(3, 2) AS d"
    exact = {"s": Decimal(9007199254740993), "d": Decimal("0.10")}
    with lake.connect() as session:
        rounded = session.sql(sql).df().to_dict("records")
        assert session.sql(sql).to_arrow_table().to_pandas().to_dict("records") == [exact]
        assert session.rows(sql) == [exact]
    assert rounded == [{"s": 9007199254740992.0, "d": 0.1}]


def test_a_value_that_python_cannot_hold_is_text_or_an_error(lake, run) -> None:
    sql = "SELECT INTERVAL 10000000 YEARS AS i"
    status, out, _ = run("query", sql, "--csv", "--config", lake.config)
    assert (status, out) == (0, "i\n10000000 years\n")
    with lake.connect() as session, pytest.raises(PermanentError, match="CAST it in the SQL"):
        session.rows(sql)
