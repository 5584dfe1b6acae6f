"""The forecast against a computation object by object and day by day."""

from __future__ import annotations

import dataclasses
import json
from collections import defaultdict
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.ledger_days import ago, lake

from lake.base.errors import ConfigError, UsageError
from lake.config.retention import SnapshotRules
from lake.config.settings import load
from lake.cost.choosing import policy_of
from lake.cost.forecast import forecast, month_now
from lake.cost.policy import Policy, changed, duration_days, of_settings, with_classes
from lake.cost.prices import Region, read_prices
from lake.cost.usage import Amount, Cell, Usage

NOW = datetime(2026, 11, 29, 5, tzinfo=UTC)
TODAY = NOW.date()
START, END = date(2026, 12, 1), date(2027, 12, 1)
KIB = 1024
GB = 2**30
REGION = Region.model_validate(
    {
        "name": "Test",
        "date": "2026-01-01",
        "class": {
            "STANDARD": {
                "put": 1, "get": 1,
                "tier": [
                    {"up_to_gb": 2, "storage": 8}, {"up_to_gb": 3, "storage": 4}, {"storage": 2},
                ],
            },
            "IA": {
                "put": 1, "get": 1, "move": 5, "storage": 1, "minimum_days": 30, "minimum_kib": 128,
            },
            "TIERED": {"put": 1, "get": 1, "move": 3, "storage": 1, "monitor": 4},
            "ARCHIVE": {
                "put": 1, "get": 1, "move": 7, "storage": 0.5, "minimum_days": 90,
                "overhead_kib": 32, "standard_overhead_kib": 8,
            },
        },
    }
)  # fmt: skip
MINIMUM_DAYS = {"STANDARD": 0, "IA": 30, "TIERED": 0, "ARCHIVE": 90}
MOVE = {"STANDARD": 0, "IA": 5, "TIERED": 3, "ARCHIVE": 7}
PLACES = [
    ("mongo", "events", "table", "table"),
    ("mongo", "events", "manifest", "table"),
    ("loki", "", "snapshot", "snapshot"),
    ("", "", "other", "other"),
]


def of(place: int, days_ago: int, size: int, storage_class="STANDARD", current=True):
    """One object."""
    return PLACES[place], TODAY - timedelta(days=days_ago), size, storage_class, current


def usage_of(objects) -> Usage:
    usage = Usage(NOW)
    for place, day, size, storage_class, current in objects:
        cell = Cell(*place, day, storage_class, current)
        usage.cells.setdefault(cell, Amount()).add(size)
    return usage


def billed(size: float, number: float, storage_class: str, small: bool) -> dict[str, float]:
    if storage_class == "IA" and small:
        return {"IA": number * 128 * KIB}
    if storage_class == "TIERED":
        return {"TIERED": size, "monitor": 0 if small else number}
    if storage_class == "ARCHIVE":
        return {"ARCHIVE": size + number * 32 * KIB, "STANDARD": number * 8 * KIB}
    return {storage_class: size}


def price(storage_class: str, size: float) -> float:
    if storage_class == "monitor":
        return size / 1000 * 4
    gb = size / GB
    if storage_class != "STANDARD":
        return gb * {"IA": 1, "TIERED": 1, "ARCHIVE": 0.5}[storage_class]
    return min(gb, 2) * 8 + max(0, min(gb, 3) - 2) * 4 + max(0, gb - 3) * 2


@dataclass(frozen=True)
class Thing:
    """An object, or a part of one that a later day adds."""

    place: tuple
    day: date
    size: float
    count: float
    storage_class: str
    small: bool
    last_age: int | None = None  # by rules

    def on(self, day: date, policy: Policy) -> tuple[bool, dict[str, float], float]:
        """Whether it is there, what is billed, what moving it costs on that day."""
        age = (day - self.day).days
        keep = policy.keep_days.get(self.place[3])
        if keep is None and self.last_age is not None:
            keep = self.last_age
        elif keep is None:
            keep = policy.of_dataset.get((self.place[1], self.place[3]), 10**6)
        after = policy.after_days.get(self.place[2], 0)
        target = policy.classes.get(self.place[2], "STANDARD")
        moves = (
            self.storage_class == "STANDARD" and target != "STANDARD" and not self.small
            and keep > after
        )  # fmt: skip
        if age < 1:
            return False, {}, 0
        where = target if moves and age > after else self.storage_class
        entered = after if where != self.storage_class else 0
        is_billed = age <= max(keep, entered + MINIMUM_DAYS[where])
        due = age == after + 1 or (day == TODAY and age > after)
        paid = self.count * MOVE[target] / 1000 if moves and due and age <= keep else 0
        lines = billed(self.size, self.count, where, self.small) if is_billed else {}
        return age <= keep, lines, paid


def things_of(objects, policy: Policy) -> list[Thing]:
    """What is there, and what the days to come add."""
    there = [
        Thing(place, day, size, 1, storage_class, size < 128 * KIB)
        for place, day, size, storage_class, current in objects
        if current
    ]
    recent = defaultdict(list)
    for thing in there:
        if TODAY - timedelta(days=30) <= thing.day < TODAY:
            recent[thing.place].append(thing)
    added = []
    for place, listed in recent.items():
        days = {thing.day for thing in listed}
        share = policy.growth / (len(days) if place[1] else (TODAY - min(days)).days)
        for n in range((END - TODAY).days):
            day = TODAY + timedelta(days=n)
            added += [
                Thing(place, day, thing.size * share, share, "STANDARD", thing.small)
                for thing in listed
            ]
    return by_rules(there + added, policy)


def by_rules(things: list[Thing], policy: Policy) -> list[Thing]:
    """With the age at which the snapshot rules take each: applied day by day, by hand."""
    ruled = {name for name, rules in policy.rules.items() if "snapshot" not in policy.keep_days}
    last_ages: dict[tuple[str, date], int] = {}
    for system in ruled:
        days = sorted({t.day for t in things if t.place[0] == system and t.place[3] == "snapshot"})
        there: list[date] = []
        for n in range((END - TODAY).days):
            day = TODAY + timedelta(days=n)
            new = [d for d in days if d == day - timedelta(days=1) or (n == 0 and d < day)]
            there = kept_by_hand(policy.rules[system], there + new)
            needed = timedelta(days=policy.needed_days.get(system, 0))
            for d in days:
                if d < day and not any(d <= snapshot <= d + needed for snapshot in there):
                    last_ages.setdefault((system, d), (day - d).days - 1)
    return [
        dataclasses.replace(t, last_age=last_ages.get((t.place[0], t.day)))
        if t.place[3] == "snapshot"
        else t
        for t in things
    ]


def kept_by_hand(rules: SnapshotRules, days: list[date]) -> list[date]:
    """Daily and monthly: the newest of each of the newest so many, and the very first one while
    there are fewer.
    """
    kept: set[date] = set()
    for number, period in ((rules.daily, "%Y-%m-%d"), (rules.monthly, "%Y-%m")):
        newest = {f"{day:{period}}": day for day in sorted(days)}
        last = sorted(newest.values())[-number:] if number else []
        kept |= {*last}
        if number and days and len(newest) < number:
            kept.add(min(days))
    return sorted(kept)


def noncurrent_of(objects, policy: Policy) -> tuple[float, dict[str, float]]:
    size, lines = 0.0, defaultdict(float)
    for _, _, of_one, storage_class, current in objects:
        if not current:
            size += of_one * policy.noncurrent
            for name, more in billed(of_one, 1, storage_class, of_one < 128 * KIB).items():
                lines[name] += more * policy.noncurrent
    return size, lines


def by_hand(objects, policy: Policy):
    """Month → bytes at its end, cost of storage, cost of moving, cost of noncurrent versions."""
    things = things_of(objects, policy)
    fixed_size, fixed = noncurrent_of(objects, policy)
    months, sums, moves, number = {}, defaultdict(float), 0.0, 0
    for n in range((END - TODAY).days):
        day = TODAY + timedelta(days=n)
        stored = fixed_size
        for thing in things:
            there, lines, paid = thing.on(day, policy)
            stored += thing.size if there else 0
            moves += paid
            for name, size in lines.items():
                sums[name] += size if day >= START else 0
        number += day >= START
        if number and (day + timedelta(days=1)).day == 1:
            names = {*sums, *fixed}
            alone = sum(price(name, sums[name] / number) for name in names)
            both = sum(price(name, sums[name] / number + fixed[name]) for name in names)
            months[f"{day:%Y-%m}"] = (stored, both, moves, both - alone)
            sums, moves, number = defaultdict(float), 0.0, 0
    return months


def compare(objects, policy: Policy) -> None:
    expected = by_hand(objects, policy)
    months = forecast(usage_of(objects), policy, REGION)
    assert [month.month for month in months] == list(expected)
    for month in months:
        stored, storage, moves, noncurrent = expected[month.month]
        assert month.stored == pytest.approx(stored, rel=1e-9, abs=1e-3)
        assert sum(month.storage.values()) == pytest.approx(storage, rel=1e-9, abs=1e-12)
        assert month.moves == pytest.approx(moves, rel=1e-9, abs=1e-12)
        assert month.noncurrent == pytest.approx(noncurrent, rel=1e-6, abs=1e-9)
        assert month.total == pytest.approx(storage + moves, rel=1e-9, abs=1e-12)


LARGE = 3 * 10**8


@pytest.mark.parametrize(
    "policy",
    [
        Policy(),
        Policy(keep_days={"table": 100}),
        Policy(keep_days={"table": 20}, classes={"table": "IA"}),
        Policy(classes={"snapshot": "ARCHIVE"}, after_days={"snapshot": 30}),
        Policy({"snapshot": 60}, {"snapshot": "ARCHIVE"}, {"snapshot": 30}),
        Policy({"snapshot": 20}, {"snapshot": "ARCHIVE"}, {"snapshot": 30}),
        Policy(noncurrent=0.25, growth=3),
        Policy(rules={"loki": SnapshotRules(daily=7, monthly=4)}, needed_days={"loki": 5}),
        Policy(
            {}, {"snapshot": "ARCHIVE"}, {"snapshot": 10},
            rules={"loki": SnapshotRules(daily=20)},
        ),
        Policy({"snapshot": 50}, rules={"loki": SnapshotRules(daily=1)}),
        Policy(of_dataset={("events", "table"): 150}),
        Policy(classes={"table": "TIERED"}, after_days={"table": 30}),
    ],
)  # fmt: skip
def test_each_policy(policy):
    compare(
        [
            of(0, 1, LARGE), of(0, 2, LARGE * 2), of(0, 200, LARGE * 3), of(1, 1, 500),
            of(1, 2, 600), of(2, 7, LARGE), of(2, 7, 1000), of(2, 400, LARGE), of(3, 5, 40),
            of(0, 90, LARGE, "IA"), of(0, 91, 300, "IA"), of(2, 300, LARGE, "ARCHIVE"),
            of(0, 3, LARGE, current=False), of(0, 4, 77, "IA", current=False),
        ],
        policy,
    )  # fmt: skip


CLASSES = st.sampled_from(["STANDARD", "IA", "TIERED", "ARCHIVE"])
OBJECTS = st.builds(
    of,
    st.integers(0, 3),
    st.integers(0, 500),
    st.integers(0, 256 * KIB) | st.integers(0, 2**31),
    CLASSES,
    st.sampled_from([True, True, False]),
)
KINDS = st.sampled_from(["table", "snapshot", "other"])
POLICIES = st.builds(
    Policy,
    keep_days=st.dictionaries(KINDS, st.integers(1, 500)),
    classes=st.dictionaries(KINDS, CLASSES),
    after_days=st.dictionaries(KINDS, st.integers(0, 200)),
    noncurrent=st.sampled_from([0, 0.5, 1, 2]),
    growth=st.sampled_from([0, 0.5, 1, 2]),
    of_dataset=st.dictionaries(st.just(("events", "table")), st.integers(1, 500)),
    rules=st.dictionaries(
        st.just("loki"),
        st.builds(SnapshotRules, daily=st.integers(0, 40), monthly=st.integers(1, 14)),
    ),
    needed_days=st.dictionaries(st.just("loki"), st.integers(0, 30)),
)


@pytest.mark.slow
@settings(max_examples=12, deadline=None, derandomize=True)
@given(st.lists(OBJECTS, max_size=8), POLICIES)
def test_any_lake_and_policy(objects, policy):
    compare(objects, policy)


def test_a_month_with_what_is_there_now():
    objects = [
        of(0, 1, 2 * GB), of(0, 2, 1000), of(0, 9, GB, current=False), of(0, 30, 1000, "IA"),
        of(2, 30, GB, "ARCHIVE"),
    ]  # fmt: skip
    cost = month_now(usage_of(objects), REGION)
    standard = 3 * GB + 1000 + 8 * KIB
    assert cost["STANDARD"] == pytest.approx(16 + 4 + (standard / GB - 3) * 2)
    assert cost["IA"] == pytest.approx(128 * KIB / GB)
    assert cost["ARCHIVE"] == pytest.approx((1 + 32 * KIB / GB) / 2)


def test_published_prices_of_seoul():
    prices = read_prices(None, "ap-northeast-2")
    assert prices.currency == "USD"
    standard = prices.region.class_named("STANDARD")
    assert standard.month(51_200) == pytest.approx(1280)
    assert standard.month(51_201) == pytest.approx(1280.024)
    assert standard.month(600_000) == pytest.approx(1280 + 460_800 * 0.024 + 88_000 * 0.023)
    assert prices.region.class_named("GLACIER_IR").month(100) == pytest.approx(0.5)


def test_every_region_has_the_same_classes():
    seoul, virginia = (read_prices(None, code).region for code in ("ap-northeast-2", "us-east-1"))
    assert seoul.classes.keys() == virginia.classes.keys()
    for region in (seoul, virginia):
        for name, rules in region.classes.items():
            instant = name in ("STANDARD_IA", "GLACIER_IR")
            assert rules.minimum_kib == (128 if instant else 0)
            days = {"STANDARD_IA": 30, "GLACIER_IR": 90, "GLACIER": 90, "DEEP_ARCHIVE": 180}
            assert rules.minimum_days == days.get(name, 0)
    assert seoul.class_named("STANDARD").put < virginia.class_named("STANDARD").put


def test_an_unknown_region_names_those_there_are():
    with pytest.raises(UsageError) as caught:
        read_prices(None, "eu-central-1")
    assert "ap-northeast-2, us-east-1" in str(caught.value)
    assert "--prices" in str(caught.value)


HEAD = """
currency = "EUR"
source = "x"
default_region = "{0}"
[region.b]
name = "B"
date = 2026-01-01
[region.b.class.STANDARD]
put = 1
get = 1
"""


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("currency = 1", "currency"),
        ("no toml", "TOML"),
        (HEAD.format("a") + "storage = 1", "default_region"),
        (HEAD.format("b"), "either storage or tier"),
        (HEAD.format("b") + "storage = -1", "storage"),
        (HEAD.format("b") + "tier = [{ storage = 1 }, { storage = 2 }]", "every tier but the last"),
    ],
)
def test_a_price_file_that_can_not_be_used(tmp_path, text, found):
    file = tmp_path / "prices.toml"
    file.write_text(text)
    with pytest.raises(ConfigError) as caught:
        read_prices(file, None)
    assert found in str(caught.value)
    with pytest.raises(ConfigError, match="can't be read"):
        read_prices(tmp_path / "none.toml", None)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ("retention.tables", "KEY=VALUE"),
        ("retention.table=1y", "tables, rollups, snapshots"),
        ("retention.tables=1 year", "such as 90d or 1y"),
        ("class.snapshots=GLACIER2", "STANDARD, IA, TIERED, ARCHIVE"),
        ("colour=red", "growth"),
        ("growth=-1", "a number from 0"),
        ("growth=nan", "a number from 0"),
    ],
)
def test_a_wrong_change_names_what_is_right(change, expected):
    with pytest.raises(UsageError) as caught:
        changed(Policy(), [change], REGION)
    assert expected in str(caught.value)


def test_changes():
    policy = changed(
        Policy(keep_days={"rollup": 9}),
        ["retention.tables=1y", "retention.rollups=forever", "class.snapshots=IA",
         "after.snapshots=4w", "queries.per_day=7", "queries.days=30", "noncurrent=0"],
        REGION,
    )  # fmt: skip
    assert policy.keep("events", "table") == 365
    assert policy.keep("events", "rollup") >= 3_650_000
    assert policy.kept() == "tables 365 days"
    assert (policy.classes, policy.after_days) == ({"snapshot": "IA"}, {"snapshot": 28})
    assert (policy.queries_per_day, policy.query_days, policy.noncurrent) == (7, 30, 0)
    assert duration_days("6m") == 180
    json.dumps(policy.to_json())


def test_the_classes_of_the_bucket(tmp_path):
    more = '[bucket]\ntables_class = "STANDARD"\nsnapshots_after_days = 40\n'
    file, settings, _ = lake(tmp_path, ago(3), more)
    assert policy_of(settings).moved() == "nothing moves"  # a directory
    file.write_text(file.read_text().replace('root = "lake"', 'root = "s3://a-bucket/x"'))
    policy = policy_of(load(str(file), {}))
    assert policy.moved() == "snapshots to STANDARD_IA after 40 days"
    file.write_text(file.read_text().replace(more, ""))
    settings = load(str(file), {})
    assert policy_of(settings).moved() == "nothing moves"
    defaults = with_classes(Policy(), settings.bucket)
    wanted = changed(Policy(), ["bucket=configured"], REGION, defaults)
    assert wanted.classes == {
        "table": "INTELLIGENT_TIERING", "rollup": "INTELLIGENT_TIERING", "snapshot": "STANDARD_IA",
    }  # fmt: skip
    assert set(wanted.after_days.values()) == {30}


RETENTION = """
[retention]
enabled = {enabled}
tables = "1y"
[retention.snapshots]
daily = 7
monthly = 12
[retention.dataset.events]
tables = "180d"
"""


def test_the_policy_of_the_configuration(tmp_path):
    _, settings, _ = lake(tmp_path, ago(3), RETENTION.format(enabled="true"))
    policy = policy_of(settings)
    assert (policy.keep("events", "table"), policy.keep("lines", "table")) == (180, 365)
    assert policy.keep("lines", "rollup") == float("inf")
    assert policy.rules_of("mongo") == SnapshotRules(daily=7, monthly=12)
    assert policy.needed_days == {"mongo": 40, "prometheus": 3, "loki": 5}
    assert "tables of events 180 days" in policy.kept()
    assert "snapshots of loki 7 daily, 12 monthly" in policy.kept()
    json.dumps(policy.to_json())


def test_a_policy_that_is_not_enabled_deletes_nothing_but_in_a_what_if(tmp_path):
    _, settings, _ = lake(tmp_path, ago(3), RETENTION.format(enabled="false"))
    policy = policy_of(settings)
    assert policy.kept() == "everything is kept"
    wanted = changed(policy, ["retention=configured"], REGION, of_settings(settings))
    assert wanted.keep("events", "table") == 180
    assert wanted.rules_of("loki").daily == 7
    longer = changed(wanted, ["retention.snapshots=forever"], REGION)
    assert longer.rules_of("loki") is None
    assert longer.keep("events", "table") == 180
