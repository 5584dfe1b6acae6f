"""`[ttl]` for one dataset.

Belongs here: defaults and overrides together. Does not: keys (lake.config.ttl).
"""

from __future__ import annotations

from dataclasses import dataclass

from lake.config.datasets import Dataset
from lake.config.settings import Settings
from lake.config.ttl import Proof, TtlOverride
from lake.systems.registry import open_expiry

DAY_S = 86_400


@dataclass(frozen=True)
class ExpiryTerms:
    """`days` is the wanted limit, `margin_days` what has to be proven ahead of it."""

    enabled: bool
    days: int
    margin_days: int
    proof: Proof

    @property
    def wanted_s(self) -> int:
        """The wanted limit in seconds."""
        return self.days * DAY_S

    @property
    def margin_s(self) -> int:
        """The margin in seconds."""
        return self.margin_days * DAY_S


def terms_of(settings: Settings, dataset: Dataset) -> ExpiryTerms:
    """The section, with what `[ttl.dataset.NAME]` overrides."""
    section = settings.ttl
    own = section.dataset.get(dataset.name, TtlOverride())
    return ExpiryTerms(
        section.enabled if own.enabled is None else own.enabled,
        own.days or section.days,
        own.margin_days or section.margin_days,
        own.proof or section.proof,
    )


def guarded(settings: Settings) -> list[Dataset]:
    """The datasets with `[ttl]` enabled whose system has an expiry; no request to a server."""
    enabled = [dataset for dataset in settings.dataset if terms_of(settings, dataset).enabled]
    expires: dict[str, bool] = {}
    for source in {dataset.source for dataset in enabled}:
        expiry = open_expiry(source, settings)
        expires[source] = expiry is not None
        if expiry:
            expiry.close()
    return [dataset for dataset in enabled if expires[dataset.source]]
