"""The compiled loop of a rollup: one pass over samples that lie group by group.

Belongs here: arithmetic. Does not: what a group is, columns (rolling).
"""

# mypy: disallow-untyped-decorators=False
from __future__ import annotations

from typing import Any

import numpy as np

from lake.compiled import F64S, I64S, READ_F64S, READ_I64S, VOID, compiled


@compiled(VOID(READ_I64S, READ_F64S, I64S, I64S, I64S, I64S, F64S, F64S, F64S, F64S))
def sum_groups(
    starts: Any,
    values: Any,
    counts: Any,
    firsts: Any,
    lasts: Any,
    resets: Any,
    least: Any,
    most: Any,
    sums: Any,
    growth: Any,
) -> None:
    """Of each group: rows that count, the first and last of them, and what their values add up to.

    A row counts where its value is not NaN; a smaller one than before is a reset, and all of its
    value is growth. `starts` has the first row of each group. Groups without such a row have a
    count of 0, and nothing else.
    """
    for group in range(len(starts)):
        end = starts[group + 1] if group + 1 < len(starts) else len(values)
        count, reset = 0, 0
        last = -1
        low, high, total, grown = np.inf, -np.inf, 0.0, 0.0
        for row in range(starts[group], end):
            value = values[row]
            if np.isnan(value):
                continue
            if count == 0:
                firsts[group] = row
            elif value < values[last]:
                reset += 1
                grown += value
            elif value != values[last]:
                grown += value - values[last]
            low = min(low, value)
            high = max(high, value)
            total += value
            count += 1
            last = row
        counts[group], resets[group], lasts[group] = count, reset, last
        least[group], most[group], sums[group], growth[group] = low, high, total, grown
