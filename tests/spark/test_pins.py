"""The extra `spark` takes a Spark for which deploy/spark/jars.txt has a runtime. Needs no Spark."""

import re
import tomllib
from pathlib import Path

from packaging.requirements import Requirement
from packaging.version import Version
from support.spark_jars import coordinates

ROOT = Path(__file__).parents[2]


def extra() -> Requirement:
    """What `pip install 'monitoring-lake[spark]'` asks for."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    listed = map(Requirement, project["optional-dependencies"]["spark"])
    return next(each for each in listed if each.name == "pyspark")


def runtime() -> Version:
    """The Spark that Iceberg's runtime is for."""
    names = [re.search(r":iceberg-spark-runtime-([\d.]+)_", name) for name in coordinates()]
    return Version(next(match[1] for match in names if match))


def test_the_extra_takes_the_spark_of_the_tests():
    text = (ROOT / "deploy/spark/requirements.txt").read_text("utf-8")
    pinned = re.search(r"^pyspark==(.+)$", text, re.MULTILINE)
    assert pinned[1] in extra().specifier
    assert Version(pinned[1]).release[:2] == runtime().release


def test_the_extra_takes_no_spark_without_a_runtime():
    """pip installs the newest: docs/engines.md's `pyspark --packages` would fail in it."""
    major, minor = runtime().release
    assert f"{major}.{minor}.0" in extra().specifier
    later = [f"{major}.{minor + 1}.0", f"{major}.{minor + 2}.0", f"{major + 1}.0.0"]
    assert [version for version in later if version in extra().specifier] == []
