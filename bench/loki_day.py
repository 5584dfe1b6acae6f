"""A real Loki with one busy day of the demo's service in it, flushed to chunks.

Belongs here: the day that Loki's benchmarks read, and where its chunks lie.
Does not: reading it.
"""

from __future__ import annotations

import gzip
import heapq
import json
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from lake.base.day import Day
from lake.demo.dialogue import requests_of
from lake.demo.logs import Line, Stream, lines_of
from lake.demo.scenario import SEED, Scenario
from lake.http.client import Http
from lake.servers import start
from lake.systems.loki.config import LokiDataset, LokiSource

DAY = Day.parse("2026-03-01")
DATASET = LokiDataset(name="container_logs", source="loki", selector='{container=~".+"}')
_PUSHED_AT_ONCE = 20_000
_PATIENCE_S = 120


@dataclass(frozen=True)
class BusyLoki:
    """`lines` of the day; `text_bytes` of their text alone."""

    url: str
    data_dir: Path
    lines: int
    text_bytes: int

    @property
    def chunk_bytes(self) -> int:
        """What the day's chunks take on disk, as Loki wrote them."""
        chunks = self.data_dir / "chunks"
        return sum(
            file.stat().st_size
            for file in chunks.rglob("*")
            if file.is_file() and "index" not in file.relative_to(chunks).parts
        )


@contextmanager
def busy_loki(lines: int) -> Iterator[BusyLoki]:
    """At least so many lines: as many such services as it takes, in the same eight streams."""
    # Loki's own default: what is older is read from the chunks, and not by way of the ingester.
    config = {"querier": {"query_ingesters_within": "3h"}}
    with start(["loki"], loki_config=config) as stack:
        endpoint = stack.endpoints["loki"]
        http = Http(LokiSource(url=endpoint["url"]), "loki")
        pushed = text = 0
        for stream, entries in _streams(lines).items():
            for first in range(0, len(entries), _PUSHED_AT_ONCE):
                batch = entries[first : first + _PUSHED_AT_ONCE]
                body = _body(stream, batch)
                http.request("POST", "/loki/api/v1/push", data=body, headers=_HEADERS)
                # Loki keeps what is equal in all three once.
                pushed += len({(line.ts_ns, line.text, str(line.metadata)) for line in batch})
                text += sum(len(line.text.encode()) for line in batch)
        http.request("POST", "/flush")
        _wait_for_chunks(http)
        http.close()
        yield BusyLoki(endpoint["url"], Path(endpoint["data_dir"]), pushed, text)


_HEADERS = {"Content-Encoding": "gzip", "Content-Type": "application/json"}


def _streams(wanted: int) -> dict[Stream, list[Line]]:
    services: list[dict[Stream, list[Line]]] = []
    made = 0
    while made < wanted:
        scenario = Scenario(DAY.plus(-45), 90, SEED + len(services))
        services.append(lines_of(scenario, DAY, requests_of(scenario, DAY)))
        made += sum(map(len, services[-1].values()))
    names = sorted({stream for service in services for stream in service})
    return {
        name: list(heapq.merge(*(s.get(name, ()) for s in services), key=lambda line: line.ts_ns))
        for name in names
    }


def _body(stream: Stream, lines: list[Line]) -> bytes:
    values = [[str(line.ts_ns), line.text, line.metadata] for line in lines]
    body = {"streams": [{"stream": stream.labels, "values": values}]}
    return gzip.compress(json.dumps(body).encode(), compresslevel=1)


def _wait_for_chunks(http: Http) -> None:
    """Until the ingester holds nothing: /flush returns before it has flushed."""
    deadline = time.monotonic() + _PATIENCE_S
    while True:
        metrics = http.get("/metrics").content.decode()
        held = re.search(r"^loki_ingester_memory_chunks (\S+)$", metrics, re.MULTILINE)
        if held and float(held[1]) == 0:
            return
        if time.monotonic() > deadline:
            raise SystemExit(f"Loki still holds {held and held[1]} chunks in memory")
        time.sleep(0.5)
