"""A lake.toml with every section, and what is refused in it.

Belongs here: its text, changes of it, the refusal. Does not: lakes that are made from it.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from lake.base.errors import ConfigError
from lake.config.settings import load

WHOLE = """
[lake]
root = "data"
[s3]
endpoint_url = "http://127.0.0.1:8333"
region = "ap-northeast-2"
[sources.mongo]
uri = "mongodb://127.0.0.1:27017"
database = "miyou"
[sources.prometheus]
url = "http://127.0.0.1:9090"
[sources.loki]
url = "http://127.0.0.1:3100"
tenant = "t1"
[snapshots.mongo]
tool = "native"
[hot]
mongo = 90
[[dataset]]
name = "usage_analytics"
source = "mongo"
collection = "usage_analytics"
[[dataset]]
name = "http_server_requests"
source = "prometheus"
query = '{__name__=~"http_.*"}'
[[dataset]]
name = "container__logs"
source = "loki"
selector = '{container=~".+"}'
"""


def replaced(file: Path, old: str, new: str) -> Path:
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new, 1))
    return file


def refusal(file: Path, env: dict[str, str] | None = None) -> ConfigError:
    with pytest.raises(ConfigError) as caught:
        load(str(file), env or {})
    assert caught.value.exit_code == 2
    return caught.value
