"""The sensor of alerts as the daemon evaluates it, and what a webhook received.

Belongs here: evaluations, titles of messages, days that fail at the source. Does not: the lake or
its runs (tests/assets/conftest.py).
"""

from __future__ import annotations

import re
from pathlib import Path

import dagster as dg

from assets.alerting import NAME
from assets.definitions import build
from assets.resources import LakeResource
from lake.config.settings import load
from support.receivers import Receiver

DAYS = [f"2026-07-{day:02}" for day in range(1, 32)]


class Sensor:
    """Its evaluations, one after the other, as the daemon makes them."""

    def __init__(self, place, config: Path) -> None:
        self.place = place
        self.settings = load(str(config), {})
        self.definitions = build(self.settings)
        self.cursor: str | None = None

    def tick(self) -> None:
        sensor = self.definitions.resolve_sensor_def(NAME)
        with dg.build_sensor_context(
            instance=self.place.instance,
            cursor=self.cursor,
            resources={"lake": LakeResource.of(self.settings)},
            definitions=self.definitions,
        ) as context:
            result = sensor(context)
        if isinstance(result, dg.SensorResult):
            self.cursor = result.cursor


def titles(receiver: Receiver) -> list[str]:
    matches = [re.search(r"\*(.+)\*", text) for text in receiver.texts]
    return [match[1] for match in matches if match]


def fail(place, days, error) -> None:
    place.source.rows = dict.fromkeys(DAYS, 5)
    place.source.faults = dict.fromkeys(days, error)
