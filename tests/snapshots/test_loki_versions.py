"""Snapshots of one Loki in another, and of a Loki whose chunks are not where they seem to be."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from support.answers import loki_lines
from support.loki_versions import PINNED, binaries_by_version
from support.places import DAY
from support.system_loading import load_loki, takes_metadata

import lake.restore.server
from lake.base.errors import Incomplete, PermanentError
from lake.restore.compose import write_compose
from lake.servers import Binary, Stack, install, start
from lake.servers.binaries import identify
from lake.systems.loki.snapshot import taking as loki
from lake.systems.loki.snapshot.restored import version_of

QUICK = {"flush_check_period": "100ms"}


def place_of(place, stack: Stack, **snapshots):
    endpoint = stack.endpoints["loki"]
    own = {name: endpoint[name] for name in ("data_dir", "config_file")}
    return place(sources__loki={"url": endpoint["url"]}, snapshots__loki={**own, **snapshots})


def pinned_program() -> Binary:
    return binaries_by_version().get(PINNED) or install("loki", version=PINNED)


@pytest.fixture(scope="module")
def pinned() -> Iterator[Stack]:
    """The oldest Loki, with a day of lines."""
    programs = {"loki": pinned_program()}
    with start(["loki"], programs=programs, loki_config={"ingester": QUICK}) as running:
        load_loki(running.endpoints["loki"]["url"], metadata=False)
        yield running


def served_by(monkeypatch: pytest.MonkeyPatch, program: Binary) -> None:
    monkeypatch.setattr(lake.restore.server, "closest", lambda *_: program)


@pytest.mark.slow
@pytest.mark.loki(at_least="3.0")
def test_an_old_snapshot_in_a_newer_loki(place, pinned, loki_program, monkeypatch):
    here = place_of(place, pinned)
    here.take("loki")
    expected = loki_lines(pinned.endpoints["loki"]["url"], DAY)
    here.restore("loki")
    served_by(monkeypatch, loki_program)
    if version_of(loki_program.version) >= (3, 8):
        with pytest.raises(PermanentError, match="too new") as failed:
            here.serve("loki")
        assert "boltdb-shipper" in str(failed.value.parts["expected"])
        return
    with here.served("loki") as served:
        assert loki_lines(served.endpoint["url"], DAY) == expected
        (remark,) = served.remarks
        assert PINNED in remark
        assert loki_program.version in remark
    assert len(expected) == 900


@pytest.mark.slow
@pytest.mark.loki(at_least="3.0")
def test_a_snapshot_of_tsdb_in_later_lokis(place, own_loki, loki_program, monkeypatch):
    """Of a directory of PATH after that of the one which the other tests run on."""
    paths = (Path(folder) / "loki" for folder in os.environ["PATH"].split(os.pathsep))
    programs = [identify("loki", path) for path in paths if path.is_file()]
    version = version_of(loki_program.version)
    later = [program for program in programs if version_of(program.version) > version]
    if not later:
        pytest.skip("no later Loki on PATH")
    here = place_of(place, own_loki)
    here.take("loki")
    here.restore("loki")
    expected = loki_lines(own_loki.endpoints["loki"]["url"], DAY)
    assert expected
    for program in later:
        served_by(monkeypatch, program)
        with here.served("loki") as served:
            assert served.version == program.version
            assert loki_lines(served.endpoint["url"], DAY) == expected


@pytest.mark.loki(at_least="3.0")
def test_a_new_snapshot_where_only_an_old_loki_is(place, own_loki, monkeypatch):
    here = place_of(place, own_loki)
    here.take("loki")
    here.restore("loki")
    served_by(monkeypatch, pinned_program())
    with pytest.raises(PermanentError, match="too old") as failed:
        here.serve("loki")
    assert PINNED.rpartition(".")[0] in str(failed.value.parts["found"])


@pytest.mark.loki(at_least="3.3")
@pytest.mark.parametrize("newer", [True, False])
def test_a_loki_whose_default_are_other_clients(
    place, own_loki, loki_program, monkeypatch, tmp_path, newer
):
    """A flag overrides the configuration, as another default would."""
    wrapper = tmp_path / "bin" / "loki"
    wrapper.parent.mkdir()
    flag = f"-use-thanos-objstore={str(newer).lower()}"
    wrapper.write_text(f'#!/bin/sh\nexec {loki_program.path} {flag} "$@"\n')
    wrapper.chmod(0o755)
    here = place_of(place, own_loki)
    here.take("loki")
    here.restore("loki")
    served_by(monkeypatch, identify("loki", wrapper))
    with here.served("loki") as served:
        expected = loki_lines(own_loki.endpoints["loki"]["url"], DAY)
        assert loki_lines(served.endpoint["url"], DAY) == expected


@pytest.mark.loki(at_least="3.4")  # 3.3 has the setting, and writes files by its older client
@pytest.mark.parametrize("inside", [True, False])
def test_the_newer_clients_directory(place, loki_program, tmp_path, inside):
    directory = tmp_path / ("srv/loki/data/objects" if inside else "elsewhere")
    storage = {"use_thanos_objstore": True, "object_store": {"filesystem": {"dir": str(directory)}}}
    config = {"ingester": QUICK, "storage_config": storage}
    with start(
        ["loki"], tmp_path / "srv", programs={"loki": loki_program}, loki_config=config
    ) as own:
        load_loki(own.endpoints["loki"]["url"])
        here = place_of(place, own)
        if not inside:
            with pytest.raises(PermanentError, match="outside of its data") as failed:
                here.take("loki")
            assert failed.value.parts["found"] == str(directory)
            return
        expected = loki_lines(own.endpoints["loki"]["url"], DAY)
        here.take("loki")
    here.restore("loki")
    with here.served("loki") as served:
        assert loki_lines(served.endpoint["url"], DAY) == expected


@pytest.mark.slow
def test_chunks_that_do_not_account_for_the_lines(place, loki_program, monkeypatch):
    """Loki still has in its memory what is gone from its disk, so its count is right."""
    monkeypatch.setattr(loki, "_FLUSHED_WITHIN_S", 1.0)
    config = {"ingester": {**QUICK, "chunk_retain_period": "10m"}}
    with start(["loki"], programs={"loki": loki_program}, loki_config=config) as own:
        endpoint = own.endpoints["loki"]
        load_loki(endpoint["url"], metadata=takes_metadata(loki_program))
        here = place_of(place, own)
        taken = here.take("loki").manifest
        assert taken.details["lines_in_chunks"] == taken.counts["day_lines"] == 900
        chunks = Path(endpoint["data_dir"]) / "chunks"
        chunk = next(path for path in chunks.rglob("*") if path.is_file() and len(path.name) > 30)
        whole = chunk.read_bytes()
        chunk.write_bytes(bytes(len(whole) + 1))  # no chunk any more: its lines are in no count
        damaged = here.take("loki", allow_shrink=True).manifest
        assert damaged.details["unaccounted_lines"] == 300
        assert damaged.details["unreadable_chunks"] == 1
        assert DAY in taken.held_days()
        assert DAY not in damaged.held_days()
        assert [str(DAY) in warning for warning in damaged.warnings()] == [True, True]
        chunk.write_bytes(whole)
        taken = here.take("loki").manifest
        assert taken.warnings() == []
        chunk.unlink()
        with pytest.raises(Incomplete, match="do not account for") as failed:
            here.take("loki")
    assert "900 lines" in str(failed.value.parts["expected"])
    assert "600 lines" in str(failed.value.parts["found"])
    assert here.manifest("loki") == taken


def test_a_configuration_inside_the_data_directory_keeps_its_secrets(place, own_loki, tmp_path):
    endpoint = own_loki.endpoints["loki"]
    config = Path(endpoint["data_dir"]) / "loki.yml"
    own = Path(endpoint["config_file"]).read_text()
    config.write_text(own + "\n# not used\n")
    link = config.with_name("linked.yml")
    link.symlink_to(config)
    here = place_of(place, own_loki, config_file=str(config))
    try:
        files = [file.path for file in here.take("loki").manifest.files]
    finally:
        config.unlink()
        link.unlink()
    assert "source-config.yml" in files
    assert {"data/loki.yml", "data/linked.yml"} & set(files) == set()


def test_a_container_of_the_datas_version_takes_the_configuration(place, own_loki, loki_program):
    """By the program of that version itself, which refuses keys that it does not know."""
    here = place_of(place, own_loki)
    manifest = here.take("loki").manifest
    into = here.folder / "into"
    here.restore("loki")
    write_compose(manifest, into)
    service = yaml.safe_load((into / "compose.yaml").read_text())["services"]["loki"]
    assert service["image"] == f"grafana/loki:{loki_program.version}"
    checked = subprocess.run(
        [loki_program.path, f"-config.file={into}/loki/restored.yml", "-verify-config"],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert checked.returncode == 0, checked.stderr
    unknown = json.loads((into / "loki/restored.yml").read_text()) | {"unknown": 1}
    (into / "wrong.yml").write_text(json.dumps(unknown))
    wrong = [loki_program.path, f"-config.file={into}/wrong.yml", "-verify-config"]
    assert subprocess.run(wrong, capture_output=True, check=False, timeout=60).returncode != 0
