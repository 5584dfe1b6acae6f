"""A page that shows the state of the lake: a folder of static files, or served on loopback.

facts       what the page shows, and when it was read
gathering   reading it
counts      sources whose counts are kept for five minutes
states      how a day's state is shown
page        the HTML
data        the page's scripts of data: calendar, days, trends
trends      the trends that fit the lake, as numbers to plot
files       the files of the page by path
serving     the same over HTTP, on loopback
site/       scripts and style of the page, and uPlot (MIT), which draws the plots

Belongs here: the page. Does not: states and proofs (lake.status, lake.lag, lake.review), the
document around it (lake.pages).
"""

from lake.report.facts import Facts
from lake.report.files import Site, write
from lake.report.gathering import gather

__all__ = ["Facts", "Site", "gather", "write"]
