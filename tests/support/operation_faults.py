"""All kinds of faults at a site in operation, with the one alert that each raises.

Belongs here: the list. Does not: what happens (operation_outages, operation_schedules,
operation_damage, operation_rows), claims about rows (operation_record).
"""

from __future__ import annotations

from collections.abc import Callable

from support.operation_damage import (
    DAMAGE_FOUND,
    altered_object,
    damage_before_expiry,
    truncated_object,
)
from support.operation_outages import (
    clock_ahead,
    expired_credential,
    expired_mongo_credential,
    failing_webhook,
    lost_bucket,
    lost_server,
)
from support.operation_rows import (
    dropped_day,
    erasure,
    hold_on_cold_days,
    hold_on_hot_days,
    late_documents,
    very_late_rows,
)
from support.operation_scene import Scene, Steps
from support.operation_schedules import (
    daemon_down,
    dataset_off,
    exports_off,
    guard_off,
    missed_nights,
)

HEARTBEAT = "the heartbeat is missing"
EXPECTED: dict[Callable[[Scene], Steps], tuple[str, ...]] = {
    lost_server: ("LakeExportFailed",),
    lost_bucket: ("LakeUnreadable", "LakeExportFailed"),
    expired_credential: ("LakeExportFailed",),
    expired_mongo_credential: ("LakeExportFailed",),
    failing_webhook: ("LakeExportFailed",),
    missed_nights: (HEARTBEAT,),
    dataset_off: ("LakeRowsExpiring", "LakeGuardFailed"),
    dropped_day: ("LakeRowsExpiring",),
    exports_off: ("LakeNoExportSuccess",),
    guard_off: ("LakeGuardSilent",),
    clock_ahead: ("LakeGuardFailed",),
    daemon_down: (HEARTBEAT,),
    late_documents: ("LakeGuardFailed",),
    very_late_rows: (),
    truncated_object: ("LakeDayDamaged",),
    altered_object: DAMAGE_FOUND,
    damage_before_expiry: DAMAGE_FOUND,
    hold_on_hot_days: ("LakeGuardFailed",),
    hold_on_cold_days: (),
    erasure: (),
}
"""Of each kind the names of its alert: exactly one message. Where there are several names it is one
of them, whichever check comes first. HEARTBEAT: the lake sends nothing, and whoever receives the
heartbeat raises the alarm. Holds of cold days, erasures and rows that are exported in time need
nobody: no message.
"""
