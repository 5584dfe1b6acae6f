"""The bucket of an S3 root: compares its set-up with `[bucket]`, and sets it.

keys          what lies where below the root
lifecycle     rules about storage classes and old versions, and what others' rules do to the lake
statements    the bucket policy
check         what a check is: reading, the wanted value, writing
aging         checks of what becomes of objects with time
settings      one class per other setting, and all checks in their order
calls         calls about the bucket; what a refusal means
plan, apply   the comparison, and the changes that follow from it
roles         policies of IAM for those who use the bucket

Belongs here: the bucket. Does not: its objects (lake.store), what is deleted when (retention).
"""

from lake.bucket.apply import AppliedSetting, apply
from lake.bucket.calls import Bucket
from lake.bucket.plan import BucketPlan, SettingFinding, make_plan
from lake.bucket.roles import ROLES, policy_of

__all__ = [
    "ROLES",
    "AppliedSetting",
    "Bucket",
    "BucketPlan",
    "SettingFinding",
    "apply",
    "make_plan",
    "policy_of",
]
