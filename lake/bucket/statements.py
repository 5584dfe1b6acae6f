"""The bucket policy: the lake's statements beside other ones.

Belongs here: statements as values. Does not: policies of those who use the bucket (roles).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

VERSION = "2012-10-17"
_OURS = ("LakeTlsOnly", "LakeTlsVersion")
Statement = dict[str, Any]


def wanted_statements(bucket_arn: str, min_tls: str) -> list[Statement]:
    """Requests without TLS are refused, and such with an older version of it than `min_tls`."""
    statements = [_deny("LakeTlsOnly", bucket_arn, {"Bool": {"aws:SecureTransport": "false"}})]
    if min_tls:
        condition = {"NumericLessThan": {"s3:TlsVersion": min_tls}}
        statements.append(_deny("LakeTlsVersion", bucket_arn, condition))
    return statements


def _deny(sid: str, bucket_arn: str, condition: dict[str, Any]) -> Statement:
    return {
        "Sid": sid,
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:*",
        "Resource": [bucket_arn, f"{bucket_arn}/*"],
        "Condition": condition,
    }


def merged(policy: Mapping[str, Any], wanted: Sequence[Statement]) -> dict[str, Any]:
    """The policy with our statements in place of its own of these names."""
    others = [statement for statement in statements(policy) if statement.get("Sid") not in _OURS]
    return {"Version": VERSION, **policy, "Statement": [*others, *wanted]}


def statements(policy: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Its statements; a policy may have one without a list around it."""
    content = policy.get("Statement", [])
    return [content] if isinstance(content, Mapping) else list(content)


def others(policy: Mapping[str, Any]) -> list[str]:
    """The names of the statements that are not the lake's."""
    return [
        str(statement.get("Sid", "without a Sid"))
        for statement in statements(policy)
        if statement.get("Sid") not in _OURS
    ]


def comparable(policy: Mapping[str, Any]) -> list[Any]:
    """In one spelling: S3 stores lists of one, and lists in another order."""
    return sorted((_spelled(statement) for statement in statements(policy)), key=str)


def _spelled(content: Any) -> Any:
    if isinstance(content, Mapping):
        spelled = {key: _spelled(value) for key, value in sorted(content.items())}
        return "*" if spelled == {"AWS": "*"} else spelled
    if isinstance(content, list):
        values = sorted((_spelled(value) for value in content), key=str)
        return values[0] if len(values) == 1 else values
    return str(content).lower() if isinstance(content, bool) else content
