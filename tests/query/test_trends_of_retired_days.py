"""Trends of days whose tables `[retention]` has deleted, while their rollups are kept."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from support.renamed_lake import renamed_history, rows_of

from lake.partition.layout import rollup_manifest_key

DAYS = 4


def test_a_retired_day_whose_rollup_is_there_is_not_missing(tmp_path: Path, run) -> None:
    """Where rows of the table are read, it is."""
    lake, scenario = renamed_history(tmp_path, days=DAYS)
    expected = rows_of(lake, "http_requests", scenario)
    config = ("--config", lake.config)
    assert run("rollup", *config)[0] == 0
    first, end = scenario.first, scenario.end
    lake.retire({dataset.name: [first] for dataset in lake.settings.dataset})
    assert rows_of(lake, "http_requests", scenario) == expected
    days = ("--from", first, "--to", end, "--json", *config)
    assert run("trend", "http_requests", *days)[2] == ""
    note = f"1 of {DAYS} days is not in the lake ({first})"
    assert f"usage_analytics: {note}\n" in run("trend", "documents", *days)[2]
    before = ("--from", first.plus(-1), *days[2:])
    note = f"1 of {DAYS + 1} days is not in the lake ({first.plus(-1)})"
    assert run("trend", "http_requests", *before)[2] == f"http_server_requests: {note}\n"


def test_the_day_before_may_be_a_rollup_alone(tmp_path: Path, run) -> None:
    """A hold keeps the first table; those after it are retired."""
    dataset = "http_server_requests"
    lake, scenario = renamed_history(tmp_path, days=DAYS, datasets=[dataset])
    config = ("--config", lake.config)
    assert run("rollup", *config)[0] == 0
    before = scenario.first.plus(1)
    lake.retire({dataset: [before]})
    start = before.plus(1)
    days = f"DATE '{start}', DATE '{scenario.end}'"
    metric = "http_server_requests_seconds_count"
    for macro, notes in (("increase_by_day", 0), ("samples_increase_by_day", 1)):
        sql = f"SELECT sum(increase) AS n FROM {macro}('{dataset}', '{metric}', {days})"
        _, _, err = run("query", sql, *config)
        assert err.count(f"{before} is not in the lake: the growth up to") == notes
    span = ("--from", start, "--to", scenario.end, "--json")
    assert run("trend", "http_requests", *span, *config)[2] == ""
    lake.store.delete(rollup_manifest_key(dataset, before))
    note = f"{dataset}: {before} is not in the lake: the growth up to the first samples"
    assert note in run("trend", "http_requests", *span, *config)[2]


def test_a_metric_and_a_label_of_retired_days_alone(tmp_path: Path, run) -> None:
    """They have another name since, so only rollups have them."""
    old, labelled = "llm_tokens_total", "model"

    def change(table: pa.Table) -> pa.Table:
        if min(table["ts"].to_pylist()).day <= 2 or labelled not in table.column_names:
            return table
        names = ["kind" if name == labelled else name for name in table.column_names]
        renamed = pc.replace_substring(table["metric"].cast(pa.string()), old, "llm_used_total")
        at = table.schema.get_field_index("metric")
        metric = renamed.cast(table.schema.field(at).type)
        return table.set_column(at, "metric", metric).rename_columns(names)

    dataset = "dialogue_metrics"
    lake, scenario = renamed_history(tmp_path, days=DAYS, change=change, datasets=[dataset])
    expected = rows_of(lake, "counter", scenario)
    config = ("--config", lake.config)
    assert run("rollup", *config)[0] == 0
    days = [scenario.first, scenario.first.plus(1)]
    lake.retire({dataset: days})
    span = ("--from", days[0], "--to", days[1].plus(1), "--json")
    options = ("--metric", old, "--by", labelled)
    status, out, err = run("trend", "counter", *options, *span, *config)
    assert (status, err) == (0, "")
    assert json.loads(out) == [{**row, "day": str(row["day"])} for row in expected]
    assert {row["day"] for row in expected} == {day.date for day in days}


@pytest.mark.parametrize("name", ["http_requests", "http_latency", "log_volume"])
def test_a_dataset_of_which_only_rollups_are_left(tmp_path: Path, run, name: str) -> None:
    datasets = ["http_server_requests", "container_logs"]
    lake, scenario = renamed_history(tmp_path, days=DAYS, datasets=datasets)
    expected = rows_of(lake, name, scenario)
    assert expected
    assert run("rollup", "--config", lake.config)[0] == 0
    lake.retire({dataset: list(scenario.each_day()) for dataset in datasets})
    assert rows_of(lake, name, scenario) == expected
