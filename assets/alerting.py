"""Failures of Dagster's runs, and what the ledger shows, to the channels of `[alerts]`.

Belongs here: which failures are open, and which of them have succeeded since, as Dagster has it.
Does not: why a run failed (failed_runs), what makes one cause, messages, channels
(lake.alerts).

One sensor for everything, with its state in the cursor: a sensor of Dagster's for failed runs is
called once a run, and a backfill of a quarter has several that fail for one cause.
"""

from __future__ import annotations

import json
import traceback
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import dagster as dg

from assets.failed_runs import Subject, failures_of, subjects_of
from assets.names import asset_name
from assets.resources import LakeResource
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
from lake.alerts.channels import deliver
from lake.alerts.cycle import finished_cycle
from lake.alerts.heartbeat import ping
from lake.alerts.testing import is_configured
from lake.base.clock import utc_now
from lake.base.day import Day
from lake.base.errors import LakeError
from lake.base.redaction import redact
from lake.config.settings import Settings
from lake.query.cached_store import cached_store
from lake.systems.registry import daily_systems

NAME = "send_alerts"
_INTERVAL_S = 60
_CHECKED_EVERY = timedelta(minutes=15)
_OVERLAP = timedelta(minutes=5)  # runs whose end is stored a little late
_PATIENCE = timedelta(minutes=15)  # for the other runs of a backfill
_CYCLE_ENDS = 5  # o'clock UTC: after the re-counts and the guard (schedules)
_MOST_RUNS = 500
_AT_WORK = frozenset(("REQUESTED", "CANCELING", "FAILING"))


@dataclass
class _State:
    """What earlier ticks have left.

    `since`: runs that ended before are done with; `seen`: those after it that are, too.
    `failures` by asset, operation, text and time: the days. `ledger` are the alerts of the last
    look at the ledger, at `checked`. `cycle` is the day whose heartbeat was sent, `reported` the
    report's.
    """

    since: str
    seen: list[str] = field(default_factory=list)
    failures: list[dict[str, Any]] = field(default_factory=list)
    ledger: list[dict[str, Any]] = field(default_factory=list)
    checked: str = ""
    cycle: str = ""
    reported: str = ""
    notifications: str = ""

    @classmethod
    def parse(cls, text: str | None, now: datetime) -> _State:
        """Earlier failures are ignored at the first tick. Of another version's state the parts that
        both have are kept.
        """
        state = json.loads(text) if text else {}
        known = {name: state[name] for name in cls.__dataclass_fields__ if name in state}
        return cls(**({"since": now.isoformat()} | known))

    def to_json(self) -> str:
        return json.dumps(self.__dict__, separators=(",", ":"))


def alert_sensor(settings: Settings) -> dg.SensorDefinition:
    """Running by default; without channels it does nothing."""
    subjects = subjects_of(settings)

    @dg.sensor(
        name=NAME,
        minimum_interval_seconds=_INTERVAL_S,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Sends one message per cause when exports, re-counts, snapshots, the guard or "
        "a rehearsal fail, and one when they succeed again; also what the ledger shows to be at "
        "risk, the heartbeat and the daily report. Channels: [alerts] in lake.toml.",
    )
    def send_alerts(
        context: dg.SensorEvaluationContext, lake: LakeResource
    ) -> dg.SensorResult | dg.SkipReason:
        if not is_configured(settings):
            return dg.SkipReason("[alerts] has no channel")
        tick = _Tick(settings, subjects, context, lake)
        tick.run()
        return dg.SensorResult(cursor=tick.state.to_json())

    return send_alerts


class _Tick:
    """One evaluation."""

    def __init__(
        self,
        settings: Settings,
        subjects: Mapping[str, Subject],
        context: dg.SensorEvaluationContext,
        lake: LakeResource,
    ) -> None:
        self._settings = settings
        self._subjects = subjects
        self._instance = context.instance
        self._log = context.log
        self._lake = lake
        self._now = utc_now()
        self.state = _State.parse(context.cursor, self._now)

    def run(self) -> None:
        state, notifications = self.state, Notifications.from_json(self.state.notifications)
        self._take_failed_runs()
        self._drop_what_succeeded()
        failures = list(self._failures())
        held = self._backfills_at_work()
        ready = [
            known
            for known in failures
            if known.record["backfill"] not in held or self._waited(known)
        ]
        ledger = self._ledger_alerts()
        is_open = notifications.open
        causes = [known.failure for known in ready]
        alerts = firing(causes, ledger, is_open)
        explained = explained_by(ledger, causes, is_open)
        for known in ready:
            if known.failure in explained:
                known.record["explained"] = True
        notifications.update(alerts, self._now)
        for alert, delivery in notifications.send(open_channels(self._settings), self._now):
            if delivery.error:
                self._log.warning(
                    "%s was not accepted by %s: %s", alert.name, delivery.channel, delivery.error
                )
        state.notifications = notifications.to_json()
        try:
            self._end_of_cycle(failures, notifications)
        except Exception as error:  # noqa: BLE001  a tick that failed would send all of it again
            text = redact("".join(traceback.format_exception(error)))
            self._log.error("no heartbeat: an unforeseen error\n%s", text)

    def _take_failed_runs(self) -> None:
        """Adds the failures of runs that ended since the last tick."""
        state = self.state
        since = datetime.fromisoformat(state.since)
        records = self._instance.get_run_records(
            filters=dg.RunsFilter(
                statuses=[dg.DagsterRunStatus.FAILURE], updated_after=since - _OVERLAP
            ),
            limit=_MOST_RUNS,
            order_by="update_timestamp",
            ascending=True,
        )
        for record in records:
            run = record.dagster_run
            if run.run_id in state.seen:
                continue
            if record.end_time and record.end_time < since.timestamp() - _OVERLAP.total_seconds():
                continue
            ended = record.end_time or self._now.timestamp()
            failures = list(failures_of(self._instance, self._subjects, run, ended))
            for failure in failures:
                failure["since"] = self._since(failure)
            for failure in failures:
                self._replace_older(failure)
            state.failures += failures
        state.seen = [record.dagster_run.run_id for record in records]
        last = records[-1].update_timestamp if len(records) == _MOST_RUNS else self._now
        state.since = last.isoformat()

    def _since(self, newer: Mapping[str, Any]) -> float:
        """When it first failed: what fails night after night keeps its beginning and its name."""
        known = (
            float(record.get("since", record["at"]))
            for record in self.state.failures
            if all(record.get(key) == newer[key] for key in ("op", "operation", "subject"))
            and (newer["operation"] != "guard" or _first_line(record) == _first_line(newer))
            and {*record["days"]} & {*newer["days"]}
        )
        return min([*known, float(newer["at"])])

    def _replace_older(self, newer: Mapping[str, Any]) -> None:
        """Days that have failed again count once."""
        for record in self.state.failures:
            if (record["op"], record["operation"]) == (newer["op"], newer["operation"]):
                record["days"] = [day for day in record["days"] if day not in newer["days"]]

    def _drop_what_succeeded(self) -> None:
        """Failures of which the asset has a newer record, by whatever run."""
        left = []
        for record in self.state.failures:
            subject = self._subjects.get(record["op"])
            if subject is None:
                continue  # no longer configured
            done = self._done_since(subject, record)
            days = [day for day in record["days"] if day not in done]
            if days:
                left.append(record | {"days": days})
        self.state.failures = left

    def _done_since(self, subject: Subject, record: Mapping[str, Any]) -> set[str]:
        days = [day for day in record["days"] if day]
        materializations = self._instance.fetch_materializations(
            dg.AssetRecordsFilter(
                asset_key=subject.asset,
                asset_partitions=days or None,
                after_timestamp=record["at"],
            ),
            limit=max(2 * len(days), 1),
        ).records
        return {materialization.partition_key or "" for materialization in materializations}

    def _failures(self) -> Iterator[_Known]:
        for record in self.state.failures:
            subject = self._subjects[record["op"]]
            name, source = subject.name, subject.source
            if guarded := record.get("subject"):
                exported = self._subjects.get(asset_name(guarded))
                name, source = guarded, exported.source if exported else ""
            source = place_of(record["text"], self._settings.lake.root, source)
            at = datetime.fromtimestamp(record.get("since", record["at"]), UTC)
            for day in record["days"]:
                failure = Failure(record["operation"], name, source, record["text"], at, day,
                                  explained=record.get("explained", False))  # fmt: skip
                yield _Known(failure, record)

    def _waited(self, known: _Known) -> bool:
        return self._now - known.failure.at > _PATIENCE

    def _backfills_at_work(self) -> set[str]:
        """Those of known failures that have runs which are not over."""
        ids = {record["backfill"] for record in self.state.failures} - {""}
        at_work = set()
        for backfill_id in ids:
            backfill = self._instance.get_backfill(backfill_id)
            if backfill and backfill.status.value in _AT_WORK:
                at_work.add(backfill_id)
        return at_work

    def _ledger_alerts(self) -> list[Alert]:
        state = self.state
        last = datetime.fromisoformat(state.checked) if state.checked else None
        # Also after a look in the future: the clock was set back since.
        if last is None or abs(self._now - last) >= _CHECKED_EVERY:
            try:
                store = cached_store(self._settings, self._lake.store(self._settings))
                alerts = conditions(self._settings, store, self._now)
            except LakeError as error:
                alerts = [unreadable(error.what, str(error))]
            except Exception as error:  # noqa: BLE001  failures of runs are sent all the same
                text = redact("".join(traceback.format_exception(error)))
                self._log.error("the ledger can't be checked: an unforeseen error\n%s", text)
                alerts = [unreadable("an unforeseen error", f"{type(error).__name__}: {error}")]
            state.ledger = [alert.to_json() for alert in alerts]
            state.checked = self._now.isoformat()
        return [Alert.from_json(alert) for alert in state.ledger]

    def _end_of_cycle(self, failures: Iterable[_Known], notifications: Notifications) -> None:
        """The heartbeat and the report, once a day, when the day's work is done."""
        today = Day(self._now.date())
        state = self.state
        if self._now.hour < _CYCLE_ENDS or state.cycle == state.reported == str(today):
            return
        if any(known.failure.operation != "rehearsal" for known in failures):
            return
        if any(alert.severity == "critical" for alert in notifications.open):
            return
        try:
            systems = daily_systems(self._settings)
            store = self._lake.store(self._settings)
            cycle = finished_cycle(self._settings, store, systems, today)
            if cycle is None:
                return
            if state.cycle != str(today):
                ping(self._settings)
                state.cycle = str(today)
        except LakeError as error:
            self._log.warning("no heartbeat: %s", error)
            return
        if state.reported != str(today):
            self._report(cycle.report(self._now))
            state.reported = str(today)

    def _report(self, report: Alert) -> None:
        if self._settings.alerts.report == "never":
            return
        channels = open_channels(self._settings)
        forgetful = [channel.name for channel in channels if channel.keeps_state]
        for delivery in deliver(channels, report, forgetful):  # Alertmanager is for alerts
            if delivery.error:
                self._log.warning("no report by %s: %s", delivery.channel, delivery.error)


def _first_line(record: Mapping[str, Any]) -> str:
    """Of a guard's reason: as long as its cause is the same, so is this."""
    return str(record["text"]).partition("\n")[0]


@dataclass(frozen=True)
class _Known:
    """A failure, and the record that it came from."""

    failure: Failure
    record: dict[str, Any]
