"""What `lake status`, `lake doctor` and `lake verify` report of guards and of the audit log."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path
from typing import Any

import pytest
from support.hot_documents import DAY_S, NEVER_S, Hot, days

from lake import audit
from lake.ttl import silences
from lake.ttl.turn import KEY

OLD = days(12, 1)


@pytest.fixture
def guarded(place: Hot) -> Hot:
    place.insert(OLD)
    place.export(OLD)
    place.apply()
    return place


def ran(place: Hot, hours: float) -> None:
    """The last run was so long ago."""
    path = place.config.parent / "lake" / KEY
    state = json.loads(path.read_text())
    at = dt.datetime.now(dt.UTC) - dt.timedelta(hours=hours)
    state["datasets"]["events"]["at"] = at.isoformat()
    path.write_text(json.dumps(state))


def expiry_check(place: Hot) -> dict[str, str]:
    checks = json.loads(place.command("doctor", "--json").stdout)["checks"]
    return next(check for check in checks if check["subject"] == "expiry of events")


@pytest.mark.parametrize("options", [[], ["--no-sources"]])
def test_a_guard_that_has_not_run_for_too_long_fails_status(
    guarded: Hot, options: list[str]
) -> None:
    assert guarded.command("status", *options).exit_code == 0
    ran(guarded, 35)
    assert guarded.command("status", *options).exit_code == 0
    ran(guarded, 37)
    failed = guarded.command("status", "--json", *options)
    assert failed.exit_code == 1
    (silent,) = json.loads(failed.stdout)["silent_guards"]
    assert (silent["dataset"], silent["limit_s"]) == ("events", 10 * DAY_S)
    assert "events: the expiry guard has not run since" in failed.stderr


def test_doctor_reports_it(guarded: Hot) -> None:
    assert expiry_check(guarded)["state"] == "ok"
    ran(guarded, 37)
    assert expiry_check(guarded)["state"] == "fail"
    assert expiry_check(guarded)["remedy"] == "lake ttl apply"


def test_what_deletes_past_the_guard_is_in_doctor_and_metrics(guarded: Hot) -> None:
    def others() -> list[str]:
        lines = guarded.command("metrics").stdout.splitlines()
        return [line.rpartition(" ")[2] for line in lines if "guard_others{" in line]

    assert others() == ["0"]
    guarded.events.create_index("created", expireAfterSeconds=400 * DAY_S)
    assert not guarded.apply().ok
    assert (others(), expiry_check(guarded)["state"]) == (["1"], "warn")


def test_the_index_of_the_last_dataset_is_reported_after_that_is_removed(guarded: Hot) -> None:
    text = guarded.config.read_text()
    guarded.config.write_text(text[: text.index("[[dataset]]")])
    checks = json.loads(guarded.command("doctor", "--json").stdout)["checks"]
    (check,) = [check for check in checks if check["subject"] == "expiry"]
    assert check["state"] == "warn"
    assert "index 'lake_ttl' of" in check["found"]


def test_an_index_without_any_guard_is_reported_where_one_is_configured(place: Hot) -> None:
    place.insert(OLD)
    place.export(OLD)
    assert place.command("status").exit_code == 0  # no index: nothing expires
    place.events.create_index("timestamp", expireAfterSeconds=400 * DAY_S)
    failed = place.command("status")
    assert failed.exit_code == 1
    assert "has not run yet" in failed.stderr
    change = {"name": "timestamp_1", "expireAfterSeconds": NEVER_S}
    place.client[place.database].command({"collMod": "events", "index": change})
    assert place.command("status").exit_code == 0  # it lets nothing expire


def test_a_source_that_does_not_answer_leaves_the_last_known_limit(guarded: Hot) -> None:
    ran(guarded, 37)

    def expiry_of(name: str) -> Any:
        from lake.base.errors import TransientError  # noqa: PLC0415

        raise TransientError("no answer")

    assert silences(guarded.settings, guarded.store, expiry_of)


def verified(place: Hot) -> tuple[int, list[str]]:
    result = place.command("verify", "--json")
    return result.exit_code, json.loads(result.stdout)["audit"]["problems"]


def entry(place: Hot, number: int) -> Path:
    return place.config.parent / "lake" / audit.key_of(number)


def test_verify_checks_the_audit_log(guarded: Hot) -> None:
    for number in range(3):
        audit.append(guarded.store, "test", "events", "because", details={"number": number})
    assert verified(guarded) == (0, [])
    named = guarded.command("verify", "events", "--json")
    assert "audit" not in json.loads(named.stdout)


@pytest.mark.parametrize(
    ("damage", "problem"),
    [
        ("first gone", "entry 1 is missing"),
        ("middle gone", "entries 2 to 3 are missing"),
        ("last gone", "entry 5 is missing"),
        ("altered", "entry 3 does not follow entry 2"),
        ("last altered", "entry 5 was altered"),
        ("unreadable", "entry 3 of the audit log can't be read"),
        ("renumbered", "entry 3 of the audit log can't be read"),
        ("all gone", "entries 1 to 5 are missing"),
    ],
)
def test_what_happened_to_the_audit_log(guarded: Hot, damage: str, problem: str) -> None:
    for number in range(3):
        audit.append(guarded.store, "test", "events", "because", details={"number": number})
    gone = {"first gone": [1], "middle gone": [2, 3], "last gone": [5], "all gone": range(1, 6)}
    for number in gone.get(damage, []):
        entry(guarded, number).unlink()
    change = {"altered": 2, "last altered": 5}.get(damage)
    if change:
        path = entry(guarded, change)
        path.write_text(path.read_text().replace('"events"', '"other"'))
    if damage == "unreadable":
        entry(guarded, 3).write_text("{}")
    if damage == "renumbered":
        entry(guarded, 3).write_bytes(entry(guarded, 4).read_bytes())
    code, problems = verified(guarded)
    assert code == 1
    assert any(text.startswith(problem) for text in problems), problems


def test_entries_that_were_cut_off_stay_missing(place: Hot) -> None:
    for number in range(5):
        audit.append(place.store, "test", "events", "because", details={"number": number})
    for number in (4, 5):
        entry(place, number).unlink()
    for number in range(3):
        audit.append(place.store, "test", "events", "because", details={"number": number})
    assert [record.sequence for record in audit.entries(place.store)] == [1, 2, 3, 6, 7, 8]
    assert audit.check(place.store).problems == ("entries 4 to 5 are missing",)


def test_writers_at_one_moment_make_one_chain(place: Hot) -> None:
    from concurrent.futures import ThreadPoolExecutor  # noqa: PLC0415

    store = place.store
    with ThreadPoolExecutor(8) as pool:
        written = list(
            pool.map(
                lambda n: audit.append(store, "test", "events", "", details={"n": n}), range(24)
            )
        )
    assert sorted(record.sequence for record in written) == list(range(1, 25))
    assert audit.check(store).to_json() == {"entries": 24, "problems": []}
    assert [record.details["n"] for record in audit.entries(store, after=20)] == [
        record.details["n"] for record in sorted(written, key=lambda entry_: entry_.sequence)[20:]
    ]
