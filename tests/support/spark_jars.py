"""The jars of deploy/spark/jars.txt: where they are here, else what has Spark fetch them."""

from __future__ import annotations

import os
from pathlib import Path

LIST = Path(__file__).parents[2] / "deploy/spark/jars.txt"
FOLDER = "LAKE_SPARK_JARS"
REMEDY = (
    f"put the jars of deploy/spark/jars.txt into a folder and set {FOLDER} to it, or run "
    "`make spark` where Spark reaches a Maven repository"
)


def coordinates() -> list[str]:
    """`group:artifact:version` of each."""
    lines = LIST.read_text("utf-8").splitlines()
    return [line for line in lines if line and not line.startswith("#")]


def settings() -> dict[str, str]:
    """Spark's setting that gives a session the jars."""
    names = coordinates()
    jars = [next((path for path in _places(name) if path.exists()), None) for name in names]
    if all(jars):
        return {"spark.jars": ",".join(map(str, jars))}
    return {"spark.jars.packages": ",".join(names)}


def _places(name: str) -> list[Path]:
    """The user's folder, Maven's repository, Ivy's cache as Spark lays it out."""
    group, artifact, version = name.split(":")
    file = f"{artifact}-{version}.jar"
    folder = os.environ.get(FOLDER)
    return [
        *([Path(folder) / file] if folder else []),
        Path.home() / ".m2/repository" / group.replace(".", "/") / artifact / version / file,
        *(ivy / "jars" / f"{group}_{file}" for ivy in Path.home().glob(".ivy2*")),
    ]
