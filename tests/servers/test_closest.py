"""Which of several programs holds the data of a server of a given version."""

from __future__ import annotations

from pathlib import Path

import pytest

from lake.servers import Binary, closest, other_version


def binaries(*versions: str) -> list[Binary]:
    return [Binary(Path(f"/bin/{version}"), version, "PATH") for version in versions]


@pytest.mark.parametrize(
    ("name", "there", "wanted", "chosen"),
    [
        ("loki", ["3.7.6", "2.2.1"], "2.2.1", "2.2.1"),
        ("loki", ["3.7.6", "2.2.1"], "2.2.0", "2.2.1"),
        # 2.2 can't read what 2.9 wrote, 3.7 can.
        ("loki", ["3.7.6", "2.2.1"], "2.9.3", "3.7.6"),
        ("loki", ["2.2.1", "3.5.1", "3.7.6"], "3.5.9", "3.5.1"),
        ("loki", ["2.2.1", "3.5.1", "3.7.6"], "3.6.0", "3.7.6"),
        ("loki", ["2.2.1", "3.5.1", "3.7.6"], "3.4.0", "3.5.1"),
        ("loki", ["2.2.1", "3.5.1", "3.7.6"], "3.8.0", "3.7.6"),
        ("loki", ["3.7.6", "2.2.1"], "3.7.9-main+a1b2", "3.7.6"),
        ("loki", ["2.2.1", "3.7.6"], "v3.7.6", "3.7.6"),
        ("loki", ["3.7.6", "2.2.1"], "main-a1b2", "3.7.6"),
        ("loki", ["2.2.1"], "3.7.6", "2.2.1"),
        ("prometheus", ["2.42.0", "3.16.0"], "3.16.0", "3.16.0"),
        ("prometheus", ["2.42.0", "3.16.0"], "3.5.1", "3.16.0"),
        ("prometheus", ["2.42.0", "3.16.0"], "3.20.0", "3.16.0"),
        ("prometheus", ["3.16.0", "2.42.0"], "2.53.1", "2.42.0"),
        ("prometheus", ["3.5.0", "3.16.0"], "2.42.0", "3.5.0"),
        ("prometheus", ["2.42.0"], "3.16.0", "2.42.0"),
    ],
)
def test_the_closest_version_is_chosen(monkeypatch, name, there, wanted, chosen):
    monkeypatch.setitem(closest.__globals__, "find_all", lambda _name: binaries(*there))
    assert closest(name, wanted).version == chosen


def test_none_where_there_is_none(monkeypatch):
    monkeypatch.setitem(closest.__globals__, "find_all", lambda _name: [])
    assert closest("loki", "3.7.6") is None


@pytest.mark.parametrize(
    ("name", "version", "program"),
    [
        ("loki", "3.7.6+abc", "3.7.6"),
        ("loki", "2.2.0", "2.2.1"),
        ("loki", "3.5.1", "3.7.6"),
        ("prometheus", "2.42.0+ds", "2.53.1"),
        ("prometheus", "", "2.42.0"),
    ],
)
def test_nothing_is_reported_of_a_version_that_serves_all_of_it(name, version, program):
    assert other_version(name, version, *binaries(program)) == ""


@pytest.mark.parametrize(
    ("name", "version", "program", "remedy"),
    [
        ("prometheus", "3.16.0", "2.42.0", "`lake services install prometheus3`"),
        ("prometheus", "3.20.0", "3.16.0", "Put the `prometheus` of that version on PATH"),
        ("prometheus", "2.42.0", "3.16.0", "`lake services install prometheus` installs"),
        ("loki", "2.2.1", "3.7.6", "`lake services install loki2`"),
        ("loki", "2.9.3", "3.7.6", "Put the `loki` of that version on PATH"),
        ("loki", "3.7.6", "2.2.1", "Put the `loki` of that version on PATH"),
        ("loki", "v3.8.0", "3.7.6", "Put the `loki` of that version on PATH"),
    ],
)
def test_another_version_is_reported_with_a_remedy(name, version, program, remedy):
    report = other_version(name, version, *binaries(program))
    assert f"came from {name.title()} {version.removeprefix('v')}" in report
    assert f"{name.title()} {program} serves them" in report
    assert remedy in report


@pytest.mark.parametrize(
    ("name", "version", "came"),
    [
        ("loki", "main-a1b2", "came from Loki main-a1b2, and Loki 3.7.6 serves them"),
        ("loki", "k250", "came from Loki k250, and Loki 3.7.6 serves them"),
        ("loki", "unknown", "came from Loki of unknown version, and Loki 3.7.6 serves them"),
        ("prometheus", "HEAD", "came from Prometheus HEAD, and Prometheus 3.7.6 serves them"),
    ],
)
def test_a_build_without_a_number_is_reported(name, version, came):
    report = other_version(name, version, *binaries("3.7.6"))
    assert came in report
    assert "can't be compared" in report
    assert f"put the `{name}` that wrote the data on PATH" in report


def test_what_an_older_prometheus_cannot_do_is_reported():
    report = other_version("prometheus", "3.16.0", *binaries("2.42.0"))
    assert "quoted names" in report
    assert "native histograms with custom buckets" in report
