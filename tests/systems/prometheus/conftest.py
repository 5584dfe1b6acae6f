"""A Prometheus that holds the day of prometheus_history."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.prometheus_history import history

from lake.servers import install, start
from lake.systems.prometheus.config import PrometheusSource
from lake.systems.prometheus.reading import PrometheusReader


@pytest.fixture(scope="session")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server of this package's own: its blocks are there from the first moment."""
    directory = tmp_path_factory.mktemp("prometheus")
    text = directory / "history.om"
    text.write_text("\n".join([*history(), "# EOF", ""]), encoding="utf-8")
    data = directory / "prometheus" / "data"
    data.mkdir(parents=True)
    promtool = str(install("promtool").path)
    command = [promtool, "tsdb", "create-blocks-from", "openmetrics", str(text), str(data)]
    command.insert(4, "--max-block-duration=240h")
    subprocess.run(command, check=True, capture_output=True, timeout=60)
    with start(["prometheus"], directory=directory) as stack:
        yield stack.endpoints["prometheus"]["url"]


@pytest.fixture
def reader(url: str) -> Iterator[PrometheusReader]:
    opened = PrometheusReader(PrometheusSource(url=url))
    yield opened
    opened.close()


@pytest.fixture
def scratch(tmp_path: Path) -> Path:
    directory = tmp_path / "scratch"
    directory.mkdir()
    return directory
