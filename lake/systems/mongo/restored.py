"""A dump in a running MongoDB: loaded, and each collection counted.

Belongs here: what a server needs to hold a dump. Does not: starting it (lake.restore).
"""

from __future__ import annotations

import json
import shlex
from dataclasses import asdict
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pymongo

from lake.snapshots.manifest import SnapshotManifest
from lake.systems.mongo.snapshot.load import load_dump
from lake.systems.mongo.snapshot.loading import LoadedDump
from lake.systems.mongo.snapshot.mongodump import OF_A_COLLECTION
from lake.systems.mongo.system import SYSTEM
from lake.systems.restored import between, differs

BELOW = SYSTEM.restored_below
_LOADED = "loaded.json"
_PORT = 27017


def loaded(manifest: SnapshotManifest, into: Path, uri: str) -> tuple[dict[str, Any], list[str]]:
    """Loads the dump, unless an earlier start has; then counts each collection."""
    mark, database = into / "mongo" / _LOADED, str(manifest.details["database"])
    with pymongo.MongoClient[dict[str, Any]](uri) as client:
        done, problem = LoadedDump(), "nothing was loaded"
        if mark.exists():
            done = _marked(mark)
            # A server that was killed may have lost some of it.
            problem = _difference(manifest, client[database], done)[0]
        if problem:
            client.drop_database(database)  # half of it, where a start was interrupted
            done = load_dump(uri, into / BELOW, hold_ttl=True)
            mark.write_text(json.dumps(asdict(done)), encoding="utf-8")
        expected, counts = _difference(manifest, client[database], done)
        if expected:
            raise differs(manifest, expected, counts)
        names = [name for name in manifest.counts["documents"] if name not in done.left_out]
        counted = {name: client[database][name].count_documents({}) for name in names}
        return {"documents": counted}, done.remarks


def not_loaded(into: Path) -> list[str]:
    """The collections that the server can't hold, after `loaded`."""
    return _marked(into / "mongo" / _LOADED).left_out


def _marked(mark: Path) -> LoadedDump:
    content = json.loads(mark.read_text("utf-8"))
    # An earlier version wrote the remarks alone.
    return LoadedDump(remarks=content) if isinstance(content, list) else LoadedDump(**content)


def _difference(manifest: SnapshotManifest, database: Any, done: LoadedDump) -> tuple[str, str]:
    """What is expected and found of the collections that have other counts; both '' if none."""
    before: dict[str, int] = manifest.counts["documents"]
    after: dict[str, int] = manifest.counts.get("documents_after", before)
    expected, wrong = [], []
    for name, count in before.items():
        if name in done.left_out:
            continue
        low, high = sorted((count, after.get(name, 0)))
        documents = database[name].count_documents({})
        if not low <= documents <= high:
            expected.append(f"{name} = {between(low, high)}")
            wrong.append(f"{name} = {documents}")
    return ", ".join(expected), ", ".join(wrong)


def compose_service(into: Path) -> dict[str, Any]:
    """An empty server, which mongorestore fills."""
    archives = sorted(path.name for path in (into / BELOW).glob(f"*{OF_A_COLLECTION}"))
    sources = [f"--archive=/dump/{shlex.quote(name)}" for name in archives] or ["/dump"]
    # Documents may be older than their collection's validator.
    tool = "mongorestore --gzip --stopOnError --bypassDocumentValidation"
    loads = " && ".join(f"{tool} {source}" for source in sources)
    load = f"until mongosh --quiet --eval 1; do sleep 1; done; {loads}"
    return {
        "ports": [f"127.0.0.1:{_PORT}:{_PORT}"],
        # The TTL monitor would remove what mongorestore has just brought back.
        "command": ["--setParameter", "ttlMonitorEnabled=false"],
        "volumes": ["./dump:/dump:ro"],
        "post_start": [{"command": ["sh", "-c", load]}],
    }


def next_steps(uri: str, database: str) -> list[str]:
    """Commands for a person."""
    address = f"{uri}/{quote(database, safe='')}"
    return [
        f"point a service at it: {address}",
        f"  with Spring Boot: SPRING_DATA_MONGODB_URI={address}",
        f"or look yourself: mongosh {address}",
    ]
