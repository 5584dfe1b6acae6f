"""Views in Spark over the Iceberg tables that `lake iceberg` keeps.

    from lake_iceberg import open_iceberg
    open_iceberg(spark, "monitoring_lake.monitoring")

Iceberg's Parquet reader for Java compares conditions on a time with a file's statistics as if these
were microseconds. Of times in milliseconds, which MongoDB and Prometheus have, it then finds no
rows under =, > and >=. In the views a condition on a time is applied by Spark alone; one on `day`
still skips files, others row groups.

One file without dependencies, as lake_tables.py. Belongs here: the views. Does not: the catalog's
configuration (docs/engines.md).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyspark.sql import functions as f
from pyspark.sql import types as t

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame, SparkSession


def open_iceberg(spark: SparkSession, namespace: str) -> list[str]:
    """Makes a temporary view of each table of the namespace, `CATALOG.NAMESPACE`; their names.

    Parts of the namespace that are no identifiers need backticks. The session's time zone becomes
    UTC, as in DuckDB. Call it again after `lake iceberg`: a view keeps its columns.
    """
    spark.conf.set("spark.sql.session.timeZone", "UTC")
    names = [row.tableName for row in spark.sql(f"SHOW TABLES IN {namespace}").collect()]
    for name in names:
        table = table_frame(spark, f"{namespace}.{_quoted(name)}")
        table.createOrReplaceTempView(_quoted(name))
    return names


def table_frame(spark: SparkSession, table: str) -> DataFrame:
    """The table with its times behind a function that Iceberg does not know."""
    frame = spark.table(table)
    return frame.select(
        *(
            _hidden(f.col(_quoted(field.name)), field.dataType).alias(field.name)
            for field in frame.schema.fields
        )
    )


def _hidden(column: Column, kind: t.DataType) -> Column:
    """A STRUCT's members have statistics, too; elements of lists and maps have no conditions."""
    if isinstance(kind, t.TimestampType):
        return f.timestamp_micros(f.unix_micros(column))
    if isinstance(kind, t.TimestampNTZType):
        return column + f.expr("INTERVAL '0' SECOND")
    if isinstance(kind, t.StructType) and _has_time(kind):
        members = [
            _hidden(column.getField(field.name), field.dataType).alias(field.name)
            for field in kind.fields
        ]
        return f.when(column.isNotNull(), f.struct(*members))
    return column


def _has_time(kind: t.DataType) -> bool:
    if isinstance(kind, t.StructType):
        return any(_has_time(field.dataType) for field in kind.fields)
    return isinstance(kind, t.TimestampType | t.TimestampNTZType)


def _quoted(name: str) -> str:
    return "`" + name.replace("`", "``") + "`"
