"""A site in operation on a simulated clock: three sources, the lake, and what the schedules do.

Belongs here: what each of Dagster's schedules runs and in which order, what a failed run becomes,
the work of an operator. Does not: which failures happen (operation_faults), claims
(operation_record).

MongoDB is the suite's real server. Its own clock and its TTL monitor are the wall's, so all days
lie ahead of it, where it deletes nothing; `expire` deletes what the index that the server shows
lets expire at the simulated time. Prometheus and Loki are in memory (bounded_source); what they
raise when they are down is what the real clients raise. The store is a directory.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from click.testing import CliRunner

from assets.checks import check_partition
from assets.guard import reasons_held
from assets.snapshots import daily_systems
from lake.alerts import (
    Alert,
    Failure,
    Notifications,
    conditions,
    explained_by,
    firing,
    open_channels,
    place_of,
    unreadable,
)
from lake.alerts.cycle import finished_cycle
from lake.alerts.failures import GUARD, NOT_AS_STORED
from lake.alerts.heartbeat import ping
from lake.base.day import Day
from lake.base.errors import LakeError, TransientError
from lake.cli.main import root
from lake.completeness import last_counts
from lake.config.settings import Settings, load
from lake.export import Exporter
from lake.holds.changing import add, release
from lake.hot import late_days
from lake.metrics import families
from lake.query.cached_store import cached_store
from lake.retention import Result as Retained
from lake.retention import apply as apply_retention
from lake.runs import export_many
from lake.snapshot import take_snapshot
from lake.store import Store, open_store
from lake.systems.protocol import Expiry
from lake.ttl import Applied
from lake.ttl import apply as apply_ttl
from lake.ttl.plan import opened
from lake.verified import record
from lake.verify import to_verify, verify_many
from support.bounded_source import BoundedSource
from support.operated_settings import FILE, HOT, LATE, MARGIN, SNAPSHOTS, SOURCE, TABLES
from support.operated_wrappers import Ahead, Refusing
from support.receivers import Receiver


@dataclass(frozen=True)
class Message:
    """What the webhook has accepted, and when."""

    at: dt.datetime
    alert: Alert


@dataclass
class Operated:
    """`off` are schedules that are switched off, or datasets that they leave out. `ahead` is how
    much MongoDB's clock is ahead; `store_error` is raised for each object while it is set.
    `undelivered` are errors of messages, `refused` their number.
    """

    config: Path
    events: Any
    now: dt.datetime
    sources: dict[str, BoundedSource]
    receiver: Receiver
    environment: dict[str, str] = field(default_factory=dict)
    closely: bool = False
    ahead: dt.timedelta = dt.timedelta(0)
    store_error: Callable[[str], LakeError] | None = None
    guarded_at: dt.datetime | None = None
    off: set[str] = field(default_factory=set)
    failures: dict[tuple[str, str, str], Failure] = field(default_factory=dict)
    notifications: Notifications = field(default_factory=Notifications)
    sent: list[Message] = field(default_factory=list)
    undelivered: list[str] = field(default_factory=list)
    refused: int = 0
    pinged: set[Day] = field(default_factory=set)
    number: int = 0
    _loaded: dict[tuple[tuple[str, str], ...], Settings] = field(default_factory=dict)

    @property
    def settings(self) -> Settings:
        key = tuple(self.environment.items())
        if key not in self._loaded:
            self._loaded[key] = load(str(self.config), self.environment)
        return self._loaded[key]

    @property
    def today(self) -> Day:
        return Day(self.now.date())

    @property
    def folder(self) -> Path:
        return self.config.parent / "lake"

    @property
    def store(self) -> Store:
        store: Any = open_store(self.settings)
        return Refusing(store, self.store_error) if self.store_error else store

    @contextmanager
    def exporter(self) -> Iterator[Exporter]:
        with closing(Exporter(self.settings, self.store, self.sources)) as exporter:
            yield exporter

    def at(self, hour: float) -> None:
        self.now = self.today.start + dt.timedelta(hours=hour)

    def begun(self, since: dt.datetime) -> list[str]:
        """The names of the alerts of which the first message was sent since then. Another message
        of one that is open has to be more urgent.
        """
        names, is_open = [], dict[str, Alert]()
        for message in self.sent:
            alert = message.alert
            if alert.is_resolved:
                del is_open[alert.key]
                continue
            if before := is_open.get(alert.key):
                worse = (alert.severity, before.severity) == ("critical", "warning")
                assert worse or alert.stage > before.stage, (before.title, alert.title)
            elif message.at >= since:
                names.append(alert.name)
            is_open[alert.key] = alert
        return names

    # What the sources get and forget

    def write(self, dataset: str, when: dt.datetime) -> int:
        self.number += 1
        if dataset == "events":
            self.events.insert_one({"_id": self.number, "timestamp": when, "v": self.number})
        else:
            self.sources[SOURCE[dataset]].rows[self.number] = when
        return self.number

    @property
    def limit_s(self) -> int | None:
        """As the server shows it."""
        limits = [
            index["expireAfterSeconds"]
            for index in self.events.list_indexes()
            if "expireAfterSeconds" in index
        ]
        return int(limits[0]) if limits else None

    def expire(self) -> dict[str, set[int]]:
        """What the sources forget by now: numbers by dataset."""
        gone = {}
        for dataset in ("requests", "lines"):
            kept = dt.timedelta(days=HOT[SOURCE[dataset]])
            gone[dataset] = self.sources[SOURCE[dataset]].forget_before(self.now - kept)
        if (limit_s := self.limit_s) is not None:
            limit = self.now + self.ahead - dt.timedelta(seconds=limit_s)
            old = {"timestamp": {"$lt": limit}}
            gone["events"] = {document["_id"] for document in self.events.find(old)}
            self.events.delete_many(old)
        return gone

    # What the schedules run

    def night(self) -> None:
        self.at(0.5)
        yesterday = self.today.plus(-1)
        self.export("export", {dataset: [yesterday] for dataset in SOURCE})
        self.tick(brief=True)
        self.at(1.5)
        self._run("snapshots", self.take_snapshots)
        self.at(3.5)
        settings = self.settings
        days = {dataset: late_days(settings, source) for dataset, source in SOURCE.items()}
        self.export("recount", days)
        with suppress(LakeError):  # the next night counts again
            last = {name: self._last_counts(name) for name in SOURCE}
            self.export("recount", last)
        self.at(4.5)
        self._run("guard", self.guard)
        self.at(5.25)
        self.tick()
        self.at(6)
        self._run("retention", self.retain)
        if self.today.date.isoweekday() == 7:
            self.at(7)
            self._run("verify", self.verify)

    def _run(self, schedule: str, run: Callable[[], Any]) -> None:
        if schedule not in self.off:
            run()

    def export(self, operation: Any, days: dict[str, Sequence[Day]]) -> None:
        """As assets.exports does, a run for each dataset."""
        if operation in self.off:
            return
        with self.exporter() as exporter:
            for dataset in exporter.settings.dataset:
                if dataset.name in self.off:
                    continue
                partitions = [(dataset, day) for day in days.get(dataset.name, ())]
                recheck = operation == "recount"
                for result in export_many(exporter, partitions, jobs=2, recheck=recheck):
                    self._exported(exporter.store, operation, dataset, result)

    def _exported(self, store: Store, operation: Any, dataset: Any, result: Any) -> None:
        error = result.error
        if error is None or (operation == "recount" and isinstance(error, TransientError)):
            stands = self._is_proven(store, dataset, result.day)
            if error and stands:
                return  # not counted again; the partition is as it was
            if stands:
                for known in ("export", "recount"):
                    self.failures.pop((known, dataset.name, str(result.day)), None)
                return
        text = str(error) if error else NOT_AS_STORED
        self._failed(operation, dataset.name, dataset.source, text, str(result.day))

    def _is_proven(self, store: Store, dataset: Any, day: Day) -> bool:
        try:
            return all(verdict.passed for verdict in check_partition(store, dataset, day))
        except LakeError:
            return False

    def _failed(
        self,
        operation: Any,
        subject: str,
        source: str,
        text: str,
        day: str = "",
        *,
        part: str = "",
        since: Failure | None = None,
    ) -> None:
        """`part`: of a guard, which of its reasons."""
        known = self.failures.get((operation, subject, day or part)) or since
        at = known.at if known else self.now
        place = place_of(text, self.settings.lake.root, source)
        failure = Failure(operation, subject, place, text, at, day)
        self.failures[operation, subject, day or part] = failure

    def _done(self, operation: str) -> dict[tuple[str, str, str], Failure]:
        """Drops the operation's failures, and returns them."""
        keys = [key for key in self.failures if key[0] == operation]
        return {key: self.failures.pop(key) for key in keys}

    def _last_counts(self, dataset: str) -> Sequence[Day]:
        return last_counts(self.settings, self.store, self.settings.dataset_named(dataset))

    def take_snapshots(self, *, allow_shrink: bool = False) -> None:
        settings = self.settings
        for system in daily_systems(settings):
            try:
                take_snapshot(settings, self.store, system, allow_shrink=allow_shrink)
            except LakeError as error:
                self._failed("snapshot", system, system, str(error))
            else:
                self._done("snapshot")

    def guard(self) -> list[Applied]:
        with (
            self.exporter() as exporter,
            opened(exporter.settings, exporter.store, exporter.source) as site,
        ):
            ahead = replace(site, expiry_of=lambda name: self._ahead(site.expiry_of(name)))
            datasets = exporter.settings.dataset
            done: list[Applied] = []
            try:
                done = list(apply_ttl(ahead, datasets, show=lambda _: None, confirm=lambda _: None))
            except LakeError as error:
                self._failed("guard", GUARD, "", str(error))
                return done
        before = self._done("guard")
        self.guarded_at = self.now
        for name, whys in reasons_held(done).items():
            for why in whys:
                part = why.partition("\n")[0]
                since = before.get(("guard", name, part))
                self._failed("guard", name, SOURCE[name], why, part=part, since=since)
        return done

    def _ahead(self, expiry: Expiry | None) -> Any:
        return Ahead(expiry, lambda: self.now + self.ahead) if expiry else None

    def retain(self) -> Retained | None:
        try:
            result = apply_retention(
                self.settings, self.store, show=lambda _: None, confirm=lambda _: None
            )
        except LakeError as error:
            self._failed("retention", "retention", "", str(error))
            return None
        if result.ok:
            self._done("retention")
        else:
            stays = [
                f"{stay.kind} {stay.name}: {stay.why}"
                for stay in result.plan.stays
                if not stay.held
            ]
            text = "\n".join(["something that is over was not deleted", *stays])
            self._failed("retention", "retention", "", text)
        return result

    def verify(self) -> None:
        """`lake verify --record` and `lake metrics`."""
        settings, store = self.settings, self.store
        try:
            partitions = to_verify(store, settings.dataset, None)
            findings = list(verify_many(settings, store, partitions, None))
            record(store, [dataset.name for dataset in settings.dataset], findings)
            families(settings, store)
        except LakeError as error:
            self._failed("verify", "verification", "", str(error))
        else:
            self._done("verify")

    def tick(self, *, brief: bool = False) -> None:
        """As the sensor `send_alerts`; the brief ones only while something is wrong."""
        if "daemon" in self.off or (brief and not (self.closely or self.failures)):
            return
        settings, store = self.settings, self.store
        try:
            known = conditions(settings, cached_store(settings, store), self.now)
        except LakeError as error:
            known = [unreadable(error.what, str(error))]
        is_open = self.notifications.open
        self.notifications.update(firing(self.failures.values(), known, is_open), self.now)
        explained = explained_by(known, self.failures.values(), is_open)
        for key, failure in self.failures.items():
            self.failures[key] = replace(failure, explained=failure in explained)
        for alert, delivery in self.notifications.send(open_channels(settings), self.now):
            if delivery.error:
                self.undelivered.append(str(delivery.error))
                self.refused += 1
            else:
                self.sent.append(Message(self.now, alert))
        if self.now.hour < 5 or self.today in self.pinged or self.failures:
            return
        if any(alert.severity == "critical" for alert in self.notifications.open):
            return
        if finished_cycle(settings, store, daily_systems(settings), self.today):
            ping(settings)
            self.pinged.add(self.today)

    # What an operator does

    def command(self, *words: str) -> Any:
        return CliRunner().invoke(root, [*words, "--config", str(self.config)])

    def export_now(self, dataset: str, days: Sequence[Day], *, force: bool = False) -> None:
        """Days again, as Dagster's launchpad or `lake export` does."""
        with self.exporter() as exporter:
            chosen = exporter.settings.dataset_named(dataset)
            partitions = [(chosen, day) for day in days]
            for result in export_many(exporter, partitions, jobs=2, force=force, allow_erased=True):
                self._exported(exporter.store, "export", chosen, result)

    def rerun(self) -> None:
        """What failed again, as Dagster's re-execution does."""
        failed = {operation for operation, _, _ in self.failures}
        again = {"snapshot": self.take_snapshots, "guard": self.guard, "retention": self.retain,
                 "verify": self.verify}  # fmt: skip
        days: dict[str, set[Day]] = {}
        for operation, dataset, day in self.failures:
            if operation in ("export", "recount"):
                days.setdefault(dataset, set()).add(Day.parse(day))
        for dataset, failed_days in days.items():
            self.export_now(dataset, sorted(failed_days))
        for operation, run in again.items():
            if operation in failed:
                run()

    def hold(self, datasets: Sequence[str], start: Day | None, end: Day | None) -> str:
        return add(self.settings, self.store, datasets, start, end, "a court's order").id

    def release(self, hold_id: str) -> None:
        release(self.store, hold_id, "the court has lifted it")


def operated(
    folder: Path, uri: str, database: str, client: Any, receiver: Receiver, first: Day
) -> Operated:
    config = folder / "lake.toml"
    text = FILE.format(
        uri=uri, database=database, first=first.plus(-1), receiver=receiver.url, late=LATE, hot=HOT,
        margin=MARGIN, tables=TABLES, snapshots=SNAPSHOTS,
    )  # fmt: skip
    config.write_text(text)
    sources = {name: BoundedSource(name, LATE[name]) for name in ("prometheus", "loki")}
    events = client[database]["events"]
    return Operated(config, events, first.start, sources, receiver)
