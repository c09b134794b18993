"""The calls of the daemon, over channels of grpcio."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import grpc

from nexusd._core.address import Address, TlsFiles
from nexusd._core.status import error_of
from nexusd._proto import access_pb2, token_pb2
from nexusd.errors import InvalidArgument, NexusError

_SERVICE = "/nexus.v1.TokenService/"
ACQUIRE, REPORT, WATCH = (_SERVICE + name for name in ("AcquireToken", "ReportRejectedToken", "WatchTokens"))
RENEW = "/nexus.v1.AccessService/RenewLease"

# A call that finds no connection makes one at once, since what is between the attempts is decided here (Backoff): the channel's own
# pause stays short. A connection that is not made in 4 seconds is none. No proxy is to see the key.
OPTIONS: list[tuple[str, Any]] = [
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 250),
    ("grpc.min_reconnect_backoff_ms", 4_000),
    ("grpc.enable_http_proxy", 0),
    ("grpc.keepalive_time_ms", 60_000),
    ("grpc.max_receive_message_length", 16 * 1024 * 1024),
]


def open_channel(address: Address) -> grpc.Channel:
    if address.tls is None:
        return grpc.insecure_channel(address.target, options=_options(address))
    return grpc.secure_channel(address.target, _credentials(address.tls), options=_options(address))


def error_from(error: grpc.RpcError, address: Address) -> NexusError:
    """The error of this package for one of grpcio's."""
    trailers: list[tuple[str, str | bytes]] = []
    call: Any = error
    for key, value in call.trailing_metadata() or ():
        trailers.append((key, value))
    return error_of(call.code(), call.details() or "", trailers, address.text)


class Calls:
    """What is called over a channel."""

    def __init__(self, channel: grpc.Channel) -> None:
        self.acquire = channel.unary_unary(
            ACQUIRE,
            request_serializer=token_pb2.AcquireTokenRequest.SerializeToString,
            response_deserializer=token_pb2.AcquireTokenResponse.FromString,
        )
        self.report = channel.unary_unary(
            REPORT,
            request_serializer=token_pb2.ReportRejectedTokenRequest.SerializeToString,
            response_deserializer=token_pb2.ReportRejectedTokenResponse.FromString,
        )
        self.renew = channel.unary_unary(
            RENEW,
            request_serializer=access_pb2.RenewLeaseRequest.SerializeToString,
            response_deserializer=access_pb2.RenewLeaseResponse.FromString,
        )
        self.watch = channel.unary_stream(
            WATCH,
            request_serializer=token_pb2.WatchTokensRequest.SerializeToString,
            response_deserializer=token_pb2.WatchTokensResponse.FromString,
        )


def _options(address: Address) -> list[tuple[str, Any]]:
    # A Unix socket has no host: the default authority is "localhost" in all languages.
    return [*OPTIONS, ("grpc.default_authority", "localhost")] if address.target.startswith("unix:") else OPTIONS


def _credentials(tls: TlsFiles) -> grpc.ChannelCredentials:
    return grpc.ssl_channel_credentials(_read(tls.ca), _read(tls.key), _read(tls.certificate))


def _read(file: Path | None) -> bytes | None:
    try:
        return None if file is None else file.read_bytes()
    except OSError as error:
        raise InvalidArgument(f"{file} cannot be read: {error.strerror}") from None
