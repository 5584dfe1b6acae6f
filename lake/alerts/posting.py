"""HTTP requests to a channel; errors name its host and nothing else of its URL.

Belongs here: one request, its failures as LakeErrors. Does not: what is sent.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

import requests

from lake.base.causes import cause
from lake.base.errors import LakeError, Refused, TransientError
from lake.base.redaction import redact

_TIMEOUT_S = (5, 10)
_SHOWN_CHARS = 200
_READ_BYTES = 4096  # of an answer that refuses: it may be long, or never end


def post(what: str, url: str, body: Any, ca_file: str = "") -> None:
    """POSTs JSON. Raises Refused or TransientError."""
    _request("POST", what, url, ca_file, json=body)


def get(what: str, url: str, ca_file: str = "") -> None:
    """GETs. Raises Refused or TransientError."""
    _request("GET", what, url, ca_file)


def probe(what: str, url: str, ca_file: str = "") -> None:
    """Whether the URL's host answers HTTP, whatever it answers: HEAD of its root, never of the URL
    itself. Raises TransientError.
    """
    _answered("HEAD", what, f"{host_of(url)}/", ca_file)


def host_of(url: str) -> str:
    """What may be shown of a URL: scheme, host and port."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"


class _Session(requests.Session):
    """Follows no redirect; requests reads a redirect's whole body otherwise, however long it is."""

    def get_redirect_target(self, resp: requests.Response) -> None:
        """None."""


def _request(method: str, what: str, url: str, ca_file: str, **options: Any) -> None:
    status, text = _answered(method, what, url, ca_file, **options)
    if status // 100 != 2:
        raise _failed(what, url, status, text)


def _answered(method: str, what: str, url: str, ca_file: str, **options: Any) -> tuple[int, str]:
    """The status, and the text's beginning where it is not 2xx."""
    try:
        with (
            _Session() as session,
            session.request(
                method,
                url,
                timeout=_TIMEOUT_S,
                allow_redirects=False,
                stream=True,
                verify=ca_file or True,
                **options,
            ) as answer,
        ):
            status, text = answer.status_code, ""
            if status // 100 != 2:
                start = next(answer.iter_content(_READ_BYTES), b"")
                # Before it is cut: half of a secret would not be found.
                text = redact(start.decode(errors="replace"))[:_SHOWN_CHARS]
    except (requests.RequestException, OSError) as error:
        raise TransientError(
            f"{what} does not answer",
            where=host_of(url),
            found=cause(error),
            remedy="check its URL in [alerts], and the network",
        ) from None
    return status, text


def _failed(what: str, url: str, status: int, text: str) -> LakeError:
    kind = TransientError if status >= 500 or status == 429 else Refused
    return kind(
        f"{what} does not accept the message",
        where=host_of(url),
        found=f"HTTP {status}: {' '.join(text.split())}",
        remedy="check its URL in [alerts]" if kind is Refused else None,
    )
