"""Which days a hold covers, against sets of days; what can't be read holds everything."""

from __future__ import annotations

import json

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from lake.base.day import Day, day_range
from lake.base.errors import TransientError
from lake.holds import Hold, of
from lake.holds.hold import key_of, parsed, release_key_of
from lake.snapshots.manifest import SnapshotManifest
from lake.store import ObjectStat
from lake.store.directory import DirectoryStore

EPOCH = Day.parse("2026-01-01")
ENDS = st.none() | st.integers(0, 30)
WHEN = "2026-07-01T00:00:00+00:00"


def hold(start: int | None, end: int | None, *datasets: str, systems=("mongo",)) -> Hold:
    first = None if start is None else EPOCH.plus(start)
    last = None if end is None else EPOCH.plus(end)
    return Hold("h", datasets or ("events",), systems, first, last, "case", "me", WHEN)


def held_days(start: int | None, end: int | None) -> set[Day]:
    """By a set of days instead of comparisons."""
    return {
        day
        for day in day_range(EPOCH.plus(-5), EPOCH.plus(40))
        if day in set(day_range(EPOCH.plus(-5 if start is None else start),
                                EPOCH.plus(40 if end is None else end)))
    }  # fmt: skip


@given(start=ENDS, end=ENDS, day=st.integers(-5, 35))
def test_a_day_is_covered_where_it_is_in_the_range(start, end, day):
    candidate = EPOCH.plus(day)
    covered = candidate in held_days(start, end)
    assert hold(start, end).covers("events", candidate) == covered
    assert hold(start, end, "*").covers("whatever", candidate) == covered
    assert not hold(start, end).covers("users", candidate)


@given(start=ENDS, end=ENDS)
def test_a_hold_comes_back_from_its_object(start, end):
    written = hold(start, end, "events", "users")
    assert parsed("h", written.to_bytes()) == written


@given(
    start=ENDS,
    end=ENDS,
    days=st.lists(st.integers(0, 30), max_size=3),
    window=st.tuples(ENDS, ENDS),
)
def test_a_snapshot_is_held_where_it_has_anything_of_a_held_day(start, end, days, window):
    begins, ends = window
    assume(begins is None or ends is None or begins <= ends)
    snapshot = SnapshotManifest(
        system="mongo", day="2026-02-01", created_at=WHEN, version="0", server={},
        window={
            "start": None if begins is None else EPOCH.plus(begins).start.isoformat(),
            "end": None if ends is None else EPOCH.plus(ends).end.isoformat(),
        },
        counts={}, objects=[], files=[], restore="", whole_days=[str(EPOCH.plus(d)) for d in days],
    )  # fmt: skip
    contents = {EPOCH.plus(day) for day in days}
    if window != (None, None):
        contents |= set(
            day_range(
                EPOCH.plus(-5 if begins is None else begins),
                EPOCH.plus(40 if ends is None else ends + 1),
            )
        )
    store = _Store({"holds/h.json": hold(start, end).to_bytes()})
    blocking = of(store).blocking_snapshot(snapshot)  # type: ignore[arg-type]
    if start is None or end is None or start < end:  # `add` refuses other ranges
        assert (blocking is not None) == bool(contents & held_days(start, end))
    other = _Store({"holds/h.json": hold(start, end, systems=("loki",)).to_bytes()})
    assert of(other).blocking_snapshot(snapshot) is None  # type: ignore[arg-type]


@pytest.mark.parametrize(("documents", "is_held"), [(7, True), (0, False)])
def test_a_snapshot_of_an_earlier_version_without_a_window(documents, is_held):
    """It may have whatever was there when it was taken."""
    snapshot = SnapshotManifest(
        system="mongo", day="2026-06-30", created_at=WHEN, version="0", server={},
        window={"start": None, "end": None}, counts={"documents": {"events": documents}},
        objects=[], files=[], restore="",
    )  # fmt: skip
    for first, last, overlaps in [(0, 1, True), (None, None, True), (500, 501, False)]:
        store = _Store({"holds/h.json": hold(first, last).to_bytes()})
        blocking = of(store).blocking_snapshot(snapshot)  # type: ignore[arg-type]
        assert (blocking is not None) == (is_held and overlaps)


class _Store:
    """As much of a store as reading needs."""

    objects_a_thread = 1

    def __init__(self, objects: dict[str, bytes]) -> None:
        self.objects = objects

    def list(self, prefix: str):
        for key in sorted(self.objects):
            if key.startswith(prefix):
                yield ObjectStat(key, len(self.objects[key]), "e")

    def read(self, key: str) -> bytes:
        return self.objects[key]

    def url(self, key: str) -> str:
        return key


def fields(**changes) -> bytes:
    return json.dumps(json.loads(hold(0, 5).to_bytes()) | changes).encode()


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xff\xfe",
        b"[]",
        b"null",
        b'{"id": "h"}',
        b"[" * 100_000,
        fields(id="other"),
        fields(datasets=[]),
        fields(datasets="events"),
        fields(datasets=[3]),
        fields(to="2026-13-01"),
        fields(**{"from": 5}),
        fields(reason=None),
        fields(at="yesterday"),
    ],
)
def test_what_can_not_be_read_holds_everything(tmp_path, data):
    store = DirectoryStore(tmp_path)
    store.write(key_of("h"), data)
    blocking = of(store).blocking("anything", Day.parse("1999-01-01"))
    assert blocking is not None
    assert blocking.problem
    assert "can't be read" in str(blocking)


def test_a_release_that_can_not_be_read_releases_nothing(tmp_path):
    store = DirectoryStore(tmp_path)
    store.write(key_of("h"), hold(0, 5).to_bytes())
    release = {"id": "h", "reason": "over", "who": "me", "at": WHEN}
    for broken in (b"", b"{}", json.dumps(release | {"id": "g"}).encode()):
        store.write(release_key_of("h"), broken)
        holds = of(store)
        assert holds.blocking("events", EPOCH) is not None
        assert len(holds.problems) == 1
    store.write(release_key_of("h"), json.dumps(release).encode())
    assert of(store).blocking("events", EPOCH) is None


def test_a_store_that_does_not_answer_is_no_absence_of_holds(tmp_path):
    class Failing(DirectoryStore):
        def read(self, key: str) -> bytes:
            raise TransientError("no answer")

    store = Failing(tmp_path)
    store.write(key_of("h"), hold(0, 5).to_bytes())
    with pytest.raises(TransientError):
        of(store)
