"""Per-call credentials for gRPC.

    channel = grpc.secure_channel(host, grpc.composite_channel_credentials(
        grpc.ssl_channel_credentials(), call_credentials(nexus, "github", user="ada")))

gRPC sends call credentials over TLS alone. `NexusInterceptor` and `aio_interceptors` are for every channel, and retry once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import grpc
import grpc.aio

from nexusd._async_nexus import AsyncNexus
from nexusd._hooks import Wanted, wanted
from nexusd._nexus import Nexus
from nexusd.tokens import Token

__all__ = ["NexusInterceptor", "aio_interceptors", "call_credentials"]


def call_credentials(
    nexus: Nexus | AsyncNexus, provider: str, *, user: str, label: str = "", scopes: Iterable[str] = ()
) -> grpc.CallCredentials:
    """The current token in the metadata of each call; for channels of `grpc`, and of `grpc.aio` in the running loop.

    A call whose token cannot be had fails with `UNAVAILABLE` and the reason.
    """
    source = wanted(provider, user, label, scopes)
    plugin = _AioPlugin(nexus, source) if isinstance(nexus, AsyncNexus) else _Plugin(nexus, source)
    return grpc.metadata_call_credentials(plugin, name="nexusd")


class _Plugin(grpc.AuthMetadataPlugin):
    """grpcio calls it in a thread of its own."""

    def __init__(self, nexus: Nexus, wanted: Wanted) -> None:
        self._nexus = nexus
        self._wanted = wanted

    def __call__(self, context: grpc.AuthMetadataContext, callback: grpc.AuthMetadataPluginCallback) -> None:
        _tell(lambda: self._nexus.token(self._wanted.provider, **self._wanted.token()), callback)


class _AioPlugin(grpc.AuthMetadataPlugin):
    """The client lives in the loop in which this is made."""

    def __init__(self, nexus: AsyncNexus, wanted: Wanted) -> None:
        self._nexus = nexus
        self._wanted = wanted
        self._loop = asyncio.get_running_loop()

    def __call__(self, context: grpc.AuthMetadataContext, callback: grpc.AuthMetadataPluginCallback) -> None:
        asking = self._nexus.token(self._wanted.provider, **self._wanted.token())
        asked = asyncio.run_coroutine_threadsafe(asking, self._loop)
        asked.add_done_callback(lambda done: _tell(done.result, callback))


def _tell(token: Callable[[], Token], callback: grpc.AuthMetadataPluginCallback) -> None:
    try:
        metadata = _metadata(token())
    except Exception as error:  # all must reach the call
        callback((), error)
    else:
        callback(metadata, None)


class NexusInterceptor(
    grpc.UnaryUnaryClientInterceptor,
    grpc.UnaryStreamClientInterceptor,
    grpc.StreamUnaryClientInterceptor,
    grpc.StreamStreamClientInterceptor,
):
    """The current token in the metadata of each call of a channel: `grpc.intercept_channel(channel, NexusInterceptor(...))`.

    A unary call that is answered with `UNAUTHENTICATED` is reported, and made once more where there is another token; never twice.
    So a unary call blocks until it is answered, one made by `future` too.
    """

    def __init__(self, nexus: Nexus, provider: str, *, user: str, label: str = "", scopes: Iterable[str] = ()) -> None:
        self._nexus = nexus
        self._wanted = wanted(provider, user, label, scopes)

    def intercept_unary_unary(self, continuation: Callable[..., Any], client_call_details: grpc.ClientCallDetails, request: object) -> Any:
        token = self._token()
        call = continuation(_with_token(client_call_details, token), request)
        if call.code() is grpc.StatusCode.UNAUTHENTICATED:
            another = self._nexus.replace_rejected(self._wanted.provider, rejected=token, status=401, **self._wanted.name())
            if another is not None:
                return continuation(_with_token(client_call_details, another), request)
        return call

    def intercept_unary_stream(self, continuation: Callable[..., Any], client_call_details: grpc.ClientCallDetails, request: object) -> Any:
        return continuation(_with_token(client_call_details, self._token()), request)

    def intercept_stream_unary(
        self, continuation: Callable[..., Any], client_call_details: grpc.ClientCallDetails, request_iterator: object
    ) -> Any:
        return continuation(_with_token(client_call_details, self._token()), request_iterator)

    def intercept_stream_stream(
        self, continuation: Callable[..., Any], client_call_details: grpc.ClientCallDetails, request_iterator: object
    ) -> Any:
        return continuation(_with_token(client_call_details, self._token()), request_iterator)

    def _token(self) -> Token:
        return self._nexus.token(self._wanted.provider, **self._wanted.token())


def aio_interceptors(
    nexus: AsyncNexus, provider: str, *, user: str, label: str = "", scopes: Iterable[str] = ()
) -> list[grpc.aio.ClientInterceptor]:
    """The same for `grpc.aio.insecure_channel(host, interceptors=aio_interceptors(...))`; one for each kind of call."""
    source = wanted(provider, user, label, scopes)
    kinds = (_AioUnaryUnary, _AioUnaryStream, _AioStreamUnary, _AioStreamStream)
    return [kind(nexus, source) for kind in kinds]


class _Aio:
    def __init__(self, nexus: AsyncNexus, wanted: Wanted) -> None:
        self._nexus = nexus
        self._wanted = wanted

    async def _token(self) -> Token:
        return await self._nexus.token(self._wanted.provider, **self._wanted.token())

    async def _call(self, continuation: Callable[..., Any], details: Any, request: object) -> Any:
        return await continuation(_with_aio_token(details, await self._token()), request)


class _AioUnaryUnary(_Aio, grpc.aio.UnaryUnaryClientInterceptor):
    async def intercept_unary_unary(self, continuation: Any, client_call_details: Any, request: Any) -> Any:
        token = await self._token()
        call = await continuation(_with_aio_token(client_call_details, token), request)
        if await call.code() is grpc.StatusCode.UNAUTHENTICATED:
            another = await self._nexus.replace_rejected(self._wanted.provider, rejected=token, status=401, **self._wanted.name())
            if another is not None:
                return await continuation(_with_aio_token(client_call_details, another), request)
        return call


class _AioUnaryStream(_Aio, grpc.aio.UnaryStreamClientInterceptor):
    async def intercept_unary_stream(self, continuation: Any, client_call_details: Any, request: Any) -> Any:
        return await self._call(continuation, client_call_details, request)


class _AioStreamUnary(_Aio, grpc.aio.StreamUnaryClientInterceptor):
    async def intercept_stream_unary(self, continuation: Any, client_call_details: Any, request_iterator: Any) -> Any:
        return await self._call(continuation, client_call_details, request_iterator)


class _AioStreamStream(_Aio, grpc.aio.StreamStreamClientInterceptor):
    async def intercept_stream_stream(self, continuation: Any, client_call_details: Any, request_iterator: Any) -> Any:
        return await self._call(continuation, client_call_details, request_iterator)


class _Details(NamedTuple):
    method: str
    timeout: float | None
    metadata: Any
    credentials: grpc.CallCredentials | None
    wait_for_ready: bool | None
    compression: Any


class _CallDetails(_Details, grpc.ClientCallDetails):
    """What a sync interceptor passes on."""


def _metadata(token: Token) -> tuple[tuple[str, str], ...]:
    """The strategy's header; names of metadata are lower-case. Raises StrategyError for a strategy that is none."""
    return tuple((name.lower(), value) for name, value in token.headers().items())


def _with_token(details: grpc.ClientCallDetails, token: Token) -> _CallDetails:
    metadata = (*(details.metadata or ()), *_metadata(token))
    compression = getattr(details, "compression", None)
    return _CallDetails(details.method, details.timeout, metadata, details.credentials, details.wait_for_ready, compression)


def _with_aio_token(details: Any, token: Token) -> grpc.aio.ClientCallDetails:
    metadata = grpc.aio.Metadata(*(details.metadata or ()), *_metadata(token))
    return grpc.aio.ClientCallDetails(details.method, details.timeout, metadata, details.credentials, details.wait_for_ready)
