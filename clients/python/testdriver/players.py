"""The two clients of the package, as the driver plays them."""

import asyncio
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import grpc
import grpc.aio
import httpx
import requests

from nexusd import AsyncNexus, Cancellation, Consent, Nexus, NexusError, Token
from nexusd.grpc import call_credentials
from nexusd.httpx import NexusAuth as HttpxAuth
from nexusd.requests import NexusAuth as RequestsAuth

Fields = dict[str, Any]
Show = Callable[[Fields], None]

_HEALTH_CHECK = "/grpc.health.v1.Health/Check"


class Player(Protocol):
    @property
    def hooks(self) -> tuple[str, ...]: ...

    async def open(self, options: Fields) -> None: ...
    async def token(self, message: Fields) -> Fields: ...
    async def acquire(self, message: Fields, show: Show) -> Fields: ...
    def cancel(self, number: int, task: asyncio.Task[None]) -> None: ...
    async def hot(self, message: Fields) -> set[int]: ...
    async def request(self, message: Fields) -> Fields: ...
    async def grpc(self, message: Fields) -> Fields: ...
    async def close(self) -> None: ...
    async def unknown(self, message: Fields) -> Fields: ...


class NotImplementedByDriver(Exception):
    """Its name is what the protocol says."""


NotImplementedByDriver.__name__ = "NotImplemented"


def arguments(message: Fields) -> Fields:
    """Of `token` and `acquire`."""
    given: Fields = {"user": message["user"]}
    for name in ("label", "scopes", "only_scopes", "return_url"):
        if message.get(name) is not None:
            given[name] = message[name]
    if message.get("min_ttl_ms") is not None:
        given["min_ttl"] = message["min_ttl_ms"] / 1000
    if message.get("deadline_ms") is not None:
        given["timeout"] = message["deadline_ms"] / 1000
    return given


def token_fields(token: Token) -> Fields:
    expires_at_ms = None if token.expires_at is None else round(token.expires_at.timestamp() * 1000)
    return {
        "credentials": dict(token.credentials),
        "access_token": token.access_token,
        "revision": token.revision,
        "expires_at_ms": expires_at_ms,
    }


def consent_fields(consent: Consent) -> Fields:
    return {"auth_url": consent.auth_url, "connection_id": consent.connection_id, "reason": consent.reason}


def shifted_clock(options: Fields) -> Callable[[], float]:
    offset = options.get("clock_offset_ms", 0) / 1000
    return lambda: time.time() + offset


def tls_of(message: Fields) -> grpc.ChannelCredentials:
    return grpc.ssl_channel_credentials(Path(message["ca_file"]).read_bytes())


def name_of(message: Fields) -> Fields:
    return {"user": message["user"], "label": message.get("label") or ""}


class SyncPlayer:
    hooks = ("requests", "httpx")

    def __init__(self) -> None:
        self._nexus: Nexus | None = None
        self._cancellations: dict[int, Cancellation] = {}

    @property
    def nexus(self) -> Nexus:
        if self._nexus is None:
            raise NexusError("the client is not open")
        return self._nexus

    async def open(self, options: Fields) -> None:
        self._nexus = Nexus(options.get("address"), api_key_file=options.get("api_key_file"))
        self._nexus._clock = shifted_clock(options)

    async def token(self, message: Fields) -> Fields:
        cancellation = self._cancellations[message["id"]] = Cancellation()
        given = arguments(message)
        call = lambda: self.nexus.token(message["provider"], **given, cancellation=cancellation)  # noqa: E731
        return token_fields(await asyncio.to_thread(call))

    async def acquire(self, message: Fields, show: Show) -> Fields:
        cancellation = self._cancellations[message["id"]] = Cancellation()
        given = arguments(message)
        call = lambda: self.nexus.acquire(  # noqa: E731
            message["provider"],
            **given,
            on_consent=lambda consent: show(consent_fields(consent)),
            cancellation=cancellation,
        )
        return token_fields(await asyncio.to_thread(call))

    def cancel(self, number: int, task: asyncio.Task[None]) -> None:
        self._cancellations[number].cancel()

    async def hot(self, message: Fields) -> set[int]:
        provider, user = message["provider"], message["user"]

        def run() -> set[int]:
            return {self.nexus.token(provider, user=user).revision for _ in range(message["count"])}

        return await asyncio.to_thread(run)

    async def request(self, message: Fields) -> Fields:
        return await asyncio.to_thread(self._request, message)

    def _request(self, message: Fields) -> Fields:
        provider, name = message["provider"], name_of(message)
        headers, body = message.get("headers") or {}, message.get("body")
        content = None if body is None else body.encode()
        if message["via"] == "requests":
            auth = RequestsAuth(self.nexus, provider, **name)
            answer = requests.request(message["method"], message["url"], headers=headers, data=content, auth=auth, timeout=30)
            return {"status": answer.status_code, "body": answer.text}
        with httpx.Client(auth=HttpxAuth(self.nexus, provider, **name), follow_redirects=True) as client:
            response = client.request(message["method"], message["url"], headers=headers, content=content)
            return {"status": response.status_code, "body": response.text}

    async def grpc(self, message: Fields) -> Fields:
        credentials = grpc.composite_channel_credentials(
            tls_of(message),
            call_credentials(self.nexus, message["provider"], user=message["user"]),
        )

        def run() -> Fields:
            with grpc.secure_channel(message["address"], credentials) as channel:
                check: Any = channel.unary_unary(_HEALTH_CHECK)
                call = check.future(b"", timeout=20)
                return {"code": call.code().value[0]}

        return await asyncio.to_thread(run)

    async def close(self) -> None:
        if self._nexus is not None:
            await asyncio.to_thread(self._nexus.close)

    async def unknown(self, message: Fields) -> Fields:
        raise NotImplementedByDriver(message["op"])


class AsyncPlayer:
    hooks = ("httpx",)

    def __init__(self) -> None:
        self._nexus: AsyncNexus | None = None
        self._options: Fields = {}

    @property
    def nexus(self) -> AsyncNexus:
        if self._nexus is None:
            raise NexusError("the client is not open")
        return self._nexus

    async def open(self, options: Fields) -> None:
        self._nexus = AsyncNexus(options.get("address"), api_key_file=options.get("api_key_file"))
        self._nexus._clock = shifted_clock(options)

    async def token(self, message: Fields) -> Fields:
        return token_fields(await self.nexus.token(message["provider"], **arguments(message)))

    async def acquire(self, message: Fields, show: Show) -> Fields:
        async def on_consent(consent: Consent) -> None:
            show(consent_fields(consent))

        return token_fields(await self.nexus.acquire(message["provider"], **arguments(message), on_consent=on_consent))

    def cancel(self, number: int, task: asyncio.Task[None]) -> None:
        task.cancel()

    async def hot(self, message: Fields) -> set[int]:
        provider, user = message["provider"], message["user"]
        return {(await self.nexus.token(provider, user=user)).revision for _ in range(message["count"])}

    async def request(self, message: Fields) -> Fields:
        auth = HttpxAuth(self.nexus, message["provider"], **name_of(message))
        headers, body = message.get("headers") or {}, message.get("body")
        content = None if body is None else body.encode()
        async with httpx.AsyncClient(auth=auth, follow_redirects=True) as client:
            response = await client.request(message["method"], message["url"], headers=headers, content=content)
            return {"status": response.status_code, "body": response.text}

    async def grpc(self, message: Fields) -> Fields:
        credentials = grpc.composite_channel_credentials(
            tls_of(message),
            call_credentials(self.nexus, message["provider"], user=message["user"]),
        )
        async with grpc.aio.secure_channel(message["address"], credentials) as channel:
            check: Any = channel.unary_unary(_HEALTH_CHECK)
            call = check(b"", timeout=20)
            return {"code": (await call.code()).value[0]}

    async def close(self) -> None:
        if self._nexus is not None:
            await self._nexus.close()

    async def unknown(self, message: Fields) -> Fields:
        raise NotImplementedByDriver(message["op"])
