"""The server's own TTL monitor, which runs once a minute: what it deletes and what it leaves.

The oracle is the server's documents before and after.
"""

from __future__ import annotations

import json
from typing import Any

import pytest
from support.hot_documents import DAY_S, Hot, ago, at, days
from support.waiting import wait_until

OLD = days(16, 1)
_PATIENCE_S = 200  # several passes of a busy server


def count(place: Hot, **question: Any) -> int:
    return int(place.events.count_documents(question))


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_documents_expire_only_after_they_are_proven(place: Hot) -> None:
    place.insert(OLD)
    place.export([day for day in OLD if day != ago(12)])
    place.events.insert_many([{"number": "no date"}, {"timestamp": "text"}])
    # Nothing is deleted without a limit, nor by one that is held over an array of no day.
    array = place.events.insert_one({"timestamp": [at(ago(1)), at(ago(300))]}).inserted_id
    assert place.apply().plan.decision == "hold"
    place.events.delete_one({"_id": array})

    applied = place.apply()  # 15 days: the day 12 days ago is missing
    assert (applied.plan.decision, place.limit_s) == ("held", 15 * DAY_S)
    # One that is born expired dies in the next pass; the plan before it counts it.
    place.events.insert_one({"timestamp": at(ago(40)), "number": "born expired"})
    plan = place.plan()
    assert place.states(plan)[40] == "missing"
    assert plan.born_expired >= 1
    wait_until(lambda: count(place, timestamp={"$lt": ago(15).start}) == 0, within_s=_PATIENCE_S)
    assert count(place, timestamp={"$gte": ago(14).start}) == 3 * len(days(14, 1))

    place.export([ago(12)])
    assert place.apply().plan.decision == "limit"
    wait_until(lambda: count(place, timestamp={"$lt": ago(10).start}) == 0, within_s=_PATIENCE_S)
    assert count(place, timestamp={"$gte": ago(9).start}) == 3 * len(days(9, 1))
    assert count(place, timestamp={"$type": "string"}) == count(place, number="no date") == 1

    # What is gone from the server is in the lake, and both agree on what is left.
    manifests = (place.config.parent / "lake/manifests/events").glob("*.json")
    assert sum(json.loads(path.read_text())["rows"] for path in manifests) == 3 * len(OLD)
    again = place.apply()
    assert (again.state, again.ok) == ("unchanged", True)
