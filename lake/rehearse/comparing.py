"""Compares a restored server with a partition of the lake.

Belongs here: counts, all rows by their fingerprint, and what a snapshot of a day that
still grew can show. Does not: the questions of one system (asking_…).
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from lake.base.errors import ConfigError
from lake.partition.batches import batches_in
from lake.partition.fingerprint import Fingerprint
from lake.partition.parquet import write_parquet
from lake.process.scratch import explained_full_disk, scratch_directory
from lake.rehearse.retyped import of_present_typing
from lake.store.directory import DirectoryStore
from lake.systems.comparison import Compared, RehearsalCheck
from lake.systems.protocol import Questions, Source
from lake.systems.rehearsed import RehearsedPartition
from lake.systems.source import accounted, is_whole

_SHOWN_ROWS = 5
_ROWS = 65_536
_KEYS = ("_id", "ts", "ts_ns", "metric", "series_id", "stream_id")


def compare(
    part: RehearsedPartition,
    source: Source,
    questions: Questions,
    taken: datetime,
    seed: int,
    samples: int,
) -> Compared:
    """Queries both sides. `taken` is when the snapshot was taken. Raises what the server raises.

    A day that older rules typed is compared as today's rules type it, as the server's day is.
    """
    with of_present_typing(part) as comparable:
        return _compare(comparable, source, questions, taken, seed, samples)


def _compare(
    part: RehearsedPartition,
    source: Source,
    questions: Questions,
    taken: datetime,
    seed: int,
    samples: int,
) -> Compared:
    compared = Compared(part.manifest.dataset, part.manifest.day, part.manifest.rows)
    rows = RehearsalCheck("all rows, by their fingerprint")
    count = RehearsalCheck("the server's own count of rows")
    compared.checks += [count, rows]
    try:
        part.dataset.rules()
    except ConfigError as error:  # the same rules can't be applied to the server's rows
        rows.remark = f"not compared: {error.what}; {error.parts.get('expected', '')}"
        _compare_count(part, source, count)
        return compared
    restored = _read(part, source)
    if _is_earlier(part, restored, rows):
        return compared
    if str(restored) != _own(part):
        _report_rows(part, source, taken, rows)
        if rows.remark:
            return compared
    rows.compared = part.manifest.rows
    _compare_count(part, source, count)
    compared.checks += questions.checks(part, seed, samples)
    return compared


def _compare_count(part: RehearsedPartition, source: Source, count: RehearsalCheck) -> None:
    counted = source.count(part.dataset, part.day)
    low = source.may_count_low
    expected = accounted(part.manifest.rows, part.manifest.details)
    same = is_whole(expected, counted.rows, may_count_low=low)
    count.compare(counted.method, part.manifest.rows, counted.rows, same=same)
    if low and counted.rows != part.manifest.rows:
        count.remark = "equal lines count once"


def _is_earlier(part: RehearsedPartition, fingerprint: Fingerprint, check: RehearsalCheck) -> bool:
    """Whether the server holds the day as the lake once had it."""
    if str(fingerprint) == _own(part):
        return False
    for claim in part.manifest.history:
        if claim.get("fingerprint") == str(fingerprint) and claim.get("rows") == fingerprint.rows:
            check.compared = fingerprint.rows
            check.remark = (
                f"the snapshot holds the {fingerprint.rows} rows that the lake had as of "
                f"{claim['created_at']}; the day was rewritten later"
            )
            return True
    return False


def _read(part: RehearsedPartition, source: Source, to: Path | None = None) -> Fingerprint:
    """The server's day on the path that an export takes; into a Parquet file if wanted."""
    seen = Fingerprint()
    with (
        explained_full_disk(),
        scratch_directory() as scratch,
        source.read(part.dataset, part.day, scratch) as stream,
    ):
        if to is None:
            for batch in stream.batches:
                seen.add(batch)
        else:
            with DirectoryStore(to.parent).upload(to.name) as out:
                write_parquet(stream, out)
    return seen


def _own(part: RehearsedPartition) -> str:
    """The partition's fingerprint; an older manifest has none, its object does."""
    if part.manifest.fingerprint:
        return part.manifest.fingerprint
    import pyarrow.parquet as pq  # noqa: PLC0415

    seen = Fingerprint()
    for batch in batches_in(pq.ParquetFile(part.file), _ROWS):
        seen.add(batch)
    return str(seen)


def _report_rows(
    part: RehearsedPartition, source: Source, taken: datetime, check: RehearsalCheck
) -> None:
    """Which rows differ; none may, save those that came after the snapshot was taken."""
    with scratch_directory() as folder:
        restored = folder / "restored.parquet"
        _read(part, source, restored)
        if not _same_columns(part, restored, check):
            return
        rows = part.rows("rows_that_differ", restored=str(restored), wanted=_SHOWN_ROWS)
    lost = [row for row in rows if row["side"] == "lake"]
    extra = [row for row in rows if row["side"] == "restored"]
    written = datetime.fromisoformat(part.manifest.created_at)
    grows_until = part.day.end + timedelta(days=source.lateness_days)
    if lost and not extra and written > taken and taken < grows_until:
        check.compared = part.manifest.rows - lost[0]["times"]
        check.remark = (
            f"all rows of the server are in the lake, which got {lost[0]['times']} more after "
            "the snapshot was taken"
        )
        return
    where = part.manifest.key
    for at, ours, other in _paired(lost, extra):
        check.differ(f"{where} {at}".strip(), ours, other)
    check.wrong = max(
        lost[0]["times"] if lost else 0, extra[0]["times"] if extra else 0, check.wrong
    )
    if not rows:  # equal to SQL: another sign of zero, a NaN's bits
        check.differ(where, _own(part), "rows that differ only in their bits")


def _same_columns(part: RehearsedPartition, restored: Path, check: RehearsalCheck) -> bool:
    import pyarrow.parquet as pq  # noqa: PLC0415

    here, there = pq.read_schema(part.file), pq.read_schema(restored)
    ours = {f"{column.name} {column.type}" for column in here}
    theirs = {f"{column.name} {column.type}" for column in there}
    if ours != theirs:
        expected, restored_only = ", ".join(sorted(ours - theirs)), ", ".join(sorted(theirs - ours))
        check.differ(f"columns of {part.manifest.key}", expected or "none", restored_only or "none")
    return here.names == there.names and ours == theirs


def _paired(
    lost: list[dict[str, Any]], extra: list[dict[str, Any]]
) -> Iterator[tuple[str, str, str]]:
    """Which row, and what differs in it; rows that are most alike are taken to be the same."""
    others: list[dict[str, Any]] = [json.loads(row["row"]) for row in extra]
    for row in (json.loads(line["row"]) for line in lost):
        if not others:
            yield "", _json(row), "no such row"
            continue
        like = max(others, key=lambda other: sum(other[name] == row[name] for name in row))
        others.remove(like)
        differing = [name for name in row if row[name] != like[name]]
        same = {name: row[name] for name in _KEYS if name in row and name not in differing}
        ours, theirs = ({name: side[name] for name in differing} for side in (row, like))
        yield _json(same), _json(ours), _json(theirs)
    for other in others:
        yield "", "no such row", _json(other)


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
