"""The daily retention run as an asset.

Belongs here: what Dagster keeps of a run. Does not: retention (lake.retention).
"""

# No `from __future__ import annotations` here: Dagster reads the asset's annotations as types.

from datetime import timedelta

import dagster as dg

from assets.failing import as_failures
from assets.resources import LakeResource
from lake.base.errors import PermanentError
from lake.config.settings import Settings
from lake.retention import RetentionPlan, RetentionResult, apply

NAME = "retention"
_FRESH_FOR = timedelta(hours=30)  # it runs daily


def retention_asset(settings: Settings) -> dg.AssetsDefinition:
    """Not partitioned: a run is about everything that is over now."""

    @dg.asset(
        name=NAME,
        freshness_policy=dg.FreshnessPolicy.time_window(_FRESH_FOR),
        description=(
            "Deletes what [retention] no longer keeps, with a record of each object. Fails if "
            "something past its retention stays for a reason other than a hold, or than being "
            "the only copy of a day."
        ),
        group_name=NAME,
        owners=["team:monitoring"],
        metadata={"root": settings.lake.root},
    )
    def retention(
        context: dg.AssetExecutionContext, lake: LakeResource
    ) -> dg.MaterializeResult[None]:
        with as_failures(context.run.run_id):
            result = apply(
                settings,
                lake.store(settings),
                show=lambda plan: context.log.info("%d items to delete", len(plan.items)),
                confirm=_refuse_to_confirm,
            )
        metadata = _metadata(result)
        if not result.ok:
            stays = [f"{stay.kind} {stay.name}: {stay.why}" for stay in result.plan.stays]
            stays += [f"{name}: {why}" for name, why in result.kept.items()]
            lines = "\n".join(dict.fromkeys(stays))
            raise dg.Failure(
                f"something past its retention was not deleted\n{lines}",
                metadata=metadata,
                allow_retries=False,
            )
        return dg.MaterializeResult(metadata=metadata)

    return retention


def _refuse_to_confirm(plan: RetentionPlan) -> None:
    names = ", ".join(dict.fromkeys(f"{item.kind} {item.name}" for item in plan.items))
    raise PermanentError(
        "a first deletion, or one under a shorter retention time, needs a person's confirmation",
        where=names,
        remedy="run `lake retention apply` once in a terminal",
    )


def _metadata(result: RetentionResult) -> dict[str, dg.MetadataValue]:
    """Lines in Dagster's plots."""
    objects = sum(len(item.pieces) for item in result.deleted)
    return {
        "deleted_objects": dg.MetadataValue.int(objects),
        "deleted_bytes": dg.MetadataValue.int(sum(item.bytes for item in result.deleted)),
        "held": dg.MetadataValue.int(sum(stay.held for stay in result.plan.stays)),
        "deletion": dg.MetadataValue.text(result.deletion or "none"),
    }
