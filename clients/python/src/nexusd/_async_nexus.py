"""The client for programs of asyncio."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterable
from typing import Any, TypeVar

from nexusd._client import Client
from nexusd._core.acquire import Question
from nexusd._core.address import Address
from nexusd._core.names import name_of, scopes_of
from nexusd._core.session import Steps, Waiting
from nexusd._core.unreachable import too_late
from nexusd.errors import DeadlineExceeded, NexusError
from nexusd.tokens import Consent, Lease, Token, WatchEvent

T = TypeVar("T")


class AsyncNexus(Client):
    """`Nexus` for asyncio, in any loop. Make one and keep it.

    A task that is cancelled ends its call with `asyncio.CancelledError`, as everywhere.
    """

    async def token(
        self,
        provider: str,
        *,
        user: str,
        label: str = "",
        scopes: Iterable[str] = (),
        only_scopes: bool = False,
        min_ttl: float = 0.0,
        timeout: float | None = None,
    ) -> Token:
        """The current token, from the cache where it is there. Arguments and errors are those of `Nexus.token`."""
        session = self._session or self._open()
        name = name_of(provider, user, label)
        wanted = scopes_of(scopes) if scopes else ()
        token = session.cache.hit(name, wanted, min_ttl)
        if token is not None:
            return token
        question = Question(name, wanted, min_ttl, is_patient=timeout is not None, only_scopes=only_scopes)
        return await _within(session.address, timeout, _perform(session.token(question)))

    async def acquire(
        self,
        provider: str,
        *,
        user: str,
        on_consent: Callable[[Consent], Awaitable[object] | object],
        label: str = "",
        scopes: Iterable[str] = (),
        only_scopes: bool = False,
        min_ttl: float = 0.0,
        return_url: str = "",
        device: bool = False,
        timeout: float | None = None,
    ) -> Token:
        """The current token; where a person must act first, shows the link and waits until there is a token.

        `on_consent` is called, and awaited where it is a coroutine. Arguments and errors are those of `Nexus.acquire`.
        """
        session = self._session or self._open()
        name = name_of(provider, user, label)
        wanted = scopes_of(scopes)
        token = session.cache.hit(name, wanted, min_ttl)
        if token is not None:
            return token
        question = Question(name, wanted, min_ttl, return_url, device, is_patient=timeout is not None, only_scopes=only_scopes)
        is_shown = False

        def show(consent: Consent) -> Awaitable[object] | object:
            nonlocal is_shown
            is_shown = True
            return on_consent(consent)

        try:
            return await _within(session.address, timeout, _perform(session.acquire(question), show))
        except DeadlineExceeded:
            if not is_shown or timeout is None:
                raise
            raise DeadlineExceeded(f"{user} did not consent to {provider} within {timeout:g} s") from None

    async def replace_rejected(
        self,
        provider: str,
        *,
        user: str,
        rejected: Token,
        status: int,
        www_authenticate: str | Iterable[str] = (),
        label: str = "",
    ) -> Token | None:
        """Reports that an API refused a token, and answers another to try once more, as `Nexus.replace_rejected` does."""
        session = self._session or self._open()
        return await _perform(session.replace_rejected(name_of(provider, user, label), rejected, status, www_authenticate))

    async def renew_lease(self, *, timeout: float | None = None) -> Lease:
        """Renews the lease of the API key that this client uses, as `Nexus.renew_lease` does."""
        session = self._session or self._open()
        return await _within(session.address, timeout, _perform(session.renew_lease()))

    async def watch(self, *connection_ids: str) -> AsyncIterator[WatchEvent]:
        """Every change of the connections with these ids, or of all that the caller may see, over as many streams as it takes.

        Raises:
            InvalidArgument, Unauthenticated, PermissionDenied: What no other attempt changes.
        """
        session = self._session or self._open()
        events: asyncio.Queue[WatchEvent | NexusError] = asyncio.Queue()
        stop = session.watch(connection_ids, _in_loop(events.put_nowait))
        try:
            while True:
                event = await events.get()
                if isinstance(event, NexusError):
                    raise event
                yield event
        finally:
            stop()

    async def close(self) -> None:
        """Ends the stream, and the calls under way, which raise Cancelled."""
        self._close()

    async def __aenter__(self) -> AsyncNexus:
        return self

    async def __aexit__(self, *_error: object) -> None:
        await self.close()


async def _perform(steps: Steps[T], show: Callable[[Consent], Awaitable[object] | object] | None = None) -> T:
    try:
        while True:
            step = next(steps)
            if isinstance(step, Waiting):
                await _wait(step)
            elif show is not None:
                shown = show(step)
                if inspect.isawaitable(shown):
                    await shown
    except StopIteration as end:
        result: T = end.value
        return result
    finally:
        steps.close()


async def _wait(step: Waiting) -> None:
    woken = asyncio.Event()
    wake = _in_loop(woken.set)
    leave = step.subscribe(wake)
    try:
        await asyncio.wait_for(woken.wait(), step.limit)
    except asyncio.TimeoutError:
        return
    finally:
        leave()


def _in_loop(call: Callable[..., object]) -> Callable[..., None]:
    """Calls it in the running loop, from any thread; a loop that has ended needs no call."""
    loop = asyncio.get_running_loop()

    def tell(*arguments: object) -> None:
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(call, *arguments)

    return tell


async def _within(address: Address, timeout: float | None, call: Coroutine[Any, Any, T]) -> T:
    if timeout is None:
        return await call
    try:
        return await asyncio.wait_for(call, timeout)
    except DeadlineExceeded:
        raise
    except asyncio.TimeoutError:
        raise too_late(address, timeout) from None
