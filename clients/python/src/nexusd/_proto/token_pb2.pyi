import datetime

from google.protobuf import duration_pb2 as _duration_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from nexusd._proto import connection_pb2 as _connection_pb2
from nexusd._proto import strategy_pb2 as _strategy_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class RejectionOutcome(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    REJECTION_OUTCOME_UNSPECIFIED: _ClassVar[RejectionOutcome]
    REJECTION_OUTCOME_SUPERSEDED: _ClassVar[RejectionOutcome]
    REJECTION_OUTCOME_REFRESHED: _ClassVar[RejectionOutcome]
    REJECTION_OUTCOME_SCOPES_MISSING: _ClassVar[RejectionOutcome]
    REJECTION_OUTCOME_NONCE_WANTED: _ClassVar[RejectionOutcome]
    REJECTION_OUTCOME_AUTHENTICATION_INSUFFICIENT: _ClassVar[RejectionOutcome]
REJECTION_OUTCOME_UNSPECIFIED: RejectionOutcome
REJECTION_OUTCOME_SUPERSEDED: RejectionOutcome
REJECTION_OUTCOME_REFRESHED: RejectionOutcome
REJECTION_OUTCOME_SCOPES_MISSING: RejectionOutcome
REJECTION_OUTCOME_NONCE_WANTED: RejectionOutcome
REJECTION_OUTCOME_AUTHENTICATION_INSUFFICIENT: RejectionOutcome

class Token(_message.Message):
    __slots__ = ("strategy", "credentials", "expires_at", "refresh_not_before", "granted_scopes", "revision", "token_type", "id_token")
    class CredentialsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    STRATEGY_FIELD_NUMBER: _ClassVar[int]
    CREDENTIALS_FIELD_NUMBER: _ClassVar[int]
    EXPIRES_AT_FIELD_NUMBER: _ClassVar[int]
    REFRESH_NOT_BEFORE_FIELD_NUMBER: _ClassVar[int]
    GRANTED_SCOPES_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    TOKEN_TYPE_FIELD_NUMBER: _ClassVar[int]
    ID_TOKEN_FIELD_NUMBER: _ClassVar[int]
    strategy: _strategy_pb2.Strategy
    credentials: _containers.ScalarMap[str, str]
    expires_at: _timestamp_pb2.Timestamp
    refresh_not_before: _timestamp_pb2.Timestamp
    granted_scopes: _containers.RepeatedScalarFieldContainer[str]
    revision: int
    token_type: str
    id_token: str
    def __init__(self, strategy: _Optional[_Union[_strategy_pb2.Strategy, _Mapping]] = ..., credentials: _Optional[_Mapping[str, str]] = ..., expires_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., refresh_not_before: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., granted_scopes: _Optional[_Iterable[str]] = ..., revision: _Optional[int] = ..., token_type: _Optional[str] = ..., id_token: _Optional[str] = ...) -> None: ...

class AcquireTokenRequest(_message.Message):
    __slots__ = ("provider_name", "user_id", "label", "scopes", "min_ttl", "return_url", "wait", "mcp_server_url", "device", "only_scopes", "request")
    PROVIDER_NAME_FIELD_NUMBER: _ClassVar[int]
    USER_ID_FIELD_NUMBER: _ClassVar[int]
    LABEL_FIELD_NUMBER: _ClassVar[int]
    SCOPES_FIELD_NUMBER: _ClassVar[int]
    MIN_TTL_FIELD_NUMBER: _ClassVar[int]
    RETURN_URL_FIELD_NUMBER: _ClassVar[int]
    WAIT_FIELD_NUMBER: _ClassVar[int]
    MCP_SERVER_URL_FIELD_NUMBER: _ClassVar[int]
    DEVICE_FIELD_NUMBER: _ClassVar[int]
    ONLY_SCOPES_FIELD_NUMBER: _ClassVar[int]
    REQUEST_FIELD_NUMBER: _ClassVar[int]
    provider_name: str
    user_id: str
    label: str
    scopes: _containers.RepeatedScalarFieldContainer[str]
    min_ttl: _duration_pb2.Duration
    return_url: str
    wait: _duration_pb2.Duration
    mcp_server_url: str
    device: bool
    only_scopes: bool
    request: ShownRequest
    def __init__(self, provider_name: _Optional[str] = ..., user_id: _Optional[str] = ..., label: _Optional[str] = ..., scopes: _Optional[_Iterable[str]] = ..., min_ttl: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., return_url: _Optional[str] = ..., wait: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., mcp_server_url: _Optional[str] = ..., device: _Optional[bool] = ..., only_scopes: _Optional[bool] = ..., request: _Optional[_Union[ShownRequest, _Mapping]] = ...) -> None: ...

class ShownRequest(_message.Message):
    __slots__ = ("method", "url", "shows_headers", "headers", "body_size", "body_sha256", "body", "session", "repeats")
    class HeadersEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    METHOD_FIELD_NUMBER: _ClassVar[int]
    URL_FIELD_NUMBER: _ClassVar[int]
    SHOWS_HEADERS_FIELD_NUMBER: _ClassVar[int]
    HEADERS_FIELD_NUMBER: _ClassVar[int]
    BODY_SIZE_FIELD_NUMBER: _ClassVar[int]
    BODY_SHA256_FIELD_NUMBER: _ClassVar[int]
    BODY_FIELD_NUMBER: _ClassVar[int]
    SESSION_FIELD_NUMBER: _ClassVar[int]
    REPEATS_FIELD_NUMBER: _ClassVar[int]
    method: str
    url: str
    shows_headers: bool
    headers: _containers.ScalarMap[str, str]
    body_size: int
    body_sha256: bytes
    body: bytes
    session: str
    repeats: bool
    def __init__(self, method: _Optional[str] = ..., url: _Optional[str] = ..., shows_headers: _Optional[bool] = ..., headers: _Optional[_Mapping[str, str]] = ..., body_size: _Optional[int] = ..., body_sha256: _Optional[bytes] = ..., body: _Optional[bytes] = ..., session: _Optional[str] = ..., repeats: _Optional[bool] = ...) -> None: ...

class AcquireTokenResponse(_message.Message):
    __slots__ = ("token", "consent")
    TOKEN_FIELD_NUMBER: _ClassVar[int]
    CONSENT_FIELD_NUMBER: _ClassVar[int]
    token: Token
    consent: ConsentRequired
    def __init__(self, token: _Optional[_Union[Token, _Mapping]] = ..., consent: _Optional[_Union[ConsentRequired, _Mapping]] = ...) -> None: ...

class ConsentRequired(_message.Message):
    __slots__ = ("auth_url", "connection_id", "expires_at", "reason", "verification_uri", "user_code", "verification_uri_complete")
    AUTH_URL_FIELD_NUMBER: _ClassVar[int]
    CONNECTION_ID_FIELD_NUMBER: _ClassVar[int]
    EXPIRES_AT_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    VERIFICATION_URI_FIELD_NUMBER: _ClassVar[int]
    USER_CODE_FIELD_NUMBER: _ClassVar[int]
    VERIFICATION_URI_COMPLETE_FIELD_NUMBER: _ClassVar[int]
    auth_url: str
    connection_id: str
    expires_at: _timestamp_pb2.Timestamp
    reason: str
    verification_uri: str
    user_code: str
    verification_uri_complete: str
    def __init__(self, auth_url: _Optional[str] = ..., connection_id: _Optional[str] = ..., expires_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., reason: _Optional[str] = ..., verification_uri: _Optional[str] = ..., user_code: _Optional[str] = ..., verification_uri_complete: _Optional[str] = ...) -> None: ...

class TokenServiceGetTokenRequest(_message.Message):
    __slots__ = ("connection_id", "min_ttl", "name", "audience", "scopes", "resource", "request", "include_id_token")
    CONNECTION_ID_FIELD_NUMBER: _ClassVar[int]
    MIN_TTL_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    AUDIENCE_FIELD_NUMBER: _ClassVar[int]
    SCOPES_FIELD_NUMBER: _ClassVar[int]
    RESOURCE_FIELD_NUMBER: _ClassVar[int]
    REQUEST_FIELD_NUMBER: _ClassVar[int]
    INCLUDE_ID_TOKEN_FIELD_NUMBER: _ClassVar[int]
    connection_id: str
    min_ttl: _duration_pb2.Duration
    name: _connection_pb2.ConnectionName
    audience: str
    scopes: _containers.RepeatedScalarFieldContainer[str]
    resource: str
    request: ShownRequest
    include_id_token: bool
    def __init__(self, connection_id: _Optional[str] = ..., min_ttl: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., name: _Optional[_Union[_connection_pb2.ConnectionName, _Mapping]] = ..., audience: _Optional[str] = ..., scopes: _Optional[_Iterable[str]] = ..., resource: _Optional[str] = ..., request: _Optional[_Union[ShownRequest, _Mapping]] = ..., include_id_token: _Optional[bool] = ...) -> None: ...

class TokenServiceGetTokenResponse(_message.Message):
    __slots__ = ("token",)
    TOKEN_FIELD_NUMBER: _ClassVar[int]
    token: Token
    def __init__(self, token: _Optional[_Union[Token, _Mapping]] = ...) -> None: ...

class RefreshTokenRequest(_message.Message):
    __slots__ = ("connection_id", "name", "include_id_token")
    CONNECTION_ID_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    INCLUDE_ID_TOKEN_FIELD_NUMBER: _ClassVar[int]
    connection_id: str
    name: _connection_pb2.ConnectionName
    include_id_token: bool
    def __init__(self, connection_id: _Optional[str] = ..., name: _Optional[_Union[_connection_pb2.ConnectionName, _Mapping]] = ..., include_id_token: _Optional[bool] = ...) -> None: ...

class RefreshTokenResponse(_message.Message):
    __slots__ = ("token",)
    TOKEN_FIELD_NUMBER: _ClassVar[int]
    token: Token
    def __init__(self, token: _Optional[_Union[Token, _Mapping]] = ...) -> None: ...

class ReportRejectedTokenRequest(_message.Message):
    __slots__ = ("connection_id", "name", "revision", "status", "www_authenticate", "dpop_nonce")
    CONNECTION_ID_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    WWW_AUTHENTICATE_FIELD_NUMBER: _ClassVar[int]
    DPOP_NONCE_FIELD_NUMBER: _ClassVar[int]
    connection_id: str
    name: _connection_pb2.ConnectionName
    revision: int
    status: int
    www_authenticate: str
    dpop_nonce: str
    def __init__(self, connection_id: _Optional[str] = ..., name: _Optional[_Union[_connection_pb2.ConnectionName, _Mapping]] = ..., revision: _Optional[int] = ..., status: _Optional[int] = ..., www_authenticate: _Optional[str] = ..., dpop_nonce: _Optional[str] = ...) -> None: ...

class ReportRejectedTokenResponse(_message.Message):
    __slots__ = ("outcome", "revision", "consent", "missing_scopes")
    OUTCOME_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    CONSENT_FIELD_NUMBER: _ClassVar[int]
    MISSING_SCOPES_FIELD_NUMBER: _ClassVar[int]
    outcome: RejectionOutcome
    revision: int
    consent: ConsentRequired
    missing_scopes: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, outcome: _Optional[_Union[RejectionOutcome, str]] = ..., revision: _Optional[int] = ..., consent: _Optional[_Union[ConsentRequired, _Mapping]] = ..., missing_scopes: _Optional[_Iterable[str]] = ...) -> None: ...

class CreateProofRequest(_message.Message):
    __slots__ = ("connection_id", "name", "method", "url", "nonce")
    CONNECTION_ID_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    METHOD_FIELD_NUMBER: _ClassVar[int]
    URL_FIELD_NUMBER: _ClassVar[int]
    NONCE_FIELD_NUMBER: _ClassVar[int]
    connection_id: str
    name: _connection_pb2.ConnectionName
    method: str
    url: str
    nonce: str
    def __init__(self, connection_id: _Optional[str] = ..., name: _Optional[_Union[_connection_pb2.ConnectionName, _Mapping]] = ..., method: _Optional[str] = ..., url: _Optional[str] = ..., nonce: _Optional[str] = ...) -> None: ...

class CreateProofResponse(_message.Message):
    __slots__ = ("proof", "expires_at", "revision")
    PROOF_FIELD_NUMBER: _ClassVar[int]
    EXPIRES_AT_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    proof: str
    expires_at: _timestamp_pb2.Timestamp
    revision: int
    def __init__(self, proof: _Optional[str] = ..., expires_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., revision: _Optional[int] = ...) -> None: ...

class Position(_message.Message):
    __slots__ = ("epoch", "revision")
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    epoch: str
    revision: int
    def __init__(self, epoch: _Optional[str] = ..., revision: _Optional[int] = ...) -> None: ...

class WatchTokensRequest(_message.Message):
    __slots__ = ("connection_ids", "user_id", "position", "bookmark_interval", "names")
    CONNECTION_IDS_FIELD_NUMBER: _ClassVar[int]
    USER_ID_FIELD_NUMBER: _ClassVar[int]
    POSITION_FIELD_NUMBER: _ClassVar[int]
    BOOKMARK_INTERVAL_FIELD_NUMBER: _ClassVar[int]
    NAMES_FIELD_NUMBER: _ClassVar[int]
    connection_ids: _containers.RepeatedScalarFieldContainer[str]
    user_id: str
    position: Position
    bookmark_interval: _duration_pb2.Duration
    names: _containers.RepeatedCompositeFieldContainer[_connection_pb2.ConnectionName]
    def __init__(self, connection_ids: _Optional[_Iterable[str]] = ..., user_id: _Optional[str] = ..., position: _Optional[_Union[Position, _Mapping]] = ..., bookmark_interval: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., names: _Optional[_Iterable[_Union[_connection_pb2.ConnectionName, _Mapping]]] = ...) -> None: ...

class WatchTokensResponse(_message.Message):
    __slots__ = ("state", "removed", "bookmark", "reset", "drain")
    STATE_FIELD_NUMBER: _ClassVar[int]
    REMOVED_FIELD_NUMBER: _ClassVar[int]
    BOOKMARK_FIELD_NUMBER: _ClassVar[int]
    RESET_FIELD_NUMBER: _ClassVar[int]
    DRAIN_FIELD_NUMBER: _ClassVar[int]
    state: TokenState
    removed: ConnectionRemoved
    bookmark: Bookmark
    reset: Reset
    drain: Drain
    def __init__(self, state: _Optional[_Union[TokenState, _Mapping]] = ..., removed: _Optional[_Union[ConnectionRemoved, _Mapping]] = ..., bookmark: _Optional[_Union[Bookmark, _Mapping]] = ..., reset: _Optional[_Union[Reset, _Mapping]] = ..., drain: _Optional[_Union[Drain, _Mapping]] = ...) -> None: ...

class TokenState(_message.Message):
    __slots__ = ("connection_id", "user_id", "provider_id", "provider_name", "status", "revision", "token", "problem", "refresh_expires_at", "label", "account", "created_at")
    CONNECTION_ID_FIELD_NUMBER: _ClassVar[int]
    USER_ID_FIELD_NUMBER: _ClassVar[int]
    PROVIDER_ID_FIELD_NUMBER: _ClassVar[int]
    PROVIDER_NAME_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    TOKEN_FIELD_NUMBER: _ClassVar[int]
    PROBLEM_FIELD_NUMBER: _ClassVar[int]
    REFRESH_EXPIRES_AT_FIELD_NUMBER: _ClassVar[int]
    LABEL_FIELD_NUMBER: _ClassVar[int]
    ACCOUNT_FIELD_NUMBER: _ClassVar[int]
    CREATED_AT_FIELD_NUMBER: _ClassVar[int]
    connection_id: str
    user_id: str
    provider_id: str
    provider_name: str
    status: _connection_pb2.ConnectionStatus
    revision: int
    token: Token
    problem: _connection_pb2.Problem
    refresh_expires_at: _timestamp_pb2.Timestamp
    label: str
    account: _connection_pb2.Account
    created_at: _timestamp_pb2.Timestamp
    def __init__(self, connection_id: _Optional[str] = ..., user_id: _Optional[str] = ..., provider_id: _Optional[str] = ..., provider_name: _Optional[str] = ..., status: _Optional[_Union[_connection_pb2.ConnectionStatus, str]] = ..., revision: _Optional[int] = ..., token: _Optional[_Union[Token, _Mapping]] = ..., problem: _Optional[_Union[_connection_pb2.Problem, _Mapping]] = ..., refresh_expires_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., label: _Optional[str] = ..., account: _Optional[_Union[_connection_pb2.Account, _Mapping]] = ..., created_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class ConnectionRemoved(_message.Message):
    __slots__ = ("connection_id",)
    CONNECTION_ID_FIELD_NUMBER: _ClassVar[int]
    connection_id: str
    def __init__(self, connection_id: _Optional[str] = ...) -> None: ...

class Bookmark(_message.Message):
    __slots__ = ("position",)
    POSITION_FIELD_NUMBER: _ClassVar[int]
    position: Position
    def __init__(self, position: _Optional[_Union[Position, _Mapping]] = ...) -> None: ...

class Reset(_message.Message):
    __slots__ = ("reason",)
    REASON_FIELD_NUMBER: _ClassVar[int]
    reason: str
    def __init__(self, reason: _Optional[str] = ...) -> None: ...

class Drain(_message.Message):
    __slots__ = ("reconnect_delay",)
    RECONNECT_DELAY_FIELD_NUMBER: _ClassVar[int]
    reconnect_delay: _duration_pb2.Duration
    def __init__(self, reconnect_delay: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ...) -> None: ...
