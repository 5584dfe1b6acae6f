"""How label sets become columns and ids; Prometheus and Loki share these rules.

Belongs here: which label gets a column, the MAP of the others, the hash of all of them.
Does not: fixed columns, or how an answer is parsed.

A label has a column of its own if its name is lower case and no fixed column's, decided by
the name alone and never by what else a day holds. Nor has one with a NUL in its name, which
SQL can't name. Every other label is in the MAP `labels`,
and only there; where there is none, the map is empty, never NULL. A label with an empty
value is an absent label: NULL in its column, no entry in the map, no part of the hash.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Mapping, Sequence

import pyarrow as pa

MAP_COLUMN = "labels"
MAP_TYPE = pa.map_(pa.string(), pa.string())
_LOW_BITS = 52


def has_column(name: str, fixed: Collection[str]) -> bool:
    """Whether a label of this name has its own column beside the fixed ones."""
    return name == name.lower() and name not in fixed and "\0" not in name


def column_names(names: Iterable[str], fixed: Collection[str]) -> tuple[str, ...]:
    """The names among these that have their own columns, sorted, each once."""
    return tuple(sorted({name for name in names if has_column(name, fixed)}))


def label_fields(columns: Sequence[str]) -> list[pa.Field]:
    """The columns' fields, then that of the MAP `labels`."""
    return [*(pa.field(name, pa.string()) for name in columns), pa.field(MAP_COLUMN, MAP_TYPE)]


def label_arrays(label_sets: Sequence[Mapping[str, str]], columns: Sequence[str]) -> list[pa.Array]:
    """One row per label set, one array per field of `label_fields(columns)`."""
    own = set(columns)
    rest = [
        sorted((k, v) for k, v in labels.items() if k not in own and v) for labels in label_sets
    ]
    arrays = [
        pa.array([labels.get(name) or None for labels in label_sets], pa.string())
        for name in columns
    ]
    return [*arrays, pa.array(rest, MAP_TYPE)]


def labels_id(labels: Mapping[str, str]) -> int:
    """A signed 64-bit hash of all labels: the same every day, on every machine."""
    return int.from_bytes(_digest(labels), "big", signed=True)


def series_id(labels: Mapping[str, str], metric: str) -> int:
    """A signed 64-bit hash of all labels that keeps a metric's series together.

    The high 12 bits are `metric_bucket`, the low 52 a hash of all labels, `__name__`
    included. Two of n series of one bucket share an id with a probability of n²/2⁵³:
    10⁻⁸ for 10,000 series, 10⁻⁴ for a million.
    """
    low = int.from_bytes(_digest(labels), "big") & ((1 << _LOW_BITS) - 1)
    return (metric_bucket(metric) << _LOW_BITS) | low


def metric_bucket(metric: str) -> int:
    """-2048 … 2047, a hash of the metric's name: ids sort first by this."""
    digest = hashlib.blake2b(metric.encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big", signed=True) >> _LOW_BITS


def _digest(labels: Mapping[str, str]) -> bytes:
    """Of every name and value, each led by its length, in the order of the names."""
    hashed = hashlib.blake2b(digest_size=8)
    for pair in sorted((name, value) for name, value in labels.items() if value):
        for text in pair:
            encoded = text.encode()
            hashed.update(len(encoded).to_bytes(4, "big"))
            hashed.update(encoded)
    return hashed.digest()
