"""Rollups on S3 and their copies on this machine: what is requested, and that answers are right."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path
from urllib.parse import unquote

import pytest
from support.renamed_lake import renamed_history

from lake.partition.layout import rollup_key, rollup_manifest_key
from lake.query import Lake
from lake.trends import Choices, ask, trend_named

_SECTION = '[s3]\nendpoint_url = "{0}"\nregion = "{1}"\n'
_DATASET = re.compile(r"(?:manifests|rollups|tables)/(?:rollups/)?(\w+)/")
DAYS = 2
TRENDS = ("error_rate", "log_volume")


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LAKE_CACHE_DIR", str(tmp_path / "cache"))
    return tmp_path / "cache" / "rollups"


@pytest.fixture
def on_s3(tmp_path: Path, s3, run):
    section = _SECTION.format(s3["endpoint_url"], s3["region"])
    root = f"s3://{s3['bucket']}/rollup cache"
    lake, scenario = renamed_history(tmp_path / "lake", days=DAYS, root=root, s3=section)
    status, _, err = run("rollup", "--config", lake.config)
    assert status == 0, err
    yield lake, scenario
    for stat in list(lake.store.list("")):
        lake.store.delete(stat.key)


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list]:
    """From the tables of the same history in a directory."""
    lake, scenario = renamed_history(tmp_path_factory.mktemp("directory"), days=DAYS)
    with lake.connect() as session:
        return {name: answer(session, name, scenario) for name in TRENDS}


def answer(session: Lake, name: str, scenario) -> list:
    return ask(session, trend_named(name), scenario.first, scenario.end, Choices()).rows


def requested(lake, name: str, scenario) -> tuple[list, Counter[str]]:
    """The answer, and how often each rollup's object was read."""
    with lake.connect() as session:
        session.connection.execute("CALL enable_logging('HTTP')")
        rows = answer(session, name, scenario)
        log = "SELECT request.url FROM duckdb_logs_parsed('HTTP') WHERE request.type = 'GET'"
        urls = [url for (url,) in session.connection.execute(log).fetchall()]
    return rows, Counter(url for url in urls if "/rollups/" in url and url.endswith(".parquet"))


@pytest.mark.slow
def test_each_rollup_is_fetched_once(on_s3, expected, cache: Path) -> None:
    lake, scenario = on_s3
    rows, first = requested(lake, "log_volume", scenario)
    assert rows == expected["log_volume"]
    assert sorted(first.values()) == [1] * DAYS
    rows, second = requested(lake, "log_volume", scenario)
    assert rows == expected["log_volume"]
    assert not second
    assert requested(lake, "error_rate", scenario)[0] == expected["error_rate"]
    files = [path for path in cache.rglob("*") if path.is_file()]
    # The other metrics' last day, too: what they are.
    assert len(files) == 2 * DAYS + 1
    assert all(path.stat().st_mode & 0o077 == 0 for path in files)


@pytest.mark.slow
def test_only_what_may_have_the_content_is_read(on_s3, cache: Path) -> None:
    """Also with an empty cache: no manifest of documents and lines for a trend of metrics."""
    lake, scenario = on_s3
    of_metrics = {d.name for d in lake.settings.dataset if d.source == "prometheus"}
    for again in (False, True):
        with lake.connect() as session:
            session.connection.execute("CALL enable_logging('HTTP')")
            answer(session, "error_rate", scenario)
            log = "SELECT request.url FROM duckdb_logs_parsed('HTTP')"
            urls = [unquote(url) for (url,) in session.connection.execute(log).fetchall()]
        assert {match[1] for url in urls if (match := _DATASET.search(url))} == of_metrics
        # A LIST for each dataset's manifests, one for its rollups'.
        assert sum("list-type" in url for url in urls) == 2 * len(of_metrics)
        assert again or len(urls) > 2 * len(of_metrics)


@pytest.mark.slow
def test_the_copy_of_a_rollup_that_is_gone_goes(on_s3, cache: Path) -> None:
    lake, scenario = on_s3
    requested(lake, "error_rate", scenario)
    files = "http_server_requests/*/*.parquet"
    before = {path.parent.name for path in cache.rglob(files)}
    lake.store.delete(rollup_manifest_key("http_server_requests", scenario.first))
    requested(lake, "error_rate", scenario)
    after = {path.parent.name for path in cache.rglob(files)}
    assert before - after == {f"day={scenario.first}"}


@pytest.mark.slow
def test_a_copy_that_is_not_the_rollup_is_fetched_again(on_s3, expected, cache: Path) -> None:
    lake, scenario = on_s3
    requested(lake, "error_rate", scenario)
    for path in cache.rglob("*.parquet"):
        path.write_bytes(b"damaged")
    assert requested(lake, "error_rate", scenario)[0] == expected["error_rate"]


@pytest.mark.slow
def test_without_a_folder_for_copies(on_s3, expected, tmp_path, monkeypatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("LAKE_CACHE_DIR", str(tmp_path / "file"))
    lake, scenario = on_s3
    for name in TRENDS:
        assert requested(lake, name, scenario)[0] == expected[name]


@pytest.mark.slow
def test_an_object_that_is_not_its_manifest_s(on_s3, cache: Path, run) -> None:
    lake, scenario = on_s3
    key = rollup_key("http_server_requests", scenario.first)
    with lake.store.upload(key) as upload:
        upload.write(lake.store.read(rollup_key("http_server_requests", scenario.first.plus(1))))
    days = ["--from", scenario.first, "--to", scenario.end, "--config", lake.config]
    status, _, err = run("trend", "error_rate", *days)
    assert status == 1
    assert "a rollup is not the one that its manifest describes" in err
    assert "rollup --force" in err
