"""An HTTP proxy, such as HTTP_PROXY names, that wants a user's name and password."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler

import requests

from support.serving import HttpServer, serving

USER, PASSWORD = "a user", "p@ss/word"  # both need to be percent-encoded


class ForwardProxy:
    """`passed`: the addresses of the requests that it forwarded."""

    def __init__(self) -> None:
        self.passed: list[str] = []
        proxy = self
        sign = "Basic " + base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def _forward(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                if self.headers.get("Proxy-Authorization") != sign:
                    self.send_response(407)
                    self.send_header("Proxy-Authenticate", 'Basic realm="proxy"')
                    self.send_header("Content-Length", "0")
                    self.end_headers()
                    return
                proxy.passed.append(self.path)
                kept = {k: v for k, v in self.headers.items() if not k.startswith("Proxy-")}
                with requests.Session() as session:
                    session.trust_env = False  # else it would be its own proxy
                    answer = session.request(self.command, self.path, data=body, headers=kept)
                self.send_response(answer.status_code)
                for name, value in answer.headers.items():
                    if name.lower() not in ("connection", "date", "server", "transfer-encoding"):
                        self.send_header(name, value)
                self.end_headers()
                self.wfile.write(answer.content)

            do_GET = do_HEAD = do_PUT = _forward  # noqa: N815

        self._server = HttpServer(Handler)
        self.address = f"127.0.0.1:{self._server.server_port}"

    @contextmanager
    def running(self) -> Iterator[ForwardProxy]:
        with serving(self._server):
            yield self
