"""Sets what the plan shows as differing, and writes the audit log.

Belongs here: the order of the steps. Does not: what is right (settings).

Each setting is read again just before it is written, so that what others have added since the
plan stays. Where nothing differs nothing is written, to the bucket or to the log.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from lake import audit
from lake.base.errors import LakeError
from lake.bucket.calls import Bucket, Denied, Unsupported
from lake.bucket.check import Setting
from lake.bucket.plan import BucketPlan, SettingFinding, find, make_plan, reason
from lake.bucket.settings import checks_of

ACTION = "bucket"
_WHY = "differs from [bucket]"
_PAUSES_S = (0, 1, 2)  # S3 returns some settings only after a while
Result = Literal["done", "unchanged", "not set", "failed"]


@dataclass(frozen=True)
class AppliedSetting:
    """What became of one finding. `why` is set unless it is done."""

    finding: SettingFinding
    result: Result
    why: str = ""

    @property
    def ok(self) -> bool:
        """Whether the setting is now right."""
        unchanged = self.result == "unchanged" and self.finding.state in ("ok", "skipped")
        return self.result == "done" or unchanged

    def to_json(self) -> dict[str, Any]:
        """For `--json`."""
        return self.finding.to_json() | {"result": self.result, "result_why": self.why}


def apply(
    bucket: Bucket,
    *,
    show: Callable[[BucketPlan], None],
    confirm: Callable[[Sequence[SettingFinding]], None],
) -> Iterator[AppliedSetting]:
    """Plans, shows the plan, then sets what differs.

    `confirm` gets the changes that can't be undone; it raises to stop. Raises LakeError where the
    bucket can't be created or the audit log not be written.
    """
    plan = make_plan(bucket)
    show(plan)
    changes = [finding for finding in plan.findings if finding.state == "change"]
    if irreversible := [finding for finding in changes if finding.irreversible]:
        confirm(irreversible)
    if not changes:
        yield from (AppliedSetting(finding, "unchanged", finding.why) for finding in plan.findings)
        return
    intent = None
    if plan.exists:
        intent = _log(bucket, _WHY, {"state": "intended", "changes": _of(changes)}).sequence
    else:
        # A new bucket stays empty until Object Lock is set: some servers set it only then.
        lock = {"ObjectLockEnabledForBucket": True} if bucket.section.object_lock else {}
        bucket.store.create_bucket(**lock)
    applied: list[AppliedSetting] = []
    try:
        for finding in plan.findings:
            applied.append(_applied(bucket, finding, created=not plan.exists))
            yield applied[-1]
    finally:
        tried = [entry for entry in applied if entry.finding.item in _of(changes)]
        details = {"state": "done", "intent": intent, "changes": _of(changes)}
        details |= {"results": {entry.finding.item: entry.result for entry in tried}}
        details |= {"why": {entry.finding.item: entry.why for entry in tried if entry.why}}
        _log(bucket, _WHY, details)


def _applied(bucket: Bucket, finding: SettingFinding, *, created: bool) -> AppliedSetting:
    if finding.item == "bucket":
        return AppliedSetting(finding, "done" if created else "unchanged", finding.why)
    setting = next(check for check in checks_of(bucket) if check.name == finding.item)
    if not isinstance(setting, Setting) or finding.state != "change":
        return AppliedSetting(finding, "unchanged", finding.why)
    now = find(bucket, setting)
    if now.state != "change":  # a new bucket has it from the start, or somebody else was first
        return AppliedSetting(
            replace(now, notes=finding.notes), "done" if now.state == "ok" else "not set", now.why
        )
    try:
        setting.write(bucket, setting.wanted(bucket, setting.current(bucket)))
    except (Denied, Unsupported) as error:
        return AppliedSetting(finding, "not set", reason(error))
    except LakeError as error:
        return AppliedSetting(finding, "failed", reason(error))
    for pause_s in _PAUSES_S:
        time.sleep(pause_s)
        left = find(bucket, setting)
        if left.state == "ok":
            return AppliedSetting(finding, "done")
    why = left.why or "the server accepted it, and returns something else"
    return AppliedSetting(left, "not set", why)


def _of(changes: Sequence[SettingFinding]) -> dict[str, Any]:
    return {finding.item: {"was": finding.now, "wanted": finding.wanted} for finding in changes}


def _log(bucket: Bucket, why: str, details: dict[str, Any]) -> audit.Entry:
    return audit.append(bucket.store, ACTION, "", why, details=details)
