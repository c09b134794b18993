"""`auth=` for httpx, sync and async.

client = httpx.Client(auth=NexusAuth(nexus, "github", user="ada"))
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncGenerator, Callable, Generator, Iterable, Mapping
from typing import Any

import httpx

from nexusd._async_nexus import AsyncNexus
from nexusd._core.acquire import is_rejection
from nexusd._hooks import changed_headers, needs_body, origin, wanted
from nexusd._nexus import Nexus
from nexusd.strategies import Request, apply
from nexusd.tokens import Token

__all__ = ["NexusAuth"]


class NexusAuth(httpx.Auth):
    """Puts the current credential into each request, by any strategy.

    When the API refuses it (401, or 403 with `insufficient_scope`) it is reported, and the request is sent once more where there is
    another; never twice. A body that is a stream is not sent again. A redirect to another origin carries no credential. Errors of
    `token` come out of the request, `ConsentRequired` among them.
    """

    def __init__(
        self,
        nexus: Nexus | AsyncNexus,
        provider: str,
        *,
        user: str,
        label: str = "",
        scopes: Iterable[str] = (),
        min_ttl: float = 0.0,
    ) -> None:
        """`httpx.Client` needs a `Nexus`; `httpx.AsyncClient` takes either, and calls a `Nexus` in a thread."""
        self._nexus = nexus
        self._wanted = wanted(provider, user, label, scopes, min_ttl)

    def sync_auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        nexus = self._nexus
        if isinstance(nexus, AsyncNexus):
            raise TypeError("httpx.Client needs NexusAuth(Nexus(), ...); AsyncNexus is for httpx.AsyncClient")
        token = nexus.token(self._wanted.provider, **self._wanted.token())
        if needs_body(token.strategy):
            request.read()
        before = _Before(request)
        before.authorize(token)
        response = yield request
        if before.is_rejected(response):
            another = nexus.replace_rejected(
                self._wanted.provider,
                rejected=token,
                status=response.status_code,
                www_authenticate=response.headers.get_list("www-authenticate"),
                **self._wanted.name(),
            )
            if another is not None and before.can_be_sent_again:
                before.authorize(another)
                yield request

    async def async_auth_flow(self, request: httpx.Request) -> AsyncGenerator[httpx.Request, httpx.Response]:
        token = await self._token()
        if needs_body(token.strategy):
            await request.aread()
        before = _Before(request, is_async=True)
        before.authorize(token)
        response = yield request
        if before.is_rejected(response):
            another = await self._replace(token, response)
            if another is not None and before.can_be_sent_again:
                before.authorize(another)
                yield request

    async def _token(self) -> Token:
        nexus, arguments = self._nexus, self._wanted.token()
        if isinstance(nexus, AsyncNexus):
            return await nexus.token(self._wanted.provider, **arguments)
        return await asyncio.to_thread(lambda: nexus.token(self._wanted.provider, **arguments))

    async def _replace(self, token: Token, response: httpx.Response) -> Token | None:
        nexus, name = self._nexus, self._wanted.name()
        headers, status = response.headers.get_list("www-authenticate"), response.status_code
        if isinstance(nexus, AsyncNexus):
            return await nexus.replace_rejected(self._wanted.provider, rejected=token, status=status, www_authenticate=headers, **name)
        return await asyncio.to_thread(
            lambda: nexus.replace_rejected(self._wanted.provider, rejected=token, status=status, www_authenticate=headers, **name)
        )


class _Before:
    """A request as it was before a credential was put into it."""

    def __init__(self, request: httpx.Request, *, is_async: bool = False) -> None:
        self._request = request
        self._url = request.url
        self._headers = request.headers.copy()
        self._extensions = request.extensions
        self._is_async = is_async
        self._origin = origin(str(request.url))

    @property
    def can_be_sent_again(self) -> bool:
        return isinstance(self._request.stream, httpx.ByteStream)

    def authorize(self, token: Token) -> None:
        request = self._request
        body = request.content if needs_body(token.strategy) else None
        plain = Request(request.method, str(self._url), dict(self._headers), body)
        applied = apply(plain, token.strategy, token.credentials)
        made = changed_headers(self._headers, applied.headers)
        request.url = self._url if applied.url == plain.url else httpx.URL(applied.url)
        request.headers = self._headers.copy()
        request.headers.update(made)
        # httpx takes Authorization out by itself.
        secret = {name.lower() for name in made} - {"authorization"}
        if secret:
            request.extensions = self._bound(secret)

    def is_rejected(self, response: httpx.Response) -> bool:
        is_own = origin(str(response.request.url)) == self._origin
        return is_own and is_rejection(response.status_code, response.headers.get_list("www-authenticate"))

    def _bound(self, secret: set[str]) -> dict[str, Any]:
        """Extensions that take headers out of a request that goes elsewhere: the copies that follow redirects have them too."""
        given: Callable[[str, Mapping[str, Any]], Any] | None = self._extensions.get("trace")
        names = {name.encode() for name in secret}

        def strip(event: str, info: Mapping[str, Any]) -> Any:
            sent = info.get("request")
            if not event.endswith("send_request_headers.started"):
                sent = None
            if sent is not None and _destination(sent.url) != self._origin:
                sent.headers = [(name, value) for name, value in sent.headers if name.lower() not in names]
            return given(event, info) if given is not None else None

        async def strip_async(event: str, info: Mapping[str, Any]) -> None:
            traced = strip(event, info)
            if inspect.isawaitable(traced):
                await traced

        return {**self._extensions, "trace": strip_async if self._is_async else strip}


def _destination(url: Any) -> tuple[str, str, int | None]:
    """The origin of a URL of httpcore: of its target, where a proxy is asked for it."""
    target = bytes(url.target)
    if target.startswith((b"http://", b"https://")):
        return origin(target.decode("latin-1"))
    default = {b"http": 80, b"https": 443}.get(url.scheme)
    return url.scheme.decode(), url.host.decode(), url.port or default
