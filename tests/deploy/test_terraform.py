"""deploy/terraform and `lake bucket` want the same bucket: each rule, day, action and resource."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError
from support.governed_s3 import NAME, REGION, bucket
from support.hcl import Module

from lake.bucket import policy_of
from lake.bucket.lifecycle import comparable, wanted_rules
from lake.bucket.settings import Encryption, Ownership, PublicAccess
from lake.bucket.statements import comparable as comparable_statements
from lake.bucket.statements import wanted_statements
from lake.config.bucket import BucketSection

DIRECTORY = Path(__file__).parents[2] / "deploy/terraform"
KEY = f"arn:aws:kms:{REGION}:123456789012:key/0a1b"
ARN = f"arn:aws:s3:::{NAME}"
REFERENCES = {"aws_s3_bucket.lake.id": NAME, "aws_s3_bucket.lake.arn": ARN}
TESTS = {"Bool", "NumericLessThan", "StringEquals", "StringLikeIfExists"}
# Settings of lake.toml, and the variables of the same names.
CHOICES: list[dict[str, Any]] = [
    {},
    {"tables_class": "GLACIER_IR", "tables_after_days": 90, "noncurrent_days": 7},
    {"tables_class": "STANDARD", "snapshots_class": "STANDARD", "abort_days": 1},
    {"snapshots_class": "GLACIER", "snapshots_after_days": 91, "snapshots_noncurrent_days": 60},
    {"min_tls": ""},
    {"min_tls": "1.3"},
]


def test_terraform_has_nothing_to_format():
    """So it has parsed each file, too."""
    if not shutil.which("terraform"):
        pytest.skip("no terraform here")
    command = ["terraform", "fmt", "-check", "-diff", DIRECTORY]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def module(prefix: str = "", kms: str = "", **variables: Any) -> Module:
    given = {"bucket": NAME, "region": REGION, "prefix": prefix, "kms_key_arn": kms}
    return Module(DIRECTORY, REFERENCES, **given, **variables)


def rule_of(block: dict[str, Any]) -> dict[str, Any]:
    """Terraform's block as S3's rule."""
    block = dict(block)
    (conditions,) = block.pop("filter")
    conditions = conditions["and"][0] if "and" in conditions else conditions
    rule: dict[str, Any] = {"ID": block.pop("id"), "Status": block.pop("status")}
    rule["Filter"] = {"Prefix": conditions.pop("prefix")}
    if "object_size_greater_than" in conditions:
        rule["Filter"]["ObjectSizeGreaterThan"] = conditions.pop("object_size_greater_than")
    assert conditions == {}
    names = {
        "abort_incomplete_multipart_upload":
            ("AbortIncompleteMultipartUpload", {"days_after_initiation": "DaysAfterInitiation"}),
        "noncurrent_version_expiration":
            ("NoncurrentVersionExpiration", {"noncurrent_days": "NoncurrentDays"}),
        "expiration": ("Expiration", {"expired_object_delete_marker": "ExpiredObjectDeleteMarker"}),
        "transition": ("Transitions", {"days": "Days", "storage_class": "StorageClass"}),
    }  # fmt: skip
    for name, blocks in block.items():
        title, keys = names[name]
        contents = [{keys[key]: value for key, value in setting.items()} for setting in blocks]
        rule[title] = contents if title == "Transitions" else contents[0]
    return rule


def statement_of(block: dict[str, Any]) -> dict[str, Any]:
    """Terraform's block as a statement of a policy."""
    known = {"sid", "effect", "actions", "resources", "principals", "condition"}
    assert set(block) <= known
    statement: dict[str, Any] = {
        "Sid": block["sid"],
        "Effect": block.get("effect", "Allow"),
        "Action": block["actions"],
        "Resource": block["resources"],
    }
    for principals in block.get("principals", ()):
        assert principals == {"type": "*", "identifiers": ["*"]}
        statement["Principal"] = "*"
    for condition in block.get("condition", ()):
        assert condition["test"] in TESTS
        content = {condition["variable"]: condition["values"]}
        statement.setdefault("Condition", {})[condition["test"]] = content
    return statement


def document(made: Module, name: str) -> dict[str, Any]:
    content = made.block("data", "aws_iam_policy_document", name)
    return {"Statement": [statement_of(block) for block in content["statement"]]}


@pytest.mark.parametrize("prefix", ["", "team/"])
@pytest.mark.parametrize("choice", CHOICES)
def test_lifecycle_rules_are_the_same(prefix: str, choice: dict[str, Any]):
    made = module(prefix, **choice)
    content = made.block("resource", "aws_s3_bucket_lifecycle_configuration", "lake")
    rules = [rule_of(block) for block in content["rule"]]
    wanted = comparable(wanted_rules(BucketSection(**choice), prefix))
    assert len(rules) == len(wanted)
    assert comparable(rules) == wanted


@pytest.mark.parametrize("choice", CHOICES)
def test_the_bucket_policy_is_the_same(choice: dict[str, Any]):
    wanted = wanted_statements(ARN, BucketSection(**choice).min_tls)
    made = document(module(**choice), "bucket")
    assert comparable_statements(made) == comparable_statements({"Statement": wanted})


@pytest.mark.parametrize("prefix", ["", "team/"])
@pytest.mark.parametrize("key", ["", KEY])
@pytest.mark.parametrize("role", ["writer", "reader", "restorer", "retention"])
def test_policies_of_roles_are_the_same(role: str, prefix: str, key: str):
    s3 = {"region": REGION, **({"kms_key_id": key} if key else {})}
    wanted = policy_of(role, bucket(f"s3://{NAME}/{prefix}".rstrip("/"), s3=s3))
    made = document(module(prefix, key), role)
    assert comparable_statements(made) == comparable_statements(wanted)
    policy = module(prefix, key)._blocks["resource"]
    assert any(role in str(block) for block in policy if '"aws_iam_policy"' in block)


@pytest.mark.parametrize("key", ["", KEY])
def test_encryption_access_and_ownership_are_the_same(key: str):
    made, chosen = module(kms=key), bucket(s3={"kms_key_id": key} if key else {})
    kind = "aws_s3_bucket_server_side_encryption_configuration"
    (rule,) = made.block("resource", kind, "lake")["rule"]
    (default,) = rule["apply_server_side_encryption_by_default"]
    wanted = Encryption().wanted(chosen, None)
    assert default["sse_algorithm"] == wanted["ApplyServerSideEncryptionByDefault"]["SSEAlgorithm"]
    by_key = wanted["ApplyServerSideEncryptionByDefault"].get("KMSMasterKeyID")
    assert default["kms_master_key_id"] == by_key
    assert rule["bucket_key_enabled"] == wanted.get("BucketKeyEnabled", False)
    access = made.block("resource", "aws_s3_bucket_public_access_block", "lake")
    access.pop("bucket")
    wanted_access = PublicAccess().wanted(chosen, None)
    assert {name.replace("_", "") for name in access} == {name.lower() for name in wanted_access}
    assert all(access.values())
    (owner,) = made.block("resource", "aws_s3_bucket_ownership_controls", "lake")["rule"]
    assert owner["object_ownership"] == Ownership().wanted(chosen, None)
    (status,) = made.block("resource", "aws_s3_bucket_versioning", "lake")[
        "versioning_configuration"
    ]
    assert status["status"] == "Enabled"


def test_object_lock_is_the_same():
    made = module(object_lock=True, lock_days=9, lock_mode="COMPLIANCE")
    assert made.block("resource", "aws_s3_bucket", "lake")["object_lock_enabled"] is True
    content = made.block("resource", "aws_s3_bucket_object_lock_configuration", "lake")
    assert content["count"] == 1
    assert content["rule"] == [{"default_retention": [{"mode": "COMPLIANCE", "days": 9}]}]
    without = module().block("resource", "aws_s3_bucket_object_lock_configuration", "lake")
    assert without["count"] == 0


def test_defaults_are_those_of_the_settings():
    made = module()
    defaults = {
        name: made.value(content["default"], {})
        for name, content in made.variables.items()
        if "default" in content and name not in ("prefix", "kms_key_arn")
    }
    section = BucketSection()
    assert len(defaults) >= 11
    assert defaults == {name: getattr(section, name) for name in defaults}
    unlike = set(BucketSection.model_fields) - set(defaults)
    assert unlike == {"versioning", "skip"}


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"lock_days": 9}, "lock_days needs object_lock = true"),
    ({"tables_class": "STANDARD_IA", "tables_after_days": 29}, "has to be 30 or more"),
    ({"snapshots_after_days": 29}, "has to be 30 or more"),
    ({"lock_days": -1, "object_lock": True}, "from 0 to 36500"),
    ({"snapshots_noncurrent_days": -1}, "from 0 to 36500"),
    ({"noncurrent_days": 0}, "from 1 to 36500"),
    ({"abort_days": 1.5}, "from 1 to 36500"),
    ({"min_tls": "tls1.2"}, "1.2, 1.3, or empty"),
    ({"lock_mode": "governance"}, "GOVERNANCE or COMPLIANCE"),
    ({"snapshots_class": "GLACIER_DEEP"}, "DEEP_ARCHIVE"),
]


@pytest.fixture(scope="module")
def planned(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Any]:
    """Plans what needs no provider: variables and their checks."""
    if not shutil.which("terraform"):
        pytest.skip("no terraform here")
    folder = tmp_path_factory.mktemp("terraform")
    for name in ("variables.tf", "checks.tf"):
        shutil.copy(DIRECTORY / name, folder)

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = ["terraform", f"-chdir={folder}", *arguments, "-input=false", "-no-color"]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    done = run("init")
    assert done.returncode == 0, done.stderr

    def plan(**variables: Any) -> subprocess.CompletedProcess[str]:
        given = {"bucket": NAME, "region": REGION} | variables
        return run("plan", *(f"-var={name}={_text(value)}" for name, value in given.items()))

    return plan


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


@pytest.mark.parametrize(("variables", "why"), REFUSED, ids=str)
def test_what_lake_toml_refuses_terraform_refuses(
    planned: Callable[..., Any], variables: dict[str, Any], why: str
):
    with pytest.raises(ValidationError):
        BucketSection(**variables)
    done = planned(**variables)
    assert done.returncode == 1
    assert why in " ".join(done.stderr.replace("│", "").split())


def test_an_alias_is_no_key_for_a_policy(planned: Callable[..., Any]):
    done = planned(kms_key_arn=f"arn:aws:kms:{REGION}:123456789012:alias/lake")
    assert done.returncode == 1
    assert planned(kms_key_arn=KEY).returncode == 0


@pytest.mark.parametrize("choice", [*CHOICES, {"object_lock": True, "lock_days": 9}], ids=str)
def test_what_lake_toml_accepts_terraform_accepts(
    planned: Callable[..., Any], choice: dict[str, Any]
):
    BucketSection(**choice)
    done = planned(**choice)
    assert done.returncode == 0, done.stderr
