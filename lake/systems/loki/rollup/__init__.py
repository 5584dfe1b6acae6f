"""The rollup of log lines: a row for each stream, hour and level.

Belongs here: its columns, the pass that makes it, the statement that makes it again. Does not:
where it is stored (lake.rollup), SQL over rollups (lake.query).
"""
