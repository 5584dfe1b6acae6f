"""What the sections of lake.toml are made of.

Belongs here: base classes, types of values with their rules. Does not: which sections there are
(settings, and each system's `config`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any
from urllib.parse import unquote, urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr

from lake.config.datasets import Dataset, duration_ms

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
        raise ValueError("a URI that begins with mongodb:// or mongodb+srv://")
    return _escaped(uri)


def _http_url(url: str) -> str:
    url = _line(url)
    if not re.match(r"https?://[^/?#]", url):
        raise ValueError("a URL that begins with http:// or https:// and has a host")
    _escaped(url)
    try:
        urlsplit(url).port  # noqa: B018  it is looked at when it is read
    except ValueError:
        raise ValueError("a URL with a host and a port of 1 to 65535") from None
    return url


def _endpoint(url: str) -> str:
    url = _http_url(url)
    if re.search(r"[@?#]", url):
        raise ValueError("a URL without a user, ? and #: the keys are in the AWS environment")
    return url


def _escaped(url: str) -> str:
    """A raw / ? or # in a password ends the host's part of the URL early: what follows would be
    taken for the path, and be shown.
    """
    authority, end, rest = re.split(r"([/?#]|$)", url.partition("://")[2], maxsplit=1)
    user, _, hosts = authority.rpartition("@")
    hosts = re.sub(r"\[[^]]*\]", "ipv6", hosts)
    is_cut = not all(re.fullmatch(r"[\w.%-]+(:\d+)?", host) for host in hosts.split(","))
    in_path = end == "/" and "@" in re.split(r"[?#]", rest)[0]
    if ("@" in rest and is_cut) or (in_path and (user or url.startswith("mongodb"))):
        raise ValueError("percent-encode the password (/ is %2F, ? is %3F, # is %23, @ is %40)")
    return url


def _latency(text: str) -> str:
    if text and not duration_ms(text):
        raise ValueError('a latency above 0, or "", which turns the watching off')
    return text


def comma_separated(value: Any) -> Any:
    """A list: the environment has one text, with commas."""
    return (
        [entry for entry in value.split(",") if entry.strip()] if isinstance(value, str) else value
    )


def checked_url(url: str) -> str:
    """An HTTP URL. Raises ValueError, without the URL."""
    return _http_url(url)


Line = Annotated[str, AfterValidator(_line)]
HeaderName = Annotated[str, AfterValidator(_header_name)]
HeaderValue = Annotated[str, AfterValidator(_header_value)]
Password = Annotated[SecretStr, AfterValidator(_secret(_line))]
Token = Annotated[SecretStr, AfterValidator(_secret(_header_value))]
SecretUrl = Annotated[SecretStr, AfterValidator(_secret(lambda url: url and _http_url(url)))]
HttpUrl = Annotated[str, AfterValidator(_http_url)]
Endpoint = Annotated[str, AfterValidator(_endpoint)]
MongoUri = Annotated[str, AfterValidator(_mongo_uri)]
Latency = Annotated[str, AfterValidator(_latency)]


class Section(BaseModel):
    """A table of lake.toml: unknown keys are errors, and no error shows a value."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class SourceSection(Section):
    """What every `[sources.…]` has: how gently it is read, for how long a day may still grow."""

    lateness_days: Annotated[int, Field(ge=0)] = 8
    max_parallel: Annotated[int, Field(ge=1, le=64)] = 4
    slow_down_at: Latency = "1s"

    @property
    def slow_down_at_s(self) -> float | None:
        """Seconds that a small question may take; None: it is not watched."""
        return duration_ms(self.slow_down_at) / 1000 if self.slow_down_at else None


class HttpSection(SourceSection):
    """A server with an HTTP API."""

    url: HttpUrl
    tenant: HeaderValue = ""
    headers: dict[HeaderName, HeaderValue] = {}
    username: Line = ""
    password: Password = SecretStr("")
    bearer_token: Token = SecretStr("")
    ca_file: Line = ""
    timeout_s: Annotated[float, Field(gt=0)] = 150


class NoSnapshots(Section):
    """`[snapshots.NAME]` of a system without snapshots: no keys."""


@dataclass(frozen=True)
class SystemConfig:
    """What a system adds to lake.toml, in its module `config` as CONFIG.

    `source` is `[sources.NAME]`, `dataset` the `[[dataset]]` with `source = "NAME"`, `snapshots`
    `[snapshots.NAME]`, `hot_days` the default of `[hot] NAME`. `columns` has what the fixed columns
    of its tables mean, `other_columns` what the others are: comments of the catalog.
    """

    source: type[SourceSection]
    dataset: type[Dataset]
    hot_days: int
    snapshots: type[Section] = NoSnapshots
    columns: Mapping[str, str] = field(default_factory=dict)
    other_columns: str = ""
