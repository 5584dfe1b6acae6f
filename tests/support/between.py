"""A proxy before a real Prometheus that can do to remote reads what the server never would."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler

import requests

from support.serving import HttpServer

READ = "/api/v1/read"


@dataclass(frozen=True)
class Said:
    """An answer. `cut`: the connection ends after the body, before its promised length."""

    status: int
    body: bytes
    headers: dict[str, str] = field(default_factory=dict)
    cut: bool = False


class Proxy:
    """Passes everything on; `change` gets each remote read's real answer and may give another."""

    def __init__(self, upstream: str) -> None:
        self.change: Callable[[Said], Said] = lambda said: said
        self.config: str | None = None
        self.reads = 0
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            wbufsize = -1  # header and body in one packet

            def do_GET(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                headers = {k: v for k, v in self.headers.items() if k.lower() != "host"}
                answer = requests.request(
                    self.command, upstream + self.path, data=body, headers=headers, timeout=60
                )
                said = Said(
                    answer.status_code,
                    answer.content,
                    {"Content-Type": answer.headers.get("Content-Type", "")},
                )
                if self.path == READ:
                    proxy.reads += 1
                    said = proxy.change(said)
                if self.path == "/api/v1/status/config" and proxy.config is not None:
                    said = Said(404, b"404 page not found")
                self.send_response(said.status)
                for name, value in said.headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(said.body) + said.cut))
                self.end_headers()
                self.wfile.write(said.body)
                self.close_connection = said.cut

            do_POST = do_GET  # noqa: N815

        self._server = HttpServer(Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.02,), daemon=True
        )
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
