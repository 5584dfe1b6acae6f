"""MongoDB documents to typed, exact Parquet ÷ `bson.decode_all`, in documents a second.

Ours is the whole export of a day into a directory: taking answers apart, the spool, sorting,
learning the columns, filling them, fingerprint, Parquet, SHA-256, manifest. The peer makes
Python dicts of the same answers and does nothing with them. Both read raw BSON from the same
file, so no server limits either. Before timing, every document is rebuilt from the Parquet and
compared with the peer's.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator
from pathlib import Path

import bson
from bson import json_util
from measuring import best, interleave, machine, report
from mongo_day import DATASET, DAY, Replayed, day_file, digest, settings

from lake.documents import documents
from lake.export import Exporter
from lake.store import open_store


def export(source: Replayed, root: Path) -> None:
    """One export; what an earlier one left is replaced."""
    requested = settings(root)
    Exporter(requested, open_store(requested), {"mongo": source}).export(DATASET, DAY, force=True)


def decode(source: Replayed) -> int:
    """The peer."""
    return sum(len(bson.decode_all(answer)) for answer in source.answers())


def check(count: int) -> None:
    """A smaller day of the same kind comes back as the peer reads it."""
    path = day_file(count)
    source = Replayed(path, count)
    with tempfile.TemporaryDirectory() as root:
        export(source, Path(root))
        lines = documents(open_store(settings(Path(root))), DATASET, DAY)
        ours = digest(as_read(json_util.loads(line) for line in lines))
    peers = digest(
        as_read(document for answer in source.answers() for document in bson.decode_all(answer))
    )
    assert ours == peers, "not the same documents"


def as_read(decoded: Iterator[dict]) -> Iterator[bytes]:
    """Comparable: fields in order of their names, integers without their width."""
    options = json_util.JSONOptions(json_mode=json_util.JSONMode.RELAXED, tz_aware=False)
    for document in decoded:
        yield json_util.dumps(document, json_options=options, sort_keys=True).encode()


def main() -> None:
    """Prints the ratio."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--documents", type=int, default=300_000)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    print(machine())
    check(20_000)
    path = day_file(arguments.documents)
    source = Replayed(path, arguments.documents)
    print(
        f"{arguments.documents:,} documents of "
        f"{path.stat().st_size / arguments.documents:.0f} bytes"
    )
    with tempfile.TemporaryDirectory() as root:
        export(source, Path(root))  # the compiled loops are loaded, the file is in the cache
        runs = {
            "ours": lambda: export(source, Path(root)),
            "decode_all": lambda: decode(source),
        }
        seconds = interleave(runs, arguments.rounds)
        (table,) = Path(root).rglob("data.parquet")
        print(f"Parquet: {table.stat().st_size / arguments.documents:.1f} bytes a document")
    report(
        "MongoDB: raw answers to typed, exact Parquet, in documents a second",
        arguments.documents / best(seconds["ours"]),
        arguments.documents / best(seconds["decode_all"]),
        "documents/s",
        target=4,
        at_most=False,
        peer_name="decode_all",
    )


main()
