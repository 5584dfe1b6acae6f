"""MongoDB: mongodump's archive, or each collection as mongodump lays it out, by our own writer.

Belongs here: the dump's files. Does not: how files travel, loading a dump (mongo_load).

The layout is that of `mongodump --gzip`: `<database>/<collection>.bson.gz` (documents one
after the other, in the order of `_id`) and `<collection>.metadata.json.gz`. Source:
https://www.mongodb.com/docs/database-tools/mongodump/
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import quote_plus

from bson import json_util
from bson.codec_options import CodecOptions
from bson.raw_bson import RawBSONDocument

from lake.base.day import Day
from lake.base.errors import ConfigError, Incomplete
from lake.base.scratch import explained_full_disk
from lake.base.settings import MongoSource, Settings
from lake.servers.credentials import write_private
from lake.snapshots.collecting import Collector
from lake.snapshots.face import Taken
from lake.sources.mongo.connection import connect, explained
from lake.sources.mongo.elements import document_starts

ARCHIVE = "mongodump.archive.gz"
_CHUNK = 1 << 20
_LEVEL = 6
_NAME_CHARS = 208
_PLAIN: CodecOptions[dict[str, Any]] = CodecOptions(document_class=dict)


class MongoSnapshotter:
    """See Snapshotter: the whole configured database."""

    def __init__(self, settings: Settings) -> None:
        section = settings.sources.mongo
        assert isinstance(section, MongoSource)  # noqa: S101  open_snapshotter looked
        self._section = section
        self._tool = settings.snapshots.mongo.tool
        self._client = connect(section)

    def take(self, day: Day, into: Collector) -> Taken:
        """See Snapshotter. The database is of now, whatever the day."""
        tool = self._mongodump()
        names = self._dump_by_tool(tool, into) if tool else self._dump(into)
        with explained(self._section, "its version"):
            version = str(self._client.server_info()["version"])
        return Taken(
            {"name": "MongoDB", "version": version},
            {"start": None, "end": None},
            {"documents": names},
            {"database": self._section.database, "written_by": "mongodump" if tool else "native"},
        )

    def _mongodump(self) -> str | None:
        """Its path, None where our own writer is to be used. Raises ConfigError."""
        found = shutil.which("mongodump") if self._tool != "native" else None
        if found is None and self._tool == "mongodump":
            raise ConfigError(
                "mongodump is not on PATH",
                where="[snapshots.mongo] tool",
                remedy='install the MongoDB database tools, or set tool = "native"',
            )
        return found

    def _dump_by_tool(self, tool: str, into: Collector) -> dict[str, int]:
        """`mongodump --archive --gzip`, as it comes; complete only if it ended well."""
        counts = {
            str(one["name"]): self._count(str(one["name"]))
            for one in self._collections()
            if one.get("type") != "view"
        }
        with tempfile.TemporaryDirectory(prefix="lake-") as folder, into.stream(ARCHIVE) as out:
            config = Path(folder) / "mongodump.yaml"
            write_private(config, json.dumps({"uri": self._section.uri}))
            errors = Path(folder) / "stderr"
            command = [tool, f"--config={config}", f"--db={self._section.database}"]
            with (
                errors.open("wb") as stderr,
                subprocess.Popen(
                    [*command, "--archive", "--gzip"], stdout=subprocess.PIPE, stderr=stderr
                ) as dumping,
            ):
                assert dumping.stdout is not None  # noqa: S101  for the type checker
                while chunk := dumping.stdout.read(_CHUNK):
                    out.write(chunk)
                status = dumping.wait()
            if status:
                told = errors.read_text(errors="replace").strip().splitlines()
                raise Incomplete(
                    "mongodump failed",
                    where=tool,
                    expected="exit status 0",
                    found=f"{status}: {' '.join(told[-3:])}",
                    remedy="see what it says; nothing was stored",
                )
        return counts

    def _collections(self) -> list[dict[str, Any]]:
        """As listCollections tells them, without the server's own."""
        database = self._client.get_database(self._section.database, codec_options=_PLAIN)
        with explained(self._section, "its collections"):
            found = [dict(one) for one in database.list_collections()]
        named = sorted(found, key=lambda one: str(one["name"]))
        # The definitions of views and buckets are in their own metadata.
        return [one for one in named if not str(one["name"]).startswith("system.")]

    def _count(self, name: str) -> int:
        with explained(self._section, f"collection {name}"):
            return int(self._client[self._section.database][name].count_documents({}))

    def _dump(self, into: Collector) -> dict[str, int]:
        counts: dict[str, int] = {}
        for one in self._collections():
            name = str(one["name"])
            into.content(self._metadata(one), self._path(name, "metadata.json"))
            if one.get("type") == "view":
                continue
            # By way of the disk: only what is not stored yet has to travel.
            with explained_full_disk(), tempfile.TemporaryDirectory(prefix="lake-") as folder:
                spooled = Path(folder) / "documents"
                with spooled.open("wb") as out, explained(self._section, f"collection {name}"):
                    counts[name] = self._documents(name, out)
                into.file(spooled, self._path(name, "bson"))
                into.wait()
        return counts

    def close(self) -> None:
        """See Snapshotter."""
        self._client.close()

    def _path(self, collection: str, kind: str) -> str:
        return f"{file_name(self._section.database)}/{file_name(collection)}.{kind}.gz"

    def _metadata(self, one: dict[str, Any]) -> bytes:
        """As mongodump writes it: options, indexes, UUID, name and type."""
        name, kind = str(one["name"]), str(one.get("type", "collection"))
        indexes: list[Any] = []
        if kind != "view":
            database = self._client.get_database(self._section.database, codec_options=_PLAIN)
            with explained(self._section, f"collection {name}"):
                answer = database.command("listIndexes", name, cursor={"batchSize": 1000})
                indexes = list(answer["cursor"]["firstBatch"])
        told = {"indexes": indexes, "collectionName": name, "type": kind}
        if "uuid" in one.get("info", {}):
            told["uuid"] = one["info"]["uuid"].hex()
        told["options"] = one.get("options", {})
        text = json_util.dumps(told, json_options=json_util.CANONICAL_JSON_OPTIONS)
        return gzip.compress(text.encode(), _LEVEL, mtime=0)

    def _documents(self, name: str, out: BinaryIO) -> int:
        """Streams the collection; the same documents give the same bytes."""
        collection = self._client[self._section.database].get_collection(
            name, codec_options=CodecOptions(document_class=RawBSONDocument)
        )
        rows = 0
        # The cursor hands out bytes, whatever its type says.
        cursor: Any = collection.find_raw_batches({}, sort=[("_id", 1)], allow_disk_use=True)
        with gzip.GzipFile("", "wb", _LEVEL, out, mtime=0) as file, cursor:
            for documents in cursor:
                rows += len(document_starts(documents))
                file.write(documents)
        return rows


def file_name(name: str) -> str:
    """mongodump's: percent-encoded; over 208 characters cut, with a hash of the whole."""
    escaped = quote_plus(name, safe="")
    if len(escaped) <= _NAME_CHARS:
        return escaped
    digest = hashlib.sha1(name.encode()).digest()  # noqa: S324  mongodump's choice
    tail = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
    return f"{escaped[:_NAME_CHARS]}%24{tail}"
