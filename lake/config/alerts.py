"""`[alerts]`: the channels to which alerts are sent.

Belongs here: keys, defaults, rules. Does not: reading secret files, sending (lake.alerts).

A webhook's or heartbeat's URL is a secret where it holds a token: it then comes from the
environment or from a file of its own, as the password does.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, model_validator

from lake.config.sections import HttpUrl, Line, Password, SecretUrl, Section, comma_separated


def _address(text: str) -> str:
    name, at, domain = text.strip().rpartition("@")
    if not (name and at and domain) or any(sign in text for sign in "\r\n,;"):
        raise ValueError("one address, such as lake@example.org")
    return text.strip()


_SMTPS = 465
Address = Annotated[str, AfterValidator(_address)]


class EmailSection(Section):
    """`[alerts.email]`: the SMTP server, the sender and the recipients."""

    host: Annotated[Line, Field(min_length=1)]
    port: Annotated[int, Field(ge=1, le=65535)] = 587
    sender: Address
    to: Annotated[tuple[Address, ...], Field(min_length=1), BeforeValidator(comma_separated)]
    starttls: bool = True
    implicit_tls: bool | None = None
    username: Line = ""
    password: Password = SecretStr("")
    password_file: Line = ""
    ca_file: Line = ""

    @property
    def begins_with_tls(self) -> bool:
        """Whether TLS is spoken from the first byte, as is usual on port 465; then there is no
        STARTTLS.
        """
        return self.port == _SMTPS if self.implicit_tls is None else self.implicit_tls

    @model_validator(mode="after")
    def _no_password_in_the_clear(self) -> Self:
        _one_of(self, "password")
        is_encrypted = self.starttls or self.begins_with_tls
        if self.username and not is_encrypted and self.host not in ("localhost", "127.0.0.1"):
            raise ValueError("starttls = false would send the password in the clear")
        if self.implicit_tls and "starttls" in self.model_fields_set and self.starttls:
            raise ValueError("either implicit_tls or starttls, not both")
        return self


class AlertsSection(Section):
    """`[alerts]`. Without channels nothing is sent."""

    webhook_url: SecretUrl = SecretStr("")
    webhook_url_file: Line = ""
    alertmanager_url: HttpUrl | None = None
    heartbeat_url: SecretUrl = SecretStr("")
    heartbeat_url_file: Line = ""
    ca_file: Line = ""
    warn_hours: Annotated[int, Field(ge=1)] = 48
    critical_hours: Annotated[int, Field(ge=1)] = 24
    report: Literal["daily", "never"] = "daily"
    email: EmailSection | None = None

    @model_validator(mode="after")
    def _each_secret_once(self) -> Self:
        _one_of(self, "webhook_url")
        _one_of(self, "heartbeat_url")
        if self.critical_hours > self.warn_hours:
            raise ValueError("critical_hours has to be at most warn_hours")
        return self

    def below(self, folder: Path) -> AlertsSection:
        """With the paths of secret files as they are meant from the configuration's folder."""
        email = self.email and self.email.model_copy(
            update={"password_file": _path(folder, self.email.password_file)}
        )
        files = {
            name: _path(folder, getattr(self, name))
            for name in ("webhook_url_file", "heartbeat_url_file")
        }
        return self.model_copy(update={**files, "email": email})


def _path(folder: Path, name: str) -> str:
    return str((folder / name).resolve()) if name else ""


def _one_of(section: Section, name: str) -> None:
    if getattr(section, name).get_secret_value() and getattr(section, f"{name}_file"):
        raise ValueError(f"either {name} or {name}_file, not both")
