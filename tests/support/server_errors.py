"""What the real clients raise where a server does not answer or refuses.

Belongs here: the errors. Does not: when they are raised.
"""

from __future__ import annotations

import requests
from botocore.exceptions import ClientError, EndpointConnectionError

from lake.base.errors import LakeError
from lake.http.failures import refusal, unanswered
from lake.store.s3_failures import explained


def lost(source: str) -> LakeError:
    refusal_ = requests.ConnectionError("refused")
    return unanswered(refusal_, source, "http://127.0.0.1:1", 60)


def expired_token(where: str) -> LakeError:
    answer = {"Error": {"Code": "ExpiredToken", "Message": "The provided token has expired."}}
    return explained(ClientError(answer, "GetObject"), where)


def no_bucket(where: str) -> LakeError:
    return explained(EndpointConnectionError(endpoint_url="http://127.0.0.1:1"), where)


def refused(source: str) -> LakeError:
    answer = requests.Response()
    answer.status_code = 401
    return refusal(source, answer, "http://127.0.0.1:1/api/v1/query_range", "expired")
