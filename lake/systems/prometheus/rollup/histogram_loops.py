"""The compiled loop of a rollup's native histograms: growth by bucket, resets.

Belongs here: arithmetic. Does not: Arrow, columns (histograms), what a group is (rolling).

A sample's buckets are disjoint and sorted, empty ones are not among them. Buckets of two samples
may have different bounds: another resolution, a wider zero bucket. Growth is counted in the later
sample's buckets; those that overlap are one bucket of the result.
"""

# Types are in numba's signatures, which mypy does not read.
# mypy: ignore-errors
from __future__ import annotations

from typing import Any

from lake.compiled import (
    BOOL,
    F64,
    F64S,
    I64,
    I64S,
    READ_F64S,
    READ_I64S,
    U8S,
    VOID,
    compiled,
)


@compiled(BOOL(F64, F64, F64, F64))
def contains(lower: float, upper: float, inner_lower: float, inner_upper: float) -> bool:
    """Whether one bucket holds all of another. The zero bucket may be [0, 0], which is in none
    that only begins or ends there.
    """
    if lower == inner_lower and upper == inner_upper:
        return True
    within = lower <= inner_lower and inner_upper <= upper
    return within and lower < inner_upper and inner_lower < upper


@compiled(
    BOOL(I64, I64, I64, I64, READ_F64S, READ_F64S, READ_F64S, F64S)
)  # fmt: skip
def grow(
    before: int,
    before_end: int,
    after: int,
    after_end: int,
    lower: Any,
    upper: Any,
    number: Any,
    grown: Any,
) -> bool:
    """Fills `grown` with the growth of each bucket of the later sample; False for a reset.

    A bucket of the sample before that is in none of the later ones is a reset, too.
    """
    at = before
    for bucket in range(after, after_end):
        held = 0.0
        while at < before_end:
            if contains(lower[bucket], upper[bucket], lower[at], upper[at]):
                held += number[at]
                at += 1
            elif upper[at] > upper[bucket] or lower[at] >= upper[bucket]:
                break
            else:
                return False
        grown[bucket - after] = number[bucket] - held
        if grown[bucket - after] < 0:
            return False
    return at == before_end


@compiled(
    I64(I64, I64, READ_F64S, READ_F64S, READ_F64S, F64S, F64S, F64S, I64, F64S, F64S, F64S)
)  # fmt: skip
def merge(
    begin: int,
    end: int,
    lower: Any,
    upper: Any,
    grown: Any,
    out_lower: Any,
    out_upper: Any,
    out_grown: Any,
    size: int,
    lowers: Any,
    uppers: Any,
    growths: Any,
) -> int:
    """Adds a sample's growth to the first `size` buckets of `lowers`, …: how many there are then.

    The `out_…` arrays hold what is put together meanwhile.
    """
    at, bucket, made = 0, begin, 0
    while True:
        while bucket < end and grown[bucket - begin] == 0:
            bucket += 1
        if at == size and bucket == end:
            break
        held = bucket == end
        if not held and at < size:
            held = lowers[at] < lower[bucket] or (
                lowers[at] == lower[bucket] and uppers[at] <= upper[bucket]
            )
        if held:
            low, high, growth = lowers[at], uppers[at], growths[at]
            at += 1
        else:
            low, high, growth = lower[bucket], upper[bucket], grown[bucket - begin]
            bucket += 1
        last = made - 1
        if made and (low < out_upper[last] or (low == out_lower[last] and high == out_upper[last])):
            out_upper[last] = max(out_upper[last], high)
            out_grown[last] += growth
        else:
            out_lower[made], out_upper[made], out_grown[made] = low, high, growth
            made += 1
    for place in range(made):
        lowers[place], uppers[place] = out_lower[place], out_upper[place]
        growths[place] = out_grown[place]
    return made


@compiled(
    VOID(
        READ_I64S, U8S, READ_F64S, READ_F64S, READ_I64S, READ_F64S, READ_F64S, READ_F64S,
        I64S, I64S, I64S, I64S, F64S, F64S, I64S, F64S, F64S, F64S, F64S, F64S, F64S, F64S,
    )
)  # fmt: skip
def sum_histograms(
    starts: Any,
    has: Any,
    counts: Any,
    sums: Any,
    offsets: Any,
    lower: Any,
    upper: Any,
    number: Any,
    samples: Any,
    firsts: Any,
    lasts: Any,
    resets: Any,
    count_growth: Any,
    sum_growth: Any,
    sizes: Any,
    lowers: Any,
    uppers: Any,
    growths: Any,
    spare_lower: Any,
    spare_upper: Any,
    spare_growth: Any,
    grown: Any,
) -> None:
    """Of each group: histograms, the first and last of them, resets, and growth.

    `offsets` has where each row's buckets begin, and the end. The groups' buckets follow each
    other in `lowers`, …, `sizes` of each. These and the `spare_…` arrays have room for all
    buckets, `grown` for those of a row.
    """
    done = 0
    for group in range(len(starts)):
        end = starts[group + 1] if group + 1 < len(starts) else len(has)
        count, reset, size, last = 0, 0, 0, -1
        by_count, by_sum = 0.0, 0.0
        for row in range(starts[group], end):
            if not has[row]:
                continue
            if count == 0:
                firsts[group] = row
            else:
                begin, stop = offsets[row], offsets[row + 1]
                follows = not counts[row] < counts[last] and grow(
                    offsets[last], offsets[last + 1], begin, stop, lower, upper, number, grown
                )
                if follows:
                    if counts[row] != counts[last]:
                        by_count += counts[row] - counts[last]
                    if sums[row] != sums[last]:
                        by_sum += sums[row] - sums[last]
                else:
                    reset += 1
                    by_count += counts[row]
                    by_sum += sums[row]
                    for bucket in range(begin, stop):
                        grown[bucket - begin] = number[bucket]
                size = merge(
                    begin, stop, lower, upper, grown, spare_lower, spare_upper, spare_growth,
                    size, lowers[done:], uppers[done:], growths[done:],
                )  # fmt: skip
            count += 1
            last = row
        samples[group], lasts[group], resets[group], sizes[group] = count, last, reset, size
        count_growth[group], sum_growth[group] = by_count, by_sum
        done += size
