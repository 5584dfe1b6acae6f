"""The description of a kind of server: its program, command line and addresses.

Belongs here: the shape of a recipe, and the options of all of them.
Does not: how a single server is configured.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import requests


@dataclass(frozen=True)
class Options:
    """What a caller may set; each server reads what is its own.

    `loki_limits`: single keys of Loki's `limits_config`. `loki_config`: further
    sections, merged over ours. `loki_multi_tenant`: every request needs
    `X-Scope-OrgID`. `prometheus_out_of_order`: a Prometheus duration; how much
    older than the newest a sample may be. `prometheus_flags`: further ones of its
    command line, such as limits. `prometheus_external_labels`: how Thanos distinguishes its
    replicas by. `mongo_auth`: users must log in; the endpoint's URI carries a user's
    name and password. `mongo_test_commands`: failpoints. `mongo_ttl`: whether TTL
    indexes remove documents; SecantusDB always does.
    """

    loki_limits: Mapping[str, Any] = field(default_factory=dict)
    loki_config: Mapping[str, Any] = field(default_factory=dict)
    loki_multi_tenant: bool = False
    prometheus_out_of_order: str = "0s"
    prometheus_flags: tuple[str, ...] = ()
    prometheus_external_labels: Mapping[str, str] = field(default_factory=dict)
    mongo_auth: bool = False
    mongo_test_commands: bool = False
    mongo_ttl: bool = True


@dataclass(frozen=True)
class ServerSite:
    """Where one server lives: `home` is its own directory, data go to `home/data`."""

    program: Path
    version: str
    home: Path
    ports: Mapping[str, int]
    options: Options

    @property
    def data(self) -> Path:
        """The server's data directory."""
        return self.home / "data"


@dataclass(frozen=True)
class Launch:
    """How to run a server in its site, and how to detect that it answers.

    `ready` returns False while it does not answer yet. `provision` is called when it
    is ready; True means that it has to start again, with what is new in its home.
    `litter`: files that it leaves outside of its home.
    """

    command: list[str]
    endpoint: dict[str, str]
    ready: Callable[[], bool]
    provision: Callable[[], bool] = lambda: False
    litter: tuple[str, ...] = ()


@dataclass(frozen=True)
class Recipe:
    """One kind of server: the ports it needs, how to launch it, how long it may take to stop."""

    ports: tuple[str, ...]
    launch: Callable[[ServerSite], Launch]
    grace_s: float = 20
    unset: tuple[str, ...] = ()  # prefixes of environment variables it must not see


def ask(url: str) -> requests.Response | None:
    """The answer of a server on the loopback, which no proxy stands before; None without one."""
    with requests.Session() as session:
        session.trust_env = False
        try:
            return session.get(url, timeout=2)
        except requests.RequestException:
            return None


def answers(url: str) -> bool:
    """Whether the URL answers with success now."""
    answer = ask(url)
    return answer is not None and answer.ok
