"""`lake doctor` on what belongs to no source: configuration, store, coverage, programs, alerts.

Belongs here: a healthy set-up, and each check of a lake that has no source. Does not: MongoDB
(test_doctor_mongo.py), Prometheus and Loki (test_doctor_http.py).
"""

from __future__ import annotations

import json
import os
from collections import Counter

import pyarrow as pa
import pytest
from support.doctor_checks import only_line
from support.hand_made import hand_made_lake
from support.receivers import http_receiver, smtp_receiver

from lake.base.day import Day
from lake.partition.layout import manifest_key
from lake.partition.manifest import Manifest, write_manifest
from lake.servers.ports import free_ports
from lake.store.directory import DirectoryStore


def test_a_healthy_set_up(doctor, mongo, tmp_path):
    code, checks = doctor(mongo)
    assert code == 0
    assert {state for lines in checks.values() for state, _ in lines} == {"ok", "warn"}
    assert {subject for subject, lines in checks.items() if ("warn" in dict(lines))} <= {
        "alerts",  # no channel
        "coverage",
        "programs",  # mongod may be missing
    }
    assert "1 dataset" in checks["configuration"][0][1]
    assert "MongoDB" in checks["mongo"][0][1]
    assert "clock agrees" in checks["mongo"][1][1]
    assert list((tmp_path / "data").rglob("*doctor*")) == []


def test_no_configuration_and_a_wrong_one(doctor, lake, tmp_path):
    code, out, _ = lake("doctor")
    assert code == 1
    assert "fail  configuration: no configuration file" in out
    assert "→ `lake init` writes one" in out
    code, checks = doctor("[lake]\nroot = 'x'\ncolour = 1\n")
    assert list(checks) == ["configuration"]
    assert "unknown key 'colour'" in only_line(checks, "configuration", "fail")


def test_no_datasets_and_overrides_are_told(doctor, monkeypatch):
    monkeypatch.setenv("LAKE_HOT__LOKI", "7")
    _, checks = doctor("[lake]\nroot = 'x'\n")
    line = only_line(checks, "configuration", "warn")
    assert "overridden by LAKE_HOT__LOKI" in line
    assert "[[dataset]]" in line


def test_manifests_are_listed_and_read_once(doctor, tmp_path, monkeypatch):
    """Coverage and column rules both need all of them."""
    calls: Counter[str] = Counter()
    listed, read = DirectoryStore.list, DirectoryStore.read

    def list_counted(store, prefix):
        calls[f"list {prefix}"] += prefix.startswith("manifests/")
        return listed(store, prefix)

    def read_counted(store, key):
        calls[f"read {key}"] += key.startswith("manifests/")
        return read(store, key)

    lake = hand_made_lake(tmp_path / "made", "events", "users")
    for dataset in ("events", "users"):
        for day in ("2026-07-01", "2026-07-02"):
            lake.put(dataset, day, pa.table({"_id": [1]}))
    monkeypatch.setattr(DirectoryStore, "list", list_counted)
    monkeypatch.setattr(DirectoryStore, "read", read_counted)
    text = lake.config.read_text().replace('root = "lake"', f'root = "{tmp_path}/made/lake"')
    _, checks = doctor(text)
    assert {"dataset events", "dataset users"} <= set(checks)
    counts = {call: number for call, number in calls.items() if number}
    assert counts == dict.fromkeys(counts, 1)
    assert len(counts) == 1 + 4


def test_days_of_a_dataset_that_lake_toml_no_longer_has(doctor, tmp_path):
    lake = hand_made_lake(tmp_path / "made", "events", "users")
    for dataset in ("events", "users"):
        lake.put(dataset, "2026-07-01", pa.table({"_id": [1]}))
    text = lake.config.read_text().replace('root = "lake"', f'root = "{tmp_path}/made/lake"')
    assert "coverage" not in doctor(text)[1]
    _, checks = doctor(text.replace('name = "users"', 'name = "people"'))
    assert "lake.toml does not have: users (1 day)" in only_line(checks, "coverage", "warn")


S3 = """
[lake]
root = "{root}"
[s3]
endpoint_url = "{endpoint_url}"
region = "{region}"
"""


def test_an_s3_root(doctor, s3, s3_root):
    code, checks = doctor(S3.format(root=s3_root, **s3))
    assert code == 0
    assert checks["store"][0][1].startswith(f"{s3_root}: written, read, listed, deleted")
    assert "clock agrees" in checks["store"][1][1]
    assert checks["queries"] == [("ok", "DuckDB reads the store's objects → ")]


def test_a_wrong_s3_secret(doctor, s3, s3_root, monkeypatch):
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong-secret-of-doctor")
    _, checks = doctor(S3.format(root=s3_root, **s3))
    for subject in ("store", "queries"):
        assert "credentials" in only_line(checks, subject, "fail")
    assert "wrong-secret-of-doctor" not in json.dumps(checks)


def test_an_unknown_bucket_and_a_server_that_is_away(doctor, s3):
    _, checks = doctor(S3.format(root="s3://no-such-bucket", **s3))
    assert "no such bucket" in only_line(checks, "store", "fail")
    assert "`lake bucket apply` creates it" in only_line(checks, "store", "fail")
    port = free_ports(["s3"])["s3"]
    s3["endpoint_url"] = f"http://127.0.0.1:{port}"
    _, checks = doctor(S3.format(root="s3://no-such-bucket", **s3))
    assert "can't be reached" in only_line(checks, "store", "fail")


def test_a_root_that_is_no_directory(doctor, tmp_path):
    (tmp_path / "data").write_text("a file")
    _, checks = doctor("[lake]\nroot = 'data'\n")
    assert "a file stands where" in only_line(checks, "store", "fail")


def test_protection_that_a_directory_does_not_have(doctor):
    keys = '[s3]\nkms_key_id = "alias/k"\n[bucket]\nobject_lock = true\nlock_days = 9\n'
    _, checks = doctor(f"[lake]\nroot = 'data'\n{keys}")
    line = only_line(checks, "store", "warn")
    assert "[s3] kms_key_id, [bucket] lock_days, [bucket] object_lock can't apply" in line
    assert "warn" not in dict(doctor("[lake]\nroot = 'data'\n")[1]["store"])


def test_what_killed_exports_left(doctor, tmp_path):
    (tmp_path / "data/.parts").mkdir(parents=True)
    (tmp_path / "data/.parts/old").write_text("x")
    (tmp_path / "data/.parts/new").write_text("x")
    os.utime(tmp_path / "data/.parts/old", (0, 0))
    _, checks = doctor("[lake]\nroot = 'data'\n")
    assert "1 unfinished files" in only_line(checks, "store", "warn")


FIELDS = {
    "dataset": "events", "source": "mongo", "key": "x", "rows": 1, "bytes": 2, "sha256": "ab",
    "source_count": 1, "count_method": "count", "window": {}, "schema": [], "created_at": "x",
    "version": "0",
}  # fmt: skip


@pytest.mark.parametrize(
    ("first", "missing", "state", "text"),
    [
        (9, (), "ok", "exported from"),
        (9, (1,), "ok", "except yesterday"),
        (9, (3, 4), "warn", "2 days are not exported, the first is"),
        (9, (8,), "warn", "2 days left"),
        (9, (9,), "ok", "exported from"),  # before the first export nothing is missed
        (12, (9,), "fail", "1 days left"),
        (12, (11,), "fail", "older than the 10 days kept"),
    ],
)
def test_coverage(doctor, mongo, tmp_path, first, missing, state, text):
    store, today = DirectoryStore(tmp_path / "data"), Day.today()
    for back in range(1, first + 1):
        if back not in missing:
            write_manifest(store, Manifest(day=str(today.plus(-back)), **FIELDS))
    _, checks = doctor(mongo)
    lines = [
        line
        for line_state, line in checks["dataset events"]
        if line_state == state and text in line
    ]
    assert len(lines) == 1, checks
    if state != "ok":
        assert f"lake export events --from {today.plus(-max(missing))} --to {today}" in lines[0]


def test_a_damaged_manifest_covers_nothing(doctor, mongo, tmp_path):
    store, today = DirectoryStore(tmp_path / "data"), Day.today()
    for back in (1, 2, 3):
        write_manifest(store, Manifest(day=str(today.plus(-back)), **FIELDS))
    store.write(manifest_key("events", today.plus(-2)), b"{")
    _, checks = doctor(mongo)
    assert "1 day is not exported" in only_line(checks, "dataset events", "warn")


def test_mongodump_where_it_is_wanted(doctor, monkeypatch):
    text = "[lake]\nroot = 'data'\n[snapshots.mongo]\ntool = '{}'\n"
    monkeypatch.setattr("lake.doctor.tools.find", lambda name: None)
    monkeypatch.setattr("shutil.which", lambda name: None)
    code, checks = doctor(text.format("mongodump"))
    assert code == 1
    assert sum(state == "fail" for state, _ in checks["programs"]) == 2
    assert doctor(text.format("native"))[0] == 0


def test_programs_are_those_of_the_systems_that_the_lake_has(doctor, mongo, monkeypatch):
    monkeypatch.setattr("lake.doctor.tools.find", lambda name: None)
    (line,) = [line for _, line in doctor(mongo)[1]["programs"] if "no usable version" in line]
    assert line.startswith("mongo: ")
    assert "lake services install mongo" in line


def test_no_channel_for_alerts(doctor, mongo):
    _, checks = doctor(mongo)
    line = only_line(checks, "alerts", "warn")
    assert "failures are not sent" in line
    assert "lake alert test" in line


def test_channels_that_answer_get_no_message(doctor, mongo):
    with http_receiver() as receiver, smtp_receiver() as box:
        receiver.status = 404  # of the root: the host answers
        code, checks = doctor(
            f'{mongo}[alerts]\nwebhook_url = "{receiver.url}/hook"\n'
            f'heartbeat_url = "{receiver.url}/beat"\n'
            f'[alerts.email]\nhost = "127.0.0.1"\nport = {box.port}\nstarttls = false\n'
            'sender = "a@example.org"\nto = ["b@example.org"]\n'
        )
        assert code == 0
        for channel in ("webhook", "email", "heartbeat"):
            assert "it responds" in only_line(checks, f"alerts by {channel}", "ok")
        assert [path for _, path, _ in receiver.requests] == ["/", "/"]
        assert box.messages == []
    assert "alerts" not in checks


def test_channels_that_do_not(doctor, mongo, tmp_path, monkeypatch):
    monkeypatch.setenv("LAKE_ALERTS__WEBHOOK_URL", "http://127.0.0.1:1/services/T0/SECRETtoken")
    monkeypatch.setenv("LAKE_ALERTS__EMAIL__PASSWORD", "pass:word/0042")
    with smtp_receiver(login=("lake", "another")) as box:
        code, checks = doctor(
            f'{mongo}[alerts]\nheartbeat_url_file = "gone"\nalertmanager_url = "http://127.0.0.1:1"\n'
            f'[alerts.email]\nhost = "127.0.0.1"\nport = {box.port}\nstarttls = false\n'
            'username = "lake"\nsender = "a@example.org"\nto = ["b@example.org"]\n'
        )
    assert code == 1
    assert "the webhook does not answer" in only_line(checks, "alerts by webhook", "fail")
    assert "Alertmanager does not answer" in only_line(checks, "alerts by alertmanager", "fail")
    assert "a secret's file can't be read" in only_line(checks, "alerts by heartbeat", "fail")
    assert "refuses the login" in only_line(checks, "alerts by email", "fail")
    shown = str(checks)
    assert "SECRETtoken" not in shown
    assert "pass:word" not in shown
