"""The same over S3: what is fetched, and what errors say and do not say."""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import duckdb
import pytest
from support.tls import certificates, tls_in_front_of

from lake.base.errors import Missing, PermanentError, Refused, TransientError, UsageError
from lake.catalog import opening_script, opening_statements, write_catalog
from lake.config.settings import S3Section
from lake.query import connect
from lake.query.connection import load_httpfs
from lake.query.s3 import secret_statement

_SECTION = '[s3]\nendpoint_url = "{0}"\nregion = "{1}"\n'
_DAY = re.compile(r"day=(\d{4}-\d\d-\d\d)")


@pytest.fixture
def s3_lake(make_lake, table, s3):
    section = _SECTION.format(s3["endpoint_url"], s3["region"])
    lake = make_lake("events", "others", root=f"s3://{s3['bucket']}/a lake", s3=section)
    for number in range(1, 6):
        day = f"2026-07-{number:02d}"
        lake.put("events", day, table(n=[number], **({"late": ["x"]} if number > 3 else {})))
        lake.put("others", day, table(n=[str(number)] if number == 1 else [number]))
    return lake


def _fetched(session, question: str) -> tuple[list, set[str]]:
    """The rows, and the days whose objects were asked for."""
    session.connection.execute("CALL enable_logging('HTTP')")
    rows = session.rows(question)
    log = "SELECT request.url FROM duckdb_logs_parsed('HTTP')"
    urls = [url for (url,) in session.connection.execute(log).fetchall()]
    session.connection.execute("CALL disable_logging()")
    session.connection.execute("CALL truncate_duckdb_logs()")
    return rows, {match[1] for url in urls if (match := _DAY.search(url))}


@pytest.mark.parametrize("table_name", ["events", "others"])
def test_only_the_asked_days_are_fetched(s3_lake, table_name: str) -> None:
    with s3_lake.connect() as session:
        for source in (
            f"{table_name}_between(DATE '2026-07-02', DATE '2026-07-05')",
            f"{table_name} WHERE day >= '2026-07-02' AND day < '2026-07-05'",
        ):
            rows, days = _fetched(session, f"SELECT count(*) AS c, min(n) AS n FROM {source}")
            assert rows == [{"c": 3, "n": 2}]  # of the type that these days have
            assert days <= {"2026-07-02", "2026-07-03", "2026-07-04"}
        empty = f"FROM {table_name}_between(DATE '2027-01-01', DATE '2027-02-01')"
        assert _fetched(session, empty) == ([], set())


def test_defining_the_tables_fetches_no_object(s3_lake) -> None:
    with s3_lake.connect() as session:
        assert _fetched(session, "SELECT count(*) AS n FROM (SHOW TABLES)") == ([{"n": 2}], set())


def test_secrets_are_in_no_error(s3_lake, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong'secret'1234567890")
    with s3_lake.connect() as session, pytest.raises(Refused) as caught:
        session.rows("SELECT count(*) FROM events")
    assert "1234567890" not in str(caught.value)
    with s3_lake.connect() as session:
        shown = session.connection.execute("FROM duckdb_secrets()").fetchall()
    assert "1234567890" not in str(shown)


def test_no_function_of_duckdb_shows_the_keys(s3_lake, monkeypatch: pytest.MonkeyPatch) -> None:
    """DuckDB's httpfs takes them from the environment into settings, which anybody may list."""
    secret = os.environ["AWS_SECRET_ACCESS_KEY"]
    with s3_lake.connect() as session:
        for function in ("settings", "secrets", "variables"):
            shown = str(session.rows(f"FROM duckdb_{function}()"))
            assert secret not in shown
        assert session.rows("SELECT count(*) AS n FROM events") == [{"n": 5}]
    monkeypatch.setenv("AWS_SESSION_TOKEN", "tokenOfASession1234")
    with s3_lake.connect() as session:
        for function in ("settings", "secrets"):
            shown = session.connection.execute(f"FROM duckdb_{function}()").fetchall()
            assert "tokenOfASession1234" not in str(shown)


def test_what_is_wrong_is_told(make_lake, s3, monkeypatch: pytest.MonkeyPatch) -> None:
    section = _SECTION.format(s3["endpoint_url"], s3["region"])
    lake = make_lake("events", root="s3://no-such-bucket-anywhere", s3=section)
    with lake.connect() as session, pytest.raises(Missing, match="no such bucket"):
        session.rows("FROM events")
    section = _SECTION.format("http://127.0.0.1:9", s3["region"])
    lake = make_lake("events", root=f"s3://{s3['bucket']}", s3=section)
    with lake.connect() as session, pytest.raises(TransientError, match="endpoint_url"):
        session.rows("FROM events")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    with pytest.raises(Refused, match="no AWS credentials"):
        lake.connect()


def test_credentials_of_a_profile(s3_lake, s3, monkeypatch, tmp_path) -> None:
    """The chain beyond the environment."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    file = tmp_path / "credentials"
    file.write_text(
        f"[lake]\naws_access_key_id = {s3['access_key']}\n"
        f"aws_secret_access_key = {s3['secret_key']}\n"
    )
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(file))
    monkeypatch.setenv("AWS_PROFILE", "lake")
    with connect(s3_lake.settings) as session:
        assert session.rows("SELECT count(*) AS n FROM events") == [{"n": 5}]


def test_addresses_of_aws_and_of_other_servers() -> None:
    keys = {"AWS_ACCESS_KEY_ID": "K", "AWS_SECRET_ACCESS_KEY": "it's", "AWS_SESSION_TOKEN": "T"}
    aws = secret_statement("s3://b/x", S3Section(region="eu-west-1"), keys)
    assert "ENDPOINT" not in aws
    assert "SECRET 'it''s'" in aws
    assert "SESSION_TOKEN 'T'" in aws
    assert "SCOPE 's3://b'" in aws
    own = secret_statement("s3://b", S3Section(endpoint_url="https://s3.example:9000"), keys)
    assert "ENDPOINT 's3.example:9000', USE_SSL true, URL_STYLE 'path'" in own
    assert "URL_STYLE 'path'" in secret_statement("s3://a.b", S3Section(region="x"), keys)


def test_the_endpoint_of_the_environment(make_lake, table, s3, monkeypatch) -> None:
    """Where [s3] has none; the store finds it there, too."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", s3["endpoint_url"])
    root, section = f"s3://{s3['bucket']}", f'[s3]\nregion = "{s3["region"]}"\n'
    lake = make_lake("events", root=root, s3=section)
    lake.put("events", "2026-07-01", table(n=[1]))
    with lake.connect() as session:
        assert session.rows("SELECT n FROM events") == [{"n": 1}]


def test_catalog_over_s3(s3_lake, s3, tmp_path) -> None:
    file = tmp_path / "lake.duckdb"
    with s3_lake.connect() as session:
        write_catalog(session, file)
    assert s3["secret_key"].encode() not in file.read_bytes()
    text = opening_script(s3_lake.settings, file)
    statements = [statement + ";" for statement in opening_statements(s3_lake.settings, file)]
    assert [line for line in text.splitlines() if not line.startswith("--")] == statements
    assert s3["secret_key"] not in text
    # As a user does it: with the keys filled in, and the extension from its wheel.
    text = text.replace("INSTALL httpfs;\nLOAD httpfs;", "")
    text = text.replace("KEY_ID '…'", f"KEY_ID '{s3['access_key']}'")
    text = text.replace("SECRET '…'", f"SECRET '{s3['secret_key']}'")
    with duckdb.connect() as connection:
        load_httpfs(connection)
        connection.execute(text)
        between = "FROM events_between(DATE '2026-07-02', DATE '2026-07-04')"
        assert connection.sql(f"SELECT sum(n) {between}").fetchall() == [(5,)]
        assert connection.sql("SELECT count(late) FROM events").fetchall() == [(2,)]


@pytest.mark.slow
def test_an_answer_over_s3_needs_no_boto3(s3_lake) -> None:
    code = f"""
import sys
from lake.query import connect
assert connect({str(s3_lake.config)!r}).rows("SELECT count(*) AS n FROM events") == [{{"n": 5}}]
print("boto3" in sys.modules)
"""
    ran = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert ran.stdout == "False\n"


def test_a_prefix_that_xml_escapes(make_lake, table, s3) -> None:
    section = _SECTION.format(s3["endpoint_url"], s3["region"])
    lake = make_lake("events", root=f"s3://{s3['bucket']}/R&D", s3=section)
    for number in range(2):
        lake.put("events", f"2026-07-0{number + 1}", table(n=[number + 1]))
    with lake.connect() as session:
        assert session.rows("SELECT sum(n) AS n FROM events") == [{"n": 3}]


@pytest.fixture
def tls_endpoint(s3, tmp_path) -> Iterator[tuple[str, Path]]:
    """The S3 server behind TLS, with a certificate of a private authority: URL, its PEM file."""
    made = certificates(tmp_path)
    plain = urlsplit(s3["endpoint_url"])
    with tls_in_front_of((str(plain.hostname), int(plain.port or 0)), made.server) as port:
        yield f"https://127.0.0.1:{port}", made.ca


@pytest.mark.parametrize("by", ["section", "environment"])
def test_a_private_authority(s3, make_lake, table, tls_endpoint, monkeypatch, by: str) -> None:
    url, ca = tls_endpoint
    root = f"s3://{s3['bucket']}/lake"
    writer = make_lake("events", root=root, s3=_SECTION.format(s3["endpoint_url"], "us-east-1"))
    writer.put("events", "2026-07-01", table(n=[7]))
    section = _SECTION.format(url, "us-east-1")
    with (
        pytest.raises(PermanentError, match="not trusted") as caught,
        make_lake("events", where="without", root=root, s3=section).connect() as session,
    ):
        session.rows("SELECT n FROM events")
    assert "ca_file in [s3]" in caught.value.parts["remedy"]
    if by == "section":
        section += f'ca_file = "{ca}"\n'
    else:
        monkeypatch.setenv("AWS_CA_BUNDLE", str(ca))
    lake = make_lake("events", where="with", root=root, s3=section)
    with lake.connect() as session:
        assert session.rows("SELECT n FROM events") == [{"n": 7}]
        file = lake.config.parent / "lake.duckdb"
        write_catalog(session, file)
    opening = opening_statements(lake.settings, file)
    with contextlib.closing(duckdb.connect()) as other:
        load_httpfs(other)
        for statement in opening[2:]:  # the catalog is bound to no installation of httpfs
            other.execute(
                statement.replace("…", s3["access_key"], 1).replace("…", s3["secret_key"])
            )
        assert other.execute("SELECT n FROM events").fetchall() == [(7,)]


def test_a_file_of_authorities_that_is_not_there(make_lake, tmp_path, s3) -> None:
    gone = tmp_path / "gone.pem"
    section = _SECTION.format("https://127.0.0.1:1", "x") + f'ca_file = "{gone}"\n'
    with pytest.raises(UsageError, match="can't be read") as caught:
        make_lake("events", root="s3://bucket/x", s3=section).connect()
    assert caught.value.parts["found"] == str(gone)
