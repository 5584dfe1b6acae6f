"""MongoDB documents to typed, exact Parquet ÷ rivet, in documents a second.

Ours is the whole export of a day (see mongo_decode), read by the same reader as always. The
peer is `rivet run` (PyPI `rivet-cli`) in its fastest profile: it writes two columns, `_id` and
one JSON text a document. Both read the same collection from the same server, which by default
is a replaying one that does no work (replaying_mongo), or SecantusDB, which then is the limit.
rivet's process start is in its time, so the collection should be large. Before timing, the
documents of both are compared.
"""

from __future__ import annotations

import argparse
import io
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import bson
import pyarrow.parquet as pq
import pymongo
from bson import json_util
from bson.raw_bson import RawBSONDocument
from measuring import best, interleave, machine, report
from mongo_day import DATASET, DAY, answers, day_file, digest, settings
from replaying_mongo import replaying

from lake.documents import documents
from lake.export import Exporter
from lake.servers import start
from lake.store import open_store
from lake.systems.mongo.config import MongoSource
from lake.systems.mongo.reading import MongoReader

_CONFIG = """
source:
  type: mongo
  url_env: DATABASE_URL
  tuning:
    profile: fast
exports:
  - name: events
    table: events
    mode: full
    format: parquet
    destination:
      type: local
      path: ./output/
"""


@contextmanager
def server(kind: str, count: int) -> Iterator[str]:
    """Its URI; the collection bench.events has so many documents, all of DAY."""
    path = day_file(count)
    if kind == "replaying":
        with replaying(path) as uri:
            yield uri
        return
    with start(["mongo"]) as stack:
        uri = stack.endpoints["mongo"]["uri"]
        with pymongo.MongoClient[RawBSONDocument](uri) as client:
            client.bench.events.create_index("timestamp")
            for answer in answers(path):
                raw = bson.CodecOptions(document_class=RawBSONDocument)
                client.bench.events.insert_many(bson.decode_file_iter(io.BytesIO(answer), raw))
        yield uri


def ours(uri: str, root: Path) -> None:
    """One export of the day."""
    requested = settings(root)
    reader = MongoReader(MongoSource(uri=uri, database="bench"))
    exporter = Exporter(requested, open_store(requested), {"mongo": reader})
    exporter.export(DATASET, DAY, force=True)
    exporter.close()


def rivets(program: str, uri: str, folder: Path) -> None:
    """One `rivet run`; what an earlier one left is removed."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    (folder / "rivet.yaml").write_text(_CONFIG)
    environment = os.environ | {"DATABASE_URL": f"{uri}/bench"}
    command = [program, "run", "-c", "rivet.yaml"]
    subprocess.run(command, cwd=folder, env=environment, check=True, capture_output=True)


def check(program: str, kind: str, folder: Path) -> None:
    """A smaller day: the documents of both are the same."""
    with server(kind, 20_000) as uri:
        ours(uri, folder / "lake")
        rivets(program, uri, folder / "rivet")
    lines = documents(open_store(settings(folder / "lake")), DATASET, DAY)
    texts = [
        text
        for file in (folder / "rivet").rglob("*.parquet")
        for text in pq.read_table(file)["document"].to_pylist()
    ]
    assert len(texts) == 20_000
    assert digest(map(as_read, lines)) == digest(map(as_read, texts)), "not the same documents"


def as_read(text: str) -> bytes:
    """Comparable: fields in order of their names, integers without their width."""
    options = json_util.JSONOptions(json_mode=json_util.JSONMode.RELAXED, tz_aware=False)
    read: dict[str, Any] = json_util.loads(text)
    return json_util.dumps(read, json_options=options, sort_keys=True).encode()


def main() -> None:
    """Prints the ratio."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--documents", type=int, default=200_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--server", choices=["replaying", "secantus"], default="replaying")
    parser.add_argument("--rivet", default=shutil.which("rivet"), help="the program")
    arguments = parser.parse_args()
    if not arguments.rivet:
        sys.exit("rivet is not on PATH: pip install rivet-cli (in a venv of its own), --rivet PATH")
    print(machine())
    with (
        tempfile.TemporaryDirectory() as name,
        server(arguments.server, arguments.documents) as uri,
    ):
        folder = Path(name)
        check(arguments.rivet, arguments.server, folder / "check")
        runs = {
            "ours": lambda: ours(uri, folder / "lake"),
            "rivet": lambda: rivets(arguments.rivet, uri, folder / "rivet"),
        }
        for run in runs.values():
            run()  # the server makes its answers, the compiled loops are loaded
        seconds = interleave(runs, arguments.rounds)
        for peer in ("lake", "rivet"):
            size = sum(file.stat().st_size for file in (folder / peer).rglob("*.parquet"))
            print(f"Parquet of {peer}: {size / arguments.documents:.1f} bytes a document")
    report(
        f"MongoDB to typed, exact Parquet from a {arguments.server} server",
        arguments.documents / best(seconds["ours"]),
        arguments.documents / best(seconds["rivet"]),
        "documents/s",
        target=3,
        at_most=False,
        peer_name="rivet",
    )


main()
