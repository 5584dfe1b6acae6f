"""Overrides of lake.toml from the environment, and which values are secret.

Belongs here: variable names, the file's ban on secrets. Does not: which keys there are.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from lake.base.errors import ConfigError
from lake.base.redaction import register_secret

PREFIX = "LAKE_"
_SECRET_KEYS = frozenset({"password", "bearer_token", "hash_key"})
# URLs whose path may be what lets in: whoever has one may send.
_SECRET_URLS = frozenset({"webhook_url", "heartbeat_url"})
_SHORTEST_PATH = 8  # shorter ones stand in innocent addresses, too
_TOKEN = re.compile(r"(?=[A-Za-z0-9_-]*[0-9])[A-Za-z0-9_-]{8,}")
_SECRET_HEADER = re.compile(
    "auth|cookie|credential|jwt|key|passw|secret|signature|token", re.IGNORECASE
)
_SECRET_OPTION = re.compile(
    r"[?&;]\w*(?:password|passphrase)=([^&;]+)"
    r"|AWS_SESSION_TOKEN(?::|%3A)((?:(?!%2C)[^,&;])+)",
    re.IGNORECASE,
)
_AWS_SECRETS = (
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AWS_CONTAINER_AUTHORIZATION_TOKEN",
)
_AWS_KEYS = ("AWS_ACCESS_KEY_ID", *_AWS_SECRETS)  # what ends up in a header

Key = tuple[str, ...]  # ("sources", "mongo", "uri"), ("dataset", "container_logs", "selector")


def variable_of(key: Key) -> str:
    """The environment variable that overrides a key."""
    return PREFIX + "__".join(key).upper()


def _where(variable: str) -> str:
    return f"environment: {variable}"


def password_of(url: str) -> str:
    """The password in `scheme://user:password@host`, as written there; else empty."""
    authority = re.split(r"[/?#]", url.partition("://")[2], maxsplit=1)[0]
    return authority.rpartition("@")[0].partition(":")[2]


def secrets_of(url: str) -> list[str]:
    """The secrets of a URL, as written there: the password, and those of a Mongo URI's options."""
    options = _SECRET_OPTION.findall(url.partition("?")[1] + url.partition("?")[2])
    return [secret for secret in (password_of(url), *(a or b for a, b in options)) if secret]


def without_secrets(url: str) -> str:
    """Without `user:password@` and without the options that hold a secret."""
    base, mark, query = re.sub(r"(?<=://)[^/?#]*@", "", url).partition("?")
    options = re.split("[&;]", query)
    plain = [option for option in options if not _SECRET_OPTION.search(f"?{option}")]
    if len(plain) == len(options):
        return base + mark + query
    return base + ("?" + "&".join(plain) if plain else "")


def apply_environment(data: dict[str, Any], env: Mapping[str, str]) -> dict[Key, str]:
    """Overrides data["a"]["b"] with LAKE_A__B; returns where each such key came from, in words.

    Variables without `__` are ignored: Kubernetes sets LAKE_PORT and the like
    for a service of that name. Raises ConfigError.
    """
    origin: dict[Key, str] = {}
    for variable in sorted(v for v in env if v.startswith(PREFIX) and "__" in v):
        *parents, key = variable.removeprefix(PREFIX).lower().split("__")
        if parents[:1] == ["dataset"]:
            name = "__".join(parents[1:])
            table, parents = _dataset(data, name, variable), ["dataset", name]
        else:
            table = _section(data, parents, variable)
        table[key] = _headers(env[variable], variable) if key == "headers" else env[variable]
        origin[*parents, key] = _where(variable)
    return origin


def _headers(text: str, variable: str) -> dict[str, str]:
    try:
        headers = json.loads(text)
        if isinstance(headers, dict):
            return headers
    except json.JSONDecodeError:
        headers = None
    raise ConfigError(
        "headers must be a JSON object",
        where=_where(variable),
        expected='such as {"X-Team": "chat"}',
    )


def _section(data: dict[str, Any], parents: list[str], variable: str) -> dict[str, Any]:
    table = data
    for parent in parents:
        table = table.setdefault(parent, {})
        if not isinstance(table, dict):
            raise ConfigError(f"{parent!r} is not a section of lake.toml", where=_where(variable))
    return table


def _dataset(data: dict[str, Any], name: str, variable: str) -> dict[str, Any]:
    datasets = data.get("dataset")
    tables = {str(d.get("name")): d for d in _list(datasets) if isinstance(d, dict)}
    if name not in tables:
        raise ConfigError(
            f"no dataset {name!r}",
            where=_where(variable),
            expected="one of " + ", ".join(sorted(tables)),
            remedy="the variable is LAKE_DATASET__NAME__KEY; add the dataset to lake.toml first",
        )
    return tables[name]


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def refuse_secrets(data: dict[str, Any], path: Path) -> None:
    """Raises ConfigError where the file holds a secret."""
    for key, secret in _secrets(data, ()):
        if key[-1] in _SECRET_URLS and not _has_token(secret):
            continue
        raise ConfigError(
            "a secret in the configuration file",
            where=f"{path}: {'.'.join(key)}",
            expected="secrets in the environment only",
            remedy=f"remove it there and set {_variables_of(key)}",
        )


def _variables_of(key: Key) -> str:
    """Where the secret belongs: S3's endpoint has none in the environment either."""
    is_s3 = key == ("s3", "endpoint_url")
    return " and ".join(_AWS_KEYS[:2]) if is_s3 else variable_of(_overridable(key))


def register_secrets(data: dict[str, Any], env: Mapping[str, str]) -> None:
    """From here on no message shows a secret of this configuration."""
    for key, secret in _secrets(data, ()):
        if key[-1] in _SECRET_URLS:
            register_url(secret)
        else:
            register_secret(secret)
    for variable in _AWS_SECRETS:
        register_secret(env.get(variable, ""))


def refuse_unusable_aws_secrets(env: Mapping[str, str]) -> None:
    """Raises ConfigError where a variable of the AWS chain can't be sent: it is not shown.

    The AWS library reads these variables by itself, so a line break can't be taken off here.
    """
    for variable in _AWS_KEYS:
        if re.search(r"[^\x21-\x7e]", env.get(variable, "")):
            raise ConfigError(
                f"{variable} can't be a key",
                where=_where(variable),
                expected="printable ASCII without blanks or line breaks",
                remedy=f'set it without them, such as {variable}="$(cat FILE)"',
            )


def _overridable(key: Key) -> Key:
    """Headers are set all at once."""
    return key[: key.index("headers") + 1] if "headers" in key else key


def _secrets(table: Mapping[str, Any], key: Key) -> Iterator[tuple[Key, str]]:
    """Every secret in the sections, with its key; datasets have none."""
    for name, value in table.items():
        path = (*key, name)
        if isinstance(value, dict):
            yield from _secrets(value, path)
        elif is_secret(path):
            if value and not isinstance(value, list):
                yield path, str(value)
        elif name in _SECRET_URLS:
            if value:
                yield path, str(value)
        elif isinstance(value, str):
            yield from ((path, secret) for secret in secrets_of(value))


def register_url(url: str) -> None:
    """A URL that is a secret: as a whole, and its path and query as a library's error shows it."""
    _, _, rest = url.strip().partition("://")
    path = rest[len(re.split(r"[/?#]", rest, maxsplit=1)[0]) :]
    if path.strip("/?#"):
        register_secret(url.strip())
    if len(path) >= _SHORTEST_PATH:
        register_secret(path)
    for secret in secrets_of(url):
        register_secret(secret)


def _has_token(url: str) -> bool:
    """Whether it has credentials, or a random part in its path or query."""
    path = re.split(r"[/?#&=]", url.partition("://")[2])[1:]
    return bool(secrets_of(url)) or any(_TOKEN.fullmatch(part) for part in path)


def is_secret(key: Key) -> bool:
    """Whether the key's value is a secret as a whole."""
    return key[-1] in _SECRET_KEYS or (
        "headers" in key[:-1] and _SECRET_HEADER.search(key[-1]) is not None
    )
