"""Connections that are passed on to a server, for proxies of the tests.

Belongs here: accepting, both directions, the end. Does not: what happens to the bytes.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

Pump = Callable[[socket.socket, socket.socket, bool], None]
"""Passes bytes from one socket to another; whether they are replies. An OSError is the end."""


@contextmanager
def relaying(server: Callable[[], tuple[str, int]], pump: Pump) -> Iterator[int]:
    """A port of the loopback; `server` is called for each connection."""
    opened: list[socket.socket] = []

    def pass_on(source: socket.socket, target: socket.socket, replies: bool) -> None:
        with suppress(OSError):
            pump(source, target, replies)

    def accept(listening: socket.socket) -> None:
        with suppress(OSError):
            while True:
                client, _ = listening.accept()
                far = socket.create_connection(server())
                opened.extend((client, far))
                for ends in ((client, far, False), (far, client, True)):
                    threading.Thread(target=pass_on, args=ends, daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as listening:
        threading.Thread(target=accept, args=(listening,), daemon=True).start()
        yield listening.getsockname()[1]
    for connection in opened:
        with suppress(OSError):
            connection.close()
