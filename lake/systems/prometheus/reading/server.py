"""Which server responds, and its version.

Belongs here: its version, for the manifest. Does not: what depends on a version (plan, api).
"""

from __future__ import annotations

from typing import Any

from lake.base.errors import Refused
from lake.http.client import Http


def server_details(http: Http) -> dict[str, str]:
    """`server_version`, for a manifest's details; `server_application` if not Prometheus.

    {} where the server does not report them, or refuses to. Raises what HTTP raises otherwise.
    """
    try:
        answer: Any = http.get("/api/v1/status/buildinfo").json()
    except Refused:  # not every server of this API has the path
        return {}
    built = answer.get("data") if isinstance(answer, dict) else None
    if not isinstance(built, dict):
        return {}
    return {
        f"server_{key}": str(built[key]) for key in ("version", "application") if built.get(key)
    }
