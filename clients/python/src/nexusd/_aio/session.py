"""An open client of one event loop: its channel, its cache, the stream behind it, and the calls under way."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

import grpc
import grpc.aio

from nexusd._aio.watcher import AioStream, AioWatcher
from nexusd._core.acquire import CALL_SECONDS, Question, report_request
from nexusd._core.address import Address
from nexusd._core.cache import TokenCache
from nexusd._core.messages import consent_of, token_of
from nexusd._core.names import Name
from nexusd._core.subjects import CachedNames
from nexusd._core.watch import Watch
from nexusd._proto import token_pb2
from nexusd._rpc import AioCalls, error_from, open_aio_channel
from nexusd.errors import Cancelled, NexusError
from nexusd.tokens import Consent, Token

_CLOSED = "the client is closed"


class _Shared:
    """A call that several tasks wait for. The last that leaves cancels it."""

    def __init__(self, task: asyncio.Task[Token | Consent]) -> None:
        self.task = task
        self.waiting = 0


class AioSession:
    """For the tasks of the loop in which it was made."""

    def __init__(self, address: Address) -> None:
        self.address = address
        self.loop = asyncio.get_running_loop()
        self.cache = TokenCache()
        self._channel = open_aio_channel(address)
        self.calls = AioCalls(self._channel)
        self._shared: dict[Question, _Shared] = {}
        self.closed = asyncio.Event()
        self._watcher = AioWatcher(Watch(CachedNames(self.cache)), self.open_stream)

    async def ask(self, question: Question, *, is_anew: bool = False) -> Token | Consent:
        """Asks AcquireToken, together with those who ask the same; `is_anew` even where such a call has just brought a token.

        Raises NexusError.
        """
        self._check_open()
        shared = self._shared.get(question)
        if shared is None or shared.task.done():
            # A call that ended since the caller looked has put its token there. Who waits for a person was given a link since then, so
            # that the token that lies there is the one which is not enough.
            held = None if is_anew or question.wait else self.cache.hit(question.name, question.scopes, question.min_ttl)
            if held is not None:
                return held
            shared = self._shared[question] = _Shared(asyncio.create_task(self._call(question)))
        shared.waiting += 1
        try:
            await asyncio.wait([shared.task])
        finally:
            shared.waiting -= 1
            if shared.waiting == 0:
                if self._shared.get(question) is shared:
                    del self._shared[question]
                if not shared.task.done():
                    shared.task.cancel()
        if shared.task.cancelled():
            raise Cancelled(_CLOSED)
        return shared.task.result()

    async def report(
        self, name: Name, revision: int, status: int, www_authenticate: Iterable[str]
    ) -> token_pb2.ReportRejectedTokenResponse:
        """Reports a refused token. Raises NexusError."""
        self._check_open()
        request = report_request(name, revision, status, www_authenticate)
        try:
            return await self.calls.report(request, timeout=CALL_SECONDS, metadata=self.address.metadata())
        except grpc.RpcError as error:
            raise error_from(error, self.address) from None

    async def pause(self, seconds: float) -> None:
        """Raises Cancelled when the client is closed meanwhile."""
        try:
            await asyncio.wait_for(self.closed.wait(), seconds)
        except asyncio.TimeoutError:
            return
        raise Cancelled(_CLOSED)

    def open_stream(self, request: token_pb2.WatchTokensRequest) -> AioStream:
        return self.calls.watch(request, metadata=self.address.metadata())

    def error_from(self, error: Exception) -> NexusError:
        if isinstance(error, NexusError):
            return error
        return error_from(error, self.address) if isinstance(error, grpc.RpcError) else Cancelled(_CLOSED)

    async def close(self) -> None:
        """Ends the stream and the calls under way, which answer Cancelled."""
        if self.closed.is_set():
            return
        self.closed.set()
        for shared in list(self._shared.values()):
            shared.task.cancel()
        await self._watcher.stop()
        await self._channel.close()

    async def _call(self, question: Question) -> Token | Consent:
        reports = self.cache.reports(question.name)
        try:
            response = await self.calls.acquire(
                question.message(),
                timeout=question.timeout,
                metadata=self.address.metadata(),
                wait_for_ready=question.is_patient,
            )
        except grpc.RpcError as error:
            raise error_from(error, self.address) from None
        return self._answered(question, response, reports)

    def _answered(self, question: Question, response: token_pb2.AcquireTokenResponse, reports: int) -> Token | Consent:
        if self.closed.is_set():
            raise Cancelled(_CLOSED)
        name = question.name
        if self.cache.want(name):
            self._watcher.changed()
        else:
            self._watcher.call_worked()
        if response.HasField("consent"):
            return consent_of(response.consent, name)
        token = token_of(response.token)
        self.cache.answered(name, token, question.scopes, reports)
        return token

    def _check_open(self) -> None:
        if self.closed.is_set():
            raise NexusError(_CLOSED)
