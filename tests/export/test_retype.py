"""Days that older rules typed: they are reported, stay readable, and are typed anew."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import bson
import pyarrow as pa
import pytest
from bson import Decimal128, Int64, json_util
from support.command_line import runner
from support.hand_made import HandMadeLake, hand_made_lake
from support.older_typing import DAY, STORED, older_table

from lake.base.day import Day
from lake.documents import documents
from lake.partition.ledger import read_manifest
from lake.partition.manifest import Manifest
from lake.systems.mongo.reading import rebuild
from lake.systems.mongo.reading.same import Documents


@pytest.fixture
def lake(tmp_path: Path) -> HandMadeLake:
    made = hand_made_lake(tmp_path, "orders", "other")
    made.put("orders", DAY, older_table())
    return made


@pytest.fixture
def run(
    lake: HandMadeLake, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[Callable[..., tuple[int, str, str]]]:
    with runner(monkeypatch, capsys) as command:
        yield lambda *arguments: command(*arguments, "--config", str(lake.config))


def manifest_of(lake: HandMadeLake) -> Manifest:
    manifest = read_manifest(lake.store, "orders", Day.parse(DAY))
    assert manifest is not None
    return manifest


def decoded(lake: HandMadeLake) -> list[dict[str, Any]]:
    (dataset,) = lake.settings.datasets_named(("orders",))
    return [json_util.loads(line) for line in documents(lake.store, dataset, Day.parse(DAY))]


def test_older_days_are_reported_and_retyped(lake: HandMadeLake, run: Any) -> None:
    status, out, err = run("verify", "orders")
    assert (status, "ok (typed by older rules)" in out) == (0, True)
    assert "1 partition was typed by older rules" in err
    before, old = decoded(lake), manifest_of(lake)
    assert before == [json_util.loads(json_util.dumps(document)) for document in STORED]

    status, out, _ = run("export", "--retype", "--json")
    assert status == 0
    assert json.loads(out)["rewritten"] == 1
    assert decoded(lake) == before
    new = manifest_of(lake)
    assert new.details["typing"] == 2
    assert new.details["left_out"] == {}
    assert new.details["retyped_from"] == {
        "created_at": old.created_at, "sha256": old.sha256, "typing": 1,
    }  # fmt: skip
    assert (new.source_count, new.count_method) == (4, "the test's own")
    assert [earlier["sha256"] for earlier in new.history] == [old.sha256]
    kinds = {column["name"]: column["type"] for column in new.schema}
    assert kinds["cost"] == "double"
    assert kinds["price"] == "decimal128(4, 2)"
    with lake.connect() as session:
        (row,) = session.rows(
            "SELECT sum(cost) AS cost, sum(price) AS price, sum(s.n) AS n, "
            "sum(list_sum(l)) AS l, max(id) AS id FROM orders"
        )
    assert (row["cost"], float(row["price"]), row["n"], row["l"]) == (6.5, 25.49, 5.5, 6.5)
    assert row["id"] == "00010203-0405-0607-0809-0a0b0c0d0e0f"

    status, out, err = run("verify", "--json")
    (partition,) = json.loads(out)["partitions"]
    assert (partition["ok"], partition["typing"], partition["older_typing"]) == (True, 2, False)
    assert "older" not in err
    assert run("export", "--retype")[1].startswith("nothing to export")


ROLLUP = """-- What orders cost
-- grain:    one row an hour
-- keys:     hour
-- measures: orders, cost
-- column:   made TIMESTAMPTZ = timestamp
-- column:   cost DOUBLE = cost
-- rows:     orders
SELECT date_trunc('hour', made) AS hour, count(*) AS orders, sum(cost) AS cost
FROM day_rows GROUP BY ALL
"""


def test_the_rollup_of_a_retyped_day_is_made_again(lake: HandMadeLake, run: Any) -> None:
    folder = lake.config.parent / "rollups"
    folder.mkdir()
    (folder / "orders.sql").write_text(ROLLUP)
    question = ("query", "--json", "SELECT orders, cost FROM orders_hourly")
    assert run("rollup", "orders")[0] == 0
    # Older rules left the one price that is no integer out of its column.
    assert json.loads(run(*question)[1]) == [{"orders": 4, "cost": 4.0}]

    assert run("export", "--retype")[0] == 0

    assert json.loads(run(*question)[1]) == [{"orders": 4, "cost": 6.5}]
    assert run("verify", "orders")[0] == 0


def test_only_the_days_that_are_named(lake: HandMadeLake, run: Any) -> None:
    assert json.loads(run("export", "other", "--retype", "--json")[1])["rewritten"] == 0
    assert (
        json.loads(run("export", "--retype", "--day", "2026-07-02", "--json")[1])["partitions"]
        == []
    )
    assert run("export", "--retype", "--force")[0] == 2
    assert "typing" not in manifest_of(lake).details
    assert json.loads(run("export", "--retype", "--day", DAY, "--json")[1])["rewritten"] == 1


def test_other_documents_replace_nothing(
    lake: HandMadeLake, run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A fault in typing or rebuilding leaves object and manifest as they were."""
    old = manifest_of(lake)
    stored = lake.store.read(old.key)

    def wrong(row: Any, schema: pa.Schema) -> bytes:
        if schema.field("cost").type == pa.float64():
            row = row | {"cost": 7.0, "_rest": None}
        return rebuild(row, schema)

    monkeypatch.setattr("lake.systems.mongo.reading.rebuild", wrong)
    status, out, _ = run("export", "--retype", "--json")
    (failed,) = json.loads(out)["partitions"]
    assert (status, failed["state"]) == (1, "failed")
    assert "do not rebuild" in failed["error"]["what"]
    assert manifest_of(lake) == old
    assert lake.store.read(old.key) == stored


@pytest.mark.parametrize(
    ("document", "other", "same"),
    [
        ({"a": 1, "b": {"x": 1, "y": 2}}, {"b": {"y": Int64(2), "x": 1}, "a": Int64(1)}, True),
        ({"l": [{"a": 1, "b": 2}]}, {"l": [{"b": 2, "a": 1}]}, True),
        ({"l": [1, 2]}, {"l": [2, 1]}, False),
        ({"a": 1}, {"a": 1.0}, False),
        ({"a": 0.0}, {"a": -0.0}, False),
        ({"a": Decimal128("1.0")}, {"a": Decimal128("1.00")}, False),
        ({"a": None}, {}, False),
        ({"a": {}}, {"a": []}, False),
        ({"a": {"b": 1}, "c": 2}, {"a": {"b": 1, "c": 2}}, False),
    ],
)
def test_same_documents(document: dict[str, Any], other: dict[str, Any], same: bool) -> None:
    sums = [Documents(), Documents()]
    for documents_, content in zip(sums, (document, other), strict=True):
        documents_.add(bson.encode(content))
    assert (sums[0] == sums[1]) == same
