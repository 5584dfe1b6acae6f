"""The lake's state as OpenMetrics, for Prometheus.

openmetrics   families as text
families      which there are, and their values
storage       those that need a listing of the whole root

Belongs here: what `lake metrics` prints. Does not: alert rules (deploy/prometheus/rules).
"""

from lake.metrics.families import families
from lake.metrics.openmetrics import Family, rendered
from lake.metrics.storage import storage_families

__all__ = ["Family", "families", "rendered", "storage_families"]
