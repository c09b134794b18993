from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Strategy(_message.Message):
    __slots__ = ("oauth2", "header", "query_param", "basic_auth", "aws_sigv4", "hmac_payload")
    OAUTH2_FIELD_NUMBER: _ClassVar[int]
    HEADER_FIELD_NUMBER: _ClassVar[int]
    QUERY_PARAM_FIELD_NUMBER: _ClassVar[int]
    BASIC_AUTH_FIELD_NUMBER: _ClassVar[int]
    AWS_SIGV4_FIELD_NUMBER: _ClassVar[int]
    HMAC_PAYLOAD_FIELD_NUMBER: _ClassVar[int]
    oauth2: OAuth2Strategy
    header: HeaderStrategy
    query_param: QueryParamStrategy
    basic_auth: BasicAuthStrategy
    aws_sigv4: AwsSigV4Strategy
    hmac_payload: HmacPayloadStrategy
    def __init__(self, oauth2: _Optional[_Union[OAuth2Strategy, _Mapping]] = ..., header: _Optional[_Union[HeaderStrategy, _Mapping]] = ..., query_param: _Optional[_Union[QueryParamStrategy, _Mapping]] = ..., basic_auth: _Optional[_Union[BasicAuthStrategy, _Mapping]] = ..., aws_sigv4: _Optional[_Union[AwsSigV4Strategy, _Mapping]] = ..., hmac_payload: _Optional[_Union[HmacPayloadStrategy, _Mapping]] = ...) -> None: ...

class OAuth2Strategy(_message.Message):
    __slots__ = ("header_name", "value_prefix", "credential_field")
    HEADER_NAME_FIELD_NUMBER: _ClassVar[int]
    VALUE_PREFIX_FIELD_NUMBER: _ClassVar[int]
    CREDENTIAL_FIELD_FIELD_NUMBER: _ClassVar[int]
    header_name: str
    value_prefix: str
    credential_field: str
    def __init__(self, header_name: _Optional[str] = ..., value_prefix: _Optional[str] = ..., credential_field: _Optional[str] = ...) -> None: ...

class HeaderStrategy(_message.Message):
    __slots__ = ("header_name", "value_prefix", "credential_field")
    HEADER_NAME_FIELD_NUMBER: _ClassVar[int]
    VALUE_PREFIX_FIELD_NUMBER: _ClassVar[int]
    CREDENTIAL_FIELD_FIELD_NUMBER: _ClassVar[int]
    header_name: str
    value_prefix: str
    credential_field: str
    def __init__(self, header_name: _Optional[str] = ..., value_prefix: _Optional[str] = ..., credential_field: _Optional[str] = ...) -> None: ...

class QueryParamStrategy(_message.Message):
    __slots__ = ("param_name", "credential_field")
    PARAM_NAME_FIELD_NUMBER: _ClassVar[int]
    CREDENTIAL_FIELD_FIELD_NUMBER: _ClassVar[int]
    param_name: str
    credential_field: str
    def __init__(self, param_name: _Optional[str] = ..., credential_field: _Optional[str] = ...) -> None: ...

class BasicAuthStrategy(_message.Message):
    __slots__ = ("username_field", "password_field")
    USERNAME_FIELD_FIELD_NUMBER: _ClassVar[int]
    PASSWORD_FIELD_FIELD_NUMBER: _ClassVar[int]
    username_field: str
    password_field: str
    def __init__(self, username_field: _Optional[str] = ..., password_field: _Optional[str] = ...) -> None: ...

class AwsSigV4Strategy(_message.Message):
    __slots__ = ("service", "region")
    SERVICE_FIELD_NUMBER: _ClassVar[int]
    REGION_FIELD_NUMBER: _ClassVar[int]
    service: str
    region: str
    def __init__(self, service: _Optional[str] = ..., region: _Optional[str] = ...) -> None: ...

class HmacPayloadStrategy(_message.Message):
    __slots__ = ("header_name", "secret_field", "algo", "encoding")
    HEADER_NAME_FIELD_NUMBER: _ClassVar[int]
    SECRET_FIELD_FIELD_NUMBER: _ClassVar[int]
    ALGO_FIELD_NUMBER: _ClassVar[int]
    ENCODING_FIELD_NUMBER: _ClassVar[int]
    header_name: str
    secret_field: str
    algo: str
    encoding: str
    def __init__(self, header_name: _Optional[str] = ..., secret_field: _Optional[str] = ..., algo: _Optional[str] = ..., encoding: _Optional[str] = ...) -> None: ...
