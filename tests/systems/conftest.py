"""A small HTTP server for what a real one can't be made to show: it answers as scripted."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from support.serving import HttpServer
from support.tls import Certificates, certificates


@dataclass(frozen=True)
class Request:
    method: str
    path: str
    params: dict[str, str]
    headers: dict[str, str]


@dataclass(frozen=True)
class Reply:
    """`promised` is the Content-Length where it differs from the body's; None: no such header."""

    body: bytes = b"{}"
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    promised: int | None = -1


class ScriptedServer:
    """`answer` says what each request gets; `requests` keeps them."""

    def __init__(self, certificate: Path | None = None) -> None:
        self.requests: list[Request] = []
        self.answer: Callable[[Request], Reply] = lambda _: Reply()
        script = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                parts = urlsplit(self.path)
                size = int(self.headers.get("Content-Length", 0))
                form = parse_qs(self.rfile.read(size).decode(), keep_blank_values=True)
                params = {**parse_qs(parts.query, keep_blank_values=True), **form}
                request = Request(
                    self.command,
                    parts.path,
                    {name: values[0] for name, values in params.items()},
                    dict(self.headers),
                )
                script.requests.append(request)
                self.tell(script.answer(request))

            do_POST = do_GET  # noqa: N815

            def tell(self, reply: Reply) -> None:
                self.send_response(reply.status)
                if reply.promised is not None:
                    size = len(reply.body) if reply.promised < 0 else reply.promised
                    self.send_header("Content-Length", str(size))
                for name, value in reply.headers.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(reply.body)
                self.close_connection = reply.promised != -1

        self._server = HttpServer(Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        if certificate is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
            self.url = self.url.replace("http:", "https:")
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.02,), daemon=True
        )
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@pytest.fixture
def scripted() -> Iterator[ScriptedServer]:
    server = ScriptedServer()
    yield server
    server.close()


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return certificates(tmp_path_factory.mktemp("tls"))


@pytest.fixture
def scripted_tls(authority: Certificates) -> Iterator[ScriptedServer]:
    server = ScriptedServer(authority.server)
    yield server
    server.close()


@pytest.fixture
def reply() -> type[Reply]:
    return Reply
