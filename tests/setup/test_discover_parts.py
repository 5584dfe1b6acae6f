"""The choices that a look at a server makes, without the server."""

import re
import tomllib
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from types import SimpleNamespace
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lake.base.day import Day
from lake.base.errors import Refused, TransientError
from lake.config.incident import IncidentSection
from lake.discover.lake_toml import LakeToml, toml
from lake.http.credentials import public_keys, secret_keys
from lake.systems import periods
from lake.systems.check import clock, http_clock
from lake.systems.discovered import (
    UNLIMITED_DAYS,
    DiscoveredSource,
    DiscoveredTable,
    id_fields,
    unique_name,
)
from lake.systems.loki import discovery as loki
from lake.systems.mongo import discovery as mongo_discovery
from lake.systems.mongo.discovery import DateField
from lake.systems.prometheus.config import PrometheusSource
from lake.systems.prometheus.discovery import group, pattern

WORDS = st.sampled_from(["http", "server", "client", "requests", "jvm", "up", "total", "seconds",
                         "count", "bucket", "sum", "job:x", "a.b", "db", "2", "a b", '"', "\\", "^",
                         "]", "-", "$1", "\n", "é"])  # fmt: skip
METRICS = st.lists(
    st.tuples(st.sampled_from("_."), st.lists(WORDS, min_size=1, max_size=5)).map(
        lambda made: made[0].join(made[1])
    ),
    unique=True,
    min_size=1,
)


@given(METRICS)
def test_each_metric_is_in_exactly_one_family(names):
    families = group(names)
    assert sorted(name for members in families.values() for name in members) == sorted(names)
    for prefix, members in families.items():
        if len(members) > 1 or prefix not in ("http", "db"):
            expression = re.compile(pattern(prefix, members), re.DOTALL)  # as Prometheus 3
            assert [name for name in sorted(names) if expression.fullmatch(name)] == members


def test_families_as_people_name_them():
    names = ["http_server_requests_seconds_count", "http_server_requests_seconds_sum",
             "http_server_requests_active_seconds_max", "http_client_requests_seconds_count",
             "jvm_memory_used_bytes", "jvm_gc_pause_seconds_sum", "up", "go_info", "go_threads",
             "llm_tokens_total", "job:rate:5m"]  # fmt: skip
    assert set(group(names)) == {
        "http_server_requests", "http_client_requests", "jvm", "up", "go", "llm_tokens",
        "job:rate:5m",
    }  # fmt: skip
    dotted = ["http.server.request.duration_count", "http.server.request.duration_sum",
              "jvm.memory", "jvm.gc_pause_sum", "http.client.open"]  # fmt: skip
    assert set(group(dotted)) == {"http_server_request_duration", "jvm", "http_client_open"}
    assert set(group(["_up_a", "_up_b", "__x", "_http_server_a", "_"])) == {
        "_up",
        "__x",
        "_http_server_a",
        "_",
    }
    assert pattern("_up", ["_up_a"]) == "_up(_.*)?"
    assert pattern("jvm", ["jvm.memory"]) == "jvm([_.].*)?"
    assert pattern("http_server", ["http.server"]) == "http[_.]server([_.].*)?"
    assert pattern("job:rate:5m", ["job:rate:5m"]) == "job[:]rate[:]5m(_.*)?"


@pytest.mark.parametrize(
    ("streams", "labels"),
    [
        ([{"container": "a", "app": "x"}, {"container": "b"}], ["container"]),
        ([{"app": "x", "job": "j"}, {"app": "y"}, {"job": "k"}], ["app", "job"]),
        ([{"zone": "x", "service_name": "j"}], ["service_name"]),
        ([], []),
    ],
)
def test_labels_that_cover_all_streams(streams, labels):
    assert loki.covering(streams) == labels


def test_a_period_that_ends_at_the_midnight_that_passes(monkeypatch):
    """A server refuses a range without a day: none is looked at."""
    first = Day.today().plus(-3)
    todays = iter([Day.today()])
    monkeypatch.setattr(Day, "today", classmethod(lambda cls: next(todays, first.plus(4))))
    probed = []

    def has_data(since, until):
        probed.append((since, until))
        return since <= first.plus(3) < until

    assert periods.last_day(has_data, first) == first.plus(3)
    assert all(since < until for since, until in probed)


@pytest.mark.parametrize("first", [0, 1, 17, 399])
@pytest.mark.parametrize("length", [1, 2, 5, 100])
def test_periods(first, length):
    start = Day.today().plus(-400)
    data = {start.plus(first + n) for n in range(length) if first + n <= 400}
    probed = []

    def has_data(since, until):
        probed.append(since)
        return any(since <= day < until for day in data)

    first_day = periods.first_day(has_data, 400)
    assert first_day == min(data)
    assert periods.last_day(has_data, first_day) == max(data)
    assert len(probed) < 25
    assert periods.first_day(lambda since, until: False, None) is None


@pytest.mark.parametrize("first", [0, 1, 17, 360, 399])
def test_a_server_that_takes_no_notice_of_long_ranges(first):
    start = Day.today().plus(-400)
    days = [start.plus(first), Day.today()]

    def has_data(since, until):
        return since.days_until(until) > 40 or any(since <= day < until for day in days)

    assert periods.first_day(has_data, None) == days[0]
    assert periods.last_day(has_data, days[0]) == days[1]


@given(st.text() | st.integers(-(2**63), 2**63 - 1))
def test_toml_values_come_back(value):
    assert tomllib.loads(f"x = {toml(value)}")["x"] == value


@pytest.mark.parametrize(
    ("wish", "taken", "name"),
    [
        ("usageAnalytics", (), "usage_analytics"),
        ("HTTPServer", (), "httpserver"),
        ("a.b-c", (), "a_b_c"),
        ("2fa", (), "t_2fa"),
        ("größe", (), "gr_e"),
        ("日本", (), "dataset"),
        ("x", ("x", "x_2"), "x_3"),
        ("y" * 80, ("y" * 63,), "y" * 61 + "_2"),
        ("config", (), "config_rows"),
        ("Import", ("import_rows",), "import_rows_2"),
        ("snapshot_prometheus", (), "snapshot_prometheus_rows"),
    ],
)
def test_names(wish, taken, name):
    assert unique_name(wish, taken) == name


@pytest.mark.parametrize(
    ("fields", "best"),
    [
        ([("updatedAt", 1, True, None), ("createdAt", 1, True, None)], "createdAt"),
        ([("expireAt", 1, True, 0), ("at", 1, False, None)], "at"),
        ([("expireAt", 1, True, 0), ("lastSeen", 1, True, 86400)], "lastSeen"),
        ([("timestamp", 1, False, None), ("logged", 1, True, 86400)], "logged"),
        ([("timestamp", 1, False, None), ("logged", 1, True, None)], "logged"),
        ([("timestamp", 0.2, True, None), ("logged", 1, False, None)], "logged"),
        ([("meta.timestamp", 1, False, None), ("timestamp", 1, False, None)], "timestamp"),
    ],
)
def test_which_date_looks_like_the_events(fields, best):
    assert (
        max((DateField(*field) for field in fields), key=lambda candidate: candidate.rank).path
        == best
    )


def test_odd_names_and_comments_make_a_file_that_loads(tmp_path):
    tables = (
        DiscoveredTable("a", {"source": "mongo", "collection": "a\"b'\n"}, ("odd\nline\x00",)),
        DiscoveredTable("a", {"source": "mongo", "collection": "c"}, (), "it is\nempty"),
        DiscoveredTable("B", {"source": "mongo", "collection": "größe 日"}),
    )
    source = DiscoveredSource(
        "mongo", {"uri": "mongodb://h", "database": "d"}, "M", 5, "ttl", tables, None, ("LAKE_X",)
    )
    old = DiscoveredSource("loki", {"url": "http://h"}, "L", None, "?", (), Day.parse("1970-01-01"))
    written = LakeToml("s3://bucket", [source, old], {"region": "r"})
    loaded = tomllib.loads(written.render())
    assert [d["collection"] for d in loaded["dataset"]] == ["a\"b'\n", "größe 日"]
    assert [d["name"] for d in loaded["dataset"]] == ["a", "b"]
    assert loaded["hot"] == {"mongo": 5, "loki": 30}
    assert "loki = 30  # unknown (?): this is the default, correct it" in written.render()
    assert "first_day" not in loaded["lake"]  # 1970 is a mistake in the data
    assert "secrets come from the environment variable LAKE_X" in written.render()


def test_clocks():
    now = datetime.now(UTC)
    assert clock("x", now, now).state == "ok"
    late = clock("x", now - timedelta(minutes=10), now)
    assert late.state == "warn"
    assert "600 s apart" in late.found
    assert [c.state for c in http_clock("x", format_datetime(now), now)] == ["ok"]
    assert list(http_clock("x", None, now)) == []


@pytest.mark.parametrize(
    ("config", "limits", "days"),
    [
        ("compactor:\n  retention_enabled: false\n", {}, UNLIMITED_DAYS),
        ("compactor:\n  retention_enabled: false\n", {"retention_period": "2d"}, UNLIMITED_DAYS),
        ("compactor:\n  retention_enabled: true\nlimits_config:\n  retention_period: 48h\n", {}, 2),
        ("compactor:\n    retention_enabled: true\n", {"retention_period": "168h"}, 7),
        ("compactor:\n    retention_enabled: true\nlimits_config:\n    retention_period: 31d\n",
         {"retention_period": "1w"}, 7),
        ("compactor:\n  retention_enabled: true\n", {}, None),
        ("<html>log in</html>", {}, None),
        ("<html>log in</html>", {"retention_period": "0s"}, None),
        (None, {"retention_period": "1w"}, 7),
        (None, {}, None),
    ],
)  # fmt: skip
def test_how_long_loki_keeps_lines(config, limits, days):
    class Answering:
        def get(self, path, **_):
            if path == "/loki/api/v1/drilldown-limits":
                return SimpleNamespace(json=lambda: {"limits": limits})
            if path != "/config" or config is None:
                raise Refused("not for you")
            return SimpleNamespace(content=config.encode())

    assert loki.LokiServer(Answering()).kept_days() == days


def test_a_gateway_that_cannot_reach_lokis_configuration():
    """A 502 or 503 is as good as no answer: nobody needs the page."""

    class Failing:
        def get(self, path, **_):
            raise TransientError(f"{path}: 503")

    assert loki.LokiServer(Failing()).kept_days() is None


def test_identifiers_are_recognised_by_their_names_the_narrowest_first():
    names = ["sessionId", "client.trace_id", "x-request-id", "requestId", "id", "userId", "spanId",
             "requestIdentity", "meta.Correlation-ID"]  # fmt: skip
    assert id_fields(names) == (
        "requestId", "x-request-id", "client.trace_id", "meta.Correlation-ID", "sessionId"
    )  # fmt: skip


def test_identifiers_of_documents_have_their_paths():
    document = {
        "requestId": "a",
        "client": {"traceId": UUID(int=1), "tags": ["requestId"], "a.b": 1},
        "sessionId": None,
        "correlationId": {"$oid": "x", "inner": 1},
    }
    paths = set(mongo_discovery._texts(document))
    assert paths == {"requestId", "client.traceId", "correlationId.inner"}
    assert id_fields(paths) == ("requestId", "client.traceId")


def test_identifiers_of_lines_are_labels_metadata_and_keys_of_the_text(monkeypatch):
    lines = ['{"a":{"requestId" : "x"},"n":1}', 'level=info trace_id=7 msg="sessionId: 3"']
    streams = [{"stream": {"container": "api", "correlation_id": "c"}, "values": [["1", line]]}
               for line in lines]  # fmt: skip
    server = loki.LokiServer(SimpleNamespace())
    monkeypatch.setattr(server, "get", lambda *_: {"data": {"result": streams}})
    names = server.names('{container=~".+"}', Day.parse("2026-07-01"), Day.parse("2026-07-02"))
    assert id_fields(names) == ("requestId", "trace_id", "correlation_id", "sessionId")


def test_identifiers_are_written_for_lake_incident():
    mongo = DiscoveredTable(
        "a", {"source": "mongo", "collection": "a"}, (), "", ("client.traceId",)
    )
    logs = DiscoveredTable("b", {"source": "loki", "selector": '{a="b"}'}, (), "", ("requestId",))
    sources = [
        DiscoveredSource("mongo", {"uri": "u"}, "", 90, "", (mongo,)),
        DiscoveredSource("loki", {"url": "u"}, "", 30, "", (logs, mongo)),
    ]
    written = tomllib.loads(LakeToml("lake", sources, {}).render())
    assert written["incident"] == {"ids": ["requestId", "client.traceId"]}
    IncidentSection.model_validate(written["incident"])
    plain = replace(sources[0], tables=(replace(mongo, id_fields=()),))
    assert "incident" not in tomllib.loads(LakeToml("lake", [plain], {}).render())


def test_what_of_a_server_with_a_login_may_stand_in_the_file():
    section = PrometheusSource(
        url="https://me:hush-1@h:1/p", password="hush-2", ca_file="/etc/ca.pem", tenant="a",
        headers={"X-Key": "hush-3"},
    )  # fmt: skip
    keys = {"url": "https://h:1/p", "username": "me", "tenant": "a", "ca_file": "/etc/ca.pem"}
    assert public_keys(section) == keys
    assert secret_keys(section) == [("password",), ("headers",)]
