"""Policies of IAM: what each use of the lake needs, and no more.

Belongs here: roles, actions, resources. Does not: the bucket's own policy (statements).

`tests/bucket/test_roles.py` runs each role's commands behind a proxy that refuses what its policy
does not allow.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from lake.audit import AUDIT
from lake.bucket.calls import Bucket
from lake.bucket.check import Setting
from lake.bucket.keys import GUARD, READ_AT_ONCE, REPORTS, snapshots
from lake.bucket.settings import checks_of
from lake.bucket.statements import VERSION
from lake.partition.layout import MANIFESTS, ROLLUPS, TABLES

ROLES = ("writer", "reader", "restorer", "retention", "admin")
_WRITTEN = (TABLES, ROLLUPS, MANIFESTS, REPORTS, AUDIT, GUARD)
_Statement = dict[str, Any]


def policy_of(role: str, bucket: Bucket) -> dict[str, Any]:
    """The policy of one of ROLES, for this bucket, root and key."""
    statements = {
        "writer": _writer,
        "reader": _reader,
        "restorer": _restorer,
        "retention": _retention,
        "admin": _admin,
    }[role](bucket)
    return {"Version": VERSION, "Statement": statements}


def _reader(bucket: Bucket) -> list[_Statement]:
    """Queries, `lake status`, `lake verify`, `lake cost`. Not the raw snapshots."""
    return [
        _list(bucket, "s3:ListBucketMultipartUploads", "s3:ListBucketVersions"),
        _objects(bucket, "Read", ["s3:GetObject"], READ_AT_ONCE),
        *_key(bucket, ["kms:Decrypt"]),
    ]


def _writer(bucket: Bucket) -> list[_Statement]:
    """Exports, re-counts, rollups, snapshots, the expiry guard, metrics of what is stored. Deletes
    only its own notes.

    Of snapshots it reads manifests and journals, to upload nothing twice, and the copy of the
    program that restores them.
    """
    read = [f"{system}{name}" for system in snapshots() for name in ("*.json", "restore.py")]
    # A day that is written again loses its rollup's manifest first.
    notes = [f"{MANIFESTS}*.next", f"{MANIFESTS}{ROLLUPS}*", f"{REPORTS}doctor-"]
    notes += [f"{system}*/journal.json" for system in snapshots()]
    return [
        _list(bucket, "s3:ListBucketMultipartUploads", "s3:ListBucketVersions"),
        _objects(bucket, "Read", ["s3:GetObject"], READ_AT_ONCE),
        _objects(bucket, "ReadNotes", ["s3:GetObject"], read, exact=True),
        _objects(
            bucket, "Write", ["s3:PutObject", "s3:AbortMultipartUpload"], (*_WRITTEN, *snapshots())
        ),
        _objects(bucket, "DeleteNotes", ["s3:DeleteObject"], notes, exact=True),
        *_key(bucket, ["kms:GenerateDataKey", "kms:Decrypt"]),
    ]


def _restorer(bucket: Bucket) -> list[_Statement]:
    """Restores, replays, rehearsals and their reports. Reads everything, as a review does."""
    return [
        _list(bucket, "s3:ListBucketMultipartUploads", "s3:ListBucketVersions"),
        _objects(bucket, "Read", ["s3:GetObject"], [""]),
        _objects(bucket, "Report", ["s3:PutObject", "s3:AbortMultipartUpload"], [REPORTS]),
        *_key(bucket, ["kms:Decrypt", "kms:GenerateDataKey"]),
    ]


def _retention(bucket: Bucket) -> list[_Statement]:
    """Deletions, erasures, holds, repairs, reviews. Never deletes the audit log."""
    deletable = (TABLES, ROLLUPS, MANIFESTS, REPORTS, *snapshots())
    holds = ["s3:GetObjectLegalHold", "s3:PutObjectLegalHold", "s3:GetObjectVersion"]
    return [
        _list(
            bucket,
            "s3:ListBucketVersions",
            "s3:ListBucketMultipartUploads",
            "s3:GetBucketVersioning",
            "s3:GetBucketObjectLockConfiguration",
        ),
        _objects(bucket, "Read", ["s3:GetObject"], [""]),
        _objects(
            bucket,
            "Write",
            ["s3:PutObject", "s3:AbortMultipartUpload"],
            (*READ_AT_ONCE, *snapshots()),
        ),
        _objects(bucket, "Delete", ["s3:DeleteObject", "s3:DeleteObjectVersion"], deletable),
        _objects(bucket, "Hold", holds, (*READ_AT_ONCE, *snapshots())),
        *_key(bucket, ["kms:GenerateDataKey", "kms:Decrypt"]),
    ]


def _admin(bucket: Bucket) -> list[_Statement]:
    """`lake bucket plan` and `lake bucket apply`, with the entries in the audit log."""
    checks = checks_of(bucket)
    actions = {"s3:CreateBucket", "s3:GetBucketLocation", *(check.reads for check in checks)}
    actions |= {check.writes for check in checks if isinstance(check, Setting)}
    return [
        _list(bucket, *sorted(actions)),
        _objects(bucket, "Log", ["s3:GetObject", "s3:PutObject"], [AUDIT, f"{GUARD}audit.json"]),
        *_key(bucket, ["kms:GenerateDataKey", "kms:Decrypt"]),
    ]


def _list(bucket: Bucket, *more: str) -> _Statement:
    """Names of objects. Below a prefix only these, where the request has one.

    A HEAD of the bucket, or of an object that is not there, has none: S3 would answer 403 to it.
    """
    statement: _Statement = {
        "Sid": "LakeBucket",
        "Effect": "Allow",
        "Action": ["s3:ListBucket", *more],
        "Resource": bucket.arn,
    }
    if bucket.root:
        prefixes = [bucket.root, f"{bucket.root}*"]
        statement["Condition"] = {"StringLikeIfExists": {"s3:prefix": prefixes}}
    return statement


def _objects(
    bucket: Bucket,
    name: str,
    actions: Sequence[str],
    prefixes: Sequence[str],
    *,
    exact: bool = False,
) -> _Statement:
    """Objects below the prefixes; `exact`: whose keys match, or begin so if they end in `-`."""
    end = "" if exact else "*"
    resources = [
        f"{bucket.arn}/{bucket.root}{prefix}{'*' if prefix.endswith('-') else end}"
        for prefix in prefixes
    ]
    return {
        "Sid": f"Lake{name}",
        "Effect": "Allow",
        "Action": list(actions),
        "Resource": resources,
    }


def _key(bucket: Bucket, actions: Sequence[str]) -> list[_Statement]:
    """The KMS key of [s3], through S3 alone; nothing without one.

    A policy names keys by their ARN: an alias only by a condition.
    """
    key, region = bucket.kms_key_id, bucket.store.region
    if not key:
        return []
    condition: dict[str, Any] = {"StringEquals": {"kms:ViaService": f"s3.{region}.amazonaws.com"}}
    account = "*"
    if key.startswith("arn:"):
        account = key.split(":")[4]
    name = key.rpartition(":")[2]
    if name.startswith("alias/"):
        condition["ForAnyValue:StringEquals"] = {"kms:ResourceAliases": name}
        name = "key/*"
    elif not name.startswith("key/"):
        name = f"key/{name}"
    return [
        {
            "Sid": "LakeKey",
            "Effect": "Allow",
            "Action": list(actions),
            "Resource": f"arn:{bucket.partition}:kms:{region}:{account}:{name}",
            "Condition": condition,
        }
    ]
