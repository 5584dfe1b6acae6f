"""`lake incident`.

Belongs here: options, the text on a terminal. Does not: what is read (lake.incident).
"""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from lake.base.day import Day
from lake.base.printable import shown
from lake.cli.completing import DatasetType, FileType
from lake.cli.options import DayType, config_option, json_option
from lake.cli.writing import write_file

if TYPE_CHECKING:
    from lake.incident import Incident
    from lake.incident.changes import Change


class _Instant(click.ParamType):  # type: ignore[type-arg]  # generic since click 8.4
    """A time in ISO 8601; without an offset in UTC."""

    name = "T"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> datetime:
        """Fails as click does: with the option's name."""
        if isinstance(value, datetime):
            return value
        try:
            at = datetime.fromisoformat(value)
        except ValueError:
            self.fail(f"expected ISO 8601 such as 2026-07-06T11:20Z, found {value!r}", param, ctx)
        return at if at.tzinfo else at.replace(tzinfo=UTC)


class _Duration(click.ParamType):  # type: ignore[type-arg]  # generic since click 8.4
    """A duration as Prometheus writes it."""

    name = "D"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> timedelta:
        """Fails as click does: with the option's name."""
        from lake.config.datasets import duration_ms  # noqa: PLC0415

        if isinstance(value, timedelta):
            return value
        try:
            return timedelta(milliseconds=duration_ms(value))
        except (ValueError, OverflowError):
            self.fail(f"expected a duration such as 15m or 1h30m, found {value!r}", param, ctx)


@click.command()
@click.option("--at", type=_Instant(), help="Instant in ISO 8601, UTC without an offset.")
@click.option(
    "--window",
    "around",
    type=_Duration(),
    default="15m",
    show_default=True,
    help="Time before and after the instant.",
)
@click.option("--request", metavar="ID", help="Only events with this request or trace identifier.")
@click.option("--day", type=DayType(), help="UTC day to search for --request without --at.")
@click.option(
    "--dataset",
    "datasets",
    type=DatasetType(),
    metavar="NAME",
    multiple=True,
    help="Only this dataset; repeatable.",
)
@click.option(
    "--limit",
    type=click.IntRange(1, 100_000),
    default=200,
    show_default=True,
    metavar="N",
    help="Number of events to show, errors first.",
)
@click.option("--html", type=FileType(), metavar="FILE", help="Also writes a page to FILE.")
@click.option(
    "--restore",
    is_flag=True,
    help="Also restores that day's snapshots and runs servers on them until Ctrl-C.",
)
@click.option(
    "--sql", is_flag=True, help="Prints the SQL for log lines and documents; does not run it."
)
@json_option
@config_option
def incident(
    at: datetime | None,
    around: timedelta,
    request: str | None,
    day: Day | None,
    datasets: tuple[str, ...],
    limit: int,
    html: str | None,
    restore: bool,
    sql: bool,
    as_json: bool,
    config: str | None,
) -> None:
    """Shows metrics, log lines and documents around an instant.

    Lists the series that changed most against the time just before, then the log lines and
    documents of all datasets in order of time, each with its request identifier. With --request,
    lists what carries this identifier, or another one that the same rows carry, such as a trace
    identifier. [incident] in lake.toml names the fields.

    \b
    Exit status: 1 if days are missing, or nothing has the identifier.

    \b
    Example:  lake incident --at 2026-07-06T11:20 --html incident.html
    """
    from lake.incident import Inquiry, events_statement, gather, page, to_json  # noqa: PLC0415
    from lake.query import connect  # noqa: PLC0415

    inquiry = Inquiry(at, around, _identifier(request), day, datasets, limit)
    with connect(config) as lake:
        if sql:
            click.echo(events_statement(lake, inquiry))
            return
        gathered = gather(lake, inquiry)
    if html:
        write_file(Path(html), page(gathered))
        click.echo(f"wrote {html}", err=True)
    if as_json:
        click.echo(json.dumps(to_json(gathered), ensure_ascii=False))
    else:
        for line in _lines(gathered):
            click.echo(line)
    absent = bool(request and not gathered.total)
    failed = bool(gathered.missing) or gathered.window is None or absent
    if restore and gathered.window:
        from lake.cli.incident_servers import run_servers  # noqa: PLC0415

        failed |= not run_servers(lake.settings, gathered.window.day)
    if failed:
        sys.exit(1)


def _identifier(request: str | None) -> str:
    if request is not None and not request.strip():
        raise click.BadParameter(
            "expected an identifier, found an empty text", param_hint="--request"
        )
    return request or ""


def _lines(incident: Incident) -> Iterator[str]:
    from lake.incident.entries import entries  # noqa: PLC0415
    from lake.incident.page import clock, followed, kept, span  # noqa: PLC0415

    if incident.inquiry.request:
        yield f"request {shown(incident.inquiry.request)}"
    if incident.inquiry.others:
        yield shown(followed(incident))
    yield span(incident)
    yield from (f"missing: {shown(sentence)}" for sentence in incident.missing)
    yield from (f"note: {shown(sentence)}" for sentence in incident.notes)
    for dataset in dict.fromkeys(change.dataset for change in incident.changes):
        yield ""
        yield from _changes([change for change in incident.changes if change.dataset == dataset])
    yield ""
    for name, (kind, events, errors) in incident.totals().items():
        yield f"{name}: {events:,} {kind}{'' if events == 1 else 's'}, {errors:,} with errors"
    yield f"timeline: {kept(incident)}"
    names = max((len(event.dataset) for event in incident.events), default=0)
    for entry in entries(incident.events):
        event = entry.event
        level = shown(event.level or "")
        start = f"{clock(event.at, exact=True)}  {event.dataset:<{names}}  {level:<8}  "
        yield _cut(f"{start}{shown(event.id or '-')}  {shown(event.text)}")
        yield from (_cut(f"{'':{len(start)}}{shown(text)}") for text in entry.more)


def _changes(changes: list[Change]) -> Iterator[str]:
    from lake.incident.changes import shared_labels, shared_text  # noqa: PLC0415
    from lake.incident.page import number  # noqa: PLC0415

    shared = shared_labels(changes)
    yield f"{changes[0].dataset}: series that changed most{shown(shared_text(shared))}"
    yield f"  {'before':>12} {'window':>12}  series"
    for change in changes:
        what = "" if change.counter else " (mean)"
        values = f"{number(change.before):>12} {number(change.during):>12}"
        yield _cut(f"  {values}  {shown(change.short_name(shared))}{what}")


def _cut(line: str) -> str:
    """To the width of a terminal; whole elsewhere."""
    if not sys.stdout.isatty():
        return line
    width = shutil.get_terminal_size().columns
    return line if len(line) <= width else f"{line[: width - 1]}…"
