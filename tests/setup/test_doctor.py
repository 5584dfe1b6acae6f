import json
import os
import threading
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pymongo
import pytest
from support.receivers import http_receiver, smtp_receiver
from support.rewriting_proxy import rewriting

from lake.base.day import Day
from lake.partition.layout import manifest_key
from lake.partition.manifest import Manifest, write_manifest
from lake.servers.ports import free_ports
from lake.store.directory import DirectoryStore

MONGO = """
[lake]
root = "data"
[sources.mongo]
uri = "{uri}"
database = "{database}"
[hot]
mongo = 10
[[dataset]]
name = "events"
source = "mongo"
collection = "events"
time_field = "at"
"""


@pytest.fixture
def doctor(lake, tmp_path):
    """Runs `lake doctor` on a configuration: exit status, checks by subject as (state, text)."""

    def run(text: str) -> tuple[int, dict[str, list[tuple[str, str]]]]:
        (tmp_path / "lake.toml").write_text(text)
        code, out, err = lake("doctor", "--json")
        assert all("does not answer" in line for line in err.splitlines())
        answer = json.loads(out)
        by_subject: dict[str, list[tuple[str, str]]] = {}
        for check in answer["checks"]:
            line = f"{check['found']} → {check['remedy']}"
            by_subject.setdefault(check["subject"], []).append((check["state"], line))
        assert answer["fail"] == sum(c["state"] == "fail" for c in answer["checks"])
        assert code == (1 if answer["fail"] else 0)
        return code, by_subject

    return run


@pytest.fixture
def events(mongo_uri, mongo_database):
    with pymongo.MongoClient(mongo_uri) as client:
        yield client[mongo_database].events


@pytest.fixture
def mongo(events, mongo_uri, mongo_database) -> str:
    """A healthy collection and its configuration."""
    events.insert_many([{"at": datetime.now(UTC), "b": n} for n in range(4)])
    events.create_index("at")
    return MONGO.format(uri=mongo_uri, database=mongo_database)


def only_line(checks, subject, state) -> str:
    """The one check of that subject and state."""
    lines = [line for line_state, line in checks.get(subject, ()) if line_state == state]
    assert len(lines) == 1, checks
    return lines[0]


def test_a_healthy_set_up(doctor, mongo, tmp_path):
    code, checks = doctor(mongo)
    assert code == 0
    assert {state for lines in checks.values() for state, _ in lines} == {"ok", "warn"}
    assert {subject for subject, lines in checks.items() if ("warn" in dict(lines))} <= {
        "alerts",  # no channel
        "coverage",
        "programs",  # promtool may be missing
    }
    assert "4 datasets" not in checks["configuration"][0][1]
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
    port = free_ports(["s3"])["s3"]
    s3["endpoint_url"] = f"http://127.0.0.1:{port}"
    _, checks = doctor(S3.format(root="s3://no-such-bucket", **s3))
    assert "can't be reached" in only_line(checks, "store", "fail")


def test_a_root_that_is_no_directory(doctor, tmp_path):
    (tmp_path / "data").write_text("a file")
    _, checks = doctor("[lake]\nroot = 'data'\n")
    assert "a file stands where" in only_line(checks, "store", "fail")


def test_what_killed_exports_left(doctor, tmp_path):
    (tmp_path / "data/.parts").mkdir(parents=True)
    (tmp_path / "data/.parts/old").write_text("x")
    (tmp_path / "data/.parts/new").write_text("x")
    os.utime(tmp_path / "data/.parts/old", (0, 0))
    _, checks = doctor("[lake]\nroot = 'data'\n")
    assert "1 unfinished files" in only_line(checks, "store", "warn")


def test_a_mongo_that_is_away_stops_no_other_check(doctor, mongo, mongo_uri, monkeypatch):
    port = free_ports(["mongo"])["mongo"]
    away = mongo.replace(mongo_uri, f"mongodb://127.0.0.1:{port}/?serverSelectionTimeoutMS=300")
    monkeypatch.setattr("lake.systems.mongo.diagnosis._PATIENCE_S", 1.0)
    _, checks = doctor(away)
    assert "no MongoDB server answers" in only_line(checks, "mongo", "fail")
    assert "store" in checks
    assert "programs" in checks


def test_a_collection_that_is_not_there_stops_no_other_check(doctor, mongo):
    second = mongo[mongo.index("[[dataset]]") :].replace('name = "events"', 'name = "others"')
    first = mongo.replace('collection = "events"', 'collection = "event"')
    _, checks = doctor(first + second)
    line = only_line(checks, "dataset events", "fail")
    assert "no collection 'event'" in line
    assert "one of events" in line
    assert [state for state, _ in checks["dataset others"]] == ["ok", "ok"]


def test_a_view_gets_no_advice_to_index_it(doctor, mongo, events):
    events.database.command({"create": "v", "viewOn": "events", "pipeline": []})
    _, checks = doctor(mongo.replace('collection = "events"', 'collection = "v"'))
    assert [state for state, _ in checks["dataset events"]] == ["ok", "ok"]
    assert "createIndex" not in str(checks)


def test_a_field_that_no_document_has_gets_no_advice_to_index_it(doctor, mongo):
    text = mongo.replace('time_field = "at"', 'time_field = "b"\ntime_fallback = "_id"')
    code, checks = doctor(text)
    assert code == 0
    assert "createIndex" not in str(checks["dataset events"])


def test_options_of_the_uri(doctor, mongo, mongo_uri):
    _, checks = doctor(mongo.replace(mongo_uri, f"{mongo_uri}/?useUnifiedTopology=true"))
    assert "useUnifiedTopology" in only_line(checks, "mongo", "warn")
    _, checks = doctor(mongo.replace(mongo_uri, f"{mongo_uri}/?tlsCAFil=/x"))
    assert "did you mean tlscafile?" in only_line(checks, "mongo", "fail")
    _, checks = doctor(mongo.replace(mongo_uri, f"{mongo_uri}/?tls=true&tlsCAFile=/nowhere"))
    assert "the file of tlsCAFile can't be read" in only_line(checks, "mongo", "fail")
    assert "programs" in checks


def test_documents_that_python_cannot_decode(doctor, lake, mongo, events, mongo_uri, tmp_path):
    events.insert_one({"at": datetime.now(UTC), "text": "MARKERBADUTF8"})
    mark = datetime(2001, 2, 3, 4, 5, 6, 789000, tzinfo=UTC)
    pipeline = [{"$match": {"seen": {"$gt": mark}}}]
    events.database.command({"create": "v", "viewOn": "events", "pipeline": pipeline})
    far = {round(mark.timestamp() * 1000).to_bytes(8, "little"): bytes(7) + b"\x80"}
    with rewriting(mongo_uri, {b"MARKERBADUTF8": b"caf\xe9 \xff\xfe BINxx", **far}) as uri:
        code, checks = doctor(mongo.replace(mongo_uri, uri))
        assert code == 0, checks
        assert "a date in 100%" in str(checks["dataset events"])
        database = events.database.name
        code, _, err = lake("init", "--mongo", f"{uri}/{database}", "--output", str(tmp_path / "x"))
    assert code == 0, err
    assert 'time_field = "at"' in (tmp_path / "x").read_text()


def test_time_fields(doctor, mongo, events):
    _, checks = doctor(mongo.replace('time_field = "at"', 'time_field = "b"'))
    line = only_line(checks, "dataset events", "fail")
    assert "none of 8 sampled documents has a date in 'b'" in line
    assert "dates are in: at" in line
    events.insert_many([{"at": "yesterday"}] * 1 + [{"x": n} for n in range(3)])
    _, checks = doctor(mongo)
    assert "a date in 50% of a sample" in only_line(checks, "dataset events", "warn")
    code, checks = doctor(mongo + 'time_fallback = "_id"\n')
    assert code == 0
    assert "warn" not in dict(checks["dataset events"])


def test_indexes_and_time_to_live(doctor, mongo, events):
    events.drop_index("at_1")
    _, checks = doctor(mongo)
    assert "db.getCollection('events').createIndex({'at': 1})" in only_line(
        checks, "dataset events", "warn"
    )
    events.create_index("at", expireAfterSeconds=5 * 86_400)
    code, checks = doctor(mongo)
    assert code == 1
    line = only_line(checks, "dataset events", "fail")
    assert "keeps 5 days only, [hot] mongo = 10" in line
    assert "set [hot] mongo = 5" in line
    assert doctor(mongo.replace("mongo = 10", "mongo = 5"))[0] == 0


def test_an_empty_collection(doctor, mongo, events):
    events.delete_many({})
    assert "empty" in only_line(doctor(mongo)[1], "dataset events", "warn")


def test_a_database_that_is_gone(doctor, mongo, events, lake):
    events.database.client.drop_database(events.database.name)
    text = mongo.partition("[[dataset]]")[0]
    status, checks = doctor(text)
    assert status == 1
    line = only_line(checks, "mongo", "fail")
    assert f"no database {events.database.name!r}" in line
    assert "correct `database`" in line


HTTP = """
[lake]
root = "data"
[sources.prometheus]
url = "{prometheus}"
[sources.loki]
url = "{loki}"
[[dataset]]
name = "metrics"
source = "prometheus"
query = '{query}'
mode = "{mode}"
[[dataset]]
name = "lines"
source = "loki"
selector = '{selector}'
"""
GOOD = {"query": "http_server_requests_seconds_count", "mode": "range", "selector": '{a="b"}'}


@pytest.mark.parametrize(
    ("changes", "subject", "state", "text"),
    [
        ({}, "dataset metrics", "ok", "the query gives"),
        ({"mode": "raw"}, "dataset metrics", "ok", "the query gives"),
        ({"query": "sum(rate(up[5m]))"}, "dataset metrics", "warn", "gives nothing now"),
        ({"query": "1 + 1"}, "dataset metrics", "ok", "gives 1 series"),
        ({"query": "sum(("}, "dataset metrics", "fail", "correct `query`"),
        ({"query": "sum(up)", "mode": "raw"}, "dataset metrics", "fail", "selectors only"),
        ({"selector": '{container=~".+"}'}, "dataset lines", "ok", "finds lines"),
        ({"selector": '{none="x"}'}, "dataset lines", "warn", "no line since yesterday"),
        ({"selector": "{container="}, "dataset lines", "fail", "not a log selector"),
    ],
)
def test_queries_and_selectors(doctor, endpoints, changes, subject, state, text):
    _, checks = doctor(HTTP.format(**endpoints, **(GOOD | changes)))
    assert text in only_line(checks, subject, state)
    assert checks["prometheus"][0][0] == checks["loki"][0][0] == "ok"


def test_servers_that_are_away_or_swapped(doctor, endpoints):
    port = free_ports(["x"])["x"]
    away = endpoints | {"prometheus": f"http://127.0.0.1:{port}"}
    _, checks = doctor(HTTP.format(**away, **GOOD))
    assert "connection failed" in only_line(checks, "prometheus", "fail")
    assert checks["loki"][0][0] == "ok"
    swapped = {"prometheus": endpoints["loki"], "loki": endpoints["prometheus"]}
    _, checks = doctor(HTTP.format(**swapped, **GOOD))
    for source in swapped:
        assert f"[sources.{source}]" in only_line(checks, source, "fail")


def test_retention_shorter_than_configured(doctor, endpoints):
    hot = "[hot]\nprometheus = 40000\n"
    _, checks = doctor(HTTP.format(**endpoints, **GOOD) + hot)
    line = only_line(checks, "prometheus", "fail")
    assert "keeps 36500 days only" in line


def test_what_snapshots_read(doctor, filled, endpoints, tmp_path):
    """Warnings: exports need none of it."""
    plain = HTTP.format(**endpoints, **GOOD)
    own = {name: filled[0].endpoints[name] for name in ("prometheus", "loki")}
    section = "[snapshots.{0}]\ndata_dir = '{1}'\n"
    good = section.format("prometheus", own["prometheus"]["data_dir"])
    good += section.format("loki", own["loki"]["data_dir"])
    good += f"config_file = '{own['loki']['config_file']}'\n"
    _, checks = doctor(plain + good)
    lines = checks["snapshots of prometheus"] + checks["snapshots of loki"]
    assert [state for state, _ in lines] == ["ok"] * 4
    away = section.format("prometheus", tmp_path / "p") + section.format("loki", tmp_path / "l")
    _, checks = doctor(plain + away + f"config_file = '{tmp_path / 'c.yml'}'\n")
    line = only_line(checks, "snapshots of prometheus", "warn")
    assert f"[snapshots.prometheus] data_dir: no such directory: {tmp_path / 'p'}" in line
    assert "mount the volume here (writable)" in line
    (_, directory), (_, file) = checks["snapshots of loki"]
    assert "mount the volume here (read-only), or run `lake snapshot loki`" in directory
    assert "set [snapshots.loki] config_file to the server's file" in file


class Flags(BaseHTTPRequestHandler):
    """A Prometheus as far as its flags."""

    answer = b""

    def do_GET(self) -> None:
        is_flags = self.path.startswith("/api/v1/status/flags") and self.answer
        self.send_response(200 if is_flags else 503)
        self.end_headers()
        self.wfile.write(self.answer if is_flags else b"")

    def log_message(self, *_: object) -> None:
        """Nothing."""


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        (b'{"data": {"web.enable-admin-api": "false"}}', "admin API is off"),
        (b'{"data": {"web.enable-admin-api": "true"}}', "admin API is on"),
        (b'{"data": {}}', "can't be read"),
        (b"", "can't be read"),
    ],
)
def test_the_admin_api(doctor, monkeypatch, answer, text):
    monkeypatch.setattr(Flags, "answer", answer)
    with ThreadingHTTPServer(("127.0.0.1", 0), Flags) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}"
        _, checks = doctor(f"[lake]\nroot = 'data'\n[sources.prometheus]\nurl = '{url}'\n")
        server.shutdown()
    state, line = checks["snapshots of prometheus"][1]
    assert text in line
    assert (state == "ok") == (text == "admin API is on")


FIELDS = {
    "dataset": "events", "source": "mongo", "key": "x", "rows": 1, "bytes": 2, "sha256": "ab",
    "source_count": 1, "count_method": "count", "window": {}, "schema": [], "created_at": "x",
    "version": "0",
}  # fmt: skip


@pytest.mark.parametrize(
    ("first", "missing", "state", "text"),
    [
        (9, (), "ok", "exported from"),
        (9, (1,), "ok", "but for yesterday"),
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
    assert any("lake services install loki" in line for _, line in checks["programs"])
    assert doctor(text.format("native"))[0] == 0


def test_no_channel_for_alerts(doctor, mongo):
    _, checks = doctor(mongo)
    line = only_line(checks, "alerts", "warn")
    assert "nobody hears of failures" in line
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
            assert "it answers" in only_line(checks, f"alerts by {channel}", "ok")
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
