"""The limit of a TTL index or collection, as a server shows it.

Belongs here: values that are not a plain number of seconds. Does not: which limit is right.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any


def limit_of(definition: Mapping[str, Any]) -> int | None:
    """Seconds after which documents expire; None without a limit.

    A limit that is not a number counts as 0: older servers delete everything by it.
    """
    limit = definition.get("expireAfterSeconds")
    if limit is None:
        return None
    return int(limit) if isinstance(limit, int | float) and math.isfinite(limit) else 0
