"""Several servers behind one address: each connection goes to the next one."""

from __future__ import annotations

import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import cycle
from urllib.parse import urlsplit

from support.relaying import relaying


@contextmanager
def balancing(urls: Sequence[str]) -> Iterator[str]:
    """The address of all of them."""
    targets = cycle([(str(urlsplit(url).hostname), int(urlsplit(url).port or 80)) for url in urls])
    with relaying(lambda: next(targets), _pass_on) as port:
        yield f"http://127.0.0.1:{port}"


def _pass_on(source: socket.socket, target: socket.socket, _replies: bool) -> None:
    while data := source.recv(65_536):
        target.sendall(data)
    target.shutdown(socket.SHUT_WR)
