"""Exports under rules from real servers: a secret text is nowhere in what they write."""

from __future__ import annotations

import hashlib
import hmac
import json
import logging
import random
from typing import Any

import bson
import pyarrow.parquet as pq
import pymongo
import pytest
from support.command_line import runner
from support.no_trace import Kept, holds

from lake.base.day import Day
from lake.config.settings import load
from lake.partition.ledger import read_manifest
from lake.query import Lake
from lake.retype import documents_of
from lake.store import open_store

KEY = "0123456789abcdef0123456789abcdef"
TOKEN = "tok-7f3a9c1e"
DAY = Day.today().plus(-20)
NEXT = DAY.plus(1)
FILE = """
[lake]
root = "{root}"
[sources.mongo]
uri = "{uri}"
database = "{database}"
timeout_s = 20
[hot]
mongo = 40000
[[dataset]]
name = "events"
source = "mongo"
collection = "events"
{rules}
[[dataset]]
name = "users"
source = "mongo"
collection = "users"
[dataset.columns]
mail = "hash"
"""
RULES = """
[dataset.columns]
"user.email" = "hash"
"user.name" = "drop"
"messages.text" = "drop"
"messages.by.phone" = "hash"
comment = { pattern = "tok-[0-9a-f]+", replace = "#" }
code = { truncate = 3 }
"""


def hashed(text: str) -> str:
    return hmac.new(KEY.encode(), text.encode(), hashlib.sha256).hexdigest()


def odd(luck: random.Random, number: int) -> dict[str, Any]:
    """A document with the text on each path that has a rule, in forms that columns don't hold."""
    texts: list[Any] = [TOKEN, f"{TOKEN}-{number}", [TOKEN, None, 3], {"inner": TOKEN}, [[TOKEN]]]
    return {
        "timestamp": DAY.start.replace(hour=luck.randrange(24)) if luck.random() < 0.8
        else NEXT.start,
        "n": number,
        "user": luck.choice([
            {"email": luck.choice(texts), "name": luck.choice(texts)},
            {"Email": TOKEN, "NAME": TOKEN, "": 1},
            [{"email": TOKEN}, {"email": 5}],
        ]),
        "messages": [
            {"text": luck.choice(texts), "by": {"phone": luck.choice([TOKEN, 49171, None])}}
            for _ in range(luck.randrange(3))
        ],
        "comment": luck.choice([f"hello {TOKEN} there", f"{TOKEN}", ["a", TOKEN], 5, None]),
        "code": luck.choice([TOKEN, "ab", [TOKEN, {"a": TOKEN}], bson.Regex(TOKEN)]),
        "mixed": luck.choice([1, "x", {"$oid": "odd"}, {"a": {}}, bson.Int64(2)]),
    }  # fmt: skip


@pytest.fixture
def lake(tmp_path, mongo_uri, mongo_database, monkeypatch, capsys):
    config = tmp_path / "lake.toml"
    root = tmp_path / "lake"
    with pymongo.MongoClient(mongo_uri) as client:
        events, users = client[mongo_database].events, client[mongo_database].users
        luck = random.Random(7)
        events.insert_many([odd(luck, number) for number in range(300)])
        users.insert_many([{"timestamp": NEXT.start, "mail": TOKEN}, {"timestamp": NEXT.start}])
        monkeypatch.setenv("LAKE_CONFIG", str(config))
        monkeypatch.setenv("LAKE_PRIVACY__HASH_KEY", KEY)
        with runner(monkeypatch, capsys) as run:

            class Place:
                lake = staticmethod(run)
                collection = events

                def configure(self, rules: str = RULES) -> None:
                    config.write_text(
                        FILE.format(root=root, uri=mongo_uri, database=mongo_database, rules=rules)
                    )

                def manifest(self, day: Day = DAY) -> dict[str, Any]:
                    return json.loads((root / f"manifests/events/{day}.json").read_text())

                def settings(self):
                    return load(str(config))

                objects = property(lambda self: [p for p in root.rglob("*") if p.is_file()])

            place = Place()
            place.configure()
            yield place


def test_no_byte_of_the_text_in_objects_files_logs_or_output(
    lake, kept: Kept, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG):
        code, out, err = lake.lake("export", "--from", str(DAY), "--to", str(NEXT.plus(1)))
    assert code == 0, err
    assert len(kept.files()) > 3  # the spools were seen
    for path in [*lake.objects, *kept.files()]:
        assert not holds(path.read_bytes(), TOKEN), path
        assert not holds(path.read_bytes(), KEY), path
    assert TOKEN not in out + err + caplog.text
    assert KEY not in out + err + caplog.text
    manifest = lake.manifest()
    assert manifest["rows"] == manifest["source_count"] > 200
    assert {rule["path"]: rule["rule"] for rule in manifest["rules"]} == {
        "user.email": "hash",
        "user.name": "drop",
        "messages.text": "drop",
        "messages.by.phone": "hash",
        "comment": "replace",
        "code": "truncate",
    }
    assert all(manifest["details"]["ruled_values"].values())
    # Recount, deep comparison, rollups, status, documents: all hold, and show nothing.
    for arguments in (
        ("verify", "--source"),
        ("verify", "--deep"),
        ("status", "--json", "--day", str(DAY)),
        ("describe", "events"),
        ("documents", "events", "--day", str(DAY)),
        ("query", "FROM events", "--json"),
        ("doctor",),
    ):
        code, out, err = lake.lake(*arguments)
        assert code == 0 or arguments == ("doctor",), (arguments, out, err)
        assert TOKEN not in out + err, arguments
        assert KEY not in out + err, arguments


def test_the_text_was_there_without_rules(lake, kept: Kept) -> None:
    """The search itself finds it, in the table and in the spools."""
    lake.configure(rules="")
    assert lake.lake("export", "events", "--day", str(DAY))[0] == 0
    assert any(holds(path.read_bytes(), TOKEN) for path in lake.objects)
    assert any(holds(path.read_bytes(), TOKEN) for path in kept.files())


def test_hashes_join_over_datasets_and_days(lake) -> None:
    assert lake.lake("export", "--from", str(DAY), "--to", str(NEXT.plus(1)))[0] == 0
    with Lake(lake.settings()) as opened:
        (row,) = opened.rows(
            'SELECT count(DISTINCT e.day) AS days, any_value(e."user".email) AS mail FROM events e '
            'JOIN users u ON e."user".email = u.mail'
        )
    assert row == {"days": 2, "mail": hashed(TOKEN)}


def test_a_missing_key_ends_the_run_before_anything_is_read(lake, monkeypatch) -> None:
    monkeypatch.delenv("LAKE_PRIVACY__HASH_KEY")
    code, _, err = lake.lake("export", "events", "--day", str(DAY))
    assert code == 2
    assert "LAKE_PRIVACY__HASH_KEY" in err
    assert not lake.objects


def test_days_of_before_the_rule_are_shown_and_still_verified(lake, monkeypatch) -> None:
    lake.configure(rules="")
    assert lake.lake("export", "events", "--day", str(DAY))[0] == 0
    lake.configure()
    code, out, err = lake.lake("status", "--json", "--no-sources")
    shown = json.loads(out)["datasets"][0]
    assert shown["other_rules"] == [str(DAY)]
    assert {rule["path"] for rule in shown["rules"]} >= {"user.email", "comment"}
    assert "exported under other column rules" in err
    assert "exported under other column rules" in lake.lake("describe", "events")[1]
    assert "exported under other column rules" in lake.lake("doctor")[1]
    assert lake.lake("verify", "--deep", "events")[0] == 0  # by the rules of the day
    assert lake.lake("export", "events", "--day", str(DAY), "--force")[0] == 0
    assert json.loads(lake.lake("status", "--json")[1])["datasets"][0]["other_rules"] == []
    # A rotated key is seen; comparing by content names the key that is needed.
    monkeypatch.setenv("LAKE_PRIVACY__HASH_KEY", KEY[::-1])
    code, out, err = lake.lake("status", "--json", "--no-sources")
    assert json.loads(out)["datasets"][0]["other_rules"] == [str(DAY)]
    assert lake.lake("verify", "--source", "events")[0] == 0
    code, out, _ = lake.lake("verify", "--deep", "events")
    assert code == 1
    assert "another key" in out


def test_retyping_keeps_the_rules_and_applies_them_once(lake) -> None:
    assert lake.lake("export", "events", "--day", str(DAY))[0] == 0
    before = lake.manifest()
    store = open_store(lake.settings())
    documents = documents_of(store, read_manifest(store, "events", DAY))
    key = f"manifests/events/{DAY}.json"
    older = before | {"details": before["details"] | {"typing": 1}}
    store.write(key, json.dumps(older).encode())
    assert lake.lake("export", "events", "--retype")[0] == 0
    after = lake.manifest()
    assert after["rules"] == before["rules"]
    assert documents_of(store, read_manifest(store, "events", DAY)) == documents
    assert after["details"]["ruled_values"] == before["details"]["ruled_values"]


def test_an_error_of_the_source_quotes_no_value(lake, monkeypatch) -> None:
    def failing(self: Any, answer: bytes) -> None:
        raise ValueError(f"can't take {answer!r}")

    monkeypatch.setattr("lake.systems.mongo.reading.table.DayTable.add", failing)
    code, out, err = lake.lake("-v", "export", "events", "--day", str(DAY))
    assert code == 1
    assert TOKEN not in out + err
    assert "ValueError" in out + err


def test_statistics_of_the_footer_are_of_ruled_values(lake) -> None:
    assert lake.lake("export", "users", "--day", str(NEXT))[0] == 0
    (path,) = [path for path in lake.objects if "tables/users" in str(path)]
    file = pq.ParquetFile(path)
    place = file.schema_arrow.names.index("mail")
    statistics = file.metadata.row_group(0).column(place).statistics
    assert (statistics.min, statistics.max) == (hashed(TOKEN), hashed(TOKEN))
