"""What a broken connection, a wrong address, a certificate or a login page becomes, and what
its remedy is; ends from outside: time-outs that hold for a whole answer, `stop`."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from lake.base.errors import (
    ConfigError,
    LakeError,
    PermanentError,
    Refused,
    Stopped,
    TransientError,
)
from lake.http.client import Http, NoSuchPath, Overloaded
from lake.systems.loki.config import LokiSource
from lake.systems.prometheus.config import PrometheusSource

SECTIONS = {"prometheus": PrometheusSource, "loki": LokiSource}


@contextmanager
def client(url: str, name: str = "prometheus", **section: object) -> Iterator[Http]:
    http = Http(SECTIONS[name](url=url, **section), name, pause=lambda _: None)
    try:
        yield http
    finally:
        http.close()


@contextmanager
def raw_server(sends: list[bytes], every_s: float = 0.0) -> Iterator[str]:
    """Sends these pieces to each connection whatever it asks; then it waits."""
    ended = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve(connection: socket.socket) -> None:
            with connection:
                connection.recv(65_536)
                for piece in sends:
                    try:
                        connection.sendall(piece)
                    except OSError:
                        return
                    if ended.wait(every_s):
                        return
                ended.wait(30)

        def accept() -> None:
            while True:
                try:
                    connection, _ = listening.accept()
                except OSError:
                    return
                threading.Thread(target=serve, args=(connection,), daemon=True).start()

        threading.Thread(target=accept, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        finally:
            ended.set()


@pytest.mark.parametrize(
    "start",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n{",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n\r\n{",  # as long as the connection is open
        b"HTTP/1.1 200 OK\r\nX-Slow: ",
    ],
)
def test_a_time_out_bounds_an_answer_that_drips(start):
    piece = b"1\r\n1\r\n" if b"chunked" in start else b"1"
    sends = [start, *[piece] * 2000]  # for 100 s
    with raw_server(sends, every_s=0.05) as url, client(url, timeout_s=0.5) as http:
        begun = time.monotonic()
        with pytest.raises(Overloaded, match=r"no complete response within 0\.5 s") as caught:
            http.get("/x", attempts=1)
        assert time.monotonic() - begun < 50
    assert "timeout_s in [sources.prometheus]" in caught.value.parts["remedy"]


@pytest.mark.parametrize(
    "sends", [[], [b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{"], [b"HTTP/1.1 200 OK\r\n\r\n{"]]
)
def test_stop_ends_a_request_that_waits(sends):
    with raw_server(sends) as url, client(url, timeout_s=60) as http:
        errors: list[BaseException] = []

        def ask() -> None:
            try:
                http.get("/x")
            except PermanentError as error:
                errors.append(error)

        threads = [threading.Thread(target=ask) for _ in range(6)]  # two wait for their turn
        for thread in threads:
            thread.start()
        time.sleep(0.3)
        begun = time.monotonic()
        http.stop()
        for thread in threads:
            thread.join(60)
        assert time.monotonic() - begun < 50  # timeout_s is 60
        assert [type(error) for error in errors] == [Stopped] * 6
        with pytest.raises(Stopped):
            http.get("/x")


def test_stop_ends_the_pause_before_the_next_attempt(scripted, reply):
    scripted.answer = lambda _: reply(status=429, headers={"Retry-After": "60"})
    http = Http(PrometheusSource(url=scripted.url), "prometheus")
    threading.Timer(0.3, http.stop).start()
    begun = time.monotonic()
    with pytest.raises(Stopped):
        http.get("/x")
    assert time.monotonic() - begun < 50  # the pause is 60 s
    http.close()


@pytest.mark.parametrize("cut", [b'{"data":[1,2', b'[{"a":1},', b' {"a":"}"'])
def test_an_answer_cut_short_with_its_framing_intact_is_repeated(scripted, reply, cut):
    answers = [reply(cut), reply(cut), reply(b'{"a": 1}\n')]
    scripted.answer = lambda _: answers.pop(0)
    with client(scripted.url) as http:
        assert http.get("/x").json() == {"a": 1}
        assert len(scripted.requests) == 3
        scripted.answer = lambda _: reply(cut)
        with pytest.raises(TransientError, match="the response was cut off"):
            http.get("/x")
    assert len(scripted.requests) == 8


def test_a_check_of_the_callers_is_part_of_an_attempt(scripted, reply):
    answers = [reply(b'{"a":{"b":1}'), reply(b'{"a":{"b":1}}')]  # its last byte looks right
    scripted.answer = lambda _: answers.pop(0)
    with client(scripted.url) as http:
        response = http.get("/x", check=lambda answer: answer.json())
    assert response.json() == {"a": {"b": 1}}
    assert len(scripted.requests) == 2


def test_a_full_disk_is_no_failed_connection(scripted, reply):
    class Full:
        def begin(self, headers: object) -> None: ...

        def feed(self, piece: bytes) -> None:
            raise OSError(28, "No space left on device")

        def end(self) -> None: ...

    with client(scripted.url) as http, pytest.raises(OSError, match="No space left"):
        http.get("/x", sink=Full())
    assert len(scripted.requests) == 1


class TestTls:
    def test_a_private_authority(self, scripted_tls, authority, monkeypatch):
        with client(scripted_tls.url) as http, pytest.raises(Refused) as caught:
            http.get("/x")
        assert "ca_file in [sources.prometheus]" in caught.value.parts["remedy"]
        assert scripted_tls.requests == []
        with client(scripted_tls.url, ca_file=str(authority.ca)) as http:
            assert http.get("/x").json() == {}
            # A variable for other programs of the machine does not replace the setting.
            monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/nowhere.pem")
            assert http.get("/x").json() == {}
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(authority.ca))
        with client(scripted_tls.url, "loki") as http:
            assert http.get("/x").json() == {}

    def test_a_name_that_the_certificate_does_not_have(self, scripted_tls, authority):
        url = scripted_tls.url.replace("127.0.0.1", "localhost")
        with client(url, ca_file=str(authority.ca)) as http, pytest.raises(Refused) as caught:
            http.get("/x")
        assert "host name of the certificate" in caught.value.parts["remedy"]

    @pytest.mark.parametrize("by", ["setting", "environment"])
    @pytest.mark.parametrize("file", ["missing", "empty", "no PEM", "folder"])
    def test_a_ca_file_that_cannot_be_used(self, scripted_tls, tmp_path, monkeypatch, by, file):
        path = tmp_path / "ca.pem"
        if file in ("empty", "no PEM"):
            path.write_text("" if file == "empty" else "hello\n")
        elif file == "folder":
            path.mkdir()
        monkeypatch.delenv("REQUESTS_CA_BUNDLE", raising=False)
        if by == "environment":
            monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(path))
        section = {"ca_file": str(path)} if by == "setting" else {}
        with client(scripted_tls.url, **section) as http, pytest.raises(LakeError) as caught:
            http.get("/x")
        assert not isinstance(caught.value, TransientError)
        assert "ca_file" in caught.value.parts["remedy"]

    def test_tls_on_a_plain_port(self, scripted):
        url = scripted.url.replace("http:", "https:")
        with client(url) as http, pytest.raises(ConfigError) as caught:
            http.get("/x")
        assert "write http:// in url of [sources.prometheus]" in caught.value.parts["remedy"]

    def test_a_plain_request_on_a_tls_port(self, scripted, reply):
        text = b"Client sent an HTTP request to an HTTPS server.\n"
        scripted.answer = lambda _: reply(text, 400)
        with client(scripted.url) as http, pytest.raises(NoSuchPath) as caught:
            http.get("/x")
        assert "write https://" in caught.value.parts["remedy"]


@pytest.mark.parametrize(
    "url", ["http://" + "a" * 64 + ".example", "http://.example", "http://a..example"]
)
def test_an_address_that_is_none_is_a_matter_of_configuration(url):
    with client(url) as http, pytest.raises(ConfigError) as caught:
        http.get("/x")
    assert "url of [sources.prometheus]" in str(caught.value)


def test_a_host_that_does_not_exist():
    with client("http://no-such-host.invalid") as http, pytest.raises(TransientError) as caught:
        http.get("/x", attempts=1)
    assert "DNS" in caught.value.parts["remedy"]


def test_a_header_that_cannot_be_sent_is_not_shown(scripted):
    """Settings refuse them; a section made without that check must not leak either."""
    for secret in ("T0k3n\n", "T0k3n\u2028"):
        section = PrometheusSource.model_construct(
            **{**PrometheusSource(url=scripted.url).model_dump(), "headers": {"X-Key": secret}}
        )
        http = Http(section, "prometheus")
        with pytest.raises(ConfigError) as caught:
            http.get("/x")
        assert "T0k3n" not in str(caught.value)
        assert caught.value.__cause__ is None
        http.close()


@pytest.mark.parametrize(
    ("location", "kind", "words", "absent"),
    [
        ("/login?next=%2Fx", Refused, ["login page", "BEARER_TOKEN"], "prefix"),
        ("https://sso.example/auth/realms/x", Refused, ["login page", "BEARER_TOKEN"], "prefix"),
        ("/oauth2/start?rd=T0k3n", Refused, ["login page"], "T0k3n"),
        ("https://127.0.0.1/api/v1/x", NoSuchPath, ["https://"], "prefix"),
        ("http://other.example/x", NoSuchPath, ["another server", "BEARER_TOKEN"], "prefix"),
        ("/graph", NoSuchPath, ["prefix"], "BEARER_TOKEN"),
        ("/author/graph", NoSuchPath, ["prefix"], "BEARER_TOKEN"),
    ],
)
def test_redirects(scripted, reply, location, kind, words, absent):
    scripted.answer = lambda _: reply(b"", 302, {"Location": location})
    with client(scripted.url) as http, pytest.raises(kind) as caught:
        http.get("/x")
    assert all(word in str(caught.value) for word in words)
    assert absent not in str(caught.value)
    assert len(scripted.requests) == 1


@pytest.mark.parametrize(
    ("status", "word"),
    [(429, "max_parallel in [sources.loki]"), (502, "up and ready"), (503, "up and ready"),
     (504, "time-out of the gateway"), (500, "log")],
)  # fmt: skip
def test_what_may_pass_says_what_helps(scripted, reply, status, word):
    scripted.answer = lambda _: reply(status=status)
    with client(scripted.url, "loki") as http, pytest.raises(Overloaded) as caught:
        http.get("/x", attempts=1)
    assert word in caught.value.parts["remedy"]


def test_a_proxy_that_is_down(monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
    monkeypatch.setenv("HTTP_PROXY", f"http://me:T0k3n@127.0.0.1:{port}")
    monkeypatch.setenv("http_proxy", f"http://me:T0k3n@127.0.0.1:{port}")
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    with client("http://prometheus.example") as http, pytest.raises(TransientError) as caught:
        http.get("/x", attempts=1)
    assert "HTTP_PROXY" in caught.value.parts["remedy"]
    assert "T0k3n" not in str(caught.value)


def test_basic_credentials_that_a_server_echoes_are_not_shown(scripted, reply):
    scripted.answer = lambda request: reply(request.headers["Authorization"].encode(), 400)
    basic = {"username": "me", "password": "T0k3n-T0k3n"}
    with client(scripted.url, **basic) as http, pytest.raises(PermanentError) as caught:
        http.get("/x")
    assert "Basic ***" in str(caught.value)


def test_stop_ends_requests_through_tls(scripted_tls, authority, reply):
    came, release, answered = threading.Event(), threading.Event(), threading.Event()

    def wait(_: object):
        came.set()
        release.wait(120)
        answered.set()
        return reply()

    def stop() -> None:
        came.wait(60)
        asking.stop()

    scripted_tls.answer = wait
    with client(scripted_tls.url, ca_file=str(authority.ca), timeout_s=100) as asking:
        threading.Thread(target=stop, daemon=True).start()
        try:
            with pytest.raises(Stopped):
                asking.get("/x")
            assert not answered.is_set()
        finally:
            release.set()
