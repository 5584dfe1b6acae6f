"""A proxy in front of MongoDB that swaps bytes in replies: what the stand-in refuses to store."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from support.relaying import relaying


@contextmanager
def rewriting(
    uri: str,
    swaps: Mapping[bytes, bytes],
    *,
    request_swaps: Mapping[bytes, bytes] | None = None,
    swallowed: bytes | None = None,
    hangs: threading.Event | None = None,
) -> Iterator[str]:
    """A URI; both sides of a swap are of the same length. `request_swaps`: in requests.

    A request that contains `swallowed` gets no reply, nor does any after it: `hangs` is set.
    """
    hangs = hangs or threading.Event()
    host, port = uri.removeprefix("mongodb://").split("/")[0].split(":")

    def whole(source: socket.socket, size: int) -> bytes:
        data = b""
        while len(data) < size:
            piece = source.recv(size - len(data))
            if not piece:
                raise OSError("closed")
            data += piece
        return data

    def pump(source: socket.socket, target: socket.socket, replies: bool) -> None:
        while True:
            head = whole(source, 4)
            message = head + whole(source, int.from_bytes(head, "little") - 4)
            for old, new in (swaps if replies else request_swaps or {}).items():
                message = message.replace(old, new)
            if swallowed and not replies and swallowed in message:
                hangs.set()
            if not hangs.is_set():
                target.sendall(message)

    assert all(len(old) == len(new) for old, new in swaps.items())
    with relaying(lambda: (host, int(port)), pump) as own:
        yield f"mongodb://127.0.0.1:{own}"
