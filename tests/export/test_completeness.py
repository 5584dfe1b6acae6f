"""What an export refuses to write: rows that are not the source's count, days that shrink."""

import io

import pyarrow.parquet as pq
import pytest

from lake.base.errors import (
    Incomplete,
    TransientError,
    UsageError,
)

DAY = "2026-07-05"  # closed for five days: counted for the last time on the fourth
TABLE = f"tables/events/day={DAY}/data.parquet"
MANIFEST = f"manifests/events/{DAY}.json"


def refused(place, day=DAY, **options) -> Incomplete:
    before = place.files()
    with pytest.raises(Incomplete) as caught:
        place.export(day, **options)
    assert place.files() == before
    assert caught.value.parts["where"] == f"events {day}"
    return caught.value


@pytest.mark.parametrize(("rows", "count"), [(9, 10), (11, 10), (0, 1), (1, 0)])
def test_rows_and_count_that_stay_different_are_a_failure(place, rows, count):
    place.source.rows[DAY] = rows
    place.source.counted(DAY, count)
    error = refused(place)
    assert error.parts["expected"] == f"{count} rows (asked the fake)"
    assert error.parts["found"] == f"{rows} rows"
    assert place.source.calls == [("read", DAY), ("count", DAY)] * 3


def test_rows_that_came_in_while_reading_are_read_again(place):
    place.source.rows[DAY] = 10
    place.source.counted(DAY, 11, 10)
    place.export(DAY)
    assert place.source.calls == [("read", DAY), ("count", DAY)] * 2


def test_a_source_that_may_count_low(place):
    place.source.may_count_low = True
    place.source.rows[DAY] = 10
    place.source.counted(DAY, 11)
    refused(place)
    place.source.counted(DAY, 9)
    place.export(DAY)
    assert (place.manifest(DAY)["rows"], place.manifest(DAY)["source_count"]) == (10, 9)


def test_lines_that_the_dataset_itself_made_equal_are_accounted_for(place):
    place.source.rows[DAY] = 10
    place.source.merged_lines = 2
    place.source.counted(DAY, 13)
    refused(place)
    place.source.counted(DAY, 12)
    place.export(DAY)
    manifest = place.manifest(DAY)
    assert (manifest["rows"], manifest["source_count"]) == (10, 12)
    assert manifest["details"]["merged_lines"] == 2


def test_a_day_of_which_only_streams_are_listed_is_late(place):
    place.source.unseen_streams[DAY] = 3
    with pytest.raises(TransientError, match="late") as caught:
        place.export(DAY)
    assert "3 streams" in caught.value.parts["found"]
    assert place.files() == {}
    place.export(DAY, allow_shrink=True)
    assert place.manifest(DAY)["rows"] == 0


@pytest.mark.parametrize("rows", [9, 0])
def test_a_day_does_not_shrink_unless_told(place, rows):
    place.source.rows[DAY] = 10
    place.export(DAY)
    place.source.rows[DAY] = rows
    error = refused(place, force=True)
    assert "at least 10 rows" in error.parts["expected"]
    assert "--allow-shrink" in error.parts["remedy"]
    place.export(DAY, force=True, allow_shrink=True)
    assert place.manifest(DAY)["rows"] == rows


def test_no_rows_are_a_day_with_no_data(place):
    place.export(DAY)
    files = place.files()
    assert pq.read_table(io.BytesIO(files[TABLE])).num_rows == 0
    assert place.manifest(DAY)["rows"] == 0


def test_no_rows_from_a_day_that_the_source_does_not_keep(place):
    place.export("2026-06-11")  # 29 days old: the last one that is kept whole
    assert "[hot] mongo" in refused(place, "2026-06-10").parts["remedy"]
    refused(place, "2026-01-01")
    place.source.rows["2026-01-01"] = 1
    place.export("2026-01-01")


def test_a_day_that_is_not_over(place):
    with pytest.raises(UsageError, match="is not over"):
        place.export("2026-07-10")
    place.source.rows["2026-07-10"] = 3
    place.export("2026-07-10", open_day=True)
    place.source.rows["2026-07-10"] = 5
    assert place.export("2026-07-10", open_day=True).state == "rewritten"


@pytest.mark.parametrize("manifest", [None, b"{"])
def test_a_day_without_a_readable_manifest_does_not_shrink_either(place, manifest):
    place.source.rows[DAY] = 10
    place.export(DAY)
    place.store.delete(MANIFEST)
    if manifest:
        place.store.write(MANIFEST, manifest)
    place.source.rows[DAY] = 9
    error = refused(place, force=True)
    assert error.parts["expected"] == "at least 10 rows, as in the object that is there"
    if not manifest:
        refused(place)
    place.export(DAY, force=True, allow_shrink=True)
    assert place.manifest(DAY)["rows"] == 9


def test_an_object_that_is_no_parquet_holds_nothing_back(place):
    place.source.rows[DAY] = 1
    place.store.write(TABLE, b"PAR1 and no footer PAR1")
    assert place.export(DAY).state == "exported"
