"""A proxy before the real S3 server that fails, cuts off or swallows some of the requests."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler

import requests

from support.serving import HttpServer, serving

_ERROR = "<Error><Code>{0}</Code><Message>told to fail</Message></Error>"
_CODES = {403: "AccessDenied", 500: "InternalError", 501: "NotImplemented", 503: "SlowDown"}


class S3Proxy:
    """`fault` happens to requests whose "METHOD path?query" matches `pattern`, `times` at most.

    A status: instead of an answer. "cut": the connection ends and nothing has arrived.
    "lost": it has arrived, but the connection ends before the answer.
    `without`: a pattern of what is taken out of every answer.
    """

    def __init__(self, target: str) -> None:
        self.pattern, self.fault, self.times = "$^", 0, 0
        self.hits = 0
        self.without = rb"$^"
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def _pass(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                fault = proxy._fault(f"{self.command} {self.path}")
                if isinstance(fault, int):
                    text = _ERROR.format(_CODES[fault]).encode()
                    return self._answer(fault, {"Content-Length": str(len(text))}, text)
                if fault == "cut":
                    return self._hang_up()
                response = requests.request(
                    self.command,
                    target + self.path,
                    data=body,
                    headers=dict(self.headers),  # Host, too: it is signed
                    timeout=60,
                )
                if fault == "lost":
                    return self._hang_up()
                content = re.sub(proxy.without, b"", response.content)
                headers = dict(response.headers)
                if content != response.content:
                    headers["Content-Length"] = str(len(content))
                return self._answer(response.status_code, headers, content)

            do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = _pass  # noqa: N815

            def _hang_up(self) -> None:
                self.close_connection = True
                self.connection.close()

            def _answer(self, status: int, headers, body: bytes) -> None:
                self.send_response(status)
                for name, value in headers.items():
                    if name.lower() not in ("connection", "date", "server", "transfer-encoding"):
                        self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

        self._lock = threading.Lock()
        self._server = HttpServer(Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def _fault(self, request: str) -> int | str | None:
        with self._lock:
            if self.times and re.search(self.pattern, request):
                self.times -= 1
                self.hits += 1
                return self.fault
        return None

    @contextmanager
    def running(self) -> Iterator[S3Proxy]:
        with serving(self._server):
            yield self
