"""Partitions into a running MongoDB.

Belongs here: MongoDB's write protocol. Does not: which partitions (lake.replay).
"""
