"""The page over HTTP, for this machine alone.

Belongs here: the server, which requests it answers, how fresh an answer is. Does not: content.

It listens on 127.0.0.1 and answers GET and HEAD for the files of the page. Nothing is written. No
page elsewhere may read the lake by way of the browser: a request whose Host is another name, which
may resolve to 127.0.0.1, is refused, and so is a file that another page loads (data are scripts).
"""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Callable
from functools import partial
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock
from urllib.parse import unquote, urlsplit

from lake.base.causes import cause
from lake.base.errors import LakeError, UsageError
from lake.config.settings import Settings
from lake.query.cached_store import cached_store
from lake.report.counts import CachedSources
from lake.report.files import INDEX, Site
from lake.report.gathering import gather
from lake.report.page import failure
from lake.store import Store
from lake.systems.protocol import Source

_LOG = logging.getLogger(__name__)
HOST = "127.0.0.1"
_NAMES = (HOST, "localhost")
_TYPES = {"html": "text/html; charset=utf-8", "js": "text/javascript; charset=utf-8"}


class Pages:
    """The page's files: the state of the lake is read again whenever the page itself is loaded.

    `make` reads it, for one request at a time; the others wait.
    """

    def __init__(self, make: Callable[[Site | None], Site]) -> None:
        self._make = make
        self._lock = Lock()
        self._site: Site | None = None

    def content(self, path: str) -> bytes | None:
        """None where there is no such file. Raises what reading the lake raises."""
        with self._lock:
            if path == INDEX or self._site is None:
                self._site = self._make(self._site)
            site = self._site
        return site.content(path)


class Fresh:
    """Reads the lake for each load of the page.

    The store's unchanged objects and the counts of sources are kept, and so are the trends of a
    lake whose partitions are the same.
    """

    def __init__(
        self,
        settings: Settings,
        store: Store,
        source_of: Callable[[str], Source] | None,
        days: int,
    ) -> None:
        self._settings = settings
        self._store = cached_store(settings, store)
        self._source_of = source_of and CachedSources(source_of)
        self._days = days

    def site(self, before: Site | None) -> Site:
        """The state of now. Raises what the store raises."""
        facts = gather(self._settings, self._store, self._source_of)
        return Site(self._settings, self._store, facts, self._days, before)


class _Handler(BaseHTTPRequestHandler):
    server_version = "monitoring-lake"
    sys_version = ""

    def __init__(self, pages: Pages, *arguments: object) -> None:
        self._pages = pages
        super().__init__(*arguments)  # type: ignore[arg-type]

    def do_GET(self) -> None:
        self._answer(body=True)

    def do_HEAD(self) -> None:
        self._answer(body=False)

    def _answer(self, *, body: bool) -> None:
        host = urlsplit(f"//{self.headers.get('Host', '')}").hostname
        if host not in _NAMES:
            self._send(HTTPStatus.MISDIRECTED_REQUEST, "txt", b"another host's name\n", body=body)
            return
        if self._is_of_another_page():
            self._send(HTTPStatus.FORBIDDEN, "txt", b"loaded by another page\n", body=body)
            return
        path = unquote(urlsplit(self.path).path).removeprefix("/") or INDEX
        try:
            content = self._pages.content(path)
        except LakeError as error:
            if path == INDEX:
                self._send(HTTPStatus.BAD_GATEWAY, "html", failure(str(error)).encode(), body=body)
            else:
                text = f"{json.dumps(str(error))}\n"
                self._send(HTTPStatus.BAD_GATEWAY, "txt", text.encode(), body=body)
            return
        if content is None:
            self._send(HTTPStatus.NOT_FOUND, "txt", b"no such file\n", body=body)
        else:
            self._send(HTTPStatus.OK, path.rpartition(".")[2], content, body=body)

    def _is_of_another_page(self) -> bool:
        """Links may lead here."""
        site = self.headers.get("Sec-Fetch-Site", "none")
        navigates = self.headers.get("Sec-Fetch-Mode") == "navigate"
        return site not in ("none", "same-origin") and not navigates

    def _send(self, status: HTTPStatus, kind: str, content: bytes, *, body: bool) -> None:
        self.send_response(status)
        self.send_header("Content-Type", _TYPES.get(kind, "text/plain; charset=utf-8"))
        self.send_header("Content-Length", str(len(content)))
        self.send_header("Cache-Control", "no-store")
        self.send_header("X-Content-Type-Options", "nosniff")
        self.send_header("X-Frame-Options", "DENY")
        self.send_header("Referrer-Policy", "no-referrer")
        self.send_header("Cross-Origin-Resource-Policy", "same-origin")
        self.end_headers()
        if body:
            self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  the base class's name
        _LOG.debug(format, *args)


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """A browser that goes away is no error; others are logged with their trace, redacted."""
        error = sys.exception()
        if not isinstance(error, ConnectionError):
            _LOG.error("request of %s on %s failed", client_address, request, exc_info=error)


def serve(pages: Pages, port: int) -> ThreadingHTTPServer:
    """A server that listens; 0 is any free port. Raises UsageError where the port is taken."""
    try:
        return _Server((HOST, port), partial(_Handler, pages))
    except OSError as error:
        raise UsageError(
            "the port can't be listened on",
            where=f"{HOST}:{port}",
            expected="a port that is free and that this user may use",
            found=cause(error),
            remedy="name another one by --port; 0 is any free port",
        ) from error
