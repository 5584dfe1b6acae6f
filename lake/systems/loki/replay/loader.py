"""Partitions of lines into a Loki, by its push API.

Belongs here: rows as streams, the limits that replayed lines need lifted, counting.
Does not: protobuf (push), servers.

The server adds nothing by itself: what Loki had added at the first push (`service_name`, a
label; `detected_level`, metadata) is in the table, and goes back as it is.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from functools import cached_property, partial
from typing import Any

import numpy as np
import pyarrow as pa

from lake.base.day import Day
from lake.base.errors import Incomplete, UsageError
from lake.http.client import Http, Rejected
from lake.store import Store
from lake.systems.label_sets import Integers, Pairs, label_columns, label_sets, starts_of
from lake.systems.loading import Loaded, Remarks
from lake.systems.loki.config import LokiDataset, LokiSource
from lake.systems.loki.reading import LokiReader
from lake.systems.loki.reading.logql import Selector
from lake.systems.loki.replay import push
from lake.systems.loki.replay.label_values import REPLACEMENT, parses_again
from lake.systems.loki.snapshot.restored import version_of
from lake.systems.partitions import SERVER_VERSION, Partition, batches_of
from lake.systems.sending import Sending

_FIXED = frozenset({"day", "ts", "ts_ns", "stream_id", "line", "metadata"})
_ROWS = 32_768
_MANY = 1_000_000
_CATEGORISED = "3"
_METADATA = (3, 0)  # the lowest version
_SCHEMA, _OLD_SCHEMA = ("tsdb", "v13"), ("boltdb-shipper", "v11")
_OLDEST_SCHEMA = Day.parse("2020-01-01")
_APPEARS_WITHIN_S = 150.0  # Loki 2.2 reads the index in use once a minute
_LOOK_S = 0.2
_EVERYTHING = LokiDataset(name="everything", source="loki", selector="{}")
_NO_LABELS: Pairs = [("service_name", "unknown_service")]  # as Loki itself calls such streams
_PIPELINE = (
    "{}: its selector has a pipeline: lines and labels are as it left them, and labels that it "
    "found in a line are structured metadata"
)
_LABELLESS = 'streams without a label got service_name="unknown_service": {}'
_NO_METADATA = (
    "{} lines have structured metadata, which Loki VERSION does not store: it is in the tables, "
    "and a Loki 3.x on PATH would hold it"
)
_UNPARSED = (
    "{} lines are not replayed: Loki VERSION cannot parse a value of their label NAME (it ends in "
    "a character that is not printable, or has one before a quote or a backslash): they are in "
    "the tables, and a Loki 3.x on PATH would hold them"
)
_REPLACED = (
    "{} lines are not replayed: no Loki stores a label value with U+FFFD, such as those of their "
    "label NAME: they are in the tables"
)
# A stream without lines: the labels are parsed, and nothing is stored.
_ESCAPE_AT_THE_END = push.without_lines(r'{monitoring_lake="\u0001"}')
_REPEATED = (
    "lines that repeat another of the same stream, time and text: Loki may count them once: {}"
)


def needed_version(partitions: Sequence[Partition]) -> str:
    """Manifests of earlier versions do not contain the server's: they exported from 3.x only."""
    return (
        ""
        if any(SERVER_VERSION in partition.manifest.details for partition in partitions)
        else _CATEGORISED
    )


def server_options(first_day: Day, version: str) -> dict[str, Any]:
    """Of a Loki of this version that takes the lines as they are, from this day on."""
    limits: dict[str, Any] = {
        "max_line_size": 0,
        "max_label_names_per_series": _MANY,
        "max_label_name_length": _MANY,
        "max_label_value_length": _MANY,
    }
    if stores_metadata(version):
        limits |= {
            "discover_service_name": [],
            "discover_log_levels": False,
            "max_structured_metadata_size": "1GB",
            "max_structured_metadata_entries_count": _MANY,
        }
    options: dict[str, Any] = {"loki_limits": limits}
    if first_day < _OLDEST_SCHEMA:
        store, schema = _SCHEMA if stores_metadata(version) else _OLD_SCHEMA
        period = {
            "from": str(first_day),
            "store": store,
            "object_store": "filesystem",
            "schema": schema,
            "index": {"prefix": "index_", "period": "24h"},
        }
        options["loki_config"] = {"schema_config": {"configs": [period]}}
    return options


def stores_metadata(version: str) -> bool:
    """Whether this Loki, as it is started here, stores structured metadata."""
    return version_of(version) >= _METADATA


class LokiLoader:
    """See Loader. For one server with no other writer, started with `server_options`."""

    def __init__(self, store: Store, url: str, version: str, remarks: Remarks) -> None:
        self._store = store
        self._version = version
        section = LokiSource(url=url, slow_down_at="")
        self._http = Http(section, "loki")
        self._reader = LokiReader(section)
        self._remarks = remarks
        self._sending = Sending()
        self._day: Day | None = None
        self._owners: list[tuple[str, Integers]] = []

    def order_of(self, partition: Partition) -> str:
        """See Loader: the oldest first."""
        return str(partition.day)

    def load(self, partition: Partition) -> Loaded:
        """See Loader. Raises UsageError where two datasets hold lines of one stream."""
        if partition.day != self._day:
            self._day, self._owners = partition.day, []
        dataset, manifest = partition.dataset, partition.manifest
        selector = manifest.definition.get("selector", getattr(dataset, "selector", "{}"))
        if Selector.parse(selector).pipeline:
            self._remarks.add(_PIPELINE.replace("{}", dataset.name))
        where = f"{dataset.name} {partition.day}"
        columns = label_columns([column["name"] for column in manifest.schema], _FIXED)
        seen: list[Integers] = []
        repeats, countable = _Repeats(), 0
        for batch in batches_of(self._store, manifest, _ROWS, columns):
            ids = batch["stream_id"].to_numpy()
            seen.append(ids[starts_of(ids)])
            lines, labels = self._parsable(batch, columns)
            if not len(lines):
                continue
            countable += len(lines)
            ids = lines["stream_id"].to_numpy()
            repeats.add(lines, ids)
            for body in push.requests(self._storable(lines), starts_of(ids), labels):
                self._sending.send(partial(self._push, body, where))
        self._own(dataset.name, np.unique(np.concatenate([np.empty(0, np.int64), *seen])))
        if repeats.number:
            self._remarks.add(_REPEATED, repeats.number)
        return Loaded(manifest.rows, countable, countable - repeats.number)

    def end_of_day(self) -> None:
        """See Loader. Ends the day's chunks, so that a question decodes no other day's lines."""
        self._sending.finish()
        self._http.request("POST", "/flush")

    def finish(self) -> None:
        """See Loader: nothing is left to be done."""

    def count(self, day: Day, loaded: Mapping[str, Loaded]) -> dict[str, int]:
        """See Loader: Loki's count of the whole day, which takes a moment after a flush.

        Where it is right, every dataset's is; a difference is reported of each.
        """
        most = sum(counts.countable for counts in loaded.values())
        least = sum(counts.at_least for counts in loaded.values())
        deadline = time.monotonic() + _APPEARS_WITHIN_S
        while not least <= (counted := self._reader.count(_EVERYTHING, day).rows) <= most:
            if time.monotonic() > deadline:
                return {name: counts.countable + counted - most for name, counts in loaded.items()}
            time.sleep(_LOOK_S)
        if len(loaded) == 1:
            return dict.fromkeys(loaded, counted)
        return {name: counts.countable for name, counts in loaded.items()}

    def close(self) -> None:
        """See Loader."""
        self._sending.close()
        self._reader.close()
        self._http.close()

    def _storable(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """Without metadata where this Loki takes none; how many lines had some is reported."""
        metadata = batch["metadata"]
        having = int(np.count_nonzero(np.diff(np.asarray(metadata.offsets))))
        if not having or stores_metadata(self._version):
            return batch
        self._remarks.add(_NO_METADATA.replace("VERSION", self._version), having)
        none = pa.MapArray.from_arrays(
            pa.array(np.zeros(len(batch) + 1, np.int32)), metadata.keys[:0], metadata.items[:0]
        )
        at = batch.schema.get_field_index("metadata")
        return batch.set_column(at, "metadata", none)

    def _parsable(
        self, batch: pa.RecordBatch, columns: list[str]
    ) -> tuple[pa.RecordBatch, list[bytes]]:
        """The lines of streams whose labels this Loki can parse, and those labels.

        The number of the other lines is reported: one such label would have the request refused.
        """
        starts = starts_of(batch["stream_id"].to_numpy())
        lengths = np.diff(starts, append=len(batch))
        sets = list(label_sets(batch, starts, columns))
        unparsed = [self._unparsed(pairs) for pairs in sets]
        for remark, number in zip(unparsed, lengths.tolist(), strict=True):
            if remark:
                self._remarks.add(remark, number)
        labels = [self._labels(pairs) for pairs, no in zip(sets, unparsed, strict=True) if not no]
        if len(labels) == len(sets):
            return batch, labels
        kept = np.repeat(np.array([not error for error in unparsed]), lengths)
        return batch.filter(pa.array(kept)), labels

    def _unparsed(self, pairs: Pairs) -> str:
        """Why this Loki refuses a stream with these labels; '' where it takes it."""
        for name, value in pairs:
            if REPLACEMENT in value:
                return _REPLACED.replace("NAME", name)
            # Nearly all values are printable: no request about the server's parser.
            if not value.isprintable() and not parses_again(value, skips=self._skips):
                return _UNPARSED.replace("VERSION", self._version).replace("NAME", name)
        return ""

    @cached_property
    def _skips(self) -> bool:
        """Whether the parser skips what follows a numeric escape; see label_values."""
        try:
            self._http.request(
                "POST", "/loki/api/v1/push", data=_ESCAPE_AT_THE_END, headers=push.HEADERS
            )
        except Rejected:
            return True
        return False

    def _labels(self, pairs: Pairs) -> bytes:
        if not pairs:
            self._remarks.add(_LABELLESS, 1)
        return push.stream_labels(pairs or _NO_LABELS)

    def _push(self, body: bytes, where: str) -> None:
        try:
            self._http.request("POST", "/loki/api/v1/push", data=body, headers=push.HEADERS)
        except Rejected as error:
            raise Incomplete(
                "the temporary Loki refused lines", where=where, found=error.text
            ) from error

    def _own(self, name: str, streams: Integers) -> None:
        for other, theirs in self._owners:
            both = np.intersect1d(streams, theirs)
            if len(both):
                raise UsageError(
                    "two datasets hold lines of the same stream: one server can't separate them",
                    where=f"{other} and {name}, {self._day}",
                    found=f"{len(both)} streams in both",
                    remedy="replay them into two directories",
                )
        self._owners.append((name, streams))


class _Repeats:
    """Lines of one stream and time that have the same text as one before them."""

    def __init__(self) -> None:
        self.number = 0
        self._last: tuple[int, int] | None = None
        self._lines: set[str] = set()

    def add(self, batch: pa.RecordBatch, ids: Integers) -> None:
        """The next rows, sorted by stream and time."""
        ts = batch["ts_ns"].to_numpy()
        again = (ids[1:] == ids[:-1]) & (ts[1:] == ts[:-1])
        crowded = np.concatenate([[False], again]) | np.concatenate([again, [False]])
        crowded[[0, -1]] = True  # may go on from or in another batch
        rows = np.flatnonzero(crowded)
        lines = batch["line"].take(pa.array(rows)).to_pylist()
        for place, line in zip(
            zip(ids[rows].tolist(), ts[rows].tolist(), strict=True), lines, strict=True
        ):
            if place != self._last:
                self._last, self._lines = place, set()
            self.number += line in self._lines
            self._lines.add(line)
