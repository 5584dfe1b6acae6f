"""Guards that are killed at each of their steps, and two at once."""

from __future__ import annotations

import os
import shutil
import signal
from itertools import count
from pathlib import Path
from typing import Any

import pymongo
import pytest
from support import forked
from support.hot_documents import DAY_S, NEVER_S, Hot, ago, days, hot
from support.waiting import wait_until_stopped

from lake.audit import check
from lake.base.errors import Conflict

OLD = days(14, 11)
TARGET = 15 * DAY_S  # the day 12 days ago is missing


def _apply(config: Path, database: str, fault: str) -> None:
    if fault:
        os.environ["LAKE_FAULT"] = fault
    Hot(config, None, database).apply()  # type: ignore[arg-type]


def started(place: Hot, fault: str = "") -> Any:
    credentials = {name: text for name, text in os.environ.items() if name.startswith("AWS_")}
    return forked.started(_apply, place.config, place.database, fault, environment=credentials)


@pytest.fixture
def partly(place: Hot) -> Hot:
    place.insert(OLD)
    place.export([day for day in OLD if day != ago(12)])
    return place


@pytest.mark.slow
@pytest.mark.parametrize("before", [None, 14 * DAY_S])
def test_a_guard_killed_at_each_step_is_mended_by_the_next(partly: Hot, before: int | None) -> None:
    lake = partly.config.parent / "lake"
    ends = []
    for number in count(1):
        for folder in ("audit", "guard"):
            shutil.rmtree(lake / folder, ignore_errors=True)
        partly.events.drop_indexes()
        if before:
            partly.events.create_index("timestamp", expireAfterSeconds=before)
        process = started(partly, f"SIGKILL {number}")
        process.join(60)
        if process.exitcode == 0:
            break
        assert process.exitcode == -signal.SIGKILL
        # Raised or lowered or as it was: never below what is proven, if it was not before.
        assert partly.limit_s in {before, NEVER_S, TARGET}
        ends.append(partly.limit_s)
        assert check(partly.store).problems == ()
        applied = partly.apply()
        assert (partly.limit_s, applied.plan.decision) == (TARGET, "held")
        assert check(partly.store).problems == ()
        entries = partly.entries()
        intended = [
            entry["sequence"] for entry in entries if entry["details"]["state"] == "intended"
        ]
        assert intended == [
            entry["details"]["intent"] for entry in entries if "intent" in entry["details"]
        ]
        assert partly.apply().state == "unchanged"
        assert partly.entries() == entries
    assert number > 15
    assert {before, TARGET} <= set(ends)


@pytest.fixture(params=["directory", "s3"])
def shared(
    request: pytest.FixtureRequest,
    tmp_path: Path,
    mongo_uri: str,
    mongo_database: str,
    client: pymongo.MongoClient[dict[str, Any]],
) -> Hot:
    if request.param == "directory":
        place = hot(tmp_path, mongo_uri, mongo_database, client)
    else:
        s3 = request.getfixturevalue("s3")
        section = f'[s3]\nendpoint_url = "{s3["endpoint_url"]}"\nregion = "us-east-1"\n'
        place = hot(tmp_path, mongo_uri, mongo_database, client, root=f"s3://{s3['bucket']}")
        place.config.write_text(place.config.read_text() + section)
    place.insert(OLD)
    place.export(OLD)
    return place


def test_of_two_guards_at_once_the_second_is_refused(shared: Hot) -> None:
    first = started(shared, "SIGSTOP begin ttl/events")
    wait_until_stopped(first.pid)
    with pytest.raises(Conflict, match="another guard is at work"):
        shared.apply()
    assert shared.limit_s is None
    os.kill(first.pid, signal.SIGCONT)
    first.join(60)
    assert first.exitcode == 0
    assert shared.limit_s == 10 * DAY_S
    assert shared.apply().state == "unchanged"
    assert check(shared.store).problems == ()
    assert len(shared.entries()) == 2


def test_a_guard_that_was_killed_does_not_keep_the_next_from_working(shared: Hot) -> None:
    first = started(shared, "SIGKILL begin ttl/events")
    first.join(60)
    assert first.exitcode == -signal.SIGKILL
    assert shared.apply().ok
    assert [entry["details"]["state"] for entry in shared.entries()] == [
        "intended",
        "abandoned",
        "intended",
        "done",
    ]
