"""`lake init` on a Loki whose newest day does not have all of its streams."""

from __future__ import annotations

import re

from support.loki_client import LokiClient

from lake.base.day import Day
from lake.base.errors import TransientError
from lake.config.settings import load
from lake.servers import start
from lake.systems.loki.discovery import LokiServer


def test_streams_of_the_days_before_are_taken_too(lake, tmp_path):
    today = Day.today()
    with start(["loki"]) as stack:
        url = stack.endpoints["loki"]["url"]
        loki = LokiClient(url)
        loki.push(
            {"unit": "backup.service"}, [(today.plus(-3).start_ns + 5, "weekly sessionId=7", {})]
        )
        loki.push({"app": "api"}, [(today.plus(-3).start_ns + 5, "earlier", {})])
        loki.push({"app": "api"}, [(today.plus(-1).start_ns + 5, "newest", {})])
        status, _, err = lake("init", "--loki", url, "--root", "lake")
    assert status == 0, err
    settings = load(str(tmp_path / "lake.toml"), {})
    datasets = settings.dataset
    by_label = {"app_logs": '{app=~".+"}', "unit_logs": '{app="", unit=~".+"}'}
    by_service = {"service_logs": '{service_name=~".+"}'}  # Loki 3 gives each stream that label
    selectors = {dataset.name: dataset.selector for dataset in datasets}
    assert selectors in (by_label, by_service)
    assert "sessionId" in settings.incident.ids  # its lines are older than the newest day


def test_streams_without_the_label_that_earlier_ones_have_are_taken_too(lake, tmp_path):
    """Such as of another agent: the lines of `container` end before the last week."""
    today = Day.today()
    with start(["loki"]) as stack:
        url = stack.endpoints["loki"]["url"]
        loki = LokiClient(url)
        loki.push({"container": "api"}, [(today.plus(-9).start_ns + 5, "before", {})])
        loki.push({"unit": "api"}, [(today.plus(-1).start_ns + 5, "since", {})])
        status, _, err = lake("init", "--loki", url, "--root", "lake")
    assert status == 0, err
    selectors = {dataset.selector for dataset in load(str(tmp_path / "lake.toml"), {}).dataset}
    by_label = {'{container=~".+"}', '{container="", unit=~".+"}'}
    assert selectors in (by_label, {'{service_name=~".+"}'})


def test_the_oldest_line_is_that_of_any_label(lake):
    """`container` is looked at first, and has begun later."""
    today = Day.today()
    with start(["loki"]) as stack:
        url = stack.endpoints["loki"]["url"]
        loki = LokiClient(url)
        for days in (20, 1):
            loki.push({"unit": "api"}, [(today.plus(-days).start_ns + 5, "x", {})])
        loki.push({"container": "api"}, [(today.plus(-2).start_ns + 5, "x", {})])
        status, out, err = lake("init", "--loki", url, "--root", "lake")
    assert status == 0, err
    assert f"oldest data from {today.plus(-20)}" in out


def test_streams_that_ended_weeks_ago_are_taken_too(lake, tmp_path):
    """Loki keeps them, so their days would be exported by no dataset."""
    today = Day.today()
    with start(["loki"]) as stack:
        url = stack.endpoints["loki"]["url"]
        loki = LokiClient(url)
        for days, labels in (
            (130, {"job": "legacy", "host": "a"}),
            (33, {"job": "legacy"}),
            (12, {"unit": "cron"}),
            (12, {"app": "api"}),
            (1, {"app": "api"}),
        ):
            loki.push(labels, [(today.plus(-days).start_ns + 5, "traceId=7", {})])
        status, out, err = lake("init", "--loki", url, "--root", "lake")
    assert status == 0, err
    selectors = {dataset.selector for dataset in load(str(tmp_path / "lake.toml"), {}).dataset}
    by_label = {
        '{app=~".+"}',
        '{app="", unit=~".+"}',
        '{app="", unit="", job=~".+"}',
    }
    assert selectors in (by_label, {'{service_name=~".+"}'})
    if selectors == by_label:
        assert f"which ended before {today.plus(-7)}" in out
    assert "not listed" not in out
    assert f"oldest data from {today.plus(-130)}" in out


def test_weeks_that_loki_does_not_list_are_named(lake, tmp_path, monkeypatch):
    today = Day.today()
    listed = LokiServer.streams

    def streams(self, labels, start, end, absent=()):
        if absent and end < today.plus(-10):
            raise TransientError("Loki took too long")
        return listed(self, labels, start, end, absent)

    with start(["loki"]) as stack:
        url = stack.endpoints["loki"]["url"]
        loki = LokiClient(url)
        for days, labels in ((25, {"job": "legacy"}), (1, {"app": "api"})):
            loki.push(labels, [(today.plus(-days).start_ns + 5, "x", {})])
        monkeypatch.setattr(LokiServer, "streams", streams)
        status, out, err = lake("init", "--loki", url, "--root", "lake")
    assert status == 0, err
    text = (tmp_path / "lake.toml").read_text()
    for shown in (out, text):
        assert re.search(r"streams that ended before \S+ were not listed", shown)
