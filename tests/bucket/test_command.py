"""`lake bucket` as a person runs it: against moto, and against a real server that lacks a part."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from support.command_line import runner
from support.governed_s3 import NAME, bucket, calls, governed_s3, lake_toml
from support.iam import Request, allows

from lake.bucket import apply, make_plan, policy_of

OVERWRITTEN = ("tables", "rollups", "manifests", "reports", "guard")
Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def lake(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Run]:
    with runner(monkeypatch, capsys) as run:
        yield run


@pytest.fixture
def moto_s3(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    with governed_s3(monkeypatch) as client:
        yield client


def test_plan_apply_plan(lake: Run, moto_s3: Any, tmp_path: Path):
    config = ("--config", lake_toml(tmp_path))
    code, out, _ = lake("bucket", "plan", *config)
    assert code == 1
    assert "+ region: eu-central-1" in out
    assert "can't be undone: versioning" in out
    assert "bucket apply` makes the changes" in out
    code, _, err = lake("bucket", "apply", *config)
    assert code == 2
    assert "--yes" in err
    assert moto_s3.list_buckets()["Buckets"] == []
    code, out, _ = lake("bucket", "apply", "--yes", *config)
    assert code == 0
    assert "lifecycle: done" in out
    code, out, _ = lake("bucket", "apply", *config)
    assert (code, out.splitlines()[-1]) == (0, "Nothing to change.")
    code, out, _ = lake("bucket", "plan", "--json", *config)
    plan = json.loads(out)
    assert (code, plan["ok"], plan["bucket"]) == (0, True, NAME)
    assert {item["state"] for item in plan["items"]} == {"ok"}
    moto_s3.delete_public_access_block(Bucket=NAME)
    code, out, _ = lake("bucket", "plan", *config)
    assert code == 1
    assert "- BlockPublicAcls: false" in out
    assert "+ BlockPublicAcls: true" in out


def test_json_of_apply_has_the_result_of_each_item(lake: Run, moto_s3: Any, tmp_path: Path):
    code, out, err = lake("bucket", "apply", "--yes", "--json", "--config", lake_toml(tmp_path))
    done = json.loads(out)
    assert (code, done["ok"]) == (0, True)
    assert {item["item"]: item["result"] for item in done["items"]}["policy"] == "done"
    assert "+ Enabled" in err


def test_a_directory_has_no_bucket(lake: Run, tmp_path: Path):
    file = tmp_path / "lake.toml"
    file.write_text('[lake]\nroot = "data"\n')
    for arguments in (("plan",), ("apply", "--yes"), ("policy", "writer")):
        code, out, err = lake("bucket", *arguments, "--config", str(file))
        assert (code, out) == (2, "")
        assert "the lake has no bucket" in err


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('tables_class = "GLACIER"', "'STANDARD', 'STANDARD_IA', 'INTELLIGENT_TIERING'"),
        ('tables_class = "STANDARD_IA"\ntables_after_days = 29', "30 or more"),
        ("snapshots_after_days = 0", "1"),
        ("lock_days = 3", "needs object_lock = true"),
        ("object_lock = true\nversioning = false", "needs versioning = true"),
        ('skip = ["polcy"]', "policy"),
        ("noncurent_days = 3", "noncurrent_days"),
    ],
)
def test_wrong_settings_are_errors(lake: Run, tmp_path: Path, line: str, said: str):
    config = lake_toml(tmp_path, more=f"[bucket]\n{line}\n")
    code, out, err = lake("bucket", "plan", "--config", config)
    assert (code, out) == (2, "")
    assert said in err


# What each call needs, as AWS's service authorization reference lists it.
ACTIONS = {
    "HeadBucket": "s3:ListBucket",
    "CreateBucket": "s3:CreateBucket",
    "GetBucketLocation": "s3:GetBucketLocation",
    "GetPublicAccessBlock": "s3:GetBucketPublicAccessBlock",
    "PutPublicAccessBlock": "s3:PutBucketPublicAccessBlock",
    "GetBucketOwnershipControls": "s3:GetBucketOwnershipControls",
    "PutBucketOwnershipControls": "s3:PutBucketOwnershipControls",
    "GetBucketEncryption": "s3:GetEncryptionConfiguration",
    "PutBucketEncryption": "s3:PutEncryptionConfiguration",
    "GetBucketVersioning": "s3:GetBucketVersioning",
    "PutBucketVersioning": "s3:PutBucketVersioning",
    "GetObjectLockConfiguration": "s3:GetBucketObjectLockConfiguration",
    "PutObjectLockConfiguration": "s3:PutBucketObjectLockConfiguration",
    "GetBucketLifecycleConfiguration": "s3:GetLifecycleConfiguration",
    "PutBucketLifecycleConfiguration": "s3:PutLifecycleConfiguration",
    "ListBucketIntelligentTieringConfigurations": "s3:GetIntelligentTieringConfiguration",
    "GetBucketPolicy": "s3:GetBucketPolicy",
    "PutBucketPolicy": "s3:PutBucketPolicy",
    "ListObjectsV2": "s3:ListBucket",
    "GetObject": "s3:GetObject",
    "HeadObject": "s3:GetObject",
    "PutObject": "s3:PutObject",
}


def test_the_admin_policy_is_sufficient_and_no_more(moto_s3: Any):
    chosen = bucket(bucket={"object_lock": True, "lock_days": 1})
    called = calls(chosen)
    list(apply(chosen, show=lambda plan: None, confirm=lambda findings: None))
    assert make_plan(chosen).ok
    policy = policy_of("admin", chosen)
    used = {ACTIONS[name] for name in called}
    for action in used:
        resource = chosen.arn
        if action in ("s3:GetObject", "s3:PutObject"):
            resource = f"{chosen.arn}/audit/0000000001.json"
        assert allows(policy, Request(action, resource)), action
    allowed = {action for statement in policy["Statement"] for action in statement["Action"]}
    assert allowed - used <= {"s3:PutBucketVersioning"}


def test_seaweedfs(lake: Run, s3: dict[str, str], tmp_path: Path):
    """What it lacks is reported, what it has is set, and what is accepted is no drift."""
    place = f'[s3]\nendpoint_url = "{s3["endpoint_url"]}"\nregion = "{s3["region"]}"\n'
    root = f"s3://{s3['bucket']}/x"
    config = ("--config", lake_toml(tmp_path, root, f"{place}[bucket]\nobject_lock = true\n"))
    client = boto3.client("s3", endpoint_url=s3["endpoint_url"], region_name=s3["region"])
    code, out, _ = lake("bucket", "apply", "--yes", "--json", *config)
    items = {item["item"]: item for item in json.loads(out)["items"]}
    assert code == 1
    assert items["public_access"]["state"] == "unsupported"
    assert items["policy"]["state"] == "blocked"
    assert "would refuse every request" in items["policy"]["why"]
    assert items["lifecycle"]["result"] == "not set"
    assert "transitions" in items["lifecycle"]["result_why"]
    assert {items[name]["result"] for name in ("encryption", "versioning", "object_lock")} == {
        "done"
    }
    assert client.get_bucket_versioning(Bucket=s3["bucket"])["Status"] == "Enabled"
    lock = client.get_object_lock_configuration(Bucket=s3["bucket"])["ObjectLockConfiguration"]
    assert lock["ObjectLockEnabled"] == "Enabled"
    rules = client.get_bucket_lifecycle_configuration(Bucket=s3["bucket"])["Rules"]
    assert {rule["ID"].split(":")[0] for rule in rules} == {
        "lake-abort-uploads",
        *(f"lake-noncurrent-{name}" for name in OVERWRITTEN),
    }  # fmt: skip
    accepted = (
        'object_lock = true\ntables_class = "STANDARD"\nsnapshots_class = "STANDARD"\n'
        'skip = ["public_access", "policy"]\n'
    )
    config = ("--config", lake_toml(tmp_path, root, f"{place}[bucket]\n{accepted}"))
    code, out, _ = lake("bucket", "plan", *config)
    assert code == 0, out
    assert "skipped" in out
