"""What an HTTP server's refusal, or its silence, means, and what helps.

Belongs here: exceptions of requests and statuses as LakeErrors. Does not: requests, retries.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import requests
from urllib3.exceptions import LocationValueError, NameResolutionError, ReadTimeoutError

from lake.base.causes import cause
from lake.base.errors import ConfigError, LakeError, PermanentError, Refused, TransientError
from lake.base.proxies import REMEDY as PROXY_REMEDY
from lake.base.tls import reason

_SHOWN_CHARS = 500
_LOGIN = re.compile(r"(?i)\b(?:log|sign)[-_ ]?(?:in|on)\b|oauth|saml|\bsso\b|authori[sz]e|\bauth\b")
_WANTS_TLS = re.compile(
    r"(?i)HTTP request to an? HTTPS server|plain HTTP request was sent to HTTPS"
)
_BAD_URL = (
    requests.exceptions.InvalidURL,
    requests.exceptions.InvalidSchema,
    requests.exceptions.MissingSchema,
    LocationValueError,
)


class NoSuchPath(Refused):
    """404, or redirected to another address."""


class Rejected(Refused):
    """The server rejects this very request. `status` and `text` contain the reason."""

    def __init__(self, what: str, *, status: int, text: str, **parts: Any) -> None:
        super().__init__(what, **parts)
        self.status = status
        self.text = text


class Overloaded(TransientError):
    """429, 5xx or a time-out. `status` is None and `text` empty for a time-out.

    `retry_after_s` is the pause that the server requests.
    """

    def __init__(
        self,
        what: str,
        *,
        status: int | None = None,
        text: str = "",
        retry_after_s: float = 0.0,
        **parts: Any,
    ) -> None:
        super().__init__(what, **parts)
        self.status = status
        self.text = text
        self.retry_after_s = retry_after_s


class TooLarge(PermanentError):
    """The body is larger than the caller allowed."""


def shortened(text: str) -> str:
    """What is shown of a body in a message, on one line."""
    line = " ".join(text[: 2 * _SHOWN_CHARS].split())
    return line if len(line) <= _SHOWN_CHARS else line[:_SHOWN_CHARS] + "…"


def overdue(name: str, url: str, timeout_s: float, found: str) -> Overloaded:
    """No complete answer in time."""
    return Overloaded(
        f"no complete response within {timeout_s:g} s",
        where=url,
        found=found,
        remedy=f"raise timeout_s in [sources.{name}], or check the server's load",
    )


def unanswered(error: Exception, name: str, url: str, timeout_s: float) -> LakeError:
    """What an exception of requests, urllib3 or http.client means; `name`: the section's."""
    section = f"[sources.{name}]"
    if _timed_out(error):
        return overdue(name, url, timeout_s, _cause(error))
    if isinstance(error, requests.exceptions.SSLError):
        return _without_tls(error, section, url)
    if isinstance(error, _BAD_URL):
        return ConfigError("not a usable address", where=f"url of {section}: {url}", found=error)
    if isinstance(error, requests.exceptions.ProxyError):
        return TransientError(
            "the HTTP proxy can't be used",
            where=url,
            found=_cause(error),
            remedy=PROXY_REMEDY,
        )
    if isinstance(error, ValueError):
        # The texts of these contain the headers, credentials among them.
        return ConfigError(
            "the request can't be sent",
            where=url,
            found=type(error).__name__,
            remedy=f"check url, tenant, headers and the credentials of {section}: no control "
            "characters, Latin-1 only",
        )
    if isinstance(error, requests.RequestException):
        # Truncated bodies, too: urllib3 compares each body with its Content-Length.
        return TransientError(
            "the connection failed or broke off",
            where=url,
            found=_cause(error),
            remedy=_unreachable(error, section),
        )
    if isinstance(error, OSError) and "bundle" in str(error):
        return _bad_ca_file(error, section, url)
    return TransientError("the connection failed or broke off", where=url, found=_cause(error))


def refusal(name: str, response: requests.Response, url: str, text: str) -> LakeError:
    """What a status other than 2xx means."""
    status = response.status_code
    found = f"HTTP {status} {shortened(text)}".strip()
    if status == 407:
        return Refused("the HTTP proxy refused", where=url, found=found, remedy=PROXY_REMEDY)
    if status in (401, 403):
        remedy = _login(name)
        if status == 403:  # by a proxy, too: the snapshot call of one address alone (nginx.conf)
            remedy = f"allow it for this user and this machine, at the proxy too; or {remedy}"
        return Refused("the server refused our credentials", where=url, found=found, remedy=remedy)
    if status < 400:
        return _redirected(name, response, url)
    if status == 404:
        return NoSuchPath(
            "no such API at this address", where=url, found=found, remedy=_prefix(name)
        )
    if status == 400 and _WANTS_TLS.search(text):
        return NoSuchPath(
            "the server expects TLS at this address",
            where=url,
            found=found,
            remedy=f"write https:// in url of [sources.{name}]",
        )
    if status == 429 or status >= 500:
        return Overloaded(
            f"the server answered {status}",
            status=status,
            text=text,
            retry_after_s=_retry_after_s(response.headers),
            where=url,
            found=found,
            remedy=_later(name, status),
        )
    return Rejected(
        f"the server rejected the request ({status})",
        status=status,
        text=text,
        where=url,
        found=found,
    )


def _redirected(name: str, response: requests.Response, url: str) -> LakeError:
    # Its query may hold a token of the login.
    target = response.headers.get("Location", "").partition("?")[0]
    found = f"HTTP {response.status_code}, redirected to {target or 'nowhere'}"
    here, there = urlsplit(url), urlsplit(target)
    if there.scheme == "https" and here.scheme == "http" and here.hostname == there.hostname:
        return NoSuchPath(
            "the server expects TLS at this address",
            where=url,
            found=found,
            remedy=f"write https:// in url of [sources.{name}]",
        )
    if _LOGIN.search(target):
        return Refused(
            "the server redirects to a login page", where=url, found=found, remedy=_login(name)
        )
    if there.hostname and there.hostname != here.hostname:
        remedy = f"set url in [sources.{name}] to that server; if it is a login page: "
        return NoSuchPath(
            "redirected to another server", where=url, found=found, remedy=remedy + _login(name)
        )
    return NoSuchPath("no such API at this address", where=url, found=found, remedy=_prefix(name))


def _login(name: str) -> str:
    prefix = f"LAKE_SOURCES__{name.upper()}__"
    return (
        f"set {prefix}BEARER_TOKEN, or {prefix}USERNAME and {prefix}PASSWORD; "
        f"a server with tenants needs tenant in [sources.{name}]"
    )


def _prefix(name: str) -> str:
    return (
        f"url in [sources.{name}] needs the server's path prefix, if it has one, and nothing "
        "of the API's own path"
    )


def _later(name: str, status: int) -> str:
    if status == 429:
        return f"lower max_parallel in [sources.{name}], or raise the rate limit of the server"
    if status == 504:
        return "raise the time-out of the gateway in front of the server"
    if status in (502, 503):
        return (
            "check that the server behind the gateway is up and ready; if it is overloaded, "
            f"lower max_parallel in [sources.{name}]"
        )
    return "the server's own log contains the reason"


def _without_tls(error: Exception, section: str, url: str) -> LakeError:
    why = reason(str(error))
    if why == "no tls":
        return ConfigError(
            "the server does not speak TLS at this address",
            where=url,
            found=_cause(error),
            remedy=f"write http:// in url of {section}, or correct its port",
        )
    if why == "ca file":
        return _bad_ca_file(error, section, url)
    if not why:
        return TransientError(
            "the TLS connection failed or broke off",
            where=url,
            found=_cause(error),
            remedy=_unreachable(error, section),
        )
    remedies = {
        "host name": f"use a host name of the certificate in url of {section}",
        "expired": "renew the server's certificate; check this machine's clock",
        "client": "client certificates are not supported: use another way to authenticate",
        "authority": f"set ca_file in {section} to the PEM file of the authority that signed it",
    }
    return Refused(
        "the server's certificate is not accepted",
        where=url,
        found=_cause(error),
        remedy=remedies[why],
    )


def _bad_ca_file(error: Exception, section: str, url: str) -> ConfigError:
    return ConfigError(
        "the file of certificate authorities can't be used",
        where=url,
        found=_cause(error),
        remedy=f"correct ca_file in {section}, or REQUESTS_CA_BUNDLE: a readable PEM file",
    )


def _unreachable(error: Exception, section: str) -> str:
    if _caused_by(error, NameResolutionError):
        return f"correct the host in url of {section}, or check this machine's DNS"
    return f"check that the server is up, and url in {section}"


def _caused_by(error: Exception, kind: type[Exception]) -> bool:
    cause = error.args[0] if error.args else None
    return isinstance(getattr(cause, "reason", cause), kind)


def _timed_out(error: Exception) -> bool:
    """While connecting, waiting, or (which requests calls a ConnectionError) within the body."""
    return isinstance(error, requests.Timeout) or _caused_by(error, ReadTimeoutError)


def _retry_after_s(headers: Mapping[str, str]) -> float:
    """Seconds only: these servers do not send the form with a date."""
    text = headers.get("Retry-After", "")
    return float(text) if text.isdecimal() else 0.0


def _cause(error: BaseException) -> str:
    return shortened(cause(error))
