"""The cache of manifests: what a second session requests of S3, and that it never answers stale."""

from __future__ import annotations

import time
from collections import Counter
from datetime import timedelta
from pathlib import Path

import pyarrow as pa
import pytest
from support.s3_proxy import S3Proxy

from lake.base.day import Day
from lake.base.errors import Missing
from lake.config.settings import S3Section
from lake.partition.layout import manifest_key
from lake.query import Lake, connect, manifests, small_objects

_SECTION = '[s3]\nendpoint_url = "{0}"\nregion = "{1}"\n'


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LAKE_CACHE_DIR", str(tmp_path / "cache"))
    return tmp_path / "cache" / "manifests"


@pytest.fixture
def settled(monkeypatch: pytest.MonkeyPatch) -> None:
    """What has just been written counts as old."""
    monkeypatch.setattr(manifests, "_SETTLED", timedelta(minutes=-1))


@pytest.fixture
def s3_lake(make_lake, table, s3):
    section = _SECTION.format(s3["endpoint_url"], s3["region"])
    lake = make_lake("events", root=f"s3://{s3['bucket']}/manifest cache", s3=section)
    for number in range(1, 8):
        lake.put("events", f"2026-07-{number:02d}", table(n=[number]))
    yield lake
    for stat in list(lake.store.list("")):
        lake.store.delete(stat.key)


def requested(session: Lake, question: str) -> tuple[list[dict], Counter[str]]:
    """The rows, and requests: LIST, and methods of manifests' objects."""
    session.connection.execute("CALL enable_logging('HTTP')")
    rows = session.rows(question)
    log = "SELECT request.type, request.url FROM duckdb_logs_parsed('HTTP')"
    logged = session.connection.execute(log).fetchall()
    kinds = (
        "LIST" if "list-type" in url else method for method, url in logged if "manifests" in url
    )
    return rows, Counter(kinds)


QUESTION = "SELECT count(*) AS c, sum(n) AS s FROM events"


def test_a_second_session_reads_no_manifest(s3_lake, cache, settled) -> None:
    with s3_lake.connect() as session:
        rows, first = requested(session, QUESTION)
    assert rows == [{"c": 7, "s": 28}]
    assert first["GET"] == 7
    with s3_lake.connect() as session:
        rows, second = requested(session, QUESTION)
    assert rows == [{"c": 7, "s": 28}]
    assert set(second) == {"LIST"}
    (file,) = cache.glob("*.json")
    assert file.stat().st_mode & 0o077 == 0


MONTHS = [f"2026-{month:02d}-{day:02d}" for month in (5, 6) for day in range(1, 31)]


@pytest.fixture
def two_months(s3_lake, table):
    for number, day in enumerate(MONTHS):
        s3_lake.put("events", day, table(n=[number]))
    for number in range(1, 8):
        s3_lake.store.delete(manifest_key("events", Day.parse(f"2026-07-{number:02d}")))
    return s3_lake


def of_two_months(*added: int) -> list[dict]:
    numbers = [*range(len(MONTHS)), *added]
    return [{"c": len(numbers), "s": sum(numbers)}]


def test_many_manifests_are_read_by_patterns(two_months, cache, settled) -> None:
    """A HEAD for each would double the requests."""
    with two_months.connect() as session:
        rows, first = requested(session, QUESTION)
    assert rows == of_two_months()
    # Patterns of ten days; the 30th of a month by name.
    assert first == {"LIST": 1 + 6, "HEAD": 2, "GET": len(MONTHS)}
    # Of few, and of a pattern whose other days are in the cache: by name.
    time.sleep(1.1)  # S3 has an object's time in seconds, and `settled` lets the cache rely on it
    for day in (MONTHS[3], MONTHS[44]):
        two_months.put("events", day, pa.table({"n": [MONTHS.index(day), 7]}))
    with two_months.connect() as session:
        rows, second = requested(session, QUESTION)
    assert rows == of_two_months(7, 7)
    assert second == {"LIST": 1, "HEAD": 2, "GET": 2}


def test_connections_are_reused(two_months, cache, s3, monkeypatch) -> None:
    """Over TLS a handshake takes longer than a manifest."""
    proxy = S3Proxy(s3["endpoint_url"])
    accepted: list[object] = []
    accept = proxy._server.get_request

    def counted() -> tuple:
        accepted.append(taken := accept())
        return taken

    monkeypatch.setattr(proxy._server, "get_request", counted)
    through = S3Section(endpoint_url=proxy.url, region=s3["region"])
    settings = two_months.settings.model_copy(update={"s3": through})
    with proxy.running(), connect(settings) as session:
        assert session.rows(QUESTION) == of_two_months()
    assert len(accepted) < len(MONTHS)  # requests: twice as many, the tables' own included


def test_a_root_with_a_day_in_it(make_lake, table, cache, settled, s3) -> None:
    section = _SECTION.format(s3["endpoint_url"], s3["region"])
    root = f"s3://{s3['bucket']}/lake of 2026-05-01"
    lake = make_lake("events", where="odd", root=root, s3=section)
    for number, day in enumerate(MONTHS):
        lake.put("events", day, table(n=[number]))
    with lake.connect() as session:
        assert session.rows(QUESTION) == of_two_months()


def test_what_goes_while_it_is_read(two_months, cache, settled, monkeypatch) -> None:
    """Listed, and gone before its pattern is read: an error, not a day less."""
    key = manifest_key("events", Day.parse(MONTHS[5]))
    matching = small_objects._matching

    def later(connected, pattern):
        two_months.store.delete(key)
        return matching(connected, pattern)

    monkeypatch.setattr(small_objects, "_matching", later)
    with two_months.connect() as session, pytest.raises(Missing, match=MONTHS[5]):
        session.rows(QUESTION)


def test_what_has_just_been_written_is_not_kept(s3_lake, cache) -> None:
    for _ in range(2):
        with s3_lake.connect() as session:
            _, requests_ = requested(session, QUESTION)
        assert requests_["GET"] == 7


def test_changes_are_seen(s3_lake, cache, settled, table) -> None:
    with s3_lake.connect() as session:
        session.rows(QUESTION)
    s3_lake.put("events", "2026-07-02", table(n=[20, 21, 22]))
    s3_lake.put("events", "2026-07-08", table(n=[8]))
    s3_lake.store.delete(manifest_key("events", Day.parse("2026-07-03")))
    with s3_lake.connect() as session:
        rows, requests_ = requested(session, QUESTION)
    assert rows == [{"c": 9, "s": 28 - 2 - 3 + 63 + 8}]
    assert requests_["GET"] <= 2


def test_another_root_has_a_cache_of_its_own(s3_lake, cache, settled, make_lake, table, s3) -> None:
    with s3_lake.connect() as session:
        session.rows(QUESTION)
    section = _SECTION.format(s3["endpoint_url"], s3["region"])
    other = make_lake("events", where="other", root=f"s3://{s3['bucket']}/another", s3=section)
    other.put("events", "2026-07-01", table(n=[100]))
    with other.connect() as session:
        assert session.rows(QUESTION) == [{"c": 1, "s": 100}]


DAMAGED = ["", "{", "[]", '{"version": 1}', '{"version": 1, "manifests": {"2026-07-01.json": [1]}}']


@pytest.mark.parametrize("content", DAMAGED)
def test_a_damaged_cache_is_as_good_as_none(s3_lake, cache, settled, content: str) -> None:
    for _ in range(2):
        with s3_lake.connect() as session:
            assert session.rows(QUESTION) == [{"c": 7, "s": 28}]
        for file in cache.glob("*.json"):
            file.write_text(content)


def test_a_folder_that_can_t_be_written(s3_lake, tmp_path, monkeypatch, settled) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("LAKE_CACHE_DIR", str(tmp_path / "file"))
    with s3_lake.connect() as session:
        assert session.rows(QUESTION) == [{"c": 7, "s": 28}]


def test_a_directory_needs_no_cache(make_lake, table, cache, settled) -> None:
    lake = make_lake("events")
    lake.put("events", "2026-07-01", table(n=[1]))
    with lake.connect() as session:
        assert session.rows(QUESTION) == [{"c": 1, "s": 1}]
    assert not cache.exists()
