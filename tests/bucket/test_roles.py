"""Each role's policy is sufficient: its commands run on a real S3 whose proxy enforces it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from support.command_line import runner
from support.governed_s3 import NAME, bucket
from support.iam import Enforcing, Request, allows
from support.loaded_site import SYSTEMS, Site

from lake.bucket import ROLES, policy_of

Run = Callable[..., tuple[int, str, str]]
ROOT = "team a/lake"  # a blank in it is encoded in requests


@pytest.fixture
def proxy(s3: dict[str, str]) -> Iterator[Enforcing]:
    with Enforcing(s3["endpoint_url"]).running() as enforcing:
        yield enforcing
        assert enforcing.unknown == []


@pytest.fixture
def run(
    site: Site,
    s3: dict[str, str],
    proxy: Enforcing,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Iterator[Run]:
    """`lake` on the site's servers with a lake of its own on S3, by way of the proxy."""
    monkeypatch.setenv("LAKE_CONFIG", str(site.config))
    monkeypatch.setenv("LAKE_LAKE__ROOT", f"s3://{s3['bucket']}/{ROOT}")
    monkeypatch.setenv("LAKE_S3__ENDPOINT_URL", proxy.url)
    with runner(monkeypatch, capsys) as command:
        yield command


def become(run: Run, proxy: Enforcing, role: str) -> None:
    """The printed policy is the one that counts from now on."""
    code, printed, _ = run("bucket", "policy", role)
    assert code == 0
    proxy.become(json.loads(printed))


def succeeds(run: Run, proxy: Enforcing, *arguments: str) -> str:
    code, out, err = run(*arguments)
    assert proxy.refused == [], (arguments, err)
    assert code == 0, (arguments, out, err)
    return out


def fails(run: Run, proxy: Enforcing, *arguments: str) -> set[str]:
    """The actions that the policy does not allow."""
    proxy.refused.clear()
    code, out, err = run(*arguments)
    assert code == 1, (arguments, out, err)
    assert "S3 refused" in out + err
    refused = {request.action for request in proxy.refused}
    proxy.refused.clear()
    assert refused
    return refused


def lock(s3: dict[str, str]) -> None:
    """Object Lock, so that holds are set on versions, too."""
    client = boto3.client("s3", endpoint_url=s3["endpoint_url"], region_name=s3["region"])
    bucket = s3["bucket"]
    client.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    client.put_object_lock_configuration(
        Bucket=bucket, ObjectLockConfiguration={"ObjectLockEnabled": "Enabled"}
    )


@pytest.mark.slow
def test_every_role_can_do_its_work_and_no_other(
    run: Run, proxy: Enforcing, site: Site, s3: dict[str, str], tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
):  # fmt: skip
    lock(s3)
    day, name = str(site.last), "usage_analytics"
    become(run, proxy, "writer")
    succeeds(run, proxy, "export", "--day", day)
    succeeds(run, proxy, "export", "--day", day, "--force")
    succeeds(run, proxy, "recheck", name)
    succeeds(run, proxy, "rollup", "--force")
    for system in SYSTEMS * 2:
        succeeds(run, proxy, "snapshot", system)
    succeeds(run, proxy, "status", "--day", day)
    succeeds(run, proxy, "verify", "--day", day, "--record")
    succeeds(run, proxy, "metrics")
    succeeds(run, proxy, "metrics", "--storage")
    succeeds(run, proxy, "report", "--html", str(tmp_path / "page"))
    run("alert", "check")
    run("ttl", "plan", name)
    run("doctor")  # what else it finds is not this test's
    assert proxy.refused == []
    assert fails(run, proxy, "drop", name, "--day", day) == {"s3:DeleteObject"}
    assert fails(run, proxy, "snapshots", "verify", "mongo") == {"s3:GetObject"}

    become(run, proxy, "reader")
    succeeds(run, proxy, "status", "--day", day, "--no-sources")
    succeeds(run, proxy, "verify", "--day", day)
    succeeds(run, proxy, "query", f"SELECT count(*) FROM {name}")
    succeeds(run, proxy, "describe")
    succeeds(run, proxy, "catalog", str(tmp_path / "lake.duckdb"))
    succeeds(run, proxy, "documents", name, "--day", day)
    succeeds(run, proxy, "cost")
    reads = {"s3:ListBucket", "s3:ListBucketMultipartUploads", "s3:ListBucketVersions",
             "s3:GetObject"}  # fmt: skip
    assert {request.action for request in proxy.used} == reads
    assert "s3:PutObject" in fails(run, proxy, "export", name, "--day", day, "--force")
    assert fails(run, proxy, "snapshots", "verify", "mongo") == {"s3:GetObject"}

    become(run, proxy, "restorer")
    succeeds(run, proxy, "snapshots")
    succeeds(run, proxy, "snapshots", "verify")
    for system in SYSTEMS:
        into = str(tmp_path / system)
        succeeds(run, proxy, "restore", system, "--day", day, "--into", into)
    succeeds(run, proxy, "rehearse", "mongo")
    run("review", "--preview", "--html", str(tmp_path / "review.html"))
    assert (tmp_path / "review.html").exists()
    assert proxy.refused == []
    written = {request.resource for request in proxy.used if request.action == "s3:PutObject"}
    assert written
    assert all("/reports/" in resource for resource in written)
    assert "s3:PutObject" in fails(run, proxy, "export", name, "--day", day, "--force")

    become(run, proxy, "retention")
    today = str(site.end)
    succeeds(run, proxy, "hold", "add", "container_logs", "--reason", "a test", "--id", "one")
    assert "s3:PutObjectLegalHold" in {request.action for request in proxy.used}
    succeeds(run, proxy, "hold", "list")
    succeeds(run, proxy, "hold", "release", "one", "--reason", "its end")
    monkeypatch.setenv("LAKE_RETENTION__ENABLED", "true")
    run("retention", "plan")
    code, _, err = run("retention", "apply", "--yes")
    assert code in (0, 1), err
    run("review")
    assert any("/reports/review/" in request.resource for request in proxy.used)
    assert proxy.refused == []
    erased = succeeds(run, proxy, "erase", name, "--where", "ends_with(_id, '1')", "--yes")
    assert "rows erased" in erased
    assert any("/erasures/" in request.resource for request in proxy.used)
    succeeds(run, proxy, "drop", name, "--day", day, "--force", "--yes")
    succeeds(run, proxy, "snapshots", "clean")
    succeeds(run, proxy, "snapshots", "remove", "loki", "--day", today)
    run("status", "--repair")
    assert proxy.refused == []


KMS = "arn:aws:kms:eu-central-1"
PLAIN = {root: bucket(root) for root in (f"s3://{NAME}", f"s3://{NAME}/team")}


@pytest.mark.parametrize("root", PLAIN)
@pytest.mark.parametrize("role", ROLES)
def test_no_role_may_delete_the_audit_log_or_touch_another_bucket(role: str, root: str):
    policy = policy_of(role, PLAIN[root])
    prefix = PLAIN[root].root
    for action in ("s3:DeleteObject", "s3:DeleteObjectVersion"):
        for key in ("audit/0000000001.json", "guard/audit.json", "holds/x", "retention/x"):
            assert not allows(policy, Request(action, f"arn:aws:s3:::{NAME}/{prefix}{key}"))
    elsewhere = f"arn:aws:s3:::{NAME}-2/{prefix}tables/a"
    assert not allows(policy, Request("s3:GetObject", elsewhere))
    assert not allows(policy, Request("s3:PutBucketPolicy", f"arn:aws:s3:::{NAME}-2"))
    assert allows(policy, Request("s3:PutBucketPolicy", f"arn:aws:s3:::{NAME}")) == (
        role == "admin"
    )
    beside = Request("s3:GetObject", f"arn:aws:s3:::{NAME}/other/tables/a")
    assert not allows(policy, beside) or (not prefix and role in ("restorer", "retention"))


@pytest.mark.parametrize(
    ("key", "resource"),
    [
        (f"{KMS}:123456789012:key/0a1b", f"{KMS}:123456789012:key/0a1b"),
        ("0a1b", f"{KMS}:*:key/0a1b"),
        ("alias/lake", f"{KMS}:*:key/*"),
        (f"{KMS}:123456789012:alias/lake", f"{KMS}:123456789012:key/*"),
    ],
)  # fmt: skip
def test_the_key_is_allowed_through_s3_only(key: str, resource: str):
    chosen = bucket(s3={"kms_key_id": key, "region": "eu-central-1"})
    actions = {
        "writer": {"kms:GenerateDataKey", "kms:Decrypt"},
        "reader": {"kms:Decrypt"},
        "restorer": {"kms:GenerateDataKey", "kms:Decrypt"},
    }
    for role, wanted in actions.items():
        (statement,) = _of_key(policy_of(role, chosen))
        assert set(statement["Action"]) == wanted
        assert statement["Resource"] == resource
        by = statement["Condition"]
        assert by["StringEquals"] == {"kms:ViaService": "s3.eu-central-1.amazonaws.com"}
        named = by.get("ForAnyValue:StringEquals")
        assert named == ({"kms:ResourceAliases": "alias/lake"} if "alias" in key else None)
    assert _of_key(policy_of("writer", bucket(s3={"region": "eu-central-1"}))) == []


def _of_key(policy: dict[str, Any]) -> list[dict[str, Any]]:
    return [statement for statement in policy["Statement"] if statement["Sid"] == "LakeKey"]


def test_parts_of_arns_follow_the_region():
    chosen = bucket(s3={"kms_key_id": "0a1b", "region": "cn-north-1"})
    text = json.dumps(policy_of("writer", chosen))
    assert "arn:aws-cn:s3:::" in text
    assert "arn:aws-cn:kms:cn-north-1:" in text
    assert "arn:aws:" not in text
