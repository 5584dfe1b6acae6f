"""Native histograms of a day, summed up: the `histogram` column of a rollup's rows.

Belongs here: the rules of its members. Does not: floats, the pass over batches (rolling), computing
it again (sql).

A reset is a sample whose count, or a bucket's, is smaller than before, or that lacks a bucket:
what PromQL sees in samples without a hint. All of such a sample is growth. Buckets are intervals,
without a schema: growth is in the later sample's buckets, and those of one row that overlap are
merged, so that a change of resolution within the hour leaves buckets that are disjoint. The first
and the last sample keep their own buckets: growth from one hour to the next is computed from the
later row's first and the earlier one's last.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from lake.systems.rollup import EACH

if TYPE_CHECKING:
    import numpy.typing as npt

    Bools = npt.NDArray[np.bool_]
    Ints = npt.NDArray[np.int64]
    Floats = npt.NDArray[np.float64]

_TS = pa.timestamp("ms", tz="UTC")


def _buckets_of(number: str) -> pa.DataType:
    members = [(name, pa.float64()) for name in ("lower", "upper", number)]
    return pa.list_(pa.struct(members))


_BUCKETS, _INCREASES = _buckets_of("count"), _buckets_of("increase")
HISTOGRAM = pa.struct(
    [
        ("samples", pa.int64()),
        ("first_ts", _TS),
        ("last_ts", _TS),
        ("first_count", pa.float64()),
        ("last_count", pa.float64()),
        ("first_sum", pa.float64()),
        ("last_sum", pa.float64()),
        ("count_increase", pa.float64()),
        ("sum_increase", pa.float64()),
        ("resets", pa.int64()),
        ("first_buckets", _BUCKETS),
        ("last_buckets", _BUCKETS),
        ("bucket_increase", _INCREASES),
    ]
)
_OF_BUCKETS = ("first_buckets", "last_buckets", "bucket_increase")
BOUNDS = tuple(
    f"histogram.{of}.list.element.{side}" for of in _OF_BUCKETS for side in ("lower", "upper")
)
"""The leaf columns that have few distinct values."""


def compared() -> dict[tuple[str, ...], str]:
    """See lake.systems.rollup.Rollup."""
    flat = [field.name for field in HISTOGRAM if field.name not in _OF_BUCKETS]
    exact: list[tuple[str, ...]] = [("histogram", name) for name in flat]
    exact += [
        ("histogram", of, EACH, member) for of in _OF_BUCKETS for member in ("lower", "upper")
    ]
    exact += [("histogram", of, EACH, "count") for of in _OF_BUCKETS[:2]]
    largest = "a.histogram.samples * greatest(abs(a.histogram.first_count), " \
        "abs(a.histogram.last_count), abs(a.histogram.count_increase))"  # fmt: skip
    return dict.fromkeys(exact, "") | {
        ("histogram", "count_increase"): largest,
        ("histogram", "sum_increase"): "a.histogram.samples * "
        "greatest(abs(a.histogram.first_sum), abs(a.histogram.last_sum))",
        ("histogram", "bucket_increase", EACH, "increase"): largest,
    }


@dataclass(frozen=True)
class Histograms:
    """Those of a batch's rows. `has`: which rows are one; the others' numbers mean nothing."""

    has: Bools
    counts: Floats
    sums: Floats
    buckets: pa.ListArray

    @classmethod
    def of(cls, column: pa.StructArray) -> Histograms | None:
        """Of a table's column; None where no row is one."""
        if column.null_count == len(column):
            return None
        counts, sums, buckets = column.flatten()  # members of a null struct are null
        return cls(
            column.is_valid().to_numpy(zero_copy_only=False),
            counts.to_numpy(zero_copy_only=False),
            sums.to_numpy(zero_copy_only=False),
            buckets,
        )

    def part(self, start: int, end: int) -> Histograms | None:
        """Some of the rows."""
        if not self.has[start:end].any():
            return None
        return Histograms(
            self.has[start:end],
            self.counts[start:end],
            self.sums[start:end],
            self.buckets.slice(start, end - start),
        )

    def copied(self) -> Histograms:
        """The rows without the arrays that they are a part of."""
        return Histograms(
            self.has.copy(),
            self.counts.copy(),
            self.sums.copy(),
            pa.concat_arrays([self.buckets]),
        )

    def none(self, rows: int) -> Histograms:
        """Rows without one, to be joined with these."""
        nothing = np.zeros(rows)
        return Histograms(np.zeros(rows, bool), nothing, nothing, pa.nulls(rows, self.buckets.type))

    def column(self, ts_ms: Ints, starts: Ints) -> pa.Array:
        """The rollup's, of the groups that begin there; `ts_ms` has a time for each row."""
        summed = _Summed(self, starts)
        has = summed.samples > 0
        missing = pa.array(~has)

        def number(values: Floats, *, may_be_nan: bool = False) -> pa.Array:
            none = ~has | np.isnan(values) if may_be_nan else ~has
            return pa.array(np.where(none, 0.0, values), mask=none)

        def at(values: Any, rows: Ints) -> pa.Array:
            return pa.array(values[rows], mask=~has)

        members = [
            pa.array(summed.samples),
            at(ts_ms, summed.firsts).view(_TS),
            at(ts_ms, summed.lasts).view(_TS),
            *(
                number(values[rows], may_be_nan=True)
                for values in (self.counts, self.sums)
                for rows in (summed.firsts, summed.lasts)
            ),
            number(summed.count_growth, may_be_nan=True),
            number(summed.sum_growth, may_be_nan=True),
            pa.array(summed.resets),
            *(self._buckets_at(rows, has) for rows in (summed.firsts, summed.lasts)),
            summed.increases(missing),
        ]
        return pa.StructArray.from_arrays(members, fields=list(HISTOGRAM), mask=missing)

    def _buckets_at(self, rows: Ints, has: Bools) -> pa.Array:
        chosen = self.buckets.take(pa.array(rows, mask=~has))
        members = chosen.values.flatten()[:3]
        entries = pa.StructArray.from_arrays(members, fields=list(_BUCKETS.value_type))
        return pa.ListArray.from_arrays(
            chosen.offsets, entries, type=_BUCKETS, mask=chosen.is_null()
        )


class _Summed:
    """What the histograms of each group add up to: an entry per group."""

    def __init__(self, rows: Histograms, starts: Ints) -> None:
        from lake.systems.prometheus.rollup.histogram_loops import sum_histograms  # noqa: PLC0415

        offsets = rows.buckets.offsets.to_numpy().astype(np.int64)
        begin, end = int(offsets[0]), int(offsets[-1])
        lower, upper, number = (
            # Without the sign of a zero, which would make two bounds of one.
            member.slice(begin, end - begin).to_numpy(zero_copy_only=False) + 0.0
            for member in rows.buckets.values.flatten()[:3]
        )
        ints = [np.zeros(len(starts), np.int64) for _ in range(4)]
        floats = [np.zeros(len(starts)) for _ in range(2)]
        self._sizes = np.zeros(len(starts), np.int64)
        self._buckets = [np.empty(end - begin) for _ in range(3)]
        spare = [np.empty(end - begin) for _ in range(3)]
        grown = np.empty(int(np.diff(offsets).max(initial=0)))
        sum_histograms(
            starts, rows.has.view(np.uint8), rows.counts, rows.sums, offsets - begin, lower, upper,
            number, *ints, *floats, self._sizes, *self._buckets, *spare, grown,
        )  # fmt: skip
        self.samples, self.firsts, self.lasts, self.resets = ints
        self.count_growth, self.sum_growth = floats

    def increases(self, missing: pa.Array) -> pa.Array:
        """The growth by bucket; NULL where a group has no histogram."""
        offsets = np.concatenate([[0], np.cumsum(self._sizes)]).astype(np.int32)
        entries = pa.StructArray.from_arrays(
            [pa.array(part[: offsets[-1]].copy()) for part in self._buckets],
            fields=list(_INCREASES.value_type),
        )
        return pa.ListArray.from_arrays(pa.array(offsets), entries, type=_INCREASES, mask=missing)


def joined(
    before: Histograms | None, after: Histograms | None, sizes: tuple[int, int]
) -> Histograms | None:
    """Both, of so many rows."""
    either = before or after
    if either is None:
        return None
    parts = [rows or either.none(size) for rows, size in zip((before, after), sizes, strict=True)]
    return Histograms(
        np.concatenate([part.has for part in parts]),
        np.concatenate([part.counts for part in parts]),
        np.concatenate([part.sums for part in parts]),
        pa.concat_arrays([part.buckets for part in parts]),
    )
