"""The page itself: facts and tables as HTML, places for what the scripts draw.

Belongs here: its content. Does not: its look (lake.pages, site/report.css), what is shown (facts).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import datetime
from html import escape
from importlib import resources

from lake import __version__
from lake.base.sizes import counted, hours_or_days, size
from lake.lag import PROVEN
from lake.pages import document, section, table
from lake.report.facts import DatasetFacts, Facts
from lake.report.states import SHOWN
from lake.review.review import Gap

_NONE = '<span class="quiet">–</span>'
_GAPS_SHOWN = 12
_SOON_H = 72  # hours left until the source deletes, below which they are a warning


def render(facts: Facts, trend_days: int) -> str:
    """The page; its scripts lie in `site/` beside it."""
    return document(
        "State of the lake",
        [
            f'<p class="quiet"><code>{escape(facts.root)}</code> · manifests read {_at(facts)} · '
            f"{_sources(facts)}</p>",
            _verdict(facts),
            "".join(_cards(facts)),
            _named("coverage", section("Coverage", _legend(facts), _calendar(facts))),
            _named("freshness", section("Freshness", _freshness(facts), _freshness_note(facts))),
            _named("sizes", section("Sizes and growth", _sizes(facts), _plots("sizes-plots"))),
            _named(
                "trends",
                section(
                    "Trends",
                    f'<p class="quiet">Up to the last {trend_days} closed UTC days, from the '
                    "lake's tables. A gap is a day without rows, or not in the lake.</p>",
                    _plots("trend-plots"),
                ),
            ),
            _named("recovery", section("Snapshots and rehearsals", *_recovery(facts))),
            _named("expiry", section("Expiry guard", _guards(facts))),
            _named("holds", section("Holds", _holds(facts))),
            _named("ages", section("How current this page is", _ages(facts))),
        ],
        f"monitoring-lake {__version__}, {facts.at:%Y-%m-%d %H:%M} UTC",
        style=_styles(),
        scripts=[f"site/{name}" for name in ("uplot/uPlot.iife.min.js", *_OWN)],
    )


def failure(problem: str) -> str:
    """The page where the lake can't be read."""
    return document(
        "State of the lake",
        ['<p class="verdict bad">The lake can\'t be read.</p>', f"<pre>{escape(problem)}</pre>"],
        f"monitoring-lake {__version__}",
    )


_OWN = ("page.js", "calendar.js", "day.js", "charts.js")


def _styles() -> str:
    folder = resources.files("lake.report").joinpath("site")
    files = ("uplot/uPlot.min.css", "report.css")
    return "\n".join(folder.joinpath(*name.split("/")).read_text("utf-8") for name in files)


def _named(name: str, content: str) -> str:
    """A section that has a heading, with an address of its own."""
    if not content:
        return ""
    content = content.replace("<h2>", f'<h2 id="{name}">', 1)
    return f'<section aria-labelledby="{name}">{content}</section>'


def _at(facts: Facts) -> str:
    return f'<time datetime="{facts.at:%Y-%m-%dT%H:%M:%SZ}">{facts.at:%Y-%m-%d %H:%M} UTC</time>'


def _sources(facts: Facts) -> str:
    if facts.sources_read:
        return "days that may still grow were re-counted at their sources"
    return "sources were not queried: late rows are unknown (<code>--sources</code>)"


def _verdict(facts: Facts) -> str:
    proven, expected = facts.days
    gaps = [(of.name, gap) for of in facts.datasets for gap in of.gaps]
    if not any(of.exported for of in facts.datasets):
        return (
            '<p class="verdict warn">Nothing is exported yet.</p>' + _gaps(gaps) + _problems(facts)
        )
    if not gaps and not facts.problems:
        return '<p class="verdict good">Every expected day is proven.</p>'
    number = expected - proven
    verb = "is" if number == 1 else "are"
    text = (
        f"{counted(number, 'day')} {verb} not proven."
        if number
        else "Every expected day is proven."
    )
    return (
        f'<p class="verdict {"bad" if number else "good"}">{text}</p>'
        f"{_gaps(gaps)}{_problems(facts)}"
    )


def _gaps(gaps: Sequence[tuple[str, Gap]]) -> str:
    """The newest first; each opens its first day in the calendar."""
    ordered = sorted(gaps, key=lambda pair: pair[1].last, reverse=True)
    shown = "".join(
        f'<li><a href="#{escape(name)}/{gap.first}">{escape(f"{name}: {gap}")}</a></li>'
        for name, gap in ordered[:_GAPS_SHOWN]
    )
    more = len(ordered) - _GAPS_SHOWN
    rest = f"<li>and {counted(more, 'further range')} in the calendar</li>" if more > 0 else ""
    return f'<ul class="gaps">{shown}{rest}</ul>' if shown else ""


def _problems(facts: Facts) -> str:
    lines = "".join(f"<pre>{escape(problem)}</pre>" for problem in facts.problems)
    return f'<div class="problems"><h2>Could not be read</h2>{lines}</div>' if lines else ""


def _cards(facts: Facts) -> Iterator[str]:
    proven, expected = facts.days
    stored = sum(of.total("bytes") for of in facts.datasets)
    rows = sum(of.total("rows") for of in facts.datasets)
    soonest = min(facts.datasets, key=lambda of: of.lag.goes_at, default=None)
    cards = {
        "days proven": (f"{proven:,} of {expected:,}", counted(len(facts.datasets), "dataset")),
        "stored in tables": (size(stored), f"{rows:,} rows"),
        "until a source deletes rows": (
            _hours(soonest, facts) if soonest else _NONE,
            f"{_breakable(soonest.name)}, {_nobr(soonest.lag.first_unproven)}" if soonest else "",
        ),
        "last rehearsal": _rehearsal_card(facts),
        "last guard run": _guard_card(facts),
    }
    yield '<div class="cards">'
    for name, (value, text) in cards.items():
        yield f'<div class="card"><span class="quiet">{name}</span><b>{value}</b>{text}</div>'
    yield "</div>"


def _rehearsal_card(facts: Facts) -> tuple[str, str]:
    if not facts.rehearsals:
        return "none", "<code>lake rehearse</code>"
    last = facts.rehearsals[0]
    text = "the same as the lake" if last.ok else counted(last.differences, "difference")
    return _nobr(last.day), _state(text, good=last.ok)


def _guard_card(facts: Facts) -> tuple[str, str]:
    if not facts.guards:
        return "off", "no dataset has [ttl] enabled"
    times = [guard.at for guard in facts.guards]
    if not all(times):
        return "never", f"of {counted(times.count(None), 'dataset')}"
    return _short(min(at for at in times if at)), counted(len(times), "dataset")


def _legend(facts: Facts) -> str:
    counts = Counter[str]()
    for of in facts.datasets:
        counts.update(of.states)
        counts["retired"] += len(of.status.retired)
    items = "".join(
        f'<li><i class="day s-{shown.letter}" aria-hidden="true">{shown.symbol}</i>'
        f"<b>{state}</b> {counts[state]:,} <span class=quiet>{escape(shown.meaning)}</span></li>"
        for state, shown in SHOWN.items()
        if counts[state] or state in ("verified", "missing", "late", "damaged")
    )
    held = sum(len(of.held) for of in facts.datasets)
    items += (
        '<li><i class="day s-v held" aria-hidden="true"></i><b>held</b> '
        f"{held:,} <span class=quiet>under a hold: nothing deletes them</span></li>"
    )
    return f'<ul class="legend states">{items}</ul>'


def _calendar(facts: Facts) -> str:
    if not any(of.status.days for of in facts.datasets):
        return "<p>No days yet: <code>lake export --day YYYY-MM-DD</code>.</p>"
    return (
        '<div id="calendar"></div><noscript><p>The calendar and the plots need JavaScript; the '
        "tables do not.</p></noscript>"
    )


def _plots(name: str) -> str:
    return f'<div class="plots" id="{name}"></div>'


def _freshness(facts: Facts) -> str:
    rows = [
        [
            _name(of),
            _hours(of, facts),
            _nobr(of.lag.first_unproven),
            _lost(of),
            _nobr(of.newest) if of.newest else _NONE,
            _nobr(f"{of.lag.goes_at:%Y-%m-%d}"),
            _short(of.exported_at) if of.exported_at else _NONE,
            _verified(of),
        ]
        for of in facts.datasets
    ]
    # A phone shows the first three without scrolling.
    heads = ["dataset", "time left", "first unproven day", "lost days", "newest proven day",
             "deleted at source from", "last export", "last verification"]  # fmt: skip
    return table(heads, rows)


def _freshness_note(facts: Facts) -> str:
    if not facts.datasets:
        return ""
    return (
        '<p class="quiet">[hot] is taken as what the sources keep. The first unproven '
        "day of a dataset without gaps is the current one. Lost: unproven, and no longer at the "
        "source.</p>"
    )


def _hours(of: DatasetFacts, facts: Facts) -> str:
    """With the time itself, which the page's script counts down."""
    left = of.lag.hours_left(facts.at)
    kind = "bad" if left <= 0 else "warn" if left < _SOON_H else ""
    goes = of.lag.goes_at.strftime("%Y-%m-%dT%H:%M:%SZ")
    return f'<time class="left {kind}" datetime="{goes}">{hours_or_days(left)}</time>'


def _lost(of: DatasetFacts) -> str:
    return f'<span class="bad">{len(of.lag.lost):,}</span>' if of.lag.lost else "0"


def _verified(of: DatasetFacts) -> str:
    if of.verified is None:
        return '<span class="warn">never</span>'
    failures = of.verified.failures
    text = counted(of.verified.partitions, "day")
    state = _state(f"{failures} differ", good=False) if failures else "all as stored"
    return f'{_short(of.verified.at)}<br><span class="nobr">{text}, {state}</span>'


def _sizes(facts: Facts) -> str:
    def mean(value: float | None, *, rows: bool = False) -> str:
        if value is None:
            return _NONE
        return f"{value:,.0f}" if rows else size(value)

    rows = [
        [
            _name(of),
            f"{len(of.exported):,}",
            f"{of.total('rows'):,}",
            size(of.total("bytes")),
            mean(of.mean("rows", facts.today), rows=True),
            mean(of.mean("bytes", facts.today)),
        ]
        for of in facts.datasets
    ]
    total = ["all", "", f"{sum(of.total('rows') for of in facts.datasets):,}",
             size(sum(of.total("bytes") for of in facts.datasets)), "", ""]  # fmt: skip
    heads = ["dataset", "days", "rows", "bytes", "rows a day, 30 days", "bytes a day, 30 days"]
    return table(heads, rows, numbers=range(1, 6), total=total)


def _recovery(facts: Facts) -> Iterator[str]:
    yield table(
        ["system", "snapshots", "newest taken", "newest whole day in it", "kept"],
        [
            [
                escape(of.system),
                f"{of.snapshots:,}",
                _short(of.taken_at) if of.taken_at else '<span class="warn">none</span>',
                str(of.newest_whole or _NONE),
                escape(of.kept),
            ]
            for of in facts.systems
        ],
        numbers=(1,),
    )
    yield (
        table(
            ["rehearsal", "result", "snapshots", "differences"],
            [
                [
                    _nobr(of.day),
                    _state("the same as the lake" if of.ok else "failed", good=of.ok),
                    f"{of.snapshots:,}",
                    f"{of.differences:,}",
                ]
                for of in facts.rehearsals
            ],
            numbers=(2, 3),
        )
        or "<p>No rehearsal yet: <code>lake rehearse</code>.</p>"
    )


def _guards(facts: Facts) -> str:
    rows = [
        [
            escape(guard.dataset),
            _short(guard.at) if guard.at else '<span class="warn">never</span>',
            escape(guard.decision or "") or _NONE,
            f"{guard.limit_s / 86_400:,.0f} days" if guard.limit_s else _NONE,
        ]
        for guard in facts.guards
    ]
    return table(["dataset", "last run", "decision", "limit"], rows) or (
        "<p>No dataset has [ttl] enabled: the lake lets nothing expire.</p>"
    )


def _holds(facts: Facts) -> str:
    rows = [
        [
            escape(hold.id),
            escape(", ".join("all datasets" if name == "*" else name for name in hold.datasets)),
            f"{hold.start or 'the beginning'} … {hold.end or 'no end'}",
            escape(hold.problem or hold.reason),
            escape(hold.who),
            _short(hold.at) if hold.at else _NONE,
        ]
        for hold in facts.holds.active
    ]
    heads = ["id", "datasets", "days (end exclusive)", "reason", "by", "since"]
    return table(heads, rows) or "<p>None.</p>"


def _ages(facts: Facts) -> str:
    verified = [of.verified.at for of in facts.datasets if of.verified]
    guards = [guard.at for guard in facts.guards if guard.at]
    rows = [
        ["states, sizes, holds", "manifests and listings of the store", _at(facts)],
        [
            "late days",
            "counts at the sources",
            _at(facts) if facts.sources_read else "at each export; not queried now",
        ],
        [
            "content of objects",
            "lake verify --record",
            _short(min(verified)) if verified else _NONE,
        ],
        ["TTL limits", "lake ttl apply", _short(min(guards)) if guards else _NONE],
        [
            "recovery",
            "lake rehearse",
            escape(facts.rehearsals[0].day) if facts.rehearsals else _NONE,
        ],
    ]
    return table(["fact", "from", "as of"], rows)


def _name(of: DatasetFacts) -> str:
    bad = any(state not in PROVEN for state in of.states)
    mark = ' <span class="bad" title="has unproven days">!</span>' if bad else ""
    return f'{escape(of.name)}{mark}<br><span class="quiet">{escape(of.status.source)}</span>'


def _state(text: str, *, good: bool) -> str:
    return f'<span class="{"good" if good else "bad"}">{escape(text)}</span>'


def _nobr(text: object) -> str:
    return f'<span class="nobr">{escape(str(text))}</span>'


def _breakable(name: str) -> str:
    """A name that is broken after an underscore, where a card is narrow."""
    return escape(name).replace("_", "_<wbr>")


def _short(at: str) -> str:
    """A time of a record; what is none as it is."""
    try:
        return _nobr(f"{datetime.fromisoformat(at):%Y-%m-%d %H:%M}")
    except ValueError:
        return escape(at)
