"""The reason of a failed connection or file operation, from real failures."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from threading import Thread

import pymongo
import pytest
import requests
from pymongo.errors import ServerSelectionTimeoutError

from lake.base.causes import cause, plain


@pytest.fixture
def answering() -> Iterator[Callable[[bytes], str]]:
    """Starts a server that reads a request, sends these bytes and closes; its URL."""
    with ExitStack() as running:

        def start(sent: bytes) -> str:
            listening = running.enter_context(socket.create_server(("127.0.0.1", 0)))

            def serve() -> None:
                connection, _ = listening.accept()
                with connection:
                    connection.recv(65_536)
                    connection.sendall(sent)

            Thread(target=serve, daemon=True).start()
            return f"http://127.0.0.1:{listening.getsockname()[1]}"

        yield start


def _unused_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as held:
        return int(held.getsockname()[1])


def test_a_refused_connection_is_named_without_the_librarys_wrapping():
    with pytest.raises(requests.ConnectionError) as caught:
        requests.get(f"http://127.0.0.1:{_unused_port()}", timeout=5)
    assert cause(caught.value) == "connection refused"


def test_a_host_without_an_address():
    with pytest.raises(requests.ConnectionError) as caught:
        requests.get("http://no-such-host.invalid", timeout=5)
    assert cause(caught.value) == "the host name can't be resolved"


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        (b"", "the connection was closed without a response"),
        (
            b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc",
            "the response ended after 3 bytes; 7 more were expected",
        ),
    ],
)
def test_a_server_that_closes_the_connection(sent, expected, answering):
    with pytest.raises(requests.RequestException) as caught:
        requests.get(answering(sent), timeout=5)
    assert cause(caught.value) == expected


def test_a_server_that_does_not_respond_in_time():
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        with pytest.raises(requests.Timeout) as caught:
            requests.get(url, timeout=0.1)
    assert cause(caught.value) == "no response in time"


def test_tls_to_a_plain_server(answering):
    url = answering(b"HTTP/1.1 400 Bad Request\r\n\r\n").replace("http:", "https:")
    with pytest.raises(requests.RequestException) as caught:
        requests.get(url, timeout=5)
    assert cause(caught.value).startswith("TLS: ")
    assert "_ssl.c" not in cause(caught.value)


def test_a_file_error(tmp_path: Path):
    with pytest.raises(OSError, match="No such file") as caught:
        (tmp_path / "nothing").read_text()
    assert cause(caught.value) == "no such file or directory"


def test_an_unknown_text_keeps_the_name_of_its_exception():
    assert cause(KeyError("x")) == "KeyError: 'x'"
    assert cause(ValueError()) == "ValueError"


def test_several_servers_of_mongodb_keep_their_addresses():
    ports = [_unused_port(), _unused_port()]
    hosts = ",".join(f"127.0.0.1:{port}" for port in ports)
    client = pymongo.MongoClient(f"mongodb://{hosts}", serverSelectionTimeoutMS=300)
    with client, pytest.raises(ServerSelectionTimeoutError) as caught:
        client.admin.command("ping")
    reasons = plain(str(caught.value).partition(", Timeout:")[0])
    assert sorted(reasons.split(",")) == sorted(
        f"127.0.0.1:{port}: connection refused" for port in ports
    )
