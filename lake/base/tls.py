"""Why TLS failed, from the texts of Python's ssl.

Belongs here: the reasons that need different remedies. Does not: remedies, which name settings.
"""

from __future__ import annotations

import re
from typing import Literal

Reason = Literal["no tls", "ca file", "host name", "expired", "client", "authority", ""]
_NOT_TLS = re.compile(r"WRONG_VERSION_NUMBER|RECORD_LAYER_FAILURE|UNKNOWN_PROTOCOL|HTTP_REQUEST")


def reason(text: str) -> Reason:
    """What the message of an ssl.SSLError is about; empty: a connection that broke off."""
    upper = text.upper()
    if _NOT_TLS.search(upper.replace(" ", "_")):
        return "no tls"
    if "X509" in upper or "PEM LIB" in upper or "NO SUCH FILE" in upper or "ERRNO" in upper:
        return "ca file"
    if "CERTIFICATE" not in upper:
        return ""
    if "mismatch" in text or "doesn't match" in text:
        return "host name"
    if "expired" in text or "not yet valid" in text:
        return "expired"
    return "client" if "REQUIRED" in upper else "authority"
