"""A certificate authority and a server's certificate, made for one test run by openssl; TLS in
front of a server that speaks plain HTTP.
"""

from __future__ import annotations

import os
import shutil
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest


@dataclass(frozen=True)
class Certificates:
    """PEM files: the authority's, and the server's with its key. For 127.0.0.1 alone."""

    ca: Path
    server: Path


def certificates(folder: Path) -> Certificates:
    if shutil.which("openssl") is None:
        (pytest.fail if os.environ.get("CI") else pytest.skip)("no openssl here")
    extensions = folder / "extensions"
    extensions.write_text("subjectAltName=IP:127.0.0.1\nbasicConstraints=CA:FALSE\n")
    _openssl(
        folder,
        "req -x509 -newkey rsa:2048 -nodes -keyout ca.key -out ca.pem -days 2 -subj /CN=test-ca "
        "-addext keyUsage=critical,keyCertSign",
    )
    _openssl(
        folder, "req -newkey rsa:2048 -nodes -keyout server.key -out server.csr -subj /CN=test"
    )
    _openssl(
        folder,
        "x509 -req -in server.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 "
        "-extfile extensions -out server.crt",
    )
    server = folder / "server.pem"
    server.write_text((folder / "server.crt").read_text() + (folder / "server.key").read_text())
    return Certificates(folder / "ca.pem", server)


def _openssl(folder: Path, arguments: str) -> None:
    subprocess.run(["openssl", *arguments.split()], cwd=folder, check=True, capture_output=True)


@contextmanager
def tls_in_front_of(server: tuple[str, int], certificate: Path) -> Iterator[int]:
    """The port of a proxy that takes TLS and passes what it unpacks to the server."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=_accept, args=(listener, server, context), daemon=True).start()
        try:
            yield listener.getsockname()[1]
        finally:
            listener.shutdown(socket.SHUT_RDWR)


def _accept(listener: socket.socket, server: tuple[str, int], context: ssl.SSLContext) -> None:
    with suppress(OSError):  # closed at the end
        while True:
            client, _ = listener.accept()
            threading.Thread(target=_serve, args=(client, server, context), daemon=True).start()


def _serve(client: socket.socket, server: tuple[str, int], context: ssl.SSLContext) -> None:
    with suppress(OSError), client:  # a client that does not trust the certificate hangs up
        near = context.wrap_socket(client, server_side=True)
        with near, socket.create_connection(server) as far:
            threading.Thread(target=_pass, args=(far, near), daemon=True).start()
            _pass(near, far)


def _pass(source: socket.socket, other: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(65_536):
            other.sendall(data)
        other.shutdown(socket.SHUT_WR)
