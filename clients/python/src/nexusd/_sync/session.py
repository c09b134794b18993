"""An open client: its channel, its cache, the stream behind it, and the calls under way. A process that forks gets another."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from typing import Protocol

import grpc

from nexusd._core.acquire import CALL_SECONDS, Question, report_request
from nexusd._core.address import Address
from nexusd._core.cache import TokenCache
from nexusd._core.messages import consent_of, token_of
from nexusd._core.names import Name
from nexusd._core.subjects import CachedNames
from nexusd._core.watch import Watch
from nexusd._proto import token_pb2
from nexusd._rpc import Calls, error_from, open_channel
from nexusd._sync.cancellation import Cancellation
from nexusd._sync.watcher import Stream, Watcher
from nexusd.errors import Cancelled, DeadlineExceeded, NexusError
from nexusd.tokens import Consent, Token

_CLOSED = "the client is closed"


class _Call(Protocol):
    """What grpcio gives for a call under way; it can be waited for in several threads."""

    def result(self, timeout: float | None = None) -> token_pb2.AcquireTokenResponse: ...
    def done(self) -> bool: ...
    def cancel(self) -> bool: ...
    def add_done_callback(self, callback: Callable[[object], None]) -> None: ...


class _Shared:
    """A call that several threads wait for. The last that leaves cancels it."""

    def __init__(self, call: _Call, reports: int) -> None:
        self.call = call
        #: Of the cache, when it was made.
        self.reports = reports
        self.waiting = 0


class Wait:
    """How long a caller waits, and what ends it."""

    def __init__(self, timeout: float | None, cancellation: Cancellation | None) -> None:
        self.ends_s = None if timeout is None else time.monotonic() + timeout
        self.cancellation = cancellation

    def remaining(self) -> float | None:
        return None if self.ends_s is None else max(0.0, self.ends_s - time.monotonic())

    def until(self, subscribe: Callable[[Callable[[], None]], object], limit: float | None = None) -> bool:
        """Whether what is subscribed called within `limit` seconds. Raises DeadlineExceeded and Cancelled."""
        woken = threading.Event()
        leave = self.cancellation._listen(woken.set) if self.cancellation else None
        try:
            self.check()
            subscribe(woken.set)
            left = self.remaining()
            has_called = woken.wait(min((each for each in (left, limit) if each is not None), default=None))
            self.check()
            return has_called
        finally:
            if leave is not None:
                leave()

    def check(self) -> None:
        if self.cancellation is not None and self.cancellation.is_cancelled:
            raise Cancelled("the call was cancelled")
        if self.ends_s is not None and time.monotonic() >= self.ends_s:
            raise DeadlineExceeded("the timeout of the call is over")


class Session:
    """Thread-safe."""

    def __init__(self, address: Address) -> None:
        self.address = address
        self.cache = TokenCache()
        self._channel = open_channel(address)
        self.calls = Calls(self._channel)
        self._shared: dict[Question, _Shared] = {}
        self._lock = threading.Lock()
        self._closed = False
        self._close_listeners: set[Callable[[], None]] = set()
        self._watcher = Watcher(Watch(CachedNames(self.cache)), self.open_stream)

    def ask(self, question: Question, wait: Wait, *, is_anew: bool = False) -> Token | Consent:
        """Asks AcquireToken, together with those who ask the same; `is_anew` even where such a call has just brought a token.

        Raises NexusError.
        """
        shared = self._join(question, is_anew)
        if isinstance(shared, Token):
            return shared
        try:
            if not shared.call.done():
                wait.until(lambda wake: shared.call.add_done_callback(lambda _: wake()))
            try:
                response = shared.call.result()
            except grpc.FutureCancelledError:
                raise Cancelled(_CLOSED) from None
            except grpc.RpcError as error:
                raise error_from(error, self.address) from None
            return self._answered(question, response, shared.reports)
        finally:
            self._leave(question, shared)

    def report(self, name: Name, revision: int, status: int, www_authenticate: Iterable[str]) -> token_pb2.ReportRejectedTokenResponse:
        """Reports a refused token. Raises NexusError."""
        self._check_open()
        request = report_request(name, revision, status, www_authenticate)
        try:
            return self.calls.report(request, timeout=CALL_SECONDS, metadata=self.address.metadata())
        except (grpc.RpcError, ValueError) as error:
            raise self.error_from(error) from None

    def pause(self, wait: Wait, seconds: float) -> None:
        """Raises as `Wait.until`, and Cancelled when the client is closed meanwhile."""
        wakers: list[Callable[[], None]] = []

        def subscribe(wake: Callable[[], None]) -> None:
            wakers.append(wake)
            self._close_listeners.add(wake)

        try:
            wait.until(subscribe, seconds)
        finally:
            self._close_listeners.difference_update(wakers)
        if self._closed:
            raise Cancelled(_CLOSED)

    def open_stream(self, request: token_pb2.WatchTokensRequest) -> Stream:
        return self.calls.watch(request, metadata=self.address.metadata())

    def error_from(self, error: Exception) -> NexusError:
        if isinstance(error, NexusError):
            return error
        return error_from(error, self.address) if isinstance(error, grpc.RpcError) else Cancelled(_CLOSED)

    def on_close(self, listener: Callable[[], None]) -> Callable[[], None]:
        """Calls it when the client is closed, until what is returned is called."""
        self._close_listeners.add(listener)
        return lambda: self._close_listeners.discard(listener)

    def close(self) -> None:
        """Ends the stream and the calls under way, which answer Cancelled."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
            shared = list(self._shared.values())
        self._watcher.stop()
        for each in shared:
            each.call.cancel()
        for wake in list(self._close_listeners):
            wake()
        self._channel.close()

    def _join(self, question: Question, is_anew: bool) -> _Shared | Token:
        metadata = self.address.metadata()
        with self._lock:
            self._check_open()
            shared = self._shared.get(question)
            if shared is None or (is_anew and shared.call.done()):
                # A call that ended since the caller looked has put its token there before it was taken away. Who waits for a person
                # was given a link since then, so that the token that lies there is the one which is not enough.
                held = None if is_anew or question.wait else self.cache.hit(question.name, question.scopes, question.min_ttl)
                if held is not None:
                    return held
                reports = self.cache.reports(question.name)
                call = self.calls.acquire.future(
                    question.message(),
                    timeout=question.timeout,
                    metadata=metadata,
                    wait_for_ready=question.is_patient,
                )
                shared = self._shared[question] = _Shared(call, reports)
            shared.waiting += 1
            return shared

    def _leave(self, question: Question, shared: _Shared) -> None:
        with self._lock:
            shared.waiting -= 1
            is_done = shared.call.done()
            if shared.waiting > 0 and not is_done:
                return
            if self._shared.get(question) is shared:
                del self._shared[question]
        if not is_done:
            shared.call.cancel()

    def _answered(self, question: Question, response: token_pb2.AcquireTokenResponse, reports: int) -> Token | Consent:
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
        if self._closed:
            raise NexusError(_CLOSED)
