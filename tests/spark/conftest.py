"""A Spark cluster of three processes: a driver and two executors, each with a core."""

from __future__ import annotations

import importlib.util
import os
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from support import spark_jars
from support.demo_history import History, week_of_history

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "deploy/spark/lake_tables.py"


@pytest.fixture(scope="session")
def history(tmp_path_factory: pytest.TempPathFactory) -> History:
    """Seven days of the demo."""
    return week_of_history(tmp_path_factory.getbasetemp())


@dataclass(frozen=True)
class Cluster:
    """A session, and why it can't read Iceberg tables ("" where it can)."""

    session: Any
    no_iceberg: str


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A session on a cluster of its own."""
    pyspark = pytest.importorskip("pyspark", reason="the extra spark is not installed: make spark")
    if shutil.which("java") is None:
        pytest.skip("no Java here: Spark 4 needs Java 17 or newer")
    home = Path(pyspark.__file__).parent
    work = home / "work"  # where a local cluster keeps what its executors write
    before = set(work.iterdir()) if work.exists() else set()
    os.environ |= {
        "SPARK_LOCAL_IP": "127.0.0.1",
        "SPARK_LOCAL_HOSTNAME": "127.0.0.1",
        "SPARK_HOME": str(home),
        "PYSPARK_PYTHON": sys.executable,
    }
    settings = {
        "spark.executor.memory": "768m",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.driver.host": "127.0.0.1",
        "spark.ui.enabled": "false",
        "spark.sql.shuffle.partitions": "2",
        "spark.sql.warehouse.dir": str(tmp_path_factory.mktemp("warehouse")),
        "spark.local.dir": str(tmp_path_factory.mktemp("spark")),
    }
    started = _started(pyspark.__version__, settings)
    yield started
    started.session.stop()
    for folder in set(work.iterdir()) - before if work.exists() else ():
        shutil.rmtree(folder, ignore_errors=True)


def _started(version: str, settings: dict[str, str]) -> Cluster:
    """Without Iceberg where there is none for this Spark, or where Spark can't fetch it."""
    from pyspark.errors import PySparkRuntimeError  # noqa: PLC0415

    runtime = spark_jars.coordinates()[0]
    if f"-{version.rpartition('.')[0]}_" not in runtime:
        reason = f"Spark {version} is not the one that {runtime} is for: make spark"
        return Cluster(_session(settings), reason)
    try:
        return Cluster(_session(settings | spark_jars.settings()), "")
    except PySparkRuntimeError as error:  # the JVM ends when its packages are not found
        if error.getCondition() != "JAVA_GATEWAY_EXITED":
            raise
    return Cluster(_session(settings), f"Spark could not fetch {runtime}: {spark_jars.REMEDY}")


def _session(settings: dict[str, str]) -> Any:
    from pyspark.sql import SparkSession  # noqa: PLC0415

    builder = SparkSession.builder.master("local-cluster[2,1,1024]")
    for name, value in settings.items():
        builder.config(name, value)
    return builder.getOrCreate()


@pytest.fixture(scope="session")
def spark(cluster: Cluster) -> Any:
    return cluster.session


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
