"""MongoDB: each collection as mongodump lays it out, by our own writer; or mongodump's archives.

Belongs here: what is dumped, our own writer. Does not: mongodump itself (mongodump), how files
travel (collecting), loading a dump (mongo_load).

The layout is that of `mongodump --gzip`: `<database>/<collection>.bson.gz` (documents one
after the other, in the order of `_id`) and `<collection>.metadata.json.gz`. Source:
https://www.mongodb.com/docs/database-tools/mongodump/

The documents are cut into gzip members of about 4 MiB where their own bytes say so, so that
documents that were added or removed change the members around them only, and the others need
not travel again. A collection whose `dbHash` is that of the last snapshot is not even read.
"""

from __future__ import annotations

import gzip
import hashlib
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from bson import json_util
from bson.codec_options import CodecOptions
from bson.raw_bson import RawBSONDocument
from pymongo.errors import OperationFailure

from lake.base.datasets import MongoDataset
from lake.base.day import Day
from lake.base.errors import BadData, ConfigError
from lake.base.settings import MongoSource, Settings
from lake.snapshots.collecting import Collector
from lake.snapshots.face import Taken, everything_until
from lake.snapshots.mongodump import dump_archive, file_name, mongodump
from lake.sources.mongo.connection import connect, explained, require_collection
from lake.sources.mongo.elements import MalformedError, document_starts
from lake.sources.mongo.reader import of_day

_LEVEL = 6
_MEMBER_BITS = 22  # members of 4 MiB on average
_MOST_BYTES = 32 << 20
_LENGTH, _MARK = 4, 24  # behind its length, a document begins with the type, name and value of _id
_PLAIN: CodecOptions[dict[str, Any]] = CodecOptions(document_class=dict)


@dataclass(frozen=True)
class Job:
    """A collection to dump: its listCollections entry and which of its documents."""

    told: dict[str, Any]
    question: dict[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The collection's."""
        return str(self.told["name"])

    @property
    def is_view(self) -> bool:
        """Whether it has no documents of its own."""
        return self.told.get("type") == "view"


class MongoSnapshotter:
    """See Snapshotter: the whole configured database, or its datasets' documents of one day."""

    def __init__(self, settings: Settings) -> None:
        section = settings.sources.mongo
        assert isinstance(section, MongoSource)  # noqa: S101  open_snapshotter looked
        self._section = section
        self._settings = settings
        self._scope = settings.snapshots.mongo.scope
        self._client = connect(section)

    def take(self, day: Day, into: Collector) -> Taken:
        """See Snapshotter. With `scope = "full"` the database is of now, whatever the day."""
        tool = mongodump(self._settings.snapshots.mongo.tool)
        window = everything_until(datetime.now(UTC))
        with explained(self._section, "its version"):
            version = str(self._client.server_info()["version"])
        jobs = self._jobs_of(day) if self._scope == "day" else self._jobs()
        details: dict[str, Any] = {"database": self._section.database, "scope": self._scope}
        if tool:
            counts = self._dump_by_tool(tool, jobs, into)
            details["written_by"] = "mongodump"
        else:
            hashes: dict[str, str] = {}
            counts = {"documents": self._dump(jobs, into, hashes)}
            details |= {"written_by": "native", "md5": hashes}
        if self._scope == "day":
            window = {"start": day.start.isoformat(), "end": day.end.isoformat()}
        return Taken({"name": "MongoDB", "version": version}, window, counts, details)

    def close(self) -> None:
        """See Snapshotter."""
        self._client.close()

    def _jobs(self) -> list[Job]:
        """All collections, without the server's own."""
        database = self._client.get_database(self._section.database, codec_options=_PLAIN)
        with explained(self._section, "its collections"):
            found = [dict(one) for one in database.list_collections()]
        named = sorted(found, key=lambda one: str(one["name"]))
        # The definitions of views and buckets are in their own metadata.
        return [Job(one) for one in named if not str(one["name"]).startswith("system.")]

    def _jobs_of(self, day: Day) -> list[Job]:
        """The collections that datasets name. Raises ConfigError where there is none, Missing."""
        asked: dict[str, list[dict[str, Any]]] = {}
        for dataset in self._settings.dataset:
            if isinstance(dataset, MongoDataset):
                questions = asked.setdefault(dataset.collection, [])
                questions += [of_day(dataset, day)]
        if not asked:
            raise ConfigError(
                "no collection has documents of a day",
                where='[snapshots.mongo] scope = "day"',
                expected='a [[dataset]] with source = "mongo", whose time_field tells the day',
                remedy='add one, or set scope = "full"',
            )
        for name in asked:
            require_collection(self._client, self._section, name)
        return [
            Job(job.told, asked[job.name][0] if len(asked[job.name]) == 1 else
                {"$or": asked[job.name]})
            for job in self._jobs()
            if job.name in asked
        ]  # fmt: skip

    def _dump_by_tool(self, tool: str, jobs: list[Job], into: Collector) -> dict[str, Any]:
        """Counted before and after: mongodump itself tells nothing, and writes may go on."""
        before = self._counts(jobs)
        for job in jobs if self._scope == "day" else [None]:
            if job is None:
                dump_archive(tool, self._section, into)
            elif not job.is_view:
                dump_archive(tool, self._section, into, job.name, job.question)
        after = self._counts(jobs)
        return {"documents": before} | ({} if after == before else {"documents_after": after})

    def _counts(self, jobs: list[Job]) -> dict[str, int]:
        database, counts = self._client[self._section.database], {}
        for job in jobs:
            if not job.is_view:
                with explained(self._section, f"collection {job.name}"):
                    counts[job.name] = int(database[job.name].count_documents(job.question))
        return counts

    def _dump(self, jobs: list[Job], into: Collector, hashes: dict[str, str]) -> dict[str, int]:
        counts: dict[str, int] = {}
        unchanged = self._unchanged(jobs, into)
        for job in jobs:
            into.content(self._metadata(job.told), self._path(job.name, "metadata.json"))
            if job.is_view:
                continue
            path = self._path(job.name, "bson")
            if job.name in unchanged:
                into.adopt(path, into.known.files[path])
                counts[job.name], hashes[job.name] = unchanged[job.name]
            else:
                with explained(self._section, f"collection {job.name}"):
                    counts[job.name], hashes[job.name] = self._documents(job, path, into)
        into.wait()
        return counts

    def _unchanged(self, jobs: list[Job], into: Collector) -> dict[str, tuple[int, str]]:
        """Collections whose documents are those of the last snapshot, by the server's own hash.

        dbHash is the MD5 over the documents in the order of `_id`, which is that of our file.
        """
        last = into.known.newest
        if last is None or self._scope == "day" or last.details.get("scope") != "full":
            return {}
        if last.details.get("database") != self._section.database:
            return {}
        known: dict[str, str] = last.details.get("md5", {})
        names = [
            job.name
            for job in jobs
            if job.name in known and self._path(job.name, "bson") in into.known.files
        ]
        if not names:
            return {}
        database = self._client.get_database(self._section.database, codec_options=_PLAIN)
        with explained(self._section, "dbHash"):
            found = self._hashes(database, names)
        counts = last.counts["documents"]
        return {
            name: (counts[name], known[name]) for name in names if found.get(name) == known[name]
        }

    @staticmethod
    def _hashes(database: Any, names: list[str]) -> dict[str, str]:
        try:
            answer = database.command("dbHash", collections=names)
        except OperationFailure:  # not every server has it, and not every user may ask
            return {}
        return dict(answer.get("collections", {}))

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

    def _documents(self, job: Job, path: str, into: Collector) -> tuple[int, str]:
        """Streams the collection; the same documents give the same bytes. Their number and MD5."""
        collection = self._client[self._section.database].get_collection(
            job.name, codec_options=CodecOptions(document_class=RawBSONDocument)
        )
        rows, digest = 0, hashlib.md5(usedforsecurity=False)
        # The cursor hands out bytes, whatever its type says.
        cursor: Any = collection.find_raw_batches(
            job.question, sort=[("_id", 1)], allow_disk_use=True
        )
        cut = _Cutter()
        with cursor, into.members(path) as add:
            for documents in cursor:
                digest.update(documents)
                try:
                    rows += cut.take(documents)
                except MalformedError as error:
                    raise BadData("no BSON", where=f"collection {job.name}", found=error) from error
                for member in cut.members():
                    add(member)
            for member in cut.rest():
                add(member)
        return rows, digest.hexdigest()


class _Cutter:
    """Cuts a stream of documents behind those whose own bytes say so.

    The chance grows with a document's size, so that members have the same size on average,
    whatever the documents' size.
    """

    def __init__(self) -> None:
        self._held: list[memoryview] = []
        self._held_bytes = 0
        self._ready: list[bytes] = []

    def take(self, documents: bytes) -> int:
        """The number of documents. Raises MalformedError."""
        view, starts, begin = memoryview(documents), document_starts(documents), 0
        ends = [*starts[1:], len(documents)] if starts else []
        for start, end in zip(starts, ends, strict=True):
            size = end - start
            mark = zlib.crc32(view[start + _LENGTH : min(start + _MARK, end)])
            full = self._held_bytes + end - begin >= _MOST_BYTES
            if full or mark < size << (32 - _MEMBER_BITS):
                self._hold(view[begin:end])
                self._close()
                begin = end
        self._hold(view[begin:])
        return len(starts)

    def _hold(self, part: memoryview) -> None:
        if part:
            self._held.append(part)
            self._held_bytes += len(part)

    def _close(self) -> None:
        self._ready.append(b"".join(self._held))
        self._held, self._held_bytes = [], 0

    def members(self) -> Iterator[bytes]:
        """Those that are whole."""
        ready, self._ready = self._ready, []
        yield from ready

    def rest(self) -> Iterator[bytes]:
        """What is left at the end."""
        if self._held:
            self._close()
        yield from self.members()
