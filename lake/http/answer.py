"""A response and its body: in memory or piece by piece, bounded, perhaps cut off.

Belongs here: a body's bytes, its JSON. Does not: requests, retries (client), statuses (failures).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

import requests

from lake.base.errors import BadData, TransientError
from lake.http.failures import TooLarge, shortened

_OPENING_BYTES = 64


@dataclass(frozen=True)
class HttpAnswer:
    """A 2xx answer with its whole body."""

    url: str
    status: int
    headers: Mapping[str, str]
    content: bytes

    def json(self) -> Any:
        """The body as JSON. Raises TransientError where it broke off, BadData where it is none."""
        return self._parsed

    @cached_property
    def _parsed(self) -> Any:
        try:
            return json.loads(self.content)
        except ValueError as error:
            if self.content.lstrip()[:1] in (b"{", b"["):
                raise TransientError(
                    "the response was cut off", where=self.url, found=error
                ) from None
            raise BadData(
                "the response is not JSON",
                where=self.url,
                found=shortened(self.content.decode(errors="replace")),
                remedy="set url to the server itself; a login page in front of it needs "
                "credentials that it accepts",
            ) from None


class Sink(Protocol):
    """Takes a body piece by piece, so that it need not be in memory."""

    def begin(self, headers: Mapping[str, str]) -> None:
        """A 2xx answer begins; after a repetition, what came before is void."""

    def feed(self, piece: bytes) -> None:
        """The next bytes of its body. May raise TransientError: the request is repeated."""

    def end(self) -> None:
        """The body is whole. May raise TransientError, too."""


def whole_body(
    pieces: Iterator[bytes],
    response: requests.Response,
    url: str,
    max_bytes: int | None,
    sink: Sink | None,
) -> bytes:
    """The whole body; empty where a sink takes it."""
    kept: list[bytes] = []
    size, take = 0, kept.append
    if sink is not None:
        sink.begin(response.headers)
        take = sink.feed
    for piece in pieces:
        take(piece)
        size += len(piece)
        if max_bytes is not None and size > max_bytes:
            raise TooLarge("the response is too large", where=url, expected=f"≤ {max_bytes} bytes")
    if sink is not None:
        sink.end()
    return b"".join(kept)


def is_cut_short(content: bytes) -> bool:
    """Whether JSON ends early although the framing is complete: seen at its last byte."""
    first = content[:_OPENING_BYTES].lstrip()[:1]
    last = content[-_OPENING_BYTES:].rstrip()[-1:]
    return (first, last) not in ((b"{", b"}"), (b"[", b"]")) and first in (b"{", b"[")
