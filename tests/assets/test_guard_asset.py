"""The daily expiry guard as Dagster has it: where it is, and runs on a real server."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import dagster as dg
import pymongo
import pytest
from support.hot_documents import DAY_S, Hot, ago, days, hot
from support.receivers import http_receiver

from assets.definitions import build
from assets.failed_runs import _guards
from assets.resources import LakeResource
from lake.holds.changing import add

OLD = days(14, 1)


@pytest.fixture
def place(tmp_path: Path, mongo_uri: str, mongo_database: str) -> Any:
    with pymongo.MongoClient[dict[str, Any]](mongo_uri, tz_aware=True) as client:
        made = hot(tmp_path, mongo_uri, mongo_database, client)
        made.insert(OLD)
        made.export(OLD)
        yield made


def run(place: Hot) -> dg.ExecuteInProcessResult:
    with dg.DagsterInstance.ephemeral() as instance:
        job = build(place.settings).resolve_job_def("guard")
        return job.execute_in_process(instance=instance, raise_on_error=False)


def failure(result: dg.ExecuteInProcessResult) -> dg.Failure:
    failure_ = result.failure_data_for_node("ttl_guard").user_failure_data
    assert failure_ is not None
    return failure_


def test_it_is_there_only_where_expiry_is_enabled(settings, place):
    without = build(settings)
    assert "ttl_guard" not in {
        key.to_user_string() for key in without.resolve_asset_graph().get_all_asset_keys()
    }
    assert [job.name for job in without.resolve_all_job_defs() if job.name == "guard"] == []
    definitions = build(place.settings)
    schedule = definitions.resolve_schedule_def("guard_daily")
    assert schedule.default_status == dg.DefaultScheduleStatus.RUNNING
    assert (schedule.cron_schedule, schedule.execution_timezone) == ("30 4 * * *", "UTC")
    exported = definitions.resolve_job_def("export").asset_layer.selected_asset_keys
    assert {key.to_user_string() for key in exported} == {"events"}


def test_the_first_deletion_needs_a_person(place):
    result = run(place)
    assert not result.success
    assert "run `lake ttl apply` once in a terminal" in failure(result).description
    assert place.limit_s is None


def test_it_moves_the_limit_and_fails_where_it_is_held(place):
    place.apply()
    result = run(place)
    assert result.success
    [event] = result.asset_materializations_for_node("ttl_guard")
    metadata = {name: value.value for name, value in event.metadata.items()}
    assert metadata == {
        "events_decision": "limit",
        "events_unproven_days": 0,
        "events_limit_days": 10.0,
    }
    (place.config.parent / f"lake/tables/events/day={ago(9)}/data.parquet").unlink()
    result = run(place)
    assert not result.success
    assert f"the first is {ago(9)}: damaged" in failure(result).description
    assert place.limit_s == 12 * DAY_S


def test_its_reasons_are_one_a_cause_with_the_hour(place):
    """A hold on old days hides no damage of a newer one."""
    add(place.settings, place.store, ["events"], ago(14), ago(11), "a court's order")
    (place.config.parent / f"lake/tables/events/day={ago(9)}/data.parquet").unlink()
    texts = {name: str(value.value) for name, value in failure(run(place)).metadata.items()}
    damaged, held = _guards(texts)["events"]
    assert damaged.splitlines()[:3] == [
        "documents are held because a day is damaged",
        f"1 day, the first is {ago(9)}: damaged (the object is gone)",
        f"without the hold its first row would expire at {ago(9).plus(10)} 00:00 UTC",
    ]
    assert held.startswith("documents are held because a day is held\n3 days, the first is")


def test_a_guard_that_fails_is_an_alert_until_it_succeeds(place):
    with http_receiver() as receiver, dg.DagsterInstance.ephemeral() as instance:
        text = place.config.read_text()
        place.config.write_text(f'{text}\n[alerts]\nwebhook_url = "{receiver.url}/hook"\n')
        definitions = build(place.settings)
        cursor = None
        for step in ("nothing", "fails", "succeeds"):
            if step == "succeeds":
                place.apply()
            if step != "nothing":
                job = definitions.resolve_job_def("guard")
                job.execute_in_process(instance=instance, raise_on_error=False)
            with dg.build_sensor_context(
                instance=instance,
                cursor=cursor,
                resources={"lake": LakeResource.of(place.settings)},
                definitions=definitions,
            ) as context:
                cursor = definitions.resolve_sensor_def("send_alerts")(context).cursor
        guards = [text.partition("\n")[0] for text in receiver.texts if "guard" in text]
        what = "guard failed: expiry guard: a first deletion needs a person's confirmation*"
        assert guards == [
            f":warning: *warning: {what}",
            f":white_check_mark: *resolved: {what}",
        ]
