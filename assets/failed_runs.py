"""Why Dagster's runs of the lake's assets failed.

Belongs here: from a failed run's events to records of causes and days. Does not: which of them are
open, sending (alerting).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import dagster as dg

from assets.guard import BETWEEN, HELD
from assets.guard import NAME as GUARD
from assets.names import asset_name
from assets.rehearsal import NAME as REHEARSAL
from assets.retention import NAME as RETENTION
from assets.snapshots import snapshot_name
from assets.verification import NAME as VERIFICATION
from lake.alerts.failures import GUARD as WHOLE_GUARD
from lake.alerts.failures import Operation
from lake.base.day import Day, day_range
from lake.base.redaction import redact
from lake.config.settings import Settings
from lake.systems.registry import backed_up_systems

_DAY = re.compile(r"\d{4}-\d\d-\d\d")


@dataclass(frozen=True)
class Subject:
    """What an op is about."""

    operation: Operation
    name: str
    source: str
    asset: dg.AssetKey


def subjects_of(settings: Settings) -> dict[str, Subject]:
    """The subjects by the op's name, which is that of its first asset."""
    subjects = {
        asset_name(dataset.name): Subject(
            "export", dataset.name, dataset.source, dg.AssetKey(asset_name(dataset.name))
        )
        for dataset in settings.dataset
    }
    for system in backed_up_systems(settings):
        name = snapshot_name(system)
        subjects[name] = Subject("snapshot", system, system, dg.AssetKey(name))
    subjects[GUARD] = Subject("guard", WHOLE_GUARD, "", dg.AssetKey(GUARD))
    subjects[REHEARSAL] = Subject("rehearsal", "rehearsal", "", dg.AssetKey(REHEARSAL))
    subjects[RETENTION] = Subject("retention", "retention", "", dg.AssetKey(RETENTION))
    subjects[VERIFICATION] = Subject("verify", "verification", "", dg.AssetKey(VERIFICATION))
    return subjects


def failures_of(
    instance: dg.DagsterInstance,
    subjects: Mapping[str, Subject],
    run: dg.DagsterRun,
    ended: float,
) -> Iterator[dict[str, Any]]:
    """One record per cause, with its days, or an empty one where the subject has none."""
    failed = False
    for entry in instance.all_logs(run.run_id, dg.DagsterEventType.STEP_FAILURE):
        event = entry.dagster_event
        subject = subjects.get(event.node_name or "") if event else None
        if event is None:
            continue
        failed = True
        if subject is None:  # what is late could not be read: the ledger's alerts report that
            continue
        data = event.step_failure_data.user_failure_data
        error = event.step_failure_data.error
        text = (data.description if data else None) or (error.message if error else "")
        texts = {name: str(v.value) for name, v in (data.metadata if data else {}).items()}
        of_days = {day: reason for day, reason in texts.items() if _DAY.fullmatch(day)}
        guards = _guards(texts) if subject.operation == "guard" else {}
        for dataset, reasons in guards.items():
            for reason in reasons:
                yield from _records(run, subject, reason, {}, entry.timestamp, dataset)
        if not guards:
            yield from _records(run, subject, text, of_days, entry.timestamp)
    if not failed:  # its process was killed, or never started
        text = "the run ended without a result, or could not start; see Dagster's page of it"
        for key in run.asset_selection or ():
            if subject := subjects.get(key.to_python_identifier()):
                yield from _records(run, subject, text, {}, ended)


def _records(
    run: dg.DagsterRun,
    subject: Subject,
    text: str,
    of_days: Mapping[str, str],
    at: float,
    dataset: str = "",
) -> Iterator[dict[str, Any]]:
    operation = subject.operation
    if operation == "export":
        if _is_recount(run):
            operation = "recount"
        of_days = of_days or dict.fromkeys(_days_of(run), text)
    by_text: dict[str, list[str]] = {}
    for day, reason in (of_days or {"": text}).items():
        by_text.setdefault(reason, []).append(day)
    for reason, days in by_text.items():
        yield {
            "op": subject.asset.to_python_identifier(),
            "operation": operation,
            "subject": dataset,
            "text": redact(reason),
            "at": at,
            "days": days,
            "backfill": run.tags.get("dagster/backfill", ""),
        }


def _guards(texts: Mapping[str, str]) -> dict[str, list[str]]:
    """Of a guard's metadata: by dataset why it is held."""
    held = (name for name in texts if name.endswith(HELD))
    return {name.removesuffix(HELD): texts[name].split(BETWEEN) for name in held}


def _is_recount(run: dg.DagsterRun) -> bool:
    ops: Any = (run.run_config or {}).get("ops", {})
    return any((op.get("config") or {}).get("recheck") for op in ops.values())


def _days_of(run: dg.DagsterRun) -> list[str]:
    """The partitions of a run that failed before it had any."""
    if partition := run.tags.get("dagster/partition"):
        return [partition]
    first = run.tags.get("dagster/asset_partition_range_start")
    last = run.tags.get("dagster/asset_partition_range_end")
    if not (first and last):
        return []
    return [str(day) for day in day_range(Day.parse(first), Day.parse(last).plus(1))]
