"""Credentials of a section or an address as each request sends them.

Belongs here: the Authorization header. Does not: where they may stand (credentials).
"""

from __future__ import annotations

import base64
from urllib.parse import unquote, urlsplit, urlunsplit

import requests
from requests.auth import AuthBase

from lake.base.redaction import register_secret


class Auth(AuthBase):
    """Always set, so that requests never takes credentials from a .netrc file instead."""

    def __init__(self, username: str, password: str, bearer_token: str) -> None:
        self._bearer_token = bearer_token
        self._basic = ""
        if username:
            self._basic = base64.b64encode(f"{username}:{password}".encode()).decode()
            register_secret(self._basic)

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """The request with its header."""
        if self._bearer_token:
            request.headers["Authorization"] = f"Bearer {self._bearer_token}"
        elif self._basic:
            request.headers["Authorization"] = f"Basic {self._basic}"
        return request


def without_userinfo(url: str) -> tuple[str, str, str]:
    """The URL without `user:password@` and closing slash, the user, the password."""
    parts = urlsplit(url)
    bare = parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment="")
    return (
        urlunsplit(bare).rstrip("/"),
        unquote(parts.username or ""),
        unquote(parts.password or ""),
    )
