"""Where the store's credentials come from, and what the library's log may show."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator

import dagster as dg
import pytest
from dagster_aws.s3 import S3Resource

from assets.resources import LakeResource
from lake.base.redaction import register_secret
from lake.config.settings import Settings
from lake.store.directory import DirectoryStore
from lake.store.s3 import S3Store


@pytest.fixture
def on_s3(settings: Settings) -> Settings:
    return settings.model_copy(
        update={
            "lake": settings.lake.model_copy(update={"root": "s3://bucket/prefix"}),
            "s3": settings.s3.model_copy(
                update={"endpoint_url": "http://127.0.0.1:1", "kms_key_id": "alias/k"}
            ),
        }
    )


@pytest.fixture
def lake_logger() -> Iterator[logging.Logger]:
    logger = logging.getLogger("lake")
    before = logger.handlers, logger.propagate
    # As in a new process; pytest listens to loggers that do not propagate.
    logger.handlers, logger.propagate = [], True
    yield logger
    logger.handlers, logger.propagate = before


def test_a_directory_needs_no_credentials(settings):
    assert isinstance(LakeResource.of(settings).store(settings), DirectoryStore)


def test_the_resource_decides_on_endpoint_and_region(on_s3, s3):
    resource = LakeResource(
        s3=S3Resource(endpoint_url=s3["endpoint_url"], region_name=s3["region"])
    )
    here = on_s3.lake.model_copy(update={"root": f"s3://{s3['bucket']}/prefix"})
    no_kms = on_s3.s3.model_copy(update={"kms_key_id": None})
    settings = on_s3.model_copy(update={"lake": here, "s3": no_kms})
    store = resource.store(settings)
    assert isinstance(store, S3Store)
    store.write("key", b"data")
    assert store.read("key") == b"data"


def test_settings_reach_the_store(on_s3):
    store = LakeResource.of(on_s3).store(on_s3)
    assert store.section == on_s3.s3


def test_an_unknown_profile_is_told_and_not_tried_again(on_s3):
    resource = LakeResource(s3=S3Resource(profile_name="nobody"))
    with pytest.raises(dg.Failure, match="no such AWS profile") as raised:
        resource.store(on_s3)
    assert not raised.value.allow_retries


def test_the_log_of_a_run_shows_no_secret(settings, lake_logger, capsys):
    register_secret("log-secret-77")
    with LakeResource.of(settings).exporter(settings):
        try:
            raise ValueError("refused for log-secret-77")
        except ValueError:
            logging.getLogger("lake.runs").exception("unforeseen")
    logged = capsys.readouterr().err
    assert "refused for ***" in logged
    assert "log-secret-77" not in logged
    assert "ValueError" in logged
    assert sys.exc_info() == (None, None, None)
