"""The S3 credentials of the AWS default chain as a DuckDB secret.

Belongs here: where keys and region come from, the secret's text. Does not: reading objects.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from lake.base.errors import Refused, UsageError
from lake.base.redaction import register_secret
from lake.config.settings import S3Section
from lake.query.kinds import quoted_text

_REGION = "us-east-1"  # boto3's, where nothing names one
_AWS_HOSTS = (".amazonaws.com", ".amazonaws.com.cn")


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


def authority_statements(section: S3Section, env: Mapping[str, str] = os.environ) -> list[str]:
    """SET statements for [s3] ca_file, else AWS_CA_BUNDLE: what boto3 takes. Raises UsageError."""
    name = section.ca_file or env.get("AWS_CA_BUNDLE")
    if not name or (with_endpoint(section, env).endpoint_url or "").startswith("http://"):
        return []
    if not os.access(name, os.R_OK) or not Path(name).is_file():
        raise UsageError(
            "the file of certificate authorities can't be read",
            where="ca_file of [s3], or AWS_CA_BUNDLE",
            found=name,
            remedy="name a readable PEM file",
        )
    # Global: cursors read manifests. Of DuckDB's HTTP clients one verifies only where it is set.
    return [
        f"SET GLOBAL ca_cert_file = {quoted_text(name)}",
        "SET GLOBAL enable_server_cert_verification = true",
    ]


def with_endpoint(section: S3Section, env: Mapping[str, str] = os.environ) -> S3Section:
    """The section with the endpoint that boto3 takes where [s3] names none: that of the
    environment, else of the AWS configuration file. Raises Refused.
    """
    if section.endpoint_url or env.get("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "").lower() == "true":
        return section
    inherited = env.get("AWS_ENDPOINT_URL_S3") or env.get("AWS_ENDPOINT_URL")
    if not inherited and _configures_endpoint(env):
        inherited = _endpoint_of_chain(section)
    return section.model_copy(update={"endpoint_url": inherited})


def _configures_endpoint(env: Mapping[str, str]) -> bool:
    """Whether the configuration file may name an endpoint: boto3 takes longer than a query."""
    file = Path(env.get("AWS_CONFIG_FILE") or "~/.aws/config")
    try:
        return "endpoint_url" in file.expanduser().read_text("utf-8", errors="replace")
    except (OSError, RuntimeError):
        return False  # boto3 goes on without a file that it can't read, or without a home


def _endpoint_of_chain(section: S3Section) -> str | None:
    """The endpoint of the profile, None for AWS's own."""
    session = _session("[s3]", section)
    client = session.client("s3", region_name=section.region or session.region_name or _REGION)
    url = str(client.meta.endpoint_url)
    return None if (urlsplit(url).hostname or "").endswith(_AWS_HOSTS) else url


def _session(where: str, section: S3Section) -> Any:
    """boto3's session. Raises Refused, such as for a profile that does not exist."""
    import boto3  # noqa: PLC0415  0.6 s
    from botocore.exceptions import BotoCoreError, ProfileNotFound  # noqa: PLC0415

    from lake.store.s3_session import new_session  # noqa: PLC0415  botocore

    try:
        return boto3.Session(region_name=section.region, botocore_session=new_session())
    except ProfileNotFound as error:
        raise Refused(
            "AWS_PROFILE names a profile that is not in the AWS configuration files",
            where=where,
            found=error,
            remedy="correct AWS_PROFILE, or unset it; `aws configure list-profiles` lists them",
        ) from error
    except BotoCoreError as error:
        raise Refused("the AWS configuration can't be read", where=where, found=error) from error


def addressing(section: S3Section, bucket: str) -> str:
    """The secret's options that locate the bucket: no credentials."""
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
        region = _REGION
    if not (key_id and secret and region):
        return None
    return _Keys(key_id, secret, env.get("AWS_SESSION_TOKEN"), region)


def _keys_of_chain(root: str, section: S3Section) -> _Keys:
    from botocore.exceptions import BotoCoreError  # noqa: PLC0415

    session = _session(root, section)
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
    region = section.region or session.region_name or _REGION
    return _Keys(frozen.access_key, frozen.secret_key, frozen.token, region)
