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
from collections.abc import Callable, Mapping
from datetime import date
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import unquote, urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr, ValidationError

from lake.base.datasets import Dataset, duration_ms
from lake.base.errors import ConfigError, UsageError
from lake.base.explain import explain
from lake.base.overrides import (
    apply_environment,
    refuse_secrets,
    refuse_unusable_aws_secrets,
    register_secrets,
)

DEFAULT_FILE = "lake.toml"
_BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{1,61}[A-Za-z0-9]")
# DuckDB takes these in a path for a pattern, an option or a partition's name.
_ODD_IN_ROOT = re.compile(r"[*?\[\]{}=\\\x00-\x1f]")


_ASCII_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
# What http.client can send: http.client's and requests' own errors show the whole value.
_HEADER_VALUE = re.compile(r"[\t\x20-\x7e\xa0-\xff]*")
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")


def _line(text: str) -> str:
    """Without the line break that a mounted secret or a shell's output ends with."""
    text = text.strip("\r\n")
    if _ASCII_CONTROL.search(text):
        raise ValueError("one line of text without control characters")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ValueError("text encoded as UTF-8") from None
    return text


def _header_value(text: str) -> str:
    text = text.strip()
    if not _HEADER_VALUE.fullmatch(text):
        raise ValueError("one line of Latin-1 text without control characters")
    return text


def _secret(check: Callable[[str], str]) -> Callable[[SecretStr], SecretStr]:
    return lambda secret: SecretStr(check(secret.get_secret_value()))


def _header_name(name: str) -> str:
    if not _HEADER_NAME.fullmatch(name):
        raise ValueError("a header's name: letters, digits and hyphens")
    return name


def _mongo_uri(uri: str) -> str:
    uri = _line(uri)
    if _ASCII_CONTROL.search(unquote(uri)):
        raise ValueError("a URI without percent-encoded line breaks (%0A)")
    if not uri.startswith(("mongodb://", "mongodb+srv://")):
        raise ValueError("a URI begins with mongodb:// or mongodb+srv://")
    return _escaped(uri)


def _http_url(url: str) -> str:
    url = _line(url)
    if not re.match(r"https?://[^/?#]", url):
        raise ValueError("a URL begins with http:// or https:// and has a host")
    _escaped(url)
    try:
        urlsplit(url).port  # noqa: B018  it is looked at when it is read
    except ValueError:
        raise ValueError("a URL with a host and a port of 1 to 65535") from None
    return url


def _escaped(url: str) -> str:
    """A raw / ? or # in a password ends the host's part of the URL early."""
    authority, _, rest = re.split(r"([/?#]|$)", url.partition("://")[2], maxsplit=1)
    hosts = re.sub(r"\[[^]]*\]", "", authority)  # IPv6
    if "@" in rest and "@" not in authority and re.search(r":\D", hosts):
        raise ValueError("percent-encode the password (/ is %2F, ? is %3F, # is %23, @ is %40)")
    return url


def _latency(text: str) -> str:
    if text and not duration_ms(text):
        raise ValueError('a latency above 0, or "", which turns the watching off')
    return text


Line = Annotated[str, AfterValidator(_line)]
HeaderName = Annotated[str, AfterValidator(_header_name)]
HeaderValue = Annotated[str, AfterValidator(_header_value)]
Password = Annotated[SecretStr, AfterValidator(_secret(_line))]
Token = Annotated[SecretStr, AfterValidator(_secret(_header_value))]
HttpUrl = Annotated[str, AfterValidator(_http_url)]
MongoUri = Annotated[str, AfterValidator(_mongo_uri)]
Latency = Annotated[str, AfterValidator(_latency)]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class LakeSection(_Section):
    """`[lake]`: where the objects are, and from which UTC day on days are expected."""

    root: Annotated[str, Field(min_length=1)]
    # A fixed day, not so many days before today: a start that moves would take old partitions
    # out of Dagster's history, and two processes could disagree on it around midnight.
    first_day: date = date(2024, 1, 1)

    @property
    def expected_from(self) -> date | None:
        """`first_day` where it is configured; without it the lake's oldest day is the first."""
        return self.first_day if "first_day" in self.model_fields_set else None


class S3Section(_Section):
    """`[s3]`: what differs from the AWS defaults."""

    endpoint_url: HttpUrl | None = None
    region: Line | None = None
    ca_file: Line | None = None
    kms_key_id: Line | None = None


class _Source(_Section):
    """What every `[sources.…]` has: how gently it is read."""

    max_parallel: Annotated[int, Field(ge=1, le=64)] = 4
    slow_down_at: Latency = "1s"

    @property
    def slow_down_at_s(self) -> float | None:
        """Seconds that a small question may take; None: it is not watched."""
        return duration_ms(self.slow_down_at) / 1000 if self.slow_down_at else None


class MongoSource(_Source):
    """`[sources.mongo]`."""

    uri: MongoUri
    database: Annotated[str, Field(min_length=1)]
    lateness_days: Annotated[int, Field(ge=0)] = 8
    timeout_s: Annotated[float, Field(gt=0)] = 60


class _HttpSource(_Source):
    url: HttpUrl
    tenant: HeaderValue = ""
    headers: dict[HeaderName, HeaderValue] = {}
    username: Line = ""
    password: Password = SecretStr("")
    bearer_token: Token = SecretStr("")
    ca_file: Line = ""
    timeout_s: Annotated[float, Field(gt=0)] = 150


class PrometheusSource(_HttpSource):
    """`[sources.prometheus]`: Thanos Query and Mimir too."""

    lateness_days: Annotated[int, Field(ge=0)] = 2
    min_stores: Annotated[int, Field(ge=0)] = 0


class LokiSource(_HttpSource):
    """`[sources.loki]`."""

    # reject_old_samples_max_age is one week by default: until then a day can grow.
    lateness_days: Annotated[int, Field(ge=0)] = 8


class SourcesSection(_Section):
    """`[sources]`: the systems that are read."""

    mongo: MongoSource | None = None
    prometheus: PrometheusSource | None = None
    loki: LokiSource | None = None


class MongoSnapshots(_Section):
    """`[snapshots.mongo]`."""

    tool: Literal["auto", "mongodump", "native"] = "auto"
    scope: Literal["full", "day"] = "full"


class PrometheusSnapshots(_Section):
    """`[snapshots.prometheus]`."""

    data_dir: str = "/prometheus"


class LokiSnapshots(_Section):
    """`[snapshots.loki]`."""

    data_dir: str = "/loki"
    config_file: str = "/etc/loki/loki-config.yml"


class SnapshotsSection(_Section):
    """`[snapshots]`: where the raw data of each system lies."""

    mongo: MongoSnapshots = MongoSnapshots()
    prometheus: PrometheusSnapshots = PrometheusSnapshots()
    loki: LokiSnapshots = LokiSnapshots()


class HotSection(_Section):
    """`[hot]`: how many days each source keeps."""

    mongo: Annotated[int, Field(ge=1)] = 90
    prometheus: Annotated[int, Field(ge=1)] = 15
    loki: Annotated[int, Field(ge=1)] = 30


class Settings(_Section):
    """All of lake.toml."""

    lake: LakeSection
    s3: S3Section = S3Section()
    sources: SourcesSection = SourcesSection()
    snapshots: SnapshotsSection = SnapshotsSection()
    hot: HotSection = HotSection()
    dataset: tuple[Dataset, ...] = ()

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


def find_file(given: str | None = None, env: Mapping[str, str] = os.environ) -> Path:
    """`--config`, else LAKE_CONFIG, else lake.toml here. Raises ConfigError."""
    path = Path(given or env.get("LAKE_CONFIG") or DEFAULT_FILE)
    if not path.is_file():
        raise ConfigError(
            "no configuration file",
            where=path.absolute(),
            remedy="`lake init` writes one; or name it by --config or LAKE_CONFIG",
        )
    return path


def load(given: str | None = None, env: Mapping[str, str] = os.environ) -> Settings:
    """Reads the file, lays the environment over it and checks every key.

    Raises ConfigError: no file, no TOML, an unknown key, a wrong value, a secret in the file.
    """
    path = find_file(given, env)
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError, OSError) as error:
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
    return settings.model_copy(update={"lake": settings.lake.model_copy(update={"root": root})})


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


def _absolute_root(root: str, path: Path) -> str:
    """A relative directory is meant from where the file lies, not from where one stands."""
    scheme, _, rest = root.rpartition("://")
    bucket, *prefix = rest.split("/")
    drive = re.match(r"[A-Za-z]:", root)
    right = _BUCKET.fullmatch(bucket) if scheme == "s3" else not scheme and not drive
    if not right or _ODD_IN_ROOT.search(root):
        raise ConfigError(
            "not a root",
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
    return str((path.parent / folder).resolve())
