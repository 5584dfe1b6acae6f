"""The lake's tables in a Spark session, from the file that `lake catalog --spark` writes.

    from lake_tables import open_lake
    open_lake(spark, "lake.spark.json")
    spark.sql("SELECT day, count(*) FROM usage_analytics GROUP BY day ORDER BY day").show()

or, as a program:

    spark-submit lake_tables.py lake.spark.json "SELECT count(*) FROM usage_analytics"

Needs Spark 4.0 or newer and nothing else: neither the lake's package nor its configuration. The
description names each object, so no folder is listed; no footer is opened to learn a type.
"""

from __future__ import annotations

import json
import sys

from pyspark.sql import DataFrame, SparkSession

FORM = "monitoring-lake tables for Spark, 1"
# The answers depend on them: days and times are UTC, texts of decimals have no exponent.
SETTINGS = {
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.ansi.enabled": "true",
    "spark.sql.caseSensitive": "false",
}


def open_lake(
    spark: SparkSession, file: str, root: str | None = None, tables: list[str] | None = None
) -> list[str]:
    """Makes a temporary view of each table (default: all), and sets the session's SETTINGS.

    `file` is a path or any URL that Spark reads, `root` where the lake lies for this session, such
    as s3://bucket on EMR (default: where it lay for the one who wrote the file, S3 by s3a://).
    Returns the views' names. Raises ValueError for a file that is not a description.
    """
    described = read_description(spark, file)
    for name, value in SETTINGS.items():
        spark.conf.set(name, value)
    root = (root or described["root"].replace("s3://", "s3a://", 1)).rstrip("/")
    views = []
    for table in described["tables"]:
        if tables is not None and table["name"] not in tables:
            continue
        frame = table_frame(spark, table, root)
        frames = {table["name"]: frame}
        for name, columns in table["variants"].items():
            frames[name] = frame.selectExpr(*columns)
        for name, rows in frames.items():
            rows.createOrReplaceTempView(f"`{name}`")
            views.append(name)
        for note in table["notes"]:
            print(f"{table['name']}: {note}", file=sys.stderr)
    return views


def table_frame(spark: SparkSession, table: dict, root: str) -> DataFrame:
    """One table: a union of its groups of files. Nothing is read yet."""
    frames = []
    for group in table["groups"]:
        reader = (
            spark.read.schema(group["reads"])
            .option("basePath", f"{root}/{table['base']}")
            .option("datetimeRebaseMode", "CORRECTED")
        )
        files = [f"{root}/{key}" for key in group["files"]]
        frames.append(reader.parquet(*files).selectExpr(*group["columns"]))
    if not frames:
        return spark.createDataFrame([], table["schema"])
    whole = frames[0]
    for frame in frames[1:]:
        whole = whole.union(frame)
    return whole


def read_description(spark: SparkSession, file: str) -> dict:
    """The file's content."""
    text = spark.read.text(file, wholetext=True).first()
    described = json.loads(text[0]) if text else None
    if not isinstance(described, dict) or described.get("form") != FORM:
        raise ValueError(f"{file}: expected a file that `lake catalog --spark` wrote ({FORM})")
    return described


def main() -> None:
    """Opens the lake and prints an answer as JSON lines, or the views' columns without SQL."""
    if len(sys.argv) not in (2, 3):
        sys.exit("usage: spark-submit lake_tables.py FILE [SQL]")
    spark = SparkSession.builder.appName("monitoring-lake").getOrCreate()
    views = open_lake(spark, sys.argv[1])
    if len(sys.argv) == 2:
        for view in views:
            print(view, spark.table(view).schema.simpleString())
    else:
        for line in spark.sql(sys.argv[2]).toJSON().toLocalIterator():
            print(line)
    spark.stop()


if __name__ == "__main__":
    main()
