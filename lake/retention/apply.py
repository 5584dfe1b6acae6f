"""Deletes as planned, and completes what a killed run began.

Belongs here: the order of the steps. Does not: what may be deleted (plan).

A run takes its turn, completes interrupted deletions, plans, and writes the deletion manifest and
an audit entry before the first object goes. Of each item the manifest goes first, so that nothing
is read that is half there. Each item is looked at once more right before: one that a hold covers
by now, or that was written again, stays. A second run after a kill ends in the state of an
undisturbed one.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from lake import audit
from lake.base.clock import utc_now
from lake.base.day import Day
from lake.base.errors import BadData, Conflict, Missing
from lake.config.settings import Settings
from lake.holds import Hold
from lake.holds import of as holds_of
from lake.holds.protecting import protect
from lake.partition.ledger import listed_days, read_standing
from lake.retention.plan import Item, RetentionPlan, make_plan
from lake.retention.records import (
    Deletion,
    DeletionEnd,
    deleted_days,
    name_of,
    unfinished,
    write_deletion,
)
from lake.retired import RETENTION, change_retired, is_record_lost, read_retired
from lake.snapshot import list_snapshots, require_quiet
from lake.snapshots.journal import JOURNAL
from lake.snapshots.manifest import read_snapshot
from lake.store import Store
from lake.ttl.turn import Turn, turn

ACTION = "retention"
TURN = f"{RETENTION}turn.json"
_RENEWED_EVERY_S = 60
_RECORD = "*"  # what the turn remembers is not of one dataset


@dataclass(frozen=True)
class RetentionResult:
    """What a run has done. `kept`: planned items that stayed after all, and why. `completed`: the
    interrupted deletions that it ended.
    """

    plan: RetentionPlan
    deletion: str
    deleted: tuple[Item, ...]
    kept: dict[str, str]
    completed: tuple[str, ...]

    @property
    def ok(self) -> bool:
        """Whether nothing but holds keeps what is over."""
        return self.plan.ok and not self.kept

    def to_json(self) -> dict[str, Any]:
        """For `--json`."""
        return {
            "deletion": self.deletion or None,
            "deleted": [item.to_json() for item in self.deleted],
            "kept": self.kept,
            "stays": [stay.to_json() for stay in self.plan.stays],
            "completed": list(self.completed),
            "policy": self.plan.policy,
        }


def apply(
    settings: Settings,
    store: Store,
    *,
    show: Callable[[RetentionPlan], None],
    confirm: Callable[[RetentionPlan], None],
    clock: Callable[[], datetime] = utc_now,
) -> RetentionResult:
    """Deletes what the policy no longer keeps, and records it.

    `confirm` gets a plan that deletes something under a term that is new or shorter than the one
    that was confirmed last; it raises to stop. Raises Conflict while another run works, and what
    the store raises.
    """
    with turn(store, TURN) as mine:
        if is_record_lost(store):
            change_retired(store, deleted_days(store))
        completed = [_completed(settings, store, deletion, clock) for deletion in unfinished(store)]
        if again := _exported_again(store):
            change_retired(store, {}, again=again)
        plan = make_plan(settings, store, Day(clock().date()))
        show(plan)
        record = mine.state.datasets.setdefault(_RECORD, {})
        confirmed = record.setdefault("confirmed", {})
        _forget_shorter(plan, confirmed)
        if any(not _is_confirmed(plan, item, confirmed) for item in plan.items):
            confirm(plan)
            confirmed |= dict(_term_of(plan, item) for item in plan.items)
        result = _deleted(settings, store, plan, mine, tuple(completed), clock)
        for hold in holds_of(store).active:
            protect(store, hold)  # versions that were written since
        record |= {"at": clock().isoformat(timespec="seconds"), "ok": result.ok}
    return result


def last_run(store: Store) -> datetime | None:
    """When a run last came to its end. Raises BadData and what the store raises."""
    from lake.ttl.turn import remembered  # noqa: PLC0415

    at = remembered(store, TURN).datasets.get(_RECORD, {}).get("at")
    return datetime.fromisoformat(at) if at else None


def _exported_again(store: Store) -> dict[str, set[Day]]:
    """The retired days that have a manifest: an export records them, unless it was killed."""
    retired = read_retired(store)
    days_of = {name: retired.days(name) & listed_days(store, name) for name in retired.datasets}
    return {name: set(days) for name, days in days_of.items() if days}


def _term_of(plan: RetentionPlan, item: Item) -> tuple[str, Any]:
    """What the item is deleted by: a name, and its value in the policy."""
    return f"{item.kind} {item.name}", _value(plan, item.kind, item.name)


def _value(plan: RetentionPlan, kind: str, name: str) -> Any:
    """In the policy; None of what lake.toml no longer has."""
    if kind in ("table", "rollup"):
        return plan.policy["datasets"].get(name, {}).get(f"{kind}s")
    return plan.policy["snapshots"].get(name) if kind == "snapshot" else plan.policy["reports"]


def _is_confirmed(plan: RetentionPlan, item: Item, confirmed: Mapping[str, Any]) -> bool:
    """Whether the item's term was confirmed."""
    name, value = _term_of(plan, item)
    return bool(confirmed.get(name) == value)


def _forget_shorter(plan: RetentionPlan, confirmed: dict[str, Any]) -> None:
    """A term that has become longer needs no confirmation, and the shorter one does from now on:
    it may have been a mistake. Of other rules of snapshots nothing is confirmed.
    """
    for name, known in list(confirmed.items()):
        value = _value(plan, *name.split(" ", 1))
        if isinstance(known, int) and isinstance(value, int) and value >= known:
            confirmed[name] = value
        elif not (isinstance(known, int) and isinstance(value, int)) and value != known:
            del confirmed[name]


def _deleted(
    settings: Settings,
    store: Store,
    plan: RetentionPlan,
    mine: Turn,
    completed: tuple[str, ...],
    clock: Callable[[], datetime],
) -> RetentionResult:
    if not plan.items:
        return RetentionResult(plan, "", (), {}, completed)
    deletion = write_deletion(store, plan.policy, plan.items, clock())
    kept = _run(settings, store, deletion, clock, plan.items, mine)
    deleted = tuple(item for item in plan.items if name_of(item) not in kept)
    return RetentionResult(plan, deletion.id, deleted, kept, completed)


def _completed(
    settings: Settings, store: Store, deletion: Deletion, clock: Callable[[], datetime]
) -> str:
    """Ends an interrupted deletion: items that it had begun are completed, the others are left to
    a plan of today's.
    """
    begun = [item for item in deletion.items if not _is_untouched(store, item)]
    _run(settings, store, deletion, clock, begun, None)
    return deletion.id


def _is_untouched(store: Store, item: Item) -> bool:
    """Whether its first object, the manifest, is there as it was planned."""
    if not item.pieces:
        return True
    stat = store.stat(item.pieces[0].key)
    return stat is not None and stat.etag == item.pieces[0].etag


def _run(
    settings: Settings,
    store: Store,
    deletion: Deletion,
    clock: Callable[[], datetime],
    items: Sequence[Item],
    mine: Turn | None,
) -> dict[str, str]:
    """Deletes the items and records the end; returns those that stayed, and why.

    Days are retired before their tables go: a rollup whose table is gone would else be taken for an
    orphan meanwhile. Those that stay are retired no more.
    """
    intent = _intent(store, deletion, known=mine is None)
    kept = {name_of(item): "interrupted before it was begun" for item in deletion.items}
    change_retired(store, _table_days(items))
    renewed = time.monotonic()
    for item in items:
        if mine and time.monotonic() - renewed > _RENEWED_EVERY_S:
            mine.renew()
            renewed = time.monotonic()
        why = _delete(settings, store, item)
        if why:
            kept[name_of(item)] = why
            continue
        del kept[name_of(item)]
    if stayed := _table_days(item for item in deletion.items if name_of(item) in kept):
        earlier = deleted_days(store)  # and exported again since
        later = {name: days - earlier.get(name, set()) for name, days in stayed.items()}
        change_retired(store, {}, later, stayed)
    ended = DeletionEnd(
        clock().isoformat(timespec="milliseconds"), len(deletion.items) - len(kept), kept
    )
    details = {"state": "done", "deletion": deletion.id, "intent": intent}
    _log(store, deletion, details | {"deleted": ended.deleted, "kept": kept})
    stat = store.stat(deletion.done_key)
    store.write(deletion.done_key, ended.to_bytes(), replaces=stat.etag if stat else "")
    return kept


def _intent(store: Store, deletion: Deletion, *, known: bool) -> int:
    """The number of the entry that announces the deletion. An interrupted run may have written it,
    so with `known` it is looked for.
    """
    for entry in audit.entries(store) if known else ():
        if entry.action == ACTION and entry.details.get("deletion") == deletion.id:
            return entry.sequence
    details = {
        "state": "intended",
        "deletion": deletion.id,
        "manifest_sha256": hashlib.sha256(store.read(deletion.key)).hexdigest(),
        "items": len(deletion.items),
        "objects": sum(len(item.pieces) for item in deletion.items),
        "bytes": sum(item.bytes for item in deletion.items),
    }
    return _log(store, deletion, details)


def _log(store: Store, deletion: Deletion, details: dict[str, Any]) -> int:
    names = ", ".join(dict.fromkeys(item.name for item in deletion.items))
    reasons = "; ".join(dict.fromkeys(item.reason for item in deletion.items))
    return audit.append(store, ACTION, names, reasons, details=details).sequence


def _delete(settings: Settings, store: Store, item: Item) -> str:
    """Deletes an item; why it stays, or "". What the store refuses ends the run."""
    try:
        if hold := _hold(settings, store, item):
            return "" if _is_gone(store, item) else str(hold)
        if item.kind == "table" and read_standing(store, item.name, item.day).pending:
            return "an export of it has begun since"
        if item.kind == "snapshot":
            require_quiet(store, item.name)
    except (Conflict, BadData) as error:
        return error.what
    first, *rest = item.pieces
    # A snapshot run relies on what manifests and journals name. One that began before these were
    # gone has left its own journal by then, and is seen here; a later one does not know the rest.
    journals = [piece for piece in rest if piece.key.endswith(f"/{JOURNAL}")]
    for piece in (first, *journals):
        if why := _delete_piece(store, piece.key, piece.etag):
            return why
    if item.kind == "snapshot":
        require_quiet(store, item.name)
    needed = _needed(store, item)
    for piece in rest:
        if piece.key in needed:
            continue  # a snapshot that was taken since the plan relies on it
        if why := _delete_piece(store, piece.key, piece.etag):
            return why
    return ""


def _delete_piece(store: Store, key: str, etag: str) -> str:
    stat = store.stat(key)
    if stat is None:
        return ""
    if stat.etag != etag:
        return f"{key} was written again since the plan"
    store.delete(key)
    return ""


def _hold(settings: Settings, store: Store, item: Item) -> Hold | None:
    holds = holds_of(store, settings)
    if item.kind in ("table", "rollup"):
        return holds.blocking(item.name, item.day)
    if item.kind != "snapshot":
        return None
    try:
        return holds.blocking_snapshot(read_snapshot(store, item.name, item.day))
    except Missing:  # its manifest is gone already: what it held is not known here any more
        return holds.blocking_system(item.name)


def _needed(store: Store, item: Item) -> set[str]:
    """Objects that the snapshots which are left need."""
    if item.kind != "snapshot":
        return set()
    return {stored.key for left in list_snapshots(store, (item.name,)) for stored in left.objects}


def _is_gone(store: Store, item: Item) -> bool:
    """Whether nothing of it is left: a hold that came after the deletion keeps nothing."""
    return all(store.stat(piece.key) is None for piece in item.pieces)


def _table_days(items: Iterable[Item]) -> dict[str, set[Day]]:
    days: dict[str, set[Day]] = {}
    for item in items:
        if item.kind == "table":
            days.setdefault(item.name, set()).add(item.day)
    return days
