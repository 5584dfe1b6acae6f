"""Objects and manifests that are not what they were; disks and directories that won't do."""

from __future__ import annotations

import json
import shutil

import pytest
from support.folders import DAY, PIECE, contents
from support.full_disk import files_of_at_most

from lake.base.errors import BadData, Incomplete, PermanentError, UsageError
from lake.restore.files import restore_files
from lake.snapshot import list_snapshots, remove_snapshot, verify_snapshot
from lake.snapshots.manifest import read_snapshot, snapshot_manifest_key

KEY = snapshot_manifest_key("loki", DAY)
pytestmark = pytest.mark.parametrize("folders", ["directory"], indirect=True)


def bit_flipped(store, keys):
    content = bytearray(store.read(keys[0]))
    content[-1] ^= 1
    store.write(keys[0], bytes(content))


def truncated(store, keys):
    store.write(keys[0], store.read(keys[0])[:-1])


def missing(store, keys):
    store.delete(keys[0])


def swapped(store, keys):
    store.write(keys[0], store.read(keys[1]))


DAMAGES = {
    bit_flipped: ("was altered", "another sha256"),
    truncated: ("lost objects", "gone, or not of"),
    missing: ("lost objects", "gone, or not of"),
    swapped: ("was altered", "another sha256"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_object_is_named(folders, tmp_path, damage):
    folders.fill(files=3, size=PIECE // 2)
    folders.take()
    (folders.source / "large-0").write_bytes(b"x" * (PIECE // 2))
    folders.take(DAY.plus(1))  # another day's, of the same size
    own = read_snapshot(folders.store, "loki", DAY).objects
    other = read_snapshot(folders.store, "loki", DAY.plus(1)).objects
    keys = [stored.key for stored in own if stored.bytes == PIECE // 2 and stored not in other]
    keys += [stored.key for stored in other if stored.bytes == PIECE // 2 and stored not in own]
    damage(folders.store, keys)
    what, text = DAMAGES[damage]
    manifest = read_snapshot(folders.store, "loki", DAY)
    (problem,) = verify_snapshot(folders.store, manifest).problems
    assert keys[0] in problem
    assert text in problem
    with pytest.raises(Incomplete, match=what) as failed:
        folders.restore(tmp_path / "into")
    assert keys[0] in failed.value.parts["where"]
    assert "`lake restore loki --snapshot DAY` restores another" in failed.value.parts["remedy"]
    assert not (tmp_path / "into/x/large-0").exists()
    if damage in (truncated, missing):  # known before anything is fetched
        assert not (tmp_path / "into").exists()
    after = read_snapshot(folders.store, "loki", DAY.plus(1))
    assert verify_snapshot(folders.store, after).problems == ()
    assert folders.take(DAY).manifest.bytes  # the next one does not rely on it, or finds it


def test_a_part_of_a_pack_that_is_altered_is_named(folders, tmp_path):
    folders.fill(files=0)
    folders.take()
    manifest = read_snapshot(folders.store, "loki", DAY)
    (pack,) = manifest.objects
    content = bytearray(folders.store.read(pack.key))
    victim = next(file for file in manifest.files if file.path.endswith("file-7"))
    content[victim.offset] ^= 255
    folders.store.write(pack.key, bytes(content))
    with pytest.raises(Incomplete, match="altered") as failed:
        folders.restore(tmp_path / "into")
    assert "file-7" in failed.value.parts["expected"]


GARBAGE = {
    "no JSON": b"\x00\x01",
    "another shape": b'{"system": "loki"}',
    "a list": b"[]",
    "another day's": None,
}


def test_a_later_versions_manifest_is_read_after_a_roll_back(folders, tmp_path):
    folders.fill(files=2)
    taken = folders.take().manifest
    manifest = json.loads(folders.store.read(KEY)) | {"unheard_of": 1}
    for stored in (*manifest["files"], *manifest["objects"]):
        stored["unheard_of"] = {"a": 1}
    folders.store.write(KEY, json.dumps(manifest).encode())
    assert read_snapshot(folders.store, "loki", DAY) == taken
    assert verify_snapshot(folders.store, taken).problems == ()
    folders.restore(tmp_path / "into")
    assert contents(tmp_path / "into/x") == contents(folders.source)


def test_a_later_versions_manifest_that_can_t_be_read_names_the_version(folders):
    folders.fill(files=1)
    folders.take()
    manifest = json.loads(folders.store.read(KEY)) | {"version": "9.0.0"}
    del manifest["files"]
    folders.store.write(KEY, json.dumps(manifest).encode())
    with pytest.raises(BadData, match="invalid snapshot manifest") as failed:
        read_snapshot(folders.store, "loki", DAY)
    problem = "no field 'files'; written by version 9.0.0 of monitoring-lake"
    assert failed.value.parts["found"] == problem


@pytest.mark.parametrize("kind", GARBAGE)
def test_a_manifest_that_is_garbage(folders, tmp_path, kind):
    folders.fill(files=1)
    folders.take()
    manifest = json.loads(folders.store.read(KEY)) | {"day": "2020-01-01"}
    content = GARBAGE[kind] or json.dumps(manifest).encode()
    folders.store.write(KEY, content)
    for read in (
        lambda: read_snapshot(folders.store, "loki", DAY),
        lambda: list(list_snapshots(folders.store, ("loki",))),
        lambda: folders.restore(tmp_path / "into"),
    ):
        with pytest.raises(BadData, match="invalid snapshot manifest") as failed:
            read()
        assert KEY in failed.value.parts["where"]
        assert f"`lake snapshots remove loki --day {DAY}`" in failed.value.parts["remedy"]
    folders.take(DAY.plus(1))
    with pytest.raises(BadData):  # nobody knows what it needs
        remove_snapshot(folders.store, "loki", DAY.plus(1))
    folders.take()
    folders.restore(tmp_path / "into")
    assert contents(tmp_path / "into/x") == contents(folders.source)
    folders.store.write(KEY, content)
    remove_snapshot(folders.store, "loki", DAY)
    assert [snapshot.day for snapshot in list_snapshots(folders.store, ("loki",))] == [
        str(DAY.plus(1))
    ]


@pytest.mark.parametrize("path", ["../out", "/etc/out", "a/../../out", ""])
def test_a_path_that_leads_out_is_refused(folders, tmp_path, path):
    folders.fill(files=0)
    folders.take()
    manifest = json.loads(folders.store.read(KEY))
    manifest["files"][-1]["path"] = path
    folders.store.write(KEY, json.dumps(manifest).encode())
    with pytest.raises(BadData, match="leads out"):
        folders.restore(tmp_path / "into")


def test_pieces_that_leave_a_gap_are_refused(folders, tmp_path):
    folders.fill(files=1)
    folders.take()
    manifest = json.loads(folders.store.read(KEY))
    manifest["files"] = [piece for piece in manifest["files"] if piece["at"] != PIECE]
    folders.store.write(KEY, json.dumps(manifest).encode())
    with pytest.raises(BadData, match="gap"):
        folders.restore(tmp_path / "into")


def test_a_directory_in_use_is_refused(folders, tmp_path):
    folders.fill(files=1)
    folders.take()
    folders.take(DAY.plus(1))
    used = tmp_path / "used"
    used.mkdir()
    (used / "mine").write_text("keep")
    with pytest.raises(UsageError, match="not empty"):
        folders.restore(used)
    assert (used / "mine").read_text() == "keep"
    folders.restore(tmp_path / "into")
    other = read_snapshot(folders.store, "loki", DAY.plus(1))
    with pytest.raises(UsageError, match="another snapshot"):
        restore_files(folders.store, other, tmp_path / "into", "x")
    with pytest.raises(UsageError, match="can't be used"):
        folders.restore(used / "mine/below")


def test_too_little_room_is_told_before_anything_is_fetched(folders, tmp_path, monkeypatch):
    folders.fill(files=1)
    folders.take()
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(1, 1, 1_000_000))
    with pytest.raises(PermanentError, match="not enough space") as failed:
        folders.restore(tmp_path / "into")
    assert "1,000,000 bytes free" in failed.value.parts["found"]
    assert not (tmp_path / "into/x").exists() or not contents(tmp_path / "into/x")


def test_a_disk_that_gets_full(folders, tmp_path):
    """Files may have 100 kB here."""
    folders.fill(files=1)
    folders.take()
    with (
        files_of_at_most(100_000),
        pytest.raises(PermanentError, match="no space left"),
    ):
        folders.restore(tmp_path / "into")
    folders.restore(tmp_path / "into")
    assert contents(tmp_path / "into/x") == contents(folders.source)


def test_a_sample_reads_so_many_objects_and_lists_all(folders):
    folders.fill(files=10, size=PIECE // 2)
    manifest = folders.take().manifest
    finding = verify_snapshot(folders.store, manifest, sample_percent=30, seed=1)
    assert (finding.checked, finding.problems) == (3, ())
    assert verify_snapshot(folders.store, manifest, sample_percent=0.01).checked == 1
    for stored in manifest.objects:
        folders.store.write(stored.key, bytes(stored.bytes))
    assert len(verify_snapshot(folders.store, manifest, sample_percent=30).problems) == 3
    folders.store.delete(manifest.objects[0].key)
    problems = verify_snapshot(folders.store, manifest, sample_percent=0.01).problems
    assert any("gone" in problem for problem in problems)
