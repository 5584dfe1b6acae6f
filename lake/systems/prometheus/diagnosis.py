"""Is Prometheus reachable, and does it accept and answer each dataset's query?

Belongs here: version, retention, clock, queries. Does not: reading samples.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from lake.base.clock import utc_now
from lake.base.errors import LakeError
from lake.config.settings import Settings
from lake.http.client import Http, Rejected
from lake.systems.check import Check, failed, guarded, http_clock, kept_check, snapshot_path
from lake.systems.prometheus.config import PrometheusDataset, PrometheusSource
from lake.systems.prometheus.discovery import ATTEMPTS, PrometheusServer

_DAY_S = 86_400
_CONNECTIONS = 5  # a load balancer chooses a server for each; two alike go unseen 1 in 16 times


def check(settings: Settings) -> Iterator[Check]:
    """Raises what lake.http raises."""
    section = settings.sources.prometheus
    if section is None:
        return
    with closing(Http(section, "prometheus")) as http:
        server, before = PrometheusServer(http), utc_now()
        answer = http.get("/api/v1/query", {"query": "vector(1)"}, attempts=ATTEMPTS)
        version = server.version() or "of unknown version"
        yield Check("prometheus", "ok", f"Prometheus API {version}, answers queries")
        yield from _one_server(server, section)
        yield from http_clock("prometheus", answer.headers.get("Date"), before)
        kept_days = server.kept_days()
        yield from kept_check("prometheus", "prometheus", kept_days, settings.hot.prometheus)
        for dataset in settings.dataset:
            if isinstance(dataset, PrometheusDataset):
                subject = f"dataset {dataset.name}"
                yield from guarded(subject, _dataset(server, subject, dataset))


def _one_server(server: PrometheusServer, section: PrometheusSource) -> Iterator[Check]:
    """Whether one server answers at the address, and not replicas in turn."""
    started = {server.optional("status/runtimeinfo").get("startTime")}
    if started == {None} or server.optional("stores"):  # Mimir and others; Thanos Query
        return
    for _ in range(_CONNECTIONS - 1):
        with closing(Http(section, "prometheus")) as another:
            runtime = PrometheusServer(another).optional("status/runtimeinfo")
            started.add(runtime.get("startTime"))
    if len(started) > 1:
        yield Check(
            "prometheus",
            "warn",
            f"{len(started)} servers answer at this address in turn: replicas differ in their "
            "samples, and exports fail where they differ in number",
            "set [sources.prometheus] url to one of them, or to Thanos Query or Mimir, which "
            "return each series once",
        )


def _dataset(server: PrometheusServer, subject: str, dataset: PrometheusDataset) -> Iterator[Check]:
    try:
        matched = _matched(server, dataset)
    except Rejected as error:
        yield Check(
            subject,
            "fail",
            f"the server does not accept the query: {error.text.strip()}",
            "correct `query`"
            + ("; mode raw takes selectors only" if dataset.mode == "raw" else ""),
        )
        return
    if matched:
        yield Check(subject, "ok", f"the query returns {matched:,} series")
    else:
        yield Check(subject, "warn", "the query returns nothing now", "check `query`")


def _matched(server: PrometheusServer, dataset: PrometheusDataset) -> int:
    """Series now, else within the last day."""
    now_s = utc_now().timestamp()
    if dataset.mode == "raw":
        return _count(server, f"count(last_over_time({dataset.query}\n[1d]))", now_s)
    try:
        matched = _count(server, f"count({dataset.query}\n)", now_s)
    except Rejected as error:
        if "scalar" not in error.text:
            raise
        return len(server.vector(f"vector({dataset.query}\n)", now_s))
    return matched or _count(server, f"count({dataset.query}\n)", now_s // _DAY_S * _DAY_S - 1)


def _count(server: PrometheusServer, query: str, at_s: float) -> int:
    return sum(int(float(sample["value"][1])) for sample in server.vector(query, at_s))


def check_snapshots(settings: Settings) -> Iterator[Check]:
    """What a snapshot needs: its directory, and the admin API."""
    # Removing the snapshot's hard links afterwards is a write.
    yield snapshot_path(
        "prometheus", "data_dir", Path(settings.snapshots.prometheus.data_dir), "writable"
    )
    yield _admin_api(settings)


def _admin_api(settings: Settings) -> Check:
    """By the server's flags: a call of the API would take a snapshot."""
    section, subject = settings.sources.prometheus, "snapshots of prometheus"
    assert section is not None  # noqa: S101  the caller looked
    remedy = "start Prometheus with --web.enable-admin-api"
    try:
        with closing(Http(section, "prometheus")) as http:
            flags = http.get("/api/v1/status/flags", attempts=ATTEMPTS).json()["data"]
            enabled = flags["web.enable-admin-api"]
    except LakeError as error:
        reason = failed(subject, error).found
        return Check(
            subject, "warn", f"it can't be read whether the admin API is on: {reason}", remedy
        )
    except (KeyError, TypeError):
        return Check(subject, "warn", "it can't be read whether the admin API is on", remedy)
    if enabled != "true":
        return Check(subject, "warn", "Prometheus' admin API is off", remedy)
    return Check(subject, "ok", "Prometheus' admin API is on")
