"""Loki's pages on its configuration, as several versions write them, and its version."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from lake.base.errors import LakeError
from lake.http.client import HttpAnswer
from lake.systems.loki.reading.config import LokiConfig, milliseconds
from lake.systems.loki.reading.split import Split
from lake.systems.loki.reading.version import Version, reported_version

HOUR_NS = 3_600 * 10**9
LOKI_2 = """
target: all
limits_config:
  max_query_lookback: 0s
  split_queries_by_interval: 0s
table_manager:
  retention_deletes_enabled: false
  retention_period: 0s
query_range:
  split_queries_by_interval: 0s
"""
LOKI_3 = """
compactor:
  retention_enabled: true
limits_config:
  max_query_lookback: 30d
  split_queries_by_interval: 1h
  split_ingester_queries_by_interval: 0s
  retention_period: 31d
  retention_stream:
  - period: 1d
    priority: 1
    selector: '{level="debug"}'
table_manager:
  retention_deletes_enabled: false
"""


def indented(text: str, spaces: int) -> str:
    """The same configuration as another version of the YAML library writes it."""
    return yaml.safe_dump(yaml.load(text, yaml.BaseLoader), indent=spaces)


@pytest.mark.parametrize("spaces", [2, 4])
def test_what_a_configuration_says(spaces: int) -> None:
    old, new = (LokiConfig.parse(indented(text, spaces)) for text in (LOKI_2, LOKI_3))
    assert (old.kept_days(""), new.kept_days("")) == (0, 1)
    assert (old.limit("max_query_lookback", ""), new.limit("max_query_lookback", "")) == (
        "0s", "30d"
    )  # fmt: skip
    assert (Split.of(old).interval_ns, Split.of(new).interval_ns) == (0, HOUR_NS)
    assert (old.get("limits_config"), old.get("nothing", "at all")) == (None, None)


@pytest.mark.parametrize(
    ("config", "runtime", "tenant", "days"),
    [
        ("table_manager: {retention_deletes_enabled: true, retention_period: 672h}", "", "", 28),
        ("table_manager: {retention_deletes_enabled: true, retention_period: 0s}", "", "", 0),
        ("compactor: {retention_enabled: true}\nlimits_config: {retention_period: 744h0m0s}",
         "overrides: {a: {retention_period: 7d}}", "a", 7),
        ("compactor: {retention_enabled: true}\nlimits_config: {retention_period: 744h0m0s}",
         "overrides: {a: {retention_period: 7d}}", "b", 31),
        ("compactor: {retention_enabled: true}", "", "", None),
        ("compactor: {retention_enabled: true}\nlimits_config: {retention_period: soon}", "", "",
         None),
        ("", "", "", None),
    ],
)  # fmt: skip
def test_retention(config: str, runtime: str, tenant: str, days: int | None) -> None:
    assert LokiConfig.parse(config, runtime).kept_days(tenant) == days


def test_the_cuts_of_all_tenants() -> None:
    runtime = (
        "overrides: {a: {split_queries_by_interval: 15m}, b: {split_queries_by_interval: 40m}}"
    )
    config = LokiConfig.parse(LOKI_3, runtime)
    assert Split.of(config).interval_ns == HOUR_NS // 12
    odd = LokiConfig.parse("limits_config: {split_queries_by_interval: ${SPLIT}}")
    assert Split.of(odd).summary == Split.of(LokiConfig()).summary == "unknown"


@given(st.text())
def test_any_page_is_a_configuration_or_none(text: str) -> None:
    config = LokiConfig.parse(text, text)
    assert config.kept_days("") is None
    assert config.split_intervals() == []


@pytest.mark.parametrize(
    ("text", "ms"),
    [("744h0m0s", 744 * 3_600_000), ("7d", 7 * 86_400_000), ("0s", 0), ("0", 0),
     ("1.5h", 5_400_000), ("1w", 7 * 86_400_000), ("30m", 1_800_000),
     ("1µs", None), ("", None), ("soon", None)],
)  # fmt: skip
def test_durations(text: str, ms: int | None) -> None:
    assert milliseconds(text) == ms


class Pages:
    """Answers these paths, and 404 to all others."""

    def __init__(self, pages: dict[str, str]) -> None:
        self.pages = pages

    def get(self, path: str, **_: Any) -> HttpAnswer:
        if path not in self.pages:
            raise LakeError("no such API at this address")
        return HttpAnswer(path, 200, {}, self.pages[path].encode())


_INFO, _METRICS = "/loki/api/v1/status/buildinfo", "/metrics"
_OF_2_2_1 = 'x 1\nloki_build_info{branch="",goversion="go1.26",revision="",version="2.2.1"} 1\n'


@pytest.mark.parametrize(
    ("pages", "reported", "numbers", "metadata", "categorizes"),
    [
        ({_INFO: '{"version":"3.7.8"}'}, "3.7.8", (3, 7), True, True),
        ({_INFO: '{"version":"3.7.9-main"}'}, "3.7.9-main", (3, 7), True, True),
        ({_INFO: '{"status":"success","data":{"version":"2.9.4"}}'}, "2.9.4", (2, 9), True, False),
        ({_INFO: '{"version":"2.8.0"}'}, "2.8.0", (2, 8), False, False),
        ({_METRICS: _OF_2_2_1}, "2.2.1", (2, 2), False, False),
        ({_INFO: '{"version":""}', _METRICS: _OF_2_2_1}, "2.2.1", (2, 2), False, False),
        ({_INFO: '{"version":"k250-1a2b3c"}'}, "k250-1a2b3c", None, False, None),
        ({_INFO: "[]"}, "", None, False, None),
        ({_INFO: "<html>"}, "", None, False, None),
        ({}, "", None, False, None),
    ],
)  # fmt: skip
def test_versions(
    pages: dict[str, str],
    reported: str,
    numbers: tuple[int, int] | None,
    metadata: bool,
    categorizes: bool | None,
) -> None:
    version = reported_version(Pages(pages))  # type: ignore[arg-type]
    assert version == Version(reported)
    assert (version.numbers, version.knows_metadata) == (numbers, metadata)
    assert version.categorizes is categorizes
