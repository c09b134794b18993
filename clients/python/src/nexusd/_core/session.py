"""An open client: its channel, its cache, the stream behind it, and the calls under way. A process that forks gets another.

What it does is written as steps, which `Nexus` performs in the thread of its caller, and `AsyncNexus` in the loop of its caller.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Generator, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol, TypeAlias, TypeVar

import grpc

from nexusd._core.acquire import (
    AUTHENTICATION_INSUFFICIENT,
    CALL_SECONDS,
    REFRESHED,
    SCOPES_MISSING,
    STREAM_SECONDS,
    SUPERSEDED,
    WAIT_SECONDS,
    Question,
    report_request,
)
from nexusd._core.address import Address
from nexusd._core.cache import TokenCache
from nexusd._core.messages import consent_error, consent_of, lease_of, token_of
from nexusd._core.names import Name
from nexusd._core.subjects import CachedNames, WatchedIds
from nexusd._core.watch import Backoff, Watch
from nexusd._core.watcher import Stream, Watcher
from nexusd._proto import access_pb2, token_pb2
from nexusd._rpc import Calls, error_from, open_channel
from nexusd.errors import Cancelled, NexusError, Unavailable
from nexusd.tokens import Consent, Lease, Token, WatchEvent

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)

_CLOSED = "the client is closed"


@dataclass(frozen=True)
class Waiting:
    """Wait until what is given to `subscribe` is called, from any thread, or `limit` seconds. `subscribe` returns what ends it."""

    subscribe: Callable[[Callable[[], None]], Callable[[], None]]
    limit: float | None = None


#: A consent is to be shown.
Steps: TypeAlias = Generator[Waiting | Consent, None, T]


class _Call(Protocol[T_co]):
    """What grpcio gives for a call under way; it can be waited for in several threads."""

    def result(self, timeout: float | None = None) -> T_co: ...
    def done(self) -> bool: ...
    def cancel(self) -> bool: ...
    def add_done_callback(self, callback: Callable[[object], None]) -> None: ...


class _Shared:
    """A call that several wait for. The last that leaves cancels it."""

    def __init__(self, call: _Call[token_pb2.AcquireTokenResponse], reports: int) -> None:
        self.call = call
        #: Of the cache, when it was made.
        self.reports = reports
        self.waiting = 0


class Session:
    """Thread-safe. The steps raise NexusError."""

    def __init__(self, address: Address) -> None:
        self.address = address
        self.cache = TokenCache()
        self._channel = open_channel(address)
        self._calls = Calls(self._channel)
        self._shared: dict[Question, _Shared] = {}
        self._lock = threading.Lock()
        self._closed = False
        self._close_listeners: set[Callable[[], None]] = set()
        self._watcher = Watcher(Watch(CachedNames(self.cache)), self._open_stream)

    def token(self, question: Question) -> Steps[Token]:
        """Raises ConsentRequired where a person must act first."""
        answer = yield from self._ask(question)
        if isinstance(answer, Consent):
            raise consent_error(answer)
        return answer

    def acquire(self, question: Question) -> Steps[Token]:
        """Asks, shows each new link once, and asks again with `wait`. `Unavailable` counts only once a link is shown.

        Raises ConsentDenied when what was shown is answered with no: who shows the next link by itself would do so without end.
        """
        shown: tuple[str, str] | None = None
        backoff = Backoff()
        asked = question
        while True:
            try:
                answer = yield from self._ask(asked)
            except Unavailable as error:
                if shown is None:
                    raise
                yield from self._pause(max(backoff.delay(), error.retry_after or 0.0))
                continue
            if isinstance(answer, Token):
                return answer
            backoff.reset()
            if (answer.auth_url, answer.user_code) != shown:
                if shown is not None and answer.reason == "access_denied":
                    raise consent_error(answer, is_denied=True)
                shown = (answer.auth_url, answer.user_code)
                yield answer
            asked = replace(question, wait=WAIT_SECONDS)

    def replace_rejected(self, name: Name, rejected: Token, status: int, www_authenticate: str | Iterable[str]) -> Steps[Token | None]:
        """Reports a refused token, and answers another; None when there is none."""
        headers = [www_authenticate] if isinstance(www_authenticate, str) else www_authenticate
        try:
            report = yield from self._send(self._calls.report, report_request(name, rejected.revision, status, headers))
            if report.outcome in (SUPERSEDED, REFRESHED):
                token = yield from self._newer(name, report.revision)
                return token if token.revision != rejected.revision else None
        except NexusError:
            return None
        if report.outcome == SCOPES_MISSING:
            self.cache.lacks(name, report.missing_scopes)
        if report.outcome in (SCOPES_MISSING, AUTHENTICATION_INSUFFICIENT) and report.HasField("consent"):
            raise consent_error(consent_of(report.consent, name), scopes=report.missing_scopes)
        return None

    def renew_lease(self) -> Steps[Lease]:
        return lease_of((yield from self._send(self._calls.renew, access_pb2.RenewLeaseRequest())))

    def watch(self, connection_ids: Sequence[str], take: Callable[[WatchEvent | NexusError], None]) -> Callable[[], None]:
        """Gives the changes to `take`, from another thread, and at last an error. Returns what ends it."""
        watch = Watch(WatchedIds(connection_ids, take))
        watcher = Watcher(watch, self._open_stream, on_stopped=lambda error: take(self._error_from(error)))
        leave = self._on_close(lambda: take(Cancelled(_CLOSED)))

        def stop() -> None:
            leave()
            watcher.stop()

        watcher.changed()

        return stop

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

    def _ask(self, question: Question, *, is_anew: bool = False) -> Steps[Token | Consent]:
        """Asks AcquireToken, together with those who ask the same; `is_anew` even where such a call has just brought a token."""
        shared = self._join(question, is_anew)
        if isinstance(shared, Token):
            return shared
        try:
            response = yield from self._result(shared.call)
            return self._answered(question, response, shared.reports)
        finally:
            self._leave(question, shared)

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
                call = self._calls.acquire.future(
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

    def _send(self, method: grpc.UnaryUnaryMultiCallable[Any, T], request: object) -> Steps[T]:
        self._check_open()
        try:
            call = method.future(request, timeout=CALL_SECONDS, metadata=self.address.metadata())
        except ValueError as error:
            raise self._error_from(error) from None
        try:
            return (yield from self._result(call))
        finally:
            call.cancel()

    def _newer(self, name: Name, revision: int) -> Steps[Token]:
        """The token of this revision or a later one: the stream brings it, or it is asked for."""

        def held() -> Token | None:
            token = self.cache.hit(name)
            return token if token is not None and token.revision >= revision else None

        def subscribe(wake: Callable[[], None]) -> Callable[[], None]:
            leave = self.cache.listen(wake)
            if held() is not None:
                wake()
            return leave

        ends_s = time.monotonic() + STREAM_SECONDS
        while (token := held()) is None and self.cache.live and (left := ends_s - time.monotonic()) > 0:
            yield Waiting(subscribe, left)
        answer = token or (yield from self._ask(Question(name), is_anew=True))
        if isinstance(answer, Consent):
            raise consent_error(answer)
        return answer

    def _result(self, call: _Call[T]) -> Steps[T]:
        if not call.done():
            yield Waiting(lambda wake: _when_done(call, wake))
        try:
            return call.result()
        except grpc.FutureCancelledError:
            raise Cancelled(_CLOSED) from None
        except grpc.RpcError as error:
            raise error_from(error, self.address) from None

    def _pause(self, seconds: float) -> Steps[None]:
        yield Waiting(self._on_close, seconds)
        if self._closed:
            raise Cancelled(_CLOSED)

    def _on_close(self, listener: Callable[[], None]) -> Callable[[], None]:
        """Calls it when the client is closed, until what is returned is called."""
        self._close_listeners.add(listener)
        return lambda: self._close_listeners.discard(listener)

    def _open_stream(self, request: token_pb2.WatchTokensRequest) -> Stream:
        return self._calls.watch(request, metadata=self.address.metadata())

    def _error_from(self, error: Exception) -> NexusError:
        if isinstance(error, NexusError):
            return error
        return error_from(error, self.address) if isinstance(error, grpc.RpcError) else Cancelled(_CLOSED)

    def _check_open(self) -> None:
        if self._closed:
            raise NexusError(_CLOSED)


def _when_done(call: _Call[T], wake: Callable[[], None]) -> Callable[[], None]:
    call.add_done_callback(lambda _: wake())
    return lambda: None
