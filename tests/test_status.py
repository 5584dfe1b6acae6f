"""The state of days beside exports that replace them while the ledger is read."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from support.hand_made import HandMadeLake, hand_made_lake

from lake.base.day import Day
from lake.partition.layout import MANIFESTS, TABLES, manifest_key
from lake.status import read_status

DAY = Day.parse("2026-07-01")


class Changing:
    """A store in which something happens once, before a folder is listed."""

    def __init__(self, store: Any, prefix: str, change: Callable[[], object]) -> None:
        self.store = store
        self.prefix = prefix
        self.change: Callable[[], object] | None = change

    def __getattr__(self, name: str) -> Any:
        return getattr(self.store, name)

    def list(self, prefix: str) -> Iterator[Any]:
        if prefix.startswith(self.prefix) and self.change:
            change, self.change = self.change, None
            change()
        yield from list(self.store.list(prefix))


@pytest.fixture
def site(tmp_path: Path) -> HandMadeLake:
    site = hand_made_lake(tmp_path, "events")
    site.put("events", str(DAY), pa.table({"n": [1]}))
    return site


def state(site: HandMadeLake, store: Any) -> str:
    (status,) = read_status(site.settings, store, None, DAY, DAY.plus(1))
    return status.days[DAY].state


def test_a_day_that_is_exported_again_between_the_listings(site: HandMadeLake) -> None:
    def export() -> None:
        site.put("events", str(DAY), pa.table({"n": list(range(1000))}))

    assert state(site, Changing(site.store, TABLES, export)) == "verified"


def test_a_day_that_is_dropped_between_the_listings(site: HandMadeLake) -> None:
    def drop() -> None:
        site.store.delete(manifest_key("events", DAY))
        for stat in list(site.store.list(TABLES)):
            site.store.delete(stat.key)

    assert state(site, Changing(site.store, TABLES, drop)) == "missing"


def test_a_day_that_is_damaged(site: HandMadeLake) -> None:
    for stat in list(site.store.list(TABLES)):
        with site.store.upload(stat.key) as upload:
            upload.write(b"PAR1")
    assert state(site, site.store) == "damaged"
    assert state(site, Changing(site.store, MANIFESTS, lambda: None)) == "damaged"
