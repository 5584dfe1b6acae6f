"""A site in operation on a simulated clock: what the schedules run, and what an operator does.

Belongs here: what each of Dagster's schedules runs and in which order, the work of an operator.
Does not: which failures happen (operation_faults), claims (operation_record), the sources
(operated_surroundings), messages (operated_alerts).
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from click.testing import CliRunner

from assets.checks import check_partition
from assets.guard import reasons_held
from lake.alerts.failures import GUARD, NOT_AS_STORED
from lake.base.day import Day
from lake.base.errors import LakeError, TransientError
from lake.cli.main import root
from lake.completeness import last_counts
from lake.holds.changing import add, release
from lake.hot import late_days
from lake.metrics import families
from lake.retention import RetentionResult as Retained
from lake.retention import apply as apply_retention
from lake.runs import export_many
from lake.snapshot import take_snapshot
from lake.store import Store
from lake.systems.protocol import Expiry
from lake.systems.registry import daily_systems
from lake.ttl import AppliedLimit
from lake.ttl import apply as apply_ttl
from lake.ttl.site import opened
from lake.verified import record
from lake.verify import to_verify, verify_many
from support.bounded_source import BoundedSource
from support.operated_alerts import Alerting
from support.operated_settings import FILE, HOT, LATE, MARGIN, SNAPSHOTS, SOURCE, TABLES
from support.operated_wrappers import Ahead
from support.receivers import Receiver


@dataclass
class Operated(Alerting):
    """`guarded_at`: the last time that the guard ran to its end."""

    guarded_at: dt.datetime | None = None

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
        self.failed(operation, dataset.name, dataset.source, text, str(result.day))

    def _is_proven(self, store: Store, dataset: Any, day: Day) -> bool:
        try:
            return all(verdict.passed for verdict in check_partition(store, dataset, day))
        except LakeError:
            return False

    def _last_counts(self, dataset: str) -> Sequence[Day]:
        return last_counts(self.settings, self.store, self.settings.dataset_named(dataset))

    def take_snapshots(self, *, allow_shrink: bool = False) -> None:
        settings = self.settings
        for system in daily_systems(settings):
            try:
                take_snapshot(settings, self.store, system, allow_shrink=allow_shrink)
            except LakeError as error:
                self.failed("snapshot", system, system, str(error))
            else:
                self.succeeded("snapshot")

    def guard(self) -> list[AppliedLimit]:
        with (
            self.exporter() as exporter,
            opened(exporter.settings, exporter.store, exporter.source) as site,
        ):
            ahead = replace(site, expiry_of=lambda name: self._ahead(site.expiry_of(name)))
            datasets = exporter.settings.dataset
            done: list[AppliedLimit] = []
            try:
                done = list(apply_ttl(ahead, datasets, show=lambda _: None, confirm=lambda _: None))
            except LakeError as error:
                self.failed("guard", GUARD, "", str(error))
                return done
        before = self.succeeded("guard")
        self.guarded_at = self.now
        for name, whys in reasons_held(done).items():
            for why in whys:
                part = why.partition("\n")[0]
                since = before.get(("guard", name, part))
                self.failed("guard", name, SOURCE[name], why, part=part, since=since)
        return done

    def _ahead(self, expiry: Expiry | None) -> Any:
        return Ahead(expiry, lambda: self.now + self.ahead) if expiry else None

    def retain(self) -> Retained | None:
        try:
            result = apply_retention(
                self.settings, self.store, show=lambda _: None, confirm=lambda _: None
            )
        except LakeError as error:
            self.failed("retention", "retention", "", str(error))
            return None
        if result.ok:
            self.succeeded("retention")
        else:
            stays = [
                f"{stay.kind} {stay.name}: {stay.why}"
                for stay in result.plan.stays
                if not stay.held
            ]
            text = "\n".join(["something past its retention was not deleted", *stays])
            self.failed("retention", "retention", "", text)
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
            self.failed("verify", "verification", "", str(error))
        else:
            self.succeeded("verify")

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
    return Operated(config, events, first.start, sources, receiver=receiver)
