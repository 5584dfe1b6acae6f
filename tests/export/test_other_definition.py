"""A dataset whose definition changed: its earlier days are compared as they were exported."""

from __future__ import annotations

from contextlib import closing
from types import SimpleNamespace

import pytest
from support.raw_days import bits, fresh_metric
from support.remote_writing import floats, series, write
from support.rolled_lake import samples_lake

from lake.base.day import Day
from lake.export import Exporter
from lake.partition.definition import as_exported
from lake.servers import start
from lake.status import read_status
from lake.verify import to_verify, verify_many

DAY = Day.parse("2026-03-14")
RAW = 'mode = "raw"'
RANGE = 'mode = "range"\nstep = "60s"'


@pytest.mark.parametrize(("before", "after"), [(RAW, RANGE), (RANGE, RAW)])
def test_verify_and_status_count_as_the_day_was_exported(tmp_path, before, after):
    metric = fresh_metric()
    with start(["prometheus"]) as stack:
        url = stack.endpoints["prometheus"]["url"]
        samples = [(DAY.start_ms + n * 150_000, bits(float(n))) for n in range(20)]
        write(url, series({"__name__": metric}, floats(samples)))
        lake = samples_lake(tmp_path, url, "samples", metric, before)
        exported = lake.export("samples", DAY).manifest
        now = samples_lake(tmp_path, url, "samples", metric, after)
        with closing(Exporter(now.settings)) as exporter:
            dataset = now.settings.dataset_named("samples")
            parts = to_verify(now.store, [dataset], None)
            [finding] = verify_many(now.settings, now.store, parts, exporter.source, deep=True)
            assert finding.problems == ()
            assert finding.source_count == exported.rows
            # While the source may still get late rows.
            ends = DAY, DAY.plus(1)
            [status] = read_status(
                now.settings, now.store, exporter.source, *ends, today=DAY.plus(1)
            )
            assert status.days[DAY].state == "verified"
            assert status.days[DAY].recount == exported.rows
            # What has changed since is found all the same.
            more = [(DAY.start_ms + 4_000_000 + n, bits(0.5)) for n in (0, 60_000)]
            write(url, series({"__name__": metric}, floats(more)))
            [finding] = verify_many(now.settings, now.store, parts, exporter.source)
            assert "the source counts" in finding.problems[0]


def test_a_definition_that_is_not_valid_any_more(tmp_path):
    lake = samples_lake(tmp_path, "http://127.0.0.1:1", "samples", "up")
    dataset = lake.settings.dataset_named("samples")
    manifest = SimpleNamespace(definition={**dataset.model_dump(), "gone": 1}, rules=[])
    assert as_exported(dataset, manifest) == dataset
