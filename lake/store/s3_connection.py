"""The client of S3: where it goes, with whose credentials, how often it tries.

Belongs here: sessions and settings of boto3. Does not: calls (s3), what their errors mean
(s3_failures).
"""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime
from functools import cached_property
from threading import Lock
from typing import Any
from urllib.parse import urlsplit

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError
from botocore.utils import parse_timestamp

from lake.config.settings import S3Section
from lake.store.s3_failures import unusable
from lake.store.s3_session import new_session

_AWS_HOSTS = (".amazonaws.com", ".amazonaws.com.cn")


class S3Connection:
    """A session and its client, for the root at `url`; `session`: one that exists already."""

    def __init__(self, url: str, section: S3Section, session: Any = None) -> None:
        self._url = url
        self._section = section
        self._session = session
        self._opening = Lock()  # boto3 sessions make clients in one thread only
        self._opened: Any = None

    @cached_property
    def session(self) -> Any:
        """Where credentials and the region come from."""
        if self._session:
            return self._session
        core = new_session()
        parsers = core.get_component("response_parser_factory")
        parsers.set_parser_defaults(timestamp_parser=_parse_timestamp)
        return boto3.Session(region_name=self._section.region, botocore_session=core)

    @property
    def client(self) -> Any:
        """Opened at first use. Raises BotoCoreError, LakeError."""
        with self._opening:
            self._opened = self._opened or self._open()
        return self._opened

    @property
    def address(self) -> str:
        """The URL that requests go to; before there is a client what the settings have of it."""
        if self._opened is not None:
            return str(self._opened.meta.endpoint_url)
        return self._section.endpoint_url or "AWS"

    def _open(self) -> Any:
        address = self._section.endpoint_url
        opened = self._made(address, "path" if address else "auto")
        if address or is_aws(str(opened.meta.endpoint_url)):
            return opened
        # Other servers seldom have a host name for each bucket.
        return self._made(None, "path")

    def _made(self, address: str | None, addressing: str) -> Any:
        config = Config(
            retries={"mode": "standard", "max_attempts": 4},
            connect_timeout=5,
            read_timeout=60,
            max_pool_connections=32,
            # For the bucket's access log; botocore composes its own for each request.
            user_agent="monitoring-lake",
            s3={"addressing_style": addressing},
        )
        # With an endpoint of one's own the region is only part of the signature.
        region = self._section.region or self.session.region_name or "us-east-1"
        try:
            return self.session.client(
                "s3",
                endpoint_url=address,
                region_name=region,
                config=config,
                verify=self._section.ca_file or None,
            )
        except BotoCoreError:
            raise
        # What botocore does not expect in its files and variables.
        except (AttributeError, KeyError, TypeError, ValueError, OSError) as error:
            raise unusable(error, f"{self._url} at {self.address}") from error


def is_aws(address: str) -> bool:
    """Whether the server is Amazon's own."""
    return (urlsplit(address).hostname or "").endswith(_AWS_HOSTS)


def _parse_timestamp(value: Any) -> datetime:
    """botocore's way takes most of the time of a listing; listings have ISO 8601 in UTC."""
    if isinstance(value, str) and value.endswith("Z"):
        with suppress(ValueError):
            return datetime.fromisoformat(value)
    parsed: datetime = parse_timestamp(value)
    return parsed
