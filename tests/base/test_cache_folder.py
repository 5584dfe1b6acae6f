"""Where the cache is: of a user with and without a home directory; how its files are written."""

from __future__ import annotations

from pathlib import Path

import pytest

from lake.base.cache import cache_dir, write_cached
from lake.base.errors import UsageError
from lake.config.settings import S3Section
from lake.query.s3 import with_endpoint


@pytest.fixture
def homeless(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a container that runs as a uid without an entry in /etc/passwd."""
    for name in ("HOME", "XDG_CACHE_HOME", "LAKE_CACHE_DIR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("os.path.expanduser", lambda path: path)  # the standard library's answer


def test_without_a_home_directory(homeless, monkeypatch) -> None:
    with pytest.raises(UsageError, match="no folder for the cache") as caught:
        cache_dir()
    assert "LAKE_CACHE_DIR" in caught.value.parts["remedy"]
    monkeypatch.setenv("XDG_CACHE_HOME", "/x")
    assert cache_dir() == Path("/x/monitoring-lake")
    monkeypatch.setenv("LAKE_CACHE_DIR", "/y")
    assert cache_dir() == Path("/y")


def test_a_relative_folder_is_ignored(tmp_path, monkeypatch) -> None:
    """Else each working directory would get one; the XDG specification says so, too."""
    monkeypatch.delenv("LAKE_CACHE_DIR", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", "cache")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache_dir() == tmp_path / ".cache/monitoring-lake"


def test_s3_without_a_home_directory(homeless) -> None:
    assert with_endpoint(S3Section(), {}).endpoint_url is None


def test_files_are_for_this_user_alone(tmp_path) -> None:
    file = tmp_path / "new/file"
    write_cached(file, b"1")
    write_cached(file, b"2")
    assert file.read_bytes() == b"2"
    assert file.stat().st_mode & 0o777 == 0o600


def test_what_cannot_be_written_leaves_nothing_behind(tmp_path) -> None:
    (tmp_path / "file/in the way").mkdir(parents=True)
    with pytest.raises(OSError, match="file"):
        write_cached(tmp_path / "file", b"1")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
