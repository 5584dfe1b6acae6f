"""What a system offers to the use cases.

Belongs here: protocols. Does not: any system, which systems exist (registry).

A system is a package below lake/systems. Its `system.py` has one object, `SYSTEM`, that implements
`System` and imports the package's other modules inside its methods: `lake query` loads no client
library.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Protocol

from lake.base.day import Day
from lake.base.errors import UsageError
from lake.config.datasets import Dataset

if TYPE_CHECKING:
    from lake.config.overrides import Key
    from lake.config.settings import Settings
    from lake.partition.manifest import Manifest
    from lake.partition.table import TableStream
    from lake.servers import Binary
    from lake.snapshots.collecting import Collector
    from lake.snapshots.manifest import SnapshotManifest
    from lake.snapshots.taken import Taken
    from lake.store import Store
    from lake.systems.check import Check
    from lake.systems.comparison import RehearsalCheck
    from lake.systems.discovered import DiscoveredSource
    from lake.systems.expiry import ExpiryRule, Index
    from lake.systems.loading import Loaded, Target
    from lake.systems.partitions import Partition
    from lake.systems.rehearsed import RehearsedPartition
    from lake.systems.rollup import Rollup
    from lake.systems.source import Count


class Source(Protocol):
    """A monitoring system that is read day by day.

    Every method may raise Refused, BadData, Incomplete (PermanentError) and TransientError.
    Safe to use from several threads.
    """

    lateness_days: int
    """The number of days after its end in which a day may still grow."""

    may_count_low: bool
    """Whether the count can be below the rows of a complete read (equal lines count once)."""

    def read(
        self, dataset: Dataset, day: Day, scratch: Path
    ) -> AbstractContextManager[TableStream]:
        """All rows of [00:00, 24:00) UTC. `scratch` is an empty directory for spooling."""

    def count(self, dataset: Dataset, day: Day) -> Count:
        """The number of rows, by another request than those of `read`."""

    def undated(self, dataset: Dataset) -> int | None:
        """Rows that belong to no day; None where the system has no such rows."""

    def outside(self, dataset: Dataset, start: Day, end: Day) -> int | None:
        """Rows dated before `start` or from `end` on; None where the system has no such rows:
        where what it keeps is bounded by time anyway, an old row is no mistake.
        """

    def unseen(self, dataset: Dataset, day: Day) -> int:
        """The number of streams that the source lists for a day whose rows it does not return yet.

        Above 0 the day is not empty but late. 0 for systems that list nothing of the kind.
        """

    def stop(self) -> None:
        """Ends all requests within a second or so: each raises. None runs afterwards."""

    def close(self) -> None:
        """Ends the connections."""


class Snapshotter(Protocol):
    """One system, as raw files.

    Raises Refused, Incomplete, BadData, Missing (PermanentError) and TransientError.
    """

    def take(self, day: Day, into: Collector) -> Taken:
        """Hands all files to the collector. What it made on the server is removed again.

        `day` is the last closed day: the one that `counts` is about.
        """

    def close(self) -> None:
        """Ends the connections."""


class Loader(Protocol):
    """Writes partitions into one running server and counts what the server holds.

    Every method may raise what the server's refusals mean.
    """

    def order_of(self, partition: Partition) -> str:
        """Partitions come sorted by this."""

    def load(self, partition: Partition) -> Loaded:
        """All rows of a partition; they may still be on their way when it returns."""

    def end_of_day(self) -> None:
        """Returns once all that was loaded was accepted."""

    def finish(self) -> None:
        """After the last partition."""

    def count(self, day: Day, loaded: Mapping[str, Loaded]) -> dict[str, int]:
        """Of each dataset (by name) that has the day: how much of `countable` the server has.

        Needs no earlier `load`: an earlier process may have done that.
        """

    def close(self) -> None:
        """Ends the connections; what is on its way is given up."""


class Questions(Protocol):
    """Queries for one system's restored server, and the same ones for the lake."""

    def first_answer(self, taken: datetime) -> None:
        """Raises where the server does not answer."""

    def newest(self, end: datetime) -> datetime | None:
        """The newest timestamp before `end`, None where there is none to be found."""

    def checks(self, part: RehearsedPartition, seed: int, samples: int) -> Iterator[RehearsalCheck]:
        """Sums over all and `samples` chosen values."""

    def close(self) -> None:
        """Ends the connections."""


class Expiry(Protocol):
    """The rule by which one system's rows expire at the source, and what it would delete.

    Times are milliseconds since the epoch, UTC. Every method may raise what `Source`'s may.
    """

    def clock(self) -> datetime:
        """The server's own time: that by which rows expire."""

    def scope(self, dataset: Dataset) -> str:
        """What the dataset's limit is set on, by the configuration alone."""

    def rule(self, dataset: Dataset) -> ExpiryRule:
        """How the dataset's rows expire now, and what keeps a limit from being set."""

    def lacking(self, dataset: Dataset) -> list[str] | None:
        """The rights that setting the dataset's limit needs and the user lacks; None where the
        server does not show them.
        """

    def limits(self) -> dict[str, Index]:
        """By scope the limits in force that a guard has made, for whichever dataset."""

    def first_ms(self, dataset: Dataset, from_ms: int | None, before_ms: int) -> int | None:
        """The earliest time in [from, before) of rows that belong to a day; None: no such row."""

    def expiring(self, dataset: Dataset, before_ms: int) -> int:
        """Rows that expire once the limit reaches `before_ms`."""

    def undated(self, dataset: Dataset, before_ms: int) -> int:
        """Those of them that belong to no day."""

    def never(self, dataset: Dataset) -> int:
        """Rows that no limit lets expire."""

    def born_expired(self, dataset: Dataset, day: Day, limit_s: int) -> int:
        """Rows of the day that, as far as they show it, were inserted after the limit."""

    def unknown(self, dataset: Dataset, day: Day, store: Store, manifest: Manifest) -> int:
        """Rows of the day at the source that the partition does not hold, compared by content."""

    def set_limit(self, dataset: Dataset, index: Index | None, limit_s: int) -> str:
        """Creates the index, or changes its limit; returns its name once the server shows the
        limit. Raises Refused where the server does not do it.
        """

    def hold(self, dataset: Dataset, index: Index) -> None:
        """Lets an index on another field than the dataset's expire nothing. Raises Refused."""

    def close(self) -> None:
        """Ends the connections."""


class System(Protocol):
    """Everything that differs from system to system, by use case.

    A system without snapshots inherits what raises that error.
    """

    name: str
    """In lake.toml, in object keys and in commands: `mongo`."""
    title: str
    """For people: `MongoDB`."""
    program: str = ""
    """The server's program: `mongod`."""
    rows: str
    """What its datasets hold, one word: `documents`."""
    address: str
    """The key of `[sources.NAME]` with the server's address: `uri`."""

    # export, verify, status, recheck

    may_count_low: bool = False
    """As `Source.may_count_low`."""

    def open_source(self, section: Any) -> Source:
        """Reads the server of a `[sources.NAME]` section; sends nothing yet."""

    def where_rows_expire(self, section: Any) -> Any:
        """The section, with the server that deletes rows: replicas may be behind it."""
        return section

    def time_column(self, dataset: Dataset) -> str:
        """The column by which a row belongs to its day, dotted where it is nested."""
        return "ts"

    def describe(self, dataset: Dataset) -> str:
        """What the dataset holds: a sentence of Markdown without blocks."""

    # erase

    def zstd_levels(self) -> Mapping[str, int]:
        """Of leaf columns of its tables; where there are none, all have the same."""
        return {}

    # rollup

    def rollup(self, dataset: Dataset) -> Rollup | None:
        """What its days add up to; None where only a SQL file defines a rollup."""
        return None

    # ttl

    def open_expiry(self, settings: Settings) -> Expiry | None:
        """Sends nothing yet; None where rows do not expire by an index."""
        return None

    # snapshot

    has_snapshots: bool = False
    """Whether `open_snapshotter` and what belongs to it are there."""

    def open_snapshotter(self, settings: Settings) -> Snapshotter:
        """Sends nothing yet."""
        raise lacks(self, "snapshots")

    def files_are_here(self, settings: Settings) -> bool:
        """Whether this machine can take a snapshot, as far as that shows without a request."""
        return False

    def amounts(self, settings: Settings, manifest: SnapshotManifest) -> Iterator[tuple[str, int]]:
        """How much a snapshot holds, by name: what a server does not change by itself."""
        return iter(())

    def origin(self, manifest: SnapshotManifest) -> str:
        """Where a snapshot comes from, for people."""
        return manifest.system

    # export from a snapshot

    def covers(self, manifest: SnapshotManifest, dataset: Dataset, day: Day) -> bool:
        """Whether a snapshot that holds the day whole also holds what the dataset's rows of the
        day depend on from before it.
        """
        return True

    def counted(self, manifest: SnapshotManifest, dataset: Dataset) -> bool:
        """Whether the snapshot's whole days are proven for the dataset as it is now. Of another one
        they are a claim of its system's other datasets: see require_held.
        """
        return True

    def require_held(
        self,
        settings: Settings,
        manifest: SnapshotManifest,
        into: Path,
        dataset: Dataset,
        day: Day,
        *,
        unproven: bool,
    ) -> None:
        """Raises Missing or Incomplete where the restored files in `into` do not prove to hold
        the dataset's day, though the manifest has it as whole: the dataset was defined later.
        `unproven`: accepts that rows may have expired before the snapshot was taken.
        """
        return

    # restore

    restored_below: str = ""
    """Below the directory of a restore: where the files lie, so that the server finds them."""
    reads_other_versions: bool = False
    """Whether any version of the server takes what a snapshot holds."""

    def server_options(
        self, manifest: SnapshotManifest, into: Path, program: Binary
    ) -> dict[str, Any]:
        """For lake.servers.start. Raises PermanentError where the program can't read the files."""
        raise lacks(self, "snapshots")

    def check_restored(
        self, manifest: SnapshotManifest, into: Path, endpoint: Mapping[str, str], tenant: str
    ) -> tuple[dict[str, Any], list[str]]:
        """What was compared with the manifest, and remarks. Raises Incomplete on a difference."""
        raise lacks(self, "snapshots")

    image: str = ""
    """The server's Docker image, with the version's place, for compose.yaml. Only the user's own
    Docker pulls it: docs/third-party.md lists each with its licence."""

    def image_tag(self, version: str) -> str:
        """Of the image, for the version of the server that the snapshot was taken of."""
        return version

    def compose_service(self, manifest: SnapshotManifest, into: Path) -> dict[str, Any]:
        """All but the image and the user; writes the configuration that the service mounts."""
        raise lacks(self, "snapshots")

    grafana_type: str = ""
    """Grafana's name of the data source; "" where it has none."""

    def next_steps(self, endpoint: Mapping[str, str], day: Day, database: str) -> list[str]:
        """What a person types next, to look at a day of data on a running server."""
        return []

    # replay

    def require_replayable(self, datasets: Sequence[Dataset]) -> None:
        """Raises UsageError where the datasets can't be replayed into one server."""
        raise lacks(self, "replay")

    def needed_version(self, store: Store, partitions: Sequence[Partition]) -> str:
        """The lowest version for partitions whose manifests name none; "" where any will do."""
        return ""

    def replay_options(self, partitions: Sequence[Partition], program: Binary) -> dict[str, Any]:
        """For lake.servers.start."""
        return {}

    def open_loader(self, target: Target) -> Loader:
        """Writes into the target's server."""
        raise lacks(self, "replay")

    # rehearse

    label_free: frozenset[str] = frozenset()
    """The columns of a table that are no labels; empty for systems without labels."""

    def recovered(
        self,
        settings: Settings,
        manifest: SnapshotManifest,
        endpoint: Mapping[str, str],
        version: str,
        tenant: str,
    ) -> tuple[Source, Questions]:
        """Both ways to read a restored server."""
        raise lacks(self, "snapshots")

    # init

    placeholders: Mapping[str, str] = MappingProxyType({})
    """Values of required keys that `look` finds out by itself."""

    def look(self, section: Any) -> DiscoveredSource:
        """What the server holds. Raises what its requests raise."""
        raise lacks(self, "discovery")

    def secret_keys(self, section: Any) -> list[Key]:
        """Of the section: those whose values may not stand in a file."""
        return []

    # doctor

    def diagnose(self, settings: Settings) -> Iterator[Check]:
        """Of the source and its datasets. Raises what its requests raise."""
        return iter(())

    def diagnose_snapshots(self, settings: Settings) -> Iterator[Check]:
        """Of what a snapshot reads beside the source."""
        return iter(())


def code(text: str) -> str:
    """As code in a line of Markdown, whatever backticks it has; a line break as a space."""
    line = " ".join(text.splitlines())
    ticks = "`" * (max(map(len, re.findall("`+", line)), default=0) + 1)
    pad = " " if "`" in line else ""
    return f"{ticks}{pad}{line}{pad}{ticks}"


def lacks(system: System, what: str) -> UsageError:
    """The error where a system does not offer something."""
    return UsageError(f"{system.title} has no {what}", where=f"[sources.{system.name}]")
