"""SIGKILL at every point of writing, other runs at once, and exports and holds in between."""

from __future__ import annotations

import os
import re
import shutil
import signal
import time
from pathlib import Path

import pytest
from support import erasing
from support.erasing import DAY, MATCHING, ROWS, TOKEN
from support.no_trace import holds

from lake import audit
from lake.base.errors import LakeError, PermanentError
from lake.erase import erasing as erasing_steps
from lake.erased import ErasedDays, interrupted, read_erasures
from lake.holds.changing import add
from lake.partition.ledger import read_manifest
from lake.query import connect
from lake.repair import repair
from lake.store import open_store
from lake.verify import to_verify, verify_many


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole")
    erasing.make(folder)
    return folder


def copied(whole: Path, to: Path) -> Path:
    shutil.copytree(whole, to)
    return to


def held(settings, store) -> int:
    """The rows of the day as readers have it; every check of it holds, and of its rollup."""
    manifest = read_manifest(store, "events", DAY)
    assert manifest is not None
    (finding,) = verify_many(settings, store, to_verify(store, settings.dataset, None), None)
    assert finding.ok, finding.problems
    with connect(settings) as opened:
        assert opened.rows("SELECT count(*) AS n FROM events")[0]["n"] == manifest.rows
        of_token = f"SELECT coalesce(sum(events), 0) AS n FROM events_hourly WHERE text = '{TOKEN}'"
        try:
            left = opened.rows(of_token)[0]["n"]
        except LakeError:  # there is no rollup
            left = 0
    assert left in ((0, MATCHING) if manifest.rows == ROWS else (0,))
    return manifest.rows


def kind_of(store) -> tuple[str, ...]:
    """The objects by what they are, without what differs from run to run."""
    return tuple(sorted(re.sub(r"\d{8}T\d+-\w+|\.\w+\.next", "ID", s.key) for s in store.list("")))


@pytest.mark.slow
def test_a_kill_at_every_point(whole, tmp_path):
    seen, known, number = [], set(), 0
    while True:
        number += 1
        folder = copied(whole, tmp_path / f"run-{number}")
        process = erasing.start(folder, f"SIGKILL {number}")
        process.join()
        settings = erasing.settings_of(folder)
        store = open_store(settings)
        if process.exitcode == 0:
            break
        assert process.exitcode == -signal.SIGKILL
        seen.append(read_manifest(store, "events", DAY).rows)
        looks = kind_of(store), seen[-1]
        if looks not in known:
            assert held(settings, store) == seen[-1]
        known.add(looks)
        assert seen[-1] in (ROWS, ROWS - MATCHING)
        if seen[-1] < ROWS:  # no export brings them back
            assert ErasedDays(settings, store).of(settings.dataset[0]) == {DAY: "events"}
        begun = bool(list(read_erasures(store)))
        left = list(interrupted(store).values())
        assert left == ([(str(DAY),)] if begun and seen[-1] == ROWS else [])
        # Run again it is as if nothing had been.
        erasing.run(settings, store)
        repair(settings, store)
        if number % 8 == 0:
            assert held(settings, store) == ROWS - MATCHING
        manifest = read_manifest(store, "events", DAY)
        assert manifest.rows == ROWS - MATCHING
        assert manifest.details["erased_rows"] == MATCHING
        assert interrupted(store) == {}
        assert audit.check(store).problems == ()
        assert [s.key for s in store.list("") if holds(store.read(s.key), TOKEN)] == []
        shutil.rmtree(folder)
    assert number > 30
    assert seen == sorted(seen, reverse=True)
    assert {ROWS, ROWS - MATCHING} == set(seen)


@pytest.fixture
def stopped_at():
    """Starts runs that wait at a point until they `go_on`; none is left behind."""
    processes = []

    def start(folder: Path, point: str):
        process = erasing.start(folder, f"SIGSTOP {point}")
        processes.append(process)
        deadline = time.monotonic() + 60
        stat = Path(f"/proc/{process.pid}/stat")
        while stat.read_text().rpartition(")")[2].split()[0] != "T":
            assert time.monotonic() < deadline
            assert process.is_alive()
            time.sleep(0.01)
        return process

    yield start
    for process in processes:
        process.kill()
        process.join()


def go_on(process) -> int:
    os.kill(process.pid, signal.SIGCONT)
    process.join()
    return process.exitcode


@pytest.mark.slow
@pytest.mark.parametrize(
    "point", ["done erasures/*", "begin tables/*", "complete tables/*", "complete manifests/*.next"]
)
def test_another_erasure_at_every_pause_of_the_first(whole, tmp_path, stopped_at, point):
    folder = copied(whole, tmp_path / "lake")
    settings = erasing.settings_of(folder)
    store = open_store(settings)
    first = stopped_at(folder, point)
    other = erasing.run(settings, store)
    assert go_on(first) == 0  # it finds nothing to do, or was the faster one
    assert held(settings, store) == ROWS - MATCHING
    manifest = read_manifest(store, "events", DAY)
    assert manifest.details["erased_rows"] == MATCHING
    assert other.erased == MATCHING or other.kept
    assert all(ended for _, ended in read_erasures(store))
    assert [s.key for s in store.list("") if holds(store.read(s.key), TOKEN)] == []
    assert repair(settings, store) == []


@pytest.mark.slow
def test_a_hold_that_comes_after_the_plan_is_honoured(whole, tmp_path, stopped_at):
    folder = copied(whole, tmp_path / "lake")
    settings = erasing.settings_of(folder)
    store = open_store(settings)
    process = stopped_at(folder, "begin tables/*")
    add(settings, store, ["events"], None, None, "case 17")
    assert go_on(process) == 1
    assert held(settings, store) == ROWS
    ((_, ended),) = read_erasures(store)
    assert "held" in ended.kept[str(DAY)]


@pytest.mark.parametrize("step", ["fetch", "rewrite"])
def test_rows_exported_while_a_day_is_rewritten_stay(whole, tmp_path, monkeypatch, step):
    """The export looked for erasures before there was one, and ends within the erasure."""
    folder = copied(whole, tmp_path / "lake")
    settings = erasing.settings_of(folder)
    store = open_store(settings)
    more = ROWS + 10
    exporter = erasing.exporter(settings, store, rows=more)
    usual, exported = getattr(erasing_steps, step), []

    def meanwhile(*arguments):
        result = usual(*arguments) if step == "rewrite" else None
        if not exported:
            with monkeypatch.context() as before:
                before.setattr(ErasedDays, "of", lambda *_: {})
                events = settings.dataset_named("events")
                exported.append(exporter.export(events, DAY, force=True).manifest.rows)
        return usual(*arguments) if step == "fetch" else result

    monkeypatch.setattr(erasing_steps, step, meanwhile)
    assert erasing.run(settings, store).erased == MATCHING + 2
    assert exported == [more]
    manifest = read_manifest(store, "events", DAY)
    assert (manifest.rows, manifest.source_count) == (more - MATCHING - 2, more)
    assert [s.key for s in store.list("") if holds(store.read(s.key), TOKEN)] == []


@pytest.mark.slow
def test_an_export_that_began_before_the_erasure_does_not_undo_it(whole, tmp_path):
    folder = copied(whole, tmp_path / "lake")
    settings = erasing.settings_of(folder)
    store = open_store(settings)
    exporter = erasing.exporter(settings, store)
    read = exporter.source("mongo").count

    def erased_meanwhile(dataset, day):
        if not ErasedDays(settings, store).of(dataset):
            assert erasing.run(settings, store).erased == MATCHING
        return read(dataset, day)

    exporter.source("mongo").count = erased_meanwhile
    with pytest.raises(PermanentError, match="erased"):
        exporter.export(settings.dataset_named("events"), DAY, force=True)
    assert held(settings, store) == ROWS - MATCHING
