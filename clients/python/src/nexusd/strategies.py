"""Puts a credential into a request, as the strategy of its provider says."""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from datetime import datetime, timezone
from typing import Any, ClassVar, Literal, TypeAlias, get_args
from urllib.parse import quote

from nexusd._core.encoding import cut_url, parameter_name, utf8
from nexusd.errors import StrategyError

__all__ = [
    "AwsSigV4Strategy",
    "BasicAuthStrategy",
    "HeaderStrategy",
    "HmacPayloadStrategy",
    "OAuth2Strategy",
    "QueryParamStrategy",
    "Request",
    "Strategy",
    "StrategyError",
    "apply",
    "strategy_of",
]

#: How an AWS signature covers the body: its hash in a header too, its hash alone, or not at all (S3 over TLS).
BodyHash: TypeAlias = Literal["header", "signed", "unsigned"]


@dataclass(frozen=True)
class Request:
    """A request to a provider's API. The URL is absolute and percent-encoded, as it goes over the wire."""

    method: str
    url: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: str | bytes | None = None


@dataclass(frozen=True)
class OAuth2Strategy:
    """An access token in a header (RFC 6750 section 2.1)."""

    kind: ClassVar[str] = "oauth2"
    header_name: str = "Authorization"
    value_prefix: str = "Bearer "
    credential_field: str = "access_token"


@dataclass(frozen=True)
class HeaderStrategy:
    """A static value in a header."""

    kind: ClassVar[str] = "header"
    header_name: str = "Authorization"
    value_prefix: str = ""
    credential_field: str = "api_key"


@dataclass(frozen=True)
class QueryParamStrategy:
    """A static value in the query."""

    kind: ClassVar[str] = "query_param"
    param_name: str = ""
    credential_field: str = "api_key"


@dataclass(frozen=True)
class BasicAuthStrategy:
    """HTTP Basic (RFC 7617)."""

    kind: ClassVar[str] = "basic_auth"
    username_field: str = "username"
    password_field: str = "password"


@dataclass(frozen=True)
class AwsSigV4Strategy:
    """AWS Signature Version 4."""

    kind: ClassVar[str] = "aws_sigv4"
    service: str = ""
    region: str = "us-east-1"


@dataclass(frozen=True)
class HmacPayloadStrategy:
    """A header with an HMAC of the body (RFC 2104)."""

    kind: ClassVar[str] = "hmac_payload"
    header_name: str = ""
    secret_field: str = "api_secret"
    algo: str = "sha256"
    encoding: str = "hex"


Strategy: TypeAlias = OAuth2Strategy | HeaderStrategy | QueryParamStrategy | BasicAuthStrategy | AwsSigV4Strategy | HmacPayloadStrategy

_KINDS: dict[str, type[Strategy]] = {kind.kind: kind for kind in get_args(Strategy)}
_TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")  # RFC 9110 section 5.1
_FRAMING = frozenset("connection content-length expect host http2-settings keep-alive te trailer transfer-encoding upgrade".split())


def strategy_of(shape: Mapping[str, Any]) -> Strategy:
    """The strategy that JSON says, be it the JSON of protobuf (`{"oauth2": {"headerName": ...}}`) or that of
    `GET /v1/token/{id}` (`{"type": "oauth2", "config": {"header_name": ...}}`). What is missing or empty gets its default.
    """
    if isinstance(shape.get("type"), str):
        kind, given = shape["type"], shape.get("config")
    elif len(shape) == 1 and isinstance(next(iter(shape.values())), Mapping):
        kind, given = next(iter(shape.items()))
    else:
        raise StrategyError("invalid_strategy", "strategy", "names no kind")
    return make_strategy(_snake_case(kind), {_snake_case(name): value for name, value in (given or {}).items()})


def make_strategy(kind: str, given: Mapping[str, Any]) -> Strategy:
    """The strategy of a kind and its fields by their names on the wire. The empty prefix is one; else empty means the default."""
    known = _KINDS.get(kind)
    if known is None:
        raise StrategyError("invalid_strategy", "strategy", "is of no kind that is known here")
    names = [each.name for each in fields(known)]
    values = {name: given[name] for name in names if isinstance(given.get(name), str)}
    strategy = known(**{name: value for name, value in values.items() if value or name == "value_prefix"})
    _refuse_violations(strategy)
    return strategy


def apply(
    request: Request,
    strategy: Strategy,
    credentials: Mapping[str, object],
    *,
    time: datetime | None = None,
    body_hash: BodyHash = "header",
    proof: str | None = None,
) -> Request:
    """A new request with the credential in it. Raises StrategyError.

    `time` and `body_hash` are for AWS signatures. `proof` is what CreateProof answered for this very request: required where the token
    is bound to a key (DPoP, RFC 9449).
    """
    _refuse_violations(strategy)
    if isinstance(strategy, OAuth2Strategy) and strategy.value_prefix.rstrip(" ").lower() == "dpop":
        value = strategy.value_prefix + read_credential(credentials, strategy.credential_field)
        refuse_header_violations(value, strategy.credential_field)
        return _with_header(_with_header(request, strategy.header_name, value), "DPoP", _checked(proof))
    if isinstance(strategy, (OAuth2Strategy, HeaderStrategy)):
        value = strategy.value_prefix + read_credential(credentials, strategy.credential_field)
        refuse_header_violations(value, strategy.credential_field)
        return _with_header(request, strategy.header_name, value)
    if isinstance(strategy, QueryParamStrategy):
        value = read_credential(credentials, strategy.credential_field)
        return replace(request, url=_with_query_param(request.url, strategy.param_name, value))
    if isinstance(strategy, BasicAuthStrategy):
        return _with_header(request, "Authorization", _basic_value(strategy, credentials))
    if isinstance(strategy, HmacPayloadStrategy):
        return _with_header(request, strategy.header_name, _hmac_value(strategy, credentials, request.body))
    from nexusd._sigv4 import sign

    headers = sign(
        request,
        (strategy.service, strategy.region),
        _aws_credentials(credentials),
        time=time or datetime.now(timezone.utc),
        body_hash=body_hash,
    )
    return replace(request, headers=headers)


def _checked(proof: str | None) -> str:
    if proof is None:
        description = "is required: the token is bound to a key (DPoP), and CreateProof of the daemon makes it for each request"
        raise StrategyError("missing_credential", "proof", description)
    if not re.fullmatch(r"[\w-]+\.[\w-]+\.[\w-]+", proof, re.ASCII):
        raise StrategyError("invalid_credential", "proof", "must be a JWT, as CreateProof returns it")
    return proof


def read_credential(credentials: Mapping[str, object], name: str, *, may_be_empty: bool = False) -> str:
    value = credentials.get(name)
    if not isinstance(value, str):
        raise StrategyError("missing_credential", name, "the credentials have no such field")
    if value == "" and not may_be_empty:
        raise StrategyError("invalid_credential", name, "is empty")
    return value


def refuse_header_violations(text: str, name: str) -> None:
    """Refuses what could end a header line, and what not every HTTP library sends alike."""
    _refuse_controls(text, name)
    if re.search(r"[^ -~]", text):
        raise StrategyError("invalid_credential", name, "must be printable ASCII: it is sent in a header")


def _refuse_controls(text: str, name: str) -> None:
    if re.search(r"[\x00-\x1f\x7f]", text):
        raise StrategyError("invalid_credential", name, "must not hold line breaks or other control characters")


def _refuse_violations(strategy: Strategy) -> None:
    def refuse(name: str, description: str) -> None:
        raise StrategyError("invalid_strategy", name, description)

    if isinstance(strategy, (OAuth2Strategy, HeaderStrategy, HmacPayloadStrategy)):
        lower = strategy.header_name.lower()
        if not _TOKEN.fullmatch(lower):
            refuse("header_name", "must be a header name")
        if lower in _FRAMING or lower.startswith("proxy-"):
            refuse("header_name", "must not be a header that frames the message or belongs to the connection")
    if isinstance(strategy, QueryParamStrategy) and not strategy.param_name:
        refuse("param_name", "is required")
    if isinstance(strategy, AwsSigV4Strategy) and not strategy.service:
        refuse("service", "is required")
    if isinstance(strategy, HmacPayloadStrategy):
        if strategy.algo not in ("sha256", "sha1", "sha512"):
            refuse("algo", "must be one of sha256, sha1, sha512")
        if strategy.encoding not in ("hex", "base64"):
            refuse("encoding", "must be one of hex, base64")


def _with_header(request: Request, name: str, value: str) -> Request:
    others = {other: text for other, text in request.headers.items() if other.lower() != name.lower()}
    return replace(request, headers={**others, name: value})


def _with_query_param(url: str, name: str, value: str) -> str:
    """Sets one parameter, at the position of the first that has its name, and leaves everything else as it is."""
    before, query, fragment = cut_url(url)
    pair = f"{quote(utf8(name), safe='-_.~')}={quote(utf8(value), safe='-_.~')}"
    pairs = query.split("&") if query else []
    places = [place for place, candidate in enumerate(pairs) if parameter_name(candidate) == name]
    kept = [candidate for place, candidate in enumerate(pairs) if place not in places]
    kept.insert(places[0] if places else len(kept), pair)
    return f"{before}?{'&'.join(kept)}{fragment}"


def _basic_value(strategy: BasicAuthStrategy, credentials: Mapping[str, object]) -> str:
    username = read_credential(credentials, strategy.username_field, may_be_empty=True)
    password = read_credential(credentials, strategy.password_field, may_be_empty=True)
    _refuse_controls(username, strategy.username_field)
    _refuse_controls(password, strategy.password_field)
    if ":" in username:
        description = "must not hold a colon: Basic credentials end the user name at it"
        raise StrategyError("invalid_credential", strategy.username_field, description)
    return "Basic " + base64.b64encode(utf8(f"{username}:{password}")).decode()


def _hmac_value(strategy: HmacPayloadStrategy, credentials: Mapping[str, object], body: str | bytes | None) -> str:
    secret = utf8(read_credential(credentials, strategy.secret_field))
    payload = utf8(body) if isinstance(body, str) else body or b""
    digest = hmac.new(secret, payload, getattr(hashlib, strategy.algo)).digest()
    return digest.hex() if strategy.encoding == "hex" else base64.b64encode(digest).decode()


def _aws_credentials(credentials: Mapping[str, object]) -> tuple[str, str, str | None]:
    access_key = read_credential(credentials, "access_key")
    secret_key = read_credential(credentials, "secret_key")
    refuse_header_violations(access_key, "access_key")
    session_token = None
    if credentials.get("session_token") not in (None, ""):
        session_token = read_credential(credentials, "session_token")
        refuse_header_violations(session_token, "session_token")
    return access_key, secret_key, session_token


def _snake_case(name: str) -> str:
    return re.sub(r"[A-Z]", lambda letter: "_" + letter[0].lower(), name)
