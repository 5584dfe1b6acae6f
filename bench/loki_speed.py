"""A day of Loki's lines to Parquet: lines a second, against logcli and against raw HTTP.

Ours is a whole export into a directory: reading, Loki's count, sorting, Parquet, fingerprint,
manifest. logcli reads the same day to nowhere in the fastest of its output modes, one query
after the other as it does by itself, with pages as large as ours; beside that its parallel
mode is reported. Raw HTTP sends our very requests again, as many at a time, and throws the
answers away. Loki runs on the same cores as whoever asks it.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from unittest.mock import patch

import requests
from loki_day import DATASET, DAY, BusyLoki, busy_loki
from measuring import best, interleave, machine, report

from lake.base.day import Day
from lake.config.settings import LakeSection, Settings, SourcesSection
from lake.export import Exporter
from lake.http.client import Http
from lake.servers.installing import install
from lake.systems.loki.config import LokiSource

_PARALLEL = 4
_MODES = ("raw", "default", "jsonl")
_SPAN = ("--from", DAY.start.isoformat(), "--to", DAY.end.isoformat())
Question = tuple[str, str, dict[str, Any], dict[str, str]]


def main() -> None:
    """Prints both ratios."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--lines", type=int, default=300_000)
    options.add_argument("--rounds", type=int, default=3)
    arguments = options.parse_args()
    program = str(install("logcli").path)
    with busy_loki(arguments.lines) as loki, tempfile.TemporaryDirectory() as folder:
        print(f"{machine()}; {loki.lines:,} lines, {loki.text_bytes / 2**20:.0f} MiB of text")
        requested = recorded(loki, Path(folder) / "first")
        check(loki, program, requested)
        modes = interleave({m: logcli(program, loki.url, m) for m in _MODES}, 1)
        mode = min(modes, key=lambda name: best(modes[name]))
        seconds = interleave(
            {
                "export": lambda: export(loki, Path(folder) / "again"),
                f"logcli {mode}": logcli(program, loki.url, mode),
                "logcli parallel": in_parallel(program, loki.url, mode, Path(folder)),
                "raw HTTP": lambda: replay(loki, requested),
            },
            arguments.rounds,
        )
    rate = {name: loki.lines / best(times) for name, times in seconds.items()}
    print(f"logcli in {_PARALLEL} parallel parts: {rate['logcli parallel']:,.0f} lines/s")
    report(
        "Loki day to Parquet ÷ logcli", rate["export"], rate[f"logcli {mode}"], "lines/s",
        target=7, at_most=False, peer_name=f"logcli {mode}",
    )  # fmt: skip
    report(
        "Loki day to Parquet ÷ raw HTTP", rate["export"], rate["raw HTTP"], "lines/s",
        target=0.95, at_most=False, peer_name="raw HTTP",
    )  # fmt: skip


def export(loki: BusyLoki, root: Path, day: Day = DAY) -> int:
    """The rows of a forced export."""
    source = LokiSource(url=loki.url, max_parallel=_PARALLEL)
    settings = Settings(
        lake=LakeSection(root=str(root)), sources=SourcesSection(loki=source), dataset=(DATASET,)
    )
    exporter = Exporter(settings)
    try:
        return exporter.export(DATASET, day, force=True, allow_shrink=True).manifest.rows
    finally:
        exporter.close()


def recorded(loki: BusyLoki, root: Path) -> list[Question]:
    """What an export asks."""
    questions: list[Question] = []
    send = Http.request

    def recording(self: Http, method: str, path: str, **options: Any) -> Any:
        payload = {name: options[name] for name in ("params", "data") if options.get(name)}
        questions.append((method, path, payload, dict(options.get("headers") or {})))
        return send(self, method, path, **options)

    with patch.object(Http, "request", recording):
        rows = export(loki, root)
    assert rows == loki.lines, f"{rows} rows of {loki.lines} lines"
    return questions


def replay(
    loki: BusyLoki, questions: list[Question], look: Callable[[bytes], None] | None = None
) -> None:
    """The same questions, as many at a time; the answers go nowhere."""
    with requests.Session() as session, ThreadPoolExecutor(_PARALLEL) as pool:
        session.trust_env = False

        def ask(question: Question) -> None:
            method, path, payload, headers = question
            wanted = {"Accept-Encoding": "identity", **headers}
            with session.request(
                method, loki.url + path, headers=wanted, stream=True, timeout=300, **payload
            ) as answer:
                pieces = [piece for piece in answer.iter_content(1 << 18) if look]
            if look and path.endswith("query_range") and answer.status_code == 200:
                look(b"".join(pieces))

        list(pool.map(ask, questions))


def logcli(program: str, url: str, mode: str, *more: str, out: Any = subprocess.DEVNULL) -> Any:
    """A run that reads the whole day."""
    command = [program, "query", "--quiet", "--forward", "--limit=0", "--batch=5000", *_SPAN]
    command += [f"--output={mode}", *more, DATASET.selector]
    env = {**os.environ, "LOKI_ADDR": url}
    return lambda: subprocess.run(
        command, check=True, env=env, stdout=out, stderr=subprocess.DEVNULL
    )


def in_parallel(program: str, url: str, mode: str, folder: Path) -> Any:
    """logcli's own way to use several queries at a time: files of an hour each, put together."""
    return logcli(
        program, url, mode, "--parallel-duration=1h", f"--parallel-max-workers={_PARALLEL}",
        f"--part-path-prefix={folder}/part", "--overwrite-completed-parts", "--merge-parts",
    )  # fmt: skip


def check(loki: BusyLoki, program: str, questions: list[Question]) -> None:
    """All of them see every line. Pages overlap where one was full, so raw HTTP sees more."""
    seen: list[int] = []

    def look(content: bytes) -> None:
        data = json.loads(content)["data"]
        if data["resultType"] == "streams":
            seen.append(sum(len(stream["values"]) for stream in data["result"]))

    replay(loki, questions, look)
    assert sum(seen) >= loki.lines, f"raw HTTP saw {sum(seen)} of {loki.lines} lines"
    with tempfile.TemporaryFile() as file:
        logcli(program, loki.url, "jsonl", out=file)()
        file.seek(0)
        lines = sum(1 for _ in file)
    if lines != loki.lines:
        print(f"logcli gives {lines} of {loki.lines} lines: it loses some where pages meet")


if __name__ == "__main__":
    main()
