"""HTTP proxies that the environment names.

Belongs here: the variables' names, which hosts they are not for, and what helps where a proxy
fails. Does not: requests.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, MutableMapping

_LOOPBACK = ("localhost", "127.0.0.1", "::1")
_NAMES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")
REMEDY = (
    "check HTTP_PROXY and HTTPS_PROXY, with the user and password that the proxy wants; or add "
    "the host, without a port, to NO_PROXY"
)


def named_proxies(env: Mapping[str, str] = os.environ) -> str:
    """The variables that name a proxy: "HTTP_PROXY, https_proxy"."""
    return ", ".join(name for upper in _NAMES for name in (upper, upper.lower()) if env.get(name))


def spare_loopback(env: MutableMapping[str, str] = os.environ) -> None:
    """Keeps requests to this machine itself away from proxies, for this process and its children.

    A proxy elsewhere can't reach it. Go's programs and browsers do so on their own; Python and
    libcurl do not.
    """
    listed = env.get("no_proxy") or env.get("NO_PROXY") or ""
    if not named_proxies(env) or listed.strip() == "*":
        return
    hosts = [host.strip() for host in listed.split(",") if host.strip()]
    value = ",".join([*hosts, *(host for host in _LOOPBACK if host not in hosts)])
    env.update({"no_proxy": value, "NO_PROXY": value})
