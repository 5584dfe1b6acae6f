"""`lake documents` on lakes in a directory and on S3: what it prints, and how it ends."""

from __future__ import annotations

import datetime as dt
import json
import subprocess
import sys

import bson
import pymongo
import pytest
from support.command_line import runner

DAY = "2026-07-05"
MIDNIGHT = dt.datetime(2026, 7, 5, tzinfo=dt.UTC)
FILE = """
[lake]
root = "{root}"
{s3}
[sources.mongo]
uri = "{uri}"
database = "{database}"
[sources.prometheus]
url = "http://127.0.0.1:1"
[hot]
mongo = 3650
[[dataset]]
name = "events"
source = "mongo"
collection = "events"
[[dataset]]
name = "up"
source = "prometheus"
query = "up"
mode = "range"
step = "15s"
"""


@pytest.fixture
def lake(monkeypatch, capsys):
    with runner(monkeypatch, capsys) as run:
        yield run


@pytest.fixture(params=["directory", "s3"])
def config(request, tmp_path, mongo_uri, mongo_database):
    """A lake.toml; the collection has three documents of the day."""
    with pymongo.MongoClient(mongo_uri) as client:
        client[mongo_database].events.insert_many(
            [
                {"_id": 1, "timestamp": MIDNIGHT, "n": 2**53 + 1, "d": {"x": None}},
                {"_id": "b", "timestamp": MIDNIGHT, "n": "text", "é": 0.5},
                {"_id": 3, "timestamp": MIDNIGHT, "o": {"$oid": "x"}},
                {"_id": 4, "timestamp": MIDNIGHT + dt.timedelta(days=1)},
            ]
        )
    root, s3 = f"{tmp_path}/lake", ""
    if request.param == "s3":
        root = request.getfixturevalue("s3_root")
        place = request.getfixturevalue("s3")
        s3 = f'[s3]\nendpoint_url = "{place["endpoint_url"]}"\nregion = "{place["region"]}"\n'
    file = tmp_path / "lake.toml"
    file.write_text(FILE.format(root=root, s3=s3, uri=mongo_uri, database=mongo_database))
    return str(file)


def test_the_documents_of_a_day_as_they_were(lake, config):
    assert lake("export", "events", "--day", DAY, "--config", config)[0] == 0
    code, out, err = lake("documents", "events", "--day", DAY, "--config", config)
    assert (code, err) == (0, "")
    at_midnight = {"$date": {"$numberLong": str(int(MIDNIGHT.timestamp() * 1000))}}
    lines = [json.loads(line) for line in out.splitlines()]
    assert lines[0] == {
        "_id": "b",
        "timestamp": at_midnight,
        "n": "text",
        "é": {"$numberDouble": "0.5"},
    }
    assert lines[1] == {
        "_id": {"$numberInt": "1"},
        "timestamp": at_midnight,
        "n": {"$numberLong": str(2**53 + 1)},
        "d": {"x": None},
    }
    raw = bson.decode(bson.json_util.loads(out.splitlines()[2])["$raw"])
    assert raw == {"_id": 3, "timestamp": MIDNIGHT.replace(tzinfo=None), "o": {"$oid": "x"}}
    assert len(lines) == 3
    again = lake("documents", "events", "--day", DAY, "--json", "--config", config)
    assert again == (code, out, err)


def test_a_day_that_is_not_there(lake, config):
    code, out, err = lake("documents", "events", "--day", DAY, "--config", config)
    assert (code, out) == (1, "")
    assert f"remedy: lake export events --day {DAY}" in err


@pytest.mark.parametrize("config", ["directory"], indirect=True)
def test_wrong_usage(lake, config):
    assert lake("documents", "events", "--config", config)[0] == 2
    code, out, err = lake("documents", "up", "--day", DAY, "--config", config)
    assert (code, out) == (2, "")
    assert 'source = "prometheus"' in err
    code, _, err = lake("documents", "event", "--day", DAY, "--config", config)
    assert code == 2
    assert "events" in err


@pytest.mark.parametrize("config", ["directory"], indirect=True)
def test_a_damaged_object_gives_no_document(lake, config, tmp_path):
    lake("export", "events", "--day", DAY, "--config", config)
    (table,) = tmp_path.glob("lake/tables/events/*/data.parquet")
    damaged = bytearray(table.read_bytes())
    damaged[200] ^= 1
    table.write_bytes(damaged)
    code, out, err = lake("documents", "events", "--day", DAY, "--config", config)
    assert (code, out) == (1, "")
    assert "SHA-256" in err
    assert "--force" in err


@pytest.mark.parametrize("config", ["directory"], indirect=True)
def test_no_compiled_code_is_loaded(lake, config):
    lake("export", "events", "--day", DAY, "--config", config)
    script = (
        "import sys\nfrom lake.cli import main\n"
        f"sys.argv = ['lake', 'documents', 'events', '--day', '{DAY}', '--config', {config!r}]\n"
        "try:\n    main()\nfinally:\n    print('numba' in sys.modules, file=sys.stderr)\n"
    )
    command = [sys.executable, "-c", script]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert len(done.stdout.splitlines()) == 3
    assert done.stderr == "False\n"


@pytest.mark.slow
def test_memory_does_not_grow_with_the_day(tmp_path, mongo_uri, mongo_database, lake):
    """Forty times as many documents: the largest resident set stays about the same."""
    file = tmp_path / "lake.toml"
    file.write_text(
        FILE.format(root=tmp_path / "lake", s3="", uri=mongo_uri, database=mongo_database)
    )
    with pymongo.MongoClient(mongo_uri) as client:
        events = client[mongo_database].events
        events.create_index("timestamp")
        for day, rows in ((0, 500), (1, 20_000)):
            at = MIDNIGHT + dt.timedelta(days=day)
            events.insert_many({"timestamp": at, "text": f"{n:0500}"} for n in range(rows))
    peaks = []
    for day in ("2026-07-05", "2026-07-06"):
        assert lake("export", "events", "--day", day, "--config", str(file))[0] == 0
        done = subprocess.run(
            [sys.executable, "-c", PEAK, str(file), day],
            capture_output=True, text=True, check=True,
        )  # fmt: skip
        peaks.append(int(done.stderr))
    assert peaks[1] < peaks[0] + 30_000, peaks


PEAK = """
import pathlib, sys
from lake.cli import main
sys.argv = ["lake", "documents", "events", "--day", sys.argv[2], "--config", sys.argv[1]]
try:
    main()
finally:
    status = pathlib.Path("/proc/self/status").read_text()
    print(status.split("VmHWM:")[1].split()[0], file=sys.stderr)
"""
