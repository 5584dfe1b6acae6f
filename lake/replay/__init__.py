"""Loads partitions into real temporary servers, without any snapshot.

Belongs here: from Parquet to a running Prometheus, Loki or MongoDB that answers PromQL, LogQL
and Mongo queries. Does not: snapshots (lake.restore), how servers run (lake.servers).
"""

from lake.replay.serving import Replayed, database_of, replayed, require_replay
from lake.systems.partitions import Partition, find_partitions

__all__ = ["Partition", "Replayed", "database_of", "find_partitions", "replayed", "require_replay"]
