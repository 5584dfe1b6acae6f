"""Runs whose process has ended without a trace.

Belongs here: what Dagster's own launcher for code servers does not look for. Does not: starting and
ending runs, which are that launcher's.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any, Self

from dagster import DagsterRun, DefaultRunLauncher, Field
from dagster._core.errors import DagsterUserCodeUnreachableError
from dagster._core.launcher.base import CheckRunHealthResult, WorkerStatus
from dagster._grpc.types import CanCancelExecutionRequest, CanCancelExecutionResult
from dagster._serdes import deserialize_value
from dagster._serdes.config_class import ConfigurableClassData

_QUIET_S = 1800
_ANSWER_WITHIN_S = 10


class CodeServerLauncher(DefaultRunLauncher):
    """A run is a process of its code server, and ends with it: at a reboot, say. Dagster's launcher
    leaves it in progress for ever, in one of the few places for runs. This one has the monitor
    end it (and, as `run_retries` say, start it again) where the code server does not know it and
    it has logged nothing for `quiet_seconds`: one that began before its location was
    reloaded goes on in a server that can't be queried.
    """

    def __init__(
        self, inst_data: ConfigurableClassData | None = None, quiet_seconds: int = _QUIET_S
    ) -> None:
        super().__init__(inst_data)
        self._quiet_s = quiet_seconds

    @classmethod
    def config_type(cls) -> dict[str, Any]:
        """See ConfigurableClass."""
        return {"quiet_seconds": Field(int, is_required=False, default_value=_QUIET_S)}

    @classmethod
    def from_config_value(
        cls, inst_data: ConfigurableClassData, config_value: Mapping[str, Any]
    ) -> Self:
        """See ConfigurableClass."""
        return cls(inst_data, **config_value)

    @property
    def supports_check_run_worker_health(self) -> bool:
        """See RunLauncher."""
        return True

    def check_run_worker_health(self, run: DagsterRun) -> CheckRunHealthResult:
        """See RunLauncher."""
        quiet_s = time.time() - self._last_logged(run)
        if self._is_known(run) or quiet_s < self._quiet_s:
            return CheckRunHealthResult(WorkerStatus.RUNNING)
        return CheckRunHealthResult(
            WorkerStatus.NOT_FOUND,
            f"its code server does not know it, and it has logged nothing for {quiet_s:.0f} s",
        )

    def _is_known(self, run: DagsterRun) -> bool:
        """Whether its code server answers, and has the run's process."""
        client = self._get_grpc_client_for_termination(run.run_id)  # type: ignore[no-untyped-call]
        if client is None:  # it has ended meanwhile
            return True
        question = CanCancelExecutionRequest(run_id=run.run_id)
        try:
            answer = client.can_cancel_execution(question, timeout=_ANSWER_WITHIN_S)
        except DagsterUserCodeUnreachableError:
            return False
        return deserialize_value(answer, CanCancelExecutionResult).can_cancel

    def _last_logged(self, run: DagsterRun) -> float:
        """Unix time, s."""
        newest = self._instance.get_records_for_run(run.run_id, limit=1, ascending=False).records
        return newest[0].timestamp if newest else 0.0
