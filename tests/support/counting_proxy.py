"""A proxy before an S3 server that counts requests as a bill has them."""

from __future__ import annotations

import threading
from collections import Counter
from urllib.parse import parse_qs, urlsplit

from support.s3_proxy import S3Proxy


class CountingProxy(S3Proxy):
    """`requests`: PUT (with POST), LIST, GET (with HEAD), DELETE → number."""

    def __init__(self, target: str) -> None:
        super().__init__(target)
        self.requests: Counter[str] = Counter()
        self._counting = threading.Lock()

    def _fault(self, request: str) -> None:
        method, _, path = request.partition(" ")
        with self._counting:
            self.requests[_kind(method, path)] += 1

    def taken(self) -> dict[str, int]:
        """The counts since the last call."""
        with self._counting:
            counted, self.requests = dict(self.requests), Counter()
        return counted


def _kind(method: str, path: str) -> str:
    if method in ("PUT", "POST"):
        return "PUT"
    if method == "DELETE":
        return "DELETE"
    parts = urlsplit(path)
    of_a_bucket = parts.path.strip("/").count("/") == 0
    names = parse_qs(parts.query, keep_blank_values=True)
    listing = of_a_bucket and {"list-type", "versions", "uploads", "prefix"} & set(names)
    return "LIST" if method == "GET" and listing else "GET"
