"""A proxy before a real server that does what it is told to some of the requests."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from urllib.parse import unquote_plus

import requests

from support.serving import HttpServer, serving

Fault = int | str | None
"""A status instead of the answer; "cut": half of it; "slow": after the client's time-out."""
_SLOW_S = 2.5


class FaultyProxy:
    """`fault` says of each path, and how many requests came before, what becomes of it."""

    def __init__(self, target: str, fault: Callable[[str, int], Fault]) -> None:
        self.fault = fault
        self.done: list[tuple[str, Fault]] = []
        self.without_headers: set[str] = set()
        self.edit: Callable[[str, bytes], bytes] = lambda url, answer: answer
        """Path with its parameters, answer → the answer that is sent."""
        self.before: Callable[[str], None] = lambda path: None
        self._lock = threading.Lock()
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                path = self.path.partition("?")[0]
                with proxy._lock:
                    fault = proxy.fault(path, len(proxy.done))
                    proxy.done.append((path, fault))
                if isinstance(fault, int):
                    self._answer(fault, b"told to fail", {"Retry-After": "0"})
                    return
                if fault == "slow":
                    time.sleep(_SLOW_S)
                headers = {
                    name: value
                    for name, value in self.headers.items()
                    if name not in {"Host", "Content-Length", "Connection", *proxy.without_headers}
                }
                response = requests.request(
                    self.command, target + self.path, data=body, headers=headers, timeout=60
                )
                proxy.before(path)
                requested = unquote_plus(f"{self.path} {body.decode()}")
                self._answer(
                    response.status_code,
                    proxy.edit(requested, response.content),
                    {},
                    cut=fault == "cut",
                )

            do_POST = do_GET  # noqa: N815

            def _answer(
                self, status: int, body: bytes, headers: dict[str, str], *, cut: bool = False
            ) -> None:
                try:
                    self.send_response(status)
                    self.send_header("Content-Length", str(len(body)))
                    for name, value in headers.items():
                        self.send_header(name, value)
                    self.end_headers()
                    self.wfile.write(body[: len(body) // 2] if cut else body)
                except (BrokenPipeError, ConnectionResetError):
                    return  # who asked has hung up: that was the time-out
                self.close_connection = cut

        self._server = HttpServer(Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    @contextmanager
    def running(self) -> Iterator[FaultyProxy]:
        with serving(self._server):
            yield self
