"""A machine on which no server is installed yet: what people are told to do."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

import lake.restore.server
from lake.base.errors import PermanentError
from lake.restore.server import serve, serving_remark
from lake.servers import Binary, find


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """As after `pip install monitoring-lake`: nothing on PATH, beside Python or in the cache."""
    empty = tmp_path / "empty"
    empty.mkdir()
    monkeypatch.setenv("PATH", str(empty))
    monkeypatch.setenv("LAKE_CACHE_DIR", str(empty))
    monkeypatch.setattr(sys, "executable", str(empty / "python"))


@pytest.mark.parametrize(
    ("system", "program"), [("mongo", "mongod"), ("prometheus", "prometheus"), ("loki", "loki")]
)
def test_serving_a_restored_system_names_every_way_to_a_server(bare, system, program, tmp_path):
    assert find(system) is None
    manifest = SimpleNamespace(system=system, server={"name": system, "version": "2.2.1"})
    with pytest.raises(PermanentError, match=f"no usable {program} on this machine") as failed:
        serve(manifest, tmp_path)
    remedy = failed.value.parts["remedy"]
    assert f"`lake services install {system}` gets" in remedy
    assert f"put {program} on PATH" in remedy
    assert "docker compose" not in remedy  # these files have none beside them
    (tmp_path / "compose.yaml").touch()
    with pytest.raises(PermanentError) as failed:
        serve(manifest, tmp_path)
    assert f"`docker compose up` in {tmp_path}" in failed.value.parts["remedy"]
    assert f"no usable {program} on this machine: `lake services install {system}`" in (
        serving_remark(manifest)
    )


@pytest.mark.parametrize(
    ("here", "remark"),
    [
        ("2.2.1", "the data came from Loki 3.5.0, and Loki 2.2.1 serves them"),
        ("3.7.8", ""),
    ],
)
def test_a_restore_without_a_server_names_the_version_that_is_missing(monkeypatch, here, remark):
    program = Binary(Path("/bin/loki"), here, "PATH")
    monkeypatch.setattr(lake.restore.server, "closest", lambda *_: program)
    manifest = SimpleNamespace(system="loki", server={"name": "loki", "version": "3.5.0"})
    assert serving_remark(manifest).startswith(remark)
    assert bool(serving_remark(manifest)) == bool(remark)
