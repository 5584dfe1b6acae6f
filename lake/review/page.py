"""The review as one HTML page.

Belongs here: its content. Does not: its look (lake.pages), what is found (review).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import datetime
from html import escape

from lake import __version__
from lake.audit import Entry
from lake.base.sizes import counted, size
from lake.pages import document, section, table
from lake.review.review import PROVEN, DatasetReview, Review

_NONE = '<span class="quiet">–</span>'
_GAPS_SHOWN = 6
_CHANGES_SHOWN = 200
_SHORT = 12


def render(review: Review) -> str:
    """The page."""
    return document(
        f"Retention and legal review, {review.at:%d %B %Y}",
        [
            f'<p class="quiet"><code>{escape(review.root)}</code> · {_since(review)}</p>',
            _verdict(review),
            "".join(_cards(review)),
            section("Open points", _points(review)),
            section("What is kept", _kept(review.datasets), _retention(review)),
            section("Column rules", _rules(review.datasets)),
            section("Snapshots", _snapshots(review)),
            section("Holds", _holds(review)),
            section("Proof of coverage", _proof(review), _proof_note(review)),
            section(f"Changes {_since(review, short=True)}", *_changes(review.changes)),
            section(f"Erasures {_since(review, short=True)}", _erasures(review)),
            section("Rehearsals", _rehearsals(review)),
            section("Audit log", _chain(review)),
            '<p class="print sign">Reviewed by, date</p>',
        ],
        f"written {review.at:%Y-%m-%d %H:%M} UTC by {review.who}; monitoring-lake {__version__}",
    )


def _since(review: Review, *, short: bool = False) -> str:
    if review.since is None:
        return "since the beginning" if short else "the first review"
    at = datetime.fromisoformat(review.since.at)
    return f"since {at:%Y-%m-%d}" if short else f"since the review of {at:%Y-%m-%d %H:%M} UTC"


def _verdict(review: Review) -> str:
    number = len(review.open_points())
    if not number:
        return '<p class="verdict good">Every expected day is proven, nothing is open.</p>'
    return f'<p class="verdict bad">{counted(number, "open point")}</p>'


def _cards(review: Review) -> Iterator[str]:
    stored = [dataset for dataset in review.datasets if dataset.days]
    proven = sum(dataset.states.get(state, 0) for dataset in review.datasets for state in PROVEN)
    expected = sum(sum(dataset.states.values()) for dataset in review.datasets)
    active = sum(1 for hold in review.holds if not hold.released)
    chain = "unbroken" if not review.chain.problems else "broken"
    cards = {
        "kept": (
            size(sum(dataset.bytes for dataset in stored)),
            f"{counted(sum(dataset.rows for dataset in stored), 'row')} "
            f"of {counted(len(stored), 'dataset')}",
        ),
        "days proven": (f"{proven:,} of {expected:,}", "each dataset's closed days"),
        "active holds": (f"{active}", "nothing they cover is deleted"),
        "audit log": (chain, f"{counted(review.chain.entries, 'entry', 'entries')}"),
    }
    yield '<div class="cards">'
    for name, (value, text) in cards.items():
        yield (
            f'<div class="card"><span class="quiet">{escape(name)}</span><b>{escape(value)}</b>'
            f"{escape(text)}</div>"
        )
    yield "</div>"


def _points(review: Review) -> str:
    points = "".join(f"<li>{escape(point)}</li>" for point in review.open_points())
    return f"<ul>{points}</ul>" if points else "<p>None.</p>"


def _kept(datasets: Sequence[DatasetReview]) -> str:
    rows = [
        [
            f'{escape(dataset.dataset)}<br><span class="quiet">{escape(dataset.source)}</span>',
            _days(dataset),
            f"{dataset.days:,}",
            f"{dataset.rows:,}",
            size(dataset.bytes),
            _term(dataset.kept),
            _term(dataset.hot),
            _ids(dataset.holds),
        ]
        for dataset in datasets
    ]
    heads = ["dataset", "from, to", "days", "rows", "bytes", "kept in the lake", "at the source",
             "holds"]  # fmt: skip
    total = [
        "all",
        "",
        f"{sum(dataset.days for dataset in datasets):,}",
        f"{sum(dataset.rows for dataset in datasets):,}",
        size(sum(dataset.bytes for dataset in datasets)),
        "",
        "",
        "",
    ]
    return table(heads, rows, numbers=(2, 3, 4), total=total) or "<p>No dataset.</p>"


def _retention(review: Review) -> str:
    """Whether anything is deleted by age, and which days were."""
    retention = review.retention
    ran = (
        f"lake retention apply last ended on {retention.last_run[:10]}."
        if retention.last_run
        else "lake retention apply never ran."
    )
    state = "[retention] deletes." if retention.enabled else "[retention] is not enabled."
    gone = [
        f"{dataset.dataset}: {counted(len(dataset.retired), 'day')}, {min(dataset.retired)} to "
        f"{max(dataset.retired)}"
        for dataset in review.datasets
        if dataset.retired
    ]
    deleted = f" Deleted by age so far: {'; '.join(gone)}." if gone else ""
    return f'<p class="quiet">{escape(f"{state} {ran}{deleted}")}</p>'


def _days(dataset: DatasetReview) -> str:
    if dataset.first is None:
        return _NONE
    return f'<span class="nobr">{dataset.first}</span> <span class="nobr">{dataset.last}</span>'


def _term(text: str) -> str:
    """A short one on one line."""
    return f'<span class="nobr">{escape(text)}</span>' if len(text) < _SHORT else escape(text)


def _ids(ids: Sequence[str]) -> str:
    return ", ".join(map(escape, ids)) or _NONE


def _rules(datasets: Sequence[DatasetReview]) -> str:
    """What of personal data is stored; nothing where no dataset has a rule."""
    rows = [
        [
            escape(dataset.dataset),
            "<br>".join(map(escape, dataset.rules)) or _NONE,
            f'<span class="bad">{counted(len(dataset.other_rules), "day")}</span>'
            if dataset.other_rules
            else "none",
        ]
        for dataset in datasets
        if dataset.rules or dataset.other_rules
    ]
    heads = ["dataset", "stored instead of the value", "days exported under other column rules"]
    return table(heads, rows)


def _snapshots(review: Review) -> str:
    rows = [
        [
            escape(system.system),
            f"{system.snapshots}",
            f'<span class="nobr">{system.first}</span> <span class="nobr">{system.last}</span>'
            if system.first
            else _NONE,
            f'<span class="nobr">{system.newest_whole}</span>' if system.newest_whole else _NONE,
            _term(system.kept),
            _ids(system.holds),
        ]
        for system in review.systems
    ]
    heads = ["system", "snapshots", "from, to", "newest whole day", "kept", "holds"]
    return table(heads, rows, numbers=(1,)) or "<p>No system with snapshots.</p>"


def _holds(review: Review) -> str:
    rows = [
        [
            escape(hold.id),
            "all" if hold.datasets == ("*",) else escape(", ".join(hold.datasets)),
            escape(hold.days),
            escape(hold.reason),
            f"{escape(hold.who)}, {escape(hold.at[:10])}",
            f'<span class="quiet">released {escape(hold.released)}</span>'
            if hold.released
            else "active",
        ]
        for hold in review.holds
    ]
    heads = ["hold", "datasets", "days", "reason", "set by", "state"]
    return table(heads, rows) or "<p>None.</p>"


def _proof(review: Review) -> str:
    rows = []
    for dataset in review.datasets:
        proven = sum(dataset.states.get(state, 0) for state in PROVEN)
        rows.append(
            [
                escape(dataset.dataset),
                f"{proven:,} of {sum(dataset.states.values()):,}",
                _gaps(dataset),
                _verified(dataset),
            ]
        )
    return table(["dataset", "proven days", "not proven", "last verification"], rows, numbers=(1,))


def _gaps(dataset: DatasetReview) -> str:
    if not dataset.gaps:
        return '<span class="good">none</span>'
    gaps = map(str, dataset.gaps[:_GAPS_SHOWN])
    shown = "<br>".join(f'<span class="nobr">{escape(gap)}</span>' for gap in gaps)
    more = len(dataset.gaps) - _GAPS_SHOWN
    rest = f"<br>and {counted(more, 'more gap')}, see Open points" if more > 0 else ""
    return f'<span class="bad">{shown}{rest}</span>'


def _verified(dataset: DatasetReview) -> str:
    last = dataset.verified
    if last is None:
        return '<span class="warn">never</span>'
    text = f"{last['at'][:10]}, {counted(last['partitions'], 'day')}"
    if last["failures"]:
        return f'{text}, <span class="bad">{last["failures"]} with a difference</span>'
    return f'{text}, <span class="good">no difference</span>'


def _proof_note(review: Review) -> str:
    recounted = (
        "Days inside the lateness window were re-counted at their sources."
        if review.sources_read
        else "This is from the manifests: nothing was re-counted at the sources."
    )
    return (
        '<p class="quiet">A day is proven when its object exists in the size that its manifest '
        f"states, and the source counted as many rows as it holds. {recounted} A verification "
        "reads the objects back and compares their SHA-256.</p>"
    )


def _changes(entries: Sequence[Entry]) -> Iterator[str]:
    """Counts by action, then each entry."""
    if not entries:
        yield "<p>Nothing was deleted, erased, held, released or let expire.</p>"
        return
    counts = Counter(entry.action for entry in entries)
    listed = ", ".join(f"{escape(action)} {number}" for action, number in sorted(counts.items()))
    yield f"<p>{counted(len(entries), 'entry', 'entries')}: {listed}</p>"
    rows = [
        [
            f"{entry.sequence}",
            f'<span class="nobr">{escape(entry.at[:16].replace("T", " "))}</span>',
            escape(entry.action),
            escape(entry.dataset) or _NONE,
            escape(entry.why),
            escape(entry.who),
        ]
        for entry in entries[-_CHANGES_SHOWN:]
    ]
    if len(entries) > _CHANGES_SHOWN:
        yield f'<p class="quiet">The last {_CHANGES_SHOWN} of them:</p>'
    yield table(["entry", "UTC", "action", "dataset", "why", "who"], rows, numbers=(0,))


def _erasures(review: Review) -> str:
    rows = [
        [
            f'<span class="nobr">{escape(erasure.at[:16].replace("T", " "))}</span>',
            escape(erasure.dataset),
            f"{erasure.rows:,}",
            f"{erasure.days:,}",
            f'<span class="bad">{escape(", ".join(erasure.left))}</span>'
            if erasure.left
            else _NONE,
            escape(erasure.reason) or _NONE,
            escape(erasure.who),
        ]
        for erasure in review.erasures
    ]
    heads = ["UTC", "dataset", "rows", "days", "days not erased", "reason", "who"]
    return table(heads, rows, numbers=(2, 3)) or "<p>No rows were erased.</p>"


def _rehearsals(review: Review) -> str:
    rows = [
        [
            rehearsal.day,
            f"{rehearsal.snapshots}",
            '<span class="good">the same as the lake</span>'
            if rehearsal.ok
            else f'<span class="bad">failed, {counted(rehearsal.differences, "difference")}</span>',
        ]
        for rehearsal in review.rehearsals
    ]
    return table(["day", "snapshots", "result"], rows, numbers=(1,)) or (
        '<p class="warn">None: no restored snapshot was compared with the lake yet.</p>'
    )


def _chain(review: Review) -> str:
    number = counted(review.chain.entries, "entry", "entries")
    if not review.chain.problems:
        return (
            f'<p><span class="good">{number}, unbroken:</span> each has the SHA-256 of the one '
            f"before it.</p>"
        )
    listed = "".join(f"<li>{escape(problem)}</li>" for problem in review.chain.problems)
    return f'<p class="bad">{number}, broken:</p><ul>{listed}</ul>'
