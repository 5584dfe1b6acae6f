"""What the lake stores, what that costs, and a forecast for the next year.

usage      bytes and objects of every version, from one listing
growth     bytes and rows a day, from the manifests
prices     the price file
policy     for how long what is kept, in which class; what-if
choosing   which prices and which policy a lake has
forecast   the next twelve months, by day
requests   requests a month, from counted ones
report     all of it together

Belongs here: reading sizes and multiplying. Does not: a bill (AWS's own), deleting (retention),
pages (page, plots).
"""

from lake.cost.growth import DatasetGrowth
from lake.cost.prices import Prices, read_prices
from lake.cost.report import CostReport, make_report
from lake.cost.usage import Usage, read_usage

__all__ = [
    "CostReport",
    "DatasetGrowth",
    "Prices",
    "Usage",
    "make_report",
    "read_prices",
    "read_usage",
]
