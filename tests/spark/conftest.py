"""A Spark cluster of three processes: a driver and two executors, each with a core."""

from __future__ import annotations

import importlib.util
import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.demo_history import History, week_of_history

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "deploy/spark/lake_tables.py"


@pytest.fixture(scope="session")
def history(tmp_path_factory: pytest.TempPathFactory) -> History:
    """Seven days of the demo."""
    return week_of_history(tmp_path_factory.getbasetemp())


@pytest.fixture(scope="session")
def spark(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A session on a cluster of its own."""
    sql = pytest.importorskip("pyspark.sql", reason="the extra spark is not installed: make spark")
    if shutil.which("java") is None:
        pytest.skip("no Java here: Spark 4 needs Java 17 or newer")
    import pyspark  # noqa: PLC0415

    home = Path(pyspark.__file__).parent
    work = home / "work"  # where a local cluster keeps what its executors write
    before = set(work.iterdir()) if work.exists() else set()
    os.environ |= {
        "SPARK_LOCAL_IP": "127.0.0.1",
        "SPARK_LOCAL_HOSTNAME": "127.0.0.1",
        "SPARK_HOME": str(home),
        "PYSPARK_PYTHON": sys.executable,
    }
    session = (
        sql.SparkSession.builder.master("local-cluster[2,1,1024]")
        .config("spark.executor.memory", "768m")
        .config("spark.driver.bindAddress", "127.0.0.1")
        .config("spark.driver.host", "127.0.0.1")
        .config("spark.ui.enabled", "false")
        .config("spark.sql.shuffle.partitions", "2")
        .config("spark.sql.warehouse.dir", str(tmp_path_factory.mktemp("warehouse")))
        .config("spark.local.dir", str(tmp_path_factory.mktemp("spark")))
        .getOrCreate()
    )
    yield session
    session.stop()
    for folder in set(work.iterdir()) - before if work.exists() else ():
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def lake_tables() -> Any:
    """The program of deploy/spark as a module."""
    pytest.importorskip("pyspark", reason="the extra spark is not installed: make spark")
    spec = importlib.util.spec_from_file_location("lake_tables", SCRIPT)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
