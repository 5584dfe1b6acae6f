"""Addresses that a browser opens: the report's page, an object in the AWS console.

Belongs here: links beside the numbers of a partition. Does not: the page (lake.report).
"""

from __future__ import annotations

from urllib.parse import quote, urlencode

import dagster as dg

from lake.config.settings import Settings


def links(
    settings: Settings, key: str, dataset: str = "", day: str = ""
) -> dict[str, dg.MetadataValue]:
    """The object where it lies in AWS, the day on the page where `[report]` has its address."""
    shown: dict[str, dg.MetadataValue] = {}
    if console := _console(settings, key):
        shown["console"] = dg.MetadataValue.url(console)
    if dataset and settings.report.url:
        shown["report"] = dg.MetadataValue.url(f"{settings.report.url}#{quote(dataset)}/{day}")
    return shown


def _console(settings: Settings, key: str) -> str:
    """An endpoint of its own means that it is not AWS."""
    root = settings.lake.root
    if not root.startswith("s3://") or settings.s3.endpoint_url:
        return ""
    bucket, _, below = root.removeprefix("s3://").partition("/")
    whole = "/".join(filter(None, (below.strip("/"), key)))
    query = {"prefix": whole, **({"region": settings.s3.region} if settings.s3.region else {})}
    return f"https://console.aws.amazon.com/s3/object/{quote(bucket)}?{urlencode(query)}"
