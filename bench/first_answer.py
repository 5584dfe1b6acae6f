"""From `lake restore prometheus --serve` to the first right answer ÷ `promtool tsdb
create-blocks-from openmetrics` on the same day.

Ours: the program starts, fetches the snapshot from a directory, proves every byte, starts a
Prometheus, which is then asked for the day's samples. The peer: the day's samples as OpenMetrics
text into blocks, which nobody has asked yet. The answer has to be the source's own.

    .venv/bin/python bench/first_answer.py [--series N] [--rounds N]
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import numpy as np
import requests
from measuring import best, interleave, machine, report
from prometheus_day import SAMPLES, integer_counters, labels_of, load_day, scrape_times

from lake.base.day import Day
from lake.config.settings import load
from lake.servers import find, start
from lake.snapshot import take_snapshot
from lake.store import open_store

DAY = Day.today().plus(-1)
QUESTION = 'sum(count_over_time({__name__=~".+"}[1d]))'


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--series", type=int, default=500)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    promtool = find("promtool")
    if promtool is None:
        raise SystemExit("no promtool: `lake services install promtool` gets one")
    print(machine())
    with tempfile.TemporaryDirectory(prefix="lake-bench-") as name:
        compare(Path(name), promtool.path, arguments.series, arguments.rounds)


def compare(place: Path, promtool: Path, series: int, rounds: int) -> None:
    config = place / "lake.toml"
    with start(["prometheus"]) as source:
        endpoint = source.endpoints["prometheus"]
        total = load_day(endpoint["url"], DAY, integer_counters(series))
        config.write_text(
            f'[lake]\nroot = "lake"\n[sources.prometheus]\nurl = "{endpoint["url"]}"\n'
            f'[snapshots.prometheus]\ndata_dir = "{endpoint["data_dir"]}"\n'
        )
        settings = load(str(config), {})
        take_snapshot(settings, open_store(settings), "prometheus")
        if answer(endpoint["url"]) != total:
            raise SystemExit("the source does not hold what was written")
    text = place / "day.txt"
    with text.open("wb") as file:
        file.writelines(openmetrics(series))
    numbers = count()

    def ours() -> None:
        into = place / f"ours-{next(numbers)}"
        command = ["restore", "prometheus", "--day", str(DAY), "--into", str(into), "--serve"]
        serving = subprocess.Popen(
            [sys.executable, "-m", "lake", *command, "--config", str(config)],
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
        )  # fmt: skip
        assert serving.stdout is not None
        number = answer(json.loads(serving.stdout.readline())["prometheus"]["url"])
        answered.append((serving, number))

    answered: list[tuple[subprocess.Popen[str], int]] = []

    def theirs() -> None:
        into = place / f"theirs-{next(numbers)}"
        command = [promtool, "tsdb", "create-blocks-from", "openmetrics", text, into]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)

    try:
        seconds = interleave({"lake": ours, "promtool": theirs}, rounds)
    finally:
        for serving, _ in answered:
            serving.terminate()
            serving.wait(60)
    if {number for _, number in answered} != {total}:
        raise SystemExit(f"other answers than {total}: {answered}")
    report(
        f"to the first right answer, {series} series, {total:,} samples",
        best(seconds["lake"]), best(seconds["promtool"]), "s",
        target=1 / 20, at_most=True, peer_name="promtool",
    )  # fmt: skip


def answer(url: str) -> int:
    """The day's samples, as the server counts them."""
    content = requests.get(
        f"{url}/api/v1/query",
        params={"query": QUESTION, "time": (DAY.end_ms - 1) / 1000},
        timeout=120,
    ).json()
    return int(content["data"]["result"][0]["value"][1])


def openmetrics(series: int) -> Iterator[bytes]:
    times = scrape_times(DAY)
    seconds = np.char.mod("%.3f", times / 1000)
    for number, values in enumerate(integer_counters(series)):
        labels = labels_of(number)
        name = labels.pop("__name__")
        own = ",".join(f'{key}="{value}"' for key, value in labels.items())
        if number < 10:
            yield f"# TYPE {name.removesuffix('_total')} counter\n".encode()
        head = f"{name}{{{own}}}"
        yield "".join(
            f"{head} {value:.0f} {at}\n"
            for value, at in zip(values[:SAMPLES].tolist(), seconds.tolist(), strict=True)
        ).encode()
    yield b"# EOF\n"


if __name__ == "__main__":
    main()
