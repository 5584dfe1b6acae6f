"""The views `NAME_with_level`: log lines of real Lokis and of lakes made by hand."""

from __future__ import annotations

import json
import subprocess
import sys
import time
import uuid
from contextlib import closing
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest
import requests
from support.hand_made import HandMadeLake

from lake.base.day import Day
from lake.base.errors import ConfigError, UsageError
from lake.catalog import opening_statements, write_catalog
from lake.config.settings import Settings, load
from lake.export import Exporter
from lake.partition.definition import changed_keys
from lake.partition.layout import manifest_key, table_key
from lake.partition.ledger import read_manifest
from lake.query import Lake, connect
from lake.retired import change_retired
from lake.rollup.many import roll_up
from lake.store import open_store
from lake.systems.loki.config import LokiDataset

DAY = Day.parse("2026-03-01")
SPRING = "2026-03-01T09:00:00.123+09:00  WARN 1 --- [main] c.m.Application : slow start"
# Label sets, each with lines and what the level of each is.
STREAMS: list[tuple[dict[str, str], list[tuple[str, str | None]]]] = [
    (
        {"app": "json"},
        [
            ('{"@timestamp":"2026-03-01T00:00:00Z","level":"WARN","message":"slow"}', "warn"),
            ('{"level":50,"msg":"pino"}', "error"),
            ('{"message":"nothing here"}', None),
        ],
    ),
    (
        {"app": "logfmt"},
        [("ts=1 level=error msg=x", "error"), ("ts=2 lvl=debug msg=y", "debug")],
    ),
    ({"app": "spring"}, [(SPRING, "warn"), ("\tat com.miyou.Api.run(Api.java:118)", None)]),
    # The label names the level of lines that contain none.
    ({"app": "label", "level": "Notice"}, [("all is well", "info")]),
    ({"app": "both", "level": "warn"}, [("ERROR: of the line", "warn")]),
    ({"app": "own", "stage": "ERR"}, [("level=info of the line", "info")]),
    ({"app": "upper", "Stage": "fatal"}, [("level=debug of the line", "debug")]),
]


def push(url: str, job: str, streams: list[dict[str, object]]) -> None:
    body = {"streams": [{**s, "stream": {"job": job, **s["stream"]}} for s in streams]}  # type: ignore[dict-item]
    answer = requests.post(f"{url}/loki/api/v1/push", json=body, timeout=60)
    assert answer.status_code == 204, answer.text


def pushed_streams(url: str) -> str:
    """The value of `job`."""
    job = uuid.uuid4().hex
    push(
        url,
        job,
        [
            {
                "stream": labels,
                "values": [
                    [str(DAY.start_ns + n * 10**9 + 1), line] for n, (line, _) in enumerate(lines)
                ],
            }
            for labels, lines in STREAMS
        ],
    )
    return job


def exported(folder: Path, url: str, job: str, level_from: str) -> Lake:
    """A lake whose dataset `logs` has the day."""
    settings = configured(folder, level_from, job, url)
    with closing(Exporter(settings)) as exporter:
        exporter.export(settings.dataset[0], DAY)
    return connect(settings)


def configured(
    folder: Path, level_from: str, job: str = "j", url: str = "http://127.0.0.1:3100"
) -> Settings:
    config = folder / "lake.toml"
    config.write_text(f"""
[lake]
root = "lake"
[sources.loki]
url = "{url}"
[sources.mongo]
uri = "mongodb://127.0.0.1:27017"
database = "app"
[hot]
loki = 10000
[[dataset]]
name = "logs"
source = "loki"
selector = '{{job="{job}"}}'
{level_from}
""")
    return load(str(config), {})


def levels(lake: Lake, table: str) -> dict[str, str | None]:
    return {row["line"]: row["level"] for row in lake.rows(f"SELECT line, level FROM {table}")}


def expected(**otherwise: str | None) -> dict[str, str | None]:
    """`otherwise` by the label `app`."""
    return {
        line: otherwise.get(labels["app"], level)
        for labels, lines in STREAMS
        for line, level in lines
    }


@pytest.mark.parametrize(
    ("level_from", "otherwise"),
    [
        ("", {}),
        ('level_from = "line"', {"both": "error"}),
        ('level_from = "stage"', {"own": "error"}),
        ('level_from = ["no_such_label", "Stage", "line"]', {"upper": "fatal", "both": "error"}),
    ],
)
def test_levels_of_lines_in_a_real_loki(
    loki_url: str, tmp_path: Path, level_from: str, otherwise: dict[str, str]
) -> None:
    job = pushed_streams(loki_url)
    wait_for(loki_url, job, sum(len(lines) for _, lines in STREAMS))
    with exported(tmp_path, loki_url, job, level_from) as lake:
        day = f"(DATE '{DAY}', DATE '{DAY.plus(1)}')"
        assert levels(lake, f"logs_with_level_between{day}") == expected(**otherwise)
        assert levels(lake, "logs_with_level") == expected(**otherwise)
        # The table itself has the label as it is.
        plain = {row["level"] for row in lake.rows("SELECT DISTINCT level FROM logs")}
        assert plain == {None, "Notice", "warn"}


@pytest.mark.loki(at_least="3.5")  # 3.3 replaces a `detected_level` that is pushed
def test_metadata_goes_before_the_label_and_the_line(loki_url: str, tmp_path: Path) -> None:
    job = uuid.uuid4().hex
    at = DAY.start_ns + 1
    values = [
        [str(at), "level=debug 0", {"detected_level": "error"}],
        [str(at + 1), "level=debug 1", {"severity": "CRITICAL"}],
        [str(at + 2), "level=debug 2", {"own": "FATAL"}],
    ]
    push(loki_url, job, [{"stream": {"app": "a"}, "values": values}])
    wait_for(loki_url, job, 3)
    with exported(tmp_path, loki_url, job, 'level_from = "own"') as lake:
        by_line = levels(lake, "logs_with_level")
    # Loki detects a level from `severity` by itself, and `debug` in the last line.
    assert by_line == {
        "level=debug 0": "error",
        "level=debug 1": "critical",
        "level=debug 2": "fatal",
    }


def wait_for(url: str, job: str, lines: int) -> None:
    params = {"query": f'sum(count_over_time({{job="{job}"}}[24h]))', "time": str(DAY.end_ns - 1)}
    deadline = time.monotonic() + 60
    while True:
        answer = requests.get(f"{url}/loki/api/v1/query", params=params, timeout=30)
        if sum(int(s["value"][1]) for s in answer.json()["data"]["result"]) == lines:
            return
        assert time.monotonic() < deadline
        time.sleep(0.2)


def test_the_setting_is_no_part_of_what_is_exported(loki_url: str, tmp_path: Path) -> None:
    """Days that were exported under another one are neither different nor exported again."""
    job = pushed_streams(loki_url)
    wait_for(loki_url, job, sum(len(lines) for _, lines in STREAMS))
    exported(tmp_path, loki_url, job, 'level_from = "line"').close()
    settings = configured(tmp_path, 'level_from = ["stage"]', job, loki_url)
    manifest = read_manifest(open_store(settings), "logs", DAY)
    assert manifest is not None
    assert set(manifest.definition) == {"name", "source", "selector"}
    assert changed_keys(settings.dataset[0], manifest) == []
    with closing(Exporter(settings)) as exporter:
        exporter.export(settings.dataset[0], DAY)
    assert read_manifest(open_store(settings), "logs", DAY) == manifest
    with connect(settings) as lake:
        assert levels(lake, "logs_with_level") == expected(own="error")


# --- lakes made by hand ------------------------------------------------------------------

MAP = pa.map_(pa.string(), pa.string())


def logs(lines: list[str], **columns: list[str | None]) -> pa.Table:
    empty: list[list[tuple[str, str]]] = [[] for _ in lines]
    return pa.table(
        {
            "line": lines,
            **{name: pa.array(values, pa.string()) for name, values in columns.items()},
            "labels": pa.array(empty, MAP),
            "metadata": pa.array([None for _ in lines], MAP),
        }
    )


def hand_made(tmp_path: Path, level_from: str = "", more: str = "") -> HandMadeLake:
    settings = configured(tmp_path, f"{level_from}\n{more}")
    return HandMadeLake(tmp_path / "lake.toml", settings, open_store(settings))


OTHER = '[[dataset]]\nname = "{}"\nsource = "loki"\nselector = \'{{job="x"}}\'\n'


def test_only_the_days_of_the_statement_are_read_and_noted(tmp_path: Path) -> None:
    made = hand_made(tmp_path)
    made.put("logs", "2026-03-01", logs(["ERROR: a"]))
    gone = made.put("logs", "2026-03-02", logs(["WARN: b"]))
    made.put("logs", "2026-03-04", logs(["INFO: c"], level=["fatal"]))
    made.store.delete(gone)
    with made.connect() as lake:
        answer = lake.ask("SELECT level FROM logs_with_level WHERE day = '2026-03-01'")
        assert (list(answer.rows), answer.notes) == ([("error",)], ())
        answer = lake.ask(
            "SELECT level FROM LOGS_with_level_between(from_day := DATE '2026-03-03', "
            "to_day := DATE '2026-03-05')"
        )
        assert list(answer.rows) == [("fatal",)]
        missing = "1 of 2 days from 2026-03-03 to 2026-03-04 is not in the lake (2026-03-03)"
        assert answer.notes == (f"logs: {missing}",)
        # Both views in one statement: the days of either.
        both = (
            "SELECT (SELECT count(*) FROM logs WHERE day = '2026-03-04'), "
            "(SELECT count(level) FROM logs_with_level WHERE day = '2026-03-04')"
        )
        assert list(lake.ask(both).rows) == [(1, 1)]
        assert lake.mentioned("FROM logs_with_level") == ["logs"]


def test_rollups_of_retired_days_stay_after_another_level_from(tmp_path: Path) -> None:
    """They can't be made again; those of days that are in the lake can."""
    made = hand_made(tmp_path)
    for day in ("2026-03-01", "2026-03-02"):
        at = Day.parse(day).start_ns
        whole = logs(["ERROR: a"]).append_column("stream_id", pa.array([1], pa.int64()))
        whole = whole.append_column("ts_ns", pa.array([at], pa.int64()))
        ts = pa.array([at // 1000], pa.timestamp("us", tz="UTC"))
        made.put("logs", day, whole.append_column("ts", ts))
    rolled = roll_up(made.settings, made.store, made.settings.dataset, None, jobs=1)
    assert [day.rolled.state for day in rolled] == ["made", "made"]
    for key in (manifest_key("logs", DAY), table_key("logs", DAY)):
        made.store.delete(key)
    change_retired(made.store, {"logs": {DAY}})
    changed = hand_made(tmp_path, 'level_from = "line"')
    with changed.connect() as lake:
        assert lake.rows("SELECT day, lines FROM logs_hourly") == [{"day": DAY.date, "lines": 1}]


def test_a_dataset_without_days_has_the_view(tmp_path: Path) -> None:
    with hand_made(tmp_path, 'level_from = "stage"').connect() as lake:
        answer = lake.ask("DESCRIBE logs_with_level")
        assert [row[:2] for row in answer.rows] == [("day", "DATE"), ("level", "VARCHAR")]
        answer = lake.ask("FROM logs_with_level_between(DATE '2026-03-01', DATE '2026-03-02')")
        assert list(answer.rows) == []
        assert answer.notes == ("logs: no day is in the lake yet",)


@pytest.mark.parametrize("name", ["from_day", "to_day", "logs", "select", "we'ird\"name"])
def test_labels_of_any_name(tmp_path: Path, name: str) -> None:
    made = hand_made(tmp_path, f"level_from = [{json.dumps(name)}]")
    made.put("logs", "2026-03-01", logs(["level=info x"], **{name: ["Warning"]}))
    with made.connect() as lake:
        rows = lake.rows("FROM logs_with_level")
        assert [(row[name], row["level"]) for row in rows] == [("Warning", "warn")]


def test_a_dataset_of_the_views_name_keeps_it(tmp_path: Path) -> None:
    made = hand_made(tmp_path, more=OTHER.format("logs_with_level"))
    made.put("logs", "2026-03-01", logs(["ERROR: a"]))
    made.put("logs_with_level", "2026-03-01", logs(["WARN: b"]))
    with made.connect() as lake:
        assert [row["line"] for row in lake.rows("FROM logs_with_level")] == ["WARN: b"]
        assert levels(lake, "logs_with_level_with_level") == {"WARN: b": "warn"}
        assert lake.mentioned("FROM logs_with_level") == ["logs_with_level"]


def test_documents_and_metrics_have_no_level(tmp_path: Path) -> None:
    more = '[[dataset]]\nname = "events"\nsource = "mongo"\ncollection = "events"\n'
    with hand_made(tmp_path, more=more).connect() as lake, pytest.raises(UsageError) as error:
        lake.rows("FROM events_with_level")
    assert "with the level of log lines: logs_with_level" in str(error.value)


def test_the_catalog_file_has_the_views(tmp_path: Path) -> None:
    made = hand_made(tmp_path, 'level_from = "line"')
    made.put("logs", "2026-03-01", logs(["ERROR: a", "b"], level=["info", "info"]))
    file = tmp_path / "catalog.duckdb"
    with made.connect() as lake:
        write_catalog(lake, file)
    days = f"DATE '{DAY}', DATE '{DAY.plus(1)}'"
    script = [
        *opening_statements(made.settings, file),
        f"SELECT line, level FROM logs_with_level_between({days})",
    ]
    question = "; ".join(script)
    # In a process that has nothing of ours.
    code = f"import duckdb; print(duckdb.connect().execute({question!r}).fetchall())"
    done = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, check=True)
    assert done.stdout.decode().strip() == "[('ERROR: a', 'error'), ('b', 'info')]"
    with duckdb.connect(str(file), read_only=True) as connection:
        assert connection.execute("SELECT level FROM logs_with_level").fetchall() == [
            ("error",),
            ("info",),
        ]


@pytest.mark.parametrize("value", ['""', '["line", ""]', '["a", "a"]', "3", "[1]"])
def test_what_is_no_place_of_a_level(tmp_path: Path, value: str) -> None:
    with pytest.raises(ConfigError) as error:
        configured(tmp_path, f"level_from = {value}")
    assert "level_from" in str(error.value)


def test_one_place_needs_no_list() -> None:
    dataset = LokiDataset(name="logs", source="loki", selector="{}", level_from="stage")
    assert dataset.level_from == ("stage",)
