"""`lake export`, `lake status` and `lake verify` as a user types them."""

import hashlib
import json
from dataclasses import replace

import pytest

from lake.base.day import Day
from lake.base.errors import Refused, TransientError
from lake.partition.ledger import read_manifest
from lake.partition.manifest import write_manifest

DAY = "2026-07-05"
LATE = "2026-07-08"
WEEK = ("--from", "2026-07-01", "--to", "2026-07-08")


def days_of(place, start: int, end: int, rows: int) -> None:
    place.source.rows |= {f"2026-07-{day:02}": rows for day in range(start, end)}


def test_export_tells_what_it_did(place, lake):
    days_of(place, 1, 8, 3)
    code, out, err = lake("export", *WEEK)
    assert code == 0
    assert out.startswith("14 exported: 42 rows, ")
    assert len(err.splitlines()) == 14
    assert "[14/14]" in err
    assert lake("export", *WEEK)[:2] == (0, "14 skipped\n")
    assert lake("export", "events", "events", "--day", DAY, "--force")[1].startswith("1 rewritten")


def test_to_is_exclusive(place, lake):
    assert lake("export", "events", *WEEK)[0] == 0
    assert {key.split("/")[2] for key in place.files() if key.startswith("tables")} == {
        f"day=2026-07-0{n}" for n in range(1, 8)
    }


def test_export_json_and_a_failure_that_stops_nobody(place, lake):
    days_of(place, 1, 8, 3)
    place.source.faults[DAY] = Refused("no such user", where="the source", remedy="log in")
    code, out, err = lake("export", "events", *WEEK, "--json", "--jobs", "3")
    report = json.loads(out)
    assert code == 1
    assert (report["exported"], report["failed"], report["rewritten"], report["skipped"]) == (
        6,
        1,
        0,
        0,
    )
    assert [p["day"] for p in report["partitions"]] == [f"2026-07-0{n}" for n in range(1, 8)]
    assert report["partitions"][4] == {
        "dataset": "events",
        "day": DAY,
        "state": "failed",
        "error": {"what": "no such user", "where": "the source", "remedy": "log in"},
    }
    assert report["partitions"][0]["rows"] == report["partitions"][0]["source_count"] == 3
    assert f"events {DAY} failed: no such user" in err


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (
            ("export",),
            "no days are named",
        ),  # none is in the lake, from which on days would be missing
        (("export", "--force"), "no days are named"),
        (("export", "--day", "2026-7-5"), "YYYY-MM-DD"),
        (("export", "--day", "2026-W01-1"), "YYYY-MM-DD"),
        (("export", "--day", "9999-12-31"), "YYYY-MM-DD"),
        (("export", "--day", DAY, "--from", DAY), "exclude each other"),
        (("export", "--from", DAY), "belong together"),
        (("export", "--from", DAY, "--to", DAY), "empty range"),
        (("export", "--day", "2026-07-10"), "is not over"),
        (("export", "--day", "2026-07-11", "--open-day"), "has not begun"),
        (("export", "--day", "2023-12-31"), "before the lake's first day"),
        (("export", "--from", "2020-01-01", "--to", "2026-07-02"), "from 2024-01-01 on"),
        (("export", "--from", DAY, "--to", "2026-07-11"), "2026-07-10 is not over"),
        (("export", "nobody", "--day", DAY), "one of events, users"),
        (("export", "--day", DAY, "--jobs", "0"), "--jobs"),
        (("export", "--dya", DAY), "--day"),
        (("exprot",), "exprot"),
        (("status", "--day", DAY, "--to", DAY), "exclude each other"),
        (("verify", "nobody"), "one of events, users"),
    ],
)
def test_wrong_usage_is_exit_2_and_says_what_would_be_right(place, lake, arguments, text):
    code, out, err = lake(*arguments)
    assert (code, out) == (2, "")
    assert text in err
    assert place.files() == {}
    assert "Traceback" not in err


def test_a_wrong_configuration_is_exit_2(place, lake):
    place.config.write_text(place.config.read_text() + "\n[colour]\n")
    for command in (("export", "--day", DAY), ("status",), ("verify",)):
        code, out, err = lake(*command, "--json")
        assert (code, out) == (2, "")
        assert "unknown key 'colour'" in err


def test_days_of_which_only_streams_are_listed_are_late(place, lake):
    assert lake("export", "--from", "2026-07-06", "--to", "2026-07-10")[0] == 0
    place.store.delete("manifests/events/2026-07-08.json")
    place.source.unseen_streams = dict.fromkeys(("2026-07-01", "2026-07-08", "2026-07-09"), 2)
    code, out, _ = lake("status", "--json")
    events = {dataset["dataset"]: dataset for dataset in json.loads(out)["datasets"]}["events"]
    states = {day[-2:]: partition["state"] for day, partition in events["days"].items()}
    assert (code, states["07"], states["08"], states["09"]) == (1, "empty", "late", "late")


def test_status_knows_every_state(place, lake):
    days_of(place, 1, 10, 5)
    place.source.rows["2026-07-04"] = 0
    assert lake("export", "--from", "2026-07-01", "--to", "2026-07-10")[0] == 0
    assert lake("status")[0] == 0
    place.store.delete("manifests/events/2026-07-02.json")
    place.store.write("tables/events/day=2026-07-03/data.parquet", b"cut")
    place.store.write("manifests/events/2026-07-05.json", b"{")
    place.store.delete("tables/events/day=2026-07-06/data.parquet")
    place.source.rows[LATE] = 7
    place.source.rows["2026-07-09"] = 4
    place.source.undated_rows = 12
    code, out, err = lake("status", "--json")
    by_dataset = {dataset["dataset"]: dataset for dataset in json.loads(out)["datasets"]}
    assert code == 1
    assert err.startswith("object left: tables/events/day=2026-07-02/data.parquet: no manifest")
    assert len(err.splitlines()) == 1
    events = by_dataset["events"]
    assert (events["source"], events["undated"], events["problem"]) == ("mongo", 12, None)
    assert {day[-2:]: partition["state"] for day, partition in events["days"].items()} == {
        "01": "verified",
        "02": "missing",
        "03": "damaged",
        "04": "empty",
        "05": "damaged",
        "06": "damaged",
        "07": "verified",
        "08": "late",
        "09": "differs",
    }
    late = events["days"][LATE]
    assert (late["rows"], late["source_count"], late["recount"]) == (5, 5, 7)
    assert events["days"]["2026-07-02"] == {"state": "missing"}
    assert {partition["state"] for partition in by_dataset["users"]["days"].values()} >= {
        "verified",
        "late",
    }


def test_status_mended_by_export(place, lake):
    days_of(place, 1, 10, 5)
    lake("export", "--from", "2026-07-01", "--to", "2026-07-10")
    place.source.rows[LATE] = 7
    place.store.delete("manifests/events/2026-07-02.json")
    place.store.write("tables/users/day=2026-07-03/data.parquet", b"cut")
    assert lake("status")[0] == 1
    code, out, _ = lake("export", "--from", "2026-07-01", "--to", "2026-07-10")
    assert (code, out.partition(":")[0]) == (0, "1 exported, 3 rewritten, 14 skipped")
    assert lake("status")[0] == 0
    assert lake("verify")[0] == 0


def test_status_as_a_table(place, lake):
    days_of(place, 5, 8, 1_000)
    place.source.undated_rows = 12
    lake("export", "events", "--from", DAY, "--to", "2026-07-08")
    code, out, _ = lake("status", "--from", DAY, "--to", "2026-07-09")
    lines = [" ".join(line.split()) for line in out.splitlines()]
    assert code == 1
    assert lines[0] == "dataset source days state rows bytes undated"
    assert lines[1].startswith("events mongo 2026-07-05 … 2026-07-07 3 verified 3,000 ")
    assert lines[1].endswith(" 12")
    assert lines[2] == "2026-07-08 1 missing 0 0"
    assert lines[3] == "users mongo 2026-07-05 … 2026-07-08 4 missing 0 0 12"


def test_status_of_an_empty_lake(place, lake):
    code, _, err = lake("status")
    assert (code, err) == (0, f"nothing is exported yet at {place.settings.lake.root}\n")
    code, out, err = lake("status", "--json")
    assert json.loads(out)["datasets"][0]["days"] == {}
    assert "nothing is exported yet" in err
    days_of(place, 9, 10, 5)
    lake("export", "--day", "2026-07-09")
    assert lake("status")[2] == ""


def test_days_that_are_not_over_are_not_missed(place, lake):
    code, out, _ = lake("status", "--from", LATE, "--to", "2026-07-20", "--json")
    assert code == 1
    assert set(json.loads(out)["datasets"][0]["days"]) == {LATE, "2026-07-09"}


def test_a_source_that_cannot_be_asked_is_told(place, lake):
    days_of(place, 5, 10, 5)
    lake("export", "--from", DAY, "--to", "2026-07-10")
    place.source.undated_rows = TransientError("unreachable")
    code, out, err = lake("status", "--json")
    assert code == 0  # the lake itself is whole
    first, *_ = json.loads(out)["datasets"]
    assert first["problem"] == "unreachable"
    assert {day["state"] for day in first["days"].values()} <= {"verified", "empty"}
    assert "not re-counted: unreachable" in err
    assert lake("status", "--no-sources")[0] == 0


def test_days_that_the_source_no_longer_keeps_do_not_differ(place, lake):
    place.config.write_text(place.config.read_text().replace("mongo = 30", "mongo = 2"))
    days_of(place, 8, 10, 5)
    lake("export", "--from", LATE, "--to", "2026-07-10")
    place.source.rows[LATE] = 2  # half expired
    assert lake("status")[0] == 0


@pytest.fixture
def exported(place, lake):
    days_of(place, 1, 8, 500)
    assert lake("export", *WEEK)[0] == 0
    return place


def problems(lake, *arguments) -> dict[tuple[str, str], list[str]]:
    code, out, _ = lake("verify", *arguments, "--json")
    partitions = json.loads(out)["partitions"]
    assert code == (0 if all(p["ok"] for p in partitions) else 1)
    return {(p["dataset"], p["day"]): p["problems"] for p in partitions}


def test_verify_finds_each_damage(exported, lake):
    assert lake("verify") == (0, *lake("verify")[1:])
    assert lake("verify")[1].splitlines()[-1] == "14 partitions, 0 with a difference"
    files, store = exported.files(), exported.store
    flipped = bytearray(files[f"tables/events/day={DAY}/data.parquet"])
    flipped[len(flipped) // 2] ^= 1
    store.write(f"tables/events/day={DAY}/data.parquet", bytes(flipped))
    cut = files["tables/events/day=2026-07-02/data.parquet"][:-1]
    store.write("tables/events/day=2026-07-02/data.parquet", cut)
    store.delete("tables/events/day=2026-07-03/data.parquet")
    store.delete("manifests/events/2026-07-04.json")
    store.write("manifests/events/2026-07-06.json", b"{}")
    by_partition = problems(lake)
    by_day = {day: "; ".join(p) for (dataset, day), p in by_partition.items() if p}
    assert len(by_partition) == 14
    assert {dataset for (dataset, _), p in by_partition.items() if p} == {"events"}
    assert "sha256" in by_day.pop(DAY)
    assert f"has {len(cut)} bytes" in by_day.pop("2026-07-02")
    assert by_day.pop("2026-07-03") == "the object is gone"
    assert "no manifest" in by_day.pop("2026-07-04")
    assert "invalid manifest" in by_day.pop("2026-07-06")
    assert by_day == {}
    assert lake("verify", "users")[0] == 0
    assert lake("verify", "events", "--day", "2026-07-01")[0] == 0


def test_verify_misses_days_that_were_asked_for(exported, lake):
    by_partition = problems(lake, "events", "--from", "2026-07-07", "--to", "2026-07-09")
    assert [bool(p) for p in by_partition.values()] == [False, True]


def test_verify_with_the_source(exported, lake):
    assert lake("verify", "--source")[0] == 0
    exported.source.rows[DAY] = 499
    assert lake("verify")[0] == 0
    assert problems(lake, "events", "--source")["events", DAY] == [
        "the source counts 499 rows (asked the fake), the lake has 500"
    ]
    exported.source.may_count_low = True
    assert lake("verify", "--source")[0] == 1
    exported.source.rows[DAY] = 500
    exported.source.counted("2026-07-02", 501)
    assert lake("verify", "--source")[0] == 1


def test_verify_does_not_ask_for_days_that_the_source_no_longer_keeps(exported, lake):
    exported.config.write_text(exported.config.read_text().replace("mongo = 30", "mongo = 6"))
    exported.source.rows = {f"2026-07-0{n}": 500 for n in (5, 6, 7)}
    code, out, _ = lake("verify", "--source", "--json")
    assert code == 0
    counted = {p["day"]: p["source_count"] for p in json.loads(out)["partitions"]}
    assert counted["2026-07-04"] is None
    assert counted[DAY] == 500


def test_verify_goes_on_where_the_source_cannot_be_asked(exported, lake, monkeypatch):
    def unreachable(dataset, day):
        raise TransientError("unreachable")

    monkeypatch.setattr(exported.source, "count", unreachable)
    by_partition = problems(lake, "--source")
    assert len(by_partition) == 14
    assert all(p == ["unreachable"] for p in by_partition.values())


def claim(place, day: str, **changes) -> None:
    write_manifest(
        place.store,
        replace(read_manifest(place.store, "events", Day.parse(day)), **changes),
    )


def test_rows_that_nobody_counted_are_found_by_all(exported, lake):
    claim(exported, DAY, source_count=499)
    claim(exported, "2026-07-02", rows=501, source_count=501)
    claim(exported, "2026-07-03", source="loki", source_count=499)  # it may count low
    claim(exported, "2026-07-04", source="loki", source_count=501)
    by_day = {day: texts for (dataset, day), texts in problems(lake).items() if texts}
    assert by_day == {
        DAY: ["500 rows are stored, the source counted 499"],
        "2026-07-02": ["the object has 500 rows, its manifest records 501"],
        "2026-07-04": ["500 rows are stored, the source counted 501"],
    }
    code, out, _ = lake("status", "--json", "--no-sources")
    days = json.loads(out)["datasets"][0]["days"]
    assert code == 1
    assert [day for day, partition in days.items() if partition["state"] == "differs"] == [
        "2026-07-04",
        DAY,
    ]


def test_a_well_hashed_object_that_is_no_parquet(exported, lake):
    key = f"tables/events/day={DAY}/data.parquet"
    exported.store.write(key, b"text")
    claim(exported, DAY, bytes=4, sha256=hashlib.sha256(b"text").hexdigest())
    assert problems(lake)["events", DAY] == ["the object is not a Parquet file"]


def test_a_configured_first_day_is_the_first_that_is_expected(place, lake):
    file = place.config.read_text()
    place.config.write_text(file.replace("[lake]", '[lake]\nfirst_day = "2026-07-03"'))
    days_of(place, 5, 10, 5)
    assert lake("export", "events", "--from", DAY, "--to", "2026-07-10")[0] == 0
    code, out, _ = lake("status", "--json")
    events, users = json.loads(out)["datasets"]
    assert code == 1
    assert [
        day for day, partition in events["days"].items() if partition["state"] == "missing"
    ] == [
        "2026-07-03",
        "2026-07-04",
    ]
    assert {partition["state"] for partition in users["days"].values()} == {"missing"}
    assert len(users["days"]) == 7
    assert lake("export", "events", "--day", "2026-07-02")[0] == 2


def test_rows_dated_outside_of_the_lakes_days_are_counted(place, lake):
    days_of(place, 5, 10, 5)
    lake("export", "--from", DAY, "--to", "2026-07-10")
    place.source.rows |= {"1970-01-01": 2, "2062-01-01": 1, "2026-07-10": 7}
    code, out, err = lake("status", "--json")
    assert code == 0
    assert [dataset["outside"] for dataset in json.loads(out)["datasets"]] == [3, 3]
    remark = f"events: 3 rows are dated before {DAY} or after 2026-07-10, in no exported day"
    assert remark in err


def test_a_source_that_refuses_a_dataset_is_exit_1(place, lake):
    days_of(place, 5, 10, 5)
    lake("export", "--from", DAY, "--to", "2026-07-10")
    place.source.undated_rows = Refused("the selector is wrong")
    code, out, err = lake("status", "--json")
    assert code == 1
    assert json.loads(out)["datasets"][0]["problem"] == "the selector is wrong"
    assert "not re-counted: the selector is wrong" in err


def test_status_shows_the_days_that_were_read_from_snapshots(place, lake):
    days_of(place, 1, 8, 3)
    assert lake("export", "events", *WEEK)[0] == 0
    for number in (2, 3, 6):
        held = read_manifest(place.store, "events", Day.parse(f"2026-07-0{number}"))
        details = held.details | {"snapshot": {"system": "mongo", "day": "2026-07-09"}}
        write_manifest(place.store, replace(held, details=details))
    _, out, _ = lake("status", *WEEK)
    assert "events: 3 days were read from snapshots: 2026-07-02 … 2026-07-03, 2026-07-06\n" in out
    _, out, _ = lake("status", *WEEK, "--json")
    (events,) = [d for d in json.loads(out)["datasets"] if d["dataset"] == "events"]
    read = {day for day, of_day in events["days"].items() if of_day.get("snapshot") == "2026-07-09"}
    assert read == {"2026-07-02", "2026-07-03", "2026-07-06"}
