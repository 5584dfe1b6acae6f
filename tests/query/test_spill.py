"""Where a query spills to disk, and what a killed one leaves there."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest


def _ended() -> int:
    """The id of a process that has ended."""
    command = [sys.executable, "-c", "import os; print(os.getpid())"]
    return int(subprocess.run(command, capture_output=True, check=True).stdout)


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


def test_what_killed_queries_left_is_removed(make_lake, table, temporary) -> None:
    left = temporary / f"lake-query-{_ended()}-abc"
    running = temporary / f"lake-query-{os.getppid()}-abc"
    somebody = temporary / "lake-query-report"
    elsewhere = temporary.parent / "elsewhere"
    for folder in (left, running, somebody, elsewhere):
        folder.mkdir()
        (folder / "duckdb_temp_storage-0.tmp").write_bytes(b"x")
    link = temporary / f"lake-query-{_ended()}"
    link.symlink_to(elsewhere)
    lake = make_lake("events")
    lake.put("events", "2026-07-01", table(n=[1]))
    with lake.connect() as opened:
        assert opened.rows("SELECT n FROM events") == [{"n": 1}]
        (spill,) = opened.connection.execute("SELECT current_setting('temp_directory')").fetchone()
    assert spill.startswith(str(temporary / f"lake-query-{os.getpid()}-"))
    assert not left.exists()
    assert all(folder.exists() for folder in (running, somebody, link))
    assert list(elsewhere.iterdir())


def test_a_killed_query_and_the_next(make_lake, tmp_path: Path) -> None:
    """DuckDB spills a sort that has too little memory; the process is killed then."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    lake = make_lake("events")
    script = f"""
import os, signal
from lake.query import connect
os.umask(0)
with connect({str(lake.config)!r}) as lake:
    lake.connection.execute("SET memory_limit = '60MB'; SET threads = 1")
    lake.connection.execute("CREATE TABLE t AS SELECT hash(i) AS h FROM range(3000000) r(i)")
    lake.connection.execute("CREATE TABLE u AS SELECT h FROM t ORDER BY h")
    os.kill(os.getpid(), signal.SIGKILL)
"""
    env = {**os.environ, "TMPDIR": str(folder)}
    command = [sys.executable, "-c", script]
    killed = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    assert killed.returncode == -9, killed.stderr
    (private,) = folder.glob("lake-query-*")
    assert any(path.is_file() for path in private.rglob("*")), "nothing was spilled"
    assert private.stat().st_mode & 0o777 == 0o700  # rows are for this user alone
    after = "from lake.query import connect; connect({0!r}).rows('SELECT 1')"
    subprocess.run([sys.executable, "-c", after.format(str(lake.config))], env=env, check=True)
    assert not list(folder.glob("lake-query-*"))  # nor of the process that has ended well


def test_a_temporary_folder_that_cannot_be_written(make_lake, table, monkeypatch, tmp_path) -> None:
    """A query that needs no disk runs."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "absent"))
    lake = make_lake("events")
    lake.put("events", "2026-07-01", table(n=[1]))
    with lake.connect() as opened:
        assert opened.rows("SELECT n FROM events") == [{"n": 1}]


def test_counter_increase_spills_and_other_queries_have_the_machine(make_lake, table) -> None:
    lake = make_lake("events")
    lake.put("events", "2026-07-01", table(n=[1]))
    limit = "SELECT current_setting('memory_limit') AS memory FROM events"
    with lake.connect() as opened:
        (usual,) = opened.rows(limit)
        (bounded,) = opened.rows(limit.replace(" FROM", ", counter_increase(n, 1, day) AS i FROM"))
        assert bounded["memory"] == "953.6 MiB"  # 1 GB
        assert opened.rows(limit) == [usual]
        opened.connection.execute("SET memory_limit = '200MiB'")
        assert (
            opened.rows(limit.replace(" FROM", ", counter_increase(n, 1, day) AS i FROM"))[0][
                "memory"
            ]
            == "200.0 MiB"
        )


def test_a_container_with_little_memory(make_lake, table, monkeypatch) -> None:
    """DuckDB's share of a parent cgroup's limit, and never more for what spills."""
    monkeypatch.setattr("lake.query.connection.memory_bytes", lambda: 500 << 20)
    lake = make_lake("events")
    lake.put("events", "2026-07-01", table(n=[1]))
    limit = "SELECT current_setting('memory_limit') AS memory FROM events"
    with lake.connect() as opened:
        usual = [{"memory": "400.0 MiB"}]
        assert opened.rows(limit) == usual
        (bounded,) = opened.rows(limit.replace(" FROM", ", counter_increase(n, 1, day) AS i FROM"))
        assert bounded["memory"] == "200.0 MiB"
        assert opened.rows(limit) == usual
