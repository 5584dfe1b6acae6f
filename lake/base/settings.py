"""lake.toml and the environment, read here and nowhere else.

Belongs here: keys, defaults, where each value comes from. Does not: opening connections.

Every key can be overridden by `LAKE_` + its path in upper case, joined by two
underscores (`LAKE_SOURCES__MONGO__URI`, `LAKE_LAKE__ROOT`); a dataset's by its name
(`LAKE_DATASET__CONTAINER_LOGS__SELECTOR`). Secrets are taken from there only.
"""

from __future__ import annotations

import json
import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import unquote, urlsplit

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError

from lake.base.datasets import Dataset
from lake.base.errors import ConfigError, UsageError
from lake.base.redaction import register_secret

DEFAULT_FILE = "lake.toml"
_SECRET_KEYS = frozenset({"password", "bearer_token"})
_RESERVED = frozenset({"LAKE_CONFIG", "LAKE_CACHE_DIR"})


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class LakeSection(_Section):
    """`[lake]`: where the objects are."""

    root: Annotated[str, Field(min_length=1)]


class S3Section(_Section):
    """`[s3]`: what differs from the AWS defaults."""

    endpoint_url: str | None = None
    region: str | None = None
    kms_key_id: str | None = None


class MongoSource(_Section):
    """`[sources.mongo]`."""

    uri: Annotated[str, Field(pattern=r"^mongodb(\+srv)?://")]
    database: Annotated[str, Field(min_length=1)]
    lateness_days: Annotated[int, Field(ge=0)] = 8
    timeout_s: Annotated[float, Field(gt=0)] = 60


class _HttpSource(_Section):
    url: Annotated[str, Field(pattern=r"^https?://")]
    tenant: str = ""
    headers: dict[str, str] = {}
    username: str = ""
    password: SecretStr = SecretStr("")
    bearer_token: SecretStr = SecretStr("")
    max_parallel: Annotated[int, Field(ge=1, le=64)] = 4
    timeout_s: Annotated[float, Field(gt=0)] = 150


class PrometheusSource(_HttpSource):
    """`[sources.prometheus]`: Thanos Query and Mimir too."""

    lateness_days: Annotated[int, Field(ge=0)] = 2


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

    tool: str = "auto"


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
        """Those datasets, or all where no name is given."""
        return tuple(self.dataset_named(name) for name in names) or self.dataset


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
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError) as error:
        raise ConfigError("not a readable TOML file", where=path, found=error) from error
    _refuse_secrets(data, path)
    origin = _apply_environment(data, env)
    try:
        settings = Settings.model_validate(data)
    except ValidationError as error:
        raise _explain(error, path, origin) from None
    _check_datasets(settings, path)
    _register_secrets(settings, env)
    return _with_absolute_root(settings, path)


def _refuse_secrets(data: dict[str, Any], path: Path) -> None:
    for name, section in _tables(data.get("sources")).items():
        for key in _SECRET_KEYS & section.keys():
            _secret_in_file(path, f"sources.{name}.{key}")
        for key in ("uri", "url"):
            if _password_of(str(section.get(key, ""))):
                _secret_in_file(path, f"sources.{name}.{key}")


def _secret_in_file(path: Path, key: str) -> None:
    raise ConfigError(
        "a secret in the configuration file",
        where=f"{path}: {key}",
        expected="secrets in the environment only",
        remedy=f"remove it there and set LAKE_{key.upper().replace('.', '__')}",
    )


def _password_of(url: str) -> str:
    netloc = urlsplit(url).netloc
    userinfo, at, _ = netloc.rpartition("@")
    return unquote(userinfo.partition(":")[2]) if at else ""


def _tables(value: object) -> dict[str, dict[str, Any]]:
    items = value.items() if isinstance(value, dict) else ()
    return {key: item for key, item in items if isinstance(item, dict)}


def _apply_environment(data: dict[str, Any], env: Mapping[str, str]) -> dict[str, str]:
    """Lays LAKE_A__B over data["a"]["b"]; returns key path → variable name."""
    origin = {}
    for variable in sorted(v for v in env if v.startswith("LAKE_") and "__" in v):
        if variable in _RESERVED:
            continue
        *parents, key = variable.removeprefix("LAKE_").lower().split("__")
        table = _dataset if parents[:1] == ["dataset"] else _section
        table(data, parents, variable)[key] = _value(env[variable])
        origin[".".join([*parents, key])] = variable
    return origin


def _section(data: dict[str, Any], parents: list[str], variable: str) -> dict[str, Any]:
    table = data
    for parent in parents:
        table = table.setdefault(parent, {})
        if not isinstance(table, dict):
            raise ConfigError("not a table of lake.toml", where=variable, found=parent)
    return table


def _dataset(data: dict[str, Any], parents: list[str], variable: str) -> dict[str, Any]:
    tables = {str(d.get("name")): d for d in data.get("dataset", ()) if isinstance(d, dict)}
    name = "__".join(parents[1:])
    if name not in tables:
        raise ConfigError(
            f"no dataset {name!r}", where=variable, expected="one of " + ", ".join(sorted(tables))
        )
    return tables[name]


def _value(text: str) -> Any:
    """Tables and lists are written as JSON; all else is the text itself."""
    if text[:1] in "{[":
        try:
            return json.loads(text)
        except json.JSONDecodeError:
            return text
    return text


def _explain(error: ValidationError, path: Path, origin: dict[str, str]) -> ConfigError:
    first = error.errors()[0]
    steps = [str(step) for step in first["loc"]]
    key = ".".join(steps)
    where = f"{path}: {key}" if key not in origin else f"environment: {origin[key]}"
    secret = steps[-1] in _SECRET_KEYS | {"uri"} if steps else False
    if first["type"] == "extra_forbidden":
        return ConfigError(
            f"unknown key {steps[-1]!r}",
            where=where,
            expected="one of " + ", ".join(_valid_keys(steps[:-1])),
            remedy="correct the name or remove the key",
        )
    found = None if secret or first["type"] == "missing" else repr(first["input"])[:200]
    return ConfigError(f"wrong value for {key!r}: {first['msg']}", where=where, found=found)


def _valid_keys(steps: list[str]) -> list[str]:
    """The field names of the section that a validation error's location names."""
    model: type[BaseModel] = Settings
    if steps and steps[0] == "dataset":
        kinds = {"mongo": 0, "prometheus": 1, "loki": 2}
        union = Dataset.__args__[0].__args__
        return sorted(union[kinds[steps[-1]]].model_fields)
    for step in steps:
        annotation: Any = model.model_fields[step].annotation
        options = [a for a in getattr(annotation, "__args__", (annotation,)) if a is not type(None)]
        model = options[0]
    return sorted(model.model_fields)


def _check_datasets(settings: Settings, path: Path) -> None:
    seen: set[str] = set()
    for dataset in settings.dataset:
        if dataset.name in seen:
            raise ConfigError(f"two datasets are called {dataset.name!r}", where=path)
        seen.add(dataset.name)
        if getattr(settings.sources, dataset.source) is None:
            raise ConfigError(
                f"dataset {dataset.name!r} reads from {dataset.source}, which is not configured",
                where=path,
                remedy=f"add [sources.{dataset.source}]",
            )


def _register_secrets(settings: Settings, env: Mapping[str, str]) -> None:
    sources = settings.sources
    if sources.mongo:
        register_secret(_password_of(sources.mongo.uri))
    for source in (sources.prometheus, sources.loki):
        if source:
            register_secret(_password_of(source.url))
            register_secret(source.password.get_secret_value())
            register_secret(source.bearer_token.get_secret_value())
            for value in source.headers.values():
                register_secret(value)
    for variable in ("AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        register_secret(env.get(variable, ""))


def _with_absolute_root(settings: Settings, path: Path) -> Settings:
    """A relative directory is meant from where the file lies, not from where one stands."""
    root = settings.lake.root
    if root.startswith("s3://"):
        return settings
    if "://" in root:
        raise ConfigError(
            "not a root",
            where=f"{path}: lake.root",
            expected="s3://bucket[/prefix] or a directory",
            found=root,
        )
    absolute = str((path.parent / Path(root).expanduser()).absolute())
    return settings.model_copy(update={"lake": LakeSection(root=absolute)})
