"""Which Loki a table is replayed into, by what its manifest contains."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

from lake.replay import programs
from lake.servers import Binary

OLD, NEW = (Binary(Path(f"/bin/{one}"), one, "PATH") for one in ("2.2.1", "3.7.6"))


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
            dataset=SimpleNamespace(source="loki"), manifest=SimpleNamespace(details=one)
        )
        for one in details
    ]
    chosen, _ = programs.programs_for(None, partitions, ["loki"])
    assert chosen == {"loki": program}
