"""The comparison of a restored MongoDB with the lake's documents.

Belongs here: aggregations and single documents, on other paths than an export's.
Does not: exports' own reading and counting (comparing).
"""

from __future__ import annotations

import math
import random
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import bson
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from bson import json_util
from bson.codec_options import CodecOptions, DatetimeConversion
from bson.raw_bson import RawBSONDocument

from lake.partition.batches import batches_in
from lake.systems.comparison import RehearsalCheck
from lake.systems.mongo.config import MongoDataset, MongoSource
from lake.systems.mongo.reading import rebuild
from lake.systems.mongo.reading.connection import connect, explained
from lake.systems.mongo.reading.ruled import RuledDocuments
from lake.systems.rehearsed import RehearsedPartition

_ROWS = 8192
_TOLERANCE = 1e-9  # both add floats, in another order
_PLAIN: CodecOptions[dict[str, Any]] = CodecOptions(
    datetime_conversion=DatetimeConversion.DATETIME_MS
)
_DATE = "date"
_NUMBERS = (pa.types.is_integer, pa.types.is_floating, pa.types.is_decimal)
_Path = tuple[str, ...]


class MongoQuestions:
    """Queries a restored server's database."""

    def __init__(self, section: MongoSource, datasets: Sequence[MongoDataset]) -> None:
        self._section = section
        self._datasets = datasets
        self._client = connect(section)

    def first_answer(self, _taken: datetime) -> None:
        """Something that only a server with the database answers."""
        with explained(self._section, "its collections"):
            self._client[self._section.database].list_collection_names()

    def close(self) -> None:
        """Ends the connections."""
        self._client.close()

    def newest(self, _end: datetime) -> datetime | None:
        """The newest date in the time fields of the lake's datasets."""
        times = []
        for dataset in self._datasets:
            field = dataset.time_field
            with explained(self._section, f"collection {dataset.collection}"):
                newest_document = self._collection(dataset.collection).find_one(
                    {field: {"$type": _DATE}}, {field: 1}, sort=[(field, -1)]
                )
            value: Any = newest_document
            for name in field.split("."):
                value = value[name] if isinstance(value, dict) else None
            if isinstance(value, bson.DatetimeMS):
                times.append(datetime.fromtimestamp(int(value) / 1000, UTC))
        return max(times, default=None)

    def checks(self, part: RehearsedPartition, seed: int, samples: int) -> Iterator[RehearsalCheck]:
        """Sums of all numbers, and some documents one by one."""
        yield self._sums(part)
        yield self._documents(part, seed, samples)

    def _sums(self, part: RehearsedPartition) -> RehearsalCheck:
        """Every number of every document, added up by the field that it is in."""
        check = RehearsalCheck("the numbers of each field, added up")
        here, without = _summed(pq.ParquetFile(part.file), part.manifest.details)
        if without:
            check.remark = "not compared, their columns do not hold all values: " + without
        if part.dataset.time_fallback:
            check.remark, here = "not compared: the dataset falls back on _id for its days", {}
        if not here:
            return check
        within = {part.dataset.time_field: {"$gte": part.day.start, "$lt": part.day.end}}
        sums = {f"s{n}": {"$sum": "$" + ".".join(path)} for n, path in enumerate(here)}
        with explained(self._section, f"collection {part.dataset.collection}"):
            pipeline: list[dict[str, Any]] = [
                {"$match": within},
                {"$group": {"_id": None, **sums}},
            ]
            rows = list(self._collection(part.dataset.collection).aggregate(pipeline))
        for number, (path, (total, size)) in enumerate(here.items()):
            there = _as_float(rows[0][f"s{number}"]) if rows else 0.0
            same = (math.isnan(total) and math.isnan(there)) or math.isclose(
                total, there, rel_tol=0, abs_tol=_TOLERANCE * size
            )
            check.compare(".".join(path), total, there, same=same)
        return check

    def _documents(self, part: RehearsedPartition, seed: int, samples: int) -> RehearsalCheck:
        """Some documents, rebuilt from the table."""
        check = RehearsalCheck("some documents rebuilt, field by field")
        rules = part.dataset.rules()
        if any(rule.path[0] == "_id" for rule in rules.all):
            check.remark = "not compared: _id is hashed, so no document can be looked up by it"
            return check
        ruled = RuledDocuments(rules).document if rules else bytes
        opened = pq.ParquetFile(part.file)
        rows = opened.metadata.num_rows
        picked = random.Random(seed).sample(range(rows), min(samples, rows))  # noqa: S311
        raw = CodecOptions(document_class=RawBSONDocument)
        for document in _rebuilt(opened, sorted(picked)):
            expected = bson.decode(document, _PLAIN)
            with explained(self._section, f"collection {part.dataset.collection}"):
                collection = self._collection(part.dataset.collection)
                there: Any = collection.with_options(raw).find_one({"_id": expected.get("_id")})
            where = f"_id {expected.get('_id')}"
            if there is None:
                check.compare(where, _json(expected), "no such document", same=False)
                continue
            stored = ruled(there.raw)  # as the export of it would be
            restored = bson.decode(stored, _PLAIN)
            same = document == stored or _equal(expected, restored)
            at, ours, other = ("", "", "") if same else _first_difference(expected, restored)
            check.compare(f"{where} {at}".strip(), ours, other, same=same)
        return check

    def _collection(self, name: str) -> Any:
        database = self._client.get_database(self._section.database, codec_options=_PLAIN)
        return database[name]


def _rebuilt(opened: pq.ParquetFile, wanted: Sequence[int]) -> Iterator[bytes]:
    """The documents of the rows of these numbers, which ascend."""
    begin, chosen = 0, list(wanted)
    for batch in batches_in(opened, _ROWS):
        here = [row - begin for row in chosen if begin <= row < begin + batch.num_rows]
        for row in batch.take(pa.array(here, pa.int64())).to_pylist() if here else ():
            yield rebuild(row, opened.schema_arrow)
        begin += batch.num_rows


def _summed(
    opened: pq.ParquetFile, details: Mapping[str, Any]
) -> tuple[dict[_Path, tuple[float, float]], str]:
    """Each numeric path with its sum and the sum of magnitudes; the paths that were passed over:
    some of their values are only in `_rest` or `_raw`.
    """
    paths = [path for field in opened.schema_arrow for path in _numeric(field, ())]
    if opened.metadata.num_rows and _has_raw(opened):
        return {}, "all"  # a field that a document has twice may be one of them
    kept = [path for path in paths if not _is_left_out(path, details)]
    totals: dict[_Path, list[list[float]]] = defaultdict(list)
    for batch in batches_in(opened, _ROWS):
        for path in kept:
            column = batch.column(path[0])
            values = pc.struct_field(column, list(path[1:])) if path[1:] else column
            numbers = pc.drop_null(values).cast(pa.float64(), safe=False).to_pylist()
            totals[path].append([math.fsum(numbers), math.fsum(map(abs, numbers))])
    sums = {
        path: (math.fsum(total for total, _ in parts), math.fsum(size for _, size in parts))
        for path, parts in totals.items()
    }
    return sums, ", ".join(sorted(".".join(path) for path in paths if path not in kept))


def _has_raw(opened: pq.ParquetFile) -> bool:
    batches = opened.iter_batches(_ROWS, columns=["_raw"])
    return any(batch.column(0).null_count < batch.num_rows for batch in batches)


def _is_left_out(path: _Path, details: Mapping[str, Any]) -> bool:
    """Whether values of the path, or of one above it, are in no column, by the manifest."""
    left_out = details.get("left_out", {})
    above = {".".join(path[:length]) for length in range(1, len(path) + 1)}
    return bool(details.get("left_out_others")) or not above.isdisjoint(left_out)


def _as_float(number: Any) -> float:
    return float(number.to_decimal() if isinstance(number, bson.Decimal128) else number)


def _numeric(field: pa.Field, above: _Path) -> Iterator[_Path]:
    """Numbers that are reached through sub-documents alone, by names a `$sum` understands."""
    path = (*above, field.name)
    if "." in field.name or field.name.startswith("$") or not field.name:
        return
    if pa.types.is_struct(field.type):
        for number in range(field.type.num_fields):
            yield from _numeric(field.type.field(number), path)
    elif any(is_kind(field.type) for is_kind in _NUMBERS):
        yield path


def _equal(ours: Any, other: Any) -> bool:
    """Equal values of equal types; an integer's width and the order of fields do not count."""
    if isinstance(ours, Mapping) and isinstance(other, Mapping):
        return ours.keys() == other.keys() and all(_equal(ours[k], other[k]) for k in ours)
    if isinstance(ours, list) and isinstance(other, list):
        return len(ours) == len(other) and all(map(_equal, ours, other))
    if isinstance(ours, float) and isinstance(other, float):
        both_nan = math.isnan(ours) and math.isnan(other)
        return both_nan or (ours == other and math.copysign(1, ours) == math.copysign(1, other))
    integers = {int, bson.Int64}
    same_type = type(ours) is type(other) or {type(ours), type(other)} <= integers
    return same_type and bool(ours == other)


def _first_difference(ours: Any, other: Any, path: str = "") -> tuple[str, str, str]:
    """Where two documents differ, and what stands there."""
    if isinstance(ours, Mapping) and isinstance(other, Mapping):
        for name in [*ours, *(name for name in other if name not in ours)]:
            if name not in ours or name not in other:
                had = [_json(side[name]) if name in side else "no field" for side in (ours, other)]
                return f"{path}.{name}".strip("."), had[0], had[1]
            if not _equal(ours[name], other[name]):
                return _first_difference(ours[name], other[name], f"{path}.{name}".strip("."))
    return path, _json(ours), _json(other)


def _json(value: Any) -> str:
    return json_util.dumps(
        value,
        json_options=json_util.JSONOptions(
            json_mode=json_util.JSONMode.CANONICAL,
            datetime_conversion=DatetimeConversion.DATETIME_MS,
        ),
        ensure_ascii=False,
    )
