"""Prometheus, Thanos Query and Mimir in lake.toml.

Belongs here: keys, defaults, rules. Does not: using them.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, field_validator

from lake.config.datasets import Dataset, duration_ms
from lake.config.sections import HttpSection, Section, SystemConfig

_DAY_MS = 86_400_000


class PrometheusSource(HttpSection):
    """`[sources.prometheus]`: Thanos Query and Mimir too."""

    lateness_days: Annotated[int, Field(ge=0)] = 2
    min_stores: Annotated[int, Field(ge=0)] = 0


class PrometheusSnapshots(Section):
    """`[snapshots.prometheus]`."""

    data_dir: str = "/prometheus"


class PrometheusDataset(Dataset):
    """A selector or an expression, resampled at `step` or as the stored samples."""

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

    @property
    def step_ms(self) -> int:
        """The step in milliseconds."""
        return duration_ms(self.step)


CONFIG = SystemConfig(
    PrometheusSource, PrometheusDataset, hot_days=15, snapshots=PrometheusSnapshots
)
