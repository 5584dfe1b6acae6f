"""The lake's tables for Spark.

types         Spark's names of types
casts         Spark SQL that turns a file's value into the type that all days have in common
levels        the level of log lines
tables        a table as groups of files, each with its schema and its expressions
description   the file that deploy/spark/lake_tables.py reads
trends        a trend's statement in Spark SQL, by the expressions of templates and dialect

Belongs here: text for Spark. Does not: a Spark session; nothing here imports PySpark.
"""

from __future__ import annotations

from lake.spark.description import describe_lake, write_description

__all__ = ["describe_lake", "write_description"]
