"""Spools read back: the day's samples in the order of (series_id, ts).

Belongs here: which series there are, decoding, samples that come twice. Does not: HTTP,
the table's columns.
"""

from __future__ import annotations

import os
from array import array
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa

from lake.base.day import Day
from lake.base.errors import BadData
from lake.systems.labels import series_id
from lake.systems.prometheus.reading.answer import HISTOGRAM_TYPE
from lake.systems.prometheus.reading.blocks import MOST_SERIES, Block
from lake.systems.prometheus.reading.promql import NAME
from lake.systems.prometheus.reading.remote_read import (
    histograms,
    label_sets,
    message_loops,
    sample_loops,
)
from lake.systems.prometheus.reading.remote_read.request import SAMPLED, STREAMED
from lake.systems.prometheus.reading.remote_read.stream import Spool, read_pieces, unreadable
from lake.systems.prometheus.reading.ruled import RuledLabels

STALE = 0x7FF0000000000002  # the one NaN that ends a series
_BATCH_SAMPLES = 131_072
_SAMPLED_SERIES, _SAMPLED_VALUES = 64, 262_144
_PLAIN = (1 << message_loops.XOR, 1)  # encodings: floats only
_CHUNKS = 0x12  # of a ChunkedSeries: field 2, with a length

Numbers = np.ndarray[Any, Any]
Decide = Callable[[Mapping[str, str], Mapping[int, Sequence[int]]], Mapping[int, int]]
"""Of a series' labels and, by time in ms, several doubles' bits: which ones the server gives."""


class Reading:
    """What was spooled of a day. `decide` is called where one time has two different values.

    Labels are as the rules leave them; queries to the server use its own.
    """

    def __init__(
        self,
        spools: Sequence[Spool],
        external: Mapping[str, str],
        day: Day,
        decide: Decide,
        ruled: RuledLabels | None = None,
    ) -> None:
        self._spools = spools
        self._day = day
        self._decide = decide
        self.stale = 0
        """How many stale markers were among the samples that `blocks` gave."""
        self._external = dict(external)
        self._ruled = ruled
        self.names: set[str] = set()
        """Of all labels that the series have."""
        ids = array("q")
        # Labels stay as they were written until they are wanted: a tenth of what dicts take.
        by_id: dict[int, bytes] = {}
        for written in (label for spool in spools for label in spool.labels):
            plain = self._parsed(written)
            labels = ruled.of(plain) if ruled else plain
            identifier = series_id(labels, labels.get(NAME, ""))
            ids.append(identifier)
            self.names.update(labels)
            before = by_id.setdefault(identifier, written)
            if before != written and self._parsed(before) != plain:
                if ruled:
                    raise ruled.merged()
                raise BadData(
                    "two series have the same id", found=f"{labels} and {self._parsed(before)}"
                )
        self._ids = np.array(sorted(by_id), np.int64)
        self._written = [by_id[identifier] for identifier in self._ids.tolist()]
        self._index(np.array(ids, np.int64))

    def __len__(self) -> int:
        """How many series there are."""
        return len(self._ids)

    def _parsed(self, written: bytes) -> dict[str, str]:
        return label_sets.without(self._external, label_sets.parsed(written))

    def _original(self, place: int) -> dict[str, str]:
        return self._parsed(self._written[place])

    def _labels(self, place: int) -> dict[str, str]:
        plain = self._original(place)
        return self._ruled.of(plain, counted=False) if self._ruled else plain

    def _index(self, ids: Numbers) -> None:
        """One entry a piece of a spool, by ascending id."""
        columns = [
            np.repeat(np.arange(len(self._spools)), [len(spool.labels) for spool in self._spools]),
            *(
                np.concatenate([np.zeros(0, np.int64), *(np.array(getattr(spool, name)) for spool in
                                                         self._spools)])
                for name in ("start", "stop", "samples", "encodings")
            ),
        ]  # fmt: skip
        order = np.argsort(ids, kind="stable")
        distinct, places = np.unique(ids[order], return_inverse=True)
        if len(distinct) != len(self._ids):
            raise BadData("series and their ids disagree")
        self._places = places
        self._plain = np.isin(columns[4][order], _PLAIN)
        self._pieces = np.stack([column[order] for column in columns], axis=1).astype(np.int64)

    def blocks(self) -> Iterator[Block]:
        """All samples of the day, by ascending (id, ts), some 100,000 at a time."""
        with self._open() as files:
            for start, stop in self._runs():
                if block := self._decoded(files, start, stop):
                    yield block

    def some_values(self) -> Numbers:
        """The doubles of some series, evenly from all, to choose how they are written."""
        entries = np.flatnonzero(self._plain)
        entries = entries[:: max(1, len(entries) // _SAMPLED_SERIES)]
        chosen = entries[np.cumsum(self._pieces[entries, 3]) <= _SAMPLED_VALUES].tolist()
        values = [np.zeros(0, np.uint64)]
        with self._open() as files:
            for at in chosen:
                spool, start, stop = self._pieces[at, :3].tolist()
                data = read_pieces(files[spool], [(start, stop)])
                form = self._spools[spool].form
                values.append(self._floats(form, data, self._pieces[at : at + 1])[1])
        return np.concatenate(values).view(np.float64)

    @contextmanager
    def _open(self) -> Iterator[list[int]]:
        """File descriptors of the spools."""
        with ExitStack() as stack:
            files = []
            for spool in self._spools:
                files.append(os.open(spool.path, os.O_RDONLY))
                stack.callback(os.close, files[-1])
            yield files

    def _runs(self) -> Iterator[tuple[int, int]]:
        """Entries that are decoded at once: many series of one kind, or all of a single one."""
        places, samples = self._places, self._pieces[:, 3]
        # Entries that go with the one before them: not a series' second piece, or a first one.
        single = np.ones(len(places), bool)
        single[1:] &= places[1:] != places[:-1]
        single[:-1] &= places[1:] != places[:-1]
        easy = single & self._plain
        joins = np.zeros(len(places), bool)
        joins[1:] = easy[1:] & easy[:-1] & (self._pieces[1:, 0] == self._pieces[:-1, 0])
        joins[1:] |= places[1:] == places[:-1]
        at, held = 0, 0
        for end in range(len(places)):
            full = easy[end] and (held + samples[end] > _BATCH_SAMPLES or end - at >= MOST_SERIES)
            if end > at and (not joins[end] or full):
                yield at, end
                at, held = end, 0
            held += samples[end]
        if len(places):
            yield at, len(places)

    def _decoded(self, files: Sequence[int], start: int, stop: int) -> Block | None:
        places, pieces = self._places[start:stop], self._pieces[start:stop]
        several = stop - start > 1 and places[0] == places[1]
        if several or not self._plain[start]:
            return self._mixed(files, places[0], pieces)
        spool = pieces[0, 0]
        data = read_pieces(files[spool], pieces[:, 1:3].tolist())
        ts, values, decoded = self._floats(self._spools[spool].form, data, pieces)
        return self._ordered(places, ts, values, decoded)

    def _floats(self, form: str, data: Numbers, pieces: Numbers) -> tuple[Numbers, ...]:
        sizes = pieces[:, 2] - pieces[:, 1]
        ends = np.cumsum(sizes)
        regions = np.ascontiguousarray(np.stack([ends - sizes, ends], axis=1))
        room = int(pieces[:, 3].sum())
        ts, values = np.empty(room, np.int64), np.empty(room, np.uint64)
        decoded = np.zeros((len(pieces), 3), np.int64)
        decode = sample_loops.floats if form == STREAMED else sample_loops.sampled
        if decode(data, regions, self._day.start_ms, self._day.end_ms, ts, values, decoded):
            raise unreadable("a chunk of samples")
        filled = int(decoded[:, 0].sum())
        return ts[:filled], values[:filled], decoded

    def _ordered(
        self, places: Numbers, ts: Numbers, values: Numbers, decoded: Numbers
    ) -> Block | None:
        counts = decoded[:, 0]
        if decoded[:, 1].any():
            ends = np.cumsum(counts)[:-1]
            parts = [
                self._merged(place, *both) if disorder else both
                for place, disorder, *both in zip(
                    places, decoded[:, 1], np.split(ts, ends), np.split(values, ends), strict=True
                )
            ]
            ts = np.concatenate([part[0] for part in parts])
            values = np.concatenate([part[1] for part in parts])
            counts = np.array([len(part[0]) for part in parts])
        return self._block(places, counts, ts, values, nans=bool(decoded[:, 2].any()))

    def _decided(self, place: int, several: Mapping[int, Sequence[int]]) -> Mapping[int, int]:
        return self._decide(self._original(place), several) if several else {}

    def _block(
        self, places: Numbers, counts: Numbers, ts: Numbers, bits: Numbers, *, nans: bool
    ) -> Block | None:
        there = counts > 0
        if not there.any():
            return None
        stale = bits == STALE if nans else None
        self.stale += int(stale.sum()) if stale is not None else 0
        return Block(
            self._ids[places[there]],
            [self._labels(place) for place in places[there].tolist()],
            counts[there],
            ts,
            bits.view(np.float64),
            stale=stale,
        )

    def _merged(self, place: int, ts: Numbers, values: Numbers) -> tuple[Numbers, Numbers]:
        """One series' samples by time, each time once."""
        order = np.argsort(ts, kind="stable")
        ts, values = ts[order], values[order]
        first = np.concatenate([[True], ts[1:] != ts[:-1]]) if len(ts) else np.zeros(0, bool)
        begins = np.flatnonzero(first)
        differ = np.flatnonzero(~first[1:] & (values[1:] != values[:-1])) + 1
        ends = np.append(begins[1:], len(ts))
        several = {
            int(ts[begins[at]]): list(dict.fromkeys(values[begins[at] : ends[at]].tolist()))
            for at in np.unique(np.searchsorted(begins, differ, side="right") - 1).tolist()
        }
        for time, kept in self._decided(place, several).items():
            values[np.searchsorted(ts, time)] = kept
        return ts[first], values[first]

    def _mixed(self, files: Sequence[int], place: int, pieces: Numbers) -> Block | None:
        """All of one series that has histograms, or lies in several answers."""
        parts = []
        for at, (spool, start, stop, *_) in enumerate(pieces.tolist()):
            data = read_pieces(files[spool], [(start, stop)])
            if self._spools[spool].form == STREAMED:
                parts += [self._chunk(data, *where) for where in _chunks(data)]
            else:
                ts, values, _ = self._floats(SAMPLED, data, pieces[at : at + 1])
                parts.append(_Part(ts, values, pa.nulls(len(ts), HISTOGRAM_TYPE)))
        mixed = _Part(
            np.concatenate([part.ts for part in parts]),
            np.concatenate([part.bits for part in parts]),
            pa.concat_arrays([part.histograms for part in parts]),
        )
        mixed = mixed.taken((mixed.ts >= self._day.start_ms) & (mixed.ts < self._day.end_ms))
        mixed = self._once_each(place, mixed.taken(np.argsort(mixed.ts, kind="stable")))
        where, counts = np.array([place]), np.array([len(mixed.ts)])
        block = self._block(where, counts, mixed.ts, mixed.bits, nans=True)
        return block and replace(block, histograms=mixed.histograms)

    def _chunk(self, data: Numbers, encoding: int, start: int, stop: int, samples: int) -> _Part:
        if encoding != message_loops.XOR:
            is_float = encoding == message_loops.FLOAT_HISTOGRAM
            return _Part(*histograms.decode(data, start, stop, samples, is_float=is_float))
        ts, bits = np.empty(samples, np.int64), np.empty(samples, np.uint64)
        code, filled = sample_loops.xor_chunk(
            data, start, stop, samples, self._day.start_ms, self._day.end_ms, ts, bits, 0
        )
        if code != message_loops.OK:
            raise unreadable("a chunk of samples")
        return _Part(ts[:filled], bits[:filled], pa.nulls(filled, HISTOGRAM_TYPE))

    def _once_each(self, place: int, part: _Part) -> _Part:
        """Without samples that came twice; of different ones the server's."""
        repeats = np.flatnonzero(part.ts[1:] == part.ts[:-1]) + 1
        keep = np.ones(len(part.ts), bool)
        keep[repeats] = False
        several = {}
        for time in np.unique(part.ts[repeats]).tolist():
            rows = np.flatnonzero(part.ts == time)
            if len(set(map(str, part.histograms.take(pa.array(rows)).to_pylist()))) > 1:
                raise BadData(
                    "one time has different histograms",
                    where=self._labels(place),
                    found=f"{time} ms since 1970",
                )
            if len(bits := dict.fromkeys(part.bits[rows].tolist())) > 1:
                several[time] = list(bits)
        for time, kept in self._decided(place, several).items():
            keep[part.ts == time] = False
            keep[np.flatnonzero((part.ts == time) & (part.bits == kept))[0]] = True
        return part.taken(keep)


@dataclass(frozen=True)
class _Part:
    """Samples of one series. `bits` are a NaN's where there is a histogram."""

    ts: Numbers
    bits: Numbers
    histograms: pa.Array

    def taken(self, which: Numbers) -> _Part:
        """Those in this order, or those for which a flag is set."""
        chosen = np.flatnonzero(which) if which.dtype == bool else which
        histograms = self.histograms.take(pa.array(chosen))
        return _Part(self.ts[chosen], self.bits[chosen], histograms)


def _chunks(data: Numbers) -> Iterator[tuple[int, int, int, int]]:
    """Of chunks as they were kept: encoding, where the data start and stop, samples."""
    at = 0
    while at < len(data):
        tag, content, stop, _ = message_loops.field(data, at, len(data))
        code, *chunk = message_loops.chunk(data, content, stop) if tag == _CHUNKS else (1,)
        if code != message_loops.OK:
            raise unreadable("a chunk")
        yield chunk[0], chunk[1], chunk[2], chunk[3]
        at = stop
