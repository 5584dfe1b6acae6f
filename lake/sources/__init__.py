"""The systems that are read: one module or package each.

Belongs here: how a system is asked, and how its answer becomes Arrow record batches.
Does not: where the rows go (export), S3, Dagster.
"""

from lake.sources.face import Count, Source, accounted, count_problem, is_whole, open_source

__all__ = ["Count", "Source", "accounted", "count_problem", "is_whole", "open_source"]
