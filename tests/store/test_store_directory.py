import os
import signal
import subprocess
from concurrent.futures import ThreadPoolExecutor

import pytest
from support.forked import started
from support.waiting import wait_until_stopped

from lake.base.errors import Conflict, Missing, PermanentError, Refused, TransientError
from lake.store import directory
from lake.store.directory import DirectoryStore


@pytest.fixture
def store(tmp_path):
    return DirectoryStore(tmp_path / "lake")


def files(store: DirectoryStore) -> set[str]:
    return {p.relative_to(store.root).as_posix() for p in store.root.rglob("*") if p.is_file()}


def test_objects_come_back(store):
    assert store.stat("a/b") is None
    assert list(store.list("")) == []
    store.write("a/b", b"one")
    store.write("a/b", b"other")
    assert store.read("a/b") == b"other"
    stat = store.stat("a/b")
    assert (stat.key, stat.bytes) == ("a/b", 5)
    assert store.url("a/b") == str(store.root / "a/b")
    assert oct((store.root / "a/b").stat().st_mode)[-3:] == "644"
    with pytest.raises(Missing):
        store.read("a/none")


@pytest.mark.parametrize(("umask", "mode"), [(0o077, 0o600), (0o002, 0o664), (0o027, 0o640)])
def test_the_umask_says_who_reads_the_files(store, umask: int, mode: int):
    before = os.umask(umask)
    try:
        store.write("a/b", b"one")
    finally:
        os.umask(before)
    assert (store.root / "a/b").stat().st_mode & 0o777 == mode


def test_the_etag_changes_with_the_content(store):
    store.write("a", b"one")
    first = store.stat("a").etag
    store.write("a", b"two")
    assert store.stat("a").etag != first


def test_listing_is_by_prefix_and_in_the_order_of_keys(store):
    for key in ("a/b", "a-b", "a", "tables/x/day=2", "tables/x/day=1", "tables/xy/day=1"):
        if key != "a":
            store.write(key, b"1")
    assert [s.key for s in store.list("")] == [
        "a-b",
        "a/b",
        "tables/x/day=1",
        "tables/x/day=2",
        "tables/xy/day=1",
    ]
    assert [s.key for s in store.list("tables/x/")] == ["tables/x/day=1", "tables/x/day=2"]
    assert [s.key for s in store.list("tables/x")][-1] == "tables/xy/day=1"
    assert list(store.list("none/")) == []


def test_nothing_is_seen_before_the_end_and_an_error_leaves_the_old_object(store):
    store.write("t/old", b"old")

    def broken(key):
        with store.upload(key) as upload:
            upload.write(b"half")
            assert [(s.key, s.bytes) for s in store.list("")] == [("t/old", 3)]
            raise RuntimeError

    with pytest.raises(RuntimeError):
        broken("t/old")
    with pytest.raises(RuntimeError):
        broken("t/new/x")
    assert store.read("t/old") == b"old"
    assert files(store) == {"t/old"}


def test_an_error_of_the_body_is_not_the_stores(store):
    with pytest.raises(ConnectionResetError), store.upload("a"):
        raise ConnectionResetError("the source's own")


def test_deleting_takes_empty_folders_along_but_not_the_root(store):
    store.write("t/x/day=1/data", b"1")
    store.write("t/y", b"1")
    store.delete("t/x/day=1/data")
    assert not (store.root / "t/x").exists()
    store.delete("t/y")
    store.delete("t/y")
    assert store.root.is_dir()


def test_a_root_that_is_a_file(tmp_path):
    (tmp_path / "lake").write_bytes(b"")
    store = DirectoryStore(tmp_path / "lake")
    for call in (
        lambda: store.write("a/b", b"1"),
        lambda: store.stat("a/b"),
        lambda: list(store.list("")),
        lambda: store.read("a/b"),
    ):
        with pytest.raises(PermanentError, match="a file stands where a folder"):
            call()


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 1 MiB."""
    folder = tmp_path / "small"
    folder.mkdir()
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "lake-test", str(folder)],
        check=False,
        capture_output=True,
    )
    if done.returncode:
        pytest.skip("only root may mount a small file system")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def test_a_full_disk(small_disk):
    store = DirectoryStore(small_disk / "lake")
    store.write("a", b"old")
    with pytest.raises(PermanentError, match="no space left") as caught:
        store.write("a", b"x" * (2 << 20))
    assert "free some space" in caught.value.parts["remedy"]
    assert store.read("a") == b"old"
    assert files(store) == {"a"}
    store.write("a", b"new")
    assert store.read("a") == b"new"


def test_only_what_was_looked_at_is_replaced(store):
    store.write("a", b"one", replaces="")
    first = store.stat("a").etag
    store.write("a", b"two", replaces=first)
    for stale in ("", first):
        with pytest.raises(Conflict):
            store.write("a", b"six", replaces=stale)
    assert store.read("a") == b"two"
    assert files(store) == {"a"}


def test_of_many_writers_one_wins(store):
    """Each adds one to what it has read; nobody's addition is lost."""
    store.write("n", b"0")

    def add(_):
        while True:
            etag, number = store.stat("n").etag, int(store.read("n"))
            try:
                store.write("n", str(number + 1).encode(), replaces=etag)
            except Conflict:
                continue
            return

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(add, range(200)))
    assert store.read("n") == b"200"
    assert files(store) == {"n"}


def test_uploads_that_did_not_end_are_told_from_those_that_go_on(store):
    assert store.unfinished("") == ()
    with store.upload("tables/a/b") as upload:
        upload.write(b"1")
        (unfinished,) = store.unfinished("tables/")
        assert (unfinished.key, unfinished.alive) == ("tables/a/b", True)
        assert store.unfinished("manifests/") == ()
    (store.root / ".parts" / "tables!a!b.xyz").write_bytes(b"half")
    (unfinished,) = store.unfinished("tables/")
    assert (unfinished.key, unfinished.alive) == ("tables/a/b", False)
    store.abandon(unfinished)
    assert files(store) == {"tables/a/b"}


def test_no_permission(store):
    store.write("t/a", b"1")
    (store.root / "t").chmod(0)
    root = os.geteuid() == 0
    try:
        if root:
            os.seteuid(65534)  # nobody: root itself may do everything
        for call in (
            lambda: list(store.list("t/")),
            lambda: store.stat("t/a"),
            lambda: store.read("t/a"),
            lambda: store.delete("t/a"),
        ):
            with pytest.raises(Refused, match="no permission"):
                call()
    finally:
        if root:
            os.seteuid(0)
        (store.root / "t").chmod(0o755)
    assert store.read("t/a") == b"1"


def test_a_suspended_writer_keeps_nobody_waiting_for_ever(store, monkeypatch):
    monkeypatch.setattr(directory, "_LOCKED_WITHIN_S", 0.5)
    process = started(_write_until_stopped, store.root)
    wait_until_stopped(process.pid)
    with pytest.raises(TransientError, match="keeps the directory locked") as caught:
        store.write("b", b"other")
    assert f"where: {store.root}/.parts/.lock" in str(caught.value)
    os.kill(process.pid, signal.SIGCONT)
    process.join()
    assert process.exitcode == 0
    store.write("b", b"other")
    assert files(store) == {"a", "b"}


def _write_until_stopped(root):
    """Suspended when it has deleted, which the lock guards: as Ctrl-Z may."""
    os.environ["LAKE_FAULT"] = "SIGSTOP deleted a"
    store = DirectoryStore(root)
    store.write("a", b"one")
    store.delete("a")
    store.write("a", b"one")


def test_an_upload_that_ends_meanwhile_hides_no_other(store):
    store.write("tables/b", b"x")
    parts = store.root / ".parts"
    (parts / "tables!a.1").symlink_to(parts / "gone")  # listed, and away when it is looked at
    (parts / "tables!b.2").write_bytes(b"x")
    (unfinished,) = store.unfinished("tables/")
    assert unfinished.key == "tables/b"


def test_uploads_that_cannot_be_listed(store):
    store.root.mkdir(parents=True, exist_ok=True)
    (store.root / ".parts").write_text("no folder")
    with pytest.raises(PermanentError, match="a file stands where a folder has to be"):
        store.unfinished("")
