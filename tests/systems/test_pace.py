"""How hard a source is asked, as its answers slow down and speed up again."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lake.base.errors import Refused, TransientError
from lake.http.client import Http, RequestTally
from lake.pace import Pace, Slowing
from lake.systems.prometheus.config import PrometheusSource


def pace(max_parallel: int = 4, slow_at_s: float | None = 0.1, probe=lambda: None) -> Pace:
    return Pace(max_parallel, slow_at_s, probe, name="test")


def most_at_a_time(pace: Pace, requests: int, takes_s: float = 0.01) -> int:
    inside, most, lock = [0], [0], threading.Lock()

    def request_in_turn(_: int) -> None:
        with pace.turn():
            with lock:
                inside[0] += 1
                most[0] = max(most[0], inside[0])
            time.sleep(takes_s)
            with lock:
                inside[0] -= 1

    with ThreadPoolExecutor(16) as pool:
        list(pool.map(request_in_turn, range(requests)))
    return most[0]


@pytest.mark.parametrize("parallel", [1, 3, 8])
def test_never_more_at_a_time_than_allowed(parallel: int) -> None:
    assert most_at_a_time(pace(parallel, None), 40) == parallel


def test_a_slow_source_is_asked_less_at_a_time() -> None:
    slowed = pace(8)
    for expected in (4, 2, 1):
        slowed.judge(0.2)
        assert most_at_a_time(slowed, 16) == expected


def test_at_one_at_a_time_each_request_is_followed_by_a_rest_in_proportion() -> None:
    slowed = pace(1)
    for _ in range(3):
        slowed.judge(0.2)  # a rest of 0.5, 1, then 2 times the request
    slowing = Slowing()
    for _ in range(2):
        with slowed.turn(slowing):
            time.sleep(0.05)
    assert slowing.paused_s >= 2 * 0.05  # between the two
    assert slowing.details()["least_parallel"] == 1


def test_a_source_that_is_quick_again_is_asked_as_before() -> None:
    slowed = pace(4)
    for _ in range(20):
        slowed.judge(9.0)
    for _ in range(200):
        slowed.judge(0.01)
    slowing = Slowing()
    with slowed.turn(slowing):
        pass
    with slowed.turn(slowing):
        pass
    assert slowing.paused_s < 0.05
    assert most_at_a_time(slowed, 16) == 4


@given(st.lists(st.floats(0, 10), max_size=60), st.integers(1, 16))
def test_whatever_the_probes_take_one_request_may_always_run(
    probes: list[float], parallel: int
) -> None:
    judged = pace(parallel)
    for probe_s in probes:
        judged.judge(probe_s)
    slowing = Slowing()
    with judged.turn(slowing):
        pass
    assert 1 <= slowing.least_parallel <= parallel


def test_the_source_is_probed_while_requests_run_and_not_afterwards() -> None:
    probes: list[float] = []

    def slow() -> None:
        probes.append(time.monotonic())
        time.sleep(0.02)

    watched, slowing = pace(4, 0.01, slow), Slowing()
    with watched.turn(slowing):
        time.sleep(0.5)
    assert probes
    assert slowing.slowest_probe_s >= 0.02
    watched.close()
    time.sleep(0.15)
    seen = len(probes)
    time.sleep(0.3)
    assert len(probes) == seen


def test_a_source_that_is_down_is_slow(caplog: pytest.LogCaptureFixture) -> None:
    def down() -> None:
        raise TransientError("no answer")

    watched, slowing = pace(8, 0.01, down), Slowing()
    with watched.turn():
        time.sleep(0.3)
    watched.close()
    with watched.turn(slowing):
        pass
    assert slowing.least_parallel < 8
    assert caplog.text.count("a probe failed, which counts as a slow one") == 1  # of many


def test_a_probe_that_is_refused_ends_the_probing_with_a_warning(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def refused() -> None:
        raise Refused("not for you")

    watched = pace(4, 0.01, refused)
    with watched.turn():
        time.sleep(0.4)
    assert "slow_down_at is idle" in caplog.text
    assert most_at_a_time(watched, 16) == 4


def test_a_server_that_slows_down_is_asked_less_and_the_work_is_told(scripted, reply) -> None:
    """The probe is slow as soon as two real questions run at a time."""
    inside, lock = [0], threading.Lock()

    def answer(request):
        if request.path == "/probe":
            time.sleep(0.1 if inside[0] > 1 else 0)
            return reply()
        with lock:
            inside[0] += 1
        time.sleep(0.05)
        with lock:
            inside[0] -= 1
        return reply()

    scripted.answer = answer
    section = PrometheusSource(url=scripted.url, max_parallel=8, slow_down_at="50ms")
    http, tally = Http(section, "prometheus", probe=("/probe", {})), RequestTally()
    sent, deadline = 0, time.monotonic() + 30
    with ThreadPoolExecutor(8) as pool:  # a busy machine may be late with its probes
        while (tally.slowing.least_parallel or 8) > 2 and time.monotonic() < deadline:
            list(pool.map(lambda _: http.get("/x", tally=tally), range(20)))
            sent += 20
    http.close()
    assert tally.requests == sent
    details = tally.slowing.details()
    assert details["least_parallel"] <= 2
    assert details["paused_s"] > 0
    assert details["slowest_probe_ms"] >= 100


def test_without_a_limit_no_probe_is_sent(scripted) -> None:
    section = PrometheusSource(url=scripted.url, slow_down_at="")
    http = Http(section, "prometheus", probe=("/probe", {}))
    for _ in range(3):
        http.get("/x")
        time.sleep(0.1)
    http.close()
    assert {request.path for request in scripted.requests} == {"/x"}
