"""The same samples as a Prometheus block: a snapshot of the server, and promtool's dump of it.

Belongs here: what the peers of the raw benchmarks are. Does not: loading, timing.
"""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import requests

from lake.servers import find, install


@dataclass(frozen=True)
class Block:
    """A snapshot's directory, what its blocks hold and weigh."""

    path: Path
    samples: int
    bytes: int


def snapshot(endpoint: dict[str, str]) -> Block:
    """Everything that the server has, as it lies in blocks."""
    answer = requests.post(f"{endpoint['url']}/api/v1/admin/tsdb/snapshot", timeout=300)
    answer.raise_for_status()
    path = Path(endpoint["data_dir"]) / "snapshots" / answer.json()["data"]["name"]
    reported = [json.loads(meta_file.read_text()) for meta_file in path.glob("*/meta.json")]
    samples = sum(block["stats"].get("numSamples", 0) for block in reported)
    size = sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
    (path / "wal").mkdir(exist_ok=True)  # promtool wants one
    return Block(path, samples, size)


def promtool() -> str:
    """3.16's where it is installed, else 2.42's; which one is reported."""
    binary = find("promtool3") or install("promtool")
    print(f"promtool {binary.version}", file=sys.stderr)
    return str(binary.path)


def dump(tool: str, block: Block, match: str = "") -> None:
    """All samples as text, to nowhere."""
    subprocess.run(_command(tool, block, match), check=True, stdout=subprocess.DEVNULL)


def dumped(tool: str, block: Block, match: str) -> np.ndarray:
    """The (ms, value) of the series that match, sorted."""
    text = subprocess.run(_command(tool, block, match), check=True, capture_output=True).stdout
    pairs = [line.rsplit(b" ", 2)[1:] for line in text.splitlines()]
    samples = np.array([(int(at), float(value)) for value, at in pairs], "i8,f8")
    return np.sort(samples)


def _command(tool: str, block: Block, match: str) -> list[str]:
    matching = [f"--match={match}"] if match else []
    return [tool, "tsdb", "dump", *matching, str(block.path)]
