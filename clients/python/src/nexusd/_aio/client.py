"""The client for programs of asyncio."""

from __future__ import annotations

import asyncio
import inspect
import os
import time
import weakref
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterable
from typing import Any, TypeVar

from nexusd._aio.session import AioSession
from nexusd._aio.watcher import AioWatcher
from nexusd._core.acquire import (
    REFRESHED,
    SCOPES_MISSING,
    STREAM_SECONDS,
    SUPERSEDED,
    Answer,
    Pause,
    Question,
    acquire_steps,
)
from nexusd._core.address import find_address
from nexusd._core.forks import FORKED_AIO
from nexusd._core.messages import consent_error, consent_of
from nexusd._core.names import Name, name_of, scopes_of
from nexusd._core.subjects import WatchedIds
from nexusd._core.watch import Watch
from nexusd.errors import Cancelled, DeadlineExceeded, NexusError, Unavailable
from nexusd.tokens import Consent, Token, WatchEvent

T = TypeVar("T")

_clients: weakref.WeakSet[AsyncNexus] = weakref.WeakSet()
# Sessions of the parent process, and of loops that ended: what a fork or a loop's end left cannot be closed.
_abandoned: list[AioSession] = []


class AsyncNexus:
    """A client of nexusd for asyncio. Make one and keep it. It connects at its first call, in the loop of the caller.

    A task that is cancelled ends its call with `asyncio.CancelledError`, as everywhere.
    """

    def __init__(
        self,
        address: str | None = None,
        *,
        api_key: str | None = None,
        api_key_file: str | os.PathLike[str] | None = None,
    ) -> None:
        """Finds the daemon by the arguments, else by the environment, else by the socket in its data folder; see `Nexus`.

        Raises:
            InvalidArgument: The address is none, or it needs a key and there is none.
        """
        self._address = find_address(address, api_key=api_key, api_key_file=api_key_file)
        self._session: AioSession | None = None
        self._closed = False
        self._is_orphan = False
        self._clock: Callable[[], float] = time.time
        _clients.add(self)

    async def token(
        self,
        provider: str,
        *,
        user: str,
        label: str = "",
        scopes: Iterable[str] = (),
        min_ttl: float = 0.0,
        timeout: float | None = None,
    ) -> Token:
        """The current token, from the cache where it is there.

        Args:
            provider: Name of the provider profile.
            user: Your identifier of the user on whose behalf you act.
            label: Tells a second account of the user at the provider apart.
            scopes: Scopes that the token must have.
            min_ttl: How many seconds it should live at least: a wish.
            timeout: In seconds. With it, the daemon is waited for when it is away; without, that is `Unavailable` at once.

        Raises:
            ConsentRequired: A person must open its `auth_url`. AttentionRequired, a kind of it, when the connection worked before.
            Unavailable, NotFound, Unauthenticated, PermissionDenied, InvalidArgument, DeadlineExceeded, Cancelled (it was closed)
        """
        session = self._open()
        name = name_of(provider, user, label)
        wanted = scopes_of(scopes) if scopes else ()
        token = session.cache.hit(name, wanted, min_ttl)
        if token is not None:
            return token
        question = Question(name, wanted, min_ttl, is_patient=timeout is not None)
        answer = await _within(timeout, session.ask(question))
        if isinstance(answer, Consent):
            raise consent_error(answer)
        return answer

    async def acquire(
        self,
        provider: str,
        *,
        user: str,
        on_consent: Callable[[Consent], Awaitable[object] | object],
        label: str = "",
        scopes: Iterable[str] = (),
        min_ttl: float = 0.0,
        return_url: str = "",
        device: bool = False,
        timeout: float | None = None,
    ) -> Token:
        """The current token; where a person must act first, shows the link and waits until there is a token.

        Args:
            on_consent: Called, and awaited where it is a coroutine, with each link or code, for example `print`. Show it to the
                user of the request alone.
            return_url: Where the person's browser is sent afterwards.
            device: Ask by device authorization (RFC 8628): the person enters a code on any device.
            timeout: In seconds; None waits for as long as it takes.

        The other arguments and the errors are those of `token`, but that a link is no error.

        Raises:
            ConsentDenied: The person, or the provider, said no.
        """
        session = self._open()
        name = name_of(provider, user, label)
        wanted = scopes_of(scopes)
        token = session.cache.hit(name, wanted, min_ttl)
        if token is not None:
            return token
        question = Question(name, wanted, min_ttl, return_url, device, is_patient=timeout is not None)
        return await _within(timeout, self._acquire(session, question, on_consent))

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
        """Reports that an API refused a token, and answers another to try once more; None when there is none.

        The hooks of this package call it by themselves.

        Args:
            rejected: The token that was sent.
            status: 401 or 403, the status of the API's answer.
            www_authenticate: Its WWW-Authenticate header or headers.

        Raises:
            ConsentRequired: The API wants scopes that a person can grant: `acquire` with its `scopes` waits for that. Others go on with
                the token that there is.
        """
        session = self._open()
        name = name_of(provider, user, label)
        headers = [www_authenticate] if isinstance(www_authenticate, str) else www_authenticate
        try:
            report = await session.report(name, rejected.revision, status, headers)
            if report.outcome in (SUPERSEDED, REFRESHED):
                token = await self._newer(session, name, report.revision)
                return token if token.revision != rejected.revision else None
        except NexusError:
            return None
        if report.outcome == SCOPES_MISSING:
            session.cache.lacks(name, report.missing_scopes)
            if report.HasField("consent"):
                raise consent_error(consent_of(report.consent, name), scopes=report.missing_scopes)
        return None

    async def watch(self, *connection_ids: str) -> AsyncIterator[WatchEvent]:
        """Every change of the connections with these ids, or of all that the caller may see, over as many streams as it takes.

        Raises:
            InvalidArgument, Unauthenticated, PermissionDenied: What no other attempt changes.
        """
        session = self._open()
        events: asyncio.Queue[WatchEvent | NexusError] = asyncio.Queue()
        watcher = AioWatcher(
            Watch(WatchedIds(connection_ids, events.put_nowait)),
            session.open_stream,
            on_stopped=lambda error: events.put_nowait(session.error_from(error)),
        )
        closed = asyncio.create_task(session.closed.wait())
        closed.add_done_callback(lambda _: events.put_nowait(Cancelled("the client is closed")))
        watcher.changed()
        try:
            while True:
                event = await events.get()
                if isinstance(event, NexusError):
                    raise event
                yield event
        finally:
            closed.cancel()
            await watcher.stop()

    async def close(self) -> None:
        """Ends the stream, and the calls under way, which raise Cancelled."""
        self._closed = True
        session, self._session = self._session, None
        if session is not None and session.loop is asyncio.get_running_loop():
            await session.close()

    async def __aenter__(self) -> AsyncNexus:
        return self

    async def __aexit__(self, *_error: object) -> None:
        await self.close()

    def __repr__(self) -> str:
        return f"AsyncNexus({self._address.text!r})"

    async def _acquire(self, session: AioSession, question: Question, on_consent: Callable[[Consent], Awaitable[object] | object]) -> Token:
        steps = acquire_steps(question)
        answer: Answer = None
        try:
            while True:
                step = steps.send(answer)
                answer = None
                if isinstance(step, Consent):
                    shown = on_consent(step)
                    if inspect.isawaitable(shown):
                        await shown
                elif isinstance(step, Pause):
                    await session.pause(step.seconds)
                else:
                    try:
                        answer = await session.ask(step)
                    except Unavailable as error:
                        answer = error
        except StopIteration as end:
            result: Token = end.value
            return result

    async def _newer(self, session: AioSession, name: Name, revision: int) -> Token:
        heard = asyncio.Event()
        leave = session.cache.listen(heard.set)
        ends_s = time.monotonic() + STREAM_SECONDS
        try:
            while True:
                token = session.cache.hit(name)
                if token is not None and token.revision >= revision:
                    return token
                left = ends_s - time.monotonic()
                if not session.cache.live or left <= 0:
                    break
                heard.clear()
                try:
                    await asyncio.wait_for(heard.wait(), left)
                except asyncio.TimeoutError:
                    break
        finally:
            leave()
        answer = await session.ask(Question(name), is_anew=True)
        if isinstance(answer, Consent):
            raise consent_error(answer)
        return answer

    def _open(self) -> AioSession:
        session = self._session
        if session is not None and session.loop is asyncio.get_running_loop():
            return session
        if self._closed:
            raise NexusError("the client is closed")
        if self._is_orphan:
            raise NexusError(FORKED_AIO)
        if session is not None:
            _abandoned.append(session)
        self._session = AioSession(self._address)
        self._session.cache.clock = self._clock
        return self._session

    def _forget_parent(self) -> None:
        """In the child of a fork: grpc.aio does not survive it."""
        if self._session is not None:
            _abandoned.append(self._session)
            self._is_orphan = True
        self._session = None


async def _within(timeout: float | None, call: Coroutine[Any, Any, T]) -> T:
    if timeout is None:
        return await call
    try:
        return await asyncio.wait_for(call, timeout)
    except DeadlineExceeded:
        raise
    except asyncio.TimeoutError:
        raise DeadlineExceeded("the timeout of the call is over") from None


def _after_fork_in_child() -> None:
    for client in list(_clients):
        client._forget_parent()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)
