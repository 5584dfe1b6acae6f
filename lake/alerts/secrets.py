"""Secrets of `[alerts]` from their own files.

Belongs here: reading one. Does not: those of the environment (lake.config).
"""

from __future__ import annotations

from pathlib import Path

from lake.base.causes import cause
from lake.base.errors import ConfigError
from lake.base.redaction import register_secret
from lake.config.alerts import EmailSection
from lake.config.overrides import register_url
from lake.config.sections import Section, checked_url


def url_of(section: Section, name: str) -> str:
    """The URL of the key, or of its `_file`; empty without either. Raises ConfigError."""
    if file := getattr(section, f"{name}_file"):
        try:
            url = checked_url(_read(file))
        except ValueError as error:
            raise ConfigError(
                f"the file of {name} does not hold a URL", where=file, expected=str(error)
            ) from None
        register_url(url)
        return url
    url = getattr(section, name).get_secret_value()
    return str(url)


def password_of(section: EmailSection) -> str:
    """From `password` or `password_file`; empty without either. Raises ConfigError."""
    if file := section.password_file:
        password = _read(file)
        register_secret(password)
        return password
    return section.password.get_secret_value()


def _read(file: str) -> str:
    try:
        text = Path(file).read_text(encoding="utf-8-sig").strip("\r\n")
    except (OSError, ValueError) as error:
        raise ConfigError(
            "a secret's file can't be read",
            where=file,
            found=cause(error) if isinstance(error, OSError) else "text that is not UTF-8",
            remedy="give this user permission to read it, or correct its path in [alerts]",
        ) from None
    if not text:
        raise ConfigError("a secret's file is empty", where=file)
    return text
