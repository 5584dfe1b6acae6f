"""Receivers of alerts on the loopback: HTTP (a webhook, a heartbeat) and SMTP.

Belongs here: what arrives, answers that a test sets. Does not: claims.
"""

from __future__ import annotations

import email
import json
import ssl
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.message import Message
from email.policy import default
from http.server import BaseHTTPRequestHandler
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, LoginPassword

from lake.servers.ports import free_ports
from support.serving import HttpServer, serving


@dataclass
class Receiver:
    """`requests` are (method, path, JSON or None); `status` and `answer` are what it replies."""

    url: str
    requests: list[tuple[str, str, Any]] = field(default_factory=list)
    status: int = 200
    answer: str = "ok"

    @property
    def texts(self) -> list[str]:
        """Of the webhook's messages."""
        return [body["text"] for method, _, body in self.requests if method == "POST"]


@contextmanager
def http_receiver() -> Iterator[Receiver]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            size = int(self.headers["Content-Length"])
            self.reply(json.loads(self.rfile.read(size)))

        def do_GET(self) -> None:
            self.reply(None)

        def do_HEAD(self) -> None:
            running.requests.append((self.command, self.path, None))
            self.send_response(running.status)
            self.end_headers()

        def reply(self, body: Any) -> None:
            running.requests.append((self.command, self.path, body))
            self.send_response(running.status)
            self.end_headers()
            self.wfile.write(running.answer.encode())

    server = HttpServer(Handler)
    running = Receiver(f"http://127.0.0.1:{server.server_port}")
    with serving(server):
        yield running


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """A test's own, where its conftest imports it."""
    with http_receiver() as running:
        yield running


@dataclass
class Mailbox:
    """`logins` are accepted; `reply` is the answer to a message."""

    port: int = 0
    messages: list[Message] = field(default_factory=list)
    recipients: list[list[str]] = field(default_factory=list)
    logins: list[tuple[str, str]] = field(default_factory=list)
    over_tls: list[bool] = field(default_factory=list)
    reply: str = "250 OK"

    async def handle_DATA(self, server: SMTP, session: Any, envelope: Any) -> str:  # noqa: N802
        self.messages.append(email.message_from_bytes(envelope.content, policy=default))
        self.recipients.append(envelope.rcpt_tos)
        self.over_tls.append(server.transport.get_extra_info("ssl_object") is not None)
        return self.reply


@contextmanager
def smtp_receiver(
    context: ssl.SSLContext | None = None,
    login: tuple[str, str] | None = None,
    *,
    implicit: bool = False,
) -> Iterator[Mailbox]:
    """With `context` STARTTLS is required, or TLS from the first byte (`implicit`); with `login`
    that user and password.
    """
    box = Mailbox()

    def authenticate(
        server: SMTP, session: Any, envelope: Any, mechanism: str, data: Any
    ) -> AuthResult:
        assert isinstance(data, LoginPassword)
        given = (data.login.decode(), data.password.decode())
        box.logins.append(given)
        # Servers there are that repeat what was sent.
        said = f"535 5.7.8 {given[1]} is wrong for {given[0]}"
        return AuthResult(success=given == login, handled=False, message=said)

    box.port = free_ports(("smtp",))["smtp"]
    later = None if implicit else context
    controller = Controller(
        box,
        hostname="127.0.0.1",
        port=box.port,
        ssl_context=context if implicit else None,
        tls_context=later,
        require_starttls=later is not None,
        auth_require_tls=later is not None,  # it would ask for STARTTLS within TLS
        auth_required=login is not None,
        authenticator=authenticate,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of logins in the clear
        controller.start()
    try:
        yield box
    finally:
        controller.stop()
