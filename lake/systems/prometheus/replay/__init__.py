"""Partitions into a running Prometheus.

Belongs here: Prometheus's write protocol. Does not: which partitions (lake.replay).
"""
