"""What a run needs from outside: the lake's store and its credentials.

Belongs here: Dagster resources. Does not: secrets. These come from the environment or the
AWS default chain, so that none stands in a run's configuration, which Dagster keeps and shows.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Self

import boto3
import dagster as dg
from botocore.exceptions import ProfileNotFound
from dagster_aws.s3 import S3Resource

from lake.base.errors import Refused
from lake.base.redaction import RedactingFormatter
from lake.config.settings import S3Section, Settings
from lake.export import Exporter
from lake.store import Store, open_store
from lake.store.s3 import S3Store
from lake.store.s3_session import new_session


class LakeResource(dg.ConfigurableResource):  # type: ignore[type-arg]
    """Opens the store and exporters.

    `s3`: endpoint, region and credentials; unused for a root in a directory.
    """

    s3: S3Resource

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """As lake.toml has it."""
        return cls(
            s3=S3Resource(region_name=settings.s3.region, endpoint_url=settings.s3.endpoint_url)
        )

    @contextmanager
    def exporter(self, settings: Settings) -> Iterator[Exporter]:
        """An exporter for one step; its connections end with the block."""
        with closing(Exporter(settings, self.store(settings))) as exporter:
            yield exporter

    def store(self, settings: Settings) -> Store:
        """The store of `lake.root`."""
        _log_without_secrets()
        if not settings.lake.root.startswith("s3://"):
            return open_store(settings)
        section = S3Section(
            endpoint_url=self.s3.endpoint_url,
            region=self.s3.region_name,
            kms_key_id=settings.s3.kms_key_id,
            ca_file=settings.s3.ca_file,
        )
        return S3Store(settings.lake.root, section, self._session(settings.lake.root))

    def _session(self, root: str) -> boto3.Session:
        try:
            return boto3.Session(
                aws_access_key_id=self.s3.aws_access_key_id,
                aws_secret_access_key=self.s3.aws_secret_access_key,
                aws_session_token=self.s3.aws_session_token,
                region_name=self.s3.region_name,
                botocore_session=new_session(self.s3.profile_name),
            )
        except ProfileNotFound as error:
            refused = Refused("no such AWS profile", where=root, found=error)
            raise dg.Failure(str(refused), allow_retries=False) from None


def _log_without_secrets() -> None:
    """What the library logs goes to the run's standard error, which Dagster keeps and shows."""
    logger = logging.getLogger("lake")
    if not logger.handlers:
        handler = logging.StreamHandler()
        handler.setFormatter(RedactingFormatter("%(levelname)s %(name)s: %(message)s"))
        logger.addHandler(handler)
        logger.propagate = False
