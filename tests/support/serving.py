"""An HTTP server of a test that answers while a block runs.

Belongs here: its port, its thread, its silence. Does not: what it answers.
"""

from __future__ import annotations

import ssl
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import BaseServer
from threading import Thread
from typing import Any


class HttpServer(ThreadingHTTPServer):
    """Listens on a free port of the loopback; prints no line for each request."""

    def __init__(self, handler: type[BaseHTTPRequestHandler]) -> None:
        super().__init__(("127.0.0.1", 0), type(handler.__name__, (_Silent, handler), {}))

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that goes away in the middle may be what the test is about."""
        if not isinstance(sys.exception(), ConnectionError | ssl.SSLError):
            super().handle_error(request, client_address)


class _Silent:
    def log_message(self, *_: Any) -> None:
        """Nothing."""


@contextmanager
def serving(server: BaseServer) -> Iterator[None]:
    """Ends it, and closes its socket, whatever happens in the block."""
    thread = Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
