"""The daily retention run as Dagster has it, and its alert."""

from __future__ import annotations

import dagster as dg
import pytest
from support.aged_lake import Aged, aged
from support.ledger_days import ago

from assets.definitions import build
from lake.holds.changing import add
from lake.partition.layout import manifest_key


@pytest.fixture
def old(tmp_path) -> Aged:
    return aged(tmp_path)


def run(place: Aged) -> dg.ExecuteInProcessResult:
    with dg.DagsterInstance.ephemeral() as instance:
        job = build(place.settings).resolve_job_def("retention_run")
        return job.execute_in_process(instance=instance, raise_on_error=False)


def test_it_is_there_only_where_retention_is_enabled(settings, old):
    assert [j.name for j in build(settings).resolve_all_job_defs() if "retention" in j.name] == []
    definitions = build(old.settings)
    schedule = definitions.resolve_schedule_def("retention_daily")
    assert schedule.default_status == dg.DefaultScheduleStatus.RUNNING
    assert (schedule.cron_schedule, schedule.execution_timezone) == ("0 6 * * *", "UTC")
    exported = definitions.resolve_job_def("export").asset_layer.selected_asset_keys
    assert "retention" not in {key.to_user_string() for key in exported}


def test_nothing_goes_that_nobody_has_confirmed(old):
    before = old.objects()
    result = run(old)
    assert not result.success
    failure = result.failure_data_for_node("retention").user_failure_data
    assert "run `lake retention apply` once in a terminal" in failure.description
    assert old.objects() == before


def test_confirmed_terms_are_applied_and_reported(old):
    old.apply()
    old.store.write(f"reports/rehearsal/{ago(60)}.json", b"{}")
    result = run(old)
    assert result.success
    (event,) = result.asset_materializations_for_node("retention")
    assert event.metadata["deleted_objects"].value == 1
    assert old.store.stat(f"reports/rehearsal/{ago(60)}.json") is None


def test_a_hold_is_no_failure_and_an_invalid_manifest_is_one(old):
    add(old.settings, old.store, ["events"], None, None, "case 17")
    old.apply()
    assert run(old).success
    old.store.write(manifest_key("lines", ago(99)), b"?")
    result = run(old)
    assert not result.success
    failure = result.failure_data_for_node("retention").user_failure_data
    assert "lake drop lines" in failure.description
