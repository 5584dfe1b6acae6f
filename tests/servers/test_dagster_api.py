"""Requests to Dagster's web server, and when a daemon is up by what it returns."""

from __future__ import annotations

import json
import socket
import struct
from http.server import BaseHTTPRequestHandler
from typing import Any

import pytest
from support.serving import HttpServer, serving

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


class Closing(BaseHTTPRequestHandler):
    """Resets a connection at its second request, as a server that closes idle ones just then."""

    protocol_version = "HTTP/1.1"
    answered = False

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        if self.answered:
            reset = struct.pack("ii", 1, 0)  # linger, for 0 s
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, reset)
            self.close_connection = True
            return
        self.answered = True  # a handler is one connection's
        body = json.dumps({"data": statuses(A=1.0)}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Connection", "close" if self.close_connection else "keep-alive")
        self.end_headers()
        self.wfile.write(body)


def test_no_request_is_lost_on_a_connection_that_the_server_just_closed() -> None:
    server = HttpServer(Closing)
    with serving(server):
        api = DagsterApi(f"http://127.0.0.1:{server.server_port}")
        assert [api.heartbeats() for _ in range(3)] == [{"A": 1.0, "X": None}] * 3
