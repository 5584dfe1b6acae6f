"""The one asset that every dataset becomes: its days are exported, checked and recorded.

Belongs here: what a run does with its days, and what Dagster keeps of each.
Does not: what an export is (lake.export), how single kinds are described (mongo, prometheus, loki).

A run may hold many days. One that fails does not stop the others: good days are recorded as
they are done, bad ones are not, and the run fails at its end naming each bad day and why.
"""

# No `from __future__ import annotations` here: Dagster reads the asset's annotations as types.

from collections.abc import Generator, Iterator, Sequence
from contextlib import closing

import dagster as dg

from assets.checks import Verdict, check_partition, check_specs, evaluations
from assets.columns import column_schema
from assets.failing import as_failures
from assets.links import links
from assets.names import asset_name, kind_of
from assets.resources import LakeResource
from assets.rollups import (
    has_rollup,
    mended,
    rollup_asset_key,
    rollup_check,
    rollup_events,
    rollup_spec,
)
from assets.sources import source_key
from lake.alerts.failures import NOT_AS_STORED
from lake.base.day import Day
from lake.base.errors import BadData, LakeError, TransientError
from lake.config.datasets import Dataset
from lake.config.settings import Settings
from lake.export import Exporter, Outcome
from lake.from_snapshot import export_from_snapshots
from lake.partition.layout import manifest_key
from lake.partition.manifest import Manifest
from lake.runs import ExportResult, export_many
from lake.store import Store
from lake.systems.registry import system
from lake.systems.source import SNAPSHOT

Event = dg.AssetMaterialization | dg.AssetObservation | dg.AssetCheckEvaluation | dg.Output[None]

DAYS_A_RUN = 92  # a run's process costs 5 s of CPU: a quarter shares it; a retry skips what is done
_JOBS = 2  # days of one dataset in parallel; a second step may run beside it
RETRIES = dg.RetryPolicy(max_retries=2, delay=20, backoff=dg.Backoff.EXPONENTIAL)


class ExportConfig(dg.Config):
    """What may be set in the launchpad, as with `lake export`."""

    force: bool = False
    """Rewrites days that are there and complete, too."""
    allow_shrink: bool = False
    """Lets a day end up with fewer rows than before."""
    recheck: bool = False
    """Fails for a day that has shrunk instead of skipping it, as `lake recheck` does."""
    from_snapshot: bool = False
    """Reads missing days from snapshots: those that the source no longer has, or of a dataset
    that was defined later. Each snapshot is restored once a run; `recheck` has no effect."""


def partitions_of(settings: Settings) -> dg.DailyPartitionsDefinition:
    """Closed UTC days from `[lake] first_day` on."""
    return dg.DailyPartitionsDefinition(
        start_date=settings.lake.first_day.isoformat(), timezone="UTC", end_offset=0
    )


def export_asset(settings: Settings, dataset: Dataset) -> dg.AssetsDefinition:
    """The asset of a dataset, one partition per UTC day."""
    partitions = partitions_of(settings)
    rolled_up = has_rollup(settings, dataset)
    checks = check_specs(asset_name(dataset.name), partitions)
    rollup_checks = [rollup_check(dataset, partitions)] if rolled_up else []

    @dg.multi_asset(
        name=asset_name(dataset.name),
        specs=[
            _table_spec(settings, dataset),
            *([rollup_spec(settings, dataset)] if rolled_up else []),
        ],
        can_subset=rolled_up,
        partitions_def=partitions,
        backfill_policy=dg.BackfillPolicy.multi_run(DAYS_A_RUN),
        check_specs=[*checks, *rollup_checks],
        pool=dataset.source,
        retry_policy=RETRIES,
    )
    def export(
        context: dg.AssetExecutionContext, config: ExportConfig, lake: LakeResource
    ) -> Iterator[Event]:
        days = [(dataset, Day.parse(key)) for key in context.partition_keys]
        if dg.AssetKey(asset_name(dataset.name)) not in context.selected_asset_keys:
            yield from _rollups_alone(context, lake, settings, dataset)
            return
        failures: dict[Day, LakeError] = {}
        with (
            as_failures(context.run.run_id),
            lake.exporter(settings) as exporter,
            # An interrupt here must not let the days that still wait run on.
            closing(_exported(context, settings, exporter, days, config)) as results,
        ):
            for result in results:
                try:
                    yield from _proven(settings, exporter, dataset, result)
                    if result.outcome and result.outcome.rollup.error:
                        raise result.outcome.rollup.error
                    if result.outcome and rollup_asset_key(dataset) in context.selected_asset_keys:
                        yield from rollup_events(
                            settings, exporter.store, dataset, result.day, result.outcome.rollup
                        )
                except LakeError as error:
                    last_try = context.retry_number >= RETRIES.max_retries
                    if config.recheck and last_try and _stands(exporter, dataset, result, error):
                        context.log.warning("%s %s: %s", dataset.name, result.day, error)
                        yield _not_recounted(dataset, result.day, error)
                        continue
                    # Its text is complete; a traceback does not help an operator.
                    context.log.error("%s %s failed: %s", dataset.name, result.day, error)  # noqa: TRY400
                    failures[result.day] = error
        for check in (*checks, *rollup_checks):
            if check.key in context.selected_asset_check_keys:
                yield dg.Output(None, check.get_python_identifier())
        if failures:
            raise _failure(dataset, failures, len(days))

    return export


def _exported(
    context: dg.AssetExecutionContext,
    settings: Settings,
    exporter: Exporter,
    days: Sequence[tuple[Dataset, Day]],
    config: ExportConfig,
) -> Generator[ExportResult, None, None]:
    if config.from_snapshot:
        return export_from_snapshots(
            settings,
            exporter.store,
            days,
            jobs=_JOBS,
            force=config.force,
            allow_shrink=config.allow_shrink,
            progress=lambda name, text: context.log.info("%s: %s", name, text),
        )
    return export_many(
        exporter,
        days,
        jobs=_JOBS,
        force=config.force,
        allow_shrink=config.allow_shrink,
        recheck=config.recheck,
    )


def _table_spec(settings: Settings, dataset: Dataset) -> dg.AssetSpec:
    source = system(dataset.source)
    return dg.AssetSpec(
        asset_name(dataset.name),
        deps=[source_key(dataset)],
        description=source.describe(dataset),
        group_name=dataset.source,
        kinds={kind_of(source.title), "parquet"},
        tags={"source": dataset.source},
        owners=["team:monitoring"],
        metadata=dataset.model_dump(exclude={"name", "source"}, exclude_none=True)
        | {"root": settings.lake.root},
        skippable=True,  # events are given day by day, so that a bad one has none
    )


def _rollups_alone(
    context: dg.AssetExecutionContext, lake: LakeResource, settings: Settings, dataset: Dataset
) -> Iterator[Event]:
    """Where only the rollup is materialised: from the stored tables."""
    failures: dict[Day, LakeError] = {}
    with as_failures(context.run.run_id):
        store = lake.store(settings)
        for day in map(Day.parse, context.partition_keys):
            try:
                rolled = mended(settings, store, dataset, day)
                yield from rollup_events(settings, store, dataset, day, rolled)
            except LakeError as error:
                context.log.error("%s %s failed: %s", dataset.name, day, error)  # noqa: TRY400
                failures[day] = error
    for check in context.selected_asset_check_keys:
        yield dg.Output(None, f"{check.asset_key.to_python_identifier()}_{check.name}")
    if failures:
        raise _failure(dataset, failures, len(context.partition_keys))


def _proven(
    settings: Settings, exporter: Exporter, dataset: Dataset, result: ExportResult
) -> Iterator[Event]:
    """The events of one day, its record last. Raises LakeError: then it has no record."""
    if result.outcome is None:
        assert result.error is not None  # noqa: S101  a result has the one or the other
        raise result.error
    verdicts = check_partition(exporter.store, dataset, result.day)
    yield from evaluations(asset_name(dataset.name), result.day, verdicts)
    if not all(verdict.passed for verdict in verdicts):
        raise _not_proven(exporter, result, verdicts)
    yield dg.AssetMaterialization(
        asset_name(dataset.name),
        partition=str(result.day),
        metadata=_metadata(settings, exporter.store, result.outcome),
    )


def _stands(exporter: Exporter, dataset: Dataset, result: ExportResult, error: LakeError) -> bool:
    """Whether only the re-count failed: its source does not answer, the partition is proven."""
    if not isinstance(error, TransientError):
        return False
    try:
        verdicts = check_partition(exporter.store, dataset, result.day)
    except LakeError:
        return False  # the day fails with the first error: without the store nothing is proven
    return all(verdict.passed for verdict in verdicts)


def _not_recounted(dataset: Dataset, day: Day, error: LakeError) -> dg.AssetObservation:
    return dg.AssetObservation(
        asset_name(dataset.name),
        partition=str(day),
        description="Not re-counted: the source did not answer. The partition is as it was.",
        metadata={"problem": dg.MetadataValue.text(str(error))},
    )


def _not_proven(exporter: Exporter, result: ExportResult, verdicts: tuple[Verdict, ...]) -> BadData:
    return BadData(
        NOT_AS_STORED,
        where=exporter.store.url(manifest_key(result.dataset, result.day)),
        found="; ".join(f"{v.name}: {v.problem}" for v in verdicts if not v.passed),
        remedy="materialise the day again with `force`",
    )


def _metadata(settings: Settings, store: Store, outcome: Outcome) -> dict[str, dg.MetadataValue]:
    return {
        "state": dg.MetadataValue.text(outcome.state),
        "seconds": dg.MetadataValue.float(round(outcome.seconds, 3)),
        **manifest_metadata(settings, store, outcome.manifest),
    }


def manifest_metadata(
    settings: Settings, store: Store, manifest: Manifest
) -> dict[str, dg.MetadataValue]:
    """What Dagster shows of a partition, from its manifest alone.

    Dagster plots the numbers over the partitions: rows and bytes by UTC day.
    """
    key = manifest_key(manifest.dataset, Day.parse(manifest.day))
    snapshot = manifest.details.get(SNAPSHOT)
    return {
        **({"snapshot": dg.MetadataValue.text(snapshot["day"])} if snapshot else {}),
        "rows": dg.MetadataValue.int(manifest.rows),
        "source_count": dg.MetadataValue.int(manifest.source_count),
        "bytes": dg.MetadataValue.int(manifest.bytes),
        "left_out": dg.MetadataValue.json(manifest.details.get("left_out") or {}),
        "left_out_others": dg.MetadataValue.json(manifest.details.get("left_out_others") or {}),
        "sha256": dg.MetadataValue.text(manifest.sha256),
        "fingerprint": dg.MetadataValue.text(manifest.fingerprint),
        "rewrites": dg.MetadataValue.int(len(manifest.history)),
        "window": dg.MetadataValue.text(f"{manifest.window['start']} – {manifest.window['end']}"),
        "object": dg.MetadataValue.path(store.url(manifest.key)),
        "manifest": dg.MetadataValue.path(store.url(key)),
        **links(settings, manifest.key, manifest.dataset, manifest.day),
        **column_schema(manifest),
        "dagster/row_count": dg.MetadataValue.int(manifest.rows),  # what Dagster itself shows
    }


def _failure(dataset: Dataset, failures: dict[Day, LakeError], days: int) -> dg.Failure:
    lines = [f"{day}: {error}" for day, error in sorted(failures.items())]
    return dg.Failure(
        "\n".join([f"{len(failures)} of {days} days of {dataset.name} failed", *lines]),
        metadata={str(day): str(error) for day, error in sorted(failures.items())},
        allow_retries=any(isinstance(error, TransientError) for error in failures.values()),
    )
