import datetime

from google.protobuf import struct_pb2 as _struct_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class ConnectionStatus(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    CONNECTION_STATUS_UNSPECIFIED: _ClassVar[ConnectionStatus]
    CONNECTION_STATUS_PENDING: _ClassVar[ConnectionStatus]
    CONNECTION_STATUS_ACTIVE: _ClassVar[ConnectionStatus]
    CONNECTION_STATUS_ATTENTION: _ClassVar[ConnectionStatus]
    CONNECTION_STATUS_REVOKED: _ClassVar[ConnectionStatus]
    CONNECTION_STATUS_EXPIRED: _ClassVar[ConnectionStatus]
    CONNECTION_STATUS_FAILED: _ClassVar[ConnectionStatus]

class ProviderRevocation(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    PROVIDER_REVOCATION_UNSPECIFIED: _ClassVar[ProviderRevocation]
    PROVIDER_REVOCATION_NOT_NEEDED: _ClassVar[ProviderRevocation]
    PROVIDER_REVOCATION_PENDING: _ClassVar[ProviderRevocation]
    PROVIDER_REVOCATION_DONE: _ClassVar[ProviderRevocation]
    PROVIDER_REVOCATION_NOT_POSSIBLE: _ClassVar[ProviderRevocation]

class CheckOutcome(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    CHECK_OUTCOME_UNSPECIFIED: _ClassVar[CheckOutcome]
    CHECK_OUTCOME_ACCEPTED: _ClassVar[CheckOutcome]
    CHECK_OUTCOME_REFUSED: _ClassVar[CheckOutcome]
    CHECK_OUTCOME_UNCLEAR: _ClassVar[CheckOutcome]
CONNECTION_STATUS_UNSPECIFIED: ConnectionStatus
CONNECTION_STATUS_PENDING: ConnectionStatus
CONNECTION_STATUS_ACTIVE: ConnectionStatus
CONNECTION_STATUS_ATTENTION: ConnectionStatus
CONNECTION_STATUS_REVOKED: ConnectionStatus
CONNECTION_STATUS_EXPIRED: ConnectionStatus
CONNECTION_STATUS_FAILED: ConnectionStatus
PROVIDER_REVOCATION_UNSPECIFIED: ProviderRevocation
PROVIDER_REVOCATION_NOT_NEEDED: ProviderRevocation
PROVIDER_REVOCATION_PENDING: ProviderRevocation
PROVIDER_REVOCATION_DONE: ProviderRevocation
PROVIDER_REVOCATION_NOT_POSSIBLE: ProviderRevocation
CHECK_OUTCOME_UNSPECIFIED: CheckOutcome
CHECK_OUTCOME_ACCEPTED: CheckOutcome
CHECK_OUTCOME_REFUSED: CheckOutcome
CHECK_OUTCOME_UNCLEAR: CheckOutcome

class Problem(_message.Message):
    __slots__ = ("reason", "message", "since", "retry_at")
    REASON_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    SINCE_FIELD_NUMBER: _ClassVar[int]
    RETRY_AT_FIELD_NUMBER: _ClassVar[int]
    reason: str
    message: str
    since: _timestamp_pb2.Timestamp
    retry_at: _timestamp_pb2.Timestamp
    def __init__(self, reason: _Optional[str] = ..., message: _Optional[str] = ..., since: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., retry_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class ConnectionName(_message.Message):
    __slots__ = ("provider_name", "user_id", "label")
    PROVIDER_NAME_FIELD_NUMBER: _ClassVar[int]
    USER_ID_FIELD_NUMBER: _ClassVar[int]
    LABEL_FIELD_NUMBER: _ClassVar[int]
    provider_name: str
    user_id: str
    label: str
    def __init__(self, provider_name: _Optional[str] = ..., user_id: _Optional[str] = ..., label: _Optional[str] = ...) -> None: ...

class Connection(_message.Message):
    __slots__ = ("id", "user_id", "provider_id", "provider_name", "status", "revision", "requested_scopes", "granted_scopes", "expires_at", "refresh_not_before", "problem", "created_at", "updated_at", "request_expires_at", "refreshable", "metadata", "refresh_expires_at", "awaiting_confirmation", "provider_revocation", "label", "account", "issued_at", "request_problem")
    class MetadataEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    ID_FIELD_NUMBER: _ClassVar[int]
    USER_ID_FIELD_NUMBER: _ClassVar[int]
    PROVIDER_ID_FIELD_NUMBER: _ClassVar[int]
    PROVIDER_NAME_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    REQUESTED_SCOPES_FIELD_NUMBER: _ClassVar[int]
    GRANTED_SCOPES_FIELD_NUMBER: _ClassVar[int]
    EXPIRES_AT_FIELD_NUMBER: _ClassVar[int]
    REFRESH_NOT_BEFORE_FIELD_NUMBER: _ClassVar[int]
    PROBLEM_FIELD_NUMBER: _ClassVar[int]
    CREATED_AT_FIELD_NUMBER: _ClassVar[int]
    UPDATED_AT_FIELD_NUMBER: _ClassVar[int]
    REQUEST_EXPIRES_AT_FIELD_NUMBER: _ClassVar[int]
    REFRESHABLE_FIELD_NUMBER: _ClassVar[int]
    METADATA_FIELD_NUMBER: _ClassVar[int]
    REFRESH_EXPIRES_AT_FIELD_NUMBER: _ClassVar[int]
    AWAITING_CONFIRMATION_FIELD_NUMBER: _ClassVar[int]
    PROVIDER_REVOCATION_FIELD_NUMBER: _ClassVar[int]
    LABEL_FIELD_NUMBER: _ClassVar[int]
    ACCOUNT_FIELD_NUMBER: _ClassVar[int]
    ISSUED_AT_FIELD_NUMBER: _ClassVar[int]
    REQUEST_PROBLEM_FIELD_NUMBER: _ClassVar[int]
    id: str
    user_id: str
    provider_id: str
    provider_name: str
    status: ConnectionStatus
    revision: int
    requested_scopes: _containers.RepeatedScalarFieldContainer[str]
    granted_scopes: _containers.RepeatedScalarFieldContainer[str]
    expires_at: _timestamp_pb2.Timestamp
    refresh_not_before: _timestamp_pb2.Timestamp
    problem: Problem
    created_at: _timestamp_pb2.Timestamp
    updated_at: _timestamp_pb2.Timestamp
    request_expires_at: _timestamp_pb2.Timestamp
    refreshable: bool
    metadata: _containers.ScalarMap[str, str]
    refresh_expires_at: _timestamp_pb2.Timestamp
    awaiting_confirmation: bool
    provider_revocation: ProviderRevocation
    label: str
    account: Account
    issued_at: _timestamp_pb2.Timestamp
    request_problem: Problem
    def __init__(self, id: _Optional[str] = ..., user_id: _Optional[str] = ..., provider_id: _Optional[str] = ..., provider_name: _Optional[str] = ..., status: _Optional[_Union[ConnectionStatus, str]] = ..., revision: _Optional[int] = ..., requested_scopes: _Optional[_Iterable[str]] = ..., granted_scopes: _Optional[_Iterable[str]] = ..., expires_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., refresh_not_before: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., problem: _Optional[_Union[Problem, _Mapping]] = ..., created_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., updated_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., request_expires_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., refreshable: _Optional[bool] = ..., metadata: _Optional[_Mapping[str, str]] = ..., refresh_expires_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., awaiting_confirmation: _Optional[bool] = ..., provider_revocation: _Optional[_Union[ProviderRevocation, str]] = ..., label: _Optional[str] = ..., account: _Optional[_Union[Account, _Mapping]] = ..., issued_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., request_problem: _Optional[_Union[Problem, _Mapping]] = ...) -> None: ...

class Account(_message.Message):
    __slots__ = ("subject", "name", "email", "login")
    SUBJECT_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    EMAIL_FIELD_NUMBER: _ClassVar[int]
    LOGIN_FIELD_NUMBER: _ClassVar[int]
    subject: str
    name: str
    email: str
    login: str
    def __init__(self, subject: _Optional[str] = ..., name: _Optional[str] = ..., email: _Optional[str] = ..., login: _Optional[str] = ...) -> None: ...

class ConnectionServiceRequestConnectionRequest(_message.Message):
    __slots__ = ("user_id", "provider_id", "provider_name", "scopes", "return_url", "connection_id", "require_confirmation", "label", "device", "acr_values", "max_age_seconds")
    USER_ID_FIELD_NUMBER: _ClassVar[int]
    PROVIDER_ID_FIELD_NUMBER: _ClassVar[int]
    PROVIDER_NAME_FIELD_NUMBER: _ClassVar[int]
    SCOPES_FIELD_NUMBER: _ClassVar[int]
    RETURN_URL_FIELD_NUMBER: _ClassVar[int]
    CONNECTION_ID_FIELD_NUMBER: _ClassVar[int]
    REQUIRE_CONFIRMATION_FIELD_NUMBER: _ClassVar[int]
    LABEL_FIELD_NUMBER: _ClassVar[int]
    DEVICE_FIELD_NUMBER: _ClassVar[int]
    ACR_VALUES_FIELD_NUMBER: _ClassVar[int]
    MAX_AGE_SECONDS_FIELD_NUMBER: _ClassVar[int]
    user_id: str
    provider_id: str
    provider_name: str
    scopes: _containers.RepeatedScalarFieldContainer[str]
    return_url: str
    connection_id: str
    require_confirmation: bool
    label: str
    device: bool
    acr_values: _containers.RepeatedScalarFieldContainer[str]
    max_age_seconds: int
    def __init__(self, user_id: _Optional[str] = ..., provider_id: _Optional[str] = ..., provider_name: _Optional[str] = ..., scopes: _Optional[_Iterable[str]] = ..., return_url: _Optional[str] = ..., connection_id: _Optional[str] = ..., require_confirmation: _Optional[bool] = ..., label: _Optional[str] = ..., device: _Optional[bool] = ..., acr_values: _Optional[_Iterable[str]] = ..., max_age_seconds: _Optional[int] = ...) -> None: ...

class ConnectionServiceRequestConnectionResponse(_message.Message):
    __slots__ = ("auth_url", "state", "scopes", "provider_id", "connection_id", "expires_at", "redirect_uri", "connection", "verification_uri", "user_code", "verification_uri_complete")
    AUTH_URL_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    SCOPES_FIELD_NUMBER: _ClassVar[int]
    PROVIDER_ID_FIELD_NUMBER: _ClassVar[int]
    CONNECTION_ID_FIELD_NUMBER: _ClassVar[int]
    EXPIRES_AT_FIELD_NUMBER: _ClassVar[int]
    REDIRECT_URI_FIELD_NUMBER: _ClassVar[int]
    CONNECTION_FIELD_NUMBER: _ClassVar[int]
    VERIFICATION_URI_FIELD_NUMBER: _ClassVar[int]
    USER_CODE_FIELD_NUMBER: _ClassVar[int]
    VERIFICATION_URI_COMPLETE_FIELD_NUMBER: _ClassVar[int]
    auth_url: str
    state: str
    scopes: _containers.RepeatedScalarFieldContainer[str]
    provider_id: str
    connection_id: str
    expires_at: _timestamp_pb2.Timestamp
    redirect_uri: str
    connection: Connection
    verification_uri: str
    user_code: str
    verification_uri_complete: str
    def __init__(self, auth_url: _Optional[str] = ..., state: _Optional[str] = ..., scopes: _Optional[_Iterable[str]] = ..., provider_id: _Optional[str] = ..., connection_id: _Optional[str] = ..., expires_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., redirect_uri: _Optional[str] = ..., connection: _Optional[_Union[Connection, _Mapping]] = ..., verification_uri: _Optional[str] = ..., user_code: _Optional[str] = ..., verification_uri_complete: _Optional[str] = ...) -> None: ...

class ConfirmConnectionRequest(_message.Message):
    __slots__ = ("connection_id", "completion_code")
    CONNECTION_ID_FIELD_NUMBER: _ClassVar[int]
    COMPLETION_CODE_FIELD_NUMBER: _ClassVar[int]
    connection_id: str
    completion_code: str
    def __init__(self, connection_id: _Optional[str] = ..., completion_code: _Optional[str] = ...) -> None: ...

class ConfirmConnectionResponse(_message.Message):
    __slots__ = ("connection",)
    CONNECTION_FIELD_NUMBER: _ClassVar[int]
    connection: Connection
    def __init__(self, connection: _Optional[_Union[Connection, _Mapping]] = ...) -> None: ...

class GetConnectionRequest(_message.Message):
    __slots__ = ("connection_id", "name")
    CONNECTION_ID_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    connection_id: str
    name: ConnectionName
    def __init__(self, connection_id: _Optional[str] = ..., name: _Optional[_Union[ConnectionName, _Mapping]] = ...) -> None: ...

class GetConnectionResponse(_message.Message):
    __slots__ = ("connection",)
    CONNECTION_FIELD_NUMBER: _ClassVar[int]
    connection: Connection
    def __init__(self, connection: _Optional[_Union[Connection, _Mapping]] = ...) -> None: ...

class ListConnectionsRequest(_message.Message):
    __slots__ = ("page_size", "page_token", "user_id", "provider_id", "status", "id_prefix", "search")
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    USER_ID_FIELD_NUMBER: _ClassVar[int]
    PROVIDER_ID_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    ID_PREFIX_FIELD_NUMBER: _ClassVar[int]
    SEARCH_FIELD_NUMBER: _ClassVar[int]
    page_size: int
    page_token: str
    user_id: str
    provider_id: str
    status: ConnectionStatus
    id_prefix: str
    search: str
    def __init__(self, page_size: _Optional[int] = ..., page_token: _Optional[str] = ..., user_id: _Optional[str] = ..., provider_id: _Optional[str] = ..., status: _Optional[_Union[ConnectionStatus, str]] = ..., id_prefix: _Optional[str] = ..., search: _Optional[str] = ...) -> None: ...

class ListConnectionsResponse(_message.Message):
    __slots__ = ("connections", "next_page_token")
    CONNECTIONS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    connections: _containers.RepeatedCompositeFieldContainer[Connection]
    next_page_token: str
    def __init__(self, connections: _Optional[_Iterable[_Union[Connection, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class WatchConnectionsRequest(_message.Message):
    __slots__ = ("connection_ids", "others")
    CONNECTION_IDS_FIELD_NUMBER: _ClassVar[int]
    OTHERS_FIELD_NUMBER: _ClassVar[int]
    connection_ids: _containers.RepeatedScalarFieldContainer[str]
    others: bool
    def __init__(self, connection_ids: _Optional[_Iterable[str]] = ..., others: _Optional[bool] = ...) -> None: ...

class WatchConnectionsResponse(_message.Message):
    __slots__ = ("connection", "removed_connection_id")
    CONNECTION_FIELD_NUMBER: _ClassVar[int]
    REMOVED_CONNECTION_ID_FIELD_NUMBER: _ClassVar[int]
    connection: Connection
    removed_connection_id: str
    def __init__(self, connection: _Optional[_Union[Connection, _Mapping]] = ..., removed_connection_id: _Optional[str] = ...) -> None: ...

class ConnectionServiceRefreshConnectionRequest(_message.Message):
    __slots__ = ("connection_id", "name")
    CONNECTION_ID_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    connection_id: str
    name: ConnectionName
    def __init__(self, connection_id: _Optional[str] = ..., name: _Optional[_Union[ConnectionName, _Mapping]] = ...) -> None: ...

class ConnectionServiceRefreshConnectionResponse(_message.Message):
    __slots__ = ("connection",)
    CONNECTION_FIELD_NUMBER: _ClassVar[int]
    connection: Connection
    def __init__(self, connection: _Optional[_Union[Connection, _Mapping]] = ...) -> None: ...

class ConnectionServiceCheckConnectionRequest(_message.Message):
    __slots__ = ("connection_id", "name")
    CONNECTION_ID_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    connection_id: str
    name: ConnectionName
    def __init__(self, connection_id: _Optional[str] = ..., name: _Optional[_Union[ConnectionName, _Mapping]] = ...) -> None: ...

class ConnectionServiceCheckConnectionResponse(_message.Message):
    __slots__ = ("outcome", "status", "url", "connection")
    OUTCOME_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    URL_FIELD_NUMBER: _ClassVar[int]
    CONNECTION_FIELD_NUMBER: _ClassVar[int]
    outcome: CheckOutcome
    status: int
    url: str
    connection: Connection
    def __init__(self, outcome: _Optional[_Union[CheckOutcome, str]] = ..., status: _Optional[int] = ..., url: _Optional[str] = ..., connection: _Optional[_Union[Connection, _Mapping]] = ...) -> None: ...

class RevokeConnectionRequest(_message.Message):
    __slots__ = ("connection_id", "name")
    CONNECTION_ID_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    connection_id: str
    name: ConnectionName
    def __init__(self, connection_id: _Optional[str] = ..., name: _Optional[_Union[ConnectionName, _Mapping]] = ...) -> None: ...

class RevokeConnectionResponse(_message.Message):
    __slots__ = ("connection",)
    CONNECTION_FIELD_NUMBER: _ClassVar[int]
    connection: Connection
    def __init__(self, connection: _Optional[_Union[Connection, _Mapping]] = ...) -> None: ...

class DeleteConnectionRequest(_message.Message):
    __slots__ = ("connection_id", "name")
    CONNECTION_ID_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    connection_id: str
    name: ConnectionName
    def __init__(self, connection_id: _Optional[str] = ..., name: _Optional[_Union[ConnectionName, _Mapping]] = ...) -> None: ...

class DeleteConnectionResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class GetCaptureSchemaRequest(_message.Message):
    __slots__ = ("state",)
    STATE_FIELD_NUMBER: _ClassVar[int]
    state: str
    def __init__(self, state: _Optional[str] = ...) -> None: ...

class GetCaptureSchemaResponse(_message.Message):
    __slots__ = ("provider_name", "schema")
    PROVIDER_NAME_FIELD_NUMBER: _ClassVar[int]
    SCHEMA_FIELD_NUMBER: _ClassVar[int]
    provider_name: str
    schema: _struct_pb2.Struct
    def __init__(self, provider_name: _Optional[str] = ..., schema: _Optional[_Union[_struct_pb2.Struct, _Mapping]] = ...) -> None: ...

class CaptureCredentialRequest(_message.Message):
    __slots__ = ("state", "credentials")
    STATE_FIELD_NUMBER: _ClassVar[int]
    CREDENTIALS_FIELD_NUMBER: _ClassVar[int]
    state: str
    credentials: _struct_pb2.Struct
    def __init__(self, state: _Optional[str] = ..., credentials: _Optional[_Union[_struct_pb2.Struct, _Mapping]] = ...) -> None: ...

class CaptureCredentialResponse(_message.Message):
    __slots__ = ("connection_id", "status", "redirect_url")
    CONNECTION_ID_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    REDIRECT_URL_FIELD_NUMBER: _ClassVar[int]
    connection_id: str
    status: ConnectionStatus
    redirect_url: str
    def __init__(self, connection_id: _Optional[str] = ..., status: _Optional[_Union[ConnectionStatus, str]] = ..., redirect_url: _Optional[str] = ...) -> None: ...

class ImportConnectionRequest(_message.Message):
    __slots__ = ("user_id", "provider_id", "refresh_token", "credentials", "scopes", "label", "id", "access_token", "access_token_expires_at", "id_token")
    class CredentialsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    USER_ID_FIELD_NUMBER: _ClassVar[int]
    PROVIDER_ID_FIELD_NUMBER: _ClassVar[int]
    REFRESH_TOKEN_FIELD_NUMBER: _ClassVar[int]
    CREDENTIALS_FIELD_NUMBER: _ClassVar[int]
    SCOPES_FIELD_NUMBER: _ClassVar[int]
    LABEL_FIELD_NUMBER: _ClassVar[int]
    ID_FIELD_NUMBER: _ClassVar[int]
    ACCESS_TOKEN_FIELD_NUMBER: _ClassVar[int]
    ACCESS_TOKEN_EXPIRES_AT_FIELD_NUMBER: _ClassVar[int]
    ID_TOKEN_FIELD_NUMBER: _ClassVar[int]
    user_id: str
    provider_id: str
    refresh_token: str
    credentials: _containers.ScalarMap[str, str]
    scopes: _containers.RepeatedScalarFieldContainer[str]
    label: str
    id: str
    access_token: str
    access_token_expires_at: _timestamp_pb2.Timestamp
    id_token: str
    def __init__(self, user_id: _Optional[str] = ..., provider_id: _Optional[str] = ..., refresh_token: _Optional[str] = ..., credentials: _Optional[_Mapping[str, str]] = ..., scopes: _Optional[_Iterable[str]] = ..., label: _Optional[str] = ..., id: _Optional[str] = ..., access_token: _Optional[str] = ..., access_token_expires_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., id_token: _Optional[str] = ...) -> None: ...

class ImportConnectionResponse(_message.Message):
    __slots__ = ("connection",)
    CONNECTION_FIELD_NUMBER: _ClassVar[int]
    connection: Connection
    def __init__(self, connection: _Optional[_Union[Connection, _Mapping]] = ...) -> None: ...

class ReplaceCredentialRequest(_message.Message):
    __slots__ = ("connection_id", "credentials", "name")
    class CredentialsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    CONNECTION_ID_FIELD_NUMBER: _ClassVar[int]
    CREDENTIALS_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    connection_id: str
    credentials: _containers.ScalarMap[str, str]
    name: ConnectionName
    def __init__(self, connection_id: _Optional[str] = ..., credentials: _Optional[_Mapping[str, str]] = ..., name: _Optional[_Union[ConnectionName, _Mapping]] = ...) -> None: ...

class ReplaceCredentialResponse(_message.Message):
    __slots__ = ("connection",)
    CONNECTION_FIELD_NUMBER: _ClassVar[int]
    connection: Connection
    def __init__(self, connection: _Optional[_Union[Connection, _Mapping]] = ...) -> None: ...
