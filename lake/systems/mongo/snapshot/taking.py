"""MongoDB: the whole configured database, or its datasets' documents of one day.

Belongs here: which collections are dumped, the counts, the days that the dump holds whole.
Does not: our own writer (mongo_native), mongodump (mongodump), how files travel (collecting),
loading a dump (mongo_load).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from pymongo.errors import PyMongoError

from lake.base.clock import utc_now
from lake.base.day import Day
from lake.base.errors import ConfigError, Missing
from lake.config.settings import Settings
from lake.snapshots.collecting import Collector
from lake.snapshots.taken import Taken, everything_until
from lake.systems.mongo.config import MongoDataset, MongoSource
from lake.systems.mongo.reading.connection import connect, explained, require_collection
from lake.systems.mongo.reading.reader import of_day
from lake.systems.mongo.snapshot.days import (
    COUNTED_AS,
    DOCUMENTS_BY_DAY,
    ByDay,
    Candidates,
    Kept,
    counted_as,
    counted_by_day,
    mongo_datasets,
    removed_otherwise,
    ttl_of,
    whole_days,
    whole_without_datasets,
)
from lake.systems.mongo.snapshot.metadata import PLAIN
from lake.systems.mongo.snapshot.mongodump import dump_archive, mongodump
from lake.systems.mongo.snapshot.native import Job, NativeDump, indexes_of

STORED_FUNCTIONS = "system.js"


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
        """See Snapshotter. With `scope = "day"` only the documents of that day."""
        tool = mongodump(self._settings.snapshots.mongo.tool)
        window = everything_until(utc_now())
        with explained(self._section, "its version and clock"):
            version = str(self._client.server_info()["version"])
            begun: datetime = self._client.admin.command("hello")["localTime"].replace(tzinfo=UTC)
        self._require_database()
        among = Candidates.of(self._settings, into.store, day.plus(1))
        before = self._by_day(among)
        jobs = self._jobs_of(day) if self._scope == "day" else self._jobs()
        details: dict[str, Any] = {"database": self._section.database, "scope": self._scope}
        if tool:
            counts = self._dump_by_tool(tool, jobs, into)
            details["written_by"] = "mongodump"
        else:
            counts = {"documents": NativeDump(self._client, self._section, into).run(jobs)}
            details["written_by"] = "native"
        ended, after = utc_now(), self._by_day(among)
        kept = [
            self._kept(mongo_dataset, before, after)
            for mongo_dataset in mongo_datasets(self._settings)
        ]
        whole = (
            whole_days(self._settings, among, kept, ended)
            if kept
            else whole_without_datasets(self._limits(jobs), day, ended)
        )
        # This machine's clock may be fast: a day that is not over at the server is not whole.
        whole = [whole_day for whole_day in whole if whole_day.end <= begun]
        details[DOCUMENTS_BY_DAY] = _texts(before)
        details[COUNTED_AS] = {
            each.name: counted_as(each) for each in mongo_datasets(self._settings)
        }
        if self._scope == "day":
            window = {"start": day.start.isoformat(), "end": day.end.isoformat()}
            whole = [whole_day for whole_day in whole if whole_day == day]
        return Taken({"name": "MongoDB", "version": version}, window, counts, details, whole)

    def close(self) -> None:
        """See Snapshotter."""
        self._client.close()

    def _require_database(self) -> None:
        """Raises Missing: a dump of a database that is not there would be empty and succeed."""
        name = self._section.database
        with explained(self._section, "its collections"):
            if self._client[name].list_collection_names(authorizedCollections=True):
                return
        raise Missing(
            f"no database {name!r}, or it has no collection",
            where=self._section.uri,
            expected=f"the database that [sources.mongo] names: {name}",
            found=self._databases(),
            remedy="correct `database` of [sources.mongo] or `uri`; where the database was "
            "dropped: `lake snapshots` lists the snapshots of it",
        )

    def _databases(self) -> str:
        try:
            names = sorted(self._client.list_database_names())
        except PyMongoError as error:
            return f"the server does not list its databases: {error}"
        return "the databases " + ", ".join(names) if names else "no database"

    def _by_day(self, among: Candidates) -> dict[str, ByDay]:
        return {
            mongo_dataset.name: counted_by_day(self._client, self._section, mongo_dataset, among)
            for mongo_dataset in mongo_datasets(self._settings)
        }

    def _kept(
        self, dataset: MongoDataset, before: dict[str, ByDay], after: dict[str, ByDay]
    ) -> Kept:
        job = next((job for job in self._jobs() if job.name == dataset.collection), None)
        definition = self._definition(job) if job else ({}, [])
        return Kept(
            dataset,
            before[dataset.name],
            after[dataset.name],
            ttl_of(dataset.time_field, *definition),
            removed_otherwise(dataset.time_field, *definition),
        )

    def _limits(self, jobs: list[Job]) -> list[int]:
        """Of every collection with a TTL index: seconds."""
        limits = (ttl_of(None, *self._definition(job)) for job in jobs)
        return [limit for limit in limits if limit is not None]

    def _definition(self, job: Job) -> tuple[Mapping[str, Any], Sequence[Mapping[str, Any]]]:
        """Options and indexes; a view has neither that removes documents."""
        if job.is_view:
            return {}, []
        return job.listing.get("options", {}), indexes_of(self._client, self._section, job.name)

    def _jobs(self) -> list[Job]:
        """All collections, and of the server's own the stored functions, as mongodump has it."""
        database = self._client.get_database(self._section.database, codec_options=PLAIN)
        with explained(self._section, "its collections"):
            # pymongo's list_collections decodes dates strictly; definitions may have any date.
            command = {"listCollections": 1, "cursor": {}}
            entries = [
                dict(entry) for entry in database.cursor_command(command, codec_options=PLAIN)
            ]
        named = sorted(entries, key=lambda entry: str(entry["name"]))
        # The definitions of views are in their own metadata; buckets are read as measurements.
        return [
            Job(entry)
            for entry in named
            if entry["name"] == STORED_FUNCTIONS or not str(entry["name"]).startswith("system.")
        ]

    def _jobs_of(self, day: Day) -> list[Job]:
        """The collections that datasets name. Raises ConfigError where there is none, Missing."""
        queries: dict[str, list[dict[str, Any]]] = {}
        for dataset in self._settings.dataset:
            if isinstance(dataset, MongoDataset):
                questions = queries.setdefault(dataset.collection, [])
                questions += [of_day(dataset, day)]
        if not queries:
            raise ConfigError(
                "no collection has documents of a day",
                where='[snapshots.mongo] scope = "day"',
                expected='a [[dataset]] with source = "mongo", whose time_field gives the day',
                remedy='add one, or set scope = "full"',
            )
        for name in queries:
            require_collection(self._client, self._section, name)
        return [
            Job(job.listing, queries[job.name][0] if len(queries[job.name]) == 1 else
                {"$or": queries[job.name]})
            for job in self._jobs()
            if job.name in queries
        ]  # fmt: skip

    def _dump_by_tool(self, tool: str, jobs: list[Job], into: Collector) -> dict[str, Any]:
        """Counted before and after: mongodump itself reports no count, and writes may go on."""
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


def _texts(by_day: dict[str, ByDay]) -> dict[str, dict[str, int]]:
    return {
        name: {str(day): count for day, count in sorted(days.items())}
        for name, days in by_day.items()
    }
