"""`lake bucket plan`, `lake bucket apply` and `lake bucket policy`.

Belongs here: options, the question before what can't be undone, how a plan is shown.
Does not: what is right for a bucket (lake.bucket).
"""

from __future__ import annotations

import difflib
import json
import sys
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import click

from lake.base.errors import UsageError
from lake.cli.confirming import confirm
from lake.cli.hints import lake_command
from lake.cli.options import config_option, json_option

if TYPE_CHECKING:
    from lake.bucket import AppliedSetting, Bucket, BucketPlan, SettingFinding

_COLOURS = {"ok": "green", "skipped": "green", "change": "yellow"}
_ROLES = ("writer", "reader", "restorer", "retention", "admin")


@click.group()
def bucket() -> None:
    """Sets up the S3 bucket of the lake and detects drift.

    \b
    Example:  lake bucket plan
    """


@bucket.command()
@json_option
@config_option
def plan(as_json: bool, config: str | None) -> None:
    """Compares the bucket with [bucket] and shows the differences.

    Compares region, block of public access, ownership, default encryption,
    versioning, Object Lock, lifecycle rules, and the denial of requests without TLS.
    Other lifecycle rules and policy statements stay. Other rules that delete the
    lake's objects, or move them where they can't be read at once, are reported.

    Changes nothing. Reads the bucket's settings, no objects.

    Exit status: 1 if anything differs or could not be read.

    \b
    Example:  lake bucket plan
    """
    from lake.bucket import make_plan  # noqa: PLC0415

    made = make_plan(_bucket(config))
    if as_json:
        click.echo(json.dumps(made.to_json(), indent=1))
    else:
        _show(made)
    if not made.ok:
        sys.exit(1)


@bucket.command()
@click.option("--yes", is_flag=True, help="Skips the confirmation.")
@json_option
@config_option
def apply(yes: bool, as_json: bool, config: str | None) -> None:
    """Creates the bucket and sets what `lake bucket plan` shows.

    Shows the plan, asks before changes that can't be undone (versioning, Object Lock), and writes
    two entries to the audit log, before the first change and after the last. Does nothing if
    nothing differs. A setting that the server does not implement, or that the credentials may
    not change, is reported and does not stop the others.

    Exit status: 1 if anything still differs.

    \b
    Example:  lake bucket apply --yes
    """
    from lake.bucket import apply as set_up  # noqa: PLC0415

    chosen, done = _bucket(config), []
    for applied in set_up(
        chosen,
        show=lambda made: _show(made, err=as_json),
        confirm=lambda findings: None if yes else _confirm(findings),
    ):
        done.append(applied)
        if not as_json and applied.result != "unchanged":
            click.echo(_result(applied))
    ok = all(applied.ok for applied in done)
    if as_json:
        items = [applied.to_json() for applied in done]
        content = {"bucket": chosen.name, "root": chosen.store.root, "ok": ok, "items": items}
        click.echo(json.dumps(content, indent=1))
    elif all(applied.result == "unchanged" for applied in done):
        click.echo("Nothing to change.")
    if not ok:
        sys.exit(1)


@bucket.command()
@click.argument("role", type=click.Choice(_ROLES))
@json_option
@config_option
def policy(role: str, as_json: bool, config: str | None) -> None:  # noqa: ARG001  it is JSON anyway
    """Prints a role's IAM policy for this bucket, prefix and key.

    \b
    writer     exports, re-counts, rollups, snapshots, the expiry guard, Dagster
    reader     queries, catalog, status, verify; not the raw snapshots
    restorer   restore, replay, rehearsals, verification of snapshots
    retention  deletions, holds, erasures, repairs
    admin      lake bucket plan and apply

    Sends nothing to S3.

    \b
    Example:  lake bucket policy reader > reader.json
    """
    from lake.bucket import policy_of  # noqa: PLC0415

    click.echo(json.dumps(policy_of(role, _bucket(config)), indent=2))


def _bucket(config: str | None) -> Bucket:
    from lake.bucket import Bucket  # noqa: PLC0415
    from lake.config.settings import load  # noqa: PLC0415
    from lake.store.s3 import S3Store  # noqa: PLC0415  boto3 takes 0.3 s to import

    settings = load(config)
    root = settings.lake.root
    if not root.startswith("s3://"):
        raise UsageError(
            "the lake has no bucket",
            where="[lake] root",
            expected="s3://bucket[/prefix]",
            found=root,
            remedy="a directory needs no set-up; to move to S3, set root and copy the objects",
        )
    return Bucket(S3Store(root, settings.s3), settings.bucket)


def _confirm(findings: Sequence[SettingFinding]) -> None:
    listed = [f"{finding.item}: {finding.irreversible}" for finding in findings]
    confirm("a change of the bucket", "These can't be undone:", listed, "Change them?")


def _show(plan: BucketPlan, *, err: bool = False) -> None:
    click.echo(click.style(f"{plan.bucket} ({plan.root})", bold=True), err=err)
    for finding in plan.findings:
        for line in _lines(finding):
            click.echo(line, err=err)
    if any(finding.state == "change" for finding in plan.findings):
        click.echo(f"\n`{lake_command()} bucket apply` makes the changes.", err=err)


def _lines(finding: SettingFinding) -> Iterator[str]:
    state = click.style(f"{finding.state:11}", fg=_COLOURS.get(finding.state, "red"))
    yield f"{state} {finding.item}" + (f": {finding.why}" if finding.why else "")
    if finding.state in ("change", "blocked"):
        yield from (f"    {line}" for line in _difference(finding.now, finding.wanted))
    if finding.state == "change" and finding.irreversible:
        yield f"    can't be undone: {finding.irreversible}"
    yield from (f"    note: {note}" for note in finding.notes)


def _difference(now: Any, wanted: Any) -> Iterator[str]:
    """Lines that go begin with -, lines that come with +."""
    for line in difflib.ndiff(_text(now), _text(wanted)):
        if line[0] in "-+":
            yield click.style(line, fg="red" if line[0] == "-" else "green")


def _text(state: Any) -> list[str]:
    """A line for each lifecycle rule and each statement; nothing for what is not set."""
    if isinstance(state, dict):
        return [f"{name}: {_value(value)}" for name, value in sorted(state.items())]
    if isinstance(state, list):
        return [_value(value) for value in state]
    return [] if state is None else [_value(state)]


def _value(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, default=str, sort_keys=True)


def _result(applied: AppliedSetting) -> str:
    head = f"{applied.finding.item}: {applied.result}"
    return f"{head}: {applied.why}" if applied.why else head
