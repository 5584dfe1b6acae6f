"""moto's S3 for calls about buckets: access block, KMS, Object Lock, lifecycle.

Belongs here: starting it, and where it differs from S3's documentation. Does not: claims.

It accepts wrong signatures and checksums, so objects are tested on SeaweedFS.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto import mock_aws
from moto.iam.access_control import PermissionResult
from moto.s3.models import FakeBucket, S3Backend
from moto.s3.responses import S3Response

from lake.bucket import Bucket
from lake.config.settings import Settings
from lake.store.s3 import S3Store
from lake.store.s3_session import new_session

REGION = "eu-central-1"
NAME = "lake-of-the-tests"


@contextmanager
def governed_s3(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A client of an empty S3."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret of the tests")
    monkeypatch.setenv("AWS_DEFAULT_REGION", REGION)
    for name in ("AWS_PROFILE", "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    _keep_sizes(monkeypatch)
    # It evaluates bucket policies without their conditions: ours would refuse every request.
    monkeypatch.setattr(
        FakeBucket, "get_permission", lambda self, action, resource: PermissionResult.NEUTRAL
    )
    with mock_aws():
        yield session().client("s3", region_name=REGION)


def session() -> Any:
    """One of its own, so that nobody else's calls are seen."""
    return boto3.Session(botocore_session=new_session())


def _keep_sizes(monkeypatch: pytest.MonkeyPatch) -> None:
    """It loses ObjectSizeGreaterThan where a rule has a prefix, too."""
    sizes: dict[tuple[str, str], int] = {}
    put, serialized = S3Backend.put_bucket_lifecycle, S3Response.serialized

    def put_with_sizes(self: Any, bucket_name: str, rules: Any) -> None:
        put(self, bucket_name, rules)
        for rule in rules if isinstance(rules, list) else [rules]:
            size = ((rule.get("Filter") or {}).get("And") or {}).get("ObjectSizeGreaterThan")
            sizes.pop((bucket_name, rule["ID"]), None)
            if size:
                sizes[bucket_name, rule["ID"]] = int(size)

    def serialized_with_sizes(self: Any, action_result: Any) -> Any:
        content = action_result.result
        rules = content.get("Rules", ()) if isinstance(content, dict) else ()
        for rule in rules:
            if size := sizes.get((self.bucket_name, rule.get("ID"))):
                rule["Filter"]["And"]["ObjectSizeGreaterThan"] = size
        return serialized(self, action_result)

    monkeypatch.setattr(S3Backend, "put_bucket_lifecycle", put_with_sizes)
    monkeypatch.setattr(S3Response, "serialized", serialized_with_sizes)


def settings(root: str = f"s3://{NAME}", **sections: dict[str, Any]) -> Settings:
    return Settings.model_validate({"lake": {"root": root}, **sections})


def bucket(root: str = f"s3://{NAME}", **sections: dict[str, Any]) -> Bucket:
    chosen = settings(root, **sections)
    return Bucket(S3Store(root, chosen.s3, session()), chosen.bucket)


def calls(chosen: Bucket) -> list[str]:
    """The operations that are called from now on."""
    called: list[str] = []
    chosen.store.session.events.register(
        "before-call.s3", lambda model, **_: called.append(model.name)
    )
    return called


def lake_toml(folder: Path, root: str = f"s3://{NAME}", more: str = "") -> str:
    file = folder / "lake.toml"
    file.write_text(f'[lake]\nroot = "{root}"\n{more}')
    return str(file)
