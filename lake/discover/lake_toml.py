"""Writes a commented lake.toml.

Belongs here: the text. Does not: what stands in it (lake.systems.discovered).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain

from lake.base.day import Day
from lake.config.bucket import BucketSection
from lake.config.settings import HotSection
from lake.systems.discovered import (
    DiscoveredSource,
    DiscoveredTable,
    Value,
    id_fields,
    unique_name,
)
from lake.systems.registry import system

_OLDEST_DAYS = 3650  # an older first day comes from a mistake in the data
_HEAD = """\
# What is exported, from where to where. Written by `lake init` on {day} from what the servers
# held on that day: review it, correct it, then run `lake doctor`.
#
# Each key can be overridden by an environment variable, LAKE_ + its path:
# LAKE_LAKE__ROOT, LAKE_SOURCES__MONGO__URI, LAKE_DATASET__<NAME>__<KEY>.
# Secrets come from there, or from the AWS default chain, never from this file.
"""


_OPTIONAL = """\
# Optional: data expires at the source after a number of days, once the lake is proven to hold it.
# See `lake ttl plan`.
# [ttl]
# enabled = true
# days = 90

# Optional: alerts. Secret URLs belong in the environment, such as LAKE_ALERTS__WEBHOOK_URL.
# Test them with `lake alert test`.
# [alerts]
# alertmanager_url = "http://127.0.0.1:9093"
"""
_CLASSES, _CLASS = ("tables_class", "snapshots_class"), "STANDARD"
_KMS_KEY = '# kms_key_id = "alias/monitoring-lake"'


@dataclass(frozen=True)
class LakeToml:
    """The file to be written. `s3` holds the keys of [s3], if any; `today` is when it is made."""

    root: str
    sources: Sequence[DiscoveredSource]
    s3: Mapping[str, str]
    today: Day = field(default_factory=Day.today)

    def tables(self) -> list[tuple[str, DiscoveredTable]]:
        """Every table that was found, with the name it gets."""
        named: dict[str, DiscoveredTable] = {}
        for table in chain.from_iterable(source.tables for source in self.sources):
            rows = system(str(table.keys["source"])).rows
            named[unique_name(table.name, named, rows)] = table
        return list(named.items())

    def datasets(self) -> list[str]:
        """The names that are exported."""
        return [name for name, table in self.tables() if not table.why_not]

    def first_day(self) -> Day | None:
        """The first UTC day of data, as far as that may be believed."""
        earliest = self.today.plus(-_OLDEST_DAYS)
        days = [source.oldest for source in self.sources if source.oldest]
        return min((day for day in days if day >= earliest), default=None)

    def render(self) -> str:
        """The text."""
        parts = [_HEAD.format(day=self.today), self._lake()]
        if self.s3 or self.root.startswith("s3://"):
            parts.append(_section("s3", self.s3))
        if self.root.startswith("s3://"):
            parts.append(_bucket(is_aws="endpoint_url" not in self.s3))
        parts += [_source(source) for source in self.sources]
        parts += [self._hot(), *self._incident(), _OPTIONAL]
        parts += [_dataset(name, table) for name, table in self.tables()]
        return "\n".join(parts)

    def _lake(self) -> str:
        lines = ["[lake]", f"root = {toml(self.root)}"]
        if first := self.first_day():
            lines += ["# Dagster's first partition: the oldest day found", f"first_day = {first}"]
        return "\n".join(lines) + "\n"

    def _incident(self) -> list[str]:
        """Nothing where no identifier was seen: then the default's names are looked for."""
        tables = (table for source in self.sources for table in source.tables)
        ids = id_fields(path for table in tables for path in table.id_fields)
        if not ids:
            return []
        comment = "# Identifiers of a request, a trace or a session: for `lake incident --request`."
        return [f"{comment}\n[incident]\nids = [{', '.join(map(toml, ids))}]\n"]

    def _hot(self) -> str:
        lines = ["# Number of days that each source keeps its data. Alerts and checks rely on it."]
        lines.append("[hot]")
        for source in self.sources:
            days, basis = source.hot_days, source.hot_basis
            if days is None:
                days = HotSection.model_fields[source.source].default
                basis = f"unknown ({basis}): this is the default, correct it"
            lines.append(f"{source.source} = {days}  # {_comment(basis)}")
        return "\n".join(lines) + "\n"


def toml(value: Value) -> str:
    """A TOML value. JSON's are right, but for DEL; text with `"` reads better between `'`."""
    if isinstance(value, str) and '"' in value and "'" not in value and value.isprintable():
        return f"'{value}'"
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def _bucket(*, is_aws: bool) -> str:
    """All keys with their defaults, as a comment; another server than AWS has one class only."""
    defaults = BucketSection().model_dump(mode="json")
    lines = ["# Optional: a KMS key that encrypts new objects (default: SSE-S3).", _KMS_KEY, ""]
    lines += [
        "# Optional: the set-up of the bucket; these are the defaults.",
        "# `lake bucket plan` shows differences, `lake bucket apply` sets them.",
    ]
    if not is_aws:
        lines[-2:] = [
            "# The set-up of the bucket: `lake bucket plan` shows differences, `lake bucket apply` "
            "sets them.",
            "# Objects move to the default classes on AWS only. The other keys are defaults.",
            "# List in `skip` what this server does not implement.",
            "[bucket]",
            *(f"{key} = {toml(_CLASS)}" for key in _CLASSES),
        ]
    else:
        lines.append("# [bucket]")
    rest = (key for key in defaults if is_aws or key not in _CLASSES)
    return "\n".join([*lines, *(f"# {key} = {toml(defaults[key])}" for key in rest)]) + "\n"


def _source(source: DiscoveredSource) -> str:
    comments = [
        source.summary,
        *(
            f"secrets come from the environment variable {variable}"
            for variable in source.variables
        ),
    ]
    return _section(f"sources.{source.source}", source.section, comments)


def _section(name: str, keys: Mapping[str, Value], comments: Sequence[str] = ()) -> str:
    lines = [*(f"# {_comment(line)}" for line in comments), f"[{name}]"]
    return "\n".join([*lines, *(f"{key} = {toml(value)}" for key, value in keys.items())]) + "\n"


def _dataset(name: str, table: DiscoveredTable) -> str:
    lines = ["[[dataset]]", f"name = {toml(name)}"]
    lines += [f"{key} = {toml(value)}" for key, value in table.keys.items()]
    comments = [f"# {_comment(line)}" for line in table.seen]
    if table.why_not:
        comments.append(f"# Left out: {_comment(table.why_not)}.")
        lines = [f"# {line}" for line in lines]
    return "\n".join([*comments, *lines]) + "\n"


def _comment(text: str) -> str:
    """One line without what TOML forbids in comments."""
    return "".join(sign if sign.isprintable() else " " for sign in text)
