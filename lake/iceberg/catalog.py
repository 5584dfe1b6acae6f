"""Which Iceberg catalog: a SQLite file, or one of PyIceberg's own configuration.

Belongs here: opening it. Does not: tables (syncing).
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from lake.base.causes import cause
from lake.base.errors import Missing, UsageError
from lake.store.opening import root_url

if TYPE_CHECKING:
    from pyiceberg.catalog import Catalog

    from lake.config.settings import Settings

WAREHOUSE = "iceberg"
_NAME = "monitoring_lake"


def open_catalog(
    settings: Settings, *, file: Path | None = None, name: str | None = None
) -> Catalog:
    """The catalog in a SQLite file, which is created, with its metadata in `iceberg/` below the
    lake's root; or the one of that name in PyIceberg's configuration.

    Raises Missing where PyIceberg is not installed, UsageError where the catalog can't be opened.
    """
    try:
        from pyiceberg.catalog import load_catalog  # noqa: PLC0415
    except ImportError as error:
        raise Missing(
            "PyIceberg, which writes Iceberg's metadata, is not installed",
            remedy="pip install 'monitoring-lake[iceberg]'",
        ) from error
    properties = _s3_properties(settings)
    if file:
        file.parent.mkdir(parents=True, exist_ok=True)
        properties |= {
            "type": "sql",
            "uri": f"sqlite:///{file.resolve()}",
            "warehouse": f"{root_url(settings)}/{WAREHOUSE}",
        }
    try:
        return load_catalog(name or _NAME, **properties)
    except Exception as error:  # of any catalog's client
        raise UsageError(
            "the Iceberg catalog can't be opened",
            where=file or f"catalog {name} of PyIceberg's configuration",
            found=cause(error).partition("\n")[0],  # SQLAlchemy's SQL and addresses follow
            remedy="name another file, or none that is there yet"
            if file
            else "check ~/.pyiceberg.yaml and PYICEBERG_CATALOG__NAME__URI, or use --sqlite FILE",
        ) from error


def _s3_properties(settings: Settings) -> dict[str, str]:
    """Without keys: they come from the environment, as everywhere."""
    section = settings.s3
    given = {"s3.endpoint": section.endpoint_url, "s3.region": section.region}
    return {name: value for name, value in given.items() if value}
