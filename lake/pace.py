"""The load on a source: a bound on parallel requests, lower when its answers slow down.

Belongs here: when the next request may go out. Does not: the requests themselves.

While requests run, a probe (the smallest request that the source answers) is sent beside
them, again and again: its duration is what another client has to wait. When it takes
longer than the limit, first fewer requests run at a time, then each request is followed by
a rest in proportion to what it took; when the probe is quick again, that is taken back
slowly.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Condition, Event, Lock, Thread

from lake.base.errors import LakeError, PermanentError, Stopped

_LOG = logging.getLogger(__name__)
_FIRST_REST = 0.5  # of the time that the request took
_MOST_REST = 128.0
_LONGEST_REST_S = 30.0
_RECOVERY = 0.9  # of a rest is left after a quick probe
_MORE_PARALLEL = 0.25
_IDLE_S = 2.0
_SHORTEST_INTERVAL_S, _LONGEST_INTERVAL_S = 0.1, 1.0


@dataclass
class Slowing:
    """What holding back did to one piece of work. Safe across threads.

    `paused_s`: waited for the source's sake, summed over parallel requests.
    `least_parallel`: the fewest requests at a time that were allowed; None where none ran.
    `slowest_probe_s`: the longest answer to a probe while the work ran.
    """

    paused_s: float = 0.0
    least_parallel: int | None = None
    slowest_probe_s: float = 0.0
    _lock: Lock = field(default_factory=Lock, repr=False)

    def note(self, paused_s: float, parallel: int, probe_s: float) -> None:
        """Takes one request's share."""
        with self._lock:
            self.paused_s += paused_s
            self.least_parallel = min(self.least_parallel or parallel, parallel)
            self.slowest_probe_s = max(self.slowest_probe_s, probe_s)

    def details(self) -> dict[str, float]:
        """For a manifest: seconds waited, the fewest at a time, the slowest probe in ms."""
        return {
            "paused_s": round(self.paused_s, 3),
            "least_parallel": self.least_parallel or 0,
            "slowest_probe_ms": round(self.slowest_probe_s * 1000, 1),
        }


class Pace:
    """Turns at a source: at most `max_parallel`, fewer while a probe takes over `slow_at_s`.

    `slow_at_s` None: no probes are sent. A probe that fails for now (TransientError) is a
    slow one; one that the source refuses for good ends the probing, with a warning.
    """

    def __init__(
        self,
        max_parallel: int,
        slow_at_s: float | None,
        probe: Callable[[], object],
        *,
        name: str,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._max_parallel = max_parallel
        self._slow_at_s = slow_at_s
        self._probe = probe
        self._name = name
        self._clock = clock
        self._changed = Condition()
        self._closed = Event()
        self._prober: Thread | None = None
        self._running = 0
        self._last_turn = 0.0
        self._allowed = float(max_parallel)
        self._rest = 0.0
        self._not_before = 0.0
        self._last_probe_s = 0.0

    @contextmanager
    def turn(self, slowing: Slowing | None = None) -> Iterator[None]:
        """One request: waits until it may go out."""
        paused_s, parallel = self._enter()
        begun = self._clock()
        try:
            yield
        finally:
            took_s = self._clock() - begun
            with self._changed:
                self._running -= 1
                self._last_turn = self._clock()
                rest_s = min(took_s * self._rest, _LONGEST_REST_S)
                self._not_before = max(self._not_before, self._last_turn + rest_s)
                self._changed.notify_all()
            if slowing is not None:
                slowing.note(paused_s, parallel, self._last_probe_s)

    def close(self) -> None:
        """Ends the probing, and every wait for a turn."""
        self._closed.set()
        with self._changed:
            self._changed.notify_all()

    def judge(self, probe_s: float) -> None:
        """Takes what a probe took, and decides what it means for the next turns."""
        slow_at_s = self._slow_at_s
        if slow_at_s is None:
            return
        with self._changed:
            self._last_probe_s = probe_s
            if probe_s <= slow_at_s:
                self._speed_up()
            elif self._allowed > 1:
                self._allowed = max(1.0, self._allowed / 2)
            else:
                self._rest = min(max(2 * self._rest, _FIRST_REST), _MOST_REST)
            self._changed.notify_all()

    def _speed_up(self) -> None:
        if self._rest:
            self._rest = self._rest * _RECOVERY if self._rest > _FIRST_REST / 2 else 0.0
        else:
            self._allowed = min(float(self._max_parallel), self._allowed + _MORE_PARALLEL)

    def _enter(self) -> tuple[float, int]:
        """Seconds waited because the source is slow, and how many requests are allowed now."""
        paused_s = 0.0
        with self._changed:
            while True:
                rest_s = self._not_before - self._clock()
                if self._closed.is_set():
                    break
                if self._running >= int(self._allowed):
                    held_back = self._running < self._max_parallel
                    begun = self._clock()
                    self._changed.wait()
                    paused_s += (self._clock() - begun) * held_back
                elif rest_s > 0:
                    begun = self._clock()
                    self._changed.wait(rest_s)
                    paused_s += self._clock() - begun
                else:
                    break
            self._running += 1
            self._last_turn = self._clock()
            self._begin_probing()
            return paused_s, int(self._allowed)

    def _begin_probing(self) -> None:
        if self._slow_at_s is None or self._closed.is_set() or self._prober is not None:
            return
        self._prober = Thread(target=self._keep_probing, name=f"{self._name}-probe", daemon=True)
        self._prober.start()

    def _keep_probing(self) -> None:
        assert self._slow_at_s is not None  # noqa: S101  for the type checker
        interval_s = min(max(4 * self._slow_at_s, _SHORTEST_INTERVAL_S), _LONGEST_INTERVAL_S)
        failed = False
        while not self._closed.wait(interval_s):
            with self._changed:
                if not self._running and self._clock() - self._last_turn > _IDLE_S:
                    self._prober = None  # the next turn starts over
                    return
            begun = self._clock()
            try:
                self._probe()
            except Stopped:
                return  # the source is being closed
            except PermanentError as error:
                _LOG.warning("%s: no probe is answered, so slow_down_at is idle: %s",
                             self._name, error)  # fmt: skip
                self._slow_at_s = None
                return
            except LakeError as error:
                # Down or overloaded: whatever it took, that is slow.
                if not failed:
                    _LOG.warning("%s: a probe failed, which counts as a slow one: %s",
                                 self._name, error)  # fmt: skip
                failed = True
                self.judge(max(self._clock() - begun, 2 * self._slow_at_s))
            else:
                failed = False
                self.judge(self._clock() - begun)
