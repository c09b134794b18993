"""From the status of a call to an error."""

from __future__ import annotations

from collections.abc import Iterable

import grpc

from nexusd._core.unreachable import unreachable
from nexusd._proto import error_details_pb2, status_pb2
from nexusd.errors import (
    AttentionRequired,
    Cancelled,
    DeadlineExceeded,
    InvalidArgument,
    NexusError,
    NotFound,
    PermissionDenied,
    Unauthenticated,
    Unavailable,
)

_DETAILS = "grpc-status-details-bin"
#: Answers that stay the same until a person changes the request, the key, the policy or the daemon.
PERMANENT = frozenset(
    [
        grpc.StatusCode.INVALID_ARGUMENT,
        grpc.StatusCode.UNAUTHENTICATED,
        grpc.StatusCode.PERMISSION_DENIED,
        grpc.StatusCode.UNIMPLEMENTED,
    ]
)
_PLAIN: dict[grpc.StatusCode, type[NexusError]] = {
    grpc.StatusCode.NOT_FOUND: NotFound,
    grpc.StatusCode.UNAUTHENTICATED: Unauthenticated,
    grpc.StatusCode.PERMISSION_DENIED: PermissionDenied,
    grpc.StatusCode.INVALID_ARGUMENT: InvalidArgument,
    grpc.StatusCode.DEADLINE_EXCEEDED: DeadlineExceeded,
    grpc.StatusCode.CANCELLED: Cancelled,
}
_TRANSIENT = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.RESOURCE_EXHAUSTED, grpc.StatusCode.ABORTED)


def error_of(code: grpc.StatusCode, details: str, trailers: Iterable[tuple[str, str | bytes]], address: str) -> NexusError:
    """The error of this package for a status of gRPC."""
    answered, reason, retry_after = _details(trailers)
    if code in _TRANSIENT:
        message = details
        if code is grpc.StatusCode.UNAVAILABLE and not answered:
            message = unreachable(address, details)
        return Unavailable(message, reason=reason, retry_after=retry_after)
    if code is grpc.StatusCode.FAILED_PRECONDITION:
        return AttentionRequired(details, reason=reason or "")
    known = _PLAIN.get(code)
    if known is not None:
        return known(details or code.name, reason=reason)
    return NexusError(f"{code.name}: {details}", reason=reason)


def _details(trailers: Iterable[tuple[str, str | bytes]]) -> tuple[bool, str | None, float | None]:
    """Whether the daemon itself answered, `ErrorInfo.reason` and the seconds of `RetryInfo`."""
    reason, retry_after, answered = None, None, False
    for key, value in trailers:
        if key != _DETAILS:
            continue
        answered = True
        status = status_pb2.Status.FromString(value if isinstance(value, bytes) else value.encode("latin-1"))
        for detail in status.details:
            kind = detail.type_url.rpartition("/")[2]
            if kind == "google.rpc.ErrorInfo":
                reason = error_details_pb2.ErrorInfo.FromString(detail.value).reason
            elif kind == "google.rpc.RetryInfo":
                delay = error_details_pb2.RetryInfo.FromString(detail.value).retry_delay
                retry_after = delay.seconds + delay.nanos / 1e9
    return answered, reason, retry_after
