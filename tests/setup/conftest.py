"""Servers of our own, for a look at a server sees all that it holds; and the command line."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pymongo
import pytest
from support.command_line import runner
from support.doctor_checks import Checks

from lake.base.day import Day
from lake.demo.load import LoadedHistory, load
from lake.demo.scenario import Scenario
from lake.servers import Stack, start

DAYS = 2
MONGO = """
[lake]
root = "data"
[sources.mongo]
uri = "{uri}"
database = "{database}"
[hot]
mongo = 10
[[dataset]]
name = "events"
source = "mongo"
collection = "events"
time_field = "at"
"""


@pytest.fixture(scope="session")
def filled() -> Iterator[tuple[Stack, LoadedHistory]]:
    """MongoDB, Prometheus and Loki with two days of the demo's history, up to yesterday."""
    with start(["mongo", "prometheus", "loki"]) as stack:
        yield stack, load(stack.endpoints, Scenario(Day.today().plus(-DAYS), DAYS))


@pytest.fixture
def endpoints(filled) -> dict[str, str]:
    """The addresses."""
    mongo, prometheus, loki = (filled[0].endpoints[n] for n in ("mongo", "prometheus", "loki"))
    return {"mongo": mongo["uri"], "prometheus": prometheus["url"], "loki": loki["url"]}


@pytest.fixture
def lake(tmp_path, monkeypatch, capsys):
    """Runs the command line in an empty directory: exit status, standard output, standard error."""
    for name in [name for name in os.environ if name.startswith("LAKE_") and "CACHE" not in name]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    with runner(monkeypatch, capsys) as run:
        yield run


@pytest.fixture
def doctor(lake, tmp_path):
    """Runs `lake doctor` on a configuration: exit status, checks by subject as (state, text)."""

    def run(text: str) -> tuple[int, Checks]:
        (tmp_path / "lake.toml").write_text(text)
        code, out, err = lake("doctor", "--json")
        assert all("does not answer" in line for line in err.splitlines())
        answer = json.loads(out)
        by_subject: dict[str, list[tuple[str, str]]] = {}
        for check in answer["checks"]:
            line = f"{check['found']} → {check['remedy']}"
            by_subject.setdefault(check["subject"], []).append((check["state"], line))
        assert answer["fail"] == sum(c["state"] == "fail" for c in answer["checks"])
        assert code == (1 if answer["fail"] else 0)
        return code, by_subject

    return run


@pytest.fixture
def events(mongo_uri, mongo_database):
    with pymongo.MongoClient(mongo_uri) as client:
        yield client[mongo_database].events


@pytest.fixture
def mongo(events, mongo_uri, mongo_database) -> str:
    """A healthy collection and its configuration."""
    events.insert_many([{"at": datetime.now(UTC), "b": n} for n in range(4)])
    events.create_index("at")
    return MONGO.format(uri=mongo_uri, database=mongo_database)


@pytest.fixture
def collections(mongo_uri, mongo_database):
    """Collections of every kind, their names after what they are."""
    now = datetime.now(UTC).replace(microsecond=0)
    days = [now - timedelta(days=n) for n in range(5)]
    with pymongo.MongoClient(mongo_uri) as client:
        db = client[mongo_database]
        db.withTtl.insert_many([{"createdAt": d, "updatedAt": now, "expireAt": now} for d in days])
        db.withTtl.create_index("createdAt", expireAfterSeconds=30 * 86_400)
        db.held.insert_many([{"at": d} for d in days])
        db.held.create_index("at", expireAfterSeconds=2**31 - 1)
        db.nested.insert_many([{"meta": {"when": d}, "x": [{"at": d}]} for d in days])
        db.partly.insert_many([*[{"ts": d} for d in days], {"ts": "yesterday"}])
        db.by_id.insert_many([{"x": 1}])
        db.timeless.insert_many([{"_id": "a"}, {"_id": "b"}])
        db.create_collection("nothing")
        yield f"{mongo_uri}/{mongo_database}"
