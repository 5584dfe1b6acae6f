"""Real snapshots on real temporary servers, against a lake that is right and one that is not."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pymongo
import pytest
from support.changing import rewrite, with_value
from support.command_line import runner
from support.hand_made import hand_made_lake
from support.left_behind import left_in
from support.loaded_site import SYSTEMS, Site

from lake.demo.into_mongo import DATABASE
from lake.partition.ledger import read_manifest
from lake.rehearse import rehearse
from lake.restore import recovering
from lake.restore.server import serve
from lake.snapshots.manifest import read_snapshot

pytestmark = pytest.mark.usefixtures("temporary")


def run(site: Site, *systems: str):
    return rehearse(site.settings, site.store, systems=systems or SYSTEMS, seed=1, days=0)


@pytest.mark.slow
def test_everything_comes_back_as_the_lake_says(
    own, temporary, restores, monkeypatch, capsys, tmp_path
):
    earlier = own.config.parent / "lake/reports/rehearsal/2026-01-01.json"
    earlier.parent.mkdir(parents=True)
    with runner(monkeypatch, capsys) as lake:
        command = ("rehearse", "--seed", "7", "--json", "--config", str(own.config))
        earlier.write_text(
            json.dumps({"day": "2026-01-01", "snapshots": []})
        )  # one of a rehearsal that found nothing to bring back
        status, out, err = lake(*command)
    assert status == 0, err
    report = json.loads(out)
    assert report["ok"]
    assert report["seed"] == 7
    assert report["differences"] == []
    assert [(snapshot["system"], snapshot["chosen"]) for snapshot in report["snapshots"]] == [
        (system, "only") for system in SYSTEMS
    ]
    for rehearsed in report["snapshots"]:
        times = rehearsed["recovery"]
        parts = times["download_s"] + times["start_s"] + times["first_answer_s"]
        assert times["total_s"] == pytest.approx(parts, abs=0.01)
        # The made-up history ends shortly before midnight of the last day.
        newest = datetime.fromisoformat(rehearsed["newest"])
        assert timedelta(0) < own.end.start - newest < timedelta(hours=2)
        assert rehearsed["newest_age_s"] > 0
        names = {d.name for d in own.settings.dataset if d.source == rehearsed["system"]}
        compared = {(each["dataset"], each["day"]) for each in rehearsed["compared"]}
        assert {(name, str(own.last)) for name in names} <= compared
        for each in rehearsed["compared"]:
            assert each["rows"] == sum_of(each, "all rows, by their fingerprint")
            assert len(each["checks"]) == 4
            assert all(check["compared"] > 0 for check in each["checks"])
    assert (
        json.loads(Path(report["report"]["json"]).read_text())["snapshots"] == report["snapshots"]
    )
    page = Path(report["report"]["html"]).read_text()
    assert page.count("<svg") == 2  # one for wide pages, one for phones
    assert "Everything came back" in page
    assert "<!--" not in page.split("<svg")[0]
    assert len(restores.servers) == 3
    assert not any(server.is_up for server in restores.servers)
    assert left_in(temporary) == []


def sum_of(compared: dict, question: str) -> int:
    return sum(check["compared"] for check in compared["checks"] if check["question"] == question)


@pytest.mark.slow
def test_one_changed_value_of_each_system_is_named(own, monkeypatch, capsys, temporary):
    """A sample and a line in the lake's tables, a field in the restored MongoDB."""
    rewrite(
        own.store,
        "raw_samples",
        own.last,
        lambda table: with_value(table, "value", 4321, 17.25),
    )
    was = {}

    def shouted(table: pa.Table) -> pa.Table:
        was["line"] = table["line"][1234].as_py()
        return with_value(table, "line", 1234, was["line"].swapcase())  # as many bytes

    rewrite(own.store, "container_logs", own.last, shouted)

    def meddled(manifest, *args, **options):
        server = serve(manifest, *args, **options)
        if manifest.system == "mongo":
            with pymongo.MongoClient(server.endpoint["uri"]) as client:
                in_day = {"timestamp": {"$gte": own.last.start, "$lt": own.last.end}}
                collection = client[DATABASE]["usage_analytics"]
                before = collection.find_one_and_update(in_day, {"$inc": {"llm.totalTokens": 1}})
                was["_id"] = str(before["_id"])
        return server

    monkeypatch.setattr(recovering, "serve", meddled)
    with runner(monkeypatch, capsys) as lake:
        status, out, err = lake("rehearse", "--days", "0", "--config", str(own.config))
    assert status == 1
    assert "DIFFERENCES FOUND" in out
    paragraphs = err.split("\nsnapshot ")
    sums = [paragraph for paragraph in paragraphs if "added up" in paragraph]
    rows = {paragraph.split()[0]: paragraph for paragraph in paragraphs if "all rows" in paragraph}
    assert '{"value": 17.25}' in rows["prometheus"]
    assert any("raw_samples" in paragraph and "each hour" in paragraph for paragraph in sums)
    assert json.dumps({"line": was["line"]}, ensure_ascii=False)[:150] in rows["loki"]  # it is cut
    assert json.dumps({"line": was["line"].swapcase()}, ensure_ascii=False)[:150] in rows["loki"]
    assert was["_id"] in rows["mongo"]
    assert any("llm.totalTokens" in paragraph for paragraph in sums)
    report = json.loads(next(own.config.parent.glob("lake/reports/rehearsal/*.json")).read_text())
    wrong = {
        (each["dataset"], check["question"], check["wrong"])
        for snapshot in report["snapshots"]
        for each in snapshot["compared"]
        for check in each["checks"]
        if check["wrong"] and "some" not in check["question"]
    }
    assert wrong == {
        ("raw_samples", "all rows, by their fingerprint", 1),
        ("raw_samples", "the samples of each hour, added up", 1),
        ("container_logs", "all rows, by their fingerprint", 1),
        ("usage_analytics", "all rows, by their fingerprint", 1),
        ("usage_analytics", "the numbers of each field, added up", 1),
    }
    assert left_in(temporary) == []


def test_values_one_by_one_find_it_without_a_fingerprint(own, monkeypatch):
    """Sampled questions alone: of all series of one dataset, of the first step of the other."""
    monkeypatch.setattr("lake.rehearse.comparing._own", lambda _part: "v1:0")
    monkeypatch.setattr("lake.rehearse.comparing._report_rows", lambda *_: None)
    values = {"raw_samples": 0.125, "http_server_requests": 99.5}
    for dataset, value in values.items():

        def lied(table: pa.Table, value: float = value) -> pa.Table:
            return with_value(table, "value", at_midnight(table), value)

        rewrite(own.store, dataset, own.last, lied)
    rehearsal = rehearse(
        own.settings, own.store, systems=["prometheus"], seed=1, days=0, samples=20
    )
    changed = {result.dataset: result for result in rehearsal.snapshots[0].compared if result.wrong}
    assert changed.keys() == values.keys()
    for dataset, compared in changed.items():
        assert compared.day == str(own.last)
        wrong = {check.question: check for check in compared.checks if check.wrong}
        assert len(wrong) == 2
        [sampled] = [check for question, check in wrong.items() if "value by value" in question]
        assert sampled.wrong == 1
        assert sampled.differences[0].expected == repr(values[dataset])


def at_midnight(table: pa.Table) -> int:
    """The number of a row of the day's first step, which is asked for always."""
    return int(pc.index(table["ts"], pc.min(table["ts"])).as_py())


def test_rows_that_came_after_the_snapshot_are_no_difference(own):
    def late(table: pa.Table) -> pa.Table:
        return pa.concat_tables([table, with_value(table.slice(0, 1), "value", 0, 4.0)])

    new = rewrite(own.store, "raw_samples", own.last, late, created_at=soon())
    [snapshot] = run(own, "prometheus").snapshots
    assert snapshot.ok
    remarks = remarks_on(snapshot, "raw_samples", own)
    assert any("which got 1 more" in remark for remark in remarks)

    # The same rows, but written before the snapshot: it has lost one.
    rewrite(own.store, "raw_samples", own.last, lambda table: table, created_at=new.window["end"])
    [snapshot] = run(own, "prometheus").snapshots
    assert not snapshot.ok


def test_a_day_as_the_lake_once_had_it_is_no_difference(own):
    old = read_manifest(own.store, "raw_samples", own.last)
    claim = {"rows": old.rows, "fingerprint": old.fingerprint, "created_at": old.created_at}
    rewrite(
        own.store,
        "raw_samples",
        own.last,
        lambda table: with_value(table, "value", 5, 1e9),
        history=[claim],
        created_at=soon(),
    )
    [snapshot] = run(own, "prometheus").snapshots
    assert snapshot.ok
    assert any("rewritten later" in remark for remark in remarks_on(snapshot, "raw_samples", own))


def soon() -> str:
    return (datetime.now(UTC) + timedelta(minutes=1)).isoformat()


def remarks_on(rehearsed, dataset: str, site: Site) -> list[str]:
    return [
        check.remark
        for each in rehearsed.compared
        for check in each.checks
        if (each.dataset, each.day) == (dataset, str(site.last))
    ]


def test_a_snapshot_that_does_not_come_back_is_named(own, temporary):
    manifest = read_snapshot(own.store, "prometheus", own.end)
    largest = max(manifest.objects, key=lambda stored: stored.bytes)
    file = own.config.parent / "lake" / largest.key
    altered = bytearray(file.read_bytes())
    altered[-1] ^= 1
    file.write_bytes(altered)
    rehearsal = run(own, "prometheus")
    assert not rehearsal.ok
    assert largest.key in rehearsal.snapshots[0].problem
    assert rehearsal.differences()[0].startswith(f"snapshot prometheus {own.end}: ")
    assert left_in(temporary) == []


def test_servers_stop_also_after_a_mistake_of_ours(own, restores, temporary, monkeypatch):
    def mistake(*_: object) -> None:
        assert restores.servers[0].is_up
        raise ZeroDivisionError

    monkeypatch.setattr("lake.rehearse.rehearsing.compare", mistake)
    with pytest.raises(ZeroDivisionError):
        run(own, "prometheus")
    (server,) = restores.servers
    assert not server.is_up
    assert left_in(temporary) == []


def test_nothing_to_hold_it_against_is_no_success(own):
    for dataset in ("raw_samples", "http_server_requests"):
        for file in own.config.parent.glob(f"lake/manifests/{dataset}/*"):
            file.unlink()
    rehearsal = run(own, "prometheus")
    assert not rehearsal.ok
    assert f"lake export --day {own.last}" in rehearsal.snapshots[0].problem


def test_without_any_snapshot_the_remedy_is_told(tmp_path, monkeypatch, capsys):
    lake_without = hand_made_lake(tmp_path / "lake", "events")
    with runner(monkeypatch, capsys) as lake:
        status, out, err = lake("rehearse", "--config", str(lake_without.config))
    assert (status, out) == (1, "")
    assert "no snapshot" in err
    assert "lake snapshot mongo" in err
    assert not (tmp_path / "lake/lake/reports").exists()


def test_the_manifest_of_a_snapshot_stays_what_it_is(own):
    """A rehearsal reads: nothing in the lake but its report changes."""
    before = {stat.key: stat.etag for stat in own.store.list("")}
    run(own, "prometheus")
    assert {stat.key: stat.etag for stat in own.store.list("")} == before
