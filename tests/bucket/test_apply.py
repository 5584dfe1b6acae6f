"""`lake bucket` against moto: what a bucket is afterwards, as S3 itself returns it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.awsrequest import AWSResponse
from support.governed_s3 import NAME, REGION, bucket, calls, governed_s3

from lake import audit
from lake.base.errors import LakeError
from lake.bucket import AppliedSetting, Bucket, SettingFinding, apply, make_plan

KEY = f"arn:aws:kms:{REGION}:123456789012:key/0a1b"
WRITES = ("Put", "Create", "Delete")
LOCKED = {"object_lock": True, "lock_days": 5}


@pytest.fixture
def s3(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    with governed_s3(monkeypatch) as client:
        yield client


def made(s3: Any, **options: Any) -> None:
    place = {"LocationConstraint": REGION}
    s3.create_bucket(Bucket=NAME, CreateBucketConfiguration=place, **options)


def applied(
    chosen: Bucket, to_confirm: list[SettingFinding] | None = None
) -> dict[str, AppliedSetting]:
    to_confirm = [] if to_confirm is None else to_confirm
    done = apply(chosen, show=lambda plan: None, confirm=to_confirm.extend)
    return {change.finding.item: change for change in done}


def states(chosen: Bucket) -> dict[str, str]:
    return {finding.item: finding.state for finding in make_plan(chosen).findings}


def finding_of(chosen: Bucket, item: str) -> SettingFinding:
    (finding,) = [finding for finding in make_plan(chosen).findings if finding.item == item]
    return finding


def rules(s3: Any) -> dict[str, dict[str, Any]]:
    answer = s3.get_bucket_lifecycle_configuration(Bucket=NAME)
    return {rule["ID"]: rule for rule in answer["Rules"]}


def sids(s3: Any) -> list[str]:
    policy = json.loads(s3.get_bucket_policy(Bucket=NAME)["Policy"])
    return [statement["Sid"] for statement in policy["Statement"]]


def test_a_bucket_is_made_and_set_up(s3):
    chosen = bucket(s3={"kms_key_id": KEY}, bucket=LOCKED)
    assert not make_plan(chosen).ok
    to_confirm: list[SettingFinding] = []
    done = applied(chosen, to_confirm)
    assert {change.result for change in done.values()} == {"done", "unchanged"}
    assert all(change.ok for change in done.values())
    assert [change.item for change in to_confirm] == ["versioning", "object_lock"]
    assert s3.get_bucket_location(Bucket=NAME)["LocationConstraint"] == REGION
    access = s3.get_public_access_block(Bucket=NAME)["PublicAccessBlockConfiguration"]
    assert len(access) == 4
    assert all(access.values())
    owner = s3.get_bucket_ownership_controls(Bucket=NAME)["OwnershipControls"]["Rules"]
    assert [rule["ObjectOwnership"] for rule in owner] == ["BucketOwnerEnforced"]
    (encryption,) = s3.get_bucket_encryption(Bucket=NAME)["ServerSideEncryptionConfiguration"][
        "Rules"
    ]
    assert encryption["ApplyServerSideEncryptionByDefault"] == {
        "SSEAlgorithm": "aws:kms", "KMSMasterKeyID": KEY,
    }  # fmt: skip
    assert encryption["BucketKeyEnabled"] is True
    assert s3.get_bucket_versioning(Bucket=NAME)["Status"] == "Enabled"
    lock = s3.get_object_lock_configuration(Bucket=NAME)["ObjectLockConfiguration"]
    retention = lock["Rule"]["DefaultRetention"]
    assert (retention["Mode"], retention["Days"]) == ("GOVERNANCE", 5)
    statements = json.loads(s3.get_bucket_policy(Bucket=NAME)["Policy"])["Statement"]
    assert [statement["Effect"] for statement in statements] == ["Deny", "Deny"]
    assert statements[0]["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
    assert statements[1]["Condition"] == {"NumericLessThan": {"s3:TlsVersion": "1.2"}}
    assert rules(s3)["lake-move-tables"]["Transitions"] == [
        {"Days": 30, "StorageClass": "INTELLIGENT_TIERING"}
    ]
    assert make_plan(chosen).ok


@pytest.mark.parametrize("sections", [{}, {"s3": {"kms_key_id": KEY}, "bucket": LOCKED}])
def test_a_second_apply_writes_nothing(s3, sections):
    applied(bucket(**sections))
    chosen = bucket(**sections)
    called, to_confirm = calls(chosen), []
    done = applied(chosen, to_confirm)
    assert {change.result for change in done.values()} == {"unchanged"}
    assert [name for name in called if name.startswith(WRITES)] == []
    assert len(called) > 8
    assert to_confirm == []
    assert [entry.action for entry in audit.entries(chosen.store)] == ["bucket"]


def test_a_plan_writes_nothing(s3):
    made(s3)
    chosen = bucket()
    called = calls(chosen)
    assert not make_plan(chosen).ok
    assert called
    assert not [name for name in called if name.startswith(WRITES)]


def test_each_change_is_in_the_audit_log_before_and_after(s3):
    made(s3)
    chosen = bucket()
    applied(chosen)
    intended, done = audit.entries(chosen.store)
    assert intended.details["state"] == "intended"
    assert intended.details["changes"]["versioning"] == {"was": None, "wanted": "Enabled"}
    assert done.details["intent"] == intended.sequence
    assert done.details["results"] == dict.fromkeys(intended.details["changes"], "done")
    s3.put_bucket_versioning(Bucket=NAME, VersioningConfiguration={"Status": "Suspended"})
    assert finding_of(bucket(), "versioning").now == "Suspended"
    applied(bucket())
    *_, last = audit.entries(chosen.store)
    assert last.details["results"] == {"versioning": "done"}
    assert audit.check(chosen.store).problems == ()


def test_nothing_is_changed_where_the_question_is_answered_with_no(s3):
    made(s3)
    chosen = bucket()
    called = calls(chosen)

    def no(findings: object) -> None:
        raise LakeError("no")

    with pytest.raises(LakeError, match="no"):
        list(apply(chosen, show=lambda plan: None, confirm=no))
    assert not [name for name in called if name.startswith(WRITES)]


def test_rules_and_statements_of_others_stay(s3):
    made(s3)
    other = {
        "ID": "theirs", "Status": "Enabled", "Filter": {"Prefix": "elsewhere/"},
        "Expiration": {"Days": 9},
    }  # fmt: skip
    old = {
        "ID": "lake-move-tables", "Status": "Enabled", "Filter": {"Prefix": "tables/"},
        "Transitions": [{"Days": 1, "StorageClass": "GLACIER"}],
    }  # fmt: skip
    gone = other | {"ID": "lake-noncurrent-loki", "Filter": {"Prefix": "loki/"}}
    neighbour = other | {"ID": "lake-move-tables:team/", "Filter": {"Prefix": "team/tables/"}}
    s3.put_bucket_lifecycle_configuration(
        Bucket=NAME, LifecycleConfiguration={"Rules": [other, old, gone, neighbour]}
    )
    theirs = {
        "Sid": "Theirs", "Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::123456789012:root"},
        "Action": "s3:ListBucket", "Resource": f"arn:aws:s3:::{NAME}",
    }  # fmt: skip
    policy = {"Version": "2012-10-17", "Statement": theirs}
    s3.put_bucket_policy(Bucket=NAME, Policy=json.dumps(policy))
    finding = finding_of(bucket(), "lifecycle")
    assert finding.state == "change"
    assert finding.notes == ("other rules stay: theirs, lake-move-tables:team/",)
    assert "lake-noncurrent-loki" in finding.now
    assert "lake-noncurrent-loki" not in finding.wanted
    assert finding_of(bucket(), "policy").notes == ("other statements stay: Theirs",)
    applied(bucket())
    assert rules(s3)["theirs"]["Expiration"] == {"Days": 9}
    assert rules(s3)["lake-move-tables"]["Transitions"][0]["StorageClass"] == "INTELLIGENT_TIERING"
    assert "lake-move-tables:team/" in rules(s3)
    assert "lake-noncurrent-loki" not in rules(s3)
    assert sids(s3) == ["Theirs", "LakeTlsOnly", "LakeTlsVersion"]


def test_two_lakes_in_one_bucket_keep_their_rules(s3):
    first, second = f"s3://{NAME}/one", f"s3://{NAME}/other"
    applied(bucket(first))
    applied(bucket(second))
    assert states(bucket(first))["lifecycle"] == states(bucket(second))["lifecycle"] == "ok"
    assert rules(s3)["lake-move-tables:one/"]["Filter"]["And"]["Prefix"] == "one/tables/"
    assert rules(s3)["lake-move-tables:other/"]["Filter"]["And"]["Prefix"] == "other/tables/"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ({"Filter": {"Prefix": ""}, "Expiration": {"Days": 365}}, "deletes objects of the lake"),
        ({"Filter": {"Prefix": "tables/a"}, "Expiration": {"Days": 365}}, "deletes objects"),
        ({"Filter": {"Prefix": "mongo/"}, "Expiration": {"Days": 365}}, "deletes objects"),
        ({"Filter": {"Prefix": "audit/"}, "Transitions": [{"Days": 9, "StorageClass": "GLACIER"}]},
         "moves audit/ to GLACIER"),
    ],
)  # fmt: skip
def test_rules_of_others_that_harm_the_lake_are_reported_and_stay(s3, content, said):
    made(s3)
    rule = {"ID": "theirs", "Status": "Enabled", **content}
    s3.put_bucket_lifecycle_configuration(Bucket=NAME, LifecycleConfiguration={"Rules": [rule]})
    done = applied(bucket())
    assert done["other_rules"].result == "unchanged"
    assert not done["other_rules"].ok
    finding = finding_of(bucket(), "other_rules")
    assert finding.state == "blocked"
    assert said in finding.now[0]
    assert "theirs" in rules(s3)
    skipping = bucket(bucket={"skip": ["other_rules"]})
    assert finding_of(skipping, "other_rules").state == "skipped"
    assert make_plan(skipping).ok


@pytest.mark.parametrize(
    "content",
    [
        {"Filter": {"Prefix": "elsewhere/"}, "Expiration": {"Days": 3}},
        {"Filter": {"Tag": {"Key": "a", "Value": "b"}}, "Expiration": {"Days": 3}},
        {"Filter": {"Prefix": ""}, "Expiration": {"Days": 3}, "Status": "Disabled"},
        {"Filter": {"Prefix": ""}, "NoncurrentVersionExpiration": {"NoncurrentDays": 9}},
        {"Filter": {"Prefix": ""}, "Transitions": [{"Days": 30, "StorageClass": "STANDARD_IA"}]},
        {"Filter": {"Prefix": "mongo/"}, "Transitions": [{"Days": 9, "StorageClass": "GLACIER"}]},
    ],
)
def test_rules_of_others_that_do_no_harm_are_fine(s3, content):
    made(s3)
    rule = {"ID": "theirs", "Status": "Enabled", **content}
    s3.put_bucket_lifecycle_configuration(Bucket=NAME, LifecycleConfiguration={"Rules": [rule]})
    assert finding_of(bucket(), "other_rules").state == "ok"


def encrypted(s3: Any, algorithm: str, key: str = "", *, bucket_key: bool = False) -> None:
    by_key = {"KMSMasterKeyID": key} if key else {}
    rule = {
        "ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": algorithm, **by_key},
        "BucketKeyEnabled": bucket_key,
    }
    s3.put_bucket_encryption(Bucket=NAME, ServerSideEncryptionConfiguration={"Rules": [rule]})


def test_without_a_key_of_ours_the_bucket_keeps_its_own(s3):
    made(s3)
    encrypted(s3, "aws:kms", KEY)
    finding = finding_of(bucket(), "encryption")
    assert finding.state == "ok"
    assert KEY in finding.notes[0]
    encrypted(s3, "AES256")
    assert finding_of(bucket(), "encryption").notes[0].startswith("SSE-S3")


def test_another_key_and_bucket_keys_off_are_drift(s3):
    made(s3)
    encrypted(s3, "aws:kms", KEY)
    ours = bucket(s3={"kms_key_id": "0a1b"})
    assert finding_of(ours, "encryption").wanted == {
        "algorithm": "aws:kms", "key": KEY, "bucket_key": True,
    }  # fmt: skip
    encrypted(s3, "aws:kms", KEY, bucket_key=True)
    assert finding_of(ours, "encryption").state == "ok"
    assert finding_of(bucket(s3={"kms_key_id": "alias/lake"}), "encryption").state == "change"
    assert finding_of(
        bucket(s3={"kms_key_id": KEY.replace("0a1b", "0a1c")}), "encryption"
    ).state == ("change")


def test_object_lock_that_is_on_stays(s3):
    made(s3, ObjectLockEnabledForBucket=True)
    retention = {"DefaultRetention": {"Mode": "COMPLIANCE", "Years": 1}}
    s3.put_object_lock_configuration(
        Bucket=NAME,
        ObjectLockConfiguration={"ObjectLockEnabled": "Enabled", "Rule": retention},
    )
    for section in ({}, {"object_lock": True}):
        finding = finding_of(bucket(bucket=section), "object_lock")
        assert finding.state == "ok"
        assert finding.now["default_retention"] == {"mode": "COMPLIANCE", "days": 365}
        assert any("stays" in note for note in finding.notes)
    assert finding_of(bucket(bucket=LOCKED), "object_lock").state == "change"


def test_a_bucket_elsewhere_is_reported_with_its_region(s3):
    made(s3)
    here = bucket(s3={"region": "us-east-1"})
    finding = finding_of(here, "bucket")
    assert finding.state == "blocked"
    assert f'region = "{REGION}"' in finding.why


def refusing(chosen: Bucket, operation: str, status: int, code: str) -> None:
    """This call of this bucket fails from now on."""
    body = f"<Error><Code>{code}</Code><Message>m</Message></Error>".encode()

    class Raw:
        def stream(self, *_: object, **__: object) -> Iterator[bytes]:
            yield body

        def read(self, *_: object, **__: object) -> bytes:
            return body

    chosen.store.session.events.register_first(
        f"before-send.s3.{operation}",
        lambda request, **_: AWSResponse(request.url, status, {}, Raw()),
    )


@pytest.mark.parametrize(
    ("status", "code", "state", "said"),
    [
        (501, "NotImplemented", "unsupported", "does not implement"),
        (405, "MethodNotAllowed", "unsupported", "does not implement"),
        (403, "AccessDenied", "denied", "s3:GetBucketPublicAccessBlock"),
    ],
)
def test_what_can_not_be_read_is_reported_and_stops_nothing(s3, status, code, state, said):
    made(s3)
    chosen = bucket()
    refusing(chosen, "GetPublicAccessBlock", status, code)
    finding = finding_of(chosen, "public_access")
    assert finding.state == state
    assert said in finding.why
    done = applied(chosen)
    assert not done["public_access"].ok
    assert done["public_access"].result == "unchanged"
    assert {change.finding.item for change in done.values() if not change.ok} == {"public_access"}


@pytest.mark.parametrize(
    ("status", "code", "result", "said"),
    [
        (501, "NotImplemented", "not set", "does not implement"),
        (400, "MalformedXML", "not set", "does not implement"),
        (403, "AccessDenied", "not set", "s3:PutBucketVersioning"),
        (409, "OperationAborted", "failed", "OperationAborted"),
    ],
)
def test_what_can_not_be_written_is_reported_and_stops_nothing(s3, status, code, result, said):
    made(s3)
    chosen = bucket()
    refusing(chosen, "PutBucketVersioning", status, code)
    done = applied(chosen)
    assert done["versioning"].result == result
    assert said in done["versioning"].why
    assert {change.finding.item for change in done.values() if not change.ok} == {"versioning"}
    assert states(bucket())["policy"] == "ok"
    *_, last = audit.entries(chosen.store)
    assert last.details["results"]["versioning"] == result
    assert said in last.details["why"]["versioning"]


def test_a_refusal_of_everything_is_an_error_that_names_the_right(s3):
    made(s3)
    chosen = bucket()
    refusing(chosen, "HeadBucket", 403, "AccessDenied")
    refusing(chosen, "ListObjectsV2", 403, "AccessDenied")
    with pytest.raises(LakeError) as refused:
        make_plan(chosen)
    assert "s3:ListBucket" in refused.value.parts["remedy"]


def test_archive_tiers_below_the_tables_are_reported(s3):
    made(s3)
    chosen = bucket()
    body = (
        b"<ListBucketIntelligentTieringConfigurationsOutput><IsTruncated>false</IsTruncated>"
        b"<IntelligentTieringConfiguration><Id>cold</Id><Status>Enabled</Status><Tiering>"
        b"<AccessTier>ARCHIVE_ACCESS</AccessTier><Days>90</Days></Tiering>"
        b"</IntelligentTieringConfiguration></ListBucketIntelligentTieringConfigurationsOutput>"
    )

    class Raw:
        def stream(self, *_: object, **__: object) -> Iterator[bytes]:
            yield body

    chosen.store.session.events.register_first(
        "before-send.s3.ListBucketIntelligentTieringConfigurations",
        lambda request, **_: AWSResponse(request.url, 200, {}, Raw()),
    )
    finding = finding_of(chosen, "archive_tiers")
    assert finding.state == "blocked"
    assert "'cold'" in finding.now[0]
    assert finding_of(bucket(), "archive_tiers").state == "ok"
    assert "archive_tiers" not in states(bucket(bucket={"tables_class": "STANDARD"}))


def test_what_a_restore_from_an_archive_costs_is_said_only_there(s3):
    made(s3)
    finding = finding_of(bucket(bucket={"snapshots_class": "GLACIER"}), "lifecycle")
    assert any("USD per GB" in note for note in finding.notes)
    assert finding_of(bucket(), "lifecycle").notes == ()


def test_an_object_in_an_archive_is_an_error_that_says_how_to_get_it(s3):
    made(s3)
    s3.put_object(Bucket=NAME, Key="mongo/x", Body=b"x", StorageClass="GLACIER")
    with pytest.raises(LakeError) as refused:
        bucket().store.read("mongo/x")
    assert "restore-object" in refused.value.parts["remedy"]
