"""The rollup of samples: a row for each series and hour.

Belongs here: its columns, the pass that makes it, the statement that makes it again. Does not:
where it is stored (lake.rollup), SQL over rollups (lake.query).
"""
