"""The S3 credentials of the AWS default chain as a DuckDB secret.

Belongs here: where keys and region come from, the secret's text. Does not: reading objects.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from lake.base.errors import Refused
from lake.base.redaction import register_secret
from lake.base.settings import S3Section
from lake.query.kinds import quoted_text


@dataclass(frozen=True)
class _Keys:
    key_id: str
    secret: str
    token: str | None
    region: str


def secret_statement(root: str, section: S3Section, env: Mapping[str, str] = os.environ) -> str:
    """CREATE SECRET for the bucket of `root`. Raises Refused without credentials.

    The statement holds the keys: it is for the session alone, never for a file or a log.
    """
    section = with_endpoint(section, env)
    keys = _keys_of_environment(section, env) or _keys_of_chain(root, section)
    register_secret(keys.secret)
    options = {"KEY_ID": keys.key_id, "SECRET": keys.secret, "REGION": keys.region}
    if keys.token:
        register_secret(keys.token)
        options["SESSION_TOKEN"] = keys.token
    bucket = root.removeprefix("s3://").partition("/")[0]
    text = ", ".join(f"{name} {quoted_text(value)}" for name, value in options.items())
    return (
        f"CREATE SECRET lake (TYPE s3, SCOPE {quoted_text(f's3://{bucket}')}, "
        f"{addressing(section, bucket)}{text})"
    )


def with_endpoint(section: S3Section, env: Mapping[str, str] = os.environ) -> S3Section:
    """The section with the endpoint that boto3 takes where [s3] names none."""
    inherited = env.get("AWS_ENDPOINT_URL_S3") or env.get("AWS_ENDPOINT_URL")
    return section.model_copy(update={"endpoint_url": section.endpoint_url or inherited})


def addressing(section: S3Section, bucket: str) -> str:
    """The secret's options that say where the bucket is: no credentials."""
    if section.endpoint_url is None:
        # A dot in the bucket's name breaks the certificate of virtual-host addresses.
        return "URL_STYLE 'path', " if "." in bucket else ""
    url = urlsplit(section.endpoint_url)
    ssl = "true" if url.scheme == "https" else "false"
    endpoint = quoted_text(url.netloc + url.path.rstrip("/"))
    return f"ENDPOINT {endpoint}, USE_SSL {ssl}, URL_STYLE 'path', "


def _keys_of_environment(section: S3Section, env: Mapping[str, str]) -> _Keys | None:
    """The chain's first link. The others need boto3, which takes longer than a query."""
    key_id, secret = env.get("AWS_ACCESS_KEY_ID"), env.get("AWS_SECRET_ACCESS_KEY")
    region = section.region or env.get("AWS_DEFAULT_REGION")
    if section.endpoint_url and not region:
        region = "us-east-1"
    if not (key_id and secret and region):
        return None
    return _Keys(key_id, secret, env.get("AWS_SESSION_TOKEN"), region)


def _keys_of_chain(root: str, section: S3Section) -> _Keys:
    from botocore.exceptions import BotoCoreError  # noqa: PLC0415  0.6 s

    from lake.base.store.s3 import S3Store  # noqa: PLC0415

    session = S3Store(root, section).session
    try:
        credentials = session.get_credentials()
        frozen = credentials.get_frozen_credentials() if credentials else None
    except BotoCoreError as error:
        raise Refused("no AWS credentials", where=root, found=error) from error
    if frozen is None:
        raise Refused(
            "no AWS credentials",
            where=root,
            remedy="set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE, or a role",
        )
    region = section.region or session.region_name or "us-east-1"
    return _Keys(frozen.access_key, frozen.secret_key, frozen.token, region)
