"""Requests to Dagster's web server, and when a daemon is up by what it returns."""

from __future__ import annotations

import json
import socket
import struct
import threading
from collections.abc import Iterator
from typing import Any, BinaryIO

import pytest

from lake.servers.dagster_api import DagsterApi


def statuses(**times: float | None) -> dict[str, Any]:
    """One that is not required never gives a sign."""
    parts: list[dict[str, Any]] = [
        {"daemonType": name, "required": True, "healthy": at is not None, "lastHeartbeatTime": at}
        for name, at in times.items()
    ]
    other = {"daemonType": "X", "required": False, "healthy": None, "lastHeartbeatTime": None}
    return {"instance": {"daemonHealth": {"allDaemonStatuses": [*parts, other]}}}


@pytest.mark.parametrize("step_s", [0, -5, -3600], ids=["steady", "by seconds", "by an hour"])
@pytest.mark.parametrize("earlier", [None, 1000.0], ids=["new", "its history is kept"])
def test_a_sign_of_life_is_new_also_by_a_clock_that_was_set_back(
    monkeypatch: pytest.MonkeyPatch, step_s: float, earlier: float | None
) -> None:
    api = DagsterApi("http://127.0.0.1:1")
    answers = [
        statuses(A=earlier, B=earlier),
        statuses(A=earlier, B=earlier),
        statuses(A=1020 + step_s, B=earlier),
        statuses(A=1020 + step_s, B=1021 + step_s),
    ]
    monkeypatch.setattr(api, "_ask", lambda _: answers.pop(0))
    before = api.heartbeats()
    assert [api.daemon_is_healthy(before) for _ in range(3)] == [False, False, True]


@pytest.fixture
def closing() -> Iterator[str]:
    """The URL of a server that resets a connection at its second request, as one does that closes
    idle connections just then.
    """
    body = json.dumps({"data": statuses(A=1.0)}).encode()
    head = f"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n"
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            while True:
                try:
                    client, _ = server.accept()
                except OSError:
                    return  # the server is closed
                with client, client.makefile("rb") as sent:
                    kept = "close" not in read_headers(sent).get("connection", "")
                    connection = "keep-alive" if kept else "close"
                    client.sendall(f"{head}connection: {connection}\r\n\r\n".encode() + body)
                    if kept and read_headers(sent):
                        reset = struct.pack("ii", 1, 0)  # linger, for 0 s
                        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, reset)

        thread = threading.Thread(target=serve)
        thread.start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}"
        server.shutdown(socket.SHUT_RDWR)
    thread.join()


def read_headers(sent: BinaryIO) -> dict[str, str]:
    """A request's, read to its end; none where the connection ended."""
    if not sent.readline():
        return {}
    headers = {}
    for line in iter(sent.readline, b"\r\n"):
        name, _, value = line.decode().partition(":")
        headers[name.lower()] = value.strip()
    sent.read(int(headers["content-length"]))
    return headers


def test_no_request_is_lost_on_a_connection_that_the_server_just_closed(closing: str) -> None:
    api = DagsterApi(closing)
    assert [api.heartbeats() for _ in range(3)] == [{"A": 1.0, "X": None}] * 3
