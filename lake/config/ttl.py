"""`[ttl]`: what the expiry guard may do.

Belongs here: keys, defaults, rules. Does not: what a limit does (lake.ttl).
"""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from lake.config.sections import Section

Proof = Literal["content", "contained", "count"]
_Days = Annotated[int, Field(ge=1, le=20_000)]


class TtlOverride(Section):
    """`[ttl.dataset.NAME]`: what differs for one dataset."""

    enabled: bool | None = None
    days: _Days | None = None
    margin_days: _Days | None = None
    proof: Proof | None = None


class TtlSection(Section):
    """`[ttl]`. Off by default: no index is created or changed."""

    enabled: bool = False
    days: _Days = 90
    margin_days: _Days = 3
    max_lag_days: _Days = 14
    max_silence_hours: Annotated[int, Field(ge=1)] = 36
    max_clock_skew_s: Annotated[int, Field(ge=1)] = 120
    proof: Proof = "content"
    elsewhere: list[str] = Field(default_factory=list)
    dataset: dict[str, TtlOverride] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _days_fit_together(self) -> Self:
        for name, own in (("", TtlOverride()), *self.dataset.items()):
            where = f"[ttl.dataset.{name}] " if name else ""
            days, margin = own.days or self.days, own.margin_days or self.margin_days
            if days <= margin:
                raise ValueError(
                    f"{where}days = {days} has to be above margin_days = {margin}: only closed "
                    "days can be proven"
                )
            if self.max_silence_hours >= 24 * margin:
                raise ValueError(
                    f"{where}max_silence_hours = {self.max_silence_hours} has to be below "
                    f"margin_days = {margin}, {24 * margin} hours: after the margin documents "
                    "expire that no run has proven"
                )
        return self
