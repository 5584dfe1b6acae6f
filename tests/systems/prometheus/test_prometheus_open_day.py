"""A day that is not over: range queries fill the minutes to come with the newest samples."""

from __future__ import annotations

from contextlib import closing
from datetime import timedelta

import pyarrow.compute as pc
import pytest
from support.raw_days import DAY, bits, fresh_metric, read_day
from support.remote_writing import floats, series, write

from lake.base.clock import simulated
from lake.servers import start
from lake.systems.prometheus.config import PrometheusDataset, PrometheusSource
from lake.systems.prometheus.reading import PrometheusReader

STEP_S = 15


@pytest.mark.parametrize("minutes", [0, 61, 24 * 60])
def test_no_row_is_of_a_time_to_come(tmp_path, minutes):
    metric, now = fresh_metric(), DAY.start + timedelta(minutes=minutes, seconds=7)
    dataset = PrometheusDataset(name="t", source="prometheus", query=metric, step=f"{STEP_S}s")
    with start(["prometheus"]) as stack:
        url = stack.endpoints["prometheus"]["url"]
        until_ms = min(int(now.timestamp() * 1000), DAY.end_ms - 1)
        times = list(range(DAY.start_ms, until_ms + 1, STEP_S * 1000))
        write(url, series({"__name__": metric}, floats([(at, bits(1.0)) for at in times])))
        with closing(PrometheusReader(PrometheusSource(url=url))) as reader:
            with simulated(lambda: now):
                table, _ = read_day(reader, dataset, DAY, tmp_path)
                assert table.num_rows == len(times)
                assert pc.max(table["ts"]).as_py().timestamp() * 1000 == times[-1]
            # The count is of the same steps, also a while after the read.
            later = now + timedelta(seconds=2 * STEP_S)
            write(url, series({"__name__": metric}, floats([(until_ms + 1000, bits(2.0))])))
            with simulated(lambda: later):
                counted = reader.count(dataset, DAY).rows
    assert counted == len(times)
