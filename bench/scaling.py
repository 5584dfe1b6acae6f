"""How cost grows with rows, series and days: processor time, memory, bytes, requests.

    .venv/bin/python bench/scaling.py [--only series,lines,documents,days]
        [--factors 1,10,100]

Each figure is of a process of its own, which does one thing; processor time does not depend on
what else the machine does, memory is the process's largest. Writes below a temporary directory, at
most some 3 GB at a time, and removes it. The tables are Markdown, for docs/scaling.md.

Measured is what the lake does with rows; what the sources take to return them is in README.md. The
number of datasets: scaling_datasets.py.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from measuring import machine
from quarter_data import Size
from quarter_lake import FIRST, NAMES, write_lake

from lake.base.day import Day
from lake.config.settings import Settings, load
from lake.partition.layout import table_key
from lake.partition.manifest import Manifest, write_manifest
from lake.query import connect
from lake.store import open_store

# 1×: a day of the demo, rounded.
_DAY = {"series": 200, "lines": 3_000, "documents": 500}
_DATASETS = {"series": NAMES[0], "lines": NAMES[1], "documents": NAMES[2]}
_SAMPLES = 5760  # of a series and day, at a step of 15 s
_DATASET = '[[dataset]]\nname = "{0}"\nsource = "mongo"\ncollection = "{0}"\n'
_CONFIG = """[lake]
root = "lake"
[sources.mongo]
uri = "mongodb://127.0.0.1:27017"
database = "app"
"""
_QUERIES = {
    "series": "SELECT day, status, max(value) FROM {} GROUP BY ALL",
    "lines": "SELECT day, count(*), sum(strlen(line)) FROM {} WHERE line LIKE '%error%' GROUP BY 1",
    "documents": "SELECT day, llm.model, sum(llm.totalTokens) FROM {} GROUP BY ALL",
}


def main() -> None:
    """Measures, and prints tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--only", default="series,lines,documents,days")
    parser.add_argument("--factors", default="1,10,100", help="of the demo's day")
    parser.add_argument("--step", help=argparse.SUPPRESS)
    parser.add_argument("--arguments", default="[]", help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.step:
        _step(chosen.step, json.loads(chosen.arguments))
        return
    print(machine())
    factors = [int(factor) for factor in chosen.factors.split(",")]
    for name in chosen.only.split(","):
        _print(_days(factors) if name == "days" else _rows(name, factors))


def _rows(kind: str, factors: list[int]) -> Iterator[dict[str, Any]]:
    for factor in factors:
        with tempfile.TemporaryDirectory(prefix="scaling-") as folder:
            amount = _DAY[kind] * factor
            written = _measured("write", folder, kind, amount)
            rows = amount * _SAMPLES if kind == "series" else amount
            rolled = _measured("rollup", folder, kind) if kind != "documents" else None
            queried = _measured("query", folder, kind)
            yield {
                f"{kind} a day": f"{amount:,}",
                "rows": f"{rows:,}",
                "object": _bytes(written["bytes"]),
                "bytes a row": f"{written['bytes'] / rows:.2f}",
                "write, CPU": _seconds(written),
                "its memory": _memory(written),
                **(
                    {"rollup, CPU": _seconds(rolled), " its memory": _memory(rolled)}
                    if rolled
                    else {}
                ),
                "query, CPU": _seconds(queried),
                "  its memory": _memory(queried),
            }


def _days(factors: list[int]) -> Iterator[dict[str, Any]]:
    for days in (92 * factor for factor in factors):
        with tempfile.TemporaryDirectory(prefix="scaling-") as folder:
            _measured("empty_days", folder, 1, days)
            yield _manifests(f"{days:,}", "days", folder, days)


def _manifests(number: str, of: str, folder: str, manifests: int) -> dict[str, Any]:
    first_query = _measured("first_query", folder)
    catalog = _measured("catalog", folder)
    return {
        of: number,
        "manifests": f"{manifests:,}",
        "LIST requests": f"{-(-manifests // 1000):,}",
        "query of one dataset, CPU": _seconds(first_query),
        "its memory": _memory(first_query),
        "catalog, CPU": _seconds(catalog),
        " its memory": _memory(catalog),
        "its file": _bytes(catalog["bytes"]),
    }


def _measured(step: str, *arguments: object) -> dict[str, float]:
    call = [sys.executable, __file__, "--step", step, "--arguments", json.dumps(arguments)]
    done = subprocess.run(call, check=True, capture_output=True, text=True)
    answer: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    print(f"  {step} {arguments[1:]}: {answer}", file=sys.stderr)
    return answer


# In a process of its own


def _step(name: str, arguments: list[Any]) -> None:
    begun = time.process_time()
    idle = _peak()
    size = _STEPS[name](*arguments)
    used = resource.getrusage(resource.RUSAGE_SELF)
    print(json.dumps({
        "cpu_s": time.process_time() - begun, "peak": _peak(), "above_idle": _peak() - idle,
        "bytes": size or 0, "reads": used.ru_inblock,
    }))  # fmt: skip


def _peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def _write(folder: str, kind: str, amount: int) -> int:
    amounts = {name: amount if name == kind else 0 for name in _DAY}
    write_lake(Path(folder), Size(FIRST, 1, **amounts))
    return sum(path.stat().st_size for path in Path(folder).rglob("*.parquet"))


def _settings(folder: str) -> Settings:
    return load(f"{folder}/lake.toml", {})


def _query(folder: str, kind: str) -> None:
    with connect(_settings(folder)) as lake:
        list(lake.ask(_QUERIES[kind].format(_DATASETS[kind])).rows)


def _rollup(folder: str, kind: str) -> None:
    from lake.rollup.many import roll_up, with_rollups  # noqa: PLC0415

    settings = _settings(folder)
    datasets = with_rollups(settings, (_DATASETS[kind],))
    list(roll_up(settings, open_store(settings), datasets, None, jobs=1, force=True))


def _empty_days(folder: str, datasets: int, days: int) -> None:
    """Manifests with a schema of forty columns, as long as real ones."""
    names = [f"dataset_{number}" for number in range(datasets)]
    config = Path(folder) / "lake.toml"
    config.write_text(_CONFIG + "".join(_DATASET.format(name) for name in names))
    store = open_store(_settings(folder))
    columns = ["_id", *(f"field_{number}" for number in range(38)), "_rest"]
    schema = [{"name": name, "type": "string"} for name in columns]
    last = Day.today()
    for name in names:
        for number in range(1, days + 1):
            day = last.plus(-number)
            write_manifest(
                store,
                Manifest(
                    dataset=name, day=str(day), source="mongo", key=table_key(name, day), rows=0,
                    bytes=0, sha256="0" * 64, source_count=0, count_method="made", window={},
                    schema=schema, created_at="2026-11-01T00:00:00+00:00", version="0",
                ),
            )  # fmt: skip


def _first_query(folder: str) -> None:
    with connect(_settings(folder)) as lake:
        lake.rows("SELECT day FROM dataset_0 WHERE day = DATE '1999-01-01'")


def _catalog(folder: str) -> int:
    from lake.catalog import write_catalog  # noqa: PLC0415

    file = Path(folder) / "lake.duckdb"
    with connect(_settings(folder)) as lake:
        write_catalog(lake, file)
    return file.stat().st_size


_STEPS: dict[str, Callable[..., int | None]] = {
    "write": _write,
    "query": _query,
    "rollup": _rollup,
    "empty_days": _empty_days,
    "first_query": _first_query,
    "catalog": _catalog,
}


# Tables


def _print(rows: Iterator[dict[str, Any]]) -> None:
    listed = list(rows)
    heads = [name.strip() for name in listed[0]]
    print("\n| " + " | ".join(heads) + " |")
    print("| " + " | ".join("---" for _ in heads) + " |")
    for row in listed:
        print("| " + " | ".join(map(str, row.values())) + " |")
    sys.stdout.flush()


def _seconds(measured: dict[str, float] | None) -> str:
    return f"{measured['cpu_s']:.1f} s" if measured else ""


def _memory(measured: dict[str, float] | None) -> str:
    return f"{measured['peak'] / 1e6:.0f} MB" if measured else ""


def _bytes(size: float) -> str:
    for unit, factor in (("GB", 1e9), ("MB", 1e6)):
        if size >= factor:
            return f"{size / factor:.1f} {unit}"
    return f"{size / 1e3:.0f} kB"


if __name__ == "__main__":
    main()
