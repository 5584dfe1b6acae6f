"""HTTP proxies that the environment names.

Belongs here: the variables' names, and what helps where a proxy fails. Does not: requests.
"""

from __future__ import annotations

import os
from collections.abc import Mapping

_NAMES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")
REMEDY = (
    "check HTTP_PROXY and HTTPS_PROXY, with the user and password that the proxy wants; or add "
    "the host, without a port, to NO_PROXY"
)


def named_proxies(env: Mapping[str, str] = os.environ) -> str:
    """The variables that name a proxy: "HTTP_PROXY, https_proxy"."""
    return ", ".join(name for upper in _NAMES for name in (upper, upper.lower()) if env.get(name))
