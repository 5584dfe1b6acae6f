"""Requests of a month and their price, by hand."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from support.ledger_days import ago, lake

from lake.cost import requests
from lake.cost.forecast import forecast
from lake.cost.growth import daily
from lake.cost.policy import Policy
from lake.cost.prices import Region
from lake.cost.requests import operations
from lake.cost.usage import Amount, Cell, Usage

NOW = datetime(2026, 11, 30, 5, tzinfo=UTC)
TODAY = NOW.date()
MIB, GB = 2**20, 2**30
REGION = Region.model_validate(
    {
        "name": "Test",
        "date": "2026-01-01",
        "class": {
            "STANDARD": {"put": 5, "get": 0.4, "storage": 1},
            "IA": {"put": 10, "get": 1, "read": 2, "storage": 0.5},
        },
    }
)


@pytest.fixture
def settings(tmp_path):
    """Three datasets; sources that keep 40, 3 and 5 days."""
    return lake(tmp_path, ago(3))[1]


def usage() -> Usage:
    """100 days of one dataset, 20 MiB and two manifests each; a snapshot of 24 MiB a day."""
    used = Usage(NOW)
    for n in range(1, 101):
        day = TODAY - timedelta(days=n)
        of_day = {
            ("mongo", "events", "table", "table"): (1, 20 * MIB),
            ("mongo", "events", "rollup", "rollup"): (1, MIB),
            ("mongo", "events", "manifest", "table"): (2, 1000),
            ("loki", "", "snapshot", "snapshot"): (3, 24 * MIB),
        }
        for place, (objects, size) in of_day.items():
            small = (objects, size) if size < 128 * 1024 else (0, 0)
            cell = Cell(*place, day, "STANDARD", True)
            used.cells[cell] = Amount(objects, size, *small)
    return used


def of_december(settings, policy: Policy):
    stored = usage()
    month = forecast(stored, policy, REGION)[0]
    assert (month.month, month.days) == ("2026-12", 31)
    listed = operations(settings, month, daily(stored, TODAY), policy, REGION)
    return {operation.name: operation for operation in listed}


# On the last of December, the 32nd day from now: 100 days and the 31 that were added.
DAYS_STORED = 131


def test_each_operation(settings):
    policy = Policy(queries_per_day=10, query_days=50, metrics_per_day=24, alerts_per_day=2)
    priced = of_december(settings, policy)
    # Three datasets a day, with as many parts as a third of the bytes has.
    assert priced["export"].requests.put == 31 * 3 * 5
    assert priced["export"].requests.list == 31 * 3 * 3
    # Recounted: 8 days, 3 more and the last 2 where 40 are kept, 2 of 3, 4 of 5.
    assert priced["recount"].requests.get == 31 * (13 + 2 + 4) * 4
    # Of three systems; three objects and three parts a day.
    assert priced["snapshot"].requests.put == 31 * (3 * 3 + 3 + 3)
    assert priced["query"].requests.get == 31 * 10 * 50 * 5
    assert priced["query"].requests.list == 31 * 10
    # Three datasets with 43 days each: their manifests are cached.
    assert priced["metrics"].requests.get == 31 * 24 * 2
    # 131 tables, as many rollups and twice as many manifests: a LIST each.
    assert priced["metrics"].requests.list == 31 * 24 * (4 + 3)
    assert priced["alerts"].requests.get == 0
    assert priced["verify"].requests.get == pytest.approx(31 / 7 * 7 * DAYS_STORED)
    assert priced["verify"].read_bytes == pytest.approx(31 / 7 * DAYS_STORED * 21 * MIB)
    for operation in priced.values():
        requests = operation.requests
        price = (requests.put + requests.list) * 5 / 1000 + requests.get * 0.4 / 1000
        assert operation.cost == pytest.approx(price), operation.name


def test_reading_what_has_moved(settings):
    """Of the fifty days that a query reads twenty are in the other class."""
    policy = Policy(
        classes={"table": "IA"}, after_days={"table": 30}, queries_per_day=10, query_days=50
    )
    query = of_december(settings, policy)["query"]
    times = 31 * 10
    read_gb = times * 20 * (20 * MIB / 3) / GB  # of one dataset of the three
    price = times * 5 / 1000 + times * 30 * 5 * 0.4 / 1000 + times * 20 * 5 * 1 / 1000
    assert query.cost == pytest.approx(price + read_gb * 2)


def test_verifying_what_has_moved(settings):
    policy = Policy(classes={"table": "IA"}, after_days={"table": 30})
    verify = of_december(settings, policy)["verify"]
    often = 31 / 7
    moved = DAYS_STORED - 30
    gets = often * 7 * (30 * 0.4 + moved * 1) / 1000
    # The rollups have not moved; reading STANDARD is free.
    assert verify.cost == pytest.approx(
        often * 3 * 3 * 5 / 1000 + gets + often * moved * 20 * MIB / GB * 2
    )


def test_a_listing_has_a_thousand_objects():
    assert requests.ledger(1_200, 0) == requests.Counted(0, 2 + 3 + 2, 0)


def test_large_tables_are_written_in_parts(settings):
    """Of 60 MiB a dataset: one PUT more to begin, one to complete, one a part instead of one."""
    policy = Policy(growth=9)
    priced = of_december(settings, policy)
    assert priced["export"].requests.put == 31 * 3 * (5 + 8 + 1)


def test_an_empty_lake(settings):
    empty = Usage(NOW)
    month = forecast(empty, Policy(), REGION)[0]
    listed = operations(settings, month, {}, Policy(), REGION)
    assert all(operation.cost >= 0 for operation in listed)
    assert {operation.name for operation in listed} >= {"export", "query", "verify"}
