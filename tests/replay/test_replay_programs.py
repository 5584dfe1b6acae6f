"""Which Loki a table is replayed into, by what its manifest contains."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

from lake.replay import programs
from lake.servers import Binary
from lake.systems.prometheus.replay import versions as versions_of_prometheus

OLD, NEW = (Binary(Path(f"/bin/{version}"), version, "PATH") for version in ("2.2.1", "3.7.6"))


@pytest.mark.parametrize(
    ("details", "program"),
    [
        ([{"server_version": "2.2.1"}], OLD),
        ([{"server_version": "3.5.0"}], NEW),
        ([{"server_version": "2.2.1"}, {"server_version": "3.7.6"}], NEW),
        ([{}], NEW),  # an earlier version of this program, which read no older Loki
        ([{"server_version": "unknown"}], OLD),  # the one that `find` prefers
    ],
)
def test_the_loki_that_the_lines_came_from(monkeypatch, details, program):
    monkeypatch.setitem(programs.closest.__globals__, "find_all", lambda _name: [OLD, NEW])
    monkeypatch.setattr(programs, "find", lambda _name: OLD)
    partitions = [
        SimpleNamespace(
            dataset=SimpleNamespace(source="loki"), manifest=SimpleNamespace(details=made_with)
        )
        for made_with in details
    ]
    chosen, _ = programs.programs_for(None, partitions, ["loki"])
    assert chosen == {"loki": program}


@pytest.mark.parametrize(
    ("system", "versions", "remark"),
    [
        ("loki", ["main-a1b2"], "came from Loki main-a1b2, and Loki 2.2.1 serves them"),
        ("loki", ["unknown", ""], "came from Loki of unknown version"),
        ("loki", ["2.2.1", "main-a1b2"], None),  # the newest that can be compared
        ("prometheus", [""], None),
        ("prometheus", ["0.42.1"], None),  # of a server that is no Prometheus
    ],
)
def test_the_remark_on_versions_without_a_number(monkeypatch, system, versions, remark):
    monkeypatch.setitem(programs.closest.__globals__, "find_all", lambda _name: [OLD])
    monkeypatch.setattr(programs, "find", lambda _name: OLD)
    monkeypatch.setattr(versions_of_prometheus, "_has_histograms", lambda *_: False)
    partitions = [
        SimpleNamespace(
            dataset=SimpleNamespace(source=system),
            manifest=SimpleNamespace(details={"server_version": version}, schema=[]),
        )
        for version in versions
    ]
    _, remarks = programs.programs_for(None, partitions, [system])
    assert len(remarks) == bool(remark)
    assert not remark or remark in remarks[0]
