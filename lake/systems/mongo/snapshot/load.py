"""A dump into a MongoDB server, with its options, indexes and views.

Belongs here: reading mongodump's layout or archive, or handing the archive to mongorestore.
Does not: writing dumps (mongo_native), what is done with a collection (mongo_loading).
"""

from __future__ import annotations

import gzip
import json
import re
import secrets
import shutil
import subprocess
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import unquote_plus

import pymongo

from lake.base.errors import BadData, Incomplete
from lake.process.scratch import scratch_directory
from lake.servers.credentials import write_private
from lake.systems.mongo.reading.connection import TOLERANT
from lake.systems.mongo.snapshot.archive import BUCKETS, Described, MongoArchive, plain_name
from lake.systems.mongo.snapshot.loading import (
    NEVER_S,
    DumpLoader,
    LoadedDump,
    keeps_buckets,
    removes_nothing,
)
from lake.systems.mongo.snapshot.metadata import loads
from lake.systems.mongo.snapshot.mongodump import OF_A_COLLECTION, file_name

_METADATA = ".metadata.json.gz"
_FAILED = re.compile(r"(\d+) document\(s\) failed to restore")
_SERVERS_OWN = ("admin", "config", "local")
Client = pymongo.MongoClient[dict[str, Any]]


def load_dump(uri: str, dump: Path, *, hold_ttl: bool) -> LoadedDump:
    """Loads a dump's directory into the server. `hold_ttl`: TTL indexes remove nothing.

    Archives go through mongorestore where it is on PATH. Raises BadData (a file that is no
    dump), Incomplete (documents that were refused).
    """
    loaded = LoadedDump()
    archives = sorted(dump.glob(f"*{OF_A_COLLECTION}"))
    with Client(uri) as client:
        for archive in archives:
            _add(loaded, _archive(client, uri, archive, hold_ttl=hold_ttl))
        if archives and hold_ttl:
            loaded.remarks += _held(client)
        for folder in sorted(path for path in dump.iterdir() if path.is_dir()):
            _add(loaded, _folder(client, folder, hold_ttl=hold_ttl))
    return loaded


def definitions(dump: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Each collection and view: its database, and its metadata as mongodump writes it.

    Raises BadData.
    """
    for archive in sorted(dump.glob(f"*{OF_A_COLLECTION}")):
        with MongoArchive(archive) as opened:
            for described in opened.collections:
                yield described.database, described.metadata
    for folder in sorted(path for path in dump.iterdir() if path.is_dir()):
        for path in sorted(folder.glob(f"*{_METADATA}")):
            yield unquote_plus(folder.name), _metadata(path)


def _add(loaded: LoadedDump, more: LoadedDump) -> None:
    loaded.documents |= more.documents
    loaded.remarks += more.remarks
    loaded.left_out += more.left_out


def _folder(client: Client, folder: Path, *, hold_ttl: bool) -> LoadedDump:
    loader = DumpLoader(client, unquote_plus(folder.name), hold_ttl=hold_ttl)
    metadata_by_name = [_metadata(path) for path in sorted(folder.glob(f"*{_METADATA}"))]
    for metadata in metadata_by_name:
        loader.define(metadata)
    for metadata in metadata_by_name:
        name = metadata["collectionName"]
        buckets = _bson(folder, BUCKETS + name)
        if metadata["type"] != "view":
            # An earlier version kept measurements under the collection's own name.
            path = buckets if buckets.exists() else _bson(folder, name)
            loader.add(name, _read(path))
    return loader.finish()


def _bson(folder: Path, name: str) -> Path:
    return folder / f"{file_name(name)}.bson.gz"


def _metadata(path: Path) -> dict[str, Any]:
    try:
        content = loads(gzip.decompress(path.read_bytes()))
        content.setdefault("type", "collection")
        content["collectionName"]
    except (OSError, EOFError, ValueError, KeyError, zlib.error) as error:
        raise BadData("not mongodump's metadata", where=path, found=error) from error
    return content


def _read(path: Path) -> Iterator[bytes]:
    try:
        with gzip.open(path, "rb") as file:
            yield from _documents(file)
    except (OSError, EOFError, zlib.error) as error:
        raise BadData("not a dump's documents", where=path, found=error) from error


def _documents(file: BinaryIO | gzip.GzipFile) -> Iterator[bytes]:
    while head := file.read(4):
        size = int.from_bytes(head, "little")
        rest = file.read(size - 4) if size >= 5 else b""
        if len(rest) != size - 4:
            raise EOFError("a document that is cut off")
        yield head + rest


def _archive(client: Client, uri: str, archive: Path, *, hold_ttl: bool) -> LoadedDump:
    """By mongorestore, but for what it would not bring back into this server."""
    tool = shutil.which("mongorestore")
    with MongoArchive(archive) as opened:
        own = [
            collection
            for collection in opened.collections
            if tool is None or _only_here(client, collection)
        ]
        if tool is not None:
            _by_tool(tool, uri, archive, own)
        if not own:
            return LoadedDump()
        names = list(dict.fromkeys(collection.database for collection in own))
        loaders = {name: DumpLoader(client, name, hold_ttl=hold_ttl) for name in names}
        for described in own:
            loaders[described.database].define(described.metadata)
        wanted = {(collection.database, collection.name) for collection in own}
        for (database, name), documents in opened.documents():
            if (database, plain_name(name)) in wanted:
                loaders[database].add(name, documents)
    loaded = LoadedDump()
    for loader in loaders.values():
        _add(loaded, loader.finish())
    return loaded


def _only_here(client: Client, collection: Described) -> bool:
    """A time-series collection, where the dump or the server has no buckets of it.

    mongorestore takes the documents for buckets, by the collection's options alone.
    """
    series = collection.metadata.get("options", {}).get("timeseries")
    if series is None:
        return False
    return collection.metadata["type"] != "timeseries" or not _has_time_series(client)


def _has_time_series(client: Client) -> bool:
    """Tried in a database of its own: a stand-in's version does not show it."""
    name = f"lake_probe_{secrets.token_hex(4)}"
    try:
        client[name].create_collection("probe", timeseries={"timeField": "at"})
        return keeps_buckets(client[name], "probe")
    except pymongo.errors.OperationFailure:
        return False
    finally:
        client.drop_database(name)


def _listed(client: Client, database: str, command: str, name: Any) -> list[dict[str, Any]]:
    """A reply decoded tolerantly: definitions of views and partial indexes may have any date."""
    question = {command: name, "cursor": {}}
    return list(client[database].cursor_command(question, codec_options=TOLERANT))


def _held(client: Client) -> list[str]:
    """mongorestore makes TTL indexes as they were: they are held afterwards."""
    remarks = []
    for database in client.list_database_names():
        if database in _SERVERS_OWN:
            continue
        for entry in _listed(client, database, "listCollections", 1):
            name, options = entry["name"], entry.get("options", {})
            if entry.get("type") == "view" or str(name).startswith("system."):
                continue
            if options.get("expireAfterSeconds", NEVER_S) != NEVER_S:
                client[database].command("collMod", name, expireAfterSeconds="off")
                remarks.append(removes_nothing(name, "the option", options["expireAfterSeconds"]))
            for index in _listed(client, database, "listIndexes", name):
                seconds = index.get("expireAfterSeconds", NEVER_S)
                if seconds != NEVER_S:
                    held = {"name": index["name"], "expireAfterSeconds": NEVER_S}
                    client[database].command("collMod", name, index=held)
                    remarks.append(removes_nothing(name, f"the TTL index {index['name']}", seconds))
    return remarks


def _by_tool(tool: str, uri: str, archive: Path, without: Sequence[Described]) -> None:
    with scratch_directory() as folder:
        config = folder / "mongorestore.yaml"
        write_private(config, json.dumps({"uri": uri}))
        command = [
            tool,
            f"--config={config}",
            f"--archive={archive}",
            "--gzip",
            "--stopOnError",
            "--maintainInsertionOrder",  # capped collections
            "--bypassDocumentValidation",  # documents older than their validator
            *(f"--nsExclude={_pattern(collection)}" for collection in without),
        ]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    failed = _FAILED.search(done.stderr)
    if done.returncode or (failed and int(failed[1])):
        raise Incomplete(
            "mongorestore failed",
            where=archive,
            found=f"exit status {done.returncode}: {done.stderr.strip()[-500:]}",
            remedy="without mongorestore on PATH `lake restore` reads the archive itself",
        )


def _pattern(collection: Described) -> str:
    return f"{collection.database}.{collection.name}".replace("\\", "\\\\").replace("*", "\\*")
