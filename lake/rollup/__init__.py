"""Rollups: a small table for each day of a dataset, made from its partition and compared with it.

definition  which rollup a dataset has
sql         a rollup defined by a SQL file; executing runs its statement
making      a day's rollup as a file: while the table passes, or from the stored table
storing     replacing a rollup's object and its manifest
rollups     both together, for a run over many days
checking    what of a rollup is missing, stale or not the table's, by manifests alone
verifying   a rollup computed again another way

Belongs here: the use case. Does not: what one system's rows add up to (its `rollup`), views of
rollups (lake.query).
"""

from __future__ import annotations

from lake.rollup.definition import rollup_of
from lake.rollup.rollups import Rolled, Rollups

__all__ = ["Rolled", "Rollups", "rollup_of"]
