"""Checks of what happens to objects with time: our lifecycle rules, other rules, archive tiers.

Belongs here: S3's calls and their content. Does not: the rules themselves (lifecycle), the
bucket's other settings.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from lake.bucket import lifecycle
from lake.bucket.calls import Bucket, Unsupported
from lake.bucket.check import BucketCheck, Setting
from lake.bucket.keys import READ_AT_ONCE


class Lifecycle(Setting):
    """The lake's own rules; other rules stay."""

    name = "lifecycle"
    fresh = {"Rules": []}  # noqa: RUF012  nobody changes it
    reads, writes = "s3:GetLifecycleConfiguration", "s3:PutLifecycleConfiguration"

    def current(self, bucket: Bucket) -> Any:
        absent = "NoSuchLifecycleConfiguration"
        answer = bucket.read("get_bucket_lifecycle_configuration", self.reads, absent=absent) or {}
        known = ("Rules", "TransitionDefaultMinimumObjectSize")
        return {"Rules": []} | {key: answer[key] for key in known if key in answer}

    def wanted(self, bucket: Bucket, current: Any) -> Any:
        ours = lifecycle.wanted_rules(bucket.section, bucket.root)
        return current | {"Rules": lifecycle.merged(current["Rules"], ours, bucket.root)}

    def shown(self, state: Any) -> Any:
        return lifecycle.comparable(state["Rules"])

    def write(self, bucket: Bucket, wanted: Any) -> None:
        """Where storage classes are unknown, everything else is set all the same."""
        content = dict(wanted)
        rules = content.pop("Rules")
        try:
            self._put(bucket, rules, content)
        except Unsupported as error:
            without = lifecycle.without_moves(rules, bucket.root)
            if len(without) == len(rules):
                raise
            if self.shown(self.current(bucket)) != lifecycle.comparable(without):
                self._put(bucket, without, content)
            raise Unsupported(
                "the server does not implement transitions; the other rules are set. tables_class "
                'and snapshots_class = "STANDARD" want none',
                found=error.parts.get("found"),
            ) from error

    def _put(self, bucket: Bucket, rules: list[Any], options: Mapping[str, Any]) -> None:
        bucket.write(
            "put_bucket_lifecycle_configuration",
            self.writes,
            LifecycleConfiguration={"Rules": rules},
            **options,
        )

    def notes(self, bucket: Bucket, current: Any) -> Iterator[str]:
        others = [
            str(rule.get("ID", "without an ID"))
            for rule in current["Rules"]
            if not lifecycle.is_ours(rule, bucket.root)
        ]
        if others:
            yield f"other rules stay: {', '.join(others)}"
        if bucket.section.snapshots_class in lifecycle.ARCHIVES:
            yield from _of_archives(bucket.section.snapshots_class)


def _of_archives(storage_class: str) -> Iterator[str]:
    hours, price, requests = (
        ("3 to 5 hours", 0.01, 0.05) if storage_class == "GLACIER" else ("12 hours", 0.02, 0.10)
    )
    yield (
        f"snapshots in {storage_class} have to be restored by S3 before `lake restore`, `lake "
        "rehearse` and `lake snapshots verify` can read them: "
        f"{hours}, {price} USD per GB and {requests:.2f} USD per 1,000 objects (standard "
        "retrieval, us-east-1, list price of 2025), and the copy in STANDARD meanwhile"
    )


class OtherRules(BucketCheck):
    """Whether the other lifecycle rules leave the lake's objects alone."""

    name = "other_rules"
    fresh = []  # noqa: RUF012  nobody changes it
    reads = Lifecycle.reads

    def current(self, bucket: Bucket) -> Any:
        return list(lifecycle.dangers(Lifecycle().current(bucket)["Rules"], bucket.root))

    def wanted(self, bucket: Bucket, current: Any) -> Any:
        return []

    def obstacle(self, bucket: Bucket) -> str:
        return "other rules are not changed: correct them, or skip = ['other_rules']"


class ArchiveTiers(BucketCheck):
    """Whether INTELLIGENT_TIERING keeps what is read at once out of its archive tiers."""

    name = "archive_tiers"
    fresh = []  # noqa: RUF012  nobody changes it
    reads = "s3:GetIntelligentTieringConfiguration"

    def current(self, bucket: Bucket) -> Any:
        key = "IntelligentTieringConfigurationList"
        operation = "list_bucket_intelligent_tiering_configurations"
        answer = bucket.read(operation, self.reads, "IsTruncated")
        return [
            f"configuration {tiering['Id']!r} archives objects below {prefix or 'all keys'!r}"
            for tiering in (answer or {}).get(key, ())
            if tiering.get("Status") == "Enabled"
            for prefix in [_prefix(tiering)]
            if any(lifecycle.overlap(prefix, bucket.root + key) for key in READ_AT_ONCE)
        ]

    def wanted(self, bucket: Bucket, current: Any) -> Any:
        return []

    def obstacle(self, bucket: Bucket) -> str:
        return "it is not changed: correct it, or set another tables_class"


def _prefix(tiering: Mapping[str, Any]) -> str:
    content = tiering.get("Filter") or {}
    return str(content.get("Prefix") or content.get("And", {}).get("Prefix") or "")
