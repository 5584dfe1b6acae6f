"""mongodump and mongorestore as programs on PATH: fakes that record how they are called."""

from __future__ import annotations

import json
import os
import stat
import sys
from pathlib import Path

import pymongo
import pytest
from support.places import DAY

from lake.base.errors import ConfigError, Incomplete, Missing
from lake.servers import start
from lake.systems.mongo.config import MongoSource
from lake.systems.mongo.snapshot.load import _held, load_dump
from lake.systems.mongo.snapshot.mongodump import _uri

TESTS = str(Path(__file__).parents[1])
FAKE = """#!{python}
import json, os, sys, stat, pathlib
import pymongo
from bson import json_util
here = pathlib.Path(__file__).parent
sys.path.insert(0, {tests!r})
from support.mongo_archives import described, read, written
name = pathlib.Path(__file__).name
argv = sys.argv[1:]
option = lambda key: next((a.split("=", 1)[1] for a in argv if a.startswith(key + "=")), "")
config = pathlib.Path(option("--config"))
uri = json.loads(config.read_text())["uri"]
told = {{"argv": argv, "mode": stat.S_IMODE(config.stat().st_mode), "uri": uri,
        "cmdline": pathlib.Path("/proc/self/cmdline").read_text(), "config": str(config)}}
with (here / "calls").open("a") as calls:
    calls.write(json.dumps([name, told]) + "\\n")
behave = json.loads((here / "behave").read_text())
client = pymongo.MongoClient(uri)
if name == "mongodump":
    database = client.get_default_database()
    query = option("--queryFile")
    question = json_util.loads(pathlib.Path(query).read_text()) if query else {{}}
    names = [option("--collection")] if query else database.list_collection_names()
    rows = [(database.name, n, list(database[n].find(question))) for n in sorted(names)]
    sys.stdout.buffer.write(written([described(d, n) for d, n, _ in rows], rows))
    sys.stdout.flush()
    print("done dumping", file=sys.stderr)
else:
    archive = option("--archive")
    for database, collection, rows in read(open(archive, "rb").read()):
        client[database][collection].insert_many(rows)
    print(behave.get("told", "0 document(s) failed to restore."), file=sys.stderr)
sys.exit(behave.get(name, 0))
"""


class Tools:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name in ("mongodump", "mongorestore"):
            (folder / name).write_text(FAKE.format(python=sys.executable, tests=TESTS))
            (folder / name).chmod(0o755)
        self.behave()

    def behave(self, **how) -> None:
        (self.folder / "behave").write_text(json.dumps(how))

    @property
    def calls(self) -> list:
        return [json.loads(line) for line in (self.folder / "calls").read_text().splitlines()]


@pytest.fixture
def tools(tmp_path, monkeypatch) -> Tools:
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    return Tools(folder)


@pytest.fixture
def here(place, mongo_uri, app_database):
    with pymongo.MongoClient(mongo_uri) as client:
        client[app_database].a.insert_many(
            [{"_id": n, "at": DAY.plus(n % 2).start} for n in range(20)]
        )
        client[app_database].b.insert_one({"_id": 1})
    return place(
        sources__mongo={"uri": mongo_uri, "database": app_database},
        dataset=[{"name": "a", "source": "mongo", "collection": "a", "time_field": "at"}],
    )


def test_its_archive_goes_to_the_store_and_comes_back(here, tools, app_database, monkeypatch):
    manifest = here.take("mongo").manifest
    assert [file.path for file in manifest.files] == ["mongodump.archive.gz"]
    assert manifest.details["written_by"] == "mongodump"
    assert manifest.counts == {"documents": {"a": 20, "b": 1}}
    ((name, call),) = tools.calls
    assert name == "mongodump"
    assert sorted(call["argv"]) == sorted(["--archive", "--gzip", f"--config={call['config']}"])
    assert call["mode"] == stat.S_IRUSR | stat.S_IWUSR
    assert "mongodb://" not in call["cmdline"]
    assert not Path(call["config"]).exists()
    here.restore("mongo")
    with here.served("mongo") as served, pymongo.MongoClient(served.endpoint["uri"]) as client:
        assert served.checked == {"documents": {"a": 20, "b": 1}}
        assert client[app_database].a.count_documents({}) == 20
    for option in ("--stopOnError", "--bypassDocumentValidation", "--maintainInsertionOrder"):
        assert option in tools.calls[-1][1]["argv"]


def test_the_days_documents_by_collection(here, tools, app_database, monkeypatch):
    monkeypatch.setenv("LAKE_SNAPSHOTS__MONGO__SCOPE", "day")
    settings = here.settings
    mongo = settings.snapshots.mongo.model_copy(update={"scope": "day"})
    snapshots = settings.snapshots.model_copy(update={"mongo": mongo})
    monkeypatch.setattr(
        type(here),
        "settings",
        property(lambda _: settings.model_copy(update={"snapshots": snapshots})),
    )
    manifest = here.take("mongo").manifest
    assert [file.path for file in manifest.files] == ["a.archive.gz"]
    assert manifest.counts == {"documents": {"a": 10}}
    here.restore("mongo")
    with here.served("mongo") as served, pymongo.MongoClient(served.endpoint["uri"]) as client:
        assert client[app_database].a.distinct("_id") == list(range(0, 20, 2))


def test_a_dump_that_fails_leaves_nothing(here, tools):
    tools.behave(mongodump=3)
    with pytest.raises(Incomplete, match="mongodump failed") as failed:
        here.take("mongo")
    assert "3" in failed.value.parts["found"]
    assert "done dumping" in failed.value.parts["found"]
    with pytest.raises(Missing):
        here.manifest("mongo")
    assert not [stored for stored in here.store.list("") if "archive" in stored.key]


@pytest.mark.parametrize(
    "how", [{"mongorestore": 1}, {"told": "2 document(s) failed to restore."}], ids=["exit", "told"]
)
def test_a_restore_that_fails_is_told(here, tools, how, mongo_uri, app_database):
    here.take("mongo")
    dump = here.restore("mongo").directory
    with pymongo.MongoClient(mongo_uri) as client:
        client.drop_database(app_database)
    tools.behave(**how)
    with pytest.raises(Incomplete, match="mongorestore failed"):
        load_dump(mongo_uri, dump, hold_ttl=False)


def test_without_the_programs(place, tools, here, app_database, monkeypatch):
    """Its archive comes back all the same; a new one can't be made."""
    here.take("mongo")
    here.restore("mongo")
    monkeypatch.setenv("PATH", "")
    with here.served("mongo") as served, pymongo.MongoClient(served.endpoint["uri"]) as client:
        assert served.checked == {"documents": {"a": 20, "b": 1}}
        assert client[app_database].a.distinct("_id") == list(range(20))
    assert [name for name, _ in tools.calls] == ["mongodump"]
    wanting = place(
        sources__mongo={"uri": "mongodb://127.0.0.1:1", "database": "x"},
        snapshots__mongo={"tool": "mongodump"},
    )
    with pytest.raises(ConfigError, match="mongodump is not on PATH"):
        wanting.take("mongo")


@pytest.mark.parametrize(
    ("uri", "expected"),
    [
        ("mongodb://h:1", "mongodb://h:1/app"),
        ("mongodb://h:1/other?tls=true", "mongodb://h:1/app?tls=true"),
        ("mongodb://u:p%2F@h:1/users", "mongodb://u:p%2F@h:1/app?authSource=users"),
        ("mongodb://u:p@h:1", "mongodb://u:p@h:1/app?authSource=admin"),
        ("mongodb://u:p@h/x?authSource=y", "mongodb://u:p@h/app?authSource=y"),
        ("mongodb://u:p@h/x?authsource=y", "mongodb://u:p@h/app?authsource=y"),
        ("mongodb://u:p@h/?w=1;AUTHSOURCE=y", "mongodb://u:p@h/app?w=1;AUTHSOURCE=y"),
        ("mongodb://CN%3Da@h/?authMechanism=MONGODB-X509&tls=true", "mongodb://CN%3Da@h/app?authMechanism=MONGODB-X509&tls=true&authSource=$external"),
        ("mongodb://h/?authMechanism=MONGODB-X509", "mongodb://h/app?authMechanism=MONGODB-X509&authSource=$external"),
        ("mongodb://K:s%2F@h/x?authMechanism=MONGODB-AWS", "mongodb://K:s%2F@h/app?authMechanism=MONGODB-AWS&authSource=$external"),
        ("mongodb://u%40R@h/?authmechanism=GSSAPI", "mongodb://u%40R@h/app?authmechanism=GSSAPI&authSource=$external"),
        ("mongodb://u:p@h/ldap?authMechanism=PLAIN", "mongodb://u:p@h/app?authMechanism=PLAIN&authSource=ldap"),
        ("mongodb://u:p@h/?authMechanism=PLAIN", "mongodb://u:p@h/app?authMechanism=PLAIN&authSource=$external"),
        ("mongodb://u:p@a:1,b:2/?replicaSet=r", "mongodb://u:p@a:1,b:2/app?replicaSet=r&authSource=admin"),
    ],
)  # fmt: skip
def test_the_uri_names_the_database_and_whose_users(uri, expected):
    assert _uri(MongoSource(uri=uri, database="app")) == expected


class Records:
    """DNS of one cluster."""

    def __init__(self, text: str | None) -> None:
        self.text = text

    def get_hosts(self) -> list[tuple[str, int]]:
        return [("node0.example.net", 27017)]

    def get_options(self) -> str | None:
        return self.text


@pytest.mark.parametrize(
    ("text", "query", "expected"),
    [
        ("authSource=people&replicaSet=r", "", "?authSource=people"),
        ("replicaSet=r", "", "?authSource=users"),
        (None, "", "?authSource=users"),
        ("authSource=people", "?authsource=own", "?authsource=own"),  # the URI comes first
    ],
)
def test_whose_users_a_cluster_s_records_name(monkeypatch, text, query, expected):
    monkeypatch.setattr("pymongo.synchronous.uri_parser._SrvResolver", lambda *_: Records(text))
    uri = f"mongodb+srv://u:p@cluster.example.net/users{query}"
    expected = f"mongodb+srv://u:p@cluster.example.net/app{expected}"
    assert _uri(MongoSource(uri=uri, database="app")) == expected


def test_what_a_tool_restored_expires_no_more() -> None:
    """mongorestore makes TTL indexes as they were; each is held, and named in a remark."""
    with start(["mongo"]) as own, pymongo.MongoClient(own.endpoints["mongo"]["uri"]) as client:
        for database, seconds in (("app", 60), ("other", 90)):
            client[database].events.create_index("at", expireAfterSeconds=seconds)
            client[database].events.create_index("n")
        assert sorted(_held(client)) == [
            "events: the TTL index at_1 removes nothing (it was 60 s)",
            "events: the TTL index at_1 removes nothing (it was 90 s)",
        ]
        for database in ("app", "other"):
            indexes = client[database].events.index_information()
            assert indexes["at_1"]["expireAfterSeconds"] == 2**31 - 1
            assert "expireAfterSeconds" not in indexes["n_1"]
        assert _held(client) == []
