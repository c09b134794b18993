"""A daemon that says what a test wants."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator
from concurrent import futures
from pathlib import Path
from typing import Any

import grpc
import pytest

from nexusd._proto import access_pb2, token_pb2
from nexusd._rpc import ACQUIRE, RENEW, REPORT, WATCH

Answer = token_pb2.AcquireTokenResponse


def token_message(revision: int = 1, value: str = "at-1", **more: Any) -> token_pb2.Token:
    message = token_pb2.Token(revision=revision, credentials={"access_token": value}, token_type="Bearer", **more)
    message.strategy.oauth2.SetInParent()
    return message


def state_message(
    revision: int = 1,
    value: str | None = "at-1",
    *,
    user: str = "ada",
    connection_id: str = "c1",
    status: int = 2,
    expires_s: int | None = None,
    created_s: int = 0,
) -> token_pb2.WatchTokensResponse:
    message = token_pb2.WatchTokensResponse()
    state = message.state
    state.connection_id, state.user_id, state.provider_name = connection_id, user, "github"
    state.created_at.seconds = created_s
    state.status, state.revision = status, revision  # type: ignore[assignment]
    if value is not None:
        state.token.CopyFrom(token_message(revision, value))
        if expires_s is not None:
            state.token.expires_at.seconds = expires_s
    return message


def bookmark_message(revision: int = 7) -> token_pb2.WatchTokensResponse:
    message = token_pb2.WatchTokensResponse()
    message.bookmark.position.epoch, message.bookmark.position.revision = "e", revision
    return message


class FakeDaemon(grpc.GenericRpcHandler):
    """Answers AcquireToken and ReportRejectedToken by functions, and WatchTokens from a queue."""

    def __init__(self, folder: Path) -> None:
        self.address = f"unix:{folder}/nexus.sock"
        self.asked: list[token_pb2.AcquireTokenRequest] = []
        self.reported: list[token_pb2.ReportRejectedTokenRequest] = []
        self.watched: queue.Queue[token_pb2.WatchTokensRequest] = queue.Queue()
        self.events: queue.Queue[token_pb2.WatchTokensResponse | None] = queue.Queue()
        self.acquire: Callable[[token_pb2.AcquireTokenRequest, grpc.ServicerContext], Answer] = self.give
        self.outcome: tuple[int, int] = (2, 2)
        self.revision = 1
        #: In seconds; None for a key without a lease.
        self.lease: int | None = 60
        self._lock = threading.Lock()
        self._server = grpc.server(futures.ThreadPoolExecutor(32))
        self._server.add_generic_rpc_handlers((self,))
        self._server.add_insecure_port(self.address)
        self._server.start()

    def give(self, request: token_pb2.AcquireTokenRequest, context: grpc.ServicerContext) -> Answer:
        return Answer(token=token_message(self.revision, f"at-{self.revision}"))

    def ask_consent(self, request: token_pb2.AcquireTokenRequest, context: grpc.ServicerContext) -> Answer:
        answer = Answer()
        answer.consent.auth_url, answer.consent.reason = "http://127.0.0.1/auth/start?state=s", "not_connected"
        if request.wait.seconds:
            threading.Event().wait(0.2)
        return answer

    def service(self, details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler[Any, Any] | None:
        if details.method == ACQUIRE:
            return grpc.unary_unary_rpc_method_handler(self._acquire, token_pb2.AcquireTokenRequest.FromString, Answer.SerializeToString)
        if details.method == REPORT:
            return grpc.unary_unary_rpc_method_handler(
                self._report,
                token_pb2.ReportRejectedTokenRequest.FromString,
                token_pb2.ReportRejectedTokenResponse.SerializeToString,
            )
        if details.method == RENEW:
            return grpc.unary_unary_rpc_method_handler(
                self._renew,
                access_pb2.RenewLeaseRequest.FromString,
                access_pb2.RenewLeaseResponse.SerializeToString,
            )
        if details.method == WATCH:
            return grpc.unary_stream_rpc_method_handler(
                self._watch,
                token_pb2.WatchTokensRequest.FromString,
                token_pb2.WatchTokensResponse.SerializeToString,
            )
        return None

    def stop(self) -> None:
        self.events.put(None)
        self._server.stop(None).wait()

    def _acquire(self, request: token_pb2.AcquireTokenRequest, context: grpc.ServicerContext) -> Answer:
        with self._lock:
            self.asked.append(request)
        return self.acquire(request, context)

    def _report(
        self, request: token_pb2.ReportRejectedTokenRequest, context: grpc.ServicerContext
    ) -> token_pb2.ReportRejectedTokenResponse:
        with self._lock:
            self.reported.append(request)
        outcome, self.revision = self.outcome
        response = token_pb2.ReportRejectedTokenResponse(outcome=outcome, revision=self.revision)  # type: ignore[arg-type]
        if outcome == 3:
            response.consent.auth_url, response.consent.reason = "http://127.0.0.1/auth/start?state=s", "scopes_missing"
            response.missing_scopes.append("write")
        return response

    def _renew(self, request: access_pb2.RenewLeaseRequest, context: grpc.ServicerContext) -> access_pb2.RenewLeaseResponse:
        response = access_pb2.RenewLeaseResponse()
        if self.lease is None:
            context.abort(grpc.StatusCode.FAILED_PRECONDITION, "no lease")
        response.lease.seconds, response.ends_at.seconds = self.lease or 0, 1_800_000_000
        return response

    def _watch(self, request: token_pb2.WatchTokensRequest, context: grpc.ServicerContext) -> Iterator[token_pb2.WatchTokensResponse]:
        self.watched.put(request)
        while context.is_active():
            try:
                event = self.events.get(timeout=0.05)
            except queue.Empty:
                continue
            if event is None:
                return
            yield event


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[FakeDaemon]:
    daemon = FakeDaemon(tmp_path)
    yield daemon
    daemon.stop()
