"""Sets the limits of a plan, checks again, and writes the audit log.

Belongs here: the order of the steps. Does not: which limit is right (plan).

What keeps rows comes first: limits are raised before any question to the user and before any limit
is lowered, and where the run ends by an error, those that it has not come to are raised too. Before
a limit is lowered the days are counted again, and after it too: rows that arrived in between, or
that can't be counted, raise it to the greatest limit. A plan that is no longer fresh is made again
first. Each change has two audit entries, `intended` before it and `done`, `abandoned` or `failed`
after it; the next guard settles what a killed one left open.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any, Literal

from lake import audit
from lake.base.errors import Conflict, LakeError
from lake.config.datasets import Dataset
from lake.holds import of as holds_of
from lake.partition.layout import table_prefix
from lake.partition.ledger import read_ledger
from lake.partition.manifest import Manifest
from lake.systems.expiry import NEVER_S, ExpiryRule, Index
from lake.systems.protocol import Expiry, Source
from lake.ttl.plan import ExpiryPlan, days_with_rows, make_plans, of_no_day
from lake.ttl.site import GuardSite
from lake.ttl.terms import terms_of
from lake.ttl.turn import Turn, turn

_LOG = logging.getLogger(__name__)
ACTION = "ttl"
_FRESH_FOR = timedelta(minutes=10)
"""After that the lake or the source may be another: an answer or other plans may take hours."""
State = Literal["unchanged", "done", "abandoned", "failed"]


@dataclass(frozen=True)
class AppliedLimit:
    """What became of one plan. `limit_s` is in force now; `why` is set unless it is done."""

    plan: ExpiryPlan
    state: State
    limit_s: int | None
    why: str = ""

    @property
    def ok(self) -> bool:
        """Whether the wanted limit is in force, and nothing else deletes rows."""
        return self.plan.ok and self.state in ("unchanged", "done")

    def to_json(self) -> dict[str, Any]:
        """For `--json`."""
        result = {"result": self.state, "result_why": self.why, "limit_after_s": self.limit_s}
        return self.plan.to_json() | result


def apply(
    site: GuardSite,
    datasets: Sequence[Dataset],
    *,
    show: Callable[[ExpiryPlan], None],
    confirm: Callable[[Sequence[ExpiryPlan]], None],
) -> Iterator[AppliedLimit]:
    """Plans, shows all plans, then acts on those of enabled datasets, first on those that delete
    nothing.

    `confirm` gets the plans whose first deletion is not confirmed yet; it raises to stop.
    Raises Conflict while another guard works, and what the store raises.
    """
    pending = _Pending(site, datasets)
    with pending.raised_on_error(), turn(site.store) as mine:
        open_intents = _settle(site, mine)
        for plan in make_plans(site, datasets, mine.state.datasets):
            show(plan)
            pending.plans[plan.dataset] = plan
            _forget_lower(plan, mine)
        for plan in [plan for plan in pending.plans.values() if plan.enabled and plan.rule.left]:
            pending.plans[plan.dataset] = _without_left(site, pending.datasets[plan.dataset], plan)
        plans = [plan for plan in pending.plans.values() if plan.enabled]
        lowering = [plan for plan in plans if plan.lowers]
        for plan in plans:
            if not plan.lowers:
                yield pending.act(mine, plan)
        if unconfirmed := [plan for plan in lowering if _is_unconfirmed(plan, mine)]:
            confirm(unconfirmed)
        for plan in lowering:
            if plan.deletes:
                confirmed = {"confirmed_s": plan.wanted_s, "identity": plan.rule.identity}
                _record(mine, plan).update(confirmed)
        for plan in lowering:
            fresh = plan
            if site.clock() - plan.made_at > _FRESH_FOR:
                dataset = pending.datasets[plan.dataset]
                (fresh,) = make_plans(site, [dataset], mine.state.datasets)
                show(fresh)
            yield pending.act(mine, fresh)
        newest = max(
            (entry.sequence for entry in audit.entries(site.store, mine.state.audited)), default=0
        )
        settled = min(open_intents) - 1 if open_intents else newest
        mine.state.audited = max(mine.state.audited, settled)


class _Pending:
    """The enabled datasets that a run has not come to, with their plans as far as they are made."""

    def __init__(self, site: GuardSite, datasets: Sequence[Dataset]) -> None:
        self.plans: dict[str, ExpiryPlan] = {}
        self.datasets = {
            dataset.name: dataset
            for dataset in datasets
            if terms_of(site.settings, dataset).enabled
        }
        self._site = site
        self._left = dict(self.datasets)

    def act(self, mine: Turn, plan: ExpiryPlan) -> AppliedLimit:
        """The steps of one plan; no longer pending unless they raise."""
        applied = _Act(self._site, mine, self.datasets[plan.dataset], plan).run()
        del self._left[plan.dataset]
        return applied

    @contextmanager
    def raised_on_error(self) -> Iterator[None]:
        """Where the run ends by an error the limits that are left are raised: to what their plans
        have; without a plan nothing can be proven, and all is kept. Not where another guard works.
        """
        try:
            yield
        except Conflict:
            raise
        except LakeError as error:
            for name, limit_s in self._raised():
                error.add_note(f"the limit of {name} was raised to {limit_s} s")
            raise

    def _raised(self) -> Iterator[tuple[str, int]]:
        """The datasets whose limit was raised. One that can't be does not keep the others."""
        for name, dataset in self._left.items():
            plan = self.plans.get(name)
            target_s = plan.target_s if plan and plan.target_s is not None else NEVER_S
            try:
                expiry = self._site.expiry_of(dataset.source)
                rule = expiry.rule(dataset) if expiry else ExpiryRule()
                if expiry and rule.limit_s is not None and rule.limit_s < target_s:
                    expiry.set_limit(dataset, rule.index, target_s)
                    yield name, target_s
            except LakeError as error:
                _LOG.warning("%s: the limit can't be raised: %s", name, error)


def _without_left(site: GuardSite, dataset: Dataset, plan: ExpiryPlan) -> ExpiryPlan:
    """Holds the indexes on what was the time field before: documents expired by them that nothing
    has proven. One that can't be held deletes past the guard. It keeps documents, so it needs no
    entry before it, and no confirmation.
    """
    expiry, others = site.expiry_of(plan.source), list(plan.rule.others)
    for index in plan.rule.left:
        try:
            if expiry:
                expiry.hold(dataset, index)
        except LakeError as error:
            others.append(f"index {index.name!r} can't be held: {error.what}")
            continue
        details = {"state": "done", "index": index.name, "old_s": index.limit_s, "new_s": NEVER_S}
        why = "the time field is another one: nothing is proven by what the index was on"
        audit.append(site.store, ACTION, plan.dataset, why, details=details)
    return replace(plan, rule=replace(plan.rule, left=(), others=tuple(others)))


def _is_unconfirmed(plan: ExpiryPlan, mine: Turn) -> bool:
    record = mine.state.datasets.get(plan.dataset, {})
    same = record.get("identity") in (None, plan.rule.identity)
    confirmed = record.get("confirmed_s") if same else None
    asks = plan.changes and plan.deletes > 0 and plan.wanted_s is not None
    return asks and (confirmed is None or (plan.wanted_s or 0) < confirmed)


def _forget_lower(plan: ExpiryPlan, mine: Turn) -> None:
    """A limit that is wanted higher than it was confirmed needs no confirmation, and the lower one
    does from now on: it may have been a mistake.
    """
    record = mine.state.datasets.get(plan.dataset, {})
    if plan.enabled and "confirmed_s" in record and plan.wanted_s is not None:
        record["confirmed_s"] = max(record["confirmed_s"], plan.wanted_s)


def _record(mine: Turn, plan: ExpiryPlan) -> dict[str, Any]:
    return mine.state.datasets.setdefault(plan.dataset, {})


def _settle(site: GuardSite, mine: Turn) -> list[int]:
    """Closes the entries that a killed guard left open, by the limit that is in force.

    Returns those that stay open: the source does not show the limit.
    """
    entries = [
        entry for entry in audit.entries(site.store, mine.state.audited) if entry.action == ACTION
    ]
    closed = {entry.details.get("intent") for entry in entries}
    unknown = []
    for intent in entries:
        if intent.details.get("state") != "intended" or intent.sequence in closed:
            continue
        try:
            limit_s = _limit_in_force(site, intent.dataset)
        except LakeError as error:
            _LOG.warning("audit entry %d stays open: %s", intent.sequence, error)
            unknown.append(intent.sequence)
            continue
        state = "done" if limit_s == intent.details["new_s"] else "abandoned"
        audit.append(
            site.store,
            ACTION,
            intent.dataset,
            "found after a guard was interrupted",
            details={"state": state, "intent": intent.sequence, "limit_s": limit_s},
        )
    return unknown


def _limit_in_force(site: GuardSite, name: str) -> int | None:
    dataset = next((dataset for dataset in site.settings.dataset if dataset.name == name), None)
    expiry = site.expiry_of(dataset.source) if dataset else None
    return expiry.rule(dataset).limit_s if dataset and expiry else None


class _Act:
    """One plan's steps."""

    def __init__(self, site: GuardSite, mine: Turn, dataset: Dataset, plan: ExpiryPlan) -> None:
        self._site = site
        self._turn = mine
        self._dataset = dataset
        self._plan = plan
        self._limit_s = plan.rule.limit_s  # in force

    def run(self) -> AppliedLimit:
        plan = self._plan
        record = _record(self._turn, plan)
        if plan.now is not None:
            record["gone_before_ms"] = plan.gone_before_ms
        if not plan.changes:
            applied = AppliedLimit(plan, "unchanged", plan.rule.limit_s)
        else:
            self._turn.renew()
            applied = self._changed()
        if plan.decision != "unknown" and applied.state != "failed":
            now = self._site.clock().isoformat(timespec="seconds")
            # Abandoned, it is kept above the wanted one, whatever the plan had.
            decision = "held" if applied.state == "abandoned" else plan.decision
            record |= {"at": now, "decision": decision, "limit_s": applied.limit_s}
            record["others"] = len(plan.rule.others)
        self._turn.renew()
        return applied

    def _changed(self) -> AppliedLimit:
        plan = self._plan
        assert plan.target_s is not None  # noqa: S101  it changes
        expiry = self._site.expiry_of(plan.source)
        assert expiry is not None  # noqa: S101  there is a plan
        why = plan.why or "every row that may expire is proven"
        intended = {"state": "intended", **self._change()}
        try:
            intent = self._log(why, intended, proof=self._proof())
        except LakeError:
            if plan.rule.limit_s is not None and plan.target_s > plan.rule.limit_s:
                expiry.set_limit(self._dataset, plan.rule.index, plan.target_s)  # keeps documents
            raise
        try:
            state, reason, limit_s = self._set(expiry, plan.target_s)
        except LakeError as error:
            why, limit_s = str(error), self._limit_s
            failed = {"state": "failed", "intent": intent.sequence, "limit_s": limit_s}
            self._log(why, failed)
            return AppliedLimit(plan, "failed", limit_s, why)
        self._log(reason or why, {"state": state, "intent": intent.sequence, "limit_s": limit_s})
        return AppliedLimit(plan, state, limit_s, reason)

    def _set(self, expiry: Expiry, target_s: int) -> tuple[State, str, int | None]:
        """Sets the limit; one that lowers is counted before and after."""
        plan, index = self._plan, self._plan.rule.index
        in_force = plan.rule.limit_s
        if in_force is not None and target_s > in_force:
            expiry.set_limit(self._dataset, index, target_s)
            return "done", "", target_s
        if self._is_too_old(expiry):
            return "abandoned", "the plan is too old by now; run it again", in_force
        if in_force is None:  # an index makes the counts below quick
            name = expiry.set_limit(self._dataset, index, NEVER_S)
            index, in_force = Index(name, NEVER_S), NEVER_S
            self._limit_s = NEVER_S
        source = self._site.source_of(plan.source)
        if arrived := self._arrived(expiry, source):
            return "abandoned", f"{arrived} since the plan; run it again", in_force
        self._turn.renew()
        try:
            self._limit_s = target_s  # where the server's response is lost, it may be
            expiry.set_limit(self._dataset, index, target_s)
            arrived = self._arrived(expiry, source)
        except LakeError as error:
            self._raise_again(expiry, index, error)
            raise
        if arrived:
            expiry.set_limit(self._dataset, index, NEVER_S)
            return "abandoned", f"{arrived} while the limit was set; it was raised again", NEVER_S
        return "done", "", target_s

    def _raise_again(self, expiry: Expiry, index: Index | None, error: LakeError) -> None:
        """What arrived while the limit was set is unknown: nothing may expire by it."""
        try:
            expiry.set_limit(self._dataset, index, NEVER_S)
        except LakeError as other:
            error.add_note(
                f"the limit may be {self._limit_s} s now, and can't be raised: {other.what}"
            )
            return
        self._limit_s = NEVER_S
        error.add_note(f"the limit was raised to {NEVER_S} s")

    def _is_too_old(self, expiry: Expiry) -> bool:
        """Whether half of the margin has gone by, perhaps over the question."""
        plan = self._plan
        assert plan.now is not None  # noqa: S101  a limit is decided
        return expiry.clock() - plan.now > timedelta(seconds=plan.margin_s / 2)

    def _arrived(self, expiry: Expiry, source: Source) -> str:
        """Rows that may expire within the margin and were not there at the plan, holds that were
        added and partitions that have changed since; "" for none.
        """
        plan = self._plan
        if expiry.rule(self._dataset).identity != plan.rule.identity:
            return f"{plan.rule.scope} was recreated"
        holds = holds_of(self._site.store, self._site.settings)
        planned = {day_plan.day: day_plan for day_plan in plan.days}
        for day in days_with_rows(expiry, self._dataset, plan.reach_ms):
            if hold := holds.blocking(self._dataset.name, day):
                return f"{hold} of {day} was added"
            known = planned[day].source_count if day in planned else 0
            if (counted := source.count(self._dataset, day).rows) > known:
                return f"{counted - known} rows of {day} arrived"
        if undated := expiry.undated(self._dataset, plan.reach_ms):
            return f"{of_no_day(undated)} arrived"
        return self._lost()

    def _lost(self) -> str:
        """The first day whose partition is not the one that was proven; "" where there is none."""
        store, name = self._site.store, self._dataset.name
        ledger = read_ledger(store, name)
        sizes = {stat.key: stat.bytes for stat in store.list(table_prefix(name))}
        for proof in self._plan.days:
            manifest = ledger.get(proof.day)
            if proof.ok and not (
                isinstance(manifest, Manifest)
                and manifest.sha256 == proof.sha256
                and sizes.get(manifest.key) == manifest.bytes
            ):
                return f"the partition of {proof.day} was replaced or removed"
        return ""

    def _change(self) -> dict[str, Any]:
        plan = self._plan
        index = plan.rule.index
        return {
            "index": index.name if index else None,
            "old_s": plan.rule.limit_s,
            "new_s": plan.target_s,
            "wanted_s": plan.wanted_s,
            "deletes": plan.deletes,
        }

    def _proof(self) -> dict[str, Any]:
        plan = self._plan
        return {
            "server_time": plan.now.isoformat() if plan.now else None,
            "days": [day.to_json() for day in plan.days],
            "undated": plan.undated,
        }

    def _log(
        self, why: str, details: dict[str, Any], proof: dict[str, Any] | None = None
    ) -> audit.Entry:
        return audit.append(
            self._site.store, ACTION, self._plan.dataset, why, details=details, proof=proof
        )
