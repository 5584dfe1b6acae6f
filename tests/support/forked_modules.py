"""What processes that tests kill would each load by themselves: a second of CPU."""

from __future__ import annotations

from importlib import import_module

for name in (
    "lake.erase",
    "lake.partition.fingerprint_loops",
    "lake.rollup.executing",
    "lake.rollup.making",
    "lake.store.s3",
    "lake.systems.mongo.reading.names",
    "lake.systems.mongo.reading.table",
    "lake.systems.mongo.system",
    "pandas",  # pyarrow imports it where it is installed
    "pyarrow.compute",
    "pyarrow.parquet",
    "pytest",
    "support.erasing",
    "support.folders",
    "support.hot_documents",
    "support.killed",
):
    import_module(name)
