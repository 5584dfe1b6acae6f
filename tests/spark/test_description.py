"""The description for Spark, without a Spark: what it names and what it refuses."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path

import pyarrow as pa
import pytest
from click.testing import CliRunner, Result
from support import spark_jars
from support.hand_made import HandMadeLake, hand_made_lake

from lake.cli.main import root
from lake.query.failures import WrongSQL
from lake.spark.description import FORM
from lake.spark.dialect import in_spark, spark_expression


def call(lake: HandMadeLake, *arguments: str) -> Result:
    return CliRunner().invoke(root, [*arguments, "--config", str(lake.config)], prog_name="lake")


def test_days_with_rows_and_their_files(tmp_path: Path) -> None:
    lake = hand_made_lake(tmp_path, "events")
    lake.put("events", "2026-07-01", pa.table({"n": [1], "_rest": pa.nulls(1, pa.string())}))
    lake.put("events", "2026-07-02", pa.table({"n": [1.5], "_rest": pa.nulls(1, pa.string())}))
    lake.put("events", "2026-07-03", pa.table({"n": [2]}))
    lake.put("events", "2026-07-04", pa.table({"n": ["text"]}).slice(0, 0))
    file = tmp_path / "lake.spark.json"
    done = call(lake, "catalog", str(file), "--spark", "--json")
    assert json.loads(done.stdout)["views"] == ["events"]
    described = json.loads(file.read_text())
    assert described["root"] == f"file://{tmp_path}/lake"
    (table,) = described["tables"]
    assert table["schema"] == "`day` DATE, `n` DOUBLE, `_rest` STRING"
    files = [group["files"] for group in table["groups"]]
    keys = [f"tables/events/day=2026-07-0{day}/data.parquet" for day in (1, 2, 3)]
    assert files == [[keys[0], keys[2]], [keys[1]]]
    assert table["groups"][0]["columns"][1] == "CAST(`n` AS DOUBLE) AS `n`"
    assert table["notes"] == ["n is DOUBLE: numbers that it rounds are exact in DuckDB's _rest"]


@pytest.mark.parametrize("label", [True, False])
def test_the_level_stands_where_duckdb_has_it(tmp_path: Path, label: bool) -> None:
    lake = hand_made_lake(tmp_path, "container_logs")
    labels = {"level": ["Notice"], "app": ["a"]} if label else {"app": ["a"]}
    lake.put("container_logs", "2026-07-01", pa.table({"stream_id": [1], "line": ["x"], **labels}))
    file = tmp_path / "lake.spark.json"
    assert call(lake, "catalog", str(file), "--spark").exit_code == 0
    (table,) = json.loads(file.read_text())["tables"]
    named = [text.rpartition(" AS ")[2].strip("`")
             for text in table["variants"]["container_logs_with_level"]]  # fmt: skip
    with lake.connect() as session:
        assert named == list(session.ask("FROM container_logs_with_level").columns)


def test_a_file_of_another_kind_stays(tmp_path: Path) -> None:
    lake = hand_made_lake(tmp_path, "events")
    (tmp_path / "notes.json").write_text('{"form": "mine"}')
    done = call(lake, "catalog", str(tmp_path / "notes.json"), "--spark")
    assert "not a description of a lake" in str(done.exception)
    assert json.loads((tmp_path / "notes.json").read_text()) == {"form": "mine"}


def test_a_trend_is_printed_alone(tmp_path: Path) -> None:
    lake = hand_made_lake(tmp_path, "events")
    lake.put("events", "2026-07-01", pa.table({"n": [1]}))
    days = ("--from", "2026-07-01", "--to", "2026-07-08", "--spark")
    done = call(lake, "trend", "documents", *days)
    assert done.exit_code == 0, done.output
    assert "FROM `events` WHERE day >= DATE '2026-07-01' AND day < DATE '2026-07-08'" in done.output
    done = call(lake, "trend", "documents", *days, "--weekly")
    assert "--spark prints one query" in str(done.exception)


def test_what_spark_lacks_is_named() -> None:
    where = Path("mine.sql")
    with pytest.raises(WrongSQL, match=r"mine\.sql[\s\S]*the macro sketch_quantile"):
        in_spark("SELECT sketch_quantile(s, 0.5) FROM t", {}, where)
    with pytest.raises(WrongSQL, match=r"the parameter \$other"):
        in_spark("SELECT $other FROM t", {"from_day": "2026-07-01"}, where)
    with pytest.raises(WrongSQL, match="sqlglot does not read"):
        in_spark("SELECT FROM WHERE", {}, where)


def test_integers_are_rounded_as_in_duckdb() -> None:
    cast = 'TRY_CAST("llm"."n" AS BIGINT)'
    assert spark_expression(cast, "rint").lower() == "try_cast(rint(`llm`.`n`) as bigint)"
    assert spark_expression(cast) == "TRY_CAST(`llm`.`n` AS BIGINT)"
    assert spark_expression("labels['Host']") == "labels['Host']"


def test_the_reader_takes_what_is_written() -> None:
    """The file in deploy/ stands alone: PySpark is not here."""
    reader = Path(__file__).parents[2] / "deploy/spark/lake_tables.py"
    assert f'FORM = "{FORM}"' in reader.read_text("utf-8")


@pytest.mark.parametrize("call", ["period_start(day, 'year', $from_day)", "period_start(day)"])
def test_a_macro_with_other_arguments_is_named(call: str) -> None:
    with pytest.raises(WrongSQL, match="Spark lacks") as raised:
        in_spark(f"SELECT {call} FROM t", {"from_day": date(2026, 7, 1)}, Path("x.sql"))
    assert "PERIOD_START" in raised.value.parts["found"].upper()


def test_the_page_names_the_jars_of_the_tests() -> None:
    page = (Path(__file__).parents[2] / "docs/engines.md").read_text("utf-8")
    assert f"--packages {','.join(spark_jars.coordinates())} " in page


def test_jars_of_the_users_own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv(spark_jars.FOLDER, str(tmp_path / "jars"))
    packages = ",".join(spark_jars.coordinates())
    assert spark_jars.settings() == {"spark.jars.packages": packages}
    (tmp_path / "jars").mkdir()
    for name in spark_jars.coordinates():
        _, artifact, version = name.split(":")
        (tmp_path / "jars" / f"{artifact}-{version}.jar").touch()
    (jars,) = spark_jars.settings().items()
    assert jars[0] == "spark.jars"
    assert all(Path(path).parent == tmp_path / "jars" for path in jars[1].split(","))
