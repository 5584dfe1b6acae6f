"""An S3 server: SeaweedFS, all of it in one process.

Belongs here: its flags, its credentials. Does not: finding the binary.
"""

from __future__ import annotations

import json
import secrets
from pathlib import Path

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from lake.base.redaction import register_secret
from lake.servers.credentials import new_secret, write_private
from lake.servers.ports import LOOPBACK
from lake.servers.recipe import Launch, Recipe, ServerSite, ask

REGION = "us-east-1"
_PARTS = ("s3", "master", "volume", "filer", "admin")


def _launch(site: ServerSite) -> Launch:
    ports = site.ports
    config_file = site.home / "s3.json"
    access_key, secret_key = _credentials(config_file)
    site.data.mkdir(parents=True, exist_ok=True)
    endpoint_url = f"http://{LOOPBACK}:{ports['s3']}"
    command = [
        str(site.program),
        "-logtostderr=true",
        "mini",
        f"-dir={site.data}",
        f"-ip={LOOPBACK}",
        f"-ip.bind={LOOPBACK}",
        f"-s3.config={config_file}",
        "-s3.allowDeleteBucketNotEmpty=false",
        "-s3.autoCreateBucket=false",
        # A bucket takes volumes of its own; by itself it allows as many as the free disk
        # holds when they are full, which few buckets use up.
        "-volume.max=10000",
        "-s3.port.iceberg=0",
        "-s3.port.lance=0",
        # Relative to the home: a socket's path may have 107 bytes only.
        "-s3.localSocket=s3.sock",
        "-filer.localSocket=filer.sock",
        "-master.telemetry=false",
        "-admin.ui=false",
        "-webdav=false",
        *(f"-{part}.port={ports[part]}" for part in _PARTS),
        *(f"-{part}.port.grpc={ports[part + ' grpc']}" for part in _PARTS),
    ]
    return Launch(
        command=command,
        endpoint={
            "endpoint_url": endpoint_url,
            "access_key": access_key,
            "secret_key": secret_key,
        },
        ready=lambda: (
            _has_volumes(ports["master"]) and _answers(endpoint_url, access_key, secret_key)
        ),
        litter=tuple(
            f"/tmp/seaweedfs-{part}-grpc-{ports[part + ' grpc']}.sock"  # noqa: S108  its choice
            for part in _PARTS
        ),
    )


def _credentials(config_file: Path) -> tuple[str, str]:
    """Those of the directory, made on first use."""
    if not config_file.exists():
        key = {"accessKey": secrets.token_hex(10).upper(), "secretKey": new_secret()}
        actions = ["Admin", "Read", "Write", "List", "Tagging"]
        identity = {"name": "lake", "credentials": [key], "actions": actions}
        write_private(config_file, json.dumps({"identities": [identity]}))
    kept = json.loads(config_file.read_text(encoding="utf-8"))["identities"][0]["credentials"][0]
    register_secret(kept["secretKey"])
    return kept["accessKey"], kept["secretKey"]


def _has_volumes(master_port: int) -> bool:
    """Whether objects can be read: the part that holds them may report seconds after the rest."""
    answer = ask(f"http://{LOOPBACK}:{master_port}/dir/status")
    if answer is None or not answer.ok:
        return False
    centers = answer.json()["Topology"]["DataCenters"] or []
    return any(rack["DataNodes"] for center in centers for rack in center["Racks"] or [])


def _answers(endpoint_url: str, access_key: str, secret_key: str) -> bool:
    """Whether a signed request is answered."""
    client = boto3.client(
        "s3",
        endpoint_url=endpoint_url,
        aws_access_key_id=access_key,
        aws_secret_access_key=secret_key,
        region_name=REGION,
        config=Config(connect_timeout=1, read_timeout=5, retries={"max_attempts": 0}, proxies={}),
    )
    try:
        client.list_buckets()
    except (BotoCoreError, ClientError):
        return False
    return True


RECIPE = Recipe(
    ports=tuple(_PARTS) + tuple(f"{part} grpc" for part in _PARTS),
    launch=_launch,
    unset=("WEED_", "S3_"),
)
