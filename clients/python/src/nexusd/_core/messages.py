"""Between the messages of the contract and the types of this package."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta, timezone
from types import MappingProxyType
from typing import Any

from google.protobuf.timestamp_pb2 import Timestamp

from nexusd._core.names import Name
from nexusd._proto import access_pb2, token_pb2
from nexusd.errors import AttentionRequired, ConsentDenied, ConsentRequired
from nexusd.strategies import make_strategy
from nexusd.tokens import Bookmark, ConnectionRemoved, ConnectionState, Consent, Lease, Problem, Reset, Token, WatchEvent

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
# The words of ConnectionStatus, by their numbers.
_STATUSES = ("unspecified", "pending", "active", "attention", "revoked", "expired", "failed")


def datetime_of(timestamp: Timestamp) -> datetime:
    return _EPOCH + timedelta(seconds=timestamp.seconds, microseconds=timestamp.nanos // 1000)


def lease_of(message: access_pb2.RenewLeaseResponse) -> Lease:
    return Lease(message.lease.seconds + message.lease.nanos / 1e9, datetime_of(message.ends_at))


def token_of(message: token_pb2.Token) -> Token:
    """Raises StrategyError for a strategy that this version does not know."""
    kind = message.strategy.WhichOneof("kind")
    config: Any = getattr(message.strategy, kind) if kind else None
    given = {field.name: value for field, value in config.ListFields()} if kind else {}
    return Token(
        credentials=MappingProxyType(dict(message.credentials)),
        strategy=make_strategy(kind or "", given),
        revision=message.revision,
        expires_at=datetime_of(message.expires_at) if message.HasField("expires_at") else None,
        granted_scopes=frozenset(message.granted_scopes),
        token_type=message.token_type,
    )


def consent_of(message: token_pb2.ConsentRequired, name: Name) -> Consent:
    return Consent(
        provider=name.provider,
        user=name.user,
        auth_url=message.auth_url,
        connection_id=message.connection_id,
        expires_at=datetime_of(message.expires_at) if message.HasField("expires_at") else None,
        reason=message.reason,
        verification_uri=message.verification_uri,
        user_code=message.user_code,
        verification_uri_complete=message.verification_uri_complete,
    )


def consent_error(consent: Consent, *, is_denied: bool = False, scopes: Iterable[str] = ()) -> ConsentRequired:
    """The error that carries the link. Its message does not, since messages are logged, and a framework may show them to a model: it says
    what the model must not do. `scopes`: those that an API said are missing."""
    is_first = consent.reason in ("not_connected", "scopes_missing", "authentication_insufficient")
    what = "the code of user_code and verification_uri" if consent.user_code else "the link of auth_url"
    message = (
        f"{consent.user} must connect {consent.provider} first, by {what}, which the application shows ({consent.reason}). "
        "Do not retry: tell the user, and wait."
    )
    kind = ConsentDenied if is_denied else ConsentRequired if is_first else AttentionRequired
    if is_denied:
        message = f"{consent.user}, or the provider, said no to connecting {consent.provider}: {consent.reason}"
    return kind(
        message,
        reason=consent.reason,
        scopes=tuple(scopes),
        auth_url=consent.auth_url,
        connection_id=consent.connection_id,
        expires_at=consent.expires_at,
        verification_uri=consent.verification_uri,
        user_code=consent.user_code,
        verification_uri_complete=consent.verification_uri_complete,
    )


def status_word(number: int) -> str:
    return _STATUSES[number] if number < len(_STATUSES) else "unspecified"


def state_of(message: token_pb2.TokenState) -> ConnectionState:
    problem = message.problem
    return ConnectionState(
        connection_id=message.connection_id,
        provider=message.provider_name,
        user=message.user_id,
        label=message.label,
        status=status_word(message.status),
        revision=message.revision,
        token=token_of(message.token) if message.HasField("token") else None,
        problem=Problem(problem.reason, problem.message) if message.HasField("problem") else None,
    )


def event_of(message: token_pb2.WatchTokensResponse) -> WatchEvent | None:
    """None for `drain`, and for an event that this version does not know."""
    kind = message.WhichOneof("event")
    if kind == "state":
        return state_of(message.state)
    if kind == "removed":
        return ConnectionRemoved(message.removed.connection_id)
    if kind == "bookmark":
        return Bookmark(message.bookmark.position.revision)
    return Reset(message.reset.reason) if kind == "reset" else None
