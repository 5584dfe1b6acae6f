"""`lake metrics`: its values by hand, its text by two parsers that are not ours."""

from __future__ import annotations

import json
import subprocess
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.openmetrics.parser import text_string_to_metric_families
from support.ledger_days import TODAY, ago, export, lake, recounted

from lake.base.day import Day
from lake.lag import lags
from lake.metrics import Family, rendered
from lake.servers import find
from lake.status import DatasetStatus, DayStatus
from lake.ttl.turn import KEY

DAY_S = 86_400


def values(text: str) -> dict[tuple[str, ...], float]:
    """Name and label values → value, by the reference parser."""
    samples = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            assert (sample.name, family.type) == (family.name, "gauge")
            key = (sample.name.removeprefix("monitoring_lake_"), *sample.labels.values())
            assert key not in samples
            samples[key] = sample.value
    return samples


@pytest.fixture
def place(tmp_path: Path):
    return lake(tmp_path, ago(8), "[ttl]\nenabled = true\ndays = 30\n")


def test_days_by_state_and_what_is_at_risk(place, run):
    file, settings, store = place
    export(store, settings, "events", [ago(n) for n in range(8, 0, -1)])
    store.delete(f"tables/events/day={ago(4)}/data.parquet")
    recounted(store, "events", ago(6), 99)
    # Prometheus keeps 3 days: 8 … 3 days ago are whole no more, 3 days ago has some rows left.
    export(store, settings, "requests", [ago(8), ago(7), ago(1)])
    export(store, settings, "lines", [ago(n) for n in range(8, 0, -1)])
    code, out, err = run("metrics", "--config", str(file))
    assert (code, err) == (0, "")
    metrics = values(out)
    of = ("events", "mongo")
    assert [metrics["partitions", *of, state] for state in ("verified", "differs", "damaged")] == [
        6,
        1,
        1,
    ]
    assert metrics["lag_seconds", *of] == 6 * DAY_S
    assert metrics["first_unproven_timestamp_seconds", *of] == ago(6).start.timestamp()
    assert metrics["first_loss_timestamp_seconds", *of] == ago(6 - 40).start.timestamp()
    assert metrics["newest_day_timestamp_seconds", *of] == ago(1).start.timestamp()
    assert metrics["newest_day_rows", *of] == 3
    written = (file.parent / f"lake/tables/events/day={ago(1)}/data.parquet").stat().st_size
    assert metrics["newest_day_bytes", *of] == written
    assert metrics["table_rows", *of] == 24
    # `put` writes a fixed time.
    assert (
        metrics["last_manifest_timestamp_seconds", *of]
        == datetime(2026, 11, 1, tzinfo=UTC).timestamp()
    )
    of = ("requests", "prometheus")
    assert metrics["partitions", *of, "missing"] == 5
    assert metrics["lost_partitions", *of] == 3  # 6, 5 and 4 days ago
    assert metrics["first_unproven_timestamp_seconds", *of] == ago(3).start.timestamp()
    assert metrics["first_loss_timestamp_seconds", *of] == TODAY.start.timestamp()
    assert metrics["time_left_seconds", *of] <= 0
    of = ("lines", "loki")
    assert metrics["lag_seconds", *of] == 0
    assert metrics["lost_partitions", *of] == 0
    assert metrics["first_loss_timestamp_seconds", *of] == ago(-5).start.timestamp()
    assert abs(metrics["metrics_timestamp_seconds",] - time.time()) < 60


def test_the_guard(place, run):
    file, _, store = place
    metrics = values(run("metrics", "--config", str(file))[1])
    assert metrics["guard_enabled", "events", "mongo"] == 1
    assert metrics["guard_enabled", "lines", "loki"] == 0  # Loki has no index to guard
    assert ("guard_timestamp_seconds", "events", "mongo") not in metrics
    record = {"at": "2026-11-20T04:30:00+00:00", "limit_s": 31 * DAY_S, "decision": "held"}
    store.write(KEY, json.dumps({"datasets": {"events": record}}).encode())
    metrics = values(run("metrics", "--config", str(file))[1])
    of = ("events", "mongo")
    assert metrics["guard_timestamp_seconds", *of] == 1795149000
    assert metrics["guard_limit_seconds", *of] == 31 * DAY_S
    assert metrics["guard_held", *of] == 1
    assert metrics["guard_max_silence_seconds", *of] == 36 * 3600


@pytest.mark.servers
@pytest.mark.parametrize("name", ["promtool", "promtool3"])
def test_promtool_has_nothing_against_it(place, run, name):
    file, settings, store = place
    export(store, settings, "events", [ago(2), ago(1)])
    binary = find(name)
    if binary is None:
        pytest.skip(f"no {name} here")
    text = run("metrics", "--config", str(file))[1]
    done = subprocess.run(
        [binary.path, "check", "metrics"], input=text, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_a_file_is_replaced_at_once(place, run, tmp_path):
    file = place[0]
    target = tmp_path / "lake.prom"
    target.write_text("old")
    code, out, _ = run("metrics", "--config", str(file), "--output", str(target))
    assert (code, out) == (0, "")
    assert values(target.read_text())["build_info", "0.1.0"] == 1
    assert target.stat().st_mode & 0o777 == 0o644
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".lake.prom")] == []
    code, _, err = run("metrics", "--config", str(file), "--output", str(tmp_path / "no/x.prom"))
    assert code == 2
    assert "the file can't be written" in err
    assert "no such file or directory" in err


def test_an_empty_lake(place, run):
    file = place[0]
    metrics = values(run("metrics", "--config", str(file))[1])
    assert metrics["partitions", "events", "mongo", "missing"] == 8
    assert ("last_manifest_timestamp_seconds", "events", "mongo") not in metrics


@given(text=st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\r")))
def test_label_values_and_helps_come_back(text):
    family = Family("a_bytes", "Help " + text, "bytes")
    family.add(1.5, label=text)
    (parsed,) = text_string_to_metric_families(rendered([family]))
    assert (parsed.unit, parsed.documentation) == ("bytes", "Help " + text)
    assert (parsed.samples[0].labels, parsed.samples[0].value) == ({"label": text}, 1.5)


@given(
    kept=st.integers(1, 30),
    states=st.lists(st.sampled_from(["verified", "empty", "missing", "late", "damaged"])),
    second=st.integers(0, DAY_S - 1),
)
def test_a_lag_by_looking_at_each_row(kept, states, second):
    """Against rows one by one: a source drops a row that is `kept` days old."""
    today = Day.parse("2026-07-20")
    now = today.start + timedelta(seconds=second)
    days = {today.plus(-n): DayStatus(state) for n, state in enumerate(states, 1)}
    (lag,) = lags(_settings(kept), [DatasetStatus("d", "loki", days)], now)
    minutes = [timedelta(minutes=15 * n) for n in range(96)] + [timedelta(days=1, microseconds=-1)]
    there = [
        day
        for day, status in days.items()
        if status.state not in ("verified", "empty")
        and any(day.start + minute + timedelta(days=kept) > now for minute in minutes)
    ]
    first = min(there, default=today)
    assert lag.first_unproven == first
    assert lag.goes_at == first.start + timedelta(days=kept)
    assert lag.days == (today.date - first.date).days
    unproven = {day for day, status in days.items() if status.state not in ("verified", "empty")}
    assert set(lag.lost) == unproven - set(there)


def _settings(kept: int):
    from lake.config.settings import HotSection, LakeSection, Settings  # noqa: PLC0415

    return Settings(lake=LakeSection(root="lake"), hot=HotSection(loki=kept))


def test_the_last_verification(place, run):
    file, settings, store = place
    export(store, settings, "events", [ago(3), ago(2), ago(1)])
    export(store, settings, "lines", [ago(1)])
    metrics = values(run("metrics", "--config", str(file))[1])
    assert ("verify_failures", "events", "mongo") not in metrics
    run("verify", "--config", str(file))  # without --record nothing is kept
    assert store.stat("guard/verify.json") is None
    store.write(f"tables/events/day={ago(2)}/data.parquet", b"cut")
    assert run("verify", "events", "--record", "--config", str(file))[0] == 1
    metrics = values(run("metrics", "--config", str(file))[1])
    of = ("events", "mongo")
    assert (metrics["verify_partitions", *of], metrics["verify_failures", *of]) == (3, 1)
    assert abs(metrics["verify_timestamp_seconds", *of] - time.time()) < 60
    assert ("verify_failures", "lines", "loki") not in metrics
    kept = json.loads(store.read("guard/verify.json"))
    assert kept["events"]["first"] == str(ago(2))
    kept["events"]["of_a_later_version"] = 1
    store.write("guard/verify.json", json.dumps(kept).encode())
    assert values(run("metrics", "--config", str(file))[1])["verify_failures", *of] == 1


def test_what_never_ran_is_visible(tmp_path, run):
    """As the alert rules need it: whether it is wanted, and no time."""
    (tmp_path / "loki").mkdir()
    more = (
        f'[snapshots.loki]\ndata_dir = "{tmp_path}/loki"\n'
        '[retention]\nenabled = true\ntables = "90d"\n'
    )
    file, _, _ = lake(tmp_path, ago(3), more)
    text = file.read_text().replace(f'first_day = "{ago(3)}"', "")  # an empty lake: no day missing
    file.write_text(text)
    metrics = values(run("metrics", "--config", str(file))[1])
    assert {name for name, *_ in metrics if name.startswith(("snapshot", "rehearsal"))} == {
        "snapshot_enabled"
    }
    assert metrics["snapshot_enabled", "loki"] == metrics["snapshot_enabled", "mongo"] == 1
    assert metrics["snapshot_enabled", "prometheus"] == 0  # none of its files are here
    assert metrics["table_rows", "events", "mongo"] == 0
    assert ("last_manifest_timestamp_seconds", "events", "mongo") not in metrics
    assert metrics["retention_enabled",] == 1
    assert ("retention_timestamp_seconds",) not in metrics
    assert run("retention", "apply", "--yes", "--config", str(file))[0] == 0
    metrics = values(run("metrics", "--config", str(file))[1])
    assert abs(metrics["retention_timestamp_seconds",] - time.time()) < 60


def test_the_last_rehearsal_of_each_system(place, run):
    file, _, store = place

    def report(day: str, **systems: tuple[bool, ...]) -> None:
        snapshots = [{"system": name, "ok": ok} for name, each in systems.items() for ok in each]
        text = json.dumps({"day": day, "begun_at": f"{day}T05:00:00+00:00", "snapshots": snapshots})
        store.write(f"reports/rehearsal/{day}.json", text.encode())

    report("2026-09-01", loki=(True,), mongo=(True,))
    report("2026-10-01", mongo=(True, False, True))
    store.write("reports/rehearsal/2026-11-01.json", b"[]")
    metrics = values(run("metrics", "--config", str(file))[1])
    at = {day: datetime.fromisoformat(f"2026-{day}T05:00:00+00:00").timestamp() for day in
          ("09-01", "10-01")}  # fmt: skip
    assert {key: value for key, value in metrics.items() if key[0].startswith("rehearsal")} == {
        ("rehearsal_timestamp_seconds", "mongo"): at["10-01"],
        ("rehearsal_ok", "mongo"): 0,
        ("rehearsal_timestamp_seconds", "loki"): at["09-01"],
        ("rehearsal_ok", "loki"): 1,
    }
