"""Which snapshot each day is read from."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from support.made_snapshots import made_snapshot, put

from lake.base.day import Day, day_range
from lake.base.errors import BadData, PermanentError, TransientError
from lake.config.settings import Settings, load
from lake.from_snapshot import exporting
from lake.from_snapshot.choosing import chosen_snapshots, is_late
from lake.runs import ExportResult
from lake.servers import Binary
from lake.store import Store, open_store

D = [Day.parse("2026-03-01").plus(number) for number in range(200)]
FILE = """
[lake]
root = "lake"
[sources.prometheus]
url = "http://127.0.0.1:1"
lateness_days = 2
[[dataset]]
name = "samples"
source = "prometheus"
query = "up"
mode = "raw"
[[dataset]]
name = "rates"
source = "prometheus"
query = "rate(x[1h] offset 30m)"
"""


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    (tmp_path / "lake.toml").write_text(FILE)
    return load(str(tmp_path / "lake.toml"), {})


@pytest.fixture
def store(settings: Settings) -> Store:
    return open_store(settings)


def chosen(settings: Settings, store: Store, name: str, days: list[Day], **how):
    """Day of data → when its snapshot was taken; and the messages for the other days."""
    dataset = settings.dataset_named(name)
    choices, unavailable = chosen_snapshots(
        settings, store, [(dataset, day) for day in days], **how
    )
    taken = [choice.taken for choice in choices]
    assert len(set(taken)) == len(taken)  # each is restored once
    read = {day: choice.taken for choice in choices for _, day in choice.partitions}
    return read, {missing.day: missing.error for missing in unavailable}


def nightly(store: Store, number: int, kept: int) -> None:
    for taken in range(1, number + 1):
        put(store, made_snapshot("prometheus", D[taken], D[max(0, taken - kept) : taken]))


def test_a_quarter_restores_few_snapshots(settings, store):
    nightly(store, 90, 15)
    read, missing = chosen(settings, store, "samples", D[:90])
    assert missing == {}
    assert list(read) == D[:90]
    # Each is good for 13 days: of the 15 that it holds, two may still have grown.
    assert sorted(set(read.values())) == [D[15], D[28], D[41], D[54], D[67], D[80], D[90]]
    for day, taken in read.items():
        number, at = D.index(day), D.index(taken)
        assert number < at <= number + 15
        assert at >= number + 3 or at == 90  # else no later one was taken


def test_one_that_was_taken_too_early_is_read_only_where_no_later_one_holds_the_day(
    settings, store
):
    put(store, made_snapshot("prometheus", D[1], [D[0]]))
    put(store, made_snapshot("prometheus", D[2], [D[0], D[1]]))
    assert chosen(settings, store, "samples", D[:2])[0] == {D[0]: D[2], D[1]: D[2]}
    put(store, made_snapshot("prometheus", D[5], [D[0]]))
    assert chosen(settings, store, "samples", D[:2])[0] == {D[0]: D[5], D[1]: D[2]}


def test_no_snapshot_holds_it(settings, store):
    read, missing = chosen(settings, store, "samples", D[:1])
    assert (read, missing[D[0]].parts["found"]) == ({}, "no snapshot after that day")
    put(store, made_snapshot("prometheus", D[9], D[4:8]))
    store.write("prometheus/2026/03/12/manifest.json", b"{")
    _, missing = chosen(settings, store, "samples", [D[0], D[4]])
    assert list(missing) == [D[0]]
    assert missing[D[0]].what == f"no snapshot of prometheus holds {D[0]} whole"
    assert missing[D[0]].parts["found"] == (
        f"{D[9]} holds {D[4]} … {D[7]}; 2026-03-12: invalid snapshot manifest"
    )


def test_the_snapshot_that_is_named(settings, store):
    nightly(store, 20, 15)
    read, missing = chosen(settings, store, "samples", D[3:8], named=D[6])
    assert read == dict.fromkeys(D[3:6], D[6])
    assert missing[D[7]].what == f"the snapshot of prometheus of {D[6]} does not hold {D[7]} whole"


def test_a_range_query_needs_what_it_looks_back_at(settings, store):
    """An hour, half an hour and Prometheus' own five minutes."""
    at_22_25 = D[1].start.replace(hour=22, minute=25).isoformat()
    put(store, made_snapshot("prometheus", D[9], D[1:4]))
    read, missing = chosen(settings, store, "rates", D[1:4])
    assert read == dict.fromkeys(D[2:4], D[9])
    assert "depends on rows from before" in missing[D[1]].what
    assert chosen(settings, store, "samples", D[1:4])[0] == dict.fromkeys(D[1:4], D[9])
    assert chosen(settings, store, "rates", D[1:4], unproven=True)[1] == {}
    # An earlier one that reaches further is taken for the day.
    put(store, made_snapshot("prometheus", D[5], D[2:4], start=at_22_25))
    put(store, made_snapshot("prometheus", D[9], D[2:4]))
    assert chosen(settings, store, "rates", [D[2]])[0] == {D[2]: D[5]}
    # Seven seconds after a block was cut, or the server's first sample, with nothing before it.
    begins = D[2].start.replace(second=7).isoformat()
    for kept_from, read in ((None, {}), (D[2], {}), (D[1], {D[2]: D[5]})):
        details = {"kept_from": kept_from and kept_from.start.isoformat()}
        put(store, made_snapshot("prometheus", D[5], D[2:4], start=begins, details=details))
        assert chosen(settings, store, "rates", [D[2]])[0] == read
    put(store, made_snapshot("prometheus", D[5], D[2:4], start=begins))  # of an earlier version
    assert chosen(settings, store, "rates", [D[2]])[0] == {}


def test_another_version_of_the_server_is_refused_before_anything_is_fetched(
    settings, store, monkeypatch
):
    """Its answers could differ, and nobody would see it in a table."""
    put(store, made_snapshot("prometheus", D[9], D[:4], version="2.30.0"))
    partitions = [(settings.dataset_named("samples"), day) for day in day_range(D[0], D[2])]

    def errors(program: Binary | None) -> list[PermanentError]:
        monkeypatch.setattr(exporting, "closest", lambda *_: program)
        results = exporting.export_from_snapshots(settings, store, partitions, jobs=1)
        return [result.error for result in results]

    newer = Binary("prometheus", "3.1.0", Path("/nowhere/prometheus"))
    for program, found in ((newer, "Prometheus 3.1.0"), (None, "no prometheus")):
        got = errors(program)
        assert [type(error) for error in got] == [PermanentError] * 2
        assert got[0].what == (
            "the Prometheus that the snapshot was taken of is not on this machine"
        )
        assert got[0].parts["expected"] == "Prometheus 2.30.0"
        assert got[0].parts["found"] == found
        assert "lake services install prometheus`" in got[0].parts["remedy"]


@pytest.mark.parametrize("broken", [1, 2, 3, 4])
def test_the_next_snapshot_is_tried_where_one_can_not_be_restored(
    settings, store, monkeypatch, broken
):
    """Three at most; the day keeps the first error."""
    for taken in (4, 5, 6, 7):
        put(store, made_snapshot("prometheus", D[taken], D[:2]))
    damaged = {D[7 - number] for number in range(broken)}
    tried: list[Day] = []

    def from_one(settings, store, choice, progress, **_):
        tried.append(choice.taken)
        dataset, _ = choice.partitions[0]
        if choice.taken in damaged:
            raise BadData(f"an object of {choice.taken} is damaged")
        yield from (ExportResult(dataset.name, day, "read", None) for _, day in choice.partitions)

    monkeypatch.setattr(exporting, "_from_one", from_one)
    partitions = [(settings.dataset_named("samples"), day) for day in D[:2]]
    said: list[str] = []
    progress = lambda *words: said.append(" ".join(words))  # noqa: E731
    results = list(
        exporting.export_from_snapshots(settings, store, partitions, jobs=1, progress=progress)
    )
    assert sorted(result.day for result in results) == D[:2]
    assert tried == [D[7], D[6], D[5], D[4]][: min(broken + 1, 3)]
    if broken < 3:
        assert [result.outcome for result in results] == ["read", "read"]
        assert said[0].endswith("is damaged; trying the next one that holds the days")
    else:
        assert {result.error.what for result in results} == {f"an object of {D[7]} is damaged"}


def test_another_snapshot_is_not_tried_where_the_store_does_not_answer(
    settings, store, monkeypatch
):
    nightly(store, 9, 15)

    def from_one(*_, **__):
        raise TransientError("no answer")
        yield

    monkeypatch.setattr(exporting, "_from_one", from_one)
    partitions = [(settings.dataset_named("samples"), D[0])]
    (result,) = exporting.export_from_snapshots(settings, store, partitions, jobs=1)
    assert result.error.what == "no answer"


@pytest.mark.parametrize("ended_on", [D[5], D[6]])
def test_a_snapshot_is_as_late_as_its_beginning(settings: Settings, ended_on: Day):
    """Its manifest is written at its end, perhaps after midnight. Two days of lateness."""
    taken = made_snapshot("prometheus", D[5], D[:5])
    taken = replace(taken, created_at=ended_on.start.isoformat())
    late = [day for day in D[:5] if is_late(settings, taken, day)]
    assert late == D[3:5]
