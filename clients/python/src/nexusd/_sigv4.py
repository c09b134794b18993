"""AWS Signature Version 4.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
"""

from __future__ import annotations

import hashlib
import hmac
import re
from datetime import datetime, timezone
from urllib.parse import quote, unquote_plus, urlsplit

from nexusd._core.encoding import cut_url, decode, utf8
from nexusd.errors import StrategyError
from nexusd.strategies import BodyHash, Request

_HASH_HEADER = "x-amz-content-sha256"
# A body in chunks with a checksum behind them, which no signature covers.
_UNSIGNED_TRAILER = "STREAMING-UNSIGNED-PAYLOAD-TRAILER"
# Signing names of the services whose canonical path is the path as it is sent, and not encoded once more.
_PLAIN_PATH_SERVICES = frozenset(["s3", "s3-outposts", "s3-object-lambda", "s3express"])
# Headers that proxies change or that the signature replaces.
_UNSIGNED = frozenset(
    (
        "authorization cache-control connection expect from keep-alive max-forwards pragma referer te trailer "
        "transfer-encoding upgrade user-agent x-amzn-trace-id"
    ).split()
)
_REPLACED = frozenset(["authorization", "x-amz-date", "date"])
_SPACES = re.compile("[ \\t\\r\\n]+")
_DEFAULT_PORTS = {"http": 80, "https": 443}


def sign(
    request: Request,
    scope: tuple[str, str],
    credentials: tuple[str, str, str | None],
    *,
    time: datetime,
    body_hash: BodyHash,
) -> dict[str, str]:
    """The headers of the request, as they were written, and those of the signature. `scope` is service and region.

    A URL that is signed already gets no other signature.
    """
    service, region = scope
    access_key, secret_key, session_token = credentials
    host, path, query = _parts(request.url)
    if _is_presigned(query):
        return dict(request.headers)
    now = time.astimezone(timezone.utc).strftime("%Y%m%dT%H%M%SZ")
    payload_hash = _payload_hash(request, body_hash)

    own = {name: value for name, value in request.headers.items() if name.lower() not in {*_REPLACED, _HASH_HEADER}}
    made = {"x-amz-date": now}
    if session_token is not None:
        made["x-amz-security-token"] = session_token
        own = {name: value for name, value in own.items() if name.lower() != "x-amz-security-token"}
    if body_hash != "signed" or payload_hash == _UNSIGNED_TRAILER:
        made[_HASH_HEADER] = payload_hash
    headers = {"host": host, **{name.lower(): value for name, value in own.items()}, **made}
    signable = sorted(name for name in headers if name not in _UNSIGNED and not re.match("proxy-|sec-", name))
    signed_headers = ";".join(signable)
    canonical = "\n".join(
        [
            request.method.upper(),
            path if service in _PLAIN_PATH_SERVICES else _canonical_path(path),
            _canonical_query(query),
            *(f"{name}:{_SPACES.sub(' ', headers[name]).strip(' ')}" for name in signable),
            "",
            signed_headers,
            payload_hash,
        ]
    )
    date_scope = f"{now[:8]}/{region}/{service}/aws4_request"
    to_sign = f"AWS4-HMAC-SHA256\n{now}\n{date_scope}\n{hashlib.sha256(utf8(canonical)).hexdigest()}"
    key = utf8("AWS4" + secret_key)
    for step in (now[:8], region, service, "aws4_request"):
        key = _hmac(key, step)
    signature = _hmac(key, to_sign).hex()
    made["authorization"] = f"AWS4-HMAC-SHA256 Credential={access_key}/{date_scope}, SignedHeaders={signed_headers}, Signature={signature}"
    return {**own, **made}


def _payload_hash(request: Request, body_hash: BodyHash) -> str:
    declared = next((value for name, value in request.headers.items() if name.lower() == _HASH_HEADER), "")
    if declared == _UNSIGNED_TRAILER:
        return declared
    if declared.startswith("STREAMING-"):
        reason = "names chunks that are signed one by one, which were signed with another key: send a plain body"
        raise StrategyError("invalid_request", _HASH_HEADER, reason)
    return "UNSIGNED-PAYLOAD" if body_hash == "unsigned" else hashlib.sha256(_bytes(request.body)).hexdigest()


def _is_presigned(query: str) -> bool:
    """Whether the URL has a signature of its own, of Version 4 or 2: the API refuses a second one beside it."""
    names = {unquote_plus(pair.partition("=")[0]).lower() for pair in query.split("&")}
    return "x-amz-signature" in names or {"signature", "awsaccesskeyid"} <= names


def _parts(url: str) -> tuple[str, str, str]:
    """Host with its port unless that is the scheme's, path and query as they stand in the URL."""
    try:
        parts = urlsplit(url)
        name, port = parts.hostname or "", parts.port
    except ValueError:
        name, port = "", None
    if not name or not parts.scheme:
        raise StrategyError("invalid_request", "url", "must be an absolute URL")
    host = f"[{name}]" if ":" in name else name
    if not host.isascii():
        host = host.encode("idna").decode()
    if port is not None and port != _DEFAULT_PORTS.get(parts.scheme):
        host = f"{host}:{port}"
    # Not the path that a parser gives: dots and double slashes are part of S3's keys.
    before, query, _ = cut_url(url)
    return host, re.sub(r"^[^:]+://[^/]*", "", before) or "/", query or ""


def _canonical_path(path: str) -> str:
    segments: list[str] = []
    for segment in path.split("/"):
        if segment == "..":
            del segments[-1:]
        elif segment not in ("", "."):
            segments.append(segment)
    end = "/" if segments and path.endswith("/") else ""
    return quote(utf8(f"/{'/'.join(segments)}{end}"), safe="/-_.~")


def _canonical_query(query: str) -> str:
    parameters: list[tuple[str, str]] = []
    for pair in query.split("&"):
        name, _, value = pair.partition("=")
        try:
            decoded = decode(name), decode(value)
        except ValueError:
            raise StrategyError("invalid_request", "url", "the query is not percent-encoded UTF-8") from None
        if pair and decoded[0].lower() != "x-amz-signature":
            parameters.append((quote(decoded[0], safe="-_.~"), quote(decoded[1], safe="-_.~")))
    return "&".join(f"{name}={value}" for name, value in sorted(parameters))


def _hmac(key: bytes, text: str) -> bytes:
    return hmac.new(key, utf8(text), hashlib.sha256).digest()


def _bytes(body: str | bytes | None) -> bytes:
    return utf8(body) if isinstance(body, str) else body or b""
