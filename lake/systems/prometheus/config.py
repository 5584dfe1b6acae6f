"""Prometheus, Thanos Query and Mimir in lake.toml.

Belongs here: keys, defaults, rules. Does not: using them.
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, field_validator, model_validator

from lake.config.datasets import Dataset, RowsAre, duration_ms
from lake.config.sections import HttpSection, Section, SystemConfig
from lake.privacy.rules import folded, refuse_label_twice

_DAY_MS = 86_400_000
_NO_RULE = frozenset(
    {"day", "ts", "metric", "value", "nan", "histogram", "series_id", "labels", "metadata"}
)


class PrometheusSource(HttpSection):
    """`[sources.prometheus]`: Thanos Query and Mimir too."""

    lateness_days: Annotated[int, Field(ge=0)] = 2
    min_stores: Annotated[int, Field(ge=0)] = 0


class PrometheusSnapshots(Section):
    """`[snapshots.prometheus]`."""

    data_dir: str = "/prometheus"


class PrometheusDataset(Dataset):
    """A selector or an expression, resampled at `step` or as the stored samples."""

    applies_rules: ClassVar[bool] = True
    rows_are: ClassVar[RowsAre] = "counter"
    read_by: ClassVar[str] = "query"
    rollup_rules: ClassVar[int] = 2
    source: Literal["prometheus"]
    query: Annotated[str, Field(min_length=1)]
    mode: Literal["range", "raw"] = "range"
    step: str = "15s"

    @field_validator("step")
    @classmethod
    def _step_is_a_duration(cls, step: str) -> str:
        if not 0 < duration_ms(step) <= _DAY_MS:
            raise ValueError(f"a step above 0 and of at most 1d, not {step!r}")
        return step

    @model_validator(mode="after")
    def _rules_are_of_labels(self) -> Self:
        for rule in self.columns:
            *parents, name = folded(rule.path)
            if (
                parents not in ([], ["labels"])
                or name == "__name__"
                or (not parents and name in _NO_RULE)
            ):
                raise ValueError(
                    f"columns: {rule.text!r} is not a label: name one, as NAME or labels.NAME; "
                    "time, value and metric can't have a rule"
                )
        refuse_label_twice(self.columns)
        return self

    @property
    def step_ms(self) -> int:
        """The step in milliseconds."""
        return duration_ms(self.step)


CONFIG = SystemConfig(
    PrometheusSource,
    PrometheusDataset,
    hot_days=15,
    snapshots=PrometheusSnapshots,
    columns={
        "ts": "time of the sample, milliseconds",
        "metric": "name of the metric, NULL where a result has none",
        "value": "value of the sample, in the metric's unit; NULL for NaN and for histograms",
        "nan": "NULL, 'nan' or 'stale'",
        "series_id": "hash of all labels, the same every day",
        "histogram": "native histogram: count, sum, buckets",
        "labels": "labels without a column of their own",
    },
    other_columns="label of the series, NULL where absent",
)
