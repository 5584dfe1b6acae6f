"""Requests to a running Dagster over GraphQL: readiness, backfills and their progress.

Belongs here: the few requests that the project needs, and what their answers mean.
Does not: starting Dagster (dagster).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import requests

from lake.base.errors import BadData, PermanentError, Refused, TransientError

_TIMEOUT_S = 60.0
_LOOK_S = 1.0
_EVENTS_A_PAGE = 1000
_BACKFILL_ENDED = frozenset({"COMPLETED_SUCCESS", "COMPLETED_FAILED", "FAILED", "CANCELED"})
_RUN_ENDED = frozenset({"SUCCESS", "FAILURE", "CANCELED"})

_LOCATIONS = """
{ workspaceOrError {
    ... on Workspace { locationEntries { name loadStatus locationOrLoadError {
      __typename ... on PythonError { message errorChain { error { message } } } } } }
    ... on PythonError { message } } }
"""
_DAEMONS = """
{ instance { daemonHealth { allDaemonStatuses {
    daemonType required healthy lastHeartbeatTime } } } }
"""
_SCHEDULES = """
{ repositoriesOrError { ... on Error { message } ... on RepositoryConnection { nodes {
    name location { name } schedules { name scheduleState { id } } } } } }
"""
_STOP_SCHEDULE = """
mutation ($id: String!) {
  changed: stopRunningSchedule(id: $id) { __typename ... on Error { message } } }
"""
_RESET_SCHEDULE = """
mutation ($schedule: ScheduleSelector!) {
  changed: resetSchedule(scheduleSelector: $schedule) { __typename ... on Error { message } } }
"""
_LAUNCH = """
mutation ($backfill: LaunchBackfillParams!) {
  launchPartitionBackfill(backfillParams: $backfill) {
    __typename ... on LaunchBackfillSuccess { backfillId } ... on Error { message } } }
"""
_BACKFILL = """
query ($id: String!, $runs: RunsFilter!) {
  partitionBackfillOrError(backfillId: $id) {
    __typename ... on PartitionBackfill { status error { message } } ... on Error { message } }
  runsOrError(filter: $runs) { ... on Runs { results { id status } } ... on Error { message } } }
"""
_EVENTS = """
query ($run: ID!, $after: String, $limit: Int!) {
  logsForRun(runId: $run, afterCursor: $after, limit: $limit) {
    ... on Error { message }
    ... on EventConnection { cursor hasMore events { __typename
      ... on MaterializationEvent { assetKey { path } partition }
      ... on RunFailureEvent { error { message } }
      ... on ExecutionStepFailureEvent { stepKey error { message }
        failureMetadata { metadataEntries { label ... on TextMetadataEntry { text } } } } } } } }
"""

Partition = tuple[str, str]
"""An asset's name and a UTC day, YYYY-MM-DD."""


@dataclass(frozen=True)
class BackfillProgress:
    """How many of the `total` partitions are exported, and how many have failed."""

    done: int
    failed: int
    total: int


@dataclass(frozen=True)
class BackfillResult:
    """What became of each partition: exported, or why not."""

    done: frozenset[Partition]
    failures: dict[Partition, str]

    @property
    def ok(self) -> bool:
        """Whether every partition is exported."""
        return not self.failures


class DagsterApi:
    """The GraphQL of one web server.

    Every method raises TransientError (no answer, or a 5xx), Refused or BadData.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self._session = requests.Session()
        self._session.trust_env = False  # no proxy stands between us and the loopback
        # The server closes a connection that was idle for 5 s: a request that meets the end would
        # be lost, and one that launches something must not be repeated.
        self._session.headers["Connection"] = "close"

    def is_loaded(self) -> bool:
        """Whether every code location is loaded. Raises PermanentError where one has an error."""
        try:
            entries = self._ask(_LOCATIONS)["workspaceOrError"]["locationEntries"]
        except TransientError:
            return False
        for entry in entries:
            answer = entry["locationOrLoadError"] or {}
            if answer.get("__typename") == "PythonError":
                causes = [link["error"]["message"] for link in answer["errorChain"]]
                raise PermanentError(
                    "Dagster can't load the definitions",
                    where=entry["name"],
                    found="".join([answer["message"], *causes]).strip(),
                )
        return bool(entries) and all(entry["loadStatus"] == "LOADED" for entry in entries)

    def heartbeats(self) -> dict[str, float | None]:
        """The last sign of life of each part of the daemon (Unix time, s); None: none yet."""
        return {status["daemonType"]: status["lastHeartbeatTime"] for status in self._daemons()}

    def daemon_is_healthy(self, before: Mapping[str, float | None]) -> bool:
        """Whether each part of the daemon has given a sign of life since those. By what changed: a
        clock may have been set back meanwhile.
        """
        return all(
            status["healthy"] and status["lastHeartbeatTime"] != before.get(status["daemonType"])
            for status in self._daemons()
            if status["required"]
        )

    def _daemons(self) -> list[dict[str, Any]]:
        statuses: list[dict[str, Any]] = self._ask(_DAEMONS)["instance"]["daemonHealth"][
            "allDaemonStatuses"
        ]
        return statuses

    def stop_schedules(self) -> None:
        """No schedule begins a run, until `reset_schedules`."""
        for _, schedule in self._schedules():
            self._change(_STOP_SCHEDULE, schedule["name"], id=schedule["scheduleState"]["id"])

    def reset_schedules(self) -> None:
        """Each is as its definition has it."""
        for place, schedule in self._schedules():
            self._change(
                _RESET_SCHEDULE,
                schedule["name"],
                schedule={**place, "scheduleName": schedule["name"]},
            )

    def _schedules(self) -> Iterator[tuple[dict[str, str], dict[str, Any]]]:
        answer = self._ask(_SCHEDULES)["repositoriesOrError"]
        if "nodes" not in answer:
            raise Refused("Dagster names no schedules", where=self.url, found=answer["message"])
        for repository in answer["nodes"]:
            place = {
                "repositoryName": repository["name"],
                "repositoryLocationName": repository["location"]["name"],
            }
            yield from ((place, schedule) for schedule in repository["schedules"])

    def _change(self, mutation: str, name: str, **variables: Any) -> None:
        changed = self._ask(mutation, **variables)["changed"]
        if changed["__typename"] != "ScheduleStateResult":
            raise Refused(
                "Dagster does not change a schedule",
                where=f"{self.url}: {name}",
                found=changed.get("message", changed["__typename"]),
            )

    def launch_backfill(self, assets: Sequence[str], days: Sequence[str]) -> str:
        """Starts a backfill of every day (YYYY-MM-DD) of every asset; returns its id."""
        backfill = {
            "assetSelection": [{"path": [asset]} for asset in assets],
            "partitionNames": list(days),
        }
        answer = self._ask(_LAUNCH, backfill=backfill)["launchPartitionBackfill"]
        if "backfillId" not in answer:
            raise Refused(
                "Dagster does not accept the backfill",
                where=self.url,
                found=answer.get("message", answer["__typename"]),
            )
        return str(answer["backfillId"])

    def wait_backfill(
        self,
        backfill: str,
        partitions: Sequence[Partition],
        on_progress: Callable[[BackfillProgress], None] = lambda _progress: None,
    ) -> BackfillResult:
        """Returns when each of the backfill's partitions is exported or has failed."""
        follower = _Follower(self, backfill, partitions)
        while True:
            ended = follower.look()
            on_progress(follower.progress)
            if ended:
                return follower.result()
            time.sleep(_LOOK_S)

    def _ask(self, query: str, **variables: Any) -> dict[str, Any]:
        try:
            answer = self._session.post(
                f"{self.url}/graphql",
                json={"query": query, "variables": variables},
                timeout=_TIMEOUT_S,
            )
        except requests.RequestException as error:
            raise TransientError("Dagster does not answer", where=self.url, found=error) from error
        try:
            body = answer.json()  # a 500, too, may carry an answer: an error of Dagster's own
        except requests.JSONDecodeError:
            raise TransientError(
                "Dagster failed", where=self.url, found=f"{answer.status_code} {answer.text[:500]}"
            ) from None
        if body.get("errors"):
            raise BadData(
                "Dagster does not understand the query",
                where=self.url,
                found="; ".join(error["message"] for error in body["errors"]),
            )
        return dict(body["data"])


@dataclass
class _Follower:
    """Reads the events of a backfill's runs as they come."""

    api: DagsterApi
    backfill: str
    partitions: Sequence[Partition]
    done: set[Partition] = field(default_factory=set)
    failures: dict[Partition, str] = field(default_factory=dict)
    reason: str = "no run of the backfill has exported it"
    _cursors: dict[str, str] = field(default_factory=dict)

    @property
    def progress(self) -> BackfillProgress:
        """Counted over the requested partitions."""
        return BackfillProgress(len(self.done), len(self._failed()), len(self.partitions))

    def look(self) -> bool:
        """Whether nothing more can come."""
        runs = {"tags": [{"key": "dagster/backfill", "value": self.backfill}]}
        answer = self.api._ask(_BACKFILL, id=self.backfill, runs=runs)
        state, listed = answer["partitionBackfillOrError"], answer["runsOrError"]
        if "status" not in state or "results" not in listed:
            raise Refused("no such backfill", where=self.api.url, found=state.get("message"))
        for run in listed["results"]:
            self._read_events(run["id"])
        if state.get("error"):
            self.reason = state["error"]["message"]
        # Dagster itself looks for the end every 30 s only.
        idle = all(run["status"] in _RUN_ENDED for run in listed["results"])
        accounted = len(self.done) + len(self._failed()) == len(self.partitions)
        return (idle and accounted) or state["status"] in _BACKFILL_ENDED

    def result(self) -> BackfillResult:
        """What is not done has failed."""
        failures = {
            partition: self.failures.get(partition, self.reason)
            for partition in self.partitions
            if partition not in self.done
        }
        return BackfillResult(frozenset(self.done), failures)

    def _failed(self) -> set[Partition]:
        return (self.failures.keys() & set(self.partitions)) - self.done

    def _read_events(self, run: str) -> None:
        more = True
        while more:
            page = self.api._ask(
                _EVENTS, run=run, after=self._cursors.get(run), limit=_EVENTS_A_PAGE
            )["logsForRun"]
            if "events" not in page:
                raise BadData("a run without events", where=run, found=page.get("message"))
            for event in page["events"]:
                self._take(event)
            self._cursors[run], more = page["cursor"], page["hasMore"]

    def _take(self, event: dict[str, Any]) -> None:
        kind = event["__typename"]
        if kind == "MaterializationEvent" and event["partition"]:
            self.done.add((event["assetKey"]["path"][-1], event["partition"]))
        elif kind == "ExecutionStepFailureEvent":
            entries = (event["failureMetadata"] or {}).get("metadataEntries", ())
            self.failures |= {(event["stepKey"], e["label"]): e.get("text", "") for e in entries}
            self.reason = (event["error"] or {}).get("message", self.reason)
        elif kind == "RunFailureEvent" and event["error"]:
            self.reason = event["error"]["message"]
