"""The version of a Loki, and what follows from it.

Belongs here: where a server reports its version, and which versions can do what.
Does not: how a day is read from them.

`/loki/api/v1/status/buildinfo` reports the version from Loki 2.3 on, `/metrics` from all
versions where no gateway hides it. A server that reports none counts as old.
"""

from __future__ import annotations

import logging
import re
from dataclasses import dataclass, field
from threading import Lock

from lake.base.errors import LakeError
from lake.http.client import Http, RequestTally

_LOG = logging.getLogger(__name__)
_BUILD_INFO = "/loki/api/v1/status/buildinfo"
_METRIC = re.compile(r'^loki_build_info\{[^}]*\bversion="([^"]*)"', re.MULTILINE)
_NUMBERS = re.compile(r"v?(\d+)\.(\d+)(\.|-|$)")
_METRICS_BYTES = 32 << 20


@dataclass(frozen=True)
class Version:
    """What the server reports; empty where it reports nothing."""

    reported: str = ""

    @property
    def numbers(self) -> tuple[int, int] | None:
        """Major and minor; None for anything that is not a release (`main-1a2b3c`, `k250`)."""
        match = _NUMBERS.match(self.reported)
        return (int(match[1]), int(match[2])) if match else None

    @property
    def knows_metadata(self) -> bool:
        """Whether lines can have structured metadata (from 2.9 on)."""
        return self.numbers is not None and self.numbers >= (2, 9)

    @property
    def drops(self) -> bool:
        """Whether LogQL has the stage `| drop` (from 2.8 on); where nothing is known, it may."""
        return self.numbers is None or self.numbers >= (2, 8)

    @property
    def merges_metadata(self) -> bool | None:
        """Whether equal lines of one stream and instant count as one, whatever their metadata
        (before 3.7); None: not known.
        """
        return None if self.numbers is None else self.knows_metadata and self.numbers < (3, 7)

    @property
    def orders_parts(self) -> bool:
        """Whether the first lines of a query that the frontend has split are the earliest (from 3.7
        on): before, they are taken from the streams in turn.
        """
        return self.numbers is not None and self.numbers >= (3, 7)

    @property
    def leaves_out_empty_lines(self) -> bool | None:
        """Whether an empty line with which a chunk begins is not returned (2.4 to 3.2); None: not
        known.
        """
        return None if self.numbers is None else (2, 4) <= self.numbers < (3, 3)

    @property
    def merges_streams(self) -> bool:
        """Whether equal lines of several streams at one instant may count as one (before 2.6)."""
        return self.numbers is None or self.numbers < (2, 6)

    @property
    def leaves_out_streams(self) -> bool:
        """Whether `/series` may not list a stream whose lines queries return (from 2.6 on)."""
        return self.numbers is not None and self.numbers >= (2, 6)

    @property
    def splits_counts(self) -> bool:
        """Whether a count is made of parts that lack their last ns each (2.6 to 3.2)."""
        return self.numbers is not None and (2, 6) <= self.numbers < (3, 3)

    @property
    def categorizes(self) -> bool | None:
        """Whether answers list labels and metadata apart (from 3.0 on); None: not known."""
        return None if self.numbers is None else self.numbers >= (3, 0)

    def __str__(self) -> str:
        return self.reported or "unknown"

    @property
    def described(self) -> str:
        """A phrase for messages."""
        if not self.reported:
            return "Loki of unknown version (it reports none: 2.x, or behind a gateway)"
        return f"Loki {self.reported}"


def reported_version(http: Http, tally: RequestTally | None = None) -> Version:
    """What the server reports about itself. Raises what lake.http raises but refusals."""
    try:
        body = http.get(_BUILD_INFO, attempts=2, tally=tally).json()
        data = body.get("data", body) if isinstance(body, dict) else {}
        version = data.get("version") if isinstance(data, dict) else None
        if isinstance(version, str) and version:
            return Version(version)
    except LakeError as error:
        _LOG.info("loki: no build information: %s", error.what)
    try:
        answer = http.get("/metrics", attempts=1, max_bytes=_METRICS_BYTES, tally=tally)
    except LakeError as error:
        _LOG.info("loki: no metrics: %s", error.what)
        return Version()
    match = _METRIC.search(answer.content.decode("utf-8", "replace"))
    return Version(match[1] if match else "")


@dataclass
class Dialect:
    """The format of a server's answers and its LogQL; outlives one task.

    `categorized`: as the answers show, None before the first line.
    `drops`: LogQL has the stage `| drop`.
    `together`: the number of streams that one query counts.
    `parts_ns`: the interval of the parts of a split query whose first lines may not be the
    earliest; 0: they are.
    """

    version: Version = field(default_factory=Version)
    categorized: bool | None = None
    drops: bool = field(init=False)
    together: int = 50  # Loki 2.2 counts them one after the other
    parts_ns: int = 0
    _lock: Lock = field(default_factory=Lock, repr=False)

    def __post_init__(self) -> None:
        self.drops = self.version.drops

    def learn(self, *, categorized: bool) -> None:
        """An answer with lines has come."""
        with self._lock:
            self.categorized = categorized

    def learn_no_drop(self) -> None:
        """The server does not parse `| drop`."""
        with self._lock:
            self.drops = False

    def learn_together(self, streams: int) -> None:
        """The server does not parse a query of more."""
        with self._lock:
            self.together = max(1, min(self.together, streams))

    @property
    def by_stream(self) -> bool | None:
        """Whether a day has to be read and counted stream by stream; None: not known yet."""
        if self.categorized is not None:
            return not self.categorized
        categorizes = self.version.categorizes
        return None if categorizes is None else not categorizes
