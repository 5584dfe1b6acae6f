"""Which of several programs holds the data of a server of a given version."""

from __future__ import annotations

from pathlib import Path

import pytest

from lake.servers import Binary, closest, other_version


def binaries(*versions: str) -> list[Binary]:
    return [Binary(Path(f"/bin/loki-{one}"), one, "PATH") for one in versions]


@pytest.mark.parametrize(
    ("there", "wanted", "chosen"),
    [
        (["3.7.6", "2.2.1"], "2.2.1", "2.2.1"),
        (["3.7.6", "2.2.1"], "2.9.3", "2.2.1"),
        (["2.2.1", "3.5.1", "3.7.6"], "3.5.9", "3.5.1"),
        (["2.2.1", "3.5.1", "3.7.6"], "3.6.0", "3.7.6"),
        (["2.2.1", "3.7.6"], "3.7.9-main+a1b2", "3.7.6"),
        (["2.2.1", "3.7.6"], "v3.7.6", "3.7.6"),
        (["2.2.1", "3.7.6"], "main-a1b2", "3.7.6"),
        (["2.2.1"], "3.7.6", "2.2.1"),
    ],
)
def test_the_closest_version_is_chosen(monkeypatch, there, wanted, chosen):
    monkeypatch.setitem(closest.__globals__, "find_all", lambda _name: binaries(*there))
    assert closest("loki", wanted).version == chosen


def test_none_where_there_is_none(monkeypatch):
    monkeypatch.setitem(closest.__globals__, "find_all", lambda _name: [])
    assert closest("loki", "3.7.6") is None


def test_another_version_is_reported():
    (program,) = binaries("3.7.6")
    assert other_version("Loki", "3.7.6+abc", program) == ""
    assert "2.2.1" in other_version("Loki", "2.2.1", program)
    assert "3.7.6" in other_version("Loki", "2.2.1", program)
