"""The daily expiry guard as an asset.

Belongs here: what Dagster keeps of a run. Does not: the guard (lake.ttl).
"""

# No `from __future__ import annotations` here: Dagster reads the asset's annotations as types.

from collections.abc import Sequence
from datetime import timedelta

import dagster as dg

from assets.failing import as_failures
from assets.names import asset_name
from assets.resources import LakeResource
from lake.alerts.failures import HELD as HELD_FOR
from lake.base.errors import PermanentError
from lake.base.sizes import counted
from lake.config.settings import Settings
from lake.ttl import AppliedLimit, ExpiryPlan, apply
from lake.ttl.proof import DayProof
from lake.ttl.site import opened
from lake.ttl.terms import terms_of

NAME = "ttl_guard"
_FRESH_FOR = timedelta(hours=30)  # it runs daily
HELD = "_held"  # after a dataset's name: the key of the reasons in a run's metadata
BETWEEN = "\n\n"  # two reasons


def is_enabled(settings: Settings) -> bool:
    """Whether any dataset has a limit to guard."""
    return any(terms_of(settings, dataset).enabled for dataset in settings.dataset)


def guard_asset(settings: Settings) -> dg.AssetsDefinition:
    """Not partitioned: a run is about everything that may expire now."""

    guarded = [d for d in settings.dataset if terms_of(settings, d).enabled]

    @dg.asset(
        name=NAME,
        deps=[asset_name(dataset.name) for dataset in guarded],
        freshness_policy=dg.FreshnessPolicy.time_window(_FRESH_FOR),
        description=(
            "Sets the limits of the TTL indexes so that only proven documents expire. Fails if a "
            "limit is held above the configured one or can't be set."
        ),
        group_name=NAME,
        owners=["team:monitoring"],
        metadata={"root": settings.lake.root},
    )
    def ttl_guard(
        context: dg.AssetExecutionContext, lake: LakeResource
    ) -> dg.MaterializeResult[None]:
        with (
            as_failures(context.run.run_id),
            lake.exporter(settings) as exporter,
            opened(settings, exporter.store, exporter.source) as site,
        ):
            plans: list[ExpiryPlan] = []
            done = list(
                apply(site, settings.dataset, show=plans.append, confirm=_refuse_to_confirm)
            )
        for applied in done:
            context.log.info(
                "%s: %s, limit %s s", applied.plan.dataset, applied.state, applied.limit_s
            )
        metadata = _metadata(done)
        if held := reasons_held(done):
            lines = "\n".join(f"{name}: {why}" for name, whys in held.items() for why in whys)
            raise dg.Failure(
                f"documents are held, or expire past the guard\n{lines}",
                metadata=metadata,
                allow_retries=False,
            )
        return dg.MaterializeResult(metadata=metadata)

    return ttl_guard


def _refuse_to_confirm(plans: Sequence[ExpiryPlan]) -> None:
    listed = ", ".join(f"{plan.dataset} ({plan.deletes:,} documents)" for plan in plans)
    raise PermanentError(
        "a first deletion needs a person's confirmation",
        where=listed,
        remedy="run `lake ttl apply` once in a terminal",
    )


def reasons_held(done: Sequence[AppliedLimit]) -> dict[str, list[str]]:
    """By dataset, why its configured limit is not in force, or what deletes past the guard.

    The first line of a reason is the same as long as the cause is: alerts are grouped by it.
    """
    return {applied.plan.dataset: _reasons(applied) for applied in done if not applied.ok}


def _reasons(applied: AppliedLimit) -> list[str]:
    plan = applied.plan
    reasons = []
    if applied.why:
        reasons.append("\n".join(filter(None, (applied.why, plan.why))))
    elif unproven := [day for day in plan.days if not day.ok]:
        for states in (("damaged",), ("differs",), ("late", "missing"), ("held",)):
            if days := [day for day in unproven if day.state in states]:
                state = next(known for known in states if known in {day.state for day in days})
                reasons.append(f"{HELD_FOR} {state}\n{_days(plan, days)}\n{plan.why}")
        if plan.undated:
            reasons.append(
                f"documents are held because rows that belong to no day would expire\n{plan.why}"
            )
    elif plan.why:
        reasons.append(plan.why)
    return [*reasons, *plan.rule.others]


def _days(plan: ExpiryPlan, days: Sequence[DayProof]) -> str:
    """How many, the first, and when it would begin to expire."""
    first, number = days[0], counted(len(days), "day")
    expires = first.day.start + timedelta(seconds=plan.wanted_s or 0)
    return (
        f"{number}, the first is {first.day}: {first.state} ({first.why})\n"
        f"without the hold its first row would expire at {expires:%Y-%m-%d %H:%M} UTC"
    )


def _metadata(done: list[AppliedLimit]) -> dict[str, dg.MetadataValue]:
    """Of each dataset its limit in days and what is unproven: lines in Dagster's plots."""
    metadata: dict[str, dg.MetadataValue] = {}
    for applied in done:
        name, plan = applied.plan.dataset, applied.plan
        if whys := reasons_held([applied]).get(name):
            metadata[f"{name}{HELD}"] = dg.MetadataValue.text(BETWEEN.join(whys))
        metadata[f"{name}_decision"] = dg.MetadataValue.text(plan.decision)
        metadata[f"{name}_unproven_days"] = dg.MetadataValue.int(
            sum(not day.ok for day in plan.days)
        )
        if applied.limit_s is not None:
            metadata[f"{name}_limit_days"] = dg.MetadataValue.float(applied.limit_s / 86_400)
    return metadata
