"""One HTTP server asked politely: authentication, retries, limits, what each refusal means.

Belongs here: everything that Prometheus' and Loki's APIs share below JSON.
Does not: any path, parameter or answer of theirs.

What a request may raise:
Refused          credentials (401, 403)
├── NoSuchPath   wrong address (404, redirects)
└── Rejected     the server won't take this very request (400, 413, 422, …): ask differently
TooLarge         the body is over the caller's `max_bytes`: ask for less
TransientError   unreachable, or the body broke off, after retries
└── Overloaded   429, 5xx or a time-out, after retries: later, or ask for less
"""

from __future__ import annotations

import base64
import json
import logging
import queue
import random
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Lock
from typing import Any, Protocol
from urllib.parse import unquote, urlsplit, urlunsplit

import requests
from requests.auth import AuthBase
from urllib3.exceptions import ReadTimeoutError

from lake.base.errors import BadData, LakeError, PermanentError, Refused, TransientError
from lake.base.settings import LokiSource, PrometheusSource
from lake.sources.pace import Pace, Slowing

_LOG = logging.getLogger(__name__)
_ATTEMPTS = 5
_FIRST_PAUSE_S = 0.5
_LONGEST_PAUSE_S = 20.0
_LONGEST_RETRY_AFTER_S = 60.0
_CONNECT_S = 10.0
_PIECE_BYTES = 1 << 18
_SHOWN_CHARS = 500

Params = Mapping[str, "str | list[str]"]


class NoSuchPath(Refused):
    """404, or sent on to another address."""


class Rejected(Refused):
    """The server won't take this very request. `status` and `text` say why."""

    def __init__(self, what: str, *, status: int, text: str, **parts: Any) -> None:
        super().__init__(what, **parts)
        self.status = status
        self.text = text


class Overloaded(TransientError):
    """429, 5xx or a time-out. `status` is None and `text` empty for a time-out.

    `retry_after_s` is how long the server wants to be left alone.
    """

    def __init__(
        self,
        what: str,
        *,
        status: int | None = None,
        text: str = "",
        retry_after_s: float = 0.0,
        **parts: Any,
    ) -> None:
        super().__init__(what, **parts)
        self.status = status
        self.text = text
        self.retry_after_s = retry_after_s


class TooLarge(PermanentError):
    """The body is larger than the caller allowed."""


@dataclass
class Tally:
    """How often a server was asked on behalf of one piece of work; safe across threads."""

    requests: int = 0
    retries: int = 0
    slowing: Slowing = field(default_factory=Slowing)
    _lock: Lock = field(default_factory=Lock, repr=False)

    def add(self, *, retry: bool) -> None:
        """Counts one request, which may be a repetition."""
        with self._lock:
            self.requests += 1
            self.retries += retry


@dataclass(frozen=True)
class Answer:
    """A 2xx answer with its whole body."""

    url: str
    status: int
    headers: Mapping[str, str]
    content: bytes

    def json(self) -> Any:
        """The body as JSON. Raises TransientError where it broke off, BadData where it is none."""
        try:
            return json.loads(self.content)
        except ValueError as error:
            if self.content.lstrip()[:1] in (b"{", b"["):
                raise TransientError("the answer broke off", where=self.url, found=error) from None
            raise BadData(
                "the answer is no JSON",
                where=self.url,
                found=shortened(self.content.decode(errors="replace")),
                remedy="does url name the server itself, and no login page before it?",
            ) from None


class Sink(Protocol):
    """Takes a body piece by piece, so that it need not be in memory."""

    def begin(self, headers: Mapping[str, str]) -> None:
        """A 2xx answer comes; after a repetition what came before is void."""

    def feed(self, piece: bytes) -> None:
        """The next bytes of its body. May raise TransientError: the request is repeated."""

    def end(self) -> None:
        """The body is whole. May raise TransientError, too."""


class Http:
    """A server's address with its sessions: at most `max_parallel` requests at a time.

    `name` is the section in lake.toml (`prometheus`, `loki`): errors name its variables.
    Fewer run while `probe`, a small question, takes over the section's `slow_down_at`.
    Safe to use from several threads.
    """

    def __init__(
        self,
        section: PrometheusSource | LokiSource,
        name: str,
        *,
        probe: tuple[str, Params] | None = None,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        self._name = name
        self._base, user, password = _without_userinfo(section.url)
        self._timeout = (min(_CONNECT_S, section.timeout_s), section.timeout_s)
        self._pause = pause
        self._auth = _Auth(
            section.username or user,
            section.password.get_secret_value() or password,
            section.bearer_token.get_secret_value(),
        )
        # Compressing costs Prometheus ten times what answering does (5.8 M samples: 9 s, not 1);
        # where the network is the dearer part, `headers` can ask for gzip.
        self._headers = {"Accept-Encoding": "identity", **section.headers}
        if section.tenant:
            self._headers["X-Scope-OrgID"] = section.tenant
        self._idle: queue.LifoQueue[requests.Session] = queue.LifoQueue()
        self.max_parallel = section.max_parallel
        self._probe_path, self._probe_params = probe or ("", {})
        slow_at_s = section.slow_down_at_s if probe else None
        self._pace = Pace(section.max_parallel, slow_at_s, self._probe, name=name)

    def url(self, path: str) -> str:
        """The address of a path such as `/api/v1/query`; without credentials."""
        return self._base + path

    def get(self, path: str, params: Params | None = None, **options: Any) -> Answer:
        """GET with a query string; see `request`."""
        return self.request("GET", path, params=params, **options)

    def post(self, path: str, params: Params | None = None, **options: Any) -> Answer:
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
        tally: Tally | None = None,
        sink: Sink | None = None,
        **payload: Any,
    ) -> Answer:
        """A 2xx answer; with a sink its body goes there, and the answer's is empty.

        429, 5xx, time-outs and broken connections are tried again, `attempts` times in all.
        Where asking for less may help, 5xx and time-outs get only `attempts_if_slow`.
        Raises what the head of this module lists.
        """
        for attempt in range(1, attempts + 1):
            if tally is not None:
                tally.add(retry=attempt > 1)
            try:
                with self._pace.turn(tally.slowing if tally is not None else None):
                    return self._once(method, path, headers or {}, max_bytes, payload, sink)
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
        raise ValueError(f"attempts is at least 1, not {attempts}")

    def close(self) -> None:
        """Ends the connections that are not in use."""
        self._pace.close()
        while not self._idle.empty():
            self._idle.get().close()

    def _session(self) -> requests.Session:
        session = requests.Session()
        session.auth = self._auth
        session.headers.update(self._headers)
        return session

    def _probe(self) -> None:
        """Beside the turns: it measures what they do to others."""
        self._once("GET", self._probe_path, {}, None, {"params": self._probe_params})

    @contextmanager
    def _borrowed(self) -> Iterator[requests.Session]:
        try:
            session = self._idle.get_nowait()
        except queue.Empty:
            session = self._session()
        try:
            yield session
        finally:
            self._idle.put(session)

    def _once(
        self,
        method: str,
        path: str,
        headers: Mapping[str, str],
        max_bytes: int | None,
        payload: dict[str, Any],
        sink: Sink | None = None,
    ) -> Answer:
        url = self.url(path)
        try:
            with (
                self._borrowed() as session,
                session.request(
                    method,
                    url,
                    headers=dict(headers),
                    timeout=self._timeout,
                    allow_redirects=False,
                    stream=True,
                    **payload,
                ) as response,
            ):
                told = sink if response.status_code // 100 == 2 else None
                body = _read_body(response, url, max_bytes, told)
        except requests.RequestException as error:
            if _timed_out(error):
                raise Overloaded(
                    f"no answer within {self._timeout[1]:g} s",
                    where=url,
                    found=_cause(error),
                    remedy=f"raise timeout_s in [sources.{self._name}], or look at its load",
                ) from None
            # Truncated bodies, too: urllib3 holds each body against its Content-Length.
            raise TransientError(
                "the connection failed or broke off",
                where=url,
                found=_cause(error),
                remedy=f"is the server up, and url right in [sources.{self._name}]?",
            ) from None
        if response.status_code // 100 != 2:
            raise self._refusal(response, url, body.decode(errors="replace"))
        return Answer(url, response.status_code, response.headers, body)

    def _refusal(self, response: requests.Response, url: str, text: str) -> LakeError:
        status = response.status_code
        answer: dict[str, Any] = {"where": url, "found": f"HTTP {status} {shortened(text)}".strip()}
        if status in (401, 403):
            return Refused("the server refused our credentials", **answer, remedy=self._login())
        if status == 404 or status < 400:
            where_to = response.headers.get("Location")
            return NoSuchPath(
                "no such API at this address",
                where=url,
                found=f"HTTP {status}, sent on to {where_to}" if where_to else answer["found"],
                remedy=f"url in [sources.{self._name}] needs the server's path prefix, if it has "
                "one, and nothing of the API's own path",
            )
        if status == 429 or status >= 500:
            return Overloaded(
                f"the server answered {status}",
                status=status,
                text=text,
                retry_after_s=_retry_after_s(response.headers),
                **answer,
            )
        return Rejected(
            f"the server rejected the request ({status})", status=status, text=text, **answer
        )

    def _login(self) -> str:
        prefix = f"LAKE_SOURCES__{self._name.upper()}__"
        return (
            f"set {prefix}BEARER_TOKEN, or {prefix}USERNAME and {prefix}PASSWORD; "
            f"a server with tenants needs tenant in [sources.{self._name}]"
        )


def shortened(text: str) -> str:
    """What is shown of a body in a message, on one line."""
    line = " ".join(text[: 2 * _SHOWN_CHARS].split())
    return line if len(line) <= _SHOWN_CHARS else line[:_SHOWN_CHARS] + "…"


class _Auth(AuthBase):
    """Always set, so that requests never takes credentials from a .netrc file instead."""

    def __init__(self, username: str, password: str, bearer_token: str) -> None:
        self._basic = (username, password) if username else None
        self._bearer_token = bearer_token

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        if self._bearer_token:
            request.headers["Authorization"] = f"Bearer {self._bearer_token}"
        elif self._basic:
            pair = base64.b64encode(":".join(self._basic).encode()).decode()
            request.headers["Authorization"] = f"Basic {pair}"
        return request


def _without_userinfo(url: str) -> tuple[str, str, str]:
    """The URL without `user:password@` and closing slash, the user, the password."""
    parts = urlsplit(url)
    bare = parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment="")
    return (
        urlunsplit(bare).rstrip("/"),
        unquote(parts.username or ""),
        unquote(parts.password or ""),
    )


def _read_body(
    response: requests.Response, url: str, max_bytes: int | None, sink: Sink | None
) -> bytes:
    pieces: list[bytes] = []
    size, take = 0, pieces.append
    if sink is not None:
        sink.begin(response.headers)
        take = sink.feed
    for piece in response.iter_content(_PIECE_BYTES):
        take(piece)
        size += len(piece)
        if max_bytes is not None and size > max_bytes:
            raise TooLarge("the answer is too large", where=url, expected=f"≤ {max_bytes} bytes")
    if sink is not None:
        sink.end()
    return b"".join(pieces)


def _timed_out(error: requests.RequestException) -> bool:
    """While connecting, waiting, or (which requests calls a ConnectionError) within the body."""
    cause = error.args[0] if error.args else None
    return isinstance(error, requests.Timeout) or isinstance(cause, ReadTimeoutError)


def _pause_s(attempt: int, retry_after_s: float) -> float:
    """Exponential back-off with jitter; at least what the server asks for, within bounds."""
    backoff = min(_FIRST_PAUSE_S * 2.0 ** (attempt - 1), _LONGEST_PAUSE_S)
    jittered = backoff * random.uniform(0.5, 1.0)  # noqa: S311 (spreads load, keeps no secret)
    return max(jittered, min(retry_after_s, _LONGEST_RETRY_AFTER_S))


def _retry_after_s(headers: Mapping[str, str]) -> float:
    """Seconds only: the form with a date is not sent by these servers."""
    text = headers.get("Retry-After", "")
    return float(text) if text.isdecimal() else 0.0


def _cause(error: BaseException) -> str:
    return shortened(f"{type(error).__name__}: {error}")
