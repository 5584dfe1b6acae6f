"""SIGKILL at every point of writing: afterwards the partition is the old or the new one."""

from __future__ import annotations

import os
import signal

import pytest
from support.killed import DAY, KEY, MANIFEST, Plain, Run
from support.waiting import wait_until_stopped

import lake.repair
from lake.partition.copying import mirror
from lake.partition.ledger import read_ledger, read_manifest
from lake.query import connect
from lake.repair import find_orphans, repair
from lake.status import read_status
from lake.store import open_store
from lake.verify import to_verify, verify_many

# S3 takes its time, and differs from a directory in its own steps only.
FIRST_AND_REPLACING = pytest.mark.parametrize(
    ("place", "replacing"),
    [("directory", False), ("directory", True), ("s3", True)],
    ids=["directory-first", "directory-replacing", "s3-replacing"],
    indirect=["place"],
)
OLD, NEW = 100, 720  # in one part, in two


@pytest.fixture(params=["directory", "s3"])
def place(request, tmp_path):
    """Roots in one kind of store: name → a Run of so many rows there."""
    if request.param == "directory":
        return lambda name, rows: Run(str(tmp_path / name), "http://127.0.0.1:1", rows)
    s3 = request.getfixturevalue("s3")
    keys = {
        "AWS_ACCESS_KEY_ID": s3["access_key"],
        "AWS_SECRET_ACCESS_KEY": s3["secret_key"],
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    root = f"s3://{s3['bucket']}"
    return lambda name, rows: Run(f"{root}/{name}", s3["endpoint_url"], rows, environment=keys)


def killed_at_each_point(place, folder, old):
    """The stores after a kill at the first point, the second, … until a run ends by itself."""
    number = 0
    while True:
        number += 1
        run = place(f"run-{number}", NEW)
        store = open_store(run.settings(folder))
        if old:
            mirror(old, store)
        process = run.start(folder, f"SIGKILL {number}")
        process.join()
        if process.exitcode == 0:
            break
        assert process.exitcode == -signal.SIGKILL
        yield number, run, store
    assert number > 10
    assert Plain.of(store).manifest["rows"] == NEW


def held(run, folder, store) -> int:
    """The rows of the partition as every reader has it; 0 where there is none."""
    settings = run.settings(folder)
    manifest = read_manifest(store, "events", DAY)
    assert read_ledger(store, "events").get(DAY) == manifest
    rows = manifest.rows if manifest else 0
    with connect(settings) as lake:
        assert lake.rows("SELECT count(*) AS n FROM events")[0]["n"] == rows
    status = read_status(settings, store, None, DAY, DAY.plus(1))[0].days[DAY]
    assert (status.state, status.rows or 0) == (("verified", rows) if rows else ("missing", 0))
    if rows:
        partitions = to_verify(store, settings.dataset, None)
        (finding,) = verify_many(settings, store, partitions, None)
        assert finding.ok, finding.problems
    return rows


@pytest.mark.slow
@FIRST_AND_REPLACING
def test_a_kill_at_every_point(place, tmp_path, replacing, monkeypatch):
    monkeypatch.setattr(lake.repair, "_UPLOAD_AGE", lake.repair._UPLOAD_AGE * 0)
    old = None
    if replacing:
        place("old", OLD).export(tmp_path)
        old = open_store(place("old", OLD).settings(tmp_path))
    before, seen, disagreed = (OLD if replacing else 0), [], 0
    for number, run, store in killed_at_each_point(place, tmp_path, old):
        rows = held(run, tmp_path, store)
        assert rows in (before, NEW)
        seen.append(rows)
        disagreed += not Plain.of(store).agrees
        if number % 2:  # mended by a run that finds the day complete, or by hand
            again = Run(**{**run.__dict__, "force": False})
            assert again.export(tmp_path) == ("skipped" if rows else "exported")
            rows = rows or NEW
            assert Plain.of(store).agrees
        settings = run.settings(tmp_path)
        left = repair(settings, store)
        assert {orphan.state for orphan in left} <= {"removed", "finished"}
        assert find_orphans(settings, store) == []
        assert store.unfinished("") == ()
        assert Plain.of(store).agrees
        assert {stat.key for stat in store.list("")} == ({KEY, MANIFEST} if rows else set())
    assert seen == sorted(seen)  # once it is new it stays new
    assert 0 < disagreed <= 4  # between the object and its manifest: the pending one speaks


PAUSES = ["begin tables/*", "complete tables/*", "done tables/*", "complete manifests/*.next",
          "complete manifests/*.json"]  # fmt: skip


@pytest.mark.slow
@FIRST_AND_REPLACING
def test_another_run_at_every_pause_of_the_first(place, tmp_path, replacing):
    """The first is stopped, a second one runs to its end, the first goes on: one whole result.

    The second has more rows: whatever the order, they are not lost to the fewer of the first.
    """
    for number, pause in enumerate(PAUSES):
        first, second = place(f"run-{number}", NEW), place(f"run-{number}", NEW + 5)
        if replacing:
            place(f"run-{number}", OLD).export(tmp_path)
        store = open_store(first.settings(tmp_path))
        process = first.start(tmp_path, f"SIGSTOP {pause}")
        wait_until_stopped(process.pid)
        other = second.start(tmp_path)
        other.join()
        assert other.exitcode == 0
        os.kill(process.pid, signal.SIGCONT)
        process.join()  # fails where its rows would be fewer than what is there
        assert Plain.of(store).agrees
        assert held(first, tmp_path, store) == NEW + 5
        assert {stat.key for stat in store.list("")} == {KEY, MANIFEST}
        assert find_orphans(first.settings(tmp_path), store) == []


@pytest.mark.slow
def test_many_runs_at_once(place, tmp_path):
    runs = [place("same", NEW + number) for number in range(4)]
    processes = [run.start(tmp_path) for run in runs]
    for process in processes:
        process.join()
    store = open_store(runs[0].settings(tmp_path))
    assert Plain.of(store).agrees
    assert held(runs[0], tmp_path, store) >= NEW
    assert {stat.key for stat in store.list("")} == {KEY, MANIFEST}
    assert processes[Plain.of(store).manifest["rows"] - NEW].exitcode == 0


@pytest.mark.slow
def test_repair_leaves_a_run_that_goes_on_alone(place, tmp_path):
    """Stopped at its points one after the other, it ends well whatever is repaired meanwhile."""
    for step in (
        "part tables/*",
        "complete tables/*",
        "done tables/*",
        "complete manifests/*.json",
    ):
        run = place(step.split("/")[0].replace(" ", "-") + step[-4:].strip("*."), NEW)
        store, settings = open_store(run.settings(tmp_path)), run.settings(tmp_path)
        process = run.start(tmp_path, f"SIGSTOP {step}")
        wait_until_stopped(process.pid)
        assert find_orphans(settings, store) == []
        assert repair(settings, store) == []
        os.kill(process.pid, signal.SIGCONT)
        process.join()
        assert process.exitcode == 0
        assert held(run, tmp_path, store) == NEW
        assert Plain.of(store).agrees
