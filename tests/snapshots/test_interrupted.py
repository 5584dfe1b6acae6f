"""Killed in the middle, twice at once, beside a removal: nothing is lost, nothing goes twice."""

from __future__ import annotations

import json
import os
import signal
import time

import pytest
from support.folders import DAY, PIECE, contents, restore_until, take_until
from support.waiting import wait_until_stopped

from lake.base.errors import Conflict, Missing
from lake.snapshot import clean, list_snapshots, remove_snapshot, verify_snapshot
from lake.snapshots import collecting
from lake.snapshots.manifest import read_snapshot

pytestmark = pytest.mark.servers


def test_a_killed_snapshot_counts_for_nothing_and_its_objects_do_not_travel_again(folders):
    folders.fill()
    process = folders.in_a_process(take_until, "SIGKILL begin loki/*/pieces/000013")
    process.join()
    assert process.exitcode == -signal.SIGKILL
    with pytest.raises(Missing, match="no snapshot"):
        read_snapshot(folders.store, "loki", DAY)
    before = {stat.key: stat.etag for stat in folders.store.list("")}
    stored = sum(1 for key in before if "/pieces/" in key)
    assert stored >= 11  # three of them may be on their way at a time
    outcome = folders.take()
    assert outcome.manifest.bytes - outcome.sent_bytes >= 4 * (2 * PIECE + 5)  # four whole files
    after = {stat.key: stat.etag for stat in folders.store.list("")}
    assert {key: after[key] for key in before if "journal" not in key} == {
        key: etag for key, etag in before.items() if "journal" not in key
    }
    assert verify_snapshot(folders.store, outcome.manifest).problems == ()


def test_a_killed_restore_goes_on(folders, tmp_path):
    folders.fill()
    whole = folders.take().manifest.bytes
    into = tmp_path / "into"
    process = folders.in_a_process(restore_until, into, whole // 2)
    process.join()
    assert process.exitcode == -signal.SIGKILL
    assert contents(into / "x") != contents(folders.source)
    again = folders.restore(into)
    assert 0 < again.fetched_bytes < whole * 0.75
    assert again.bytes == whole
    assert contents(into / "x") == contents(folders.source)
    assert sorted(path.name for path in into.iterdir()) == ["restore.json", "x"]
    assert folders.restore(into).fetched_bytes == 0


def test_a_damaged_rest_of_a_restore_is_fetched_again(folders, tmp_path):
    folders.fill()
    whole = folders.take().manifest.bytes
    into = tmp_path / "into"
    process = folders.in_a_process(restore_until, into, whole // 2)
    process.join()
    for path in into.rglob("*"):  # as a power cut may leave it
        if path.is_file() and path.name != "restore.json":
            content = bytearray(path.read_bytes())
            content[len(content) // 2 :] = bytes(len(content) - len(content) // 2)
            path.write_bytes(content)
    folders.restore(into)
    assert contents(into / "x") == contents(folders.source)


def test_two_runs_at_once(folders, tmp_path):
    folders.fill()
    first = folders.in_a_process(take_until, "SIGSTOP begin loki/*/pieces/000008")
    wait_until_stopped(first.pid)
    (key,) = (stat.key for stat in folders.store.list("loki/") if "journal" in stat.key)
    journal = json.loads(folders.store.read(key)) | {"of_a_later_version": 1}
    folders.store.write(key, json.dumps(journal).encode())
    with pytest.raises(Conflict, match="is being taken"):
        clean(folders.store, "loki")
    second = folders.take()
    assert second.sent_bytes < second.manifest.bytes  # some of it is the first one's
    with pytest.raises(Conflict, match="is being taken"):
        remove_snapshot(folders.store, "loki", DAY)
    os.kill(first.pid, signal.SIGCONT)
    first.join()
    assert first.exitcode == 0
    manifest = read_snapshot(folders.store, "loki", DAY)
    assert verify_snapshot(folders.store, manifest).problems == ()
    folders.restore(tmp_path / "into")
    assert contents(tmp_path / "into/x") == contents(folders.source)


def test_a_snapshot_whose_borrowed_objects_go_away_fails(folders, monkeypatch):
    folders.fill(files=2)
    folders.take()
    original = collecting.Collector.finish

    def finish(self):
        for stat in list(folders.store.list("loki/")):
            if "/pieces/" in stat.key:
                folders.store.delete(stat.key)  # by hand, past all that guards them
        return original(self)

    monkeypatch.setattr(collecting.Collector, "finish", finish)
    with pytest.raises(Conflict.__mro__[1], match="removed meanwhile"):
        folders.take(DAY.plus(1))
    assert [snapshot.day for snapshot in list_snapshots(folders.store, ("loki",))] == [str(DAY)]


def test_removing_leaves_what_another_one_needs(folders, tmp_path):
    folders.fill()
    folders.take()
    (folders.source / "large-0").unlink()
    (folders.source / "new").write_bytes(os.urandom(3 * PIECE))
    second = folders.take(DAY.plus(1))
    assert second.sent_bytes < 4 * PIECE
    freed = remove_snapshot(folders.store, "loki", DAY)
    assert 2 * PIECE < freed < 3 * PIECE  # large-0 alone
    assert verify_snapshot(folders.store, second.manifest).problems == ()
    assert remove_snapshot(folders.store, "loki", DAY.plus(1)) > 13 * PIECE
    assert [stat.key for stat in folders.store.list("loki/")] == ["loki/restore.py"]


def test_clean_waits_for_a_day(folders, monkeypatch):
    folders.fill(files=2)
    process = folders.in_a_process(take_until, "SIGKILL begin loki/*/pieces/000005")
    process.join()
    left = list(folders.store.list("loki/"))
    assert len(left) >= 4
    assert clean(folders.store, "loki") == 0
    monkeypatch.setattr("lake.snapshot._UNFINISHED_AFTER_S", 0)
    time.sleep(1)  # a run's name tells the second
    assert clean(folders.store, "loki") == sum(stat.bytes for stat in left)
    assert [stat.key for stat in folders.store.list("loki/")] == []


def test_a_replaced_snapshot_is_cleaned(folders, monkeypatch):
    folders.fill(files=2)
    folders.take()
    folders.fill(files=2, seed=2)
    second = folders.take().manifest
    monkeypatch.setattr("lake.snapshot._UNFINISHED_AFTER_S", 0)
    time.sleep(1)
    assert clean(folders.store, "loki") > 4 * PIECE
    assert verify_snapshot(folders.store, second).problems == ()


def test_equal_contents_are_stored_once_however_many_travel_at_a_time(folders):
    folders.source.mkdir()
    large, small = os.urandom(2 * PIECE), os.urandom(700)
    for number in range(12):
        (folders.source / f"large-{number}").write_bytes(large)
        (folders.source / f"small-{number}").write_bytes(small)
    (folders.source / "empty").touch()
    outcome = folders.take()
    stored = {stat.key: stat.bytes for stat in folders.store.list("loki/")}
    objects = {stored.key: stored.bytes for stored in outcome.manifest.objects}
    del stored["loki/restore.py"]
    assert {key: size for key, size in stored.items() if "manifest" not in key} == objects
    assert sum(objects.values()) == outcome.sent_bytes == 2 * PIECE + 700
    assert outcome.manifest.paths == 25
    assert outcome.manifest.bytes == 12 * (2 * PIECE + 700)


def test_a_file_that_changes_while_it_is_copied(folders, tmp_path, monkeypatch):
    folders.fill(files=1, size=PIECE // 2)
    file, original = folders.source / "large-0", collecting.sha256_of
    changes = iter([b"a", b"b"])

    def digest(path, at, size):
        computed = original(path, at, size)
        if path == file and (change := next(changes, None)):
            path.write_bytes(change * (PIECE // 2))
        return computed

    monkeypatch.setattr(collecting, "sha256_of", digest)
    folders.take()
    folders.restore(tmp_path / "into")
    assert (tmp_path / "into/x/large-0").read_bytes() == b"b" * (PIECE // 2)


def test_a_file_that_never_rests_is_an_error(folders, monkeypatch):
    folders.fill(files=1, size=PIECE // 2)
    file, original = folders.source / "large-0", collecting.sha256_of

    def digest(path, at, size):
        computed = original(path, at, size)
        if path == file:
            path.write_bytes(os.urandom(PIECE // 2))
        return computed

    monkeypatch.setattr(collecting, "sha256_of", digest)
    with pytest.raises(collecting.TransientError, match="changes faster"):
        folders.take()
    assert not [stat for stat in folders.store.list("") if "manifest" in stat.key]
