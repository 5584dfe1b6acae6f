"""Adding and releasing holds.

Belongs here: the order of writes, the audit log. Does not: S3 legal holds (protecting).

A hold is an object that is created once and never replaced; so is its release. The object comes
before the audit entry: a run that is killed in between has held too much, never too little. The
entry of a release comes before its object, for the same reason; running it again completes it.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence

from lake import audit
from lake.base.clock import utc_now
from lake.base.day import Day, require_range
from lake.base.errors import Conflict, Missing, UsageError
from lake.config.settings import Settings
from lake.holds.hold import ALL, ID, Hold, Release, key_of, release_key_of
from lake.holds.reading import of
from lake.store import Store

ADDED, RELEASED = "hold", "release"  # actions of the audit log


def add(
    settings: Settings,
    store: Store,
    datasets: Sequence[str],
    start: Day | None,
    end: Day | None,
    reason: str,
    *,
    hold_id: str = "",
) -> Hold:
    """Adds a hold and its audit entry. `*` in `datasets` is all, also those of the future.

    Raises UsageError (no reason, an unknown dataset, an empty range, an id that is taken) and
    what the store raises.
    """
    if not reason.strip():
        raise UsageError("a hold needs a reason", expected="who wants the data kept, and why")
    require_range(start, end)
    names = (ALL,) if ALL in datasets else tuple(dict.fromkeys(datasets))
    if not names:
        raise UsageError("no dataset", expected="names of datasets, or --all")
    chosen = [settings.dataset_named(name) for name in names if name != ALL]
    systems = tuple(dict.fromkeys(dataset.source for dataset in chosen)) or (ALL,)
    at = _now()
    hold_id = hold_id or f"{at[:10]}-{secrets.token_hex(3)}"
    _check_id(hold_id)
    definitions = {dataset.name: dataset.model_dump() for dataset in chosen}
    hold = Hold(
        hold_id, names, systems, start, end, reason.strip(), audit.who(), at,
        definitions=definitions,
    )  # fmt: skip
    try:
        store.write(key_of(hold_id), hold.to_bytes(), replaces="")
    except Conflict as error:
        raise UsageError(
            f"hold {hold_id!r} already exists",
            where=store.url(key_of(hold_id)),
            remedy="choose another --id; a hold is never changed",
        ) from error
    audit.append(store, ADDED, ", ".join(names), hold.reason, details=hold.to_json())
    return hold


def release(store: Store, hold_id: str, reason: str) -> Hold:
    """Ends a hold. Raises Missing where there is no active one of that id, UsageError without a
    reason, and what the store raises.
    """
    if not reason.strip():
        raise UsageError("a release needs a reason", expected="who lifted the hold, and why")
    holds = of(store)
    hold = next((active for active in holds.active if active.id == hold_id), None)
    if hold is None:
        _check_id(hold_id)
        ended = holds.released.get(hold_id)
        raise Missing(
            f"no active hold {hold_id!r}",
            where=store.url(key_of(hold_id)),
            expected=", ".join(active.id for active in holds.active) or "an active hold",
            found=f"released {ended[1].at} by {ended[1].who}" if ended else "no such hold",
            remedy="`lake hold list` shows them",
        )
    ending = Release(hold_id, reason.strip(), audit.who(), _now())
    details = {"id": hold_id, "at": ending.at}
    audit.append(store, RELEASED, ", ".join(hold.datasets), ending.reason, details=details)
    stat = store.stat(release_key_of(hold_id))  # one that can't be read is replaced
    store.write(release_key_of(hold_id), ending.to_bytes(), replaces=stat.etag if stat else "")
    return hold


def _check_id(hold_id: str) -> None:
    if not ID.fullmatch(hold_id):
        raise UsageError(
            "not the id of a hold",
            expected="up to 63 of a-z, 0-9 and -, of which the first is no -",
            found=repr(hold_id),
        )


def _now() -> str:
    return utc_now().isoformat(timespec="milliseconds")
