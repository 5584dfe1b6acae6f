"""Which prices and which policy a lake has.

Belongs here: what follows from lake.toml and the AWS configuration. Does not: reading a price file.
"""

from __future__ import annotations

from pathlib import Path

from lake.config.settings import Settings
from lake.cost.policy import Policy, of_settings, with_classes
from lake.cost.prices import Prices, read_prices
from lake.store import Store


def chosen_prices(
    settings: Settings, store: Store, file: str | None = None, region: str | None = None
) -> Prices:
    """Those of `region`, else of the bucket's region. Raises UsageError for one without prices.

    A lake that is not at AWS is priced as if it were in the price file's default region; the note
    of the prices is about that.
    """
    path = Path(file) if file else None
    if region:
        return read_prices(path, region)
    if not settings.lake.root.startswith("s3://"):
        return read_prices(path, None, _as_if("[lake] root is a directory"))
    from lake.store.s3 import S3Store  # noqa: PLC0415  boto3 takes 0.3 s to import

    if isinstance(store, S3Store) and store.endpoint_url:
        return read_prices(path, None, _as_if(f"{store.endpoint_url} is not AWS"))
    configured = store.region if isinstance(store, S3Store) else settings.s3.region
    return read_prices(path, configured)


def _as_if(why: str) -> str:
    return f"{why}: costs are those of the same objects at AWS in the price file's default region."


def policy_of(settings: Settings) -> Policy:
    """What deletes and moves: `[retention]` where it is enabled, `[bucket]` where it is configured
    for a bucket.
    """
    policy = of_settings(settings) if settings.retention.enabled else Policy()
    if settings.lake.root.startswith("s3://") and "bucket" in settings.model_fields_set:
        return with_classes(policy, settings.bucket)
    return policy
