"""Runs over several days: what is recorded, what is not, and what an operator reads."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import dagster as dg
import pyarrow as pa
import pytest

from assets.columns import column_schema
from assets.links import links
from lake.base.day import Day
from lake.base.errors import Missing, TransientError
from lake.base.redaction import register_secret
from lake.partition.ledger import read_manifest
from lake.partition.table import schema_to_json
from lake.store import Store

DAYS = ["2026-07-01", "2026-07-02", "2026-07-03"]


def failure_of(result: dg.ExecuteInProcessResult):
    events = [event for event in result.all_events if event.is_step_failure]
    assert len(events) == 1
    return events[0].step_failure_data


def evaluations(place, asset: str = "events") -> dict[tuple[str, str], dg.AssetCheckEvaluation]:
    checks = [e for result in place.results for e in result.get_asset_check_evaluations()]
    of_days = (e for e in checks if e.asset_key.path == [asset] and e.partition)
    return {(e.check_name, e.partition): e for e in of_days}


def materializations(result, asset: str = "events") -> dict[str, dg.AssetMaterialization]:
    events = result.asset_materializations_for_node(asset)
    assert len({event.partition for event in events}) == len(events)
    return {event.partition: event for event in events}


@pytest.fixture
def three_days(place):
    place.source.rows = {day: number * 10 for number, day in enumerate(DAYS, 1)}
    return place


def test_each_day_has_its_own_record(three_days):
    place = three_days
    result = place.run(DAYS[0], DAYS[-1])
    assert result.success
    assert place.recorded() == DAYS
    for number, (day, event) in enumerate(sorted(materializations(result).items()), 1):
        manifest = json.loads(place.store.read(f"manifests/events/{day}.json"))
        shown = {name: value.value for name, value in event.metadata.items()}
        assert shown.pop("seconds") >= 0
        columns = {column.name: column for column in shown.pop("dagster/column_schema").columns}
        assert [(name, column.type) for name, column in columns.items()] == [
            ("day", "date32[day]"),
            ("_id", "int64"),
            ("text", "string"),
        ]
        assert columns["_id"].description == "identifier of the document"
        assert columns["text"].description == "field of the document"
        assert shown == {
            "state": "exported",
            "rows": number * 10,
            "dagster/row_count": number * 10,
            "source_count": number * 10,
            "bytes": manifest["bytes"],
            "left_out": {},
            "left_out_others": {},
            "sha256": manifest["sha256"],
            "fingerprint": manifest["fingerprint"],
            "rewrites": 0,
            "window": f"{day}T00:00:00+00:00 – {manifest['window']['end']}",
            "object": place.store.url(f"tables/events/day={day}/data.parquet"),
            "manifest": place.store.url(f"manifests/events/{day}.json"),
        }


def test_values_left_out_are_recorded_day_by_day(three_days):
    three_days.source.left_out = {DAYS[1]: {"status": 1, "request.size": 20}}
    recorded = materializations(three_days.run(DAYS[0], DAYS[-1]))
    assert {day: event.metadata["left_out"].value for day, event in recorded.items()} == {
        DAYS[0]: {},
        DAYS[1]: {"status": 1, "request.size": 20},
        DAYS[2]: {},
    }


def test_checks_are_recorded_day_by_day(three_days):
    place = three_days
    place.run(DAYS[0], DAYS[-1])
    checks = evaluations(place)
    assert set(checks) == {
        (check, day) for check in ("object_matches_manifest", "rows_equal_source") for day in DAYS
    }
    assert all(check.passed for check in checks.values())
    assert checks["rows_equal_source", DAYS[1]].metadata["rows"].value == 20
    assert checks["rows_equal_source", DAYS[1]].metadata["source_count"].value == 20


def test_what_is_there_is_skipped_and_force_rewrites_it(three_days):
    place = three_days
    place.run(DAYS[0], DAYS[0])
    second = place.run(DAYS[0], DAYS[1])
    third = place.run(DAYS[0], DAYS[0], config={"force": True})
    states = [
        {day: event.metadata["state"].value for day, event in materializations(result_).items()}
        for result_ in (second, third)
    ]
    assert states == [{DAYS[0]: "skipped", DAYS[1]: "exported"}, {DAYS[0]: "rewritten"}]


def test_fewer_rows_fail_unless_they_are_meant(three_days):
    place = three_days
    place.run(DAYS[0], DAYS[0])
    place.source.rows[DAYS[0]] = 4
    refused = place.run(DAYS[0], DAYS[0], config={"force": True})
    assert "fewer rows than before" in failure_of(refused).user_failure_data.description
    allowed = place.run(DAYS[0], DAYS[0], config={"force": True, "allow_shrink": True})
    assert materializations(allowed)[DAYS[0]].metadata["rows"].value == 4


def test_one_bad_day_does_not_stop_the_others(three_days):
    place = three_days
    place.source.faults[DAYS[1]] = Missing("the collection is gone", where="d.events")
    result = place.run(DAYS[0], DAYS[-1])
    assert not result.success
    assert place.recorded() == [DAYS[0], DAYS[2]]
    assert set(materializations(result)) == {DAYS[0], DAYS[2]}
    # Nothing is left of the bad day.
    assert not [stat.key for stat in place.store.list("") if DAYS[1] in stat.key]


def test_the_run_names_each_bad_day_and_why(three_days):
    place = three_days
    place.source.faults[DAYS[0]] = Missing("the collection is gone", where="d.events")
    place.source.faults[DAYS[2]] = Missing("another fault", remedy="do this")
    failure = failure_of(place.run(DAYS[0], DAYS[-1])).user_failure_data
    assert failure.description.startswith("2 of 3 days of events failed\n")
    assert f"{DAYS[0]}: the collection is gone\n  where: d.events" in failure.description
    assert f"{DAYS[2]}: another fault\n  remedy: do this" in failure.description
    assert {label: value.value for label, value in failure.metadata.items()} == {
        DAYS[0]: "the collection is gone\n  where: d.events",
        DAYS[2]: "another fault\n  remedy: do this",
    }


def test_another_asset_of_the_same_run_goes_on(three_days):
    place = three_days
    place.source.faults[DAYS[0]] = Missing("gone")
    job = place.definitions.resolve_job_def("export")
    result = job.execute_in_process(
        instance=place.instance, partition_key=DAYS[1], raise_on_error=False
    )
    assert result.success
    assert all(place.recorded(dataset.name) == [DAYS[1]] for dataset in place.settings.dataset)


def test_only_what_may_pass_is_tried_again(three_days):
    place = three_days
    place.source.faults[DAYS[0]] = Missing("gone")
    place.run(DAYS[0], DAYS[0])
    assert place.source.calls.count(("read", DAYS[0])) == 1
    place.source.faults[DAYS[1]] = TransientError("asleep")
    place.run(DAYS[1], DAYS[1])
    assert place.source.calls.count(("read", DAYS[1])) == 3


def recount(place):
    """What the nightly schedule does on 2026-07-04: states by day, and the run."""
    definitions = place.definitions
    with dg.build_schedule_context(
        instance=place.instance,
        scheduled_execution_time=datetime(2026, 7, 4, 3, 30, tzinfo=UTC),
        resources=definitions.resources,
        repository_def=definitions.get_repository_def(),
    ) as context:
        schedule = definitions.resolve_schedule_def("recount_late_days")
        request = schedule.evaluate_tick(context).run_requests[0]
    result = definitions.resolve_job_def("export").execute_in_process(
        instance=place.instance,
        run_config=request.run_config,
        asset_selection=request.asset_selection,
        tags=request.tags,
        raise_on_error=False,
    )
    done = materializations(result)
    return {day: event.metadata["state"].value for day, event in done.items()}, result


def test_a_day_that_grew_is_rewritten_by_the_nightly_recount(place, monkeypatch):
    monkeypatch.setattr(Day, "today", classmethod(lambda cls: Day.parse("2026-07-04")))
    place.source.lateness_days = 8
    place.source.rows = dict.fromkeys(DAYS, 10)
    place.run(DAYS[0], DAYS[-1])
    place.source.rows[DAYS[1]] = 12
    states, result = recount(place)
    assert states == {DAYS[0]: "skipped", DAYS[1]: "rewritten", DAYS[2]: "skipped"}
    shown = {day: event.metadata for day, event in materializations(result).items()}
    assert {day: metadata["rewrites"].value for day, metadata in shown.items()} == dict(
        zip(DAYS, (0, 1, 0), strict=True)
    )
    assert all(metadata["fingerprint"].value.startswith("v1:") for metadata in shown.values())


def test_a_day_that_shrank_fails_in_the_nightly_recount(place, monkeypatch):
    monkeypatch.setattr(Day, "today", classmethod(lambda cls: Day.parse("2026-07-04")))
    place.source.lateness_days = 8
    place.source.rows = dict.fromkeys(DAYS, 10)
    place.run(DAYS[0], DAYS[-1])
    place.source.rows[DAYS[1]] = 0
    states, result = recount(place)
    assert states == {DAYS[0]: "skipped", DAYS[2]: "skipped"}
    description = failure_of(result).user_failure_data.description
    assert "the source counts fewer rows than when the day was exported" in description
    assert "--allow-shrink" in description


class Once(dict):
    """Faults that pass."""

    def __getitem__(self, key):
        return self.pop(key)


def test_a_retry_that_succeeds_is_a_success(three_days):
    place = three_days
    place.source.faults = Once({DAYS[1]: TransientError("asleep")})
    assert place.run(DAYS[0], DAYS[-1]).success
    assert place.recorded() == DAYS
    assert place.source.calls.count(("read", DAYS[1])) == 2
    assert place.source.calls.count(("read", DAYS[0])) == 1


def test_no_traceback_of_what_was_foreseen(three_days):
    place = three_days
    place.source.faults[DAYS[0]] = Missing("the collection is gone")
    failure = failure_of(place.run(DAYS[0], DAYS[0]))
    assert failure.error.cause is None
    assert failure.error.context is None


def test_secrets_are_not_told(three_days):
    place = three_days
    place.source.faults[DAYS[0]] = Missing("no", where="mongodb://admin:hunter22@127.0.0.1/d")
    result = place.run(DAYS[0], DAYS[0])
    assert "hunter22" not in "".join(str(event) for event in result.all_events)
    assert "***@127.0.0.1" in failure_of(result).user_failure_data.description


def test_secrets_of_what_was_not_foreseen_are_not_told(three_days, monkeypatch):
    place = three_days
    register_secret("hunter2-token")

    def broken(*_: object) -> None:
        try:
            raise ValueError("Invalid header value b'Bearer hunter2-token\\n'")
        except ValueError as error:
            raise RuntimeError("hunter2-token") from error

    monkeypatch.setattr("assets.exports.check_partition", broken)
    result = place.run(DAYS[0], DAYS[0])
    description = failure_of(result).user_failure_data.description
    assert "Invalid header value b'Bearer ***" in description
    kept = [str(event) for event in result.all_events]
    kept += [str(entry) for entry in place.instance.all_logs(result.run_id)]
    assert "hunter2-token" not in "".join(kept)


@dataclass
class Tampering:
    """A store that damages what is written under keys that contain `what`."""

    store: Store
    what: str
    new: Callable[[bytes], bytes]

    def __getattr__(self, name: str):
        return getattr(self.store, name)

    def read(self, key: str) -> bytes:
        data = self.store.read(key)
        return self.new(data) if self.what in key else data

    def chunks(self, key: str):
        return (
            iter([self.new(self.store.read(key))]) if self.what in key else self.store.chunks(key)
        )


def _flip_a_byte(data: bytes) -> bytes:
    return bytes([data[0] ^ 1]) + data[1:]


def _claim_more(data: bytes) -> bytes:
    manifest = json.loads(data)
    return json.dumps(manifest | {"source_count": manifest["source_count"] + 1}).encode()


class TestDamaged:
    @pytest.fixture(
        params=[
            ("object_matches_manifest", "tables/events/day=2026-07-02", _flip_a_byte, "sha256"),
            ("rows_equal_source", "manifests/events/2026-07-02", _claim_more, "counted 21"),
        ],
        ids=["object", "manifest"],
    )
    def case(self, request):
        return request.param

    @pytest.fixture
    def wrapped(self, case):
        _check, key, change, _reported = case
        return lambda store: Tampering(store, key, change)

    def test_a_day_that_does_not_hold_what_it_should_is_not_recorded(self, three_days, case):
        check, _key, _change, text = case
        place = three_days
        result = place.run(DAYS[0], DAYS[-1])
        assert not result.success
        assert place.recorded() == [DAYS[0], DAYS[2]]
        checks = evaluations(place)
        assert {key for key, evaluation in checks.items() if not evaluation.passed} == {
            (check, DAYS[1])
        }
        assert text in checks[check, DAYS[1]].description
        assert text in failure_of(result).user_failure_data.description


def test_columns_of_any_type_are_shown_with_their_members(three_days):
    schema = pa.schema(
        [
            ("_id", pa.string()),
            ("took_ms", pa.int32()),
            ("client", pa.struct([("release", pa.string()), ("tags", pa.list_(pa.string()))])),
            *((f"c{number}", pa.int64()) for number in range(200)),
        ]
    )
    stored = three_days.run(DAYS[0], DAYS[0])
    assert stored.success
    held = read_manifest(three_days.store, "events", Day.parse(DAYS[0]))
    left_out = {"client.release": 7, "took_ms": 1}
    wide = replace(held, schema=schema_to_json(schema), details={"left_out": left_out})
    shown = column_schema(wide)["dagster/column_schema"].schema.columns
    assert [column.name for column in shown[:4]] == ["day", "_id", "took_ms", "client"]
    assert shown[2].description == (
        "field of the document; in milliseconds, by its name; 1 value is in _rest or _raw only"
    )
    assert shown[3].type == "struct<release: string, tags: list<string>>"
    assert shown[3].description.endswith("7 values are in _rest or _raw only")
    assert len(shown) == 101


def test_links_to_the_page_and_to_the_object(three_days):
    settings = three_days.settings
    assert links(settings, "tables/events/x", "events", DAYS[0]) == {}
    report = settings.report.model_copy(update={"url": "https://example.com/lake/index.html"})
    lake = settings.lake.model_copy(update={"root": "s3://archive/monitoring"})
    s3 = settings.s3.model_copy(update={"region": "ap-northeast-2"})
    settings = settings.model_copy(update={"report": report, "lake": lake, "s3": s3})
    shown = links(settings, "tables/events/day=2026-07-01/data.parquet", "events", DAYS[0])
    assert {name: value.value for name, value in shown.items()} == {
        "report": "https://example.com/lake/index.html#events/2026-07-01",
        "console": "https://console.aws.amazon.com/s3/object/archive?"
        "prefix=monitoring%2Ftables%2Fevents%2Fday%3D2026-07-01%2Fdata.parquet"
        "&region=ap-northeast-2",
    }
