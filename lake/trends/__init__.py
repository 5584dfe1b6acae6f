"""Ready-made questions about long ranges: sql/trends, one file each.

Belongs here: which trends there are, asking one for a range of days, drawing its plot.
Does not: their SQL, how tables are printed.
"""

from __future__ import annotations

from lake.trends.asking import ask, missing_days
from lake.trends.files import Panel, Trend, all_trends, trend_named
from lake.trends.plot import draw

__all__ = ["Panel", "Trend", "all_trends", "ask", "draw", "missing_days", "trend_named"]
