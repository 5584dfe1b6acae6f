"""Requests to one HTTP server: sessions, retries, limits.

Belongs here: everything that Prometheus' and Loki's APIs share around a request.
Does not: any path or parameter of theirs, bodies (answer), what a failure means (failures).

What a request may raise:
Refused          credentials (401, 403)
├── NoSuchPath   wrong address (404, redirects)
└── Rejected     the server rejects this very request (400, 413, 422, …): send another one
TooLarge         the body is over the caller's `max_bytes`: request less
TransientError   unreachable, or the body broke off, after retries
└── Overloaded   429, 5xx or a time-out, after retries: later, or request less
ConfigError      an address, header or CA file that can't be used
Stopped          `stop` was called
"""

from __future__ import annotations

import logging
import queue
import random
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.client import HTTPException
from threading import Event, Lock, Timer
from typing import Any

import requests
from urllib3.exceptions import HTTPError

from lake.base.errors import Stopped, TransientError
from lake.config.sections import HttpSection
from lake.http.answer import HttpAnswer, Sink, is_cut_short, whole_body
from lake.http.authentication import Auth, without_userinfo
from lake.http.failures import (
    NoSuchPath,
    Overloaded,
    Rejected,
    TooLarge,
    overdue,
    refusal,
    shortened,
    unanswered,
)
from lake.http.session import Session
from lake.pace import Pace, Slowing

_LOG = logging.getLogger(__name__)
_ATTEMPTS = 5
_FIRST_PAUSE_S = 0.5
_LONGEST_PAUSE_S = 20.0
_LONGEST_RETRY_AFTER_S = 60.0
_CONNECT_S = 10.0
_PIECE_BYTES = 1 << 18
_UNSENT = (requests.RequestException, HTTPError, HTTPException, OSError, ValueError)

__all__ = [
    "Http",
    "HttpAnswer",
    "NoSuchPath",
    "Overloaded",
    "Params",
    "Rejected",
    "RequestTally",
    "Sink",
    "TooLarge",
    "shortened",
]

Params = Mapping[str, "str | list[str]"]


@dataclass
class RequestTally:
    """Number of requests to a server for one piece of work; safe across threads."""

    requests: int = 0
    retries: int = 0
    slowing: Slowing = field(default_factory=Slowing)
    _lock: Lock = field(default_factory=Lock, repr=False)

    def add(self, *, retry: bool) -> None:
        """Counts one request, which may be a repetition."""
        with self._lock:
            self.requests += 1
            self.retries += retry


class Http:
    """A server's address with its sessions: at most `max_parallel` requests at a time.

    `name` is the section in lake.toml (`prometheus`, `loki`): errors name its variables.
    Fewer run while `probe`, a small question, takes over the section's `slow_down_at`.
    Safe to use from several threads.
    """

    def __init__(
        self,
        section: HttpSection,
        name: str,
        *,
        probe: tuple[str, Params] | None = None,
        pause: Callable[[float], object] | None = None,
    ) -> None:
        self._name = name
        self._base, user, password = without_userinfo(section.url)
        self._timeout = (min(_CONNECT_S, section.timeout_s), section.timeout_s)
        self._stopped = Event()
        self._pause = pause or self._stopped.wait
        # None leaves it to REQUESTS_CA_BUNDLE; a file of its own goes before that.
        self._ca_file = section.ca_file or None
        self._auth = Auth(
            section.username or user,
            section.password.get_secret_value() or password,
            section.bearer_token.get_secret_value(),
        )
        # Compressing costs Prometheus ten times what answering does (5.8 M samples: 9 s, not 1);
        # where the network is the dearer part, `headers` can request gzip.
        self._headers = {"Accept-Encoding": "identity", **section.headers}
        if section.tenant:
            self._headers["X-Scope-OrgID"] = section.tenant
        self._idle: queue.LifoQueue[Session] = queue.LifoQueue()
        self._busy: set[Session] = set()
        self._lock = Lock()
        self.max_parallel = section.max_parallel
        self._probe_path, self._probe_params = probe or ("", {})
        slow_at_s = section.slow_down_at_s if probe else None
        self._pace = Pace(section.max_parallel, slow_at_s, self._probe, name=name)

    def url(self, path: str) -> str:
        """The address of a path such as `/api/v1/query`; without credentials."""
        return self._base + path

    def get(self, path: str, params: Params | None = None, **options: Any) -> HttpAnswer:
        """GET with a query string; see `request`."""
        return self.request("GET", path, params=params, **options)

    def post(self, path: str, params: Params | None = None, **options: Any) -> HttpAnswer:
        """POST with the parameters as a form, for those too long for a URL; see `request`."""
        return self.request("POST", path, data=params, **options)

    def request(
        self,
        method: str,
        path: str,
        *,
        headers: Mapping[str, str] | None = None,
        max_bytes: int | None = None,
        attempts: int = _ATTEMPTS,
        attempts_if_slow: int | None = None,
        tally: RequestTally | None = None,
        sink: Sink | None = None,
        check: Callable[[HttpAnswer], object] | None = None,
        **payload: Any,
    ) -> HttpAnswer:
        """A 2xx answer; with a sink its body goes there, and the answer's is empty.

        429, 5xx, time-outs, broken connections and answers that were cut short are tried
        again, `attempts` times in all. So is an answer for which `check` raises TransientError.
        Where asking for less may help, 5xx and time-outs get only `attempts_if_slow`.
        Raises what the head of this module lists.
        """
        for attempt in range(1, attempts + 1):
            if tally is not None:
                tally.add(retry=attempt > 1)
            try:
                with self._pace.turn(tally.slowing if tally is not None else None):
                    answer = self._once(method, path, headers or {}, max_bytes, payload, sink)
                if check is not None:
                    check(answer)
            except TransientError as error:
                slow = isinstance(error, Overloaded) and error.status != 429
                if attempt >= (attempts_if_slow or attempts if slow else attempts):
                    raise
                wait = _pause_s(attempt, getattr(error, "retry_after_s", 0.0))
                _LOG.warning(
                    "%s: %s; attempt %d of %d, next in %.1f s",
                    self._name, error.what, attempt, attempts, wait,
                )  # fmt: skip
                self._pause(wait)
            else:
                return answer
        raise ValueError(f"attempts is at least 1, not {attempts}")

    def stop(self) -> None:
        """Ends the requests that are running and refuses others: each raises Stopped."""
        self._stopped.set()
        self._pace.close()
        with self._lock:
            for session in self._busy:
                session.end()

    def close(self) -> None:
        """Ends the connections that are not in use."""
        self._pace.close()
        while not self._idle.empty():
            self._idle.get().close()

    def _session(self) -> Session:
        session = Session()
        session.auth = self._auth
        session.headers.update(self._headers)
        return session

    def _probe(self) -> None:
        """Beside the turns: it measures what they do to others."""
        self._once("GET", self._probe_path, {}, None, {"params": self._probe_params})

    @contextmanager
    def _borrowed(self) -> Iterator[Session]:
        try:
            session = self._idle.get_nowait()
        except queue.Empty:
            session = self._session()
        with self._lock:
            self._busy.add(session)
        try:
            if self._stopped.is_set():
                raise Stopped(remedy="run it again")
            yield session
        finally:
            with self._lock:
                self._busy.discard(session)
            if session.ended:
                session.close()
            else:
                self._idle.put(session)

    @contextmanager
    def _bounded(self) -> Iterator[Session]:
        """A session for one request, which ends after `timeout_s` whatever arrives meanwhile."""
        with self._borrowed() as session:
            timer = Timer(self._timeout[1], session.end)
            timer.daemon = True
            timer.start()
            try:
                yield session
            finally:
                timer.cancel()

    @contextmanager
    def _explained(self, session: Session, url: str) -> Iterator[None]:
        try:
            yield
        except _UNSENT as error:
            if session.ended:
                raise self._ended(url, "still incomplete") from None
            raise unanswered(error, self._name, url, self._timeout[1]) from None

    def _ended(self, url: str, found: str) -> Overloaded | Stopped:
        if self._stopped.is_set():
            return Stopped(where=url, remedy="run it again")
        return overdue(self._name, url, self._timeout[1], found=found)

    def _once(
        self,
        method: str,
        path: str,
        headers: Mapping[str, str],
        max_bytes: int | None,
        payload: dict[str, Any],
        sink: Sink | None = None,
    ) -> HttpAnswer:
        url = self.url(path)
        with self._bounded() as session:
            with self._explained(session, url):
                response = session.request(
                    method,
                    url,
                    headers=dict(headers),
                    timeout=self._timeout,
                    verify=self._ca_file,
                    allow_redirects=False,
                    stream=True,
                    **payload,
                )
            good = response.status_code // 100 == 2
            with response:
                pieces = self._pieces(session, response, url)
                content = whole_body(pieces, response, url, max_bytes, sink if good else None)
        if not good:
            raise refusal(self._name, response, url, content.decode(errors="replace"))
        if is_cut_short(content):
            raise TransientError(
                "the response was cut off",
                where=url,
                expected="whole JSON",
                found=f"{len(content):,} bytes, the last: {content[-40:]!r}",
                remedy="check the proxy in front of the server",
            )
        return HttpAnswer(url, response.status_code, response.headers, content)

    def _pieces(self, session: Session, response: requests.Response, url: str) -> Iterator[bytes]:
        """The body. Errors of whoever takes them are not looked at here."""
        pieces = response.iter_content(_PIECE_BYTES)
        while True:
            with self._explained(session, url):
                piece = next(pieces, None)
            if session.ended:  # a body without a length looks complete
                raise self._ended(url, "still incomplete")
            if piece is None:
                return
            yield piece


def _pause_s(attempt: int, retry_after_s: float) -> float:
    """Exponential back-off with jitter; at least what the server requests, within bounds."""
    backoff = min(_FIRST_PAUSE_S * 2.0 ** (attempt - 1), _LONGEST_PAUSE_S)
    jittered = backoff * random.uniform(0.5, 1.0)  # noqa: S311 (spreads load, keeps no secret)
    return max(jittered, min(retry_after_s, _LONGEST_RETRY_AFTER_S))
