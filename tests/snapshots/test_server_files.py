"""A server's files while the server removes some of them, or lets nobody read them."""

from __future__ import annotations

import os

import pytest

from lake.base.day import Day
from lake.base.errors import Incomplete, PermanentError
from lake.snapshots import collecting
from lake.snapshots.collecting import Collector
from lake.snapshots.server_files import files_below
from lake.store.directory import DirectoryStore

PIECE = 1 << 16


@pytest.fixture
def collector(tmp_path, monkeypatch):
    monkeypatch.setattr(collecting, "_PIECE_BYTES", PIECE)
    monkeypatch.setattr(collecting, "_SMALL_BYTES", 100)
    (tmp_path / "store").mkdir()
    with Collector(DirectoryStore(tmp_path / "store"), "loki", Day.parse("2026-07-05")) as opened:
        yield opened


def refused(*names):
    """os.scandir, which these folders refuse, as they do whoever is not root."""
    scan = os.scandir

    def scandir(path):
        if os.path.basename(path) in names:  # noqa: PTH119  as os.walk has it
            raise PermissionError(13, "Permission denied", str(path))
        return scan(path)

    return scandir


def test_links_to_the_server_s_own_places_are_followed_and_end(tmp_path):
    data, elsewhere = tmp_path / "data", tmp_path / "other disk"
    (elsewhere / "index").mkdir(parents=True)
    (elsewhere / "index/a").touch()
    data.mkdir()
    (data / "chunks").symlink_to(elsewhere)
    (data / "chunks/index/loop").symlink_to(elsewhere)
    (data / "backup").symlink_to(elsewhere)
    (data / "nowhere").symlink_to(tmp_path / "none")
    (data / "wal").touch()
    own = [data / "chunks/index"]
    assert set(files_below(data, own)) == {data / "wal", data / "chunks/index/a"}
    assert list(files_below(data)) == [data / "wal"]


def test_a_directory_that_can_t_be_read_is_an_error(tmp_path, monkeypatch):
    (tmp_path / "data/index").mkdir(parents=True)
    monkeypatch.setattr(os, "scandir", refused("index"))
    with pytest.raises(PermanentError, match="can't be read") as failed:
        list(files_below(tmp_path / "data"))
    assert failed.value.parts["where"] == str(tmp_path / "data/index")
    assert "run this as the server's user" in failed.value.parts["remedy"]


def test_a_volume_s_own_directory_is_left_alone(tmp_path, monkeypatch):
    (tmp_path / "data/lost+found").mkdir(parents=True)
    (tmp_path / "data/a").touch()
    monkeypatch.setattr(os, "scandir", refused("lost+found"))
    assert list(files_below(tmp_path / "data")) == [tmp_path / "data/a"]


def test_a_directory_that_is_removed_meanwhile(tmp_path):
    for name in "ab":
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").touch()
    walk = files_below(tmp_path)
    first = next(walk)
    (other,) = {tmp_path / "a/file", tmp_path / "b/file"} - {first}
    other.unlink()
    other.parent.rmdir()
    assert list(walk) == []


@pytest.mark.parametrize("size", [50, 1000, 3 * PIECE])
def test_a_file_that_is_removed_before_it_is_copied(collector, tmp_path, size):
    for name in ("gone", "there"):
        (tmp_path / name).write_bytes(name.encode() + bytes(size))
    (tmp_path / "gone").unlink()
    for name in ("gone", "there"):
        collector.file(tmp_path / name, name, pack=True, may_vanish=True)
    files, _ = collector.finish()
    assert {file.path for file in files} == {"there"}
    assert collector.vanished == {"gone"}
    (tmp_path / "gone").write_bytes(b"back")
    collector.file(tmp_path / "gone", "gone", may_vanish=True)
    assert {file.path for file in collector.finish()[0]} == {"gone", "there"}


def test_a_file_that_is_removed_between_two_pieces(collector, tmp_path, monkeypatch):
    """No half of it is kept."""
    source = tmp_path / "gone"
    source.write_bytes(os.urandom(3 * PIECE))
    digest = collecting.sha256_of

    def removed_behind_the_first(path, at, size):
        computed = digest(path, at, size)
        source.unlink(missing_ok=True)
        return computed

    monkeypatch.setattr(collecting, "sha256_of", removed_behind_the_first)
    collector.file(source, "gone", may_vanish=True)
    assert collector.finish() == ([], [])


def test_an_equal_file_does_not_wait_for_one_that_is_removed(collector, tmp_path, monkeypatch):
    source, twin = tmp_path / "gone", tmp_path / "twin"
    for path in (source, twin):
        path.write_bytes(bytes(1000))
    upload = Collector._upload_piece

    def removed(self, path, place, content):
        if path == source:  # whoever comes now waits for this upload
            collector._piece(twin, collecting._Place("twin", 0), 1000)
            source.unlink()
        return upload(self, path, place, content)

    monkeypatch.setattr(Collector, "_upload_piece", removed)
    collector.file(source, "gone", may_vanish=True)
    files, _ = collector.finish()
    assert [(file.path, file.bytes) for file in files] == [("twin", 1000)]


def test_a_file_that_nobody_may_remove(collector, tmp_path):
    collector.file(tmp_path / "gone", "gone")
    with pytest.raises(Incomplete, match="removed while it was copied"):
        collector.wait()


def test_a_file_that_can_t_be_read(collector, tmp_path, monkeypatch):
    def denied(path, *_):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(collecting, "sha256_of", denied)
    (tmp_path / "file").write_bytes(bytes(1000))
    collector.file(tmp_path / "file", "file", may_vanish=True)
    with pytest.raises(PermanentError, match="can't be read") as failed:
        collector.wait()
    assert failed.value.parts["found"] == "Permission denied"
