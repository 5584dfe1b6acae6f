"""Compares the bucket's settings with the wanted ones. Changes nothing.

Belongs here: the comparison. Does not: what is compared (settings), changes (apply).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from lake.base.errors import LakeError, Refused
from lake.bucket.calls import Bucket, Denied, Unsupported
from lake.bucket.check import BucketCheck, Setting
from lake.bucket.settings import checks_of

# change: `apply` sets it. blocked: it differs and can't be set. unsupported: the server does not
# implement it. denied: the credentials may not read it.
State = Literal["ok", "change", "blocked", "unsupported", "denied", "skipped"]
_GOOD = ("ok", "skipped")


@dataclass(frozen=True)
class SettingFinding:
    """One setting. `now` and `wanted` are in one spelling; `irreversible` is set for a change that
    can't be undone.
    """

    item: str
    state: State
    now: Any = None
    wanted: Any = None
    why: str = ""
    notes: tuple[str, ...] = ()
    irreversible: str = ""

    def to_json(self) -> dict[str, Any]:
        """For `--json`."""
        return {
            "item": self.item,
            "state": self.state,
            "now": self.now,
            "wanted": self.wanted,
            "why": self.why,
            "notes": list(self.notes),
            "irreversible": self.irreversible,
        }


@dataclass(frozen=True)
class BucketPlan:
    """All settings of one bucket. `exists`: whether there is a bucket at all."""

    bucket: str
    root: str
    exists: bool
    findings: tuple[SettingFinding, ...] = field(default=())

    @property
    def ok(self) -> bool:
        """Whether nothing differs, and everything could be looked at."""
        return all(finding.state in _GOOD for finding in self.findings)

    def to_json(self) -> dict[str, Any]:
        """For `--json`."""
        items = [finding.to_json() for finding in self.findings]
        return {"bucket": self.bucket, "root": self.root, "ok": self.ok, "items": items}


def make_plan(bucket: Bucket) -> BucketPlan:
    """Reads every setting. Raises LakeError where S3 does not answer at all."""
    exists = bucket_exists(bucket)
    findings = [_place(bucket, exists=exists)]
    findings += [find(bucket, check, exists=exists) for check in checks_of(bucket)]
    return BucketPlan(bucket.name, bucket.store.root, exists, tuple(findings))


def bucket_exists(bucket: Bucket) -> bool:
    """Raises Denied where the credentials may not know, and what else S3 refuses."""
    try:
        return bucket.store.bucket_exists()
    except Refused as error:
        found = error.parts.get("found", "")
        if not found.startswith(("AccessDenied", "403", "HTTP 403")):
            raise
        raise Denied(
            "the bucket can't be inspected",
            where=bucket.arn,
            found=found,
            remedy="allow s3:ListBucket, or choose another name: S3 answers the same for a bucket "
            "of another account",
        ) from error


def _place(bucket: Bucket, *, exists: bool) -> SettingFinding:
    """The bucket itself, and its region."""
    wanted = {"region": bucket.store.region} if bucket.on_aws else {}
    if not exists:
        return SettingFinding("bucket", "change", None, wanted)
    if not bucket.on_aws:
        return SettingFinding("bucket", "ok", wanted, wanted)
    try:
        answer = bucket.read("get_bucket_location", "s3:GetBucketLocation", "LocationConstraint")
    except (Denied, Unsupported) as error:
        return _unread("bucket", error)
    now = {"region": _region((answer or {})["LocationConstraint"])}
    if now == wanted:
        return SettingFinding("bucket", "ok", now, wanted)
    why = f'a bucket can\'t move; set region = "{now["region"]}" in [s3], or another [lake] root'
    return SettingFinding("bucket", "blocked", now, wanted, why)


def _region(location: str | None) -> str:
    """S3 has older names for its first two regions."""
    return {None: "us-east-1", "": "us-east-1", "EU": "eu-west-1"}.get(location, str(location))


def find(bucket: Bucket, check: BucketCheck, *, exists: bool = True) -> SettingFinding:
    """One setting. Raises LakeError where S3 does not answer at all."""
    if check.name in bucket.section.skip:
        return SettingFinding(check.name, "skipped", why="[bucket] skip")
    try:
        current = check.current(bucket) if exists else check.fresh
    except (Denied, Unsupported) as error:
        return _unread(check.name, error)
    target = check.wanted(bucket, current)
    now, wanted = check.shown(current) if exists else None, check.shown(target)
    notes = tuple(check.notes(bucket, current))
    if now == wanted or (not exists and target == check.fresh):
        return SettingFinding(check.name, "ok", now, wanted, notes=notes)
    if why := check.obstacle(bucket):
        return SettingFinding(check.name, "blocked", now, wanted, why, notes)
    irreversible = check.irreversible if isinstance(check, Setting) else ""
    return SettingFinding(check.name, "change", now, wanted, "", notes, irreversible)


def _unread(name: str, error: LakeError) -> SettingFinding:
    state: State = "denied" if isinstance(error, Denied) else "unsupported"
    return SettingFinding(name, state, why=reason(error))


def reason(error: LakeError) -> str:
    """Its message and what was found, in one line."""
    found = error.parts.get("found")
    return f"{error.what} ({found})" if found else error.what
