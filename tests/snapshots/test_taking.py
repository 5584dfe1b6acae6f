"""What servers do while a snapshot is taken, and what snapshots leave on their disks."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pymongo
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from support.places import DAY
from support.system_loading import load_prometheus

from lake.base.errors import PermanentError, TransientError
from lake.http.client import Http
from lake.servers import start
from lake.systems.loki.snapshot.config import REMOVED, places, without_secrets
from lake.systems.loki.snapshot.taking import LokiSnapshotter
from lake.systems.mongo.snapshot.native import NativeDump, _Cutter

# Of MongoDB's commands those that others can write beside.
READING = {"aggregate", "buildinfo", "count", "endsessions", "find", "getmore", "hello",
           "killcursors", "listcollections", "listindexes", "ping"}  # fmt: skip


class Commands(pymongo.monitoring.CommandListener):
    """The names of all commands that are sent, in lower case."""

    def __init__(self):
        self.names = set()

    def started(self, event):
        self.names.add(event.command_name.lower())

    def succeeded(self, event):
        pass

    def failed(self, event):
        pass


def prometheus_place(place, endpoint, **more):
    return place(
        sources__prometheus={"url": endpoint["url"]},
        snapshots__prometheus={"data_dir": endpoint["data_dir"], **more},
    )


def test_what_a_killed_snapshot_left_on_the_servers_disk_is_removed(place, own_prometheus):
    endpoint = own_prometheus.endpoints["prometheus"]
    here = prometheus_place(place, endpoint)
    killed = subprocess.run(
        [sys.executable, "-m", "lake", "snapshot", "prometheus", "--config", str(here.config)],
        env={**os.environ, "LAKE_FAULT": "SIGKILL begin prometheus/*/packs/*"},
        capture_output=True,
        check=False,
    )
    assert killed.returncode == -signal.SIGKILL
    snapshots = own_prometheus["prometheus"].home / "data/snapshots"
    assert len(list(snapshots.iterdir())) == 1
    here.take("prometheus")
    assert list(snapshots.iterdir()) == []


def test_a_failed_snapshot_leaves_nothing_on_the_servers_disk(place, own_prometheus, monkeypatch):
    here = prometheus_place(place, own_prometheus.endpoints["prometheus"])
    monkeypatch.setattr(
        "lake.systems.prometheus.snapshot.taking.PrometheusSnapshotter._block", _full
    )
    with pytest.raises(PermanentError, match="no space left"):
        here.take("prometheus")
    assert list((own_prometheus["prometheus"].home / "data/snapshots").iterdir()) == []


def _full(*_):
    raise PermanentError("no space left")


def test_a_snapshot_whose_response_is_lost_is_named(place, own_prometheus, monkeypatch, caplog):
    """As behind a gateway that is less patient than the server is slow."""
    here = prometheus_place(place, own_prometheus.endpoints["prometheus"])
    original = Http.post

    def lost(self, path, *arguments, **options):
        response = original(self, path, *arguments, **options)
        if path.endswith("/snapshot"):
            raise TransientError("the server answered 504")
        return response

    monkeypatch.setattr(Http, "post", lost)
    with pytest.raises(TransientError, match="504"):
        here.take("prometheus")
    (left,) = (own_prometheus["prometheus"].home / "data/snapshots").iterdir()
    message = f"{left} is probably of an interrupted snapshot: remove it"
    assert message in caplog.text
    monkeypatch.undo()
    caplog.clear()
    here.take("prometheus")
    assert message in caplog.text
    shutil.rmtree(left)
    caplog.clear()
    here.take("prometheus")
    assert caplog.text == ""


def test_a_prometheus_elsewhere(place, own_prometheus, tmp_path):
    endpoint = own_prometheus.endpoints["prometheus"]
    for folder in (tmp_path / "none", tmp_path):
        here = prometheus_place(place, {**endpoint, "data_dir": str(folder)})
        with pytest.raises(PermanentError, match="not on this machine's disks") as failed:
            here.take("prometheus")
        assert "run this command on its host" in failed.value.parts["remedy"]
    for left in (own_prometheus["prometheus"].home / "data/snapshots").iterdir():
        shutil.rmtree(left)  # whose disk is not seen can't be tidied up


def test_out_of_order_samples_are_told(place):
    with start(["prometheus"], prometheus_out_of_order="30d") as own:
        endpoint = own.endpoints["prometheus"]
        load_prometheus(endpoint["url"], series=2)
        here = prometheus_place(place, endpoint)
        assert "out_of_order_log_bytes" not in here.take("prometheus").manifest.details
        load_prometheus(endpoint["url"], series=1, start_ms=DAY.start_ms + 1)  # between the others
        taken = here.take("prometheus").manifest
    assert taken.counts["day_samples"] == 2880 + 1440
    assert taken.details["out_of_order_log_bytes"] > 0
    assert taken.details["out_of_order_left_out"] == 1439  # the last one came in order
    here.restore("prometheus")
    with here.served("prometheus") as served:
        assert served.checked == {"day_samples": 2881}
        assert served.remarks[0].startswith("1439 of 4320 samples are not there: out-of-order")


def test_a_file_that_loki_removes_meanwhile(place, own_loki, monkeypatch):
    """As retention, compaction and the WAL's checkpoints do."""
    endpoint = own_loki.endpoints["loki"]
    here = place(
        sources__loki={"url": endpoint["url"]},
        snapshots__loki={name: endpoint[name] for name in ("data_dir", "config_file")},
    )
    removed = Path(endpoint["data_dir"]) / "compactor/removed"
    removed.parent.mkdir(exist_ok=True)
    removed.write_bytes(b"x")
    original = LokiSnapshotter._copied_as

    def copied_as(self, path):
        removed.unlink(missing_ok=True)
        return original(self, path)

    monkeypatch.setattr(LokiSnapshotter, "_copied_as", copied_as)
    taken = here.take("loki").manifest
    assert "data/compactor/removed" not in {file.path for file in taken.files}
    assert taken.counts["files"] == taken.paths - 1  # and the configuration
    assert DAY in taken.held_days()


def test_documents_that_are_written_meanwhile(place, mongo_uri, app_database):
    stop, written = threading.Event(), []

    def write():
        with pymongo.MongoClient(mongo_uri) as client:
            while not stop.is_set():
                written.append(client[app_database].a.insert_one({"x": "y" * 500}).inserted_id)

    writer = threading.Thread(target=write)
    with pymongo.MongoClient(mongo_uri) as client:
        client[app_database].a.insert_many([{"x": "y" * 500} for _ in range(6_000)])
    here = place(
        sources__mongo={"uri": mongo_uri, "database": app_database},
        snapshots__mongo={"tool": "native"},
    )
    writer.start()
    try:
        manifest = here.take("mongo").manifest
    finally:
        stop.set()
        writer.join()
    assert written
    assert 6_000 <= manifest.counts["documents"]["a"] <= 6_000 + len(written)
    here.restore("mongo")
    with here.served("mongo") as served:  # exactly as many as were dumped
        assert served.checked == {"documents": manifest.counts["documents"]}


def test_no_command_stops_the_source_s_writes(place, mongo_uri, app_database):
    """dbHash, by which an unchanged collection could be known, locks a mongod's whole database."""
    with pymongo.MongoClient(mongo_uri) as client:
        client[app_database].a.insert_one({"_id": 1})
    here = place(
        sources__mongo={"uri": mongo_uri, "database": app_database},
        snapshots__mongo={"tool": "native"},
    )
    commands = Commands()
    pymongo.monitoring.register(commands)
    try:
        here.take("mongo")
        assert here.take("mongo").sent_bytes == 0
    finally:
        pymongo.monitoring._LISTENERS.command_listeners.remove(commands)
    assert "find" in commands.names
    assert commands.names <= READING


def test_a_collection_that_is_dropped_meanwhile(place, mongo_uri, app_database, monkeypatch):
    here = place(
        sources__mongo={"uri": mongo_uri, "database": app_database},
        snapshots__mongo={"tool": "native"},
    )
    original = NativeDump._documents
    with pymongo.MongoClient(mongo_uri) as client:
        for name in "ab":
            client[app_database][name].insert_one({"_id": 1})

        def documents(self, job, path):
            client[app_database].drop_collection("b")
            return original(self, job, path)

        with monkeypatch.context() as dropping:
            dropping.setattr(NativeDump, "_documents", documents)
            with pytest.raises(TransientError, match="dropped or renamed") as failed:
                here.take("mongo")
    assert failed.value.parts["where"] == f"collection b of {app_database}"
    assert here.take("mongo").manifest.counts == {"documents": {"a": 1}}


@settings(max_examples=30, deadline=None)
@given(
    st.lists(st.integers(5, 3000), max_size=200),
    st.lists(st.integers(1, 20), max_size=200),
    st.randoms(use_true_random=False),
)
def test_members_are_cut_by_the_documents_alone(sizes, batches, chance):
    """However the server's answers are cut, the members are the same, and lose nothing."""
    documents = [size.to_bytes(4, "little") + chance.randbytes(size - 4) for size in sizes]

    def cut(amounts):
        cutter, members, rest = _Cutter(), [], list(documents)
        for amount in [*amounts, len(documents) + 1]:
            batch, rest = rest[:amount], rest[amount:]
            assert cutter.take(b"".join(batch)) == len(batch)
            members += cutter.members()
        return [*members, *cutter.rest()]

    whole = cut([])
    assert b"".join(whole) == b"".join(documents)
    assert cut(batches) == whole
    if len(documents) > 1:  # without the first, the others' members are the same
        del documents[0]
        assert set(cut([])) >= set(whole[1:])


LOKI = """
# the keys
common:
  path_prefix: /loki
storage_config:
  aws: {s3: "s3://key:pa%2Fss@host/bucket", secret_access_key: 's3cr3t', region: eu}
  tsdb_shipper:
    active_index_directory: /loki/active
schema_config:
  configs:
    - {from: 2024-01-01, store: tsdb, object_store: OBJECTS, schema: v13}
"""


def test_secrets_of_lokis_configuration_are_not_stored():
    text = without_secrets(LOKI)
    assert "s3cr3t" not in text
    assert "pa%2Fss" not in text
    redacted = LOKI.replace("key:pa%2Fss", REMOVED).replace("s3cr3t", REMOVED)
    assert yaml.safe_load(text) == yaml.safe_load(redacted)


SECRET = "hunter2"


@pytest.mark.parametrize(
    "text",
    [
        "password: 'hunter2'",
        "redis: {password: {nested: [hunter2]}}",
        "azure: {connection_string: 'AccountName=a;AccountKey=hunter2'}",
        "azure: {account_key: hunter2}",
        'gcs: {service_account: \'{"private_key": "hunter2"}\'}',
        "headers: {Authorization: Basic hunter2}",
        "headers: {X-Api-Key: hunter2}",
        "authorization: {type: Bearer, credentials: hunter2}",
        "azure: {sas: hunter2}",
        "azure: {sas_url: hunter2}",
        "s3: {access_key_id: hunter2}",
        "s3: {accessKey: hunter2}",
        "sse: {kms_key_id: hunter2}",
        "memberlist: {encryption_key: hunter2}",
        "ring: {key: hunter2}",
        "store: {pwd: hunter2}",
        "url: https://host/box?sv=1&sig=hunter2&se=2",
        "url: redis://:hunter2@host/0",
        "a: 1 # password: hunter2",
        "# old_token: hunter2\na: 1",
        "token: |\n  first\n  hunter2",
    ],
)
def test_each_kind_of_secret_is_taken_out(text):
    assert SECRET in text
    assert SECRET not in without_secrets(text)


@pytest.mark.parametrize("value", ["123456", "12.5", "true", "2024-01-01", "[123456]"])
def test_secrets_that_are_no_text(value):
    assert value.strip("[]") not in without_secrets(f"aws: {{password: {value}}}")


def test_what_is_no_secret_stays():
    text = "ring: {num_tokens: 512}\nauth_enabled: true\npassword: ''\nkey_prefix: index/\n"
    assert yaml.safe_load(without_secrets(text)) == yaml.safe_load(text)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("OBJECTS", "gcs", "can't be copied from here"),
        ("/loki/active", "/elsewhere", "outside of its data directory"),
    ],
)
def test_a_loki_that_can_t_be_copied_says_why(tmp_path, old, new, message):
    text = LOKI.replace(old, new).replace("OBJECTS", "s3")
    with pytest.raises(PermanentError, match=message) as failed:
        places(yaml.safe_load(text), tmp_path, tmp_path / "loki.yml")
    assert failed.value.parts["remedy"]
