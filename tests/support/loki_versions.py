"""Tests over every Loki that is found: the pinned 2.2.1 always, others where they are on PATH.

A test or fixture that requests `loki_program` (or `loki_url`, or anything built on them) runs
once for each version. Use

    @pytest.mark.loki(at_least="3.0")      # or below="3.0", or both
    def test_structured_metadata(loki_url): ...

for what only some versions do: the test then runs for those versions only. `loki_program` is
a `Binary`; `start(["loki"], programs={"loki": loki_program})` starts one of the test's own.
Without a Loki 3 on PATH its tests are skipped, and the summary says how many.

Belongs here: the choice of versions and the summary. Does not: what is tested.
"""

from __future__ import annotations

import re
from functools import cache
from typing import Any

import pytest

from lake.base.errors import LakeError
from lake.servers import Binary, find_all, has_version, install
from lake.servers.binaries import pinned_version

PINNED = pinned_version("loki")
NEWEST = "3.x"
NO_NEWEST = f"no Loki {NEWEST} on PATH"


@cache
def binaries_by_version() -> dict[str, Binary]:
    """By the version: those on PATH; and the pinned one where it is installed."""
    return {binary.version: binary for binary in find_all("loki")}


def legs() -> list[str]:
    """The versions to test; NEWEST stands for a Loki 3 that is not here."""
    versions = sorted({PINNED, *binaries_by_version()}, key=_numbers)
    return (
        versions
        if any(has_version(binary, "3") for binary in binaries_by_version().values())
        else [*versions, NEWEST]
    )


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "loki_program" not in metafunc.fixturenames:
        return
    markers = list(metafunc.definition.iter_markers("loki"))
    wanted = [
        version
        for version in legs()
        if all(_within(version, **marker.kwargs) for marker in markers)
    ]
    skipped = pytest.mark.skip(reason=NO_NEWEST)
    parameters = [
        pytest.param(version, id=f"loki-{version}", marks=[skipped] if version == NEWEST else [])
        for version in wanted
    ]
    metafunc.parametrize("loki_program", parameters, indirect=True, scope="session")


def _within(version: str, at_least: str = "0", below: str = "99") -> bool:
    return _numbers(at_least) <= _numbers(version.replace(".x", ".99")) < _numbers(below)


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", version))


@pytest.fixture(scope="session")
def loki_program(request: pytest.FixtureRequest) -> Binary:
    """The program of the version that this run of the test is about."""
    version: str = request.param
    if version in binaries_by_version():
        return binaries_by_version()[version]
    try:
        return install("loki2")
    except LakeError as error:
        pytest.fail(f"Loki {PINNED} can't be installed\n{error}", pytrace=False)


def pytest_terminal_summary(terminalreporter: Any) -> None:
    reports = terminalreporter.stats.get("skipped", [])
    skipped = sum(NO_NEWEST in str(report.longrepr) for report in reports)
    if skipped:
        terminalreporter.write_line(
            f"{skipped} {'test' if skipped == 1 else 'tests'} of Loki {NEWEST} skipped: "
            f"{NO_NEWEST}; put one there to run them",
            yellow=True,
        )
