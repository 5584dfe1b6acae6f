"""The forecast against a computation object by object and day by day.

Belongs here: forecasts of lakes and policies, and the month of what is there now. Does not: the
computation (support.cost_by_hand), published prices (test_prices.py), where a policy comes from
(test_policy.py).
"""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.cost_by_hand import GB, KIB, REGION, by_hand, of, usage_of

from lake.config.retention import SnapshotRules
from lake.cost.forecast import forecast, month_now
from lake.cost.policy import Policy


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
