"""A Prometheus with numbers that are hard to add up, against the lake's sums."""

from __future__ import annotations

import math
from contextlib import closing

import pytest
from support.raw_days import bits, fresh_metric
from support.remote_writing import floats, series, write
from support.rolled_lake import Place

from lake.base.day import Day
from lake.partition.ledger import read_manifest
from lake.query import connect
from lake.servers import start
from lake.systems.prometheus.rehearsal import PrometheusQuestions
from lake.systems.registry import system
from lake.systems.rehearsed import fetched

DAY = Day.parse("2026-03-14")
HOURLY = {
    "plus": (1.0, math.inf, math.inf, 3.0),
    "minus": (2.0, 2.0, -math.inf, -math.inf),
    "large": (1e308, 1e308, 0.0, math.nan),
    "larger": (1e308, 0.0, 0.0, 1.5),
}
"""Of each series, from the first hour on."""


@pytest.mark.parametrize("keys", ['mode = "raw"', 'mode = "range"\nstep = "1h"'])
def test_infinities_and_sums_beyond_the_largest_number(tmp_path, keys):
    with start(["prometheus"]) as stack:
        endpoint = stack.endpoints["prometheus"]
        metric = fresh_metric()
        for name, values in HOURLY.items():
            samples = ((DAY.start_ms + h * 3_600_000, bits(v)) for h, v in enumerate(values))
            write(endpoint["url"], series({"__name__": metric, "n": name}, floats(samples)))
        place = Place(
            tmp_path,
            f"""
[sources.prometheus]
url = "{endpoint["url"]}"
[hot]
prometheus = 10000
[[dataset]]
name = "odd"
source = "prometheus"
query = '{metric}'
{keys}
""",
        )
        place.export("odd", DAY)
        manifest = read_manifest(place.store, "odd", DAY)
        assert manifest
        fixed = system("prometheus").label_free
        with (
            connect(place.settings) as lake,
            fetched(place.store, manifest, lake, fixed) as part,
            closing(PrometheusQuestions(endpoint)) as questions,
        ):
            checks = list(questions.checks(part, seed=1, samples=4))
    assert [check.differences for check in checks] == [[], []]
    assert checks[0].compared == 4
