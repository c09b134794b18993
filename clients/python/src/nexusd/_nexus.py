"""The client for programs of threads."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

from nexusd._cancellation import Cancellation
from nexusd._client import Client
from nexusd._core.acquire import Question
from nexusd._core.address import Address
from nexusd._core.names import name_of, scopes_of
from nexusd._core.session import Steps, Waiting
from nexusd._core.unreachable import too_late
from nexusd.errors import Cancelled, DeadlineExceeded, NexusError
from nexusd.tokens import Consent, Lease, Token, WatchEvent

T = TypeVar("T")


class Nexus(Client):
    """A client of nexusd whose calls block. Thread-safe; make one and keep it. It connects at its first call.

    The child of a fork connects anew. A fork after the first call needs `GRPC_ENABLE_FORK_SUPPORT=1` in the environment, since gRPC
    does not survive it without; else the child's calls raise NexusError.
    """

    def token(
        self,
        provider: str,
        *,
        user: str,
        label: str = "",
        scopes: Iterable[str] = (),
        only_scopes: bool = False,
        min_ttl: float = 0.0,
        timeout: float | None = None,
        cancellation: Cancellation | None = None,
    ) -> Token:
        """The current token, from the cache where it is there.

        Args:
            provider: Name of the provider profile.
            user: Your identifier of the user on whose behalf you act.
            label: Tells a second account of the user at the provider apart.
            scopes: Scopes that the token must have. The first consent requests the provider's default scopes too.
            only_scopes: The first consent requests `scopes` alone.
            min_ttl: How many seconds it should live at least: a wish.
            timeout: In seconds. With it, the daemon is waited for when it is away; without, that is `Unavailable` at once.
            cancellation: Ends the call from another thread.

        Raises:
            ConsentRequired: A person must open its `auth_url`. AttentionRequired, a kind of it, when the connection worked before.
            Unavailable, NotFound, Unauthenticated, PermissionDenied, InvalidArgument, DeadlineExceeded, Cancelled
        """
        session = self._session or self._open()
        name = name_of(provider, user, label)
        wanted = scopes_of(scopes) if scopes else ()
        token = session.cache.hit(name, wanted, min_ttl)
        if token is not None:
            return token
        question = Question(name, wanted, min_ttl, is_patient=timeout is not None, only_scopes=only_scopes)
        return _perform(session.token(question), _Limits(session.address, timeout, cancellation))

    def acquire(
        self,
        provider: str,
        *,
        user: str,
        on_consent: Callable[[Consent], object],
        label: str = "",
        scopes: Iterable[str] = (),
        only_scopes: bool = False,
        min_ttl: float = 0.0,
        return_url: str = "",
        device: bool = False,
        timeout: float | None = None,
        cancellation: Cancellation | None = None,
    ) -> Token:
        """The current token; where a person must act first, shows the link and waits until there is a token.

        Args:
            on_consent: Called with each link or code, for example `print`. Show it to the user of the request alone.
            return_url: Where the person's browser is sent afterwards.
            device: Ask by device authorization (RFC 8628): the person enters a code on any device.
            timeout: In seconds; None waits for as long as it takes.

        The other arguments and the errors are those of `token`, but that a link is no error.

        Raises:
            ConsentDenied: The person, or the provider, said no.
        """
        session = self._session or self._open()
        name = name_of(provider, user, label)
        wanted = scopes_of(scopes)
        token = session.cache.hit(name, wanted, min_ttl)
        if token is not None:
            return token
        question = Question(name, wanted, min_ttl, return_url, device, is_patient=timeout is not None, only_scopes=only_scopes)
        is_shown = False

        def show(consent: Consent) -> object:
            nonlocal is_shown
            is_shown = True
            return on_consent(consent)

        try:
            return _perform(session.acquire(question), _Limits(session.address, timeout, cancellation), show)
        except DeadlineExceeded:
            if not is_shown or timeout is None:
                raise
            raise DeadlineExceeded(f"{user} did not consent to {provider} within {timeout:g} s") from None

    def replace_rejected(
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
        session = self._session or self._open()
        steps = session.replace_rejected(name_of(provider, user, label), rejected, status, www_authenticate)
        return _perform(steps, _Limits(session.address, None, None))

    def renew_lease(self, *, timeout: float | None = None) -> Lease:
        """Renews the lease of the API key that this client uses. Call it whenever a third of the lease has passed.

        The daemon revokes a key whose lease ends.

        Raises:
            AttentionRequired: The key has no lease; the reason is `NO_LEASE`.
            Unauthenticated: The lease has ended.
            Unavailable, DeadlineExceeded, Cancelled
        """
        session = self._session or self._open()
        return _perform(session.renew_lease(), _Limits(session.address, timeout, None))

    def watch(self, *connection_ids: str) -> Iterator[WatchEvent]:
        """Every change of the connections with these ids, or of all that the caller may see, over as many streams as it takes.

        Raises:
            InvalidArgument, Unauthenticated, PermissionDenied: What no other attempt changes.
        """
        session = self._session or self._open()
        events: queue.SimpleQueue[WatchEvent | NexusError] = queue.SimpleQueue()
        stop = session.watch(connection_ids, events.put)
        try:
            while True:
                event = events.get()
                if isinstance(event, NexusError):
                    raise event
                yield event
        finally:
            stop()

    def close(self) -> None:
        """Ends the stream, and the calls under way in other threads, which raise Cancelled."""
        self._close()

    def __enter__(self) -> Nexus:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()


class _Limits:
    """How long a caller waits, and what ends it."""

    def __init__(self, address: Address, timeout: float | None, cancellation: Cancellation | None) -> None:
        self._address = address
        self._timeout = timeout
        self._ends_s = None if timeout is None else time.monotonic() + timeout
        self._cancellation = cancellation

    def wait(self, step: Waiting) -> None:
        """Raises DeadlineExceeded and Cancelled."""
        woken = threading.Event()
        leaves = [step.subscribe(woken.set)]
        if self._cancellation is not None:
            leaves.append(self._cancellation._listen(woken.set))
        try:
            self._check()
            left = None if self._ends_s is None else self._ends_s - time.monotonic()
            woken.wait(min((each for each in (left, step.limit) if each is not None), default=None))
            self._check()
        finally:
            for leave in leaves:
                leave()

    def _check(self) -> None:
        if self._cancellation is not None and self._cancellation.is_cancelled:
            raise Cancelled("the call was cancelled")
        if self._timeout is not None and self._ends_s is not None and time.monotonic() >= self._ends_s:
            raise too_late(self._address, self._timeout)


def _perform(steps: Steps[T], limits: _Limits, show: Callable[[Consent], object] | None = None) -> T:
    try:
        while True:
            step = next(steps)
            if isinstance(step, Waiting):
                limits.wait(step)
            elif show is not None:
                show(step)
    except StopIteration as end:
        result: T = end.value
        return result
    finally:
        steps.close()
