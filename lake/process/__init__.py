"""Processes of the lake, and their work files.

Belongs here: whether a process still runs, scratch directories. Does not: servers (lake.servers).
"""
