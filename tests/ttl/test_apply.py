"""Limits that are set: once, with an entry, and never on a document that nobody has proven."""

from __future__ import annotations

import datetime as dt
import json
from typing import Any

import pymongo
import pytest
from click.testing import CliRunner
from support.hot_documents import DAY_S, NEVER_S, Hot, ago, at, days, hot
from support.on_request import needed

from lake.base.day import Day
from lake.base.errors import Refused, TransientError
from lake.cli.main import root
from lake.servers import start
from lake.systems.mongo.expiry import MongoExpiry
from lake.ttl import ExpiryPlan, apply

OLD = days(16, 1)


@pytest.fixture
def exported(place: Hot) -> Hot:
    place.insert(OLD)
    place.export(OLD)
    return place


def test_it_sets_the_wanted_limit_once(exported: Hot) -> None:
    assert exported.apply().state == "done"
    assert exported.limit_s == 10 * DAY_S
    first = exported.entries()
    assert [entry["details"]["state"] for entry in first] == ["intended", "done"]
    assert first[0]["details"]["new_s"] == 10 * DAY_S
    assert {day["state"] for day in first[0]["proof"]["days"]} == {"proven"}
    applied = exported.apply()
    assert (applied.state, applied.ok) == ("unchanged", True)
    assert exported.entries() == first


def test_the_first_deletion_is_confirmed_and_no_later_one(exported: Hot) -> None:
    confirmed: list[str] = []

    def refuses(plans: list[ExpiryPlan]) -> None:
        confirmed.extend(plan.dataset for plan in plans)
        raise Refused("no")

    with pytest.raises(Refused):
        exported.apply(confirm=refuses)
    assert confirmed == ["events"]
    assert (exported.limit_s, exported.entries()) == (None, [])
    exported.apply()
    exported.events.drop_index("lake_ttl")
    assert exported.apply(confirm=refuses).state == "done"  # confirmed already
    text = exported.config.read_text().replace("days = 10\n", "days = 9\n")
    exported.config.write_text(text)
    with pytest.raises(Refused):  # more would expire than was confirmed
        exported.apply(confirm=refuses)


def test_a_lower_limit_that_was_restored_since_is_confirmed_no_more(exported: Hot) -> None:
    """`days` was lowered, by somebody confirmed, raised again, and is lowered once more."""

    def refuses(plans: list[ExpiryPlan]) -> None:
        raise Refused("no")

    text = exported.config.read_text()
    exported.config.write_text(text.replace("days = 10\n", "days = 8\n"))
    exported.apply()
    exported.config.write_text(text)
    assert exported.apply(confirm=refuses).limit_s == 10 * DAY_S
    exported.insert([ago(9)])
    exported.export([ago(9)], force=True)
    exported.config.write_text(text.replace("days = 10\n", "days = 9\n"))
    with pytest.raises(Refused):
        exported.apply(confirm=refuses)
    assert exported.limit_s == 10 * DAY_S


def test_a_day_that_the_limit_is_about_to_reach_is_dropped_by_force_alone(exported: Hot) -> None:
    """The guard has let it go because the lake has it: the next guard may come too late."""
    recent = [ago(9), ago(8), ago(7), ago(5)]
    exported.insert(recent)
    exported.export(recent, force=True)

    def dropped(day: Day, *words: str) -> bool:
        return bool(exported.command("drop", "events", "--day", str(day), *words).exit_code == 0)

    assert dropped(ago(7))  # no guard has set a limit yet
    exported.export([ago(7)])
    assert exported.apply().limit_s == 10 * DAY_S
    assert [dropped(day) for day in recent] == [False, False, True, True]
    refused = exported.command("drop", "events", "--day", str(ago(9)))
    assert "a limit of 10 days" in refused.output
    assert dropped(ago(8), "--force", "--yes")
    assert exported.apply().limit_s == 11 * DAY_S  # raised above the day


def test_without_a_terminal_the_command_needs_yes(exported: Hot) -> None:
    refused = exported.command("ttl", "apply")
    assert type(refused.exception).__name__ == "UsageError"
    assert "add --yes" in str(refused.exception)
    assert exported.limit_s is None
    done = exported.command("ttl", "apply", "--yes", "--json")
    assert done.exit_code == 0
    (report,) = json.loads(done.stdout)["datasets"]
    assert (report["result"], report["limit_after_s"]) == ("done", 10 * DAY_S)
    assert report["born_expired"] == 18
    assert "expire at once" in done.stderr


def test_nothing_is_set_where_it_is_not_enabled(exported: Hot) -> None:
    text = exported.config.read_text().replace("enabled = true", "enabled = false")
    exported.config.write_text(text)
    planned = exported.command("ttl", "plan")
    assert planned.exit_code == 0
    assert "(not enabled)" in planned.stdout
    refused = exported.command("ttl", "apply", "--yes")
    assert refused.exception.exit_code == 2
    assert exported.limit_s is None


def test_a_document_that_arrives_after_the_plan_stops_it(exported: Hot) -> None:
    late = {"timestamp": at(ago(12)), "late": True}
    with exported.site() as site:
        (applied,) = apply(
            site,
            site.settings.dataset,
            show=lambda plan: exported.events.insert_one(late),
            confirm=lambda plans: None,
        )
    assert (applied.state, applied.ok) == ("abandoned", False)
    assert f"rows of {ago(12)} arrived" in applied.why
    assert exported.limit_s == NEVER_S
    assert exported.entries()[-1]["details"]["state"] == "abandoned"
    assert exported.apply().plan.decision == "held"
    assert exported.limit_s == 15 * DAY_S


@pytest.mark.parametrize("value", ["date", "array", "another day"])
def test_one_that_arrives_while_the_limit_is_set_raises_it_again(
    exported: Hot, monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    values = {"date": at(ago(12)), "array": [at(ago(12)), at(ago(2))], "another day": at(ago(77))}
    set_limit = MongoExpiry.set_limit

    def slowly(self: MongoExpiry, dataset: Any, index: Any, limit_s: int) -> str:
        name = set_limit(self, dataset, index, limit_s)
        if limit_s == 10 * DAY_S:
            exported.events.insert_one({"timestamp": values[value]})
        return name

    monkeypatch.setattr(MongoExpiry, "set_limit", slowly)
    applied = exported.apply()
    assert (applied.state, applied.limit_s, exported.limit_s) == ("abandoned", NEVER_S, NEVER_S)


@pytest.mark.parametrize("raised", [True, False])
def test_a_lowered_limit_is_raised_where_the_second_count_fails(
    exported: Hot, monkeypatch: pytest.MonkeyPatch, raised: bool
) -> None:
    set_limit, undated, is_set = MongoExpiry.set_limit, MongoExpiry.undated, []

    def sets(self: MongoExpiry, dataset: Any, index: Any, limit_s: int) -> str:
        if is_set and not raised:
            raise TransientError("no primary")
        name = set_limit(self, dataset, index, limit_s)
        if limit_s == 10 * DAY_S:
            is_set.append(limit_s)
        return name

    def counts(self: MongoExpiry, *arguments: Any) -> int:
        if is_set:
            raise TransientError("no response")
        return undated(self, *arguments)

    monkeypatch.setattr(MongoExpiry, "set_limit", sets)
    monkeypatch.setattr(MongoExpiry, "undated", counts)
    applied = exported.apply()
    limit_s = NEVER_S if raised else 10 * DAY_S
    assert (applied.state, applied.ok) == ("failed", False)
    assert (applied.limit_s, exported.limit_s) == (limit_s, limit_s)
    details = exported.entries()[-1]["details"]
    assert (details["state"], details["limit_s"]) == ("failed", limit_s)
    assert "no response" in applied.why
    assert ("can't be raised: no primary" in applied.why) is not raised


def test_a_limit_that_is_in_force_is_raised_when_a_day_turns_out_damaged(exported: Hot) -> None:
    exported.apply()
    # Of 9 days ago: within the margin, so that nothing of it has expired.
    (exported.config.parent / f"lake/tables/events/day={ago(9)}/data.parquet").write_bytes(b"x")
    applied = exported.apply()
    assert (applied.plan.decision, applied.state) == ("held", "done")
    assert exported.limit_s == 12 * DAY_S
    exported.export([ago(9)], force=True)
    assert exported.apply().plan.decision == "limit"
    assert exported.limit_s == 10 * DAY_S


def test_a_day_that_has_begun_to_expire_is_compared_by_what_is_left(exported: Hot) -> None:
    exported.apply()
    before = dt.datetime.now(dt.UTC) - dt.timedelta(days=10)
    exported.events.delete_many({"timestamp": {"$lt": before}})  # what the TTL monitor does
    exported.events.delete_one({"timestamp": at(ago(10), 0)})  # one of its last day, for sure
    applied = exported.apply()
    assert (applied.state, applied.ok) == ("unchanged", True)
    # One that was never exported, on that same day: fewer than the manifest has, and yet late.
    late = before + dt.timedelta(seconds=30)
    exported.events.insert_one({"timestamp": late})
    plan = exported.apply().plan
    assert plan.decision == "held"
    assert exported.limit_s >= 12 * DAY_S
    # Even now that the limit is far above that day, its missing documents explain themselves.
    exported.events.delete_one({"timestamp": late})
    assert exported.apply().plan.decision == "limit"


def test_an_index_of_another_is_named_before_its_limit_is_changed(exported: Hot) -> None:
    exported.events.create_index("timestamp", name="theirs", expireAfterSeconds=365 * DAY_S)
    planned = exported.command("ttl", "plan")
    assert "index 'theirs', 365 days" in planned.stdout
    exported.apply()
    limits = {
        index["name"]: index.get("expireAfterSeconds") for index in exported.events.list_indexes()
    }
    assert limits == {"_id_": None, "theirs": 10 * DAY_S}
    assert exported.entries()[0]["details"]["old_s"] == 365 * DAY_S


def test_a_limit_that_another_has_lowered_is_raised_and_reported(exported: Hot) -> None:
    exported.apply()
    change = {"name": "lake_ttl", "expireAfterSeconds": 11 * DAY_S}
    exported.client[exported.database].command({"collMod": "events", "index": change})
    applied = exported.apply()
    assert exported.limit_s == 10 * DAY_S
    assert any("changed since the last run" in note for note in applied.plan.notes)


def test_a_nested_time_field(
    tmp_path: Any, mongo_uri: str, mongo_database: str, client: Any
) -> None:
    place = hot(tmp_path, mongo_uri, mongo_database, client, dataset='time_field = "meta.at"')
    place.events.insert_many({"meta": {"at": at(day)}} for day in OLD)
    place.export(OLD)
    assert place.apply().ok
    place.events.insert_one({"meta": [{"at": at(ago(2))}, {"at": at(ago(12))}]})
    plan = place.plan()
    assert (plan.undated, plan.decision) == (1, "held")


def test_a_server_without_ttl_is_reported(tmp_path: Any) -> None:
    needed("ferretdb")
    with start(["ferretdb"]) as running:
        uri = running.endpoints["ferretdb"]["uri"]
        with pymongo.MongoClient[dict[str, Any]](uri, tz_aware=True) as client:
            place = hot(tmp_path, uri, "app", client)
            place.insert(OLD)
            place.export(OLD)
            applied = place.apply()
    assert not applied.ok
    assert (applied.plan.decision, applied.state) in {("blocked", "unchanged"), ("limit", "failed")}
    assert "collMod" in applied.plan.why or "this server has no TTL indexes" in applied.why


def test_a_user_who_may_only_read_gets_the_right_remedy(tmp_path: Any) -> None:
    with start(["mongo"], mongo_auth=True) as running:
        uri = running.endpoints["mongo"]["uri"]
        address = uri.rpartition("@")[2]
        with pymongo.MongoClient[dict[str, Any]](uri, tz_aware=True) as admin:
            place = hot(tmp_path, f"mongodb://{address}", "app", admin)
            place.insert(OLD)
            roles = [{"role": "read", "db": "app"}]
            admin["app"].command("createUser", "reader", pwd="pw", roles=roles)
            env = {
                "LAKE_SOURCES__MONGO__URI": f"mongodb://reader:pw@{address}/app",
                "LAKE_CONFIG": str(place.config),
            }
            for day in OLD:
                done = CliRunner().invoke(root, ["export", "--day", str(day)], env=env)
                assert done.exit_code == 0
            result = CliRunner().invoke(root, ["ttl", "apply", "--yes"], env=env)
            assert result.exit_code == 1
            assert "grant it createIndex and collMod" in result.stdout
            assert place.limit_s is None
    states = [
        json.loads(path.read_text())["details"]["state"]
        for path in sorted((tmp_path / "lake/audit").iterdir())
    ]
    assert states == ["intended", "failed"]


def test_where_no_entry_can_be_written_a_limit_is_raised_and_never_lowered(
    exported: Hot, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: Any, **__: Any) -> Any:
        raise Refused("no permission")

    with monkeypatch.context() as patched:
        patched.setattr("lake.audit.append", fails)
        with pytest.raises(Refused):
            exported.apply()
        assert exported.limit_s is None
    exported.apply()
    (exported.config.parent / f"lake/tables/events/day={ago(9)}/data.parquet").unlink()
    monkeypatch.setattr("lake.audit.append", fails)
    with pytest.raises(Refused):
        exported.apply()
    assert exported.limit_s == 12 * DAY_S


def test_a_partial_index_is_reported_and_not_used(exported: Hot) -> None:
    exported.events.create_index(
        [("timestamp", -1)],
        name="some",
        expireAfterSeconds=300 * DAY_S,
        partialFilterExpression={"number": 1},
    )
    applied = exported.apply()
    assert not applied.ok
    assert applied.plan.rule.others == (
        "index 'some' on timestamp: deletes of some documents after 300 days",
    )
    limits = {
        index["name"]: index.get("expireAfterSeconds") for index in exported.events.list_indexes()
    }
    assert limits == {"_id_": None, "some": 300 * DAY_S, "lake_ttl": 10 * DAY_S}


def test_a_plan_that_waited_too_long_for_its_answer_is_not_carried_out(
    exported: Hot, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = MongoExpiry.clock

    def answers(plans: Any) -> None:
        monkeypatch.setattr(
            MongoExpiry, "clock", lambda self: clock(self) + dt.timedelta(days=1, minutes=1)
        )

    applied = exported.apply(confirm=answers)
    assert (applied.state, exported.limit_s) == ("abandoned", None)
    assert "too old" in applied.why
