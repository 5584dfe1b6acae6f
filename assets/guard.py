"""The daily guard of expiry as an asset.

Belongs here: what Dagster keeps of a run. Does not: the guard (lake.ttl).
"""

# No `from __future__ import annotations` here: Dagster reads the asset's annotations as types.

from collections.abc import Sequence
from datetime import timedelta

import dagster as dg

from assets.failing import as_failures
from assets.names import asset_name
from assets.resources import LakeResource
from lake.base.errors import PermanentError
from lake.config.settings import Settings
from lake.ttl import Applied, Plan, apply
from lake.ttl.plan import opened
from lake.ttl.terms import terms_of

NAME = "ttl_guard"
_FRESH_FOR = timedelta(hours=30)  # it runs daily
HELD = "_held"  # after a dataset's name: the key of the reason in a run's metadata


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
            "Limits of the TTL indexes, moved as far as what expires is proven. Fails where a "
            "limit is held above the wanted one or can't be set."
        ),
        group_name=NAME,
        owners=["team:monitoring"],
        metadata={"root": settings.lake.root},
    )
    def ttl_guard(
        context: dg.AssetExecutionContext, lake: LakeResource
    ) -> dg.MaterializeResult[None]:
        with (
            as_failures(context.run_id),
            lake.exporter(settings) as exporter,
            opened(settings, exporter.store, exporter.source) as site,
        ):
            plans: list[Plan] = []
            done = list(
                apply(site, settings.dataset, show=plans.append, confirm=_refuse_to_confirm)
            )
        for applied in done:
            context.log.info(
                "%s: %s, limit %s s", applied.plan.dataset, applied.state, applied.limit_s
            )
        metadata = _metadata(done)
        if held := reasons_held(done):
            lines = "\n".join(f"{name}: {why}" for name, why in held.items())
            raise dg.Failure(
                f"documents are held, or expire past the guard\n{lines}",
                metadata=metadata,
                allow_retries=False,
            )
        return dg.MaterializeResult(metadata=metadata)

    return ttl_guard


def _refuse_to_confirm(plans: Sequence[Plan]) -> None:
    listed = ", ".join(f"{plan.dataset} ({plan.deletes:,} documents)" for plan in plans)
    raise PermanentError(
        "a first deletion needs a person's confirmation",
        where=listed,
        remedy="run `lake ttl apply` once in a terminal",
    )


def reasons_held(done: Sequence[Applied]) -> dict[str, str]:
    """By dataset why its wanted limit is not in force, or what deletes past the guard.

    The first line is the same as long as the cause is: alerts are grouped by it.
    """
    return {applied.plan.dataset: _reason(applied) for applied in done if not applied.ok}


def _reason(applied: Applied) -> str:
    plan = applied.plan
    unproven = next((day for day in plan.days if not day.ok), None)
    lines = [applied.why, plan.why, *plan.rule.others]
    if unproven and not applied.why:
        lines.insert(0, f"documents are held, for a day is {unproven.state}")
    return "\n".join(filter(None, lines))


def _metadata(done: list[Applied]) -> dict[str, dg.MetadataValue]:
    """Of each dataset its limit in days and what is unproven: lines in Dagster's plots."""
    metadata: dict[str, dg.MetadataValue] = {}
    for applied in done:
        name, plan = applied.plan.dataset, applied.plan
        if why := reasons_held([applied]).get(name):
            metadata[f"{name}{HELD}"] = dg.MetadataValue.text(why)
        metadata[f"{name}_decision"] = dg.MetadataValue.text(plan.decision)
        metadata[f"{name}_unproven_days"] = dg.MetadataValue.int(
            sum(not day.ok for day in plan.days)
        )
        if applied.limit_s is not None:
            metadata[f"{name}_limit_days"] = dg.MetadataValue.float(applied.limit_s / 86_400)
    return metadata
