"""Ready-made questions about long ranges: sql/trends and the user's own, one file each.

available    which trends there are
files        a file's header
needs        what a trend reads, by content
fitting      which datasets of a lake have it
reading      inputs as SQL, by rollups (rolled) or by the tables' rows
asking       a trend's answer for a range of days
comparing    the same against the range or the week before
plot         its plot

Belongs here: trends. Does not: their SQL, how tables are printed.
"""

from __future__ import annotations

from lake.trends.asking import ask, ask_fitting, fitting, missing_days, missing_of
from lake.trends.available import all_trends, trend_named
from lake.trends.comparing import Days, Period, before, by_period, compare, period_before, periods
from lake.trends.files import Panel, Trend
from lake.trends.fitting import Choices, Fit, fit
from lake.trends.plot import draw, lines_of

__all__ = [
    "Choices",
    "Days",
    "Fit",
    "Panel",
    "Period",
    "Trend",
    "all_trends",
    "ask",
    "ask_fitting",
    "before",
    "by_period",
    "compare",
    "draw",
    "fit",
    "fitting",
    "lines_of",
    "missing_days",
    "missing_of",
    "period_before",
    "periods",
    "trend_named",
]
