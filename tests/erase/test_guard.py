"""The expiry guard and days of which documents were erased, on a real server."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pymongo
import pytest
from support.hot_documents import DAY_S, ago, at, days, hot


@pytest.mark.slow
def test_erased_documents_are_no_doubt_until_the_day_expires(
    tmp_path: Path, mongo_uri: str, mongo_database: str
) -> None:
    with pymongo.MongoClient[dict[str, Any]](mongo_uri, tz_aware=True) as client:
        place = hot(tmp_path, mongo_uri, mongo_database, client)
        old = days(16, 8)
        place.insert(old)
        place.export(old)
        erased = place.command("erase", "events", "--where", "number = 1", "--yes")
        assert erased.exit_code == 0, erased.output
        # The source still has them all, or has lost some of them.
        proven = place.plan()
        assert set(place.states(proven).values()) == {"proven"}, proven.why
        place.events.delete_one({"timestamp": at(ago(11), 1000)})
        assert place.states(place.plan())[11] == "proven"
        # Other rows are as closely looked at as ever.
        place.events.delete_one({"timestamp": at(ago(12), 2000)})
        place.events.insert_one({"timestamp": at(ago(12), 1), "number": 1})
        assert place.states(place.plan())[12] == "differs"
        place.events.delete_one({"timestamp": at(ago(13), 2000)})
        place.events.delete_one({"timestamp": at(ago(13), 1000)})
        assert place.states(place.plan())[13] == "differs"
        place.events.insert_one({"timestamp": at(ago(14), 1), "number": 1})
        assert place.states(place.plan())[14] == "late"


@pytest.mark.slow
def test_a_day_that_expires_waits_until_the_source_has_lost_them(
    tmp_path: Path, mongo_uri: str, mongo_database: str
) -> None:
    with pymongo.MongoClient[dict[str, Any]](mongo_uri, tz_aware=True) as client:
        place = hot(tmp_path, mongo_uri, mongo_database, client)
        old = days(12, 8)
        place.events.insert_many(  # late in the day: today's part of a day has not expired
            {"timestamp": at(day, 86_300 + number), "number": number}
            for day in old
            for number in range(3)
        )
        place.export(old)
        assert place.command("erase", "events", "--where", "number = 1", "--yes").exit_code == 0
        assert place.apply().state == "done"
        assert place.limit_s == 10 * DAY_S
        (day,) = [day for day in place.plan().days if day.day == ago(10)]
        assert (day.partly, day.state) == (True, "late")
        assert "1 were erased from it: delete them at the source, too" in day.why
        place.events.delete_many({"number": 1})
        plan = place.plan()
        assert place.states(plan)[10] == "proven"
        assert plan.decision != "held"
