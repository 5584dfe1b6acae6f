"""A dump into a MongoDB server, with its options, indexes and views.

Belongs here: reading mongodump's layout, or handing its archive to mongorestore.
Does not: writing dumps (mongo).
"""

from __future__ import annotations

import gzip
import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import pymongo
from bson import json_util
from bson.raw_bson import RawBSONDocument
from pymongo.errors import BulkWriteError, OperationFailure, PyMongoError

from lake.base.errors import BadData, Incomplete, PermanentError
from lake.base.scratch import scratch_directory
from lake.servers.credentials import write_private
from lake.snapshots.mongodump import OF_A_COLLECTION

NEVER_S = 2147483647  # a TTL index that removes nothing
_BATCH_BYTES = 8 << 20
_METADATA = ".metadata.json.gz"
_FAILED = re.compile(r"(\d+) document\(s\) failed to restore")
# What listIndexes tells and createIndexes does not take.
_NOT_OPTIONS = ("ns", "v")


@dataclass
class Loaded:
    """Documents by collection; `remarks` for what is not as it was."""

    documents: dict[str, int] = field(default_factory=dict)
    remarks: list[str] = field(default_factory=list)


def load_dump(uri: str, dump: Path, *, hold_ttl: bool) -> Loaded:
    """Loads a dump's directory into the server. `hold_ttl`: TTL indexes remove nothing.

    Raises BadData (a file that is no dump), Incomplete (documents that were refused),
    PermanentError (an archive without mongorestore).
    """
    archives = sorted(dump.glob(f"*{OF_A_COLLECTION}"))
    for archive in archives:
        _by_tool(uri, archive)
    if archives:
        return Loaded(remarks=_held(uri) if hold_ttl else [])
    loaded = Loaded()
    with pymongo.MongoClient[dict[str, Any]](uri, tz_aware=True) as client:
        for folder in sorted(path for path in dump.iterdir() if path.is_dir()):
            files = sorted(folder.glob(f"*{_METADATA}"))
            told = [(path, _metadata(path)) for path in files]
            # Views last: they need not be there, but what they look at should.
            for path, metadata in sorted(told, key=lambda one: one[1]["type"] == "view"):
                _collection(client[_database(folder)], path, metadata, loaded, hold_ttl=hold_ttl)
    return loaded


def _database(folder: Path) -> str:
    from urllib.parse import unquote_plus  # noqa: PLC0415

    return unquote_plus(folder.name)


def _collection(
    database: Any, path: Path, metadata: dict[str, Any], loaded: Loaded, *, hold_ttl: bool
) -> None:
    name = metadata["collectionName"]
    where = f"{database.name}.{name}"
    try:
        database.command({"create": name, **metadata.get("options", {})})
    except PyMongoError as error:
        raise Incomplete("a collection could not be made", where=where, found=error) from error
    if metadata["type"] == "view":
        return
    documents = path.with_name(path.name.removesuffix(_METADATA) + ".bson.gz")
    loaded.documents[name] = 0
    for batch in _batches(documents):
        try:
            database[name].insert_many(batch, ordered=False)
        except BulkWriteError as error:
            failed = error.details["writeErrors"]
            raise Incomplete(
                "documents were refused by the server",
                where=where,
                found=f"{len(failed)} of {len(batch)}: {failed[0].get('errmsg')}",
                remedy="a real mongod on PATH takes what its stand-in refuses",
            ) from error
        except PyMongoError as error:
            raise Incomplete("the load was interrupted", where=where, found=error) from error
        loaded.documents[name] += len(batch)
    _indexes(database, name, metadata.get("indexes", []), loaded, hold_ttl=hold_ttl)


def _indexes(
    database: Any, name: str, indexes: list[dict[str, Any]], loaded: Loaded, *, hold_ttl: bool
) -> None:
    for index in indexes:
        if index["name"] == "_id_":
            continue
        options = {key: value for key, value in index.items() if key not in _NOT_OPTIONS}
        if hold_ttl and "expireAfterSeconds" in options:
            was, options["expireAfterSeconds"] = options["expireAfterSeconds"], NEVER_S
            loaded.remarks.append(_remark(name, index["name"], was))
        try:
            database.command("createIndexes", name, indexes=[options])
        except OperationFailure as error:
            loaded.remarks.append(f"{name}: the index {index['name']} was refused: {error}")


def _metadata(path: Path) -> dict[str, Any]:
    try:
        text = gzip.decompress(path.read_bytes()).decode()
        found: dict[str, Any] = json_util.loads(text)
        found.setdefault("type", "collection")
        found["collectionName"]
    except (OSError, ValueError, KeyError) as error:
        raise BadData("not mongodump's metadata", where=path, found=error) from error
    return found


def _batches(path: Path) -> Iterator[list[RawBSONDocument]]:
    batch: list[RawBSONDocument] = []
    size = 0
    try:
        with gzip.open(path, "rb") as file:
            for document in _documents(file):
                batch.append(RawBSONDocument(document))
                size += len(document)
                if size >= _BATCH_BYTES:
                    yield batch
                    batch, size = [], 0
    except (OSError, EOFError) as error:
        raise BadData("not a dump's documents", where=path, found=error) from error
    if batch:
        yield batch


def _documents(file: BinaryIO | gzip.GzipFile) -> Iterator[bytes]:
    while head := file.read(4):
        size = int.from_bytes(head, "little")
        rest = file.read(size - 4) if size >= 5 else b""
        if len(rest) != size - 4:
            raise EOFError("a document that is cut off")
        yield head + rest


def _held(uri: str) -> list[str]:
    """mongorestore makes TTL indexes as they were: they are held afterwards."""
    remarks = []
    with pymongo.MongoClient[dict[str, Any]](uri) as client:
        for database in client.list_database_names():
            if database in ("admin", "config", "local"):
                continue
            for one in client[database].list_collections(filter={"type": "collection"}):
                name = one["name"]
                for index, told in client[database][name].index_information().items():
                    if told.get("expireAfterSeconds", NEVER_S) != NEVER_S:
                        client[database].command(
                            "collMod",
                            name,
                            index={"name": index, "expireAfterSeconds": NEVER_S},
                        )
                        remarks.append(_remark(name, index, told["expireAfterSeconds"]))
    return remarks


def _remark(collection: str, index: str, was: int) -> str:
    return f"{collection}: the TTL index {index} removes nothing (it was {was} s)"


def _by_tool(uri: str, archive: Path) -> None:
    tool = shutil.which("mongorestore")
    if tool is None:
        raise PermanentError(
            "the snapshot is mongodump's archive, and mongorestore is not on PATH",
            where=archive,
            remedy="install the MongoDB database tools",
        )
    with scratch_directory() as folder:
        config = folder / "mongorestore.yaml"
        write_private(config, json.dumps({"uri": uri}))
        command = [tool, f"--config={config}", f"--archive={archive}", "--gzip", "--stopOnError"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    failed = _FAILED.search(done.stderr)
    if done.returncode or (failed and int(failed[1])):
        raise Incomplete(
            "mongorestore failed",
            where=archive,
            found=f"exit status {done.returncode}: {done.stderr.strip()[-500:]}",
        )
