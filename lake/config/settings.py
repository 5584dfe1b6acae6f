"""lake.toml and the environment, read here and nowhere else.

Belongs here: keys, defaults, where each value comes from. Does not: opening connections.

Every key can be overridden by `LAKE_` + its path in upper case, joined by two
underscores (`LAKE_SOURCES__MONGO__URI`, `LAKE_LAKE__ROOT`); a dataset's by its name
(`LAKE_DATASET__CONTAINER_LOGS__SELECTOR`). Secrets are taken from there only.
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Iterable, Mapping
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Self, Union

from pydantic import Field, ValidationError, create_model, model_validator

from lake.base.causes import cause
from lake.base.errors import ConfigError, UsageError
from lake.config.alerts import AlertsSection
from lake.config.bucket import BucketSection
from lake.config.datasets import Dataset
from lake.config.explain import explain
from lake.config.incident import IncidentSection
from lake.config.overrides import (
    apply_environment,
    refuse_secrets,
    refuse_unusable_aws_secrets,
    register_secrets,
)
from lake.config.privacy import PrivacySection
from lake.config.retention import RetentionSection, shown_days
from lake.config.sections import Endpoint, HttpUrl, Line, Section
from lake.config.systems import configs
from lake.config.ttl import TtlSection

DEFAULT_FILE = "lake.toml"
_BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{1,61}[A-Za-z0-9]")
# DuckDB takes these in a path for a pattern, an option or a partition's name.
_ODD_IN_ROOT = re.compile(r"[*?\[\]{}=\\\x00-\x1f]")


class LakeSection(Section):
    """`[lake]`: where the objects are, from which UTC day on days are expected, and where the
    user's own rollups and trends are defined.
    """

    root: Annotated[str, Field(min_length=1)]
    # A fixed day, not a number of days before today: a start that moves would take old partitions
    # out of Dagster's history, and two processes could disagree on it around midnight.
    first_day: date = date(2024, 1, 1)
    rollups: Annotated[str, Field(min_length=1)] = "rollups"
    trends: Annotated[str, Field(min_length=1)] = "trends"

    @property
    def expected_from(self) -> date | None:
        """`first_day` where it is configured; without it the lake's oldest day is the first."""
        return self.first_day if "first_day" in self.model_fields_set else None


class ReportSection(Section):
    """`[report]`: where the page of `lake report --html` is served, for links to it."""

    url: HttpUrl | None = None


class S3Section(Section):
    """`[s3]`: what differs from the AWS defaults."""

    endpoint_url: Endpoint | None = None
    region: Line | None = None
    ca_file: Line | None = None
    kms_key_id: Line | None = None


def _sections(doc: str, fields: dict[str, Any]) -> type[Section]:
    """A table with a key for each system."""
    return create_model("Sections", __base__=Section, __doc__=doc, **fields)


# Which systems there are is known at run time only: a plug-in may add some.
if TYPE_CHECKING:

    class SourcesSection(Section):
        """`[sources]`: the systems that are read."""

        def __getattr__(self, name: str) -> Any: ...

    class SnapshotsSection(Section):
        """`[snapshots]`: where the raw data of each system lies."""

        def __getattr__(self, name: str) -> Any: ...

    class HotSection(Section):
        """`[hot]`: how many days each source keeps."""

        def __getattr__(self, name: str) -> Any: ...

    AnyDataset = Dataset
else:
    SourcesSection = _sections(
        "`[sources]`: the systems that are read.",
        {name: (config.source | None, None) for name, config in configs().items()},
    )
    SnapshotsSection = _sections(
        "`[snapshots]`: where the raw data of each system lies.",
        {name: (config.snapshots, config.snapshots()) for name, config in configs().items()},
    )
    HotSection = _sections(
        "`[hot]`: how many days each source keeps.",
        {
            name: (Annotated[int, Field(ge=1)], config.hot_days)
            for name, config in configs().items()
        },
    )
    AnyDataset = Annotated[
        Union[tuple(config.dataset for config in configs().values())],  # noqa: UP007  at run time
        Field(discriminator="source"),
    ]


class Settings(Section):
    """All of lake.toml."""

    lake: LakeSection
    s3: S3Section = S3Section()
    sources: SourcesSection = SourcesSection()
    snapshots: SnapshotsSection = SnapshotsSection()
    hot: HotSection = HotSection()
    ttl: TtlSection = TtlSection()
    retention: RetentionSection = RetentionSection()
    bucket: BucketSection = BucketSection()
    alerts: AlertsSection = AlertsSection()
    privacy: PrivacySection = PrivacySection()
    incident: IncidentSection = IncidentSection()
    report: ReportSection = ReportSection()
    dataset: tuple[AnyDataset, ...] = ()

    @model_validator(mode="after")
    def _datasets_have_the_key(self) -> Self:
        keyed = tuple(dataset.with_key(self.privacy.hash_key) for dataset in self.dataset)
        object.__setattr__(self, "dataset", keyed)  # the section is frozen
        return self

    def dataset_named(self, name: str) -> Dataset:
        """The dataset of that name. Raises UsageError naming the valid ones."""
        for dataset in self.dataset:
            if dataset.name == name:
                return dataset
        raise UsageError(
            f"no dataset {name!r}",
            expected="one of " + ", ".join(d.name for d in self.dataset),
            remedy="name one of these, or add a [[dataset]] to lake.toml",
        )

    def datasets_named(self, names: tuple[str, ...]) -> tuple[Dataset, ...]:
        """Those datasets, each once, or all where no name is given."""
        return tuple(self.dataset_named(name) for name in dict.fromkeys(names)) or self.dataset


def find_file(config: str | None = None, env: Mapping[str, str] = os.environ) -> Path:
    """`--config`, else LAKE_CONFIG, else lake.toml here. Raises ConfigError."""
    path = Path(config or env.get("LAKE_CONFIG") or DEFAULT_FILE)
    try:
        there = path.is_file()
    except OSError as error:  # such as a directory without permission
        raise _unreadable(path, error) from error
    if not there:
        raise ConfigError(
            "no configuration file",
            where=path.absolute(),
            remedy="`lake init` writes one; or name it by --config or LAKE_CONFIG",
        )
    return path


def load(config: str | None = None, env: Mapping[str, str] = os.environ) -> Settings:
    """Reads the file, lays the environment over it and checks every key.

    Raises ConfigError: no file, no TOML, an unknown key, a wrong value, a secret in the file.
    """
    path = find_file(config, env)
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise _unreadable(path, error) from error
    except UnicodeDecodeError as error:
        raise ConfigError(
            "not a readable TOML file",
            where=path,
            expected="a text in UTF-8",
            found=error,
            remedy="save the file as UTF-8",
        ) from error
    except (ValueError, RecursionError) as error:
        raise ConfigError("not a readable TOML file", where=path, found=error) from error
    refuse_secrets(data, path)
    origin = apply_environment(data, env)
    register_secrets(data, env)
    try:
        settings = Settings.model_validate(data)
    except ValidationError as error:
        raise explain(error, Settings, data, path, origin) from None
    _check_datasets(settings, path)
    root = _absolute_root(settings.lake.root, path)
    if root.startswith("s3://"):
        refuse_unusable_aws_secrets(env)
    own = {
        name: str((path.parent / getattr(settings.lake, name)).resolve())
        for name in ("rollups", "trends")
    }
    section = settings.lake.model_copy(update={"root": root, **own})
    alerts = settings.alerts.below(path.parent)
    return settings.model_copy(update={"lake": section, "alerts": alerts})


def _unreadable(path: Path, error: OSError) -> ConfigError:
    return ConfigError(
        "the configuration file can't be read",
        where=path.absolute(),
        found=cause(error),
        remedy="give this user permission to read it, or name another file by --config",
    )


def _check_datasets(settings: Settings, path: Path) -> None:
    seen: set[str] = set()
    for dataset in settings.dataset:
        if dataset.name in seen:
            raise ConfigError(
                f"two datasets are called {dataset.name!r}", where=path, remedy="rename one of them"
            )
        seen.add(dataset.name)
        if getattr(settings.sources, dataset.source) is None:
            raise ConfigError(
                f"dataset {dataset.name!r} reads from {dataset.source}, which is not configured",
                where=path,
                remedy=f"add [sources.{dataset.source}]",
            )
    _require_names("ttl.dataset", settings.ttl.dataset, seen, path)
    _require_names("retention.dataset", settings.retention.dataset, seen, path)
    _require_names("retention.system", settings.retention.system, {*configs()}, path)
    for dataset in settings.dataset:
        _check_retention(settings, dataset, path)


def _require_names(table: str, names: Iterable[str], valid: set[str], path: Path) -> None:
    for name in names:
        if name not in valid:
            what = "system" if table.endswith("system") else "dataset"
            raise ConfigError(
                f"[{table}.{name}] names no {what}",
                where=path,
                expected="one of " + ", ".join(sorted(valid)),
                found=name,
            )


def _check_retention(settings: Settings, dataset: Dataset, path: Path) -> None:
    """A table that goes while its source has the day would be missing, and exported again."""
    tables, rollups = settings.retention.times(dataset.name, dataset.source)
    source = dataset.source
    own = settings.ttl.dataset.get(dataset.name)
    ttl = (own and own.days) or settings.ttl.days
    margin = (own and own.margin_days) or settings.ttl.margin_days
    enabled = settings.ttl.enabled if own is None or own.enabled is None else own.enabled
    least = {
        f"[hot] {source}": getattr(settings.hot, source),
        f"[sources.{source}] lateness_days": getattr(settings.sources, source).lateness_days,
        "[ttl] days and margin_days": ttl + margin if enabled else 0,
    }
    for name, days in least.items():
        if tables <= days:
            raise ConfigError(
                f"{dataset.name}: [retention] would delete days that the source still has",
                where=path,
                expected=f"tables above {days} days ({name})",
                found=f"tables = {tables}",
                remedy="keep the tables longer, or let the source delete earlier",
            )
    if rollups < tables:
        raise ConfigError(
            f"{dataset.name}: [retention] keeps rollups for a shorter time than tables",
            where=path,
            expected=f"rollups of at least {shown_days(tables)} days",
            found=f"rollups = {rollups}",
            remedy="lengthen rollups: that of a day whose table is there would be made again",
        )


def _absolute_root(root: str, path: Path) -> str:
    """A relative directory is meant from where the file lies, not from where one stands."""
    scheme, _, rest = root.rpartition("://")
    bucket, *prefix = rest.split("/")
    drive = re.match(r"[A-Za-z]:", root)
    right = _BUCKET.fullmatch(bucket) if scheme == "s3" else not scheme and not drive
    if not right or _ODD_IN_ROOT.search(root):
        raise ConfigError(
            "invalid [lake] root",
            where=f"{path}: [lake] root",
            expected="s3://bucket[/prefix] or a directory, without * ? [ ] { } = and \\",
            found=root,
        )
    if scheme:
        return "s3://" + "/".join([bucket, *filter(None, prefix)])
    try:
        folder = Path(root).expanduser()
    except RuntimeError as error:  # ~name of a user that does not exist
        raise ConfigError(
            "[lake] root names the home of a user that this machine does not have",
            where=f"{path}: [lake] root",
            expected="a directory; ~ is your own home, ./~name a folder of that name",
            found=root,
        ) from error
    resolved = str((path.parent / folder).resolve())
    if "\\" in resolved or not _is_text(resolved):
        raise ConfigError(
            "a root below a directory that DuckDB can't read",
            where=f"{path}: [lake] root",
            expected="directories whose names are UTF-8, without \\",
            found=resolved.encode("utf-8", "backslashreplace").decode(),
            remedy="rename the directory, or set root to another",
        )
    return resolved


def _is_text(path: str) -> bool:
    """Whether its bytes are UTF-8."""
    try:
        path.encode()
    except UnicodeEncodeError:
        return False
    return True
