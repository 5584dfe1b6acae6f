"""The HTTP proxy of DuckDB's requests to S3: that of boto3's.

Belongs here: what the variables of the environment mean. Does not: other settings of S3 (s3).

DuckDB takes HTTP_PROXY for every request, to https addresses as well, and only as host:port: it
refuses credentials and a slash at the end. libcurl, which sends the requests, reads http_proxy,
HTTPS_PROXY and NO_PROXY rightly where DuckDB's own setting is empty, and never HTTP_PROXY.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from urllib.parse import unquote, urlsplit

from lake.base.redaction import register_secret
from lake.config.settings import S3Section
from lake.query.kinds import quoted_text
from lake.query.s3 import with_endpoint

_PORT = 80  # of a proxy whose address has none, as for boto3


def proxy_statements(section: S3Section, env: Mapping[str, str] = os.environ) -> list[str]:
    """SET statements; none where libcurl's own reading is right.

    Global: cursors read manifests. The statements hold the proxy's password: for the session alone.
    """
    proxy = env.get("HTTP_PROXY")
    if not proxy:
        return []
    plain = (with_endpoint(section, env).endpoint_url or "").startswith("http://")
    if not plain or env.get("http_proxy"):
        return ["SET GLOBAL http_proxy = ''"]
    url = urlsplit(proxy if "://" in proxy else f"http://{proxy}")
    if url.scheme != "http" or not url.hostname:
        return []  # DuckDB's error names the variable's value
    host = f"[{url.hostname}]" if ":" in url.hostname else url.hostname
    options = {"http_proxy": f"{host}:{url.port or _PORT}"}
    if url.username is not None:
        options["http_proxy_username"] = unquote(url.username)
        options["http_proxy_password"] = unquote(url.password or "")
        if url.password:
            register_secret(options["http_proxy_password"])
    return [f"SET GLOBAL {name} = {quoted_text(value)}" for name, value in options.items()]
