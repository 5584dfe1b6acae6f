"""The Dagster shell around `lake`: partitions, assets, checks, schedules, resources. Thin.

Belongs here: how Dagster shows and starts what the library does. Does not: any of the work.
"""
