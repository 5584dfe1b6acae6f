"""Lifecycle rules: the lake's own, and what other rules do to its objects.

Belongs here: rules as values. Does not: reading and writing them (settings).

No rule of the lake expires a current version. Its IDs are fixed names that begin with `lake-`, and
end with the root's prefix, so two lakes in one bucket do not take each other's rules for their own.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from lake.bucket.keys import OVERWRITTEN, QUERIED, READ_AT_ONCE, snapshots
from lake.config.bucket import BucketSection

# S3 moves nothing smaller by default, and bills smaller objects as this size in some classes.
SMALLEST_MOVED = 128 * 1024
ARCHIVES = ("GLACIER", "DEEP_ARCHIVE")
_OURS = "lake-"
Rule = dict[str, Any]


def wanted_rules(section: BucketSection, root: str) -> list[Rule]:
    """All rules of the lake whose keys begin with `root`."""
    rules = [
        _rule("abort-uploads", root, "")
        | {"AbortIncompleteMultipartUpload": {"DaysAfterInitiation": section.abort_days}}
    ]
    old = dict.fromkeys(OVERWRITTEN, section.noncurrent_days)
    old |= dict.fromkeys(snapshots(), section.snapshots_noncurrent_days)
    rules += [_noncurrent(prefix, root, days) for prefix, days in old.items() if days]
    classes: dict[str, tuple[str, int]] = dict.fromkeys(
        QUERIED, (section.tables_class, section.tables_after_days)
    )
    classes |= dict.fromkeys(snapshots(), (section.snapshots_class, section.snapshots_after_days))
    rules += [
        _moving(prefix, root, storage_class, days)
        for prefix, (storage_class, days) in classes.items()
        if storage_class != "STANDARD"
    ]
    return rules


def _rule(name: str, root: str, prefix: str) -> Rule:
    suffix = f":{root}" if root else ""
    return {
        "ID": _named(name, prefix) + suffix,
        "Status": "Enabled",
        "Filter": {"Prefix": root + prefix},
    }


def _noncurrent(prefix: str, root: str, days: int) -> Rule:
    """Also removes the delete markers of which no version is left."""
    return _rule("noncurrent", root, prefix) | {
        "NoncurrentVersionExpiration": {"NoncurrentDays": days},
        "Expiration": {"ExpiredObjectDeleteMarker": True},
    }


def _moving(prefix: str, root: str, storage_class: str, days: int) -> Rule:
    """Not one with the rule above: S3 combines neither markers nor uploads with a size."""
    return _rule("move", root, prefix) | {
        "Filter": {"And": {"Prefix": root + prefix, "ObjectSizeGreaterThan": SMALLEST_MOVED}},
        "Transitions": [{"Days": days, "StorageClass": storage_class}],
    }


def is_ours(rule: Mapping[str, Any], root: str) -> bool:
    """Whether it is a rule of the lake at this root: by its whole ID, for others may begin theirs
    with `lake-`, too.
    """
    name, _, suffix = str(rule.get("ID", "")).partition(":")
    return name in _NAMES and suffix == root


def _named(name: str, prefix: str) -> str:
    return f"{_OURS}{name}-{prefix.rstrip('/')}" if prefix else f"{_OURS}{name}"


_PREFIXES = (*OVERWRITTEN, *snapshots())
_NAMES = frozenset(
    [
        _named("abort-uploads", ""),
        *(_named(name, prefix) for name in ("noncurrent", "move") for prefix in _PREFIXES),
    ]
)


def merged(
    current: Sequence[Mapping[str, Any]], wanted: Sequence[Rule], root: str
) -> list[Mapping[str, Any]]:
    """The other rules as they are, then ours."""
    return [*(rule for rule in current if not is_ours(rule, root)), *wanted]


def comparable(rules: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """By ID, in one spelling: servers return filters and numbers in several."""
    return {str(rule.get("ID", f"rule {n}")): _spelled(rule) for n, rule in enumerate(rules, 1)}


def _spelled(rule: Mapping[str, Any]) -> dict[str, Any]:
    spelled = {key: value for key, value in rule.items() if key not in ("ID", "Filter", "Prefix")}
    if "Transitions" in spelled:
        spelled["Transitions"] = sorted(spelled["Transitions"], key=str)
    spelled["Filter"] = _conditions(rule)
    return spelled


def _conditions(rule: Mapping[str, Any]) -> dict[str, Any]:
    content = rule.get("Filter") or {}
    conditions = {**content, **content.get("And", {})}
    conditions.pop("And", None)
    conditions.setdefault("Prefix", rule.get("Prefix") or "")
    return conditions


def without_moves(rules: Sequence[Mapping[str, Any]], root: str) -> list[Mapping[str, Any]]:
    """For servers that have no storage classes: they refuse the whole configuration."""
    return [rule for rule in rules if not (is_ours(rule, root) and "Transitions" in rule)]


def dangers(rules: Sequence[Mapping[str, Any]], root: str) -> Iterator[str]:
    """What the other enabled rules do to the lake's objects that must not happen."""
    for rule in rules:
        conditions = _conditions(rule)
        # The lake's objects have no tags, so a rule for tags does not concern them.
        tagged = "Tag" in conditions or "Tags" in conditions
        if is_ours(rule, root) or rule.get("Status") != "Enabled" or tagged:
            continue
        prefix, name = str(conditions["Prefix"]), rule.get("ID", "without an ID")
        expiration = rule.get("Expiration", {})
        deleted = [key for key in (*READ_AT_ONCE, *snapshots()) if overlap(prefix, root + key)]
        if deleted and ("Days" in expiration or "Date" in expiration):
            yield f"rule {name!r} deletes objects of the lake: {', '.join(deleted)}"
        classes = {move.get("StorageClass") for move in rule.get("Transitions", ())}
        reached = [key for key in READ_AT_ONCE if overlap(prefix, root + key)]
        if reached and classes.intersection(ARCHIVES):
            yield (
                f"rule {name!r} moves {', '.join(reached)} to {', '.join(sorted(classes))}: they "
                "can't be read there without a restore"
            )


def overlap(prefix: str, other: str) -> bool:
    """Whether some key can begin with both."""
    return prefix.startswith(other) or other.startswith(prefix)
