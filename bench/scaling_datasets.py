"""How commands' cost grows with the number of datasets: processor time, memory, requests.

    .venv/bin/python bench/scaling_datasets.py [--factors 1,10,100] [--days 10]
        [--root directory,s3] [--only status,can,…] [--profile COMMAND]

1× is seven datasets, of three kinds in turn, each with objects, manifests and rollups of a small
day. They are written once and copied under other names. Each figure is of a process of its own.
`--profile` prints where the command's time goes.

S3 is the tests' server, on the loopback: its requests cost processor time, and hardly any waiting.
Each command runs twice there, with an empty cache of manifests and with the one that it has left.
Counted are the requests of the Python process; DuckDB's own, for manifests and columns, are not.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import boto3
import pymongo
from measuring import machine
from quarter_data import Size
from quarter_lake import NAMES, write_lake
from scaling_command import STEPS

from lake.base.day import Day
from lake.rollup.many import roll_up, with_rollups
from lake.servers import Stack, start
from lake.servers.s3 import REGION
from lake.store import open_store

_BASE = 7
_BUCKET = "scaling-{0}"
_HEAD = """[lake]
root = "{root}"
first_day = {first}
{s3}
[sources.mongo]
uri = "{mongo}"
database = "app"
[sources.prometheus]
url = "{prometheus}"
[sources.loki]
url = "{loki}"
"""
_KIND = {
    NAMES[0]: 'source = "prometheus"\nquery = \'{{name="{0}"}}\'\nmode = "raw"\n',
    NAMES[1]: 'source = "loki"\nselector = \'{{name="{0}"}}\'\n',
    NAMES[2]: 'source = "mongo"\ncollection = "{0}"\ntime_field = "timestamp"\n',
}
_LAST = Day.today().plus(-1)
_SETTLED_S = (
    61  # manifests are cached that were not modified in the last minute (lake.query.manifests)
)


def main() -> None:
    """Measures, and prints a table for each place."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--factors", default="1,10,100", help="of seven datasets")
    parser.add_argument("--days", type=int, default=10)
    parser.add_argument("--root", default="directory,s3")
    parser.add_argument("--only", default=",".join(STEPS))
    parser.add_argument("--profile", metavar="COMMAND")
    chosen = parser.parse_args()
    print(machine(), Day.today())
    numbers = [_BASE * int(factor) for factor in chosen.factors.split(",")]
    steps = [chosen.profile] if chosen.profile else chosen.only.split(",")
    for place in chosen.root.split(","):
        with start(["mongo", "prometheus", "loki", "s3"]) as stack:
            by_number = {
                number: _measured_all(stack, place, number, chosen, steps) for number in numbers
            }
        _print(place, steps, by_number)


def _measured_all(
    stack: Stack, place: str, number: int, chosen: argparse.Namespace, steps: list[str]
) -> dict[str, list[dict[str, Any]]]:
    with tempfile.TemporaryDirectory(prefix="scaling-") as name:
        folder = Path(name)
        made = _lake(folder, stack, place, number, chosen.days)
        print(f"  {number} datasets, {made:,} objects in {place}", file=sys.stderr)
        runs = 2 if place == "s3" else 1
        measured: dict[str, list[dict[str, Any]]] = {}
        for step in steps:
            shutil.rmtree(folder / "cache", ignore_errors=True)
            measured[step] = [
                _measured(step, folder, stack, bool(chosen.profile)) for _ in range(runs)
            ]
        return measured


def _measured(step: str, folder: Path, stack: Stack, profile: bool) -> dict[str, Any]:
    script = Path(__file__).with_name("scaling_command.py")
    done = subprocess.run(
        [sys.executable, script, step, folder, *(["profile"] if profile else [])],
        env=os.environ | _keys(stack) | {"LAKE_CACHE_DIR": str(folder / "cache")},
        check=True, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    print(f"    {step}: {answer}", file=sys.stderr)
    return answer


# The lake


def _lake(folder: Path, stack: Stack, place: str, number: int, days: int) -> int:
    """One small lake of three datasets, copied to `number` datasets. Returns the objects."""
    size = Size(_LAST.plus(1 - days), days, 20, 500, 200)
    settings = write_lake(folder / "small", size)
    names = with_rollups(settings, ())
    list(roll_up(settings, open_store(settings), names, None, jobs=1, force=True))
    small = folder / "small/lake"
    files = [path for path in small.rglob("*") if path.is_file() and "audit" not in path.parts]
    kinds = list(_KIND)
    copies = [f"{kinds[at % len(kinds)]}_{at // len(kinds)}" for at in range(number)]
    _write_config(folder, stack, place, copies, days)
    root = folder / "lake"
    written = 0
    for copy in copies:
        old = copy.rpartition("_")[0]
        for path in files:
            if old not in path.relative_to(small).parts:
                continue
            to = root / str(path.relative_to(small)).replace(old, copy)
            to.parent.mkdir(parents=True, exist_ok=True)
            data = path.read_bytes()
            if path.suffix == ".json":
                data = _renamed(data.decode(), old, copy).encode()
            to.write_bytes(data)
            written += 1
    with pymongo.MongoClient(stack.endpoints["mongo"]["uri"]) as client:
        for copy in copies:
            if copy.startswith(NAMES[2]):
                client["app"][copy].create_index("timestamp")
    if place == "s3":
        _upload(root, stack, _BUCKET.format(number))
    return written


def _renamed(text: str, old: str, copy: str) -> str:
    return text.replace(f'"{old}"', f'"{copy}"').replace(f"/{old}/", f"/{copy}/")


def _write_config(folder: Path, stack: Stack, place: str, copies: list[str], days: int) -> None:
    endpoints = stack.endpoints
    s3 = f'[s3]\nendpoint_url = "{endpoints["s3"]["endpoint_url"]}"\nregion = "{REGION}"'
    text = _HEAD.format(
        root="lake" if place == "directory" else f"s3://{_BUCKET.format(len(copies))}",
        first=_LAST.plus(1 - days),
        s3=s3 if place == "s3" else "",
        mongo=endpoints["mongo"]["uri"],
        prometheus=endpoints["prometheus"]["url"],
        loki=endpoints["loki"]["url"],
    )
    for copy in copies:
        kind = _KIND[copy.rpartition("_")[0]].format(copy)
        text += f'[[dataset]]\nname = "{copy}"\n{kind}'
    (folder / "lake.toml").write_text(text)


def _upload(root: Path, stack: Stack, bucket: str) -> None:
    endpoint = stack.endpoints["s3"]
    client = boto3.client(
        "s3", endpoint_url=endpoint["endpoint_url"], region_name=REGION,
        aws_access_key_id=endpoint["access_key"], aws_secret_access_key=endpoint["secret_key"],
    )  # fmt: skip
    client.create_bucket(Bucket=bucket)

    def put(path: Path) -> None:
        key = path.relative_to(root).as_posix()
        client.put_object(Bucket=bucket, Key=key, Body=path.read_bytes())

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(put, (path for path in root.rglob("*") if path.is_file())))
    shutil.rmtree(root)
    time.sleep(_SETTLED_S)


def _keys(stack: Stack) -> dict[str, str]:
    endpoint = stack.endpoints["s3"]
    return {
        "AWS_ACCESS_KEY_ID": endpoint["access_key"],
        "AWS_SECRET_ACCESS_KEY": endpoint["secret_key"],
        "AWS_EC2_METADATA_DISABLED": "true",
    }


# Tables


def _print(
    place: str, steps: list[str], by_number: dict[int, dict[str, list[dict[str, Any]]]]
) -> None:
    heads = ["", *(f"{number} datasets" for number in by_number)]
    print(f"\n{place}\n\n| " + " | ".join(heads) + " |")
    print("| " + " | ".join("---" for _ in heads) + " |")
    for name, run, texts in _rows(steps, by_number):
        print(f"| {name}{run} | " + " | ".join(texts) + " |")
    sys.stdout.flush()


def _rows(
    steps: list[str], by_number: dict[int, dict[str, list[dict[str, Any]]]]
) -> Iterator[tuple[str, str, list[str]]]:
    for step in steps:
        runs = len(next(iter(by_number.values()))[step])
        for at in range(runs):
            run = ("", ", again")[at]
            yield step, run, [_cell(measured[step][at]) for measured in by_number.values()]


def _cell(measured: dict[str, Any]) -> str:
    requests = ", ".join(f"{number:,} {name}" for name, number in measured["requests"].items())
    text = f"{measured['cpu_s']:.1f} s, {measured['peak'] / 1e6:.0f} MB"
    return f"{text}; {requests}" if requests else text


if __name__ == "__main__":
    main()
