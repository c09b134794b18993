"""The hooks with real HTTP and gRPC servers, beyond what the table of cases of all languages plays."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent import futures
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from typing import Any

import google.auth.transport.requests
import grpc
import grpc.aio
import httpx
import pytest
import requests
from conftest import Answer, FakeDaemon
from google.auth.exceptions import RefreshError

from nexusd import AsyncNexus, ConsentRequired, Nexus
from nexusd._core.acquire import is_rejection
from nexusd._proto import token_pb2
from nexusd.google_auth import Credentials
from nexusd.grpc import NexusInterceptor, aio_interceptors, call_credentials
from nexusd.httpx import NexusAuth as HttpxAuth
from nexusd.requests import NexusAuth as RequestsAuth

Seen = tuple[str, str, dict[str, str], bytes]


class Api:
    """A server that keeps what it was sent, and answers as `answer` says: status and headers."""

    def __init__(self) -> None:
        self.seen: list[Seen] = []
        self.answer: Callable[[Seen], tuple[int, dict[str, str]]] = lambda _seen: (200, {})
        api = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def serve(self) -> None:
                body = self.rfile.read(int(self.headers.get("content-length") or 0))
                if self.headers.get("transfer-encoding") == "chunked":
                    while size := int(self.rfile.readline(), 16):
                        body += self.rfile.read(size)
                        self.rfile.readline()
                    self.rfile.readline()
                headers = {name.lower(): value for name, value in self.headers.items()}
                seen = (self.command, self.path, headers, body)
                api.seen.append(seen)
                status, more = api.answer(seen)
                self.send_response(status)
                for name, value in {"content-length": "0", **more}.items():
                    self.send_header(name, value)
                self.end_headers()

            do_GET = do_POST = do_PUT = serve  # noqa: N815

            def log_message(self, *_arguments: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    @property
    def origin(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    def refuse(self, *tokens: str) -> None:
        def answer(seen: Seen) -> tuple[int, dict[str, str]]:
            is_refused = seen[2].get("authorization", "").removeprefix("Bearer ") in tokens
            return (401, {"www-authenticate": 'Bearer error="invalid_token"'}) if is_refused else (200, {})

        self.answer = answer

    def lacks_scope(self) -> None:
        self.answer = lambda _seen: (403, {"www-authenticate": 'Bearer error="insufficient_scope", scope="write"'})

    def tokens(self) -> list[str]:
        return [seen[2].get("authorization", "") for seen in self.seen]

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def api() -> Iterator[Api]:
    api = Api()
    yield api
    api.stop()


@pytest.fixture
def nexus(daemon: FakeDaemon) -> Iterator[Nexus]:
    with Nexus(daemon.address) as nexus:
        yield nexus


def give_strategy(daemon: FakeDaemon, kind: str, **config: str) -> None:
    def give(request: token_pb2.AcquireTokenRequest, context: grpc.ServicerContext) -> Answer:
        answer = daemon.give(request, context)
        chosen: Any = getattr(answer.token.strategy, kind)
        chosen.SetInParent()
        for name, value in config.items():
            setattr(chosen, name, value)
        answer.token.credentials["api_secret"] = f"secret-{daemon.revision}"
        return answer

    daemon.acquire = give


@pytest.mark.parametrize(
    ("status", "header", "expected"),
    [
        (401, "", True),
        (403, 'Bearer error="insufficient_scope"', True),
        (403, "Bearer realm=x, error=insufficient_scope, scope=a", True),
        (403, "", False),
        (403, 'Bearer error="invalid_token"', False),
        (403, 'Bearer error="insufficient_scope_x"', False),
        (200, 'Bearer error="insufficient_scope"', False),
    ],
)
def test_what_is_a_refusal(status: int, header: str, expected: bool) -> None:
    assert is_rejection(status, [header]) is expected


class TestHttpx:
    def test_a_client_of_asyncio_takes_either_nexus(self, daemon: FakeDaemon, nexus: Nexus, api: Api) -> None:
        async def run() -> None:
            async with AsyncNexus(daemon.address) as other:
                for each in (nexus, other):
                    async with httpx.AsyncClient(auth=HttpxAuth(each, "github", user="ada")) as client:
                        assert (await client.get(api.origin)).status_code == 200

        asyncio.run(run())
        assert api.tokens() == ["Bearer at-1"] * 2
        with pytest.raises(TypeError), httpx.Client(auth=HttpxAuth(AsyncNexus(daemon.address), "github", user="ada")) as client:
            client.get(api.origin)

    def test_a_stream_is_reported_and_not_sent_again(self, daemon: FakeDaemon, nexus: Nexus, api: Api) -> None:
        api.refuse("at-1")
        with httpx.Client(auth=HttpxAuth(nexus, "github", user="ada")) as client:
            assert client.post(api.origin, content=iter([b"a", b"b"])).status_code == 401
            assert [seen[3] for seen in api.seen] == [b"ab"]
            assert [each.revision for each in daemon.reported] == [1]
            assert daemon.reported[0].www_authenticate == 'Bearer error="invalid_token"'

    def test_a_signature_covers_a_stream_and_is_made_anew_for_the_retry(self, daemon: FakeDaemon, nexus: Nexus, api: Api) -> None:
        give_strategy(daemon, "hmac_payload", header_name="X-Signature")
        api.answer = lambda _seen: (401, {}) if len(api.seen) == 1 else (200, {})

        async def run() -> None:
            async def body() -> AsyncIterator[bytes]:
                yield b"a"
                yield b"b"

            async with httpx.AsyncClient(auth=HttpxAuth(nexus, "github", user="ada")) as client:
                assert (await client.post(api.origin, content=body())).status_code == 200

        asyncio.run(run())
        assert [seen[3] for seen in api.seen] == [b"ab"] * 2
        assert len({seen[2]["x-signature"] for seen in api.seen}) == 2

    def test_a_link_comes_out_of_the_request(self, daemon: FakeDaemon, nexus: Nexus, api: Api) -> None:
        daemon.acquire = daemon.ask_consent
        with httpx.Client(auth=HttpxAuth(nexus, "github", user="ada")) as client, pytest.raises(ConsentRequired):
            client.get(api.origin)
        assert api.seen == []

    def test_missing_scopes_come_out_of_the_request(self, daemon: FakeDaemon, nexus: Nexus, api: Api) -> None:
        api.lacks_scope()
        daemon.outcome = (3, 1)
        with httpx.Client(auth=HttpxAuth(nexus, "github", user="ada")) as client, pytest.raises(ConsentRequired) as caught:
            client.get(api.origin)
        assert caught.value.scopes == ("write",)


class TestRequests:
    def test_missing_scopes_come_out_of_the_request(self, daemon: FakeDaemon, nexus: Nexus, api: Api) -> None:
        api.lacks_scope()
        daemon.outcome = (3, 1)
        with pytest.raises(ConsentRequired) as caught:
            requests.get(api.origin, auth=RequestsAuth(nexus, "github", user="ada"), timeout=20)
        assert caught.value.scopes == ("write",)

    def test_a_file_is_rewound_for_the_retry(self, daemon: FakeDaemon, nexus: Nexus, api: Api) -> None:
        api.refuse("at-1")
        file = BytesIO(b"skipped|the rest")
        file.seek(8)
        auth = RequestsAuth(nexus, "github", user="ada")
        assert requests.post(api.origin, data=file, auth=auth, timeout=20).status_code == 200
        assert [seen[3] for seen in api.seen] == [b"the rest"] * 2
        assert api.tokens() == ["Bearer at-1", "Bearer at-2"]

    def test_a_generator_is_reported_and_not_sent_again(self, daemon: FakeDaemon, nexus: Nexus, api: Api) -> None:
        api.refuse("at-1")
        auth = RequestsAuth(nexus, "github", user="ada")
        answer = requests.post(api.origin, data=iter([b"a", b"b"]), auth=auth, timeout=20)
        assert (answer.status_code, len(api.seen), len(daemon.reported)) == (401, 1, 1)

    def test_a_session_retries_each_request_once(self, daemon: FakeDaemon, nexus: Nexus, api: Api) -> None:
        api.refuse("at-1", "at-2")
        with requests.Session() as session:
            session.auth = RequestsAuth(nexus, "github", user="ada")
            assert session.get(api.origin).status_code == 401
            assert api.tokens() == ["Bearer at-1", "Bearer at-2"]
            daemon.outcome = (2, 3)
            answer = session.get(api.origin)
            assert (answer.status_code, [each.status_code for each in answer.history]) == (200, [401])

    def test_a_retry_that_is_redirected_away_loses_the_credential(self, daemon: FakeDaemon, nexus: Nexus, api: Api) -> None:
        give_strategy(daemon, "header", header_name="X-Api-Key", credential_field="access_token")
        elsewhere = Api()
        try:
            api.answer = lambda seen: (401, {}) if seen[2]["x-api-key"] == "at-1" else (307, {"location": f"{elsewhere.origin}/x"})
            auth = RequestsAuth(nexus, "github", user="ada")
            assert requests.get(api.origin, auth=auth, timeout=20).status_code == 200
            assert [seen[2]["x-api-key"] for seen in api.seen] == ["at-1", "at-2"]
            assert "x-api-key" not in elsewhere.seen[0][2]
        finally:
            elsewhere.stop()


class TestGoogleAuth:
    def test_a_session_of_google_retries_once(self, daemon: FakeDaemon, nexus: Nexus, api: Api) -> None:
        credentials = Credentials(nexus, "github", user="ada")
        session = google.auth.transport.requests.AuthorizedSession(credentials)
        api.refuse("at-1")
        assert session.get(api.origin).status_code == 200
        assert api.tokens() == ["Bearer at-1", "Bearer at-2"]
        assert (credentials.token, credentials.valid) == ("at-2", True)
        api.refuse("at-2", "at-3")
        daemon.outcome = (2, 3)
        with pytest.raises(RefreshError, match="took its place"):
            session.get(api.origin)
        assert api.tokens()[2:] == ["Bearer at-2", "Bearer at-3"]
        assert [each.revision for each in daemon.reported] == [1, 2]

    def test_refresh_before_a_request_reports_nothing(self, daemon: FakeDaemon, nexus: Nexus) -> None:
        credentials = Credentials(nexus, "github", user="ada")
        credentials.refresh(google.auth.transport.requests.Request())
        assert (credentials.token, daemon.reported) == ("at-1", [])

    def test_a_link_is_the_cause(self, daemon: FakeDaemon, nexus: Nexus) -> None:
        daemon.acquire = daemon.ask_consent
        with pytest.raises(RefreshError) as caught:
            Credentials(nexus, "github", user="ada").before_request(None, "GET", "https://api.example", {})
        assert isinstance(caught.value.__cause__, ConsentRequired)

    def test_the_package_of_oauthlib_is_not_needed(self) -> None:
        import subprocess
        import sys

        program = "import sys, nexusd.google_auth; assert not [m for m in sys.modules if 'oauthlib' in m]"
        subprocess.run([sys.executable, "-c", program], check=True)


class GrpcApi(grpc.GenericRpcHandler):
    """Echoes the metadata of calls of `/test/...`, and refuses tokens."""

    def __init__(self) -> None:
        self.seen: list[str] = []
        self.refused: set[str] = set()
        self._server = grpc.server(futures.ThreadPoolExecutor(4))
        self._server.add_generic_rpc_handlers((self,))
        self.address = f"127.0.0.1:{self._server.add_insecure_port('127.0.0.1:0')}"
        self._server.start()

    def service(self, details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler[Any, Any] | None:
        def check(context: grpc.ServicerContext) -> bytes:
            token = str(dict(context.invocation_metadata()).get("authorization", ""))
            self.seen.append(token)
            if token in self.refused:
                context.abort(grpc.StatusCode.UNAUTHENTICATED, "refused")
            return token.encode()

        def many(context: grpc.ServicerContext) -> Iterator[bytes]:
            yield check(context)

        return {
            "/test/UnaryUnary": grpc.unary_unary_rpc_method_handler(lambda _request, context: check(context)),
            "/test/UnaryStream": grpc.unary_stream_rpc_method_handler(lambda _request, context: many(context)),
            "/test/StreamUnary": grpc.stream_unary_rpc_method_handler(lambda _requests, context: check(context)),
            "/test/StreamStream": grpc.stream_stream_rpc_method_handler(lambda _requests, context: many(context)),
        }.get(details.method)

    def stop(self) -> None:
        self._server.stop(None).wait()


@pytest.fixture
def grpc_api() -> Iterator[GrpcApi]:
    api = GrpcApi()
    yield api
    api.stop()


class TestGrpc:
    def test_an_interceptor_for_every_kind_of_call_retries_once(self, daemon: FakeDaemon, nexus: Nexus, grpc_api: GrpcApi) -> None:
        interceptor = NexusInterceptor(nexus, "github", user="ada")
        with grpc.insecure_channel(grpc_api.address) as plain:
            channel: Any = grpc.intercept_channel(plain, interceptor)
            assert channel.unary_unary("/test/UnaryUnary")(b"", timeout=20) == b"Bearer at-1"
            assert list(channel.unary_stream("/test/UnaryStream")(b"", timeout=20)) == [b"Bearer at-1"]
            assert channel.stream_unary("/test/StreamUnary")(iter([b""]), timeout=20) == b"Bearer at-1"
            assert list(channel.stream_stream("/test/StreamStream")(iter([b""]), timeout=20)) == [b"Bearer at-1"]
            grpc_api.refused = {"Bearer at-1"}
            assert channel.unary_unary("/test/UnaryUnary")(b"", timeout=20) == b"Bearer at-2"
            grpc_api.refused = {"Bearer at-2", "Bearer at-3"}
            daemon.outcome = (2, 3)
            grpc_api.seen.clear()
            with pytest.raises(grpc.RpcError):
                channel.unary_unary("/test/UnaryUnary")(b"", timeout=20)
            assert grpc_api.seen == ["Bearer at-2", "Bearer at-3"]

    def test_interceptors_of_asyncio(self, daemon: FakeDaemon, grpc_api: GrpcApi) -> None:
        async def run() -> None:
            async with AsyncNexus(daemon.address) as nexus:
                interceptors = aio_interceptors(nexus, "github", user="ada")
                async with grpc.aio.insecure_channel(grpc_api.address, interceptors=interceptors) as typed:
                    channel: Any = typed
                    assert await channel.unary_unary("/test/UnaryUnary")(b"", timeout=20) == b"Bearer at-1"
                    grpc_api.refused = {"Bearer at-1"}
                    assert await channel.unary_unary("/test/UnaryUnary")(b"", timeout=20) == b"Bearer at-2"
                    for kind in ("UnaryStream", "StreamStream"):
                        call = channel.unary_stream if kind == "UnaryStream" else channel.stream_stream
                        request = b"" if kind == "UnaryStream" else iter([b""])
                        assert [each async for each in call(f"/test/{kind}")(request, timeout=20)] == [b"Bearer at-2"]
                    answer = await channel.stream_unary("/test/StreamUnary")(iter([b""]), timeout=20)
                    assert answer == b"Bearer at-2"

        asyncio.run(run())

    def test_a_token_that_cannot_be_had_fails_the_call(self, daemon: FakeDaemon, nexus: Nexus, grpc_api: GrpcApi) -> None:
        daemon.acquire = daemon.ask_consent
        credentials = grpc.composite_channel_credentials(
            grpc.local_channel_credentials(grpc.LocalConnectionType.LOCAL_TCP),
            call_credentials(nexus, "github", user="ada"),
        )
        with grpc.secure_channel(grpc_api.address, credentials) as typed:
            channel: Any = typed
            with pytest.raises(grpc.RpcError) as caught:
                channel.unary_unary("/test/UnaryUnary")(b"", timeout=20)
        error: Any = caught.value
        assert error.code() is grpc.StatusCode.UNAVAILABLE
        assert "auth_url" in error.details()
        assert "state=" not in error.details()
