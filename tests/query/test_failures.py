"""What errors of DuckDB and of S3 become: their class, and a remedy that fits."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler

import duckdb
import pytest
from support.serving import HttpServer, serving

from lake.base.errors import LakeError, Missing, PermanentError, Refused, TransientError, UsageError
from lake.config.settings import S3Section
from lake.query import connect
from lake.query.failures import explained
from lake.query.s3 import with_endpoint

_ENDPOINT = '[s3]\nendpoint_url = "{0}"\nregion = "eu-west-1"\n'


@pytest.fixture(autouse=True)
def _keys(monkeypatch: pytest.MonkeyPatch, tmp_path) -> None:
    for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "KEY")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "a-secret-of-this-test")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


@contextmanager
def _refusing(status: int, code: str) -> Iterator[str]:
    """A server that answers every request with one error, as S3 writes it."""
    body = f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>m</Message></Error>"

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.send_header("Content-Type", "application/xml")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body.encode())

        def do_HEAD(self) -> None:
            self.send_response(status)
            self.end_headers()

    server = HttpServer(Handler)
    with serving(server):
        yield f"http://127.0.0.1:{server.server_port}"


def _failure(make_lake, endpoint: str) -> LakeError:
    lake = make_lake("events", root="s3://bucket/lake", s3=_ENDPOINT.format(endpoint))
    with lake.connect() as session, pytest.raises(LakeError) as caught:
        session.rows("FROM events")
    assert "a-secret-of-this-test" not in str(caught.value)
    return caught.value


def _remedy(error: LakeError) -> str:
    return str(error).partition("remedy: ")[2]


@pytest.mark.parametrize(
    ("status", "code", "kind", "remedy"),
    [
        (403, "AccessDenied", Refused, "may read and list there"),
        (403, "RequestTimeTooSkewed", Refused, "clock"),
        (400, "ExpiredToken", Refused, "aws sso login"),
        (400, "InvalidToken", Refused, "AWS_SESSION_TOKEN"),
        (403, "InvalidAccessKeyId", Refused, "AWS_ACCESS_KEY_ID"),
        (403, "SignatureDoesNotMatch", Refused, "AWS_SECRET_ACCESS_KEY"),
        (400, "AuthorizationHeaderMalformed", Refused, "[s3] region"),
        (301, "PermanentRedirect", PermanentError, "[s3] region"),
        (404, "NoSuchBucket", Missing, "[lake] root"),
    ],
)
def test_refusals_of_s3(make_lake, status: int, code: str, kind: type, remedy: str) -> None:
    with _refusing(status, code) as endpoint:
        error = _failure(make_lake, endpoint)
    assert type(error) is kind, error
    assert remedy in _remedy(error), error


@pytest.mark.parametrize(("status", "code"), [(503, "SlowDown"), (429, "TooManyRequests")])
def test_throttling(make_lake, status: int, code: str) -> None:
    with _refusing(status, code) as endpoint:
        error = _failure(make_lake, endpoint)
    assert type(error) is TransientError, error
    assert "try again later" in _remedy(error)


def test_a_host_without_an_address(make_lake) -> None:
    error = _failure(make_lake, "http://no-such-host.invalid:9000")
    assert type(error) is TransientError, error
    assert "DNS" in _remedy(error), error


def test_a_port_where_nothing_listens(make_lake) -> None:
    with socket.create_server(("127.0.0.1", 0)) as held:
        port = held.getsockname()[1]
    error = _failure(make_lake, f"http://127.0.0.1:{port}")
    assert type(error) is TransientError, error
    assert "the server is up" in _remedy(error), error


def test_tls_on_a_port_of_plain_http(make_lake) -> None:
    with _refusing(400, "BadRequest") as endpoint:
        error = _failure(make_lake, endpoint.replace("http:", "https:"))
    assert type(error) is PermanentError, error
    assert "http://" in _remedy(error), error


def test_words_that_sql_reserves(make_lake, table) -> None:
    lake = make_lake("order")
    lake.put("order", "2026-07-01", table(n=[1]))
    with lake.connect() as session:
        with pytest.raises(UsageError) as caught:
            session.rows("FROM order")
        assert _remedy(caught.value) == 'if order is a name, quote it: "order"'
        assert session.rows('SELECT n FROM "order"') == [{"n": 1}]


def test_arithmetic_on_a_column_that_became_text() -> None:
    with pytest.raises(UsageError, match="TRY_CAST"), explained("the lake"):
        duckdb.connect().sql("SELECT sum(t) FROM (SELECT 'a' AS t)")


def test_a_failed_computation_is_no_failed_read() -> None:
    with pytest.raises(PermanentError) as caught, explained("the lake"):
        duckdb.connect().sql("SELECT 9223372036854775807 + i FROM range(2) t(i)").fetchall()
    assert "Out of Range" in str(caught.value)
    assert "lake verify" not in str(caught.value)


def test_an_interruption_in_place_of_the_error() -> None:
    with pytest.raises(PermanentError, match="run the query again"), explained("the lake"):
        raise duckdb.InterruptException("INTERRUPT Error: Interrupted!")


def test_a_format_that_the_command_does_not_have(make_lake, run) -> None:
    lake = make_lake("events")
    status, out, err = run("query", "--feather=x", "FROM events", "--config", lake.config)
    assert (status, out) == (2, "")
    assert "no such option: --feather\n" in err
    assert "`lake query --help` lists" in err


_SERVICES = (
    "[profile lake]\nregion = {region}\nservices = own\n"
    "[services own]\ns3 =\n  endpoint_url = {url}\n"
)
_PLAIN = "[profile lake]\nregion = {region}\nendpoint_url = {url}\n"


@pytest.mark.parametrize("text", [_PLAIN, _SERVICES], ids=["endpoint_url", "services"])
def test_the_endpoint_of_the_aws_configuration_file(
    make_lake, table, s3, run, monkeypatch, tmp_path, text: str
) -> None:
    """`lake query` and `lake catalog` use the server that the store uses."""
    file = tmp_path / "aws-config"
    file.write_text(text.format(region=s3["region"], url=s3["endpoint_url"]))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(file))
    monkeypatch.setenv("AWS_PROFILE", "lake")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", s3["access_key"])
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", s3["secret_key"])
    lake = make_lake("events", root=f"s3://{s3['bucket']}/lake")
    lake.put("events", "2026-07-01", table(n=[1]))  # by the store
    status, out, err = run("query", "SELECT n FROM events", "--csv", "--config", lake.config)
    assert (status, out, err) == (0, "n\n1\n", "")
    status, out, err = run("catalog", tmp_path / "lake.duckdb", "--config", lake.config)
    assert (status, err) == (0, "")
    assert s3["endpoint_url"].removeprefix("http://") in out
    assert "USE_SSL false" in out


def test_the_endpoint_of_settings_goes_first(tmp_path) -> None:
    file = tmp_path / "aws-config"
    file.write_text("[default]\nendpoint_url = http://127.0.0.1:1\n")
    own = S3Section(endpoint_url="http://127.0.0.1:2")
    assert with_endpoint(own, {"AWS_CONFIG_FILE": str(file)}) == own
    ignored = {"AWS_CONFIG_FILE": str(file), "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "true"}
    assert with_endpoint(S3Section(), ignored).endpoint_url is None


def test_an_unknown_profile(make_lake, run, monkeypatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_PROFILE", "no-such-profile")
    lake = make_lake("events")
    text = lake.config.read_text().replace('root = "lake"', 'root = "s3://bucket/lake"')
    lake.config.write_text(text)
    for arguments in (("query", "FROM events"), ("describe",), ("verify",)):
        status, out, err = run(*arguments, "--config", lake.config)
        assert (status, out) == (1, ""), arguments
        assert "no-such-profile" in err, arguments
        assert "AWS_PROFILE" in err, arguments
    with pytest.raises(Refused, match="AWS_PROFILE"):
        connect(str(lake.config))


@pytest.mark.parametrize(
    ("statement", "remedied", "expected"),
    [
        ("SELECT sum(n)", "SELECT sum(TRY_CAST(n AS DOUBLE))", 3),
        ("SELECT count(*) FILTER (n > 1)", "SELECT count(*) FILTER (TRY_CAST(n AS DOUBLE) > 1)", 1),
        ("SELECT count(*) FILTER (n = 2)", "SELECT count(*) FILTER (TRY_CAST(n AS DOUBLE) = 2)", 1),
        ("SELECT count(*) FILTER (n IN (1, 2))", "SELECT count(TRY_CAST(n AS DOUBLE))", 2),
        ("SELECT count(*) FILTER (n BETWEEN 1 AND 2)", "SELECT count(TRY_CAST(n AS DOUBLE))", 2),
        ("SELECT sum(coalesce(n, 0))", "SELECT sum(coalesce(TRY_CAST(n AS DOUBLE), 0))", 3),
        ("SELECT max(s.k)", "SELECT max(TRY_CAST(s AS JSON) ->> '$.k')", "7"),
        ("SELECT max(s['k'])", "SELECT max(TRY_CAST(s AS JSON) ->> '$.k')", "7"),
        ("SELECT max(s ->> 'k')", "SELECT max(TRY_CAST(s AS JSON) ->> '$.k')", "7"),
        ("SELECT unnest(l)", "SELECT unnest(TRY_CAST(TRY_CAST(l AS JSON) AS JSON[]))", '"a"'),
        (
            "SELECT e.x FROM events, unnest(l) AS e(x)",
            "SELECT unnest(TRY_CAST(TRY_CAST(l AS JSON) AS JSON[]))",
            '"a"',
        ),
    ],
)
def test_the_remedy_for_a_column_of_several_types_works(
    make_lake, table, statement, remedied, expected
) -> None:
    lake = make_lake("events")
    lake.put("events", "2026-07-01", table(n=[1, 2], s=[{"k": 7}] * 2, l=[["a"], ["b"]]))
    lake.put("events", "2026-07-02", table(n=["x", "y"], s=["x", "y"], l=["x", "y"]))
    with lake.connect() as session:
        with pytest.raises(LakeError) as raised:
            session.rows(statement if "FROM" in statement else f"{statement} FROM events")
        kind = "AS JSON" if "JSON" in remedied else "AS DOUBLE"
        assert kind in str(raised.value.parts.get("remedy"))
        assert session.rows(f"{remedied} AS n FROM events ORDER BY 1")[0] == {"n": expected}
