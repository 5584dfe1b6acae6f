"""What the HTTP client sends, when it tries again, and what each refusal becomes."""

from __future__ import annotations

import gzip
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from lake.base.errors import BadData, Refused, TransientError
from lake.base.redaction import register_secret
from lake.http.client import Http, NoSuchPath, Overloaded, Rejected, RequestTally, TooLarge
from lake.systems.prometheus.config import PrometheusSource


@pytest.fixture
def pauses():
    return []


@pytest.fixture
def client(scripted, pauses):
    opened = []

    def open_client(url=scripted.url, **section):
        http = Http(PrometheusSource(url=url, **section), "prometheus", pause=pauses.append)
        opened.append(http)
        return http

    yield open_client
    for http in opened:
        http.close()


def test_prefix_tenant_headers_and_parameters(client, scripted):
    http = client(scripted.url + "/prefix/", tenant="team-a", headers={"X-More": "1"})
    http.get("/api/v1/query", {"query": "a{b='c&d'}"}, headers={"Cache-Control": "no-store"})
    http.post("/api/v1/query", {"query": "é"})
    got, posted = scripted.requests
    assert (got.method, got.path) == ("GET", "/prefix/api/v1/query")
    assert got.params == {"query": "a{b='c&d'}"}
    assert got.headers["X-Scope-OrgID"] == "team-a"
    assert got.headers["X-More"] == "1"
    assert got.headers["Cache-Control"] == "no-store"
    assert "Authorization" not in got.headers
    assert got.headers["Accept-Encoding"] == "identity"
    assert (posted.method, posted.params) == ("POST", {"query": "é"})


@pytest.mark.parametrize(
    ("section", "userinfo", "header"),
    [
        ({"bearer_token": "tok-en"}, "", "Bearer tok-en"),
        ({"username": "me", "password": "pä:ss"}, "", "Basic bWU6cMOkOnNz"),
        ({}, "me:p%40ss@", "Basic bWU6cEBzcw=="),
        ({}, "", None),
    ],
)
def test_authentication(client, scripted, tmp_path, monkeypatch, section, userinfo, header):
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login other password other\n")
    monkeypatch.setenv("NETRC", str(netrc))
    http = client(scripted.url.replace("://", f"://{userinfo}"), **section)
    assert "@" not in http.url("/x")
    http.get("/x")
    assert scripted.requests[0].headers.get("Authorization") == header


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_tries_again_until_it_works(client, scripted, reply, pauses, status, caplog):
    answers = [reply(status=status)] * 3 + [reply(b'{"a":1}')]
    scripted.answer = lambda _: answers.pop(0)
    tally = RequestTally()
    assert client().get("/x", tally=tally).json() == {"a": 1}
    assert (tally.requests, tally.retries) == (4, 3)
    assert all(0.5 * 2**n / 2 <= pause <= 0.5 * 2**n for n, pause in enumerate(pauses))
    assert len(caplog.records) == 3


def test_gives_up_in_the_end(client, scripted, reply, pauses):
    scripted.answer = lambda _: reply(b"busy", 503)
    with pytest.raises(Overloaded) as caught:
        client().get("/x")
    assert len(scripted.requests) == 5
    assert (caught.value.status, caught.value.text) == (503, "busy")
    assert sum(pauses) < 60


def test_asks_once_more_only_where_less_may_help(client, scripted, reply):
    scripted.answer = lambda _: reply(status=503)
    with pytest.raises(Overloaded):
        client().get("/x", attempts_if_slow=2)
    assert len(scripted.requests) == 2
    scripted.answer = lambda _: reply(status=429)
    with pytest.raises(Overloaded):
        client().get("/x", attempts_if_slow=2)
    assert len(scripted.requests) == 2 + 5


@pytest.mark.parametrize(("asked_for", "least"), [("7", 7), ("100000", 60), ("soon", 0)])
def test_waits_as_long_as_the_server_wants_within_bounds(
    client, scripted, reply, pauses, asked_for, least
):
    answers = [reply(status=429, headers={"Retry-After": asked_for}), reply()]
    scripted.answer = lambda _: answers.pop(0)
    client().get("/x")
    assert least <= pauses[0] <= max(least, 0.5)


@pytest.mark.parametrize("promised", [100, None])
def test_broken_off_body_is_never_an_answer(client, scripted, reply, promised):
    scripted.answer = lambda _: reply(b'{"data":[1,2', promised=promised)
    with pytest.raises(TransientError):
        client().get("/x").json()


def test_broken_off_chunked_and_compressed_bodies(client, scripted, reply):
    chunked = reply(b"5\r\n[1,2,\r\n", headers={"Transfer-Encoding": "chunked"}, promised=None)
    scripted.answer = lambda _: chunked
    with pytest.raises(TransientError):
        client().get("/x")
    half = gzip.compress(b"[" + b"1," * 5000 + b"1]")[:-20]
    scripted.answer = lambda _: reply(half, headers={"Content-Encoding": "gzip"})
    with pytest.raises(TransientError):
        client().get("/x").json()


def test_no_json_at_all(client, scripted, reply):
    scripted.answer = lambda _: reply(b"<html>Sign in</html>")
    with pytest.raises(BadData, match=r"(?s)not JSON.*Sign in.*login page"):
        client().get("/x").json()


@pytest.mark.parametrize(
    ("status", "kind", "words"),
    [
        (401, Refused, ["LAKE_SOURCES__PROMETHEUS__BEARER_TOKEN"]),
        (403, Refused, ["this machine", "LAKE_SOURCES__PROMETHEUS__PASSWORD", "tenant"]),
        (404, NoSuchPath, ["prefix", "[sources.prometheus]"]),
        (302, NoSuchPath, ["/graph", "prefix"]),
        (400, Rejected, ["HTTP 400 why"]),
        (422, Rejected, ["HTTP 422 why"]),
    ],
)
def test_refusals_are_not_repeated_and_say_what_to_do(client, scripted, reply, status, kind, words):
    headers = {"Location": "/graph"} if status == 302 else {}
    scripted.answer = lambda _: reply(b"why", status, headers)
    with pytest.raises(kind) as caught:
        client().get("/x", {"query": "up"})
    assert len(scripted.requests) == 1
    for word in [*words, scripted.url]:
        assert word in str(caught.value)
    if kind is Rejected:
        assert (caught.value.status, caught.value.text) == (status, "why")


def test_secrets_and_long_bodies_stay_out_of_messages(client, scripted, reply):
    register_secret("hush-hush")
    scripted.answer = lambda _: reply(b"hush-hush " + b"x" * 5000, 400)
    with pytest.raises(Rejected) as caught:
        client().get("/x")
    assert "hush" not in str(caught.value)
    assert len(str(caught.value)) < 800


def test_a_body_over_the_bound_is_not_taken(client, scripted, reply):
    scripted.answer = lambda _: reply(b"x" * 1000)
    assert len(client().get("/x", max_bytes=1000).content) == 1000
    with pytest.raises(TooLarge):
        client().get("/x", max_bytes=999)
    assert len(scripted.requests) == 2


def test_time_out_before_and_within_the_body(client, scripted, reply):
    with socket.create_server(("127.0.0.1", 0)) as silent, pytest.raises(Overloaded) as caught:
        client(f"http://127.0.0.1:{silent.getsockname()[1]}", timeout_s=0.05).get("/x", attempts=2)
    assert caught.value.status is None
    assert "timeout_s" in str(caught.value)
    with socket.create_server(("127.0.0.1", 0)) as slow:

        def half_an_answer() -> None:
            connection, _ = slow.accept()
            connection.recv(65_536)
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n123")
            time.sleep(0.5)
            connection.close()

        thread = threading.Thread(target=half_an_answer)
        thread.start()
        url = f"http://127.0.0.1:{slow.getsockname()[1]}"
        with pytest.raises(Overloaded):
            client(url, timeout_s=0.1).get("/x", attempts=1)
        thread.join()


def test_never_more_requests_at_a_time_than_allowed(client, scripted, reply):
    inside, most, lock = [0], [0], threading.Lock()

    def slowly(_):
        with lock:
            inside[0] += 1
            most[0] = max(most[0], inside[0])
        time.sleep(0.02)
        with lock:
            inside[0] -= 1
        return reply()

    scripted.answer = slowly
    http = client(max_parallel=3)
    with ThreadPoolExecutor(12) as pool:
        list(pool.map(lambda _: http.get("/x"), range(24)))
    assert most[0] == 3
