"""The settings of a bucket, a class each, and all checks in their order.

Belongs here: S3's calls and their content. Does not: what becomes of objects with time (aging),
comparing and applying (plan, apply).
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from lake.bucket import statements
from lake.bucket.aging import ArchiveTiers, Lifecycle, OtherRules
from lake.bucket.calls import Bucket, Unsupported
from lake.bucket.check import BucketCheck, Setting

_PUBLIC = ("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets")


class PublicAccess(Setting):
    """No ACL and no policy makes objects public."""

    name = "public_access"
    reads, writes = "s3:GetBucketPublicAccessBlock", "s3:PutBucketPublicAccessBlock"

    def current(self, bucket: Bucket) -> Any:
        key = "PublicAccessBlockConfiguration"
        absent = "NoSuchPublicAccessBlockConfiguration"
        answer = bucket.read("get_public_access_block", self.reads, key, absent)
        return {name: bool(answer and answer[key].get(name)) for name in _PUBLIC}

    def wanted(self, bucket: Bucket, current: Any) -> Any:
        return dict.fromkeys(_PUBLIC, True)

    def write(self, bucket: Bucket, wanted: Any) -> None:
        bucket.write("put_public_access_block", self.writes, PublicAccessBlockConfiguration=wanted)


class Ownership(Setting):
    """The bucket's owner owns every object, and ACLs have no effect."""

    name = "ownership"
    reads, writes = "s3:GetBucketOwnershipControls", "s3:PutBucketOwnershipControls"

    def current(self, bucket: Bucket) -> Any:
        absent = "OwnershipControlsNotFoundError"
        answer = bucket.read(
            "get_bucket_ownership_controls", self.reads, "OwnershipControls", absent
        )
        rules = answer["OwnershipControls"].get("Rules", []) if answer else []
        return rules[0].get("ObjectOwnership") if rules else None

    def wanted(self, bucket: Bucket, current: Any) -> Any:
        return "BucketOwnerEnforced"

    def write(self, bucket: Bucket, wanted: Any) -> None:
        controls = {"Rules": [{"ObjectOwnership": wanted}]}
        bucket.write("put_bucket_ownership_controls", self.writes, OwnershipControls=controls)


class Encryption(Setting):
    """New objects are encrypted, by the key of [s3] where there is one."""

    name = "encryption"
    reads, writes = "s3:GetEncryptionConfiguration", "s3:PutEncryptionConfiguration"

    def current(self, bucket: Bucket) -> Any:
        key = "ServerSideEncryptionConfiguration"
        absent = "ServerSideEncryptionConfigurationNotFoundError"
        answer = bucket.read("get_bucket_encryption", self.reads, key, absent)
        rules = answer[key].get("Rules", []) if answer else []
        return rules[0] if rules else None

    def wanted(self, bucket: Bucket, current: Any) -> Any:
        key, rule = bucket.kms_key_id, dict(current or {})
        now = rule.get("ApplyServerSideEncryptionByDefault", {})
        by_kms = str(now.get("SSEAlgorithm", "")).startswith("aws:kms")
        if not key:
            # A key that somebody else has set protects more than none.
            return rule if by_kms else rule | _encrypted("AES256")
        if by_kms and _same_key(now.get("KMSMasterKeyID", ""), key):
            return rule | {"BucketKeyEnabled": True}
        return rule | _encrypted("aws:kms", key) | {"BucketKeyEnabled": True}

    def shown(self, state: Any) -> Any:
        if state is None:
            return None
        by_default = state.get("ApplyServerSideEncryptionByDefault", {})
        algorithm = by_default.get("SSEAlgorithm")
        if not str(algorithm).startswith("aws:kms"):
            return {"algorithm": algorithm}
        return {
            "algorithm": algorithm,
            "key": by_default.get("KMSMasterKeyID"),
            "bucket_key": bool(state.get("BucketKeyEnabled")),
        }

    def write(self, bucket: Bucket, wanted: Any) -> None:
        content = {"Rules": [wanted]}
        bucket.write(
            "put_bucket_encryption", self.writes, ServerSideEncryptionConfiguration=content
        )

    def notes(self, bucket: Bucket, current: Any) -> Iterator[str]:
        shown = self.shown(current) or {}
        if bucket.kms_key_id:
            return
        if "key" in shown:
            yield (
                f"the bucket's key {shown['key'] or 'aws/s3'} stays; set [s3] kms_key_id to it to "
                "have it checked"
            )
        else:
            yield "SSE-S3, because [s3] kms_key_id is not set"


def _encrypted(algorithm: str, key: str | None = None) -> dict[str, Any]:
    by_key = {"KMSMasterKeyID": key} if key else {}
    return {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": algorithm, **by_key}}


def _same_key(key: str, other: str) -> bool:
    """An ARN and what stands at its end are the same key."""
    ends = {name.rpartition(":")[2].removeprefix("key/") for name in (key, other)}
    return len(ends) == 1 and (key == other or ":" not in key or ":" not in other)


class Versioning(Setting):
    """A deleted or overwritten object stays as an old version."""

    name = "versioning"
    reads, writes = "s3:GetBucketVersioning", "s3:PutBucketVersioning"
    irreversible = "versioning can be suspended later, never switched off"

    def current(self, bucket: Bucket) -> Any:
        answer = bucket.read("get_bucket_versioning", self.reads)
        return (answer or {}).get("Status")

    def wanted(self, bucket: Bucket, current: Any) -> Any:
        return "Enabled" if bucket.section.versioning else current

    def write(self, bucket: Bucket, wanted: Any) -> None:
        configuration = {"Status": wanted}
        bucket.write("put_bucket_versioning", self.writes, VersioningConfiguration=configuration)

    def notes(self, bucket: Bucket, current: Any) -> Iterator[str]:
        if current == "Enabled" and not bucket.section.versioning:
            yield "it is on and stays on"


class ObjectLock(Setting):
    """Versions that nobody can delete for a time, or while a legal hold is on them."""

    name = "object_lock"
    reads = "s3:GetBucketObjectLockConfiguration"
    writes = "s3:PutBucketObjectLockConfiguration"
    irreversible = "Object Lock can't be switched off, nor versioning suspended any more"

    def current(self, bucket: Bucket) -> Any:
        key, absent = "ObjectLockConfiguration", "ObjectLockConfigurationNotFoundError"
        answer = bucket.read("get_object_lock_configuration", self.reads, key, absent)
        if not answer or answer[key].get("ObjectLockEnabled") != "Enabled":
            return None
        kept = answer[key].get("Rule", {}).get("DefaultRetention", {})
        days = kept.get("Days") or 365 * kept.get("Years", 0)
        return {"mode": kept["Mode"], "days": days} if days else {}

    def wanted(self, bucket: Bucket, current: Any) -> Any:
        section = bucket.section
        if not section.object_lock:
            return current
        if not section.lock_days:
            return current or {}
        return {"mode": section.lock_mode, "days": section.lock_days}

    def shown(self, state: Any) -> Any:
        if state is None:
            return None
        return {"enabled": True, "default_retention": state or None}

    def write(self, bucket: Bucket, wanted: Any) -> None:
        content: dict[str, Any] = {"ObjectLockEnabled": "Enabled"}
        if wanted:
            retention = {"Mode": wanted["mode"], "Days": wanted["days"]}
            content["Rule"] = {"DefaultRetention": retention}
        bucket.write("put_object_lock_configuration", self.writes, ObjectLockConfiguration=content)

    def notes(self, bucket: Bucket, current: Any) -> Iterator[str]:
        section = bucket.section
        if current is not None and not section.object_lock:
            yield "it is on and stays on"
        if current and not section.lock_days:
            yield "the default retention, set by others, stays"
        if section.lock_days > section.noncurrent_days:
            yield (
                f"old versions stay for lock_days = {section.lock_days}, noncurrent_days = "
                f"{section.noncurrent_days} notwithstanding"
            )
        if section.lock_days:
            yield "nothing written from now on can be erased earlier, personal data included"


class BucketPolicy(Setting):
    """Requests without TLS are refused; other statements stay."""

    name = "policy"
    fresh = {}  # noqa: RUF012  nobody changes it
    reads, writes = "s3:GetBucketPolicy", "s3:PutBucketPolicy"

    def current(self, bucket: Bucket) -> Any:
        answer = bucket.read("get_bucket_policy", self.reads, "Policy", "NoSuchBucketPolicy")
        try:
            return json.loads(answer["Policy"]) if answer else {}
        except ValueError as error:
            raise Unsupported("its policy is not JSON", found=error) from error

    def wanted(self, bucket: Bucket, current: Any) -> Any:
        ours = statements.wanted_statements(bucket.arn, bucket.section.min_tls)
        return statements.merged(current, ours)

    def shown(self, state: Any) -> Any:
        return statements.comparable(state)

    def write(self, bucket: Bucket, wanted: Any) -> None:
        bucket.write("put_bucket_policy", self.writes, Policy=json.dumps(wanted))

    def obstacle(self, bucket: Bucket) -> str:
        if bucket.has_tls:
            return ""
        return f"{bucket.store.address} has no TLS: the policy would refuse every request"

    def notes(self, bucket: Bucket, current: Any) -> Iterator[str]:
        if others := statements.others(current):
            yield f"other statements stay: {', '.join(others)}"


def checks_of(bucket: Bucket) -> list[BucketCheck]:
    """In the order in which they are set: the policy last, because it may refuse the rest."""
    chosen: list[BucketCheck] = [
        PublicAccess(),
        Ownership(),
        Encryption(),
        Versioning(),
        ObjectLock(),
    ]
    chosen += [Lifecycle(), OtherRules()]
    if bucket.on_aws and bucket.section.tables_class == "INTELLIGENT_TIERING":
        chosen.append(ArchiveTiers())
    return [*chosen, BucketPolicy()]
