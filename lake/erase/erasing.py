"""Rewrites the days of a plan without the rows that match.

Belongs here: the order of the steps. Does not: which days (planning), a day's new rows
(rewriting).

The record below `erasures/` is written first: from then on no export restores a day's rows
unnoticed. Then an entry of the audit log. Each day's rollup is removed before its table is
replaced, and made again from the new table, so that no query reads erased rows from it. A second
entry and the end of the record are written last. A run that is killed has erased some of the days;
the same command, run again, erases the others and finds nothing in those.
"""

from __future__ import annotations

import hashlib
import logging
import secrets
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from lake import __version__, audit
from lake.base.clock import utc_now
from lake.base.day import Day
from lake.base.errors import BadData, Conflict, LakeError, Missing, PermanentError
from lake.erase.planning import DayPlan, ErasurePlan, Planner
from lake.erase.rewriting import DOCUMENTS_WITH, Rewritten, rewrite
from lake.erased import ERASED_ROWS, STEPS, Erasure, ErasureEnd, erased_rows
from lake.holds import held_error
from lake.holds import of as holds_of
from lake.partition.content import fetch
from lake.partition.layout import table_key
from lake.partition.ledger import Standing
from lake.partition.manifest import Manifest
from lake.partition.replacement import Etags, Replacement, settle
from lake.process.running import this_writer
from lake.process.scratch import explained_full_disk, scratch_directory
from lake.query.rollup_cache import forget_local
from lake.rollup.rollups import Rollups
from lake.rollup.storing import remove as remove_rollup
from lake.store import Store, Upload

ACTION = "erase"  # in the audit log
_LOG = logging.getLogger(__name__)
_RACES = 3  # tries of one day while other runs replace it
_CHUNK = 1 << 20
_NO_REASON = "no reason given"


@dataclass(frozen=True)
class ErasedDay:
    """A day that was rewritten: how many rows are gone and are left, and the SHA-256 of its object
    before and after. `rollup` is what became of its rollup (lake.rollup.rollups.Rolled).
    """

    day: Day
    erased: int
    rows: int
    before: str
    after: str
    rollup: str

    def to_json(self) -> dict[str, Any]:
        """For `--json`, the record and the audit log."""
        return {**self.__dict__, "day": str(self.day)}


@dataclass
class ErasureResult:
    """`id` is that of the record; `kept` are days that were not rewritten, and why."""

    plan: ErasurePlan
    id: str = ""
    days: list[ErasedDay] = field(default_factory=list)
    kept: dict[str, str] = field(default_factory=dict)

    @property
    def ok(self) -> bool:
        """Whether no row that matches is left in a day that could be searched, and all could."""
        return not self.kept and not self.plan.problems

    @property
    def erased(self) -> int:
        """Rows that are gone."""
        return sum(day.erased for day in self.days)

    def to_json(self) -> dict[str, Any]:
        """For `--json`."""
        return {
            "erasure": self.id or None,
            "erased": self.erased,
            "days": [day.to_json() for day in self.days],
            "kept": self.kept,
        }


def erase(
    planner: Planner,
    plan: ErasurePlan,
    reason: str = "",
    progress: Callable[[ErasedDay], None] = lambda _: None,
) -> ErasureResult:
    """Erases what the plan shows, and records it. Nothing without a row that matches.

    Raises PermanentError where a hold covers one of the days, and what the store raises before the
    first day is rewritten; a day that fails is in the result.
    """
    store, result = planner.store, ErasureResult(plan)
    if not plan.days:
        return result
    refuse_held(plan)
    record = _record(planner, plan, reason)
    store.write(record.key, record.to_bytes(), replaces="")
    result.id = record.id
    details: dict[str, Any] = {
        "state": "intended",
        "erasure": record.id,
        "columns": list(record.columns),
    }
    details |= {"condition": record.condition, "rows": _rows(plan)}
    details["record_sha256"] = hashlib.sha256(record.to_bytes()).hexdigest()
    before = {str(day.day): day.sha256 for day in plan.days}
    why = record.reason or _NO_REASON
    intent = audit.append(store, ACTION, plan.dataset, why, details=details, proof=before).sequence
    for day in plan.days:
        try:
            erased = _erase_day(planner, day, record.id)
        except LakeError as error:
            _LOG.debug("%s %s was not erased", plan.dataset, day.day, exc_info=error)
            result.kept[str(day.day)] = str(error)
            continue
        if erased:
            result.days.append(erased)
            progress(erased)
    _end(store, record, result, intent)
    return result


def refuse_held(plan: ErasurePlan) -> None:
    """Raises PermanentError where a hold covers a day with matching rows."""
    if plan.held:
        day = plan.held[0]
        more = f", and {len(plan.held) - 1} more" if len(plan.held) > 1 else ""
        raise PermanentError(
            "a day with matching rows is held: nothing is erased",
            where=f"{plan.dataset} {day.day}{more}",
            expected="days that no hold covers",
            found=day.hold,
            remedy="when the hold is over, release it (`lake hold list`); or erase the days before "
            "and after it, by --from and --to",
        )


def _rows(plan: ErasurePlan) -> dict[str, int]:
    return {str(day.day): day.matched for day in plan.days}


def _record(planner: Planner, plan: ErasurePlan, reason: str) -> Erasure:
    now = utc_now()
    key = planner.settings.privacy.hash_key.get_secret_value()
    days = {str(day.day): {"rows": day.matched, "sha256": day.sha256} for day in plan.days}
    return Erasure(
        f"{now:%Y%m%dT%H%M%S}-{secrets.token_hex(4)}",
        plan.dataset,
        now.isoformat(timespec="milliseconds"),
        audit.who(),
        __version__,
        this_writer(),
        reason.strip(),
        planner.condition.columns,
        planner.condition.keyed_hash(key),
        days,
        planner.dataset.model_dump(),
    )


def _end(store: Store, record: Erasure, result: ErasureResult, intent: int) -> None:
    days = {str(day.day): day.to_json() for day in result.days}
    kept = {day: why.partition("\n")[0] for day, why in result.kept.items()}
    ended = ErasureEnd(utc_now().isoformat(timespec="milliseconds"), days, kept)
    details: dict[str, Any] = {
        "state": "done",
        "erasure": record.id,
        "intent": intent,
        "erased": result.erased,
    }
    details |= {"rows": {day: erased["erased"] for day, erased in days.items()}, "kept": kept}
    proof = {day: [erased["before"], erased["after"]] for day, erased in days.items()}
    why = record.reason or _NO_REASON
    audit.append(store, ACTION, record.dataset, why, details=details, proof=proof)
    store.write(record.done_key, ended.to_bytes(), replaces="")


def _erase_day(planner: Planner, day: DayPlan, erasure: str) -> ErasedDay | None:
    """None where no row matches any more. Raises Conflict where other runs keep replacing it."""
    for _ in range(_RACES - 1):
        with suppress(Conflict):
            return _try_day(planner, day.day, erasure)
    return _try_day(planner, day.day, erasure)


def _try_day(planner: Planner, day: Day, erasure: str) -> ErasedDay | None:
    store, name = planner.store, planner.dataset.name
    standing = settle(store, name, day)
    manifest = _settled(standing, name, day)
    if manifest is None:
        return None  # dropped, or deleted by retention
    # Before the read: what another run stores meanwhile is not replaced by rows read before it.
    stat = store.stat(table_key(name, day))
    expected = Etags(stat.etag if stat else "", standing.etag)
    with explained_full_disk(), scratch_directory() as scratch:
        file = scratch / f"day={day}" / "data.parquet"  # `day` is read from the path
        file.parent.mkdir()
        _fetch(store, manifest, file, expected)
        table = planner.table_with(manifest)
        made = rewrite(planner.connection, table, manifest, file, planner.condition, scratch)
        if made is None:
            return None
        _require_free(planner, day)
        remove_rollup(store, name, day)
        replacement = Replacement(store, name, day, expected, manifest)
        with replacement.upload() as upload:
            _copy(made.file, upload)
            _require_free(planner, day)
            replacement.announce(_without(manifest, made, erasure))
        new = replacement.commit()
    remove_rollup(store, name, day)  # another run may have made it of the earlier table
    forget_local(planner.settings, name, day)
    rolled = Rollups(planner.settings, store).mend(planner.dataset, day, new)
    if rolled.error:
        _LOG.warning("%s %s: no rollup: %s", name, day, rolled.error)
    return ErasedDay(day, made.erased, new.rows, manifest.sha256, new.sha256, rolled.state)


def _fetch(store: Store, manifest: Manifest, file: Path, expected: Etags) -> None:
    """Raises Conflict instead of BadData or Missing where another run has replaced the object."""
    try:
        with file.open("w+b") as copy:
            fetch(store, manifest, copy)
    except (BadData, Missing) as error:
        stat = store.stat(manifest.key)
        if (stat.etag if stat else "") == expected.object:
            raise
        raise Conflict(
            "another run has replaced the object", where=store.url(manifest.key)
        ) from error


def _settled(standing: Standing, name: str, day: Day) -> Manifest | None:
    if any(not pending.over for pending in standing.pending):
        raise Conflict(
            "the day is being exported",
            where=f"{name} {day}",
            found=standing.pending[0].writer,
            remedy="run the same command again when that export has ended",
        )
    if isinstance(standing.manifest, BadData):
        raise standing.manifest
    return standing.manifest


def _require_free(planner: Planner, day: Day) -> None:
    name = planner.dataset.name
    if hold := holds_of(planner.store, planner.settings).blocking(name, day):
        raise held_error("the day is held: its rows may not be erased", f"{name} {day}", hold)


def _copy(file: Path, upload: Upload) -> None:
    with file.open("rb") as content:
        while chunk := content.read(_CHUNK):
            upload.write(chunk)


def _without(manifest: Manifest, made: Rewritten, erasure: str) -> Manifest:
    """The manifest of the day without the rows. The source's count stays that of the export."""
    at = utc_now().isoformat(timespec="milliseconds")
    step = {"id": erasure, "at": at, "rows": made.erased, "fingerprint": made.before}
    details = {
        ERASED_ROWS: erased_rows(manifest.details) + made.erased,
        STEPS: [*manifest.details.get(STEPS, []), step],
    }
    return replace(
        manifest,
        rows=made.written.rows,
        bytes=made.written.bytes,
        sha256=made.written.sha256,
        fingerprint=made.fingerprint,
        created_at=at,
        version=__version__,
        details=_of_rest(manifest.details, made) | details,
    )


def _of_rest(details: dict[str, Any], made: Rewritten) -> dict[str, Any]:
    """With the documents that stay; without any in `_rest` or `_raw` the columns leave out nothing.
    Else what they leave out is that of the export, some of which may be erased.
    """
    now = {DOCUMENTS_WITH[column]: number for column, number in made.having.items()}
    new = {name: now.get(name, value) for name, value in details.items()}
    if now and not any(now.values()):
        new.pop("left_out_others", None)
        new |= {"left_out": {}} if "left_out" in new else {}
    return new
