"""The policy that a forecast is made under: from the configuration, changed by a what-if.

Belongs here: changes, the bucket's classes, retention. Does not: what a policy costs
(test_forecast.py).
"""

from __future__ import annotations

import json

import pytest
from support.cost_by_hand import REGION
from support.ledger_days import ago, lake

from lake.base.errors import UsageError
from lake.config.retention import SnapshotRules
from lake.config.settings import load
from lake.cost.choosing import policy_of
from lake.cost.policy import Policy, changed, duration_days, of_settings, with_classes


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
