"""A rehearsal for people: one HTML page that needs nothing else.

Belongs here: its content, and what of its look is its own. Does not: the look of all pages
(lake.pages), the results, storing it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from html import escape
from importlib import resources
from typing import Any

from lake.base.sizes import counted
from lake.pages import document, section
from lake.rehearse.plot import COLOURS, NAMES, recovery_plot

Report = Mapping[str, Any]


def render(report: Report, earlier: Sequence[Report]) -> str:
    """The page of a report; `earlier` ones, oldest first, are in the plot."""
    plot = _plots(_times([*earlier, report])) if _times([report]) else ""
    note = f'<p class="quiet">{_plot_note(earlier)}</p>'
    return document(
        f"Rehearsal of {report['day']}",
        [
            _verdict(report),
            f'<div class="cards">{"".join(_cards(report))}</div>',
            section("Time to recover", note, plot),
            _differences(report),
            section("What was brought back", "".join(map(_snapshot, report["snapshots"]))),
        ],
        f"begun {_time(report['begun_at'])}, {_seconds(report['seconds'])} in all; "
        f"seed {report['seed']}; monitoring-lake {report['version']}",
        style=resources.files("lake.rehearse").joinpath("page.css").read_text("utf-8"),
    )


def _plots(times: Mapping[str, Sequence[tuple[date, float]]]) -> str:
    """One of them is shown, by the page's width."""
    return "".join(
        f'<div class="plot {name}">{recovery_plot(times, narrow=name == "narrow")}</div>'
        for name in ("wide", "narrow")
    )


def _times(reports: Sequence[Report]) -> dict[str, list[tuple[date, float]]]:
    """The slowest recovery of each system in each rehearsal."""
    points: dict[str, list[tuple[date, float]]] = {}
    for report in reports:
        for system in COLOURS:
            slowest = _slowest(report, system)
            if slowest:
                point = (date.fromisoformat(report["day"]), float(slowest["total_s"]))
                points.setdefault(system, []).append(point)
    return points


def _slowest(report: Report, system: str) -> Mapping[str, float] | None:
    times = [
        snapshot["recovery"]
        for snapshot in report["snapshots"]
        if snapshot["system"] == system and snapshot["recovery"]
    ]
    return max(times, key=lambda recovery: float(recovery["total_s"]), default=None)


def _verdict(report: Report) -> str:
    number = len(report["snapshots"])
    came = sum(1 for snapshot in report["snapshots"] if snapshot["recovery"])
    if report["ok"]:
        values = sum(check["compared"] for check in _checks(report))
        return (
            '<p class="verdict good">Everything came back, and nothing differs.</p>'
            f"<p>{counted(number, 'snapshot')} restored, {values:,} comparisons with the lake.</p>"
        )
    bad = sum(1 for snapshot in report["snapshots"] if not snapshot["ok"])
    return (
        f'<p class="verdict bad">{bad} of {counted(number, "snapshot")} failed the rehearsal.</p>'
        f"<p>{came} of {number} came back; "
        f"{counted(len(report['differences']), 'finding')} below.</p>"
    )


def _checks(report: Report) -> Iterator[Mapping[str, Any]]:
    for snapshot in report["snapshots"]:
        for compared in snapshot["compared"]:
            yield from compared["checks"]


def _cards(report: Report) -> Iterator[str]:
    """Each system: how long it takes, and how old the newest data are."""
    for system in COLOURS:
        own = [snapshot for snapshot in report["snapshots"] if snapshot["system"] == system]
        if not own:
            continue
        slowest = _slowest(report, system)
        newest = own[-1] if own[-1]["newest"] else None  # of the newest snapshot
        state = "good" if all(snapshot["ok"] for snapshot in own) else "bad"
        word = "as in the lake" if state == "good" else "differs or failed"
        time = _seconds(slowest["total_s"]) if slowest else "did not come back"
        split = (
            f"download {_seconds(slowest['download_s'])} · start {_seconds(slowest['start_s'])}"
            f" · first answer {_seconds(slowest['first_answer_s'])}"
            if slowest
            else ""
        )
        data = (
            f"newest data recoverable: {_time(newest['newest'])}, "
            f"{_age(newest['newest_age_s'])} old"
            if newest
            else "newest data recoverable: not known"
        )
        yield (
            f'<div class="card" style="--colour:{COLOURS[system]}"><h3>{NAMES[system]}</h3>'
            f'<p class="time">{time}</p><p>{split}</p><p>{data}</p>'
            f'<p class="{state}">{word}</p></div>'
        )


def _plot_note(earlier: Sequence[Report]) -> str:
    if not earlier:
        return "The first rehearsal: the line begins here."
    return f"{len(earlier) + 1} rehearsals; the slowest recovery of each system."


def _differences(report: Report) -> str:
    if not report["differences"]:
        return ""
    listed = "".join(f"<pre>{escape(difference)}</pre>" for difference in report["differences"])
    return f"<h2>What differs</h2>{listed}"


def _snapshot(snapshot: Mapping[str, Any]) -> str:
    rows = "".join(
        _row(compared, check) for compared in snapshot["compared"] for check in compared["checks"]
    )
    remarks = "".join(f"<li>{escape(remark)}</li>" for remark in snapshot["remarks"])
    problem = f"<pre>{escape(snapshot['problem'])}</pre>" if snapshot["problem"] else ""
    took = (
        f"back in {_seconds(snapshot['recovery']['total_s'])}"
        if snapshot["recovery"]
        else "not back"
    )
    table = (
        "<table><thead><tr><th>dataset</th><th>day</th><th>question</th>"
        f"<th class=n>compared</th><th class=n>wrong</th></tr></thead><tbody>{rows}</tbody></table>"
        if rows
        else ""
    )
    state = "good" if snapshot["ok"] else "bad"
    return (
        f"<details{'' if snapshot['ok'] else ' open'}><summary><b>{NAMES[snapshot['system']]}</b> "
        f'{snapshot["day"]} <span class="quiet">{snapshot["chosen"]} · '
        f"{escape(snapshot['versions'])} · "
        f"{snapshot['files']} files, {_size(snapshot['bytes'])} · {took}</span> "
        f'<span class="{state}">{"the same" if snapshot["ok"] else "failed"}</span></summary>'
        f"{problem}{table}{f'<ul>{remarks}</ul>' if remarks else ''}</details>"
    )


def _row(compared: Mapping[str, Any], check: Mapping[str, Any]) -> str:
    remark = f'<br><span class="quiet">{escape(check["remark"])}</span>' if check["remark"] else ""
    state = ' class="n bad"' if check["wrong"] else " class=n"
    return (
        f"<tr><td>{escape(compared['dataset'])}</td><td>{compared['day']}</td>"
        f"<td>{escape(check['question'])}{remark}</td>"
        f"<td class=n>{check['compared']:,}</td><td{state}>{check['wrong']:,}</td></tr>"
    )


def _time(text: str) -> str:
    return f"{text[:16].replace('T', ' ')} UTC"


def _seconds(seconds: float) -> str:
    if seconds < 0.95:
        return f"{seconds * 1000:.0f} ms"
    return f"{seconds:.1f} s" if seconds < 120 else f"{seconds / 60:.1f} min"


def _age(seconds: float) -> str:
    hours = seconds / 3600
    return f"{hours:.1f} h" if hours < 48 else f"{hours / 24:.1f} days"


def _size(size: int) -> str:
    return f"{size / 1e6:,.1f} MB" if size < 1e9 else f"{size / 1e9:,.2f} GB"
