"""The weekly verification as an asset.

Belongs here: what Dagster keeps of a run. Does not: verifying (lake.verify), the alert about what
differs: it comes from the record (lake.alerts.conditions).
"""

# No `from __future__ import annotations` here: Dagster reads the asset's annotations as types.

import dagster as dg

from assets.failing import as_failures
from assets.resources import LakeResource
from lake import audit
from lake.config.settings import Settings
from lake.retention.verifying import check as check_records
from lake.verified import record
from lake.verify import Finding, to_verify, verify_many

NAME = "verification"
OBJECTS = "objects_match_manifests"
RECORDS = "records_are_whole"
_SHOWN = 20  # differences in Dagster; `lake verify` lists them all


def verification_asset(settings: Settings) -> dg.AssetsDefinition:
    """Not partitioned: a run is about all days."""

    @dg.asset(
        name=NAME,
        description=(
            "Reads every object back and compares it with its manifest, and the audit log and the "
            "records of deletions with the store: `lake verify --record`. A difference fails a "
            "check and raises the alert LakeVerifyFailed."
        ),
        group_name=NAME,
        owners=["team:monitoring"],
        metadata={"root": settings.lake.root},
        check_specs=[
            dg.AssetCheckSpec(OBJECTS, asset=NAME, description="No day has a difference."),
            dg.AssetCheckSpec(
                RECORDS,
                asset=NAME,
                description="The audit log and the records of deletions are complete.",
            ),
        ],
    )
    def verification(context: dg.AssetExecutionContext, lake: LakeResource) -> dg.MaterializeResult:  # type: ignore[type-arg]  # checks need it
        with as_failures(context.run.run_id):
            store = lake.store(settings)
            partitions = to_verify(store, settings.dataset, None)
            context.log.info("%d partitions to verify", len(partitions))
            findings = list(verify_many(settings, store, partitions, None))
            problems = [*audit.check(store).problems, *check_records(store).problems]
            record(store, [dataset.name for dataset in settings.dataset], findings, problems)
        wrong = [_line(finding) for finding in findings if not finding.ok]
        return dg.MaterializeResult(
            metadata={
                "partitions": dg.MetadataValue.int(len(findings)),
                "differences": dg.MetadataValue.int(len(wrong)),
                "bytes": dg.MetadataValue.int(sum(finding.bytes for finding in findings)),
            },
            check_results=[_check(OBJECTS, wrong), _check(RECORDS, problems)],
        )

    return verification


def _line(finding: Finding) -> str:
    return f"{finding.dataset} {finding.day}: {'; '.join(finding.problems)}"


def _check(name: str, problems: list[str]) -> dg.AssetCheckResult:
    return dg.AssetCheckResult(
        passed=not problems,
        check_name=name,
        description="\n".join(problems[:_SHOWN]) or None,
        metadata={"problems": len(problems)},
    )
