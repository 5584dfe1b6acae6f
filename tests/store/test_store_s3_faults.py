"""What S3's refusals, a wrong address, TLS and the AWS settings become, and what helps."""

from __future__ import annotations

import os
import ssl
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import boto3
import pytest
from support.serving import HttpServer
from support.tls import Certificates, certificates

from lake.base.errors import LakeError, PermanentError, Refused, TransientError
from lake.config.settings import S3Section
from lake.store.s3 import S3Store

ROOT = "s3://bucket/x"


@dataclass
class FakeS3:
    """Answers everything with the same status, body and headers."""

    port: int = 0
    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    paths: list[str] = field(default_factory=list)

    def error(self, status: int, code: str, more: str = "") -> None:
        self.status = status
        text = f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>m</Message>{more}</Error>"
        self.body = text.encode()


def served(fake: FakeS3, certificate: Path | None = None) -> HttpServer:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            fake.paths.append(self.path)
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            self.send_response(fake.status)
            self.send_header("Content-Length", str(len(fake.body)))
            for name, value in fake.headers.items():
                self.send_header(name, value)
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(fake.body)

        do_HEAD = do_PUT = do_GET  # noqa: N815

    server = HttpServer(Handler)
    if certificate:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    fake.port = server.server_port
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    return server


@pytest.fixture(autouse=True)
def aws(monkeypatch, tmp_path) -> None:

    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIA1234567890")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret-of-the-test")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "aws-config"))
    # Retries are botocore's; they only take time here.
    monkeypatch.setattr("botocore.retries.standard.ExponentialBackoff.delay_amount", lambda *_: 0)


@pytest.fixture
def fake() -> Iterator[FakeS3]:
    made = FakeS3()
    server = served(made)
    yield made
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="module")
def authority(tmp_path_factory) -> Certificates:
    return certificates(tmp_path_factory.mktemp("tls"))


@pytest.fixture
def fake_tls(authority) -> Iterator[FakeS3]:
    made = FakeS3()
    server = served(made, authority.server)
    yield made
    server.shutdown()
    server.server_close()


CALLS = {
    "stat": lambda store: store.stat("a"),
    "list": lambda store: list(store.list("a")),
    "read": lambda store: store.read("a"),
    "write": lambda store: store.write("a", b"1"),
}


def store_at(fake: FakeS3, scheme: str = "http", **section: str) -> S3Store:
    section = S3Section(endpoint_url=f"{scheme}://127.0.0.1:{fake.port}", **section)
    return S3Store(ROOT, section, _session())


@cache
def _session() -> boto3.Session:
    """One for all: making it takes longer than a test. Its keys are those of `aws`."""
    return boto3.Session("AKIA1234567890", "secret-of-the-test")


@pytest.mark.parametrize("call", ["stat", "list"])
@pytest.mark.parametrize(
    ("status", "code", "kind", "words"),
    [
        (403, "RequestTimeTooSkewed", Refused, "clock by NTP"),
        (400, "ExpiredToken", Refused, "renew the credentials"),
        (400, "InvalidToken", Refused, "renew the credentials"),
        (403, "InvalidAccessKeyId", Refused, "AWS_ACCESS_KEY_ID"),
        (403, "SignatureDoesNotMatch", Refused, "AWS_SECRET_ACCESS_KEY"),
        (403, "AccessDenied", Refused, "read, write, list and delete"),
        (400, "AuthorizationHeaderMalformed", Refused, "region of [s3]"),
        (400, "KMS.NotFoundException", Refused, "kms_key_id"),
        (400, "InvalidBucketName", Refused, "[lake] root"),
    ],
)
def test_refusals_name_what_helps(fake, call, status, code, kind, words):
    fake.error(status, code)
    with pytest.raises(kind) as caught:
        CALLS[call](store_at(fake))
    assert code in str(caught.value)
    assert words in caught.value.parts["remedy"]


@pytest.mark.parametrize("call", ["stat", "list"])
@pytest.mark.parametrize("code", ["AuthorizationHeaderMalformed", "PermanentRedirect"])
def test_the_bucket_s_own_region_is_named(fake, call, code):
    fake.error(400, code, "<Region>ap-northeast-2</Region>")
    with pytest.raises(Refused) as caught:
        CALLS[call](store_at(fake))
    assert 'region = "ap-northeast-2"' in caught.value.parts["remedy"]


@pytest.mark.parametrize(("status", "code"), [(503, "SlowDown"), (429, "TooManyRequests")])
def test_an_overloaded_server_may_pass(fake, status, code):
    fake.error(status, code)
    with pytest.raises(TransientError) as caught:
        list(store_at(fake).list("a"))
    assert "--jobs" in caught.value.parts["remedy"]


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize(
    ("status", "body", "headers"),
    [
        (200, b"<html>Sign in</html>", {}),
        (302, b"", {"Location": "http://127.0.0.1:1/login"}),
        (400, b"Client sent an HTTP request to an HTTPS server.\n", {}),
    ],
)
def test_a_web_page_is_no_empty_lake(fake, call, status, body, headers):
    fake.status, fake.body, fake.headers = status, body, headers
    with pytest.raises(PermanentError, match="not one of S3's") as caught:
        CALLS[call](store_at(fake))
    assert "endpoint_url" in caught.value.parts["remedy"]


class TestTls:
    def test_a_private_authority(self, fake_tls, authority, monkeypatch):
        with pytest.raises(PermanentError) as caught:
            store_at(fake_tls, "https").stat("a")
        assert "ca_file in [s3]" in caught.value.parts["remedy"]
        fake_tls.error(403, "AccessDenied")
        for section in ({"ca_file": str(authority.ca)}, {}):
            if not section:
                monkeypatch.setenv("AWS_CA_BUNDLE", str(authority.ca))
            with pytest.raises(Refused, match="S3 refused"):
                store_at(fake_tls, "https", **section).stat("a")

    @pytest.mark.parametrize("text", [None, "", "no PEM"])
    def test_a_ca_file_that_cannot_be_used(self, fake_tls, tmp_path, text):
        path = tmp_path / "ca.pem"
        if text is not None:
            path.write_text(text)
        with pytest.raises(PermanentError) as caught:
            store_at(fake_tls, "https", ca_file=str(path)).stat("a")
        assert "ca_file" in caught.value.parts["remedy"]

    def test_tls_on_a_plain_port(self, fake):
        with pytest.raises(PermanentError) as caught:
            store_at(fake, "https").stat("a")
        assert "http://" in caught.value.parts["remedy"]


@pytest.mark.parametrize("by", ["file", "environment"])
def test_an_endpoint_of_the_aws_settings(fake, tmp_path, monkeypatch, by):
    """localhost has no host name for each bucket."""
    address = f"http://localhost:{fake.port}"
    if by == "environment":
        monkeypatch.setenv("AWS_ENDPOINT_URL_S3", address)
    else:
        (tmp_path / "aws-config").write_text(f"[default]\nendpoint_url = {address}\n")
    fake.error(403, "AccessDenied")
    store = S3Store(ROOT, S3Section())
    assert store.endpoint_url == address
    with pytest.raises(Refused) as caught:
        list(store.list("a"))
    assert address in caught.value.parts["where"]
    assert fake.paths[0].startswith("/bucket?")


def test_aws_has_no_endpoint_of_its_own():
    assert S3Store(ROOT, S3Section()).endpoint_url is None


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("garbage\n[[", "AWS_CONFIG_FILE"),
        ("[default]\ns3 = x\n", "AWS configuration file"),
        ("[default]\nendpoint_url = nonsense\n", "AWS configuration file"),
        ("[default]\nregion = us east\n", "region"),
    ],
)
def test_aws_settings_that_cannot_be_used(tmp_path, text, words):
    (tmp_path / "aws-config").write_text(text)
    with pytest.raises(LakeError) as caught:
        S3Store(ROOT, S3Section()).stat("a")
    assert words in caught.value.parts["remedy"]
