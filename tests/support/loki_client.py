"""A test's own way to write into a real Loki, and to ask it, apart from the code under test."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Mapping
from functools import cached_property
from typing import Any

import requests

from lake.servers.binaries import version_parts

Labels = Mapping[str, str]
Entry = tuple[int, str, Mapping[str, str]]
"""ns since the epoch, line, structured metadata."""

_PATIENCE_S = 60
_FORGETS_WITHIN_S = 20


class LokiClient:
    """One tenant of one server."""

    def __init__(self, url: str, tenant: str = "") -> None:
        self.url = url
        self.tenant = tenant
        self._session = requests.Session()
        self._session.trust_env = False
        if tenant:
            self._session.headers["X-Scope-OrgID"] = tenant

    @cached_property
    def version(self) -> str:
        """As `3.7.8`; empty where the server has no page on it, as 2.2."""
        answer = self._session.get(f"{self.url}/loki/api/v1/status/buildinfo", timeout=60)
        return answer.json()["version"] if answer.status_code == 200 else ""

    @property
    def takes_metadata(self) -> bool:
        """By default from 3.0 on."""
        return self.version.startswith("3")

    @property
    def takes_or(self) -> bool:
        """Whether a line filter may have alternatives with `or` (from 3.0, right from 3.3 on)."""
        return self._at_least(3, 3)

    @property
    def returns_first_empty_line(self) -> bool:
        """Whether a chunk may begin with an empty line (not from 2.4 to 3.2)."""
        return self._at_least(3, 3) or not self._at_least(2, 4)

    @property
    def counts_last_ns(self) -> bool:
        """Whether a count has the lines in the last ns of its range (from 3.3 on)."""
        return self._at_least(3, 3)

    def _at_least(self, *numbers: int) -> bool:
        return bool(self.version) and version_parts(self.version) >= numbers

    @property
    def tells_metadata_apart(self) -> bool:
        """Whether equal lines of one stream and instant are several by their metadata (from 3.7).

        Older versions store the first, and return one of those in several chunks.
        """
        return self._at_least(3, 7)

    def stored_value(self, value: str) -> str:
        """What the server makes of a metadata value in JSON: before 3.6 its escapes stay in it."""
        if self._at_least(3, 6):
            return value
        return json.dumps(value, ensure_ascii=False)[1:-1]

    @property
    def lines_are_labels(self) -> bool:
        """Whether a metric query can have a line's text and time as labels (from 2.8 on)."""
        return self._at_least(2, 8)

    @property
    def _keeps_chunks(self) -> bool:
        """Whether chunks stay in memory for a while after they are stored (before 2.8)."""
        return not self.lines_are_labels

    def push(self, labels: Labels, entries: list[Entry]) -> None:
        """Without the metadata where the server takes none."""
        takes = any(metadata for _, _, metadata in entries) and self.takes_metadata
        values = [
            [str(ts), line, dict(metadata)] if takes else [str(ts), line]
            for ts, line, metadata in entries
        ]
        streams = {"streams": [{"stream": dict(labels), "values": values}]}
        answer = self._session.post(
            f"{self.url}/loki/api/v1/push",
            data=json.dumps(streams, ensure_ascii=False).encode(),
            headers={"Content-Type": "application/json"},
            timeout=60,
        )
        assert answer.status_code == 204, answer.text

    def flush(self) -> None:
        """Ends all chunks; returns before they are stored."""
        self._session.post(f"{self.url}/flush", timeout=60).raise_for_status()

    def lines(self, query: str, start_ns: int, end_ns: int, limit: int = 100) -> list[str]:
        """What an ordinary query gives."""
        params: dict[str, Any] = {
            "query": query,
            "start": start_ns,
            "end": end_ns,
            "limit": limit,
            "direction": "forward",
        }
        answer = self._session.get(f"{self.url}/loki/api/v1/query_range", params=params, timeout=60)
        answer.raise_for_status()
        return [value[1] for s in answer.json()["data"]["result"] for value in s["values"]]

    def count(self, selector: str, end_ns: int, duration: str) -> int:
        query = f"sum(count_over_time({selector}\n[{duration}]))"  # it may end in a comment
        answer = self._session.get(
            f"{self.url}/loki/api/v1/query",
            params={"query": query, "time": end_ns - 1},
            headers={"Cache-Control": "no-cache"},
            timeout=60,
        )
        answer.raise_for_status()
        return sum(int(s["value"][1]) for s in answer.json()["data"]["result"])

    def wait_for(self, selector: str, end_ns: int, lines: int) -> None:
        """Until all of the last 24 h are visible; any before 2.6, which counts equal lines once and
        shows lines at once.
        """
        deadline = time.monotonic() + _PATIENCE_S
        exact = version_parts(self.version) >= (2, 6)
        while (seen := self.count(selector, end_ns, "24h")) != lines and (exact or not seen):
            assert time.monotonic() < deadline, f"{seen} of {lines} lines are visible"
            time.sleep(0.2)

    def store(self) -> None:
        """Ends all chunks of all tenants and waits until none is in memory.

        Those before 2.8 keep them there, for their index is read up to a minute later: they
        only end.
        """
        if self._keeps_chunks:
            self.flush()
            time.sleep(1)
            return
        deadline = time.monotonic() + _PATIENCE_S
        while True:
            self.flush()
            metrics = self._session.get(f"{self.url}/metrics", timeout=60).text
            held = re.search(r"^loki_ingester_memory_chunks (\S+)$", metrics, re.MULTILINE)
            if held and float(held[1]) == 0:
                return
            assert time.monotonic() < deadline, f"{held and held[1]} chunks are in memory"
            time.sleep(0.1)

    def forget(self, start_ns: int, end_ns: int) -> None:
        """Stores everything and waits a while until no label of [start, end) is listed from memory.

        A busy ingester may keep labels longer: then what is read is right all the more.
        """
        self.store()
        deadline = time.monotonic() + _FORGETS_WITHIN_S
        params = {"start": start_ns, "end": end_ns - 1}
        while True:
            answer = self._session.get(
                f"{self.url}/loki/api/v1/labels",
                params=params,
                headers={"Cache-Control": "no-cache"},
                timeout=60,
            )
            answer.raise_for_status()
            if not answer.json().get("data") or time.monotonic() > deadline:
                return
            time.sleep(0.5)
