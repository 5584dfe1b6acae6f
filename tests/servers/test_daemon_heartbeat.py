"""When a Dagster daemon is up, by what its web server returns."""

from __future__ import annotations

from typing import Any

import pytest

from lake.servers.dagster_api import DagsterApi


def statuses(**times: float | None) -> dict[str, Any]:
    """One that is not required never gives a sign."""
    parts: list[dict[str, Any]] = [
        {"daemonType": name, "required": True, "healthy": at is not None, "lastHeartbeatTime": at}
        for name, at in times.items()
    ]
    other = {"daemonType": "X", "required": False, "healthy": None, "lastHeartbeatTime": None}
    return {"instance": {"daemonHealth": {"allDaemonStatuses": [*parts, other]}}}


@pytest.mark.parametrize("step_s", [0, -5, -3600], ids=["steady", "by seconds", "by an hour"])
@pytest.mark.parametrize("earlier", [None, 1000.0], ids=["new", "its history is kept"])
def test_a_sign_of_life_is_new_also_by_a_clock_that_was_set_back(
    monkeypatch: pytest.MonkeyPatch, step_s: float, earlier: float | None
) -> None:
    api = DagsterApi("http://127.0.0.1:1")
    answers = [
        statuses(A=earlier, B=earlier),
        statuses(A=earlier, B=earlier),
        statuses(A=1020 + step_s, B=earlier),
        statuses(A=1020 + step_s, B=1021 + step_s),
    ]
    monkeypatch.setattr(api, "_ask", lambda _: answers.pop(0))
    before = api.heartbeats()
    assert [api.daemon_is_healthy(before) for _ in range(3)] == [False, False, True]
