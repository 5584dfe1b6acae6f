"""Erasure of what real servers hold: nothing of a value is left, and all else stays."""

from __future__ import annotations

import gzip
import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import bson
import duckdb
import pyarrow.parquet as pq
import pymongo
import pytest
from bson import json_util
from bson.raw_bson import RawBSONDocument
from support.command_line import runner
from support.loaded_site import Site
from support.loki_client import LokiClient
from support.loki_days import DAY as LOKI_DAY
from support.loki_days import HOUR
from support.no_trace import holds

from lake.base.cache import cache_dir
from lake.base.day import Day
from lake.config.settings import load
from lake.partition.ledger import read_manifest
from lake.query import Lake
from lake.query.rollup_cache import local_rollups
from lake.store import open_store

TOKEN = "tok-7f3a9c1e"
DAY = Day.today().plus(-20)
SQL = """-- Events by user
--
-- grain:    one row a user
-- keys:     who
-- measures: events
-- column:   who VARCHAR = user.id
-- sums:     events
-- rows:     events
SELECT who, count(*) AS events FROM day_rows GROUP BY ALL;
"""
FILE = """
[lake]
root = "{root}"
[s3]
endpoint_url = "{endpoint}"
region = "{region}"
[sources.mongo]
uri = "{uri}"
database = "{database}"
[sources.loki]
url = "{loki}"
[hot]
mongo = 40000
loki = 40000
[snapshots.mongo]
tool = "native"
[retention]
enabled = true
[retention.snapshots]
daily = 7
[[dataset]]
name = "events"
source = "mongo"
collection = "events"
[[dataset]]
name = "logs"
source = "loki"
selector = '{{job="{job}"}}'
"""


def odd(luck: random.Random, number: int) -> Any:
    """A document; every fourth is of the person, who is in it in forms that columns don't hold."""
    mine = number % 4 == 0
    text = TOKEN if mine else f"other-{number % 3}"
    values: list[Any] = [text, [text, None, 3], {"inner": text}, [[text]], bson.Regex(text), 5]
    document = {
        "_id": bson.ObjectId(f"{number:024x}"),
        "timestamp": DAY.start.replace(hour=luck.randrange(24)),
        "n": luck.choice([number, float(number), bson.Int64(number)]),
        "user": {"id": text, "mail": luck.choice(values)},
        "mixed": luck.choice(values),
        "empty": luck.choice([{}, None, [], [{"a": text}]]),
    }
    if luck.random() < 0.1:  # a field twice: only `_raw` can hold it
        encoded = bson.encode({"a": text}), bson.encode({"a": 1})
        inner = b"".join(part[4:-1] for part in encoded)
        whole = (len(inner) + 5).to_bytes(4, "little") + inner + b"\0"
        document["twice"] = RawBSONDocument(whole)
    return document


@pytest.fixture
def lines() -> dict[tuple[tuple[str, str], ...], list[str]]:
    """By labels. Some streams are the person's, others have lines of theirs."""
    streams = {}
    for user in ("a", TOKEN, "b"):
        for level in ("info", "error"):
            labels = (("level", level), ("Mail", f"{user}@x"), ("user", user))
            streams[labels] = [
                f"did {n} " + (f"to {TOKEN}" if n % 7 == 0 else "to nobody") for n in range(40)
            ]
    return streams


@pytest.fixture
def config(
    tmp_path: Path, s3: dict[str, str], mongo_uri: str, mongo_database: str, loki_url: str,
    lines: Any, monkeypatch: pytest.MonkeyPatch,
) -> Path:  # fmt: skip
    job = mongo_database  # a name that nobody else has
    loki = LokiClient(loki_url)
    for labels, texts in lines.items():
        entries = [(LOKI_DAY.start_ns + n * HOUR // 2, text, {}) for n, text in enumerate(texts)]
        loki.push({"job": job, **dict(labels)}, entries)
    loki.wait_for(f'{{job="{job}"}}', LOKI_DAY.end_ns, 240)
    luck = random.Random(11)
    with pymongo.MongoClient(mongo_uri) as client:
        client[mongo_database].events.insert_many([odd(luck, n) for n in range(400)])
    file = tmp_path / "lake.toml"
    file.write_text(FILE.format(
        root=f"s3://{s3['bucket']}/lake", endpoint=s3["endpoint_url"], region=s3["region"],
        uri=mongo_uri, database=mongo_database, loki=loki_url, job=job,
    ))  # fmt: skip
    (tmp_path / "rollups").mkdir()
    (tmp_path / "rollups/events.sql").write_text(SQL)
    compiled, cache = cache_dir() / "compiled", tmp_path / "cache"
    cache.mkdir()
    (cache / "compiled").symlink_to(compiled)
    monkeypatch.setenv("LAKE_CACHE_DIR", str(cache))
    monkeypatch.setenv("LAKE_CONFIG", str(file))
    return file


@pytest.fixture
def lake(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Any]:
    with runner(monkeypatch, capsys) as run:

        def succeed(*arguments: str) -> tuple[str, str]:
            code, out, err = run(*arguments)
            assert code == 0, (arguments, out, err)
            return out, err

        succeed.code = run  # type: ignore[attr-defined]
        yield succeed


def traces(config: Path, store: Any) -> list[str]:
    """Where the text is, in the store's objects beside snapshots and in this machine's caches."""
    objects = [stat.key for stat in store.list("") if not stat.key.startswith("mongo/")]
    places = [key for key in objects if holds(store.read(key), TOKEN)]
    caches = [path for name in ("manifests", "rollups") for path in _files(config, name)]
    return places + [str(path) for path in caches if holds(path.read_bytes(), TOKEN)]


def _files(config: Path, name: str) -> list[Path]:
    return [path for path in (config.parent / "cache" / name).rglob("*") if path.is_file()]


def layout(store: Any, key: str, file: Path) -> Any:
    """What of a Parquet file does not depend on its rows."""
    file.write_bytes(store.read(key))
    parquet = pq.ParquetFile(file)
    group = parquet.metadata.row_group(0)
    columns = [group.column(n) for n in range(group.num_columns)]
    return (
        parquet.schema_arrow,
        [(c.path_in_schema, c.compression, c.has_dictionary_page, c.has_offset_index,
          set(c.encodings) - {"PLAIN"}) for c in columns],
        group.sorting_columns,
    )  # fmt: skip


@pytest.mark.slow
def test_nothing_of_a_person_is_left_but_in_snapshots(
    config: Path, lake: Any, lines: Any, mongo_uri: str, mongo_database: str, tmp_path: Path
) -> None:
    settings = load(str(config))
    store = open_store(settings)
    lake("export", "events", "--day", str(DAY))
    lake("export", "logs", "--day", str(LOKI_DAY))
    lake("snapshot", "mongo")
    for name, day in (("events", DAY), ("logs", LOKI_DAY)):
        with Lake(settings) as opened:  # this machine's copy of the rollup
            assert local_rollups(opened.connection, settings, opened.table(f"{name}_hourly"), [day])
    places = traces(config, store)
    for kind in ("tables/events", "tables/logs", "rollups/events", "rollups/logs"):
        assert any(kind in place for place in places), (kind, places)
        assert "rollups" not in kind or any("cache" in p and kind in p for p in places)
    keys = {name: f"tables/{name}/day={day}/data.parquet"
            for name, day in (("events", DAY), ("logs", LOKI_DAY))}  # fmt: skip
    before = {name: layout(store, key, tmp_path / name) for name, key in keys.items()}

    out, _ = lake("erase", "events", "--where", f"\"user\".id = '{TOKEN}'", "--yes",
                  "--reason", "request 114", "--json")  # fmt: skip
    report = json.loads(out)
    assert (report["plan"]["matched"], report["result"]["erased"]) == (100, 100)
    (snapshot,) = report["plan"]["snapshots"]
    assert (snapshot["system"], snapshot["days"]) == ("mongo", [str(DAY)])
    assert snapshot["until"] == str(Day.today().plus(7))
    assert report["plan"]["at_source"] == [str(DAY)]
    assert "30 days" in report["plan"]["versions"]
    assert "a snapshot for ever" in report["plan"]["versions"]
    assert report["result"]["days"][0]["rollup"] == "made"
    where = f"\"user\" = '{TOKEN}' OR contains(line, '{TOKEN}')"
    out, _ = lake("erase", "logs", "--where", where, "--yes")
    assert traces(config, store) == []
    raw = [store.read(stat.key) for stat in store.list("mongo/")]
    unpacked = (gzip.decompress(data) for data in raw if data[:2] == b"\x1f\x8b")
    assert any(TOKEN.encode() in data for data in unpacked)

    # All else is there: as the servers have it.
    for name, key in keys.items():
        assert layout(store, key, tmp_path / name) == before[name]
    with pymongo.MongoClient(mongo_uri) as client:
        left = client[mongo_database].events.find({"user.id": {"$ne": TOKEN}}, {"twice": 0})
        expected = {document["_id"]: document for document in left}
    out, _ = lake("documents", "events", "--day", str(DAY))
    documents = [json_util.loads(line) for line in out.splitlines()]
    documents = [bson.decode(d["$raw"]) if set(d) == {"$raw"} else d for d in documents]
    for document in documents:
        document.pop("twice", None)
    assert len(documents) == len(expected) == 300
    assert {document["_id"] for document in documents} == set(expected)
    for document in documents:
        mine, other = (json_util.dumps(d, sort_keys=True) for d in
                       (document, expected[document["_id"]]))  # fmt: skip
        assert mine == other
    file = tmp_path / "logs"
    query = f"SELECT \"user\", level, line FROM read_parquet('{file}')"
    rows = duckdb.connect().sql(query).fetchall()
    assert sorted(rows) == sorted(
        (dict(labels)["user"], dict(labels)["level"], text)
        for labels, texts in lines.items()
        for text in texts
        if dict(labels)["user"] != TOKEN and TOKEN not in text
    )

    # Every check holds, the source still having the rows, and having lost them.
    out, _ = lake("verify", "--deep")
    assert out.count("still at the source") == 2
    _, out, _ = lake.code("status", "--json")  # other days are missing
    for dataset, day in zip(json.loads(out)["datasets"], (DAY, LOKI_DAY), strict=True):
        status = dataset["days"][str(day)]
        assert (status["state"], status["rollup"]) == ("verified", "current")
        assert status["erased"] + status["rows"] == status["source_count"]
    for name, day in (("events", DAY), ("logs", LOKI_DAY)):
        code, _, err = lake.code("export", name, "--day", str(day), "--force")
        assert (code, "rows of the day were erased" in err) == (1, True)
    with pymongo.MongoClient(mongo_uri) as client:
        client[mongo_database].events.delete_many({"user.id": TOKEN})
    out, _ = lake("verify", "--deep", "events")
    assert "100 rows erased)" in out
    # Typed anew the day keeps its record.
    key = f"manifests/events/{DAY}.json"
    manifest = json.loads(store.read(key))
    store.write(key, json.dumps(manifest | {"details": {**manifest["details"], "typing": 1}})
                .encode())  # fmt: skip
    lake("export", "events", "--retype")
    again = read_manifest(store, "events", DAY)
    assert again is not None
    assert (again.rows, again.details["erased_rows"]) == (300, 100)
    lake("verify", "--deep", "events")
    # Asked for, the day is exported again.
    lake("export", "events", "--day", str(DAY), "--force", "--allow-erased")
    fresh = read_manifest(store, "events", DAY)
    assert fresh is not None
    assert (fresh.rows, fresh.source_count, fresh.details.get("erased_rows")) == (300, 300, None)
    assert traces(config, store) == []


@pytest.mark.slow
def test_each_kind_of_dataset_keeps_its_layout_and_its_other_rows(
    site: Site, tmp_path: Path, lake: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = site.copy(tmp_path / "own")
    monkeypatch.setenv("LAKE_CONFIG", str(own.config))
    store = own.store
    for dataset in own.settings.dataset:
        key = f"tables/{dataset.name}/day={own.last}/data.parquet"
        file, after_file = tmp_path / f"{dataset.name}.parquet", tmp_path / "after.parquet"
        before = layout(store, key, file)
        time = "timestamp" if dataset.source == "mongo" else "ts"
        where = f"hour({time}) IN (3, 17)"
        out, _ = lake("erase", dataset.name, "--where", where, "--from", str(own.last), "--yes",
                      "--json")  # fmt: skip
        report = json.loads(out)
        assert report["result"]["erased"] > 0
        assert [s["system"] for s in report["plan"]["snapshots"]] == [dataset.source]
        assert layout(store, key, after_file) == before
        kept = f"SELECT * FROM '{file}' WHERE NOT ({where})"
        left = f"SELECT * FROM '{after_file}'"
        connection = duckdb.connect()
        connection.execute("SET TimeZone = 'UTC'")
        difference = f"({kept} EXCEPT ALL {left}) UNION ALL ({left} EXCEPT ALL {kept})"
        assert connection.sql(difference).fetchall() == []
        # In their order.
        assert connection.sql(kept).to_arrow_table() == connection.sql(left).to_arrow_table()
    lake("verify", "--deep")
