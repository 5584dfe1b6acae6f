"""`lake init` on metrics whose names begin with `_`, scraped often or rarely: all is exported."""

from __future__ import annotations

from contextlib import closing

import pytest
from support.raw_days import bits
from support.remote_writing import floats, histogram, series, write

from lake.base.day import Day
from lake.config.settings import load
from lake.export import Exporter
from lake.servers import start


@pytest.mark.parametrize(("minutes", "first_s", "mode"), [(1, 360, "range"), (15, 407, "raw")])
def test_every_sample_is_exported(lake, tmp_path, minutes, first_s, mode):
    day = Day.today().plus(-1)
    times = range(day.start_ms + first_s * 1000, day.end_ms + 3_600_000, minutes * 60_000)
    with start(["prometheus"], prometheus_out_of_order="5d") as stack:
        url = stack.endpoints["prometheus"]["url"]
        for name in ("_meter_a", "_meter_b", "_meter_c"):
            samples = [(at, bits(float(n))) for n, at in enumerate(times)]
            write(url, series({"__name__": name}, floats(samples)))
        status, _, err = lake("init", "--prometheus", url, "--root", "lake")
        assert status == 0, err
        settings = load(str(tmp_path / "lake.toml"), {})
        [dataset] = settings.dataset
        assert (dataset.name, dataset.mode) == ("meter", mode)
        with closing(Exporter(settings)) as exporter:
            manifest = exporter.export(dataset, day).manifest
    of_day = sum(at < day.end_ms for at in times)
    assert manifest.rows == 3 * of_day


def test_native_histograms_are_named(lake, tmp_path):
    """Only where there are any: by steps the server sends each of their buckets as text."""
    latest = Day.today().start_ms - 60_000
    value = {
        "count": 3,
        "sum": 1.5,
        "schema": 3,
        "zero_threshold": 1e-128,
        "zeros": 0,
        "negative_spans": [],
        "negative": [],
        "positive_spans": [(0, 2)],
        "positive": [1, 2],
    }
    with start(["prometheus"], prometheus_out_of_order="5d") as stack:
        url = stack.endpoints["prometheus"]["url"]
        for name in ("cpu_a", "cpu_b", "cpu_c"):
            write(url, series({"__name__": name}, floats([(latest, bits(1.0))])))
        write(url, series({"__name__": "rpc_duration_seconds"}, histogram(latest, value)))
        status, _, err = lake("init", "--prometheus", url, "--root", "lake")
    assert status == 0, err
    cpu, others = (tmp_path / "lake.toml").read_text("utf-8").split("[[dataset]]\n")[:2]
    assert 'name = "cpu"' in others
    assert "native histograms" not in cpu
    assert 'with native histograms: mode = "raw" reads these faster' in others
