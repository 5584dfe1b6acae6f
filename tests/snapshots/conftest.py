"""Loaded servers with a fresh lake beside them, in a directory and on S3."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pymongo
import pytest
from support.command_line import lake
from support.folders import Folders
from support.places import Place
from support.system_loading import load_loki, load_prometheus, takes_metadata

from lake.servers import Binary, Stack, start
from lake.servers.s3 import REGION

__all__ = ["lake"]  # for pytest


@pytest.fixture
def place(tmp_path: Path) -> Callable[..., Place]:
    """(root or None, further tables of lake.toml) → a place. Roots in S3 need the fixture s3."""

    def make(root: str | None = None, s3: dict[str, str] | None = None, **tables: Any) -> Place:
        name = uuid.uuid4().hex[:8]
        lines = ["[lake]", f"root = {json.dumps(root or str(tmp_path / name / 'lake'))}"]
        if s3:
            lines += ["[s3]", f'endpoint_url = "{s3["endpoint_url"]}"', f'region = "{REGION}"']
        for table, values in tables.items():
            for section in values if isinstance(values, list) else [values]:
                double = isinstance(values, list)
                head = table.replace("__", ".")
                lines.append(f"[[{head}]]" if double else f"[{head}]")
                lines += [f"{key} = {json.dumps(value)}" for key, value in section.items()]
        folder = tmp_path / name
        folder.mkdir()
        (folder / "lake.toml").write_text("\n".join(lines) + "\n")
        return Place(folder / "lake.toml", folder)

    return make


@pytest.fixture(params=["directory", "s3"])
def root(request: pytest.FixtureRequest) -> dict[str, Any]:
    """Both kinds of store, as arguments of `place`."""
    if request.param == "directory":
        return {}
    s3 = request.getfixturevalue("s3")
    return {"root": f"s3://{s3['bucket']}/some/prefix", "s3": s3}


@pytest.fixture(scope="session")
def own_prometheus() -> Iterator[Stack]:
    """With a day of its own and nothing else."""
    with start(["prometheus"], prometheus_out_of_order="30d") as running:
        load_prometheus(running.endpoints["prometheus"]["url"])
        yield running


@pytest.fixture(scope="session")
def own_loki(loki_program: Binary) -> Iterator[Stack]:
    programs, quick = {"loki": loki_program}, {"ingester": {"flush_check_period": "100ms"}}
    with start(["loki"], programs=programs, loki_config=quick) as running:
        load_loki(running.endpoints["loki"]["url"], metadata=takes_metadata(loki_program))
        yield running


@pytest.fixture
def app_database(mongo_uri: str) -> Iterator[str]:
    """A database's name of one's own; dropped afterwards."""
    name = f"app_{uuid.uuid4().hex[:8]}"
    yield name
    with pymongo.MongoClient(mongo_uri) as client:
        client.drop_database(name)


@pytest.fixture(params=["directory", "s3"])
def folders(request: pytest.FixtureRequest, place: Callable[..., Place], tmp_path: Path) -> Folders:
    """A folder to take snapshots of, and a lake in either kind of store."""
    loki = {"url": "http://127.0.0.1:1"}
    if request.param == "directory":
        return Folders(place(sources__loki=loki).config, tmp_path / "source", {})
    s3 = request.getfixturevalue("s3")
    here = place(root=f"s3://{s3['bucket']}", s3=s3, sources__loki=loki)
    keys = {
        "AWS_ACCESS_KEY_ID": s3["access_key"],
        "AWS_SECRET_ACCESS_KEY": s3["secret_key"],
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    return Folders(here.config, tmp_path / "source", keys)
