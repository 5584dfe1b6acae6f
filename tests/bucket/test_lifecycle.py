"""Rules for any settings: nothing current expires, nothing that queries read is archived."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from lake.bucket.lifecycle import comparable, dangers, is_ours, merged, overlap, wanted_rules
from lake.config.bucket import BucketSection
from lake.systems import SYSTEMS

DAYS = st.integers(30, 4000)
READABLE = ("STANDARD", "STANDARD_IA", "INTELLIGENT_TIERING", "GLACIER_IR")
SECTIONS = st.builds(
    BucketSection,
    noncurrent_days=DAYS,
    snapshots_noncurrent_days=st.just(0) | DAYS,
    abort_days=DAYS,
    tables_class=st.sampled_from(READABLE),
    tables_after_days=DAYS,
    snapshots_class=st.sampled_from((*READABLE, "GLACIER", "DEEP_ARCHIVE")),
    snapshots_after_days=DAYS,
)
ROOTS = st.sampled_from(["", "team/", "team/lake/", "teams/"])
# What is read at any time, written down here once more.
AT_ONCE = ("tables/a/day=2026-07-01/data.parquet", "rollups/a/x", "manifests/a/2026-07-01.json",
           "audit/0000000001.json", "guard/ttl.json", "holds/x", "retention/x",
           "reports/x")  # fmt: skip
SNAPSHOTS = tuple(f"{name}/2026/07/01/a" for name in SYSTEMS)


def prefix(rule: dict) -> str:
    content = rule["Filter"]
    return content["And"]["Prefix"] if "And" in content else content["Prefix"]


def that_apply(rules: list[dict], key: str) -> list[dict]:
    return [rule for rule in rules if key.startswith(prefix(rule))]


@given(section=SECTIONS, root=ROOTS)
def test_no_rule_expires_a_current_version(section, root):
    rules = wanted_rules(section, root)
    assert rules
    for rule in rules:
        assert rule["Status"] == "Enabled"
        assert set(rule.get("Expiration", {})) <= {"ExpiredObjectDeleteMarker"}
        assert prefix(rule).startswith(root)


@given(section=SECTIONS, root=ROOTS)
def test_what_is_read_at_once_is_never_archived_and_nothing_small_moves(section, root):
    rules = wanted_rules(section, root)
    for key in AT_ONCE:
        for rule in that_apply(rules, root + key):
            for move in rule.get("Transitions", ()):
                assert move["StorageClass"] in READABLE[1:]
    for rule in rules:
        if "Transitions" in rule:
            assert rule["Filter"]["And"]["ObjectSizeGreaterThan"] >= 128 * 1024


@given(section=SECTIONS, root=ROOTS)
def test_old_versions_of_snapshots_audit_and_holds_stay(section, root):
    rules = wanted_rules(section, root)
    kept = ("audit/0000000001.json", "holds/x", "retention/x")
    if not section.snapshots_noncurrent_days:
        kept += SNAPSHOTS
    for key in kept:
        assert not any("NoncurrentVersionExpiration" in r for r in that_apply(rules, root + key))
    for key in AT_ONCE[:3]:
        (rule,) = [r for r in that_apply(rules, root + key) if "NoncurrentVersionExpiration" in r]
        assert rule["NoncurrentVersionExpiration"] == {"NoncurrentDays": section.noncurrent_days}


@given(section=SECTIONS, root=ROOTS, other=ROOTS)
def test_merging_keeps_the_rules_of_others_and_is_done_once(section, root, other):
    theirs = [
        {"ID": name, "Status": "Enabled", "Filter": {"Prefix": "y/"}}
        for name in ("x", "lake-house", "lake-move-raw", f"lake-old:{root}", "lake-noncurrent-")
    ]
    neighbour = wanted_rules(BucketSection(), other) if other != root else []
    wanted = wanted_rules(section, root)
    before = [*theirs, *neighbour, *wanted_rules(BucketSection(abort_days=1), root)]
    after = merged(before, wanted, root)
    assert comparable(after) == comparable([*theirs, *neighbour, *wanted])
    assert merged(after, wanted, root) == after
    assert len({rule["ID"] for rule in after}) == len(after)
    assert not any(is_ours(rule, root) for rule in theirs + neighbour)


@given(section=SECTIONS, root=ROOTS)
def test_our_own_rules_are_no_danger_to_a_lake_beside_us(section, root):
    assert list(dangers(wanted_rules(section, root), root)) == []


def test_prefixes_overlap_where_a_key_can_begin_with_both():
    for first, second, expected in (
        ("", "tables/", True),
        ("tables/", "", True),
        ("tables/a", "tables/", True),
        ("tables/", "tables/a", True),
        ("table", "tables/", True),
        ("tables2/", "tables/", False),
        ("team/", "teams/", False),
    ):
        assert overlap(first, second) is expected
