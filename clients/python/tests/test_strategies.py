"""Against botocore, the AWS suite and vectors of the repository where they are there, and what must be refused."""

from __future__ import annotations

import json
from datetime import datetime, timezone
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from botocore.auth import S3SigV4Auth, SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from nexusd.strategies import (
    AwsSigV4Strategy,
    BasicAuthStrategy,
    HeaderStrategy,
    OAuth2Strategy,
    QueryParamStrategy,
    Request,
    StrategyError,
    apply,
    strategy_of,
)

REPOSITORY = Path(__file__).parents[3]
VECTORS = REPOSITORY / "test/clients/strategy_vectors.json"
AWS_SUITE = REPOSITORY / "test/strategies/aws_sigv4_suite.json"
WHEN = datetime(2026, 11, 27, 1, 2, 3, tzinfo=timezone.utc)

URLS = [
    "https://example.amazonaws.com",
    "https://example.amazonaws.com/",
    "https://example.amazonaws.com/a/../b/./c//d/?b=2&a=1&a=0",
    "https://example.amazonaws.com/%E1%88%B4/a%20b?x=%20y&empty=&novalue",
    "https://example.amazonaws.com:8443/documents?Action=ListUsers&Version=2010-05-08",
    "http://bucket.s3.amazonaws.com/key%2Bwith%3Dsigns?prefix=a%2Fb&list-type=2",
    "https://example.amazonaws.com/-._~?q=-._~%21%27%28%29%2A",
]


@pytest.mark.parametrize("url", URLS)
@pytest.mark.parametrize("service", ["execute-api", "s3"])
@pytest.mark.parametrize(("method", "body"), [("GET", None), ("POST", b'{"a": "\xc3\xa4"}')])
@pytest.mark.parametrize("session_token", [None, "a-session"])
def test_signs_as_botocore(url: str, service: str, method: str, body: bytes | None, session_token: str | None) -> None:
    headers = {"Content-Type": "application/json", "X-Amz-Target": "  two   spaces "}
    # botocore signs the empty path as it is for S3, and sends `/`.
    theirs = AWSRequest(method, f"{url}/" if url.count("/") == 2 else url, headers=dict(headers), data=body)
    if service == "execute-api":
        # botocore sends the hash where it is asked to, and signs it then; here it is always sent.
        theirs.headers["X-Amz-Content-SHA256"] = SigV4Auth(None, service, "eu-west-1").payload(theirs)
    kind = S3SigV4Auth if service == "s3" else SigV4Auth
    with mock.patch("botocore.auth.get_current_datetime", return_value=WHEN.replace(tzinfo=None), create=True):
        kind(Credentials("AK", "SK/+", session_token), service, "eu-west-1").add_auth(theirs)
    credentials = {"access_key": "AK", "secret_key": "SK/+"} | ({"session_token": session_token} if session_token else {})
    ours = apply(Request(method, url, headers, body), AwsSigV4Strategy(service, "eu-west-1"), credentials, time=WHEN)
    assert ours.headers["authorization"] == theirs.headers["Authorization"]
    assert ours.headers["x-amz-date"] == "20261127T010203Z"


@pytest.mark.skipif(not AWS_SUITE.exists(), reason="it is in the repository")
def test_the_aws_suite() -> None:
    suite = json.loads(AWS_SUITE.read_text())
    when = datetime.fromisoformat(suite["date"].replace("Z", "+00:00"))
    for case in suite["cases"]:
        headers = {name: value for name, value in case["headers"].items() if name != "X-Amz-Date"}
        credentials = {"access_key": suite["accessKey"], "secret_key": suite["secretKey"]}
        if "sessionToken" in case:
            credentials["session_token"] = case["sessionToken"]
        request = Request(case["method"], f"https://example.amazonaws.com{case['target']}", headers, case.get("body"))
        strategy = AwsSigV4Strategy(suite["service"], suite["region"])
        signed = apply(request, strategy, credentials, time=when, body_hash="signed")
        assert signed.headers["authorization"] == case["authorization"], case["name"]
    assert len(suite["cases"]) == 34


@pytest.mark.skipif(not VECTORS.exists(), reason="it is in the repository")
def test_the_vectors_of_all_languages() -> None:
    vectors = json.loads(VECTORS.read_text())["vectors"]
    assert len(vectors) > 50
    for vector in vectors:
        assert _outcome(vector) == _wanted(vector), vector["name"]


@pytest.mark.parametrize("shape", [{}, {"magic": {}}, {"type": "magic"}, {"oauth2": {}, "header": {}}, {"oauth2": 5}])
def test_refuses_what_is_no_strategy(shape: dict[str, Any]) -> None:
    with pytest.raises(StrategyError) as caught:
        strategy_of(shape)
    assert (caught.value.reason, caught.value.field) == ("invalid_strategy", "strategy")


@pytest.mark.parametrize("value", ["a\r\nX-Evil: 1", "a\n", "a\0", "a\x7f", "a\tb", "ключ"])
def test_refuses_what_a_header_cannot_carry_without_repeating_it(value: str) -> None:
    for strategy in (HeaderStrategy(), OAuth2Strategy(credential_field="api_key")):
        with pytest.raises(StrategyError) as caught:
            apply(Request("GET", "https://api.example"), strategy, {"api_key": value})
        assert (caught.value.reason, caught.value.field) == ("invalid_credential", "api_key")
        assert value not in str(caught.value)


def test_a_request_is_left_as_it_is() -> None:
    request = Request("GET", "https://api.example/?key=old", {"AUTHORIZATION": "old"})
    answer = apply(request, BasicAuthStrategy(), {"username": "u", "password": ""})
    assert answer.headers == {"Authorization": "Basic dTo="}
    assert apply(request, QueryParamStrategy("key"), {"api_key": "new"}).url == "https://api.example/?key=new"
    assert request == Request("GET", "https://api.example/?key=old", {"AUTHORIZATION": "old"})


def _outcome(vector: dict[str, Any]) -> object:
    given = vector["request"]
    request = Request(given["method"], given["url"], given["headers"], given.get("body"))
    time_ms = vector.get("time_ms")
    when = None if time_ms is None else datetime.fromtimestamp(time_ms / 1000, timezone.utc)
    try:
        answer = apply(
            request,
            strategy_of(vector["strategy"]),
            vector["credentials"],
            time=when,
            body_hash=vector.get("body_hash", "header"),
        )
    except StrategyError as error:
        return {"reason": error.reason, "field": error.field}
    headers = {name.lower(): value for name, value in answer.headers.items()}
    return [answer.method, answer.url, headers, answer.body or ""]


def _wanted(vector: dict[str, Any]) -> object:
    if "error" in vector:
        return vector["error"]
    wanted = vector["expected"]
    headers = {name.lower(): value for name, value in wanted["headers"].items()}
    return [wanted["method"], wanted["url"], headers, wanted.get("body") or ""]


def test_a_bound_token_needs_its_proof() -> None:
    bound = OAuth2Strategy(value_prefix="DPoP ")
    request = Request("GET", "https://api.example/v1", {"dpop": "forged"})
    with pytest.raises(StrategyError) as missing:
        apply(request, bound, {"access_token": "t"})
    assert (missing.value.reason, missing.value.field) == ("missing_credential", "proof")
    with pytest.raises(StrategyError):
        apply(request, bound, {"access_token": "t"}, proof="a\r\nb")
    applied = apply(request, bound, {"access_token": "t"}, proof="h.p.s")
    assert applied.headers == {"Authorization": "DPoP t", "DPoP": "h.p.s"}
