"""Retention: what `[retention]` no longer keeps is deleted, with a record of each object.

rules      which snapshots keep rules keep
plan       what may be deleted, and what is over but stays
records    deletion manifests
apply      deletes as planned, and completes what a killed run began
verifying  deletion manifests and holds compared with the store and the audit log

Belongs here: deciding by age and rules, deleting. Does not: how long anything is kept
(lake.kept, lake.config.retention), deleting by hand (lake.drop), expiry at the sources
(lake.ttl).
"""

from lake.retention.apply import RetentionResult, apply
from lake.retention.plan import Item, RetentionPlan, make_plan

__all__ = ["Item", "RetentionPlan", "RetentionResult", "apply", "make_plan"]
