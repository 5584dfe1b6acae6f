"""A lake with a webhook, and the sensor of alerts over it.

Belongs here: the configuration with its channel. Does not: the runs, which `place` makes.
"""

from __future__ import annotations

from pathlib import Path

import dagster as dg
import pytest
from support.alerting_sensor import Sensor
from support.lake_file import FILE
from support.receivers import Receiver, receiver

__all__ = ["receiver"]  # for pytest


@pytest.fixture(autouse=True)
def _quick_retries_of_snapshots(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("assets.snapshots.RETRIES", dg.RetryPolicy(max_retries=0))


@pytest.fixture
def config(tmp_path: Path, receiver: Receiver) -> Path:
    file = tmp_path / "lake.toml"
    hot = "[hot]\nmongo = 19000\nprometheus = 19000\nloki = 19000\n"
    file.write_text(f'{FILE}{hot}[alerts]\nwebhook_url = "{receiver.url}/hook"\n')
    return file


@pytest.fixture
def sensor(place, config) -> Sensor:
    ready = Sensor(place, config)
    ready.tick()
    return ready
