"""`[bucket]`: how the bucket of an S3 root is set up.

Belongs here: keys, defaults, rules. Does not: what they become at S3 (lake.bucket).
"""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from lake.config.sections import Section

# Classes whose objects are readable at once; those of _Archive need a restore first.
Readable = Literal["STANDARD", "STANDARD_IA", "INTELLIGENT_TIERING", "GLACIER_IR"]
Archive = Literal["GLACIER", "DEEP_ARCHIVE"]
Skippable = Literal[
    "public_access",
    "ownership",
    "encryption",
    "versioning",
    "object_lock",
    "lifecycle",
    "other_rules",
    "archive_tiers",
    "policy",
]
_Days = Annotated[int, Field(ge=1, le=36_500)]
_IA_DAYS = 30  # S3 moves nothing to the infrequent-access classes before


class BucketSection(Section):
    """`[bucket]`. Without the section the defaults are what `lake bucket plan` compares with."""

    versioning: bool = True
    noncurrent_days: _Days = 30
    snapshots_noncurrent_days: Annotated[int, Field(ge=0, le=36_500)] = 0
    abort_days: _Days = 7
    tables_class: Readable = "INTELLIGENT_TIERING"
    tables_after_days: _Days = 30
    snapshots_class: Readable | Archive = "STANDARD_IA"
    snapshots_after_days: _Days = 30
    object_lock: bool = False
    lock_mode: Literal["GOVERNANCE", "COMPLIANCE"] = "GOVERNANCE"
    lock_days: Annotated[int, Field(ge=0, le=36_500)] = 0
    min_tls: Literal["", "1.2", "1.3"] = "1.2"
    skip: tuple[Skippable, ...] = ()

    @model_validator(mode="after")
    def _fit_together(self) -> Self:
        if self.object_lock and not self.versioning:
            raise ValueError("object_lock = true needs versioning = true")
        if self.lock_days and not self.object_lock:
            raise ValueError(f"lock_days = {self.lock_days} needs object_lock = true")
        for name in ("tables", "snapshots"):
            chosen, after = getattr(self, f"{name}_class"), getattr(self, f"{name}_after_days")
            if chosen == "STANDARD_IA" and after < _IA_DAYS:
                raise ValueError(
                    f"{name}_after_days = {after} has to be {_IA_DAYS} or more: S3 moves nothing "
                    "to STANDARD_IA before"
                )
        return self
