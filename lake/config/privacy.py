"""`[privacy]`: the key with which columns are hashed.

Belongs here: the key and its rules. Does not: which columns (datasets), hashing (lake.privacy).
"""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, SecretStr

from lake.config.sections import Password, Section
from lake.privacy.applying import SHORTEST_KEY


def _long(key: SecretStr) -> SecretStr:
    if 0 < len(key.get_secret_value()) < SHORTEST_KEY:
        raise ValueError(
            f"at least {SHORTEST_KEY} characters, such as `openssl rand -hex 32` makes"
        )
    return key


class PrivacySection(Section):
    """`[privacy]`: set by the environment only."""

    hash_key: Annotated[Password, AfterValidator(_long)] = SecretStr("")
