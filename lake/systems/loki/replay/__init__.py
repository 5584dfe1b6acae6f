"""Partitions into a running Loki.

Belongs here: Loki's write protocol. Does not: which partitions (lake.replay).
"""
