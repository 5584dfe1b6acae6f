"""A snapshot of an unchanged system ÷ the first one, in bytes that travel and in time.

Real servers: Prometheus with a day in blocks on its disk, Loki with a day flushed, MongoDB with a
collection. The store is a directory. What is timed is `take_snapshot`, both countings of the day
included. Every snapshot is verified.

    .venv/bin/python bench/snapshot_again.py [--series N] [--lines N] [--documents N] [--rounds N]
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path

import numpy as np
import pymongo
import requests
from measuring import best, interleave, machine, report
from prometheus_day import integer_counters, load_day

from lake.base.day import Day
from lake.config.settings import Settings, load
from lake.restore.files import restore_files
from lake.restore.server import serve
from lake.servers import Stack, start
from lake.snapshot import remove_snapshot, take_snapshot, verify_snapshot
from lake.snapshots.manifest import read_snapshot
from lake.store import open_store
from lake.systems.prometheus.system import SYSTEM

DAY = Day.today().plus(-1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--series", type=int, default=1000)
    parser.add_argument("--lines", type=int, default=200_000)
    parser.add_argument("--documents", type=int, default=60_000)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    print(machine())
    with tempfile.TemporaryDirectory(prefix="lake-bench-") as name:
        place = Path(name)
        for system, served in (
            ("prometheus", lambda: prometheus(place, arguments.series)),
            ("loki", lambda: loki(arguments.lines)),
            ("mongo", lambda: mongo(arguments.documents)),
        ):
            with served() as stack:
                compare(place, system, stack, arguments.rounds)


def compare(place: Path, system: str, stack: Stack, rounds: int) -> None:
    settings = configured(place, system, stack.endpoints[system], "lake")
    store = open_store(settings)
    sent: dict[str, int] = {}

    def take(name: str) -> None:
        outcome = take_snapshot(settings, store, system)
        sent[name] = outcome.sent_bytes

    def first() -> None:
        if sent:
            remove_snapshot(store, system, Day.today())
        take("first")

    seconds = interleave({"first": first}, 1)
    for _ in range(rounds):
        for name, what in (("again", lambda: take("again")), ("first", first)):
            seconds.setdefault(name, []).extend(interleave({name: what}, 1)[name])
    problems = verify_snapshot(store, read_snapshot(store, system, Day.today())).problems
    if problems:
        raise SystemExit("\n".join(problems))
    for what, ours, peer, unit, target in (
        ("bytes", sent["again"], sent["first"], "bytes", 0.01),
        ("time", best(seconds["again"]), best(seconds["first"]), "s", 0.1),
    ):
        report(f"{system}: an unchanged system's snapshot, {what}", ours, peer, unit,
               target=target, at_most=True, peer_name="the first one")  # fmt: skip


def configured(place: Path, system: str, endpoint: dict[str, str], root: str) -> Settings:
    sections = {"lake": {"root": str(place / root)}}
    if system == "mongo":
        sections["sources.mongo"] = {"uri": endpoint["uri"], "database": "bench"}
        sections["snapshots.mongo"] = {"tool": "native"}
    else:
        sections[f"sources.{system}"] = {"url": endpoint["url"]}
        names = ("data_dir", "config_file") if system == "loki" else ("data_dir",)
        sections[f"snapshots.{system}"] = {name: endpoint[name] for name in names}
    lines = []
    for name, values in sections.items():
        lines += [f"[{name}]", *(f"{key} = {json.dumps(value)}" for key, value in values.items())]
    file = place / f"{system}.toml"
    file.write_text("\n".join(lines) + "\n")
    return load(str(file), {})


def prometheus(place: Path, series: int) -> Stack:
    """With its day on the disk, as all but the last hours of a real one are: a restored one."""
    with start(["prometheus"]) as source:
        endpoint = source.endpoints["prometheus"]
        load_day(endpoint["url"], DAY, integer_counters(series))
        settings = configured(place, "prometheus", endpoint, "before")
        take_snapshot(settings, open_store(settings), "prometheus")
    store = open_store(settings)
    manifest = read_snapshot(store, "prometheus", Day.today())
    restore_files(store, manifest, place / "served", SYSTEM.restored_below)
    return serve(manifest, place / "served").stack


def loki(lines: int) -> Stack:
    stack = start(["loki"], loki_config={"ingester": {"flush_check_period": "100ms"}})
    url, luck = stack.endpoints["loki"]["url"], np.random.default_rng(1)
    begin, step = DAY.start_ms * 1_000_000, 86_400_000_000_000 // lines
    for start_at in range(0, lines, 10_000):
        numbers = range(start_at, min(lines, start_at + 10_000))
        values = [
            [str(begin + number * step), f"request {number} {luck.bytes(60).hex()}"]
            for number in numbers
        ]
        body = {"streams": [{"stream": {"job": f"j{start_at % 7}"}, "values": values}]}
        requests.post(f"{url}/loki/api/v1/push", json=body, timeout=60).raise_for_status()
    return stack


def mongo(documents: int) -> Stack:
    stack, luck = start(["mongo"]), np.random.default_rng(1)
    with pymongo.MongoClient(stack.endpoints["mongo"]["uri"]) as client:
        for _ in range(0, documents, 2000):
            client.bench.events.insert_many(
                [{"x": luck.bytes(100).hex(), "n": n, "text": "ja " * 60} for n in range(2000)]
            )
    return stack


if __name__ == "__main__":
    main()
