"""Which keys of an HTTP section may stand in a file, and which may not.

Belongs here: the rule. Does not: looking secrets up (lake.config.overrides), sending them (client).
"""

from __future__ import annotations

import re

from lake.config.overrides import Key, password_of, without_secrets
from lake.config.sections import HttpSection


def public_keys(section: HttpSection) -> dict[str, str | int]:
    """What of the section may stand in a file."""
    user = re.match(r"\w+://([^/?#:@]*)(?::[^/?#]*)?@", section.url)
    keys: dict[str, str | int] = {"url": without_secrets(section.url)}
    if username := section.username or (user[1] if user else ""):
        keys["username"] = username
    if section.tenant:
        keys["tenant"] = section.tenant
    if section.ca_file:
        keys["ca_file"] = section.ca_file
    return keys


def secret_keys(section: HttpSection) -> list[Key]:
    """Those that are set."""
    with_password = section.password.get_secret_value() or password_of(section.url)
    return [
        *([("password",)] if with_password else []),
        *([("bearer_token",)] if section.bearer_token.get_secret_value() else []),
        *([("headers",)] if section.headers else []),
    ]
