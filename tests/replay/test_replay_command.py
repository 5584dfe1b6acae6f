"""`lake replay`: what it prints, keeps, refuses, and how it ends."""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pyarrow as pa
import pymongo
import pytest
from support.command_line import runner
from support.hand_made import hand_made_lake

from lake.base.day import Day
from lake.cli import replay as replay_command
from lake.replay import Replayed, find_partitions, replayed

pytestmark = pytest.mark.servers

DAYS = ("2026-03-14", "2026-03-15")


def table(day, first, rows=500):
    start = dt.datetime.fromisoformat(day)
    return pa.table(
        {
            "_id": list(range(first, first + rows)),
            "timestamp": pa.array(
                [start + dt.timedelta(seconds=n) for n in range(rows)], pa.timestamp("ms", "UTC")
            ),
            "text": [f"document {n}" for n in range(rows)],
            "_rest": pa.array([None] * rows, pa.string()),
            "_raw": pa.array([None] * rows, pa.binary()),
        }
    )


@pytest.fixture
def events(tmp_path):
    """Two days of 500 documents in a directory."""
    made = hand_made_lake(tmp_path / "site", "events")
    for number, day in enumerate(DAYS):
        made.put("events", day, table(day, number * 500))
    return made


@pytest.fixture
def lake(monkeypatch, capsys):
    with runner(monkeypatch, capsys) as run:
        yield run


def replay_arguments(made, *more):
    return ["--config", str(made.config), "replay", "events", "--from", DAYS[0], *more]


def of_both_days(made, *more):
    return replay_arguments(made, "--to", "2026-03-16", *more)


def started(*arguments):
    return subprocess.Popen(
        [sys.executable, "-m", "lake", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@contextlib.contextmanager
def serving(*arguments):
    """What it printed, and the process; which has to end well."""
    process = started(*arguments)
    try:
        line = process.stdout.readline()
        assert line, process.stderr.read()
        yield json.loads(line), process
    finally:
        process.terminate()
        process.communicate(timeout=60)
    assert process.returncode == 0


def ids(endpoint):
    with pymongo.MongoClient(endpoint["uri"]) as client:
        return sorted(document["_id"] for document in client["app"]["events"].find())


def test_serve_prints_where_and_ends_with_a_signal(events):
    with serving(*of_both_days(events, "--serve", "--json")) as (printed, process):
        assert ids(printed["mongo"]) == list(range(1000))
        assert printed["datasets"][0]["days"][DAYS[1]] == {
            "rows": 500, "countable": 500, "found": 500
        }  # fmt: skip
        assert any("order of fields" in remark for remark in printed["remarks"])
    assert process.stdout.closed
    with (
        pymongo.MongoClient(printed["mongo"]["uri"], serverSelectionTimeoutMS=200) as client,
        pytest.raises(pymongo.errors.PyMongoError),
    ):
        client.admin.command("ping")


@pytest.mark.slow
def test_a_directory_keeps_the_data_and_is_compared_again(events, lake, tmp_path):
    into = tmp_path / "into"
    with serving(*of_both_days(events, "--into", str(into), "--serve")) as (printed, _):
        assert set(printed) == {"mongo"}
        assert into.stat().st_mode & 0o777 == 0o700
        assert ids(printed["mongo"]) == list(range(1000))
        status, _, err = lake(*of_both_days(events, "--into", str(into)))
        assert (status, "another process uses the directory" in err) == (2, True)
        with pymongo.MongoClient(printed["mongo"]["uri"]) as client:
            client["app"]["events"].delete_one({"_id": 700})
    status, _, err = lake(*of_both_days(events, "--into", str(into), "--serve"))
    assert status == 1
    assert "events 2026-03-15: 499, not 500" in err
    status, _, err = lake(*replay_arguments(events, "--to", DAYS[1], "--into", str(into)))
    assert (status, "something else was replayed there" in err) == (2, True)
    assert lake("replay", "--into", str(into), "--down")[0] == 0
    assert not into.exists()


def test_down_ends_the_one_that_serves(events, lake, tmp_path):
    into = tmp_path / "into"
    with serving(*of_both_days(events, "--into", str(into), "--serve")) as (_, process):
        status, _, err = lake("replay", "--into", str(into), "--down")
        assert (status, "servers stopped" in err) == (0, True)
        assert process.wait(30) == 0
    assert not into.exists()
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/file").touch()
    for folder in ("mine", "nowhere"):
        assert lake("replay", "--into", str(tmp_path / folder), "--down")[0] == 2
    assert (tmp_path / "mine/file").exists()


@pytest.mark.slow
def test_one_that_was_killed_begins_again(events, lake, tmp_path):
    for number, day in enumerate(DAYS):
        events.put("events", day, table(day, number * 5_000, 5_000))
    into = tmp_path / "into"
    process = started(*of_both_days(events, "--into", str(into)))
    deadline = time.monotonic() + 60
    while not (folders := list(into.glob("servers-*/mongo/data"))):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    assert "loaded" not in json.loads((into / "replay.json").read_text())
    (into / "servers-00000000/mongo").mkdir(parents=True)  # as one before that still wrote there
    status, _, err = lake(*of_both_days(events, "--into", str(into)))
    assert status == 0, err
    assert "10,000 rows" in err
    (kept,) = into.glob("servers-*")
    assert kept.name not in {folders[0].parents[1].name, "servers-00000000"}


def test_days_that_are_not_in_the_lake_are_listed(events, lake, tmp_path):
    into = ("--into", str(tmp_path / "into"))
    status, _, err = lake(*replay_arguments(events, "--to", "2026-03-18", *into))
    assert status == 1
    assert "events: 2026-03-16, 2026-03-17" in err
    assert not (tmp_path / "into").exists()
    status, out, _ = lake(
        *replay_arguments(events, "--to", "2026-03-18", *into, "--allow-missing", "--json")
    )
    assert status == 0
    assert list(json.loads(out)["datasets"][0]["days"]) == list(DAYS)
    assert json.loads(out)["directory"] == into[1]
    none = ("--from", "2026-04-01", "--to", "2026-04-03", "--allow-missing", "--serve")
    assert lake("--config", str(events.config), "replay", *none)[0] == 1


def test_an_object_that_is_altered_or_gone_is_named(events, lake, tmp_path):
    stored = Path(events.store.url(f"tables/events/day={DAYS[1]}/data.parquet"))
    data = bytearray(stored.read_bytes())
    data[len(data) // 2] ^= 1
    stored.write_bytes(data)
    status, _, err = lake(*of_both_days(events, "--serve"))
    assert status == 1
    assert f"the object of events {DAYS[1]} is not the one of its manifest" in err
    stored.unlink()
    status, _, err = lake(*of_both_days(events, "--serve"))
    assert (status, f"the object of events {DAYS[1]} is gone" in err) == (1, True)
    assert str(stored) in err


def test_wrong_usage(events, lake, tmp_path):
    assert lake(*of_both_days(events))[0] == 2  # neither --serve nor --into
    assert lake("--config", str(events.config), "replay", "events", "--serve")[0] == 2
    assert lake("--config", str(events.config), "replay", "no", "--day", DAYS[0], "--serve")[0] == 2
    assert lake("replay", "--down")[0] == 2
    (tmp_path / "file").touch()
    assert lake(*of_both_days(events, "--into", str(tmp_path)))[0] == 2


def test_of_a_document_in_two_days_the_one_exported_last_stays(events):
    """Its date was changed between the exports."""
    events.put("events", DAYS[1], table(DAYS[1], 499))  # 499 is in the first day, too
    chosen, days = events.settings.dataset, [Day.parse(day) for day in DAYS]
    partitions = find_partitions(events.store, chosen, days, allow_missing=False)
    with replayed(events.settings, events.store, partitions) as result:
        assert ids(result.endpoints["mongo"]) == list(range(999))
        assert [counts["found"] for counts in result.days["events"].values()] == [499, 500]
        assert "documents that are in two days" in "".join(result.remarks)


def test_nothing_is_imported_once_the_server_is_announced(monkeypatch):
    """A signal that meets an import is another error than the orderly end."""
    order = []
    result = Replayed(SimpleNamespace(wait=lambda: None, endpoints={"loki": {}}))
    monkeypatch.setattr(replay_command, "_next_steps", lambda _: order.append("steps") or ["next"])
    monkeypatch.setattr(replay_command.click, "echo", lambda text, err=False: order.append(text))
    replay_command._serve(result, None, as_json=False)
    assert order[:3] == ["steps", '{"loki": {}}', "next"]
