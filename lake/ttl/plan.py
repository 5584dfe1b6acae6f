"""Which limit may be set, and why it is not the wanted one.

Belongs here: the decision, from what the source, the lake and the clocks show. Does not: setting
a limit (apply), proving a day (proof).

At the server's time T a limit L lets rows dated before T - L expire, and as time goes on more of
them. So every row before T - L + margin has to be proven: then, for as long as the margin, nothing
expires that this plan has not proven, even if no guard runs.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from typing import Any, Literal

from lake.base.day import Day
from lake.base.errors import LakeError, UsageError
from lake.base.sizes import counted
from lake.config.datasets import Dataset
from lake.holds import of as holds_of
from lake.partition.ledger import read_ledger
from lake.systems.expiry import NEVER_S, ExpiryRule
from lake.systems.protocol import Expiry
from lake.ttl.proof import DayProof, Prover
from lake.ttl.site import GuardSite
from lake.ttl.terms import DAY_S, ExpiryTerms, terms_of
from lake.ttl.unguarded import guarded_scopes, unguarded

Decision = Literal["none", "blocked", "unknown", "hold", "held", "limit"]
_DAY_MS = 1000 * DAY_S
_SLACK_MS = 3_600_000  # a row that is that near to expiring may be gone when it is looked at
_PARALLEL = 4
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class ExpiryPlan:
    """What is to be done for one dataset.

    none: its system has no expiry to guard · blocked: no limit can be set · unknown: the source
    shows no index · hold: everything is kept, the index at its greatest limit or none at all ·
    held: a limit above the wanted one · limit: the wanted one.

    `made_at` is when it was done, by this machine's clock. `target_s` is the limit to set, None
    where nothing is set. `at_once` rows would expire at once under the wanted limit, `deletes`
    under `target_s`. `never` rows have no date to expire by.
    """

    dataset: str
    source: str
    decision: Decision
    why: str = ""
    enabled: bool = True
    rule: ExpiryRule = field(default_factory=ExpiryRule)
    now: datetime | None = None
    made_at: datetime = _EPOCH
    wanted_s: int | None = None
    target_s: int | None = None
    margin_s: int = 0
    at_once: int = 0
    deletes: int = 0
    undated: int = 0
    never: int = 0
    days: tuple[DayProof, ...] = ()
    horizon_ms: int = 0
    gone_before_ms: int = 0
    notes: tuple[str, ...] = ()

    @property
    def reach_ms(self) -> int:
        """What is older may expire within the margin."""
        if self.now is None or self.target_s is None:
            return 0
        return to_ms(self.now) - 1000 * (self.target_s - self.margin_s)

    @property
    def changes(self) -> bool:
        """Whether a limit is to be set."""
        return self.enabled and self.target_s is not None and self.target_s != self.rule.limit_s

    @property
    def lowers(self) -> bool:
        """Whether more may expire by the limit to set than by the one in force."""
        in_force = self.rule.limit_s
        return self.changes and (in_force is None or (self.target_s or 0) < in_force)

    @property
    def ok(self) -> bool:
        """Whether the wanted limit is or can be set, and nothing else deletes rows."""
        return self.decision in ("none", "limit") and not (self.rule.others or self.rule.left)

    @property
    def born_expired(self) -> int:
        """Rows that were older than the limit when they were inserted."""
        return sum(day.born_expired for day in self.days)

    def to_json(self) -> dict[str, Any]:
        """For `--json`."""
        index = self.rule.index
        return {
            "dataset": self.dataset,
            "source": self.source,
            "enabled": self.enabled,
            "decision": self.decision,
            "why": self.why,
            "changes": self.changes,
            "index": index.name if index else None,
            "limit_s": self.rule.limit_s,
            "wanted_s": self.wanted_s,
            "target_s": self.target_s,
            "server_time": self.now.isoformat() if self.now else None,
            "at_once": self.at_once,
            "deletes": self.deletes,
            "undated": self.undated,
            "never": self.never,
            "born_expired": self.born_expired,
            "states": dict(Counter(day.state for day in self.days)),
            "days": [day.to_json() for day in self.days],
            "others": list(self.rule.others),
            "left": [index.name for index in self.rule.left],
            "notes": list(self.notes),
        }


Records = Mapping[str, Mapping[str, Any]]


def make_plans(
    site: GuardSite, datasets: Sequence[Dataset], records: Records
) -> Iterator[ExpiryPlan]:
    """One a dataset, in their order. `records` is what the last guard has remembered (turn).

    What a source or the store refuses is a plan that holds.
    """
    terms = {dataset.name: terms_of(site.settings, dataset) for dataset in datasets}
    scopes = guarded_scopes(site)
    shared = {scope for scope, number in scopes.items() if number > 1}
    reported: set[str] = set()
    for dataset in datasets:
        planning = _Planning(site, dataset, terms[dataset.name], records.get(dataset.name, {}))
        plan = replace(planning.plan(shared), made_at=site.clock())
        if plan.enabled and plan.decision != "none" and dataset.source not in reported:
            reported.add(dataset.source)
            others = (*plan.rule.others, *unguarded(site, dataset.source, scopes))
            plan = replace(plan, rule=replace(plan.rule, others=others))
        yield plan


@dataclass(frozen=True)
class _Planning:
    site: GuardSite
    dataset: Dataset
    terms: ExpiryTerms
    record: Mapping[str, Any]

    def plan(self, shared: set[str]) -> ExpiryPlan:
        plan = ExpiryPlan(
            self.dataset.name, self.dataset.source, "unknown", enabled=self.terms.enabled
        )
        expiry = self.site.expiry_of(self.dataset.source)
        if expiry is None:
            return replace(plan, decision="none", why="no expiry to guard")
        plan = replace(plan, wanted_s=self.terms.wanted_s, margin_s=self.terms.margin_s)
        try:
            plan = replace(plan, rule=self._without_elsewhere(expiry.rule(self.dataset)))
        except UsageError:
            raise
        except LakeError as error:
            return replace(plan, why=str(error))
        if plan.rule.obstacle:
            return replace(plan, decision="blocked", why=plan.rule.obstacle)
        try:
            plan, skew_s = self._timed(plan, expiry)
            if skew_s > self.site.settings.ttl.max_clock_skew_s:
                why = (
                    f"the server's clock and this machine's are {skew_s:.0f} s apart, more than "
                    f"{self.site.settings.ttl.max_clock_skew_s} s: synchronise both by NTP"
                )
                return _holding(plan, why)
            if plan.rule.scope in shared:
                why = (
                    f"several datasets use {plan.rule.scope}: set [ttl.dataset.NAME] "
                    "enabled = false for all but one"
                )
                return _holding(plan, why)
            return self._decided(self._looked(plan, expiry), expiry)
        except UsageError:
            raise
        except LakeError as error:
            return _holding(plan, str(error))

    def _without_elsewhere(self, rule: ExpiryRule) -> ExpiryRule:
        """Where another lake's guard looks after the collection, too, what it made is its own."""
        if rule.scope not in self.site.settings.ttl.elsewhere:
            return rule
        theirs = tuple(f"index {index.name!r} of another lake's guard" for index in rule.left)
        return replace(rule, left=(), others=(*rule.others, *theirs))

    def _timed(self, plan: ExpiryPlan, expiry: Expiry) -> tuple[ExpiryPlan, float]:
        before = self.site.clock()
        now = expiry.clock()
        after = self.site.clock()
        skew = max(before - now, now - after, timedelta(0))
        now_ms = to_ms(now)
        gone_ms = int(self.record.get("gone_before_ms", now_ms - 1000 * NEVER_S))
        if plan.rule.limit_s is not None:
            gone_ms = max(gone_ms, now_ms - 1000 * plan.rule.limit_s + _SLACK_MS)
        horizon_ms = now_ms - 1000 * (self.terms.wanted_s - self.terms.margin_s)
        timed = replace(plan, now=now, gone_before_ms=gone_ms, horizon_ms=horizon_ms)
        return timed, skew.total_seconds()

    def _looked(self, plan: ExpiryPlan, expiry: Expiry) -> ExpiryPlan:
        """With each day that has rows before the horizon, and the numbers of rows."""
        assert plan.now is not None  # noqa: S101  set by _timed
        prover = Prover(
            self.site.store,
            self.site.source_of(self.dataset.source),
            expiry,
            self.dataset,
            self.terms.proof,
            plan.gone_before_ms,
            self.terms.wanted_s,
            holds_of(self.site.store, self.site.settings),
        )
        days = list(days_with_rows(expiry, self.dataset, plan.horizon_ms))
        ledger = read_ledger(self.site.store, self.dataset.name) if days else {}
        with ThreadPoolExecutor(_PARALLEL) as pool:
            proofs = tuple(pool.map(lambda day: prover.prove(day, ledger.get(day)), days))
        return replace(
            plan,
            days=proofs,
            undated=expiry.undated(self.dataset, plan.horizon_ms),
            never=expiry.never(self.dataset),
            at_once=expiry.expiring(self.dataset, to_ms(plan.now) - 1000 * self.terms.wanted_s),
            notes=tuple(self._notes(plan.rule)),
        )

    def _notes(self, rule: ExpiryRule) -> Iterator[str]:
        for name in rule.twins:
            yield f"index {name!r} on the time field has a limit, too: it is raised with this one"
        last_s = self.record.get("limit_s")
        if rule.limit_s is not None and last_s is not None and last_s != rule.limit_s:
            yield f"the limit was changed since the last run: it was {last_s / DAY_S:g} days"
        settings, name = self.site.settings, self.dataset.source
        hot, lateness = getattr(settings.hot, name), getattr(settings.sources, name).lateness_days
        if self.terms.days < hot:
            yield f"[hot] {name} = {hot} days, but rows expire after {self.terms.days}"
        if self.terms.days <= lateness:
            yield (
                f"rows may arrive {lateness} days late ([sources.{name}] lateness_days), but "
                f"expire after {self.terms.days} days"
            )

    def _decided(self, plan: ExpiryPlan, expiry: Expiry) -> ExpiryPlan:
        """With the limit that lets nothing unproven expire within the margin."""
        assert plan.now is not None  # noqa: S101  set by _timed
        now_ms = to_ms(plan.now)
        unproven = next((day for day in plan.days if not day.ok), None)
        frontier = unproven.day.start_ms if unproven else None
        if plan.undated:
            undated_ms = self._before_undated(expiry, now_ms, plan.horizon_ms)
            frontier = undated_ms if frontier is None else min(frontier, undated_ms)
        if frontier is None:
            plan = replace(plan, decision="limit", target_s=self.terms.wanted_s)
            return replace(plan, deletes=self._deletes(plan, expiry))
        why = _unproven(plan)
        days = -(-(now_ms - frontier) // _DAY_MS) + self.terms.margin_days
        if days * DAY_S >= NEVER_S:
            return _holding(plan, f"{why}; they expire under any limit")
        lag = days - self.terms.days
        if lag > self.site.settings.ttl.max_lag_days:
            allowed = self.site.settings.ttl.max_lag_days
            return _holding(plan, f"{why}; {lag} days behind, max_lag_days is {allowed}")
        plan = replace(plan, decision="held", why=why, target_s=days * DAY_S)
        return replace(plan, deletes=self._deletes(plan, expiry))

    def _before_undated(self, expiry: Expiry, now_ms: int, horizon_ms: int) -> int:
        """The last midnight before which no undated row expires, found by halving."""
        low, high = (now_ms - 1000 * NEVER_S) // _DAY_MS, horizon_ms // _DAY_MS + 1
        if expiry.undated(self.dataset, low * _DAY_MS):
            return low * _DAY_MS
        while high - low > 1:
            middle = (low + high) // 2
            if expiry.undated(self.dataset, middle * _DAY_MS):
                high = middle
            else:
                low = middle
        return low * _DAY_MS

    def _deletes(self, plan: ExpiryPlan, expiry: Expiry) -> int:
        """Beyond what the limit in force deletes anyway."""
        assert plan.now is not None  # noqa: S101  set by _timed
        assert plan.target_s is not None  # noqa: S101  decided
        in_force = plan.rule.limit_s
        if in_force is not None and plan.target_s >= in_force:
            return 0
        now_ms = to_ms(plan.now)
        documents = expiry.expiring(self.dataset, now_ms - 1000 * plan.target_s)
        if in_force is not None:
            documents -= expiry.expiring(self.dataset, now_ms - 1000 * in_force)
        return max(0, documents)


def days_with_rows(expiry: Expiry, dataset: Dataset, before_ms: int) -> Iterator[Day]:
    """Those that begin before that time, oldest first."""
    from_ms: int | None = Day(date.min).start_ms
    while (first_ms := expiry.first_ms(dataset, from_ms, before_ms)) is not None:
        day = Day((_EPOCH + timedelta(milliseconds=first_ms)).date())
        yield day
        from_ms = day.end_ms


def _holding(plan: ExpiryPlan, why: str) -> ExpiryPlan:
    """Nothing expires; an index is not made for that."""
    in_force = plan.rule.limit_s
    return replace(
        plan, decision="hold", why=why, target_s=None if in_force is None else NEVER_S, deletes=0
    )


def of_no_day(rows: int) -> str:
    """As the subject of a sentence."""
    return f"{counted(rows, 'row')} that {'belongs' if rows == 1 else 'belong'} to no day"


def _unproven(plan: ExpiryPlan) -> str:
    """`3 days unproven, the first is 2026-07-01: missing`."""
    days = [day for day in plan.days if not day.ok]
    reasons = []
    if days:
        many = counted(len(days), "day")
        state = "not proven or held" if any(day.state == "held" for day in days) else "not proven"
        is_are = "is" if len(days) == 1 else "are"
        reasons.append(
            f"{many} {is_are} {state}, the first is {days[0].day}: {days[0].state} ({days[0].why})"
        )
    if plan.undated:
        reasons.append(f"{of_no_day(plan.undated)} would expire")
    return "; ".join(reasons)


def to_ms(when: datetime) -> int:
    """Milliseconds since the epoch."""
    return (when - _EPOCH) // timedelta(milliseconds=1)
