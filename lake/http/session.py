"""A session of requests whose connections another thread can end.

Belongs here: sockets. Does not: what is requested, what a failure means (http).

Time-outs of requests bound each wait for the next bytes. A server that sends one byte at a
time, or a request that is no longer wanted, needs an end from outside.
"""

from __future__ import annotations

import socket
import weakref
from collections.abc import Callable
from contextlib import suppress
from threading import Lock
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection


class Session(requests.Session):
    """For one request at a time; `end` may be called from any thread."""

    def __init__(self) -> None:
        super().__init__()
        self.ended = False
        """Whatever is read from then on may be cut short, even if it looks complete."""
        self._sockets: weakref.WeakSet[Any] = weakref.WeakSet()
        self._lock = Lock()  # a set that grows meanwhile can't be listed
        for scheme in ("http://", "https://"):
            self.mount(scheme, _Adapter(self._opened))

    def end(self) -> None:
        """Ends every connection; a read that is waiting returns at once."""
        self.ended = True
        with self._lock:
            sockets = list(self._sockets)
        for socket_ in sockets:
            _shut(socket_)

    def _opened(self, sock: Any) -> None:
        with self._lock:
            self._sockets.add(sock)
        if self.ended:
            _shut(sock)


def _shut(sock: Any) -> None:
    with suppress(OSError):  # closed already
        if isinstance(sock, socket.socket):
            # Not SSLSocket's own: that one takes the TLS state away from a thread that reads.
            socket.socket.shutdown(sock, socket.SHUT_RDWR)
        else:
            sock.close()  # TLS within TLS, through an https proxy


class _Adapter(HTTPAdapter):
    """Reports each socket that is opened."""

    def __init__(self, opened: Callable[[Any], None]) -> None:
        self._pools = _pools(opened)
        super().__init__()

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = self._pools

    def proxy_manager_for(self, *args: Any, **kwargs: Any) -> Any:
        manager: Any = super().proxy_manager_for(*args, **kwargs)
        manager.pool_classes_by_scheme = self._pools
        return manager


def _pools(opened: Callable[[Any], None]) -> dict[str, Any]:
    class Plain(HTTPConnection):
        def connect(self) -> None:
            super().connect()
            opened(self.sock)

    class Tls(HTTPSConnection):
        def connect(self) -> None:
            super().connect()
            opened(self.sock)

    class Http(HTTPConnectionPool):
        ConnectionCls = Plain

    class Https(HTTPSConnectionPool):
        ConnectionCls = Tls

    return {"http": Http, "https": Https}
