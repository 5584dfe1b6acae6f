"""A snapshot of Prometheus 3 comes back in Prometheus 3, and it is reported where there is none."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import requests
from support.on_request import needed
from support.places import DAY, Place
from support.series_writing import write_request

from lake.servers import find, start
from lake.servers.closest import closest
from lake.servers.stack import Stack

NAME = "http.server.request.duration_count"  # a name that only Prometheus 3 can query
SAMPLES = 240


@pytest.fixture(scope="module")
def source() -> Iterator[Stack]:
    """A Prometheus 3 with one series of yesterday."""
    needed("prometheus3")
    with start(["prometheus3"]) as stack:
        times = DAY.start_ms + np.arange(SAMPLES) * 60_000
        body = write_request([({"__name__": NAME, "service.name": "api"}, times, times / 1000.0)])
        answer = requests.post(
            f"{stack.endpoints['prometheus3']['url']}/api/v1/write",
            data=pa.compress(body, codec="snappy", asbytes=True),
            headers={"Content-Encoding": "snappy", "Content-Type": "application/x-protobuf"},
            timeout=30,
        )
        assert answer.ok, answer.text
        yield stack


@pytest.fixture
def taken(source: Stack, place) -> Place:
    endpoint = source.endpoints["prometheus3"]
    made: Place = place(
        sources__prometheus={"url": endpoint["url"]},
        snapshots__prometheus={"data_dir": endpoint["data_dir"]},
    )
    made.take("prometheus")
    return made


def get(url: str, path: str, **params: str) -> requests.Response:
    return requests.get(f"{url}/api/v1/{path}", params=params, timeout=30)


@pytest.mark.slow
def test_it_comes_back_in_prometheus_3(taken: Place) -> None:
    taken.restore("prometheus")
    with taken.served("prometheus") as served:
        url = served.endpoint["url"]
        version = get(url, "status/buildinfo").json()["data"]["version"]
        at = str(DAY.start_ms // 1000 + SAMPLES * 60)
        query = f'count_over_time({{"{NAME}"}}[1d])'
        result = get(url, "query", query=query, time=at).json()["data"]["result"]
    assert version.startswith("3.")
    assert [series["value"][1] for series in result] == [str(SAMPLES)]
    assert served.remarks == []


@pytest.mark.slow
def test_an_older_one_in_its_stead_is_reported(
    taken: Place, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    old = find("prometheus", "2")
    if old is None:
        pytest.skip("no Prometheus 2 here: the one on PATH is newer")
    monkeypatch.setitem(closest.__globals__, "find_all", lambda _name: [old])
    taken.restore("prometheus", tmp_path / "older")
    with taken.served("prometheus", tmp_path / "older") as served:
        pass
    (remark,) = served.remarks
    assert f"Prometheus {old.version} serves them" in remark
    assert "came from Prometheus 3." in remark
    assert "lake services install prometheus3" in remark
