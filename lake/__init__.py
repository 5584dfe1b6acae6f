"""monitoring-lake: days of MongoDB, Prometheus and Loki as verified Parquet.

    import lake

    with lake.connect() as session:  # DuckDB's SQL over all datasets
        session.sql("SELECT day, count(*) FROM usage_analytics GROUP BY day").show()
    with lake.open() as data:  # reading, status, export, verification
        table = data.read("usage_analytics", "2026-11-01", "2026-11-08")  # Arrow

`lake` holds the library and its command line. It never imports Dagster: the
shell in `assets` imports `lake`, not the other way round.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lake.api import DataLake, Day, LakeError, Manifest, Settings, connect, open  # noqa: A004

__version__ = "0.1.0"
__all__ = [
    "DataLake",
    "Day",
    "LakeError",
    "Manifest",
    "Settings",
    "__version__",
    "connect",
    "open",
]


def __getattr__(name: str) -> Any:
    """The names of `__all__`, loaded on first use: `import lake` alone loads no library."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module("lake.api"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
