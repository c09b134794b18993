"""The client for programs of threads."""

from __future__ import annotations

import os
import threading
import time
import weakref
from collections.abc import Callable, Iterable, Iterator

from nexusd._core.acquire import (
    CALL_SECONDS,
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
from nexusd._core.forks import FORKED, survives_fork
from nexusd._core.messages import consent_error, consent_of
from nexusd._core.names import Name, name_of, scopes_of
from nexusd._sync.cancellation import Cancellation
from nexusd._sync.session import Session, Wait
from nexusd._sync.watching import watch_events
from nexusd.errors import NexusError, Unavailable
from nexusd.tokens import Consent, Token, WatchEvent

_clients: weakref.WeakSet[Nexus] = weakref.WeakSet()
# Sessions of the parent process: to close them, or to collect them, would touch threads that a fork does not copy.
_abandoned: list[Session] = []


class Nexus:
    """A client of nexusd. Thread-safe; make one and keep it. It connects at its first call.

    The child of a fork connects anew. A fork after the first call needs `GRPC_ENABLE_FORK_SUPPORT=1` in the environment, since gRPC
    does not survive it without; else the child's calls raise NexusError.
    """

    def __init__(
        self,
        address: str | None = None,
        *,
        api_key: str | None = None,
        api_key_file: str | os.PathLike[str] | None = None,
    ) -> None:
        """Finds the daemon by the arguments, else by the environment, else by the socket in its data folder.

        Args:
            address: `unix:/path`, `http://host:port` or `https://host:port` (NEXUS_ADDRESS).
            api_key: The key for TCP (NEXUS_API_KEY).
            api_key_file: The file that holds it, read at each call (NEXUS_API_KEY_FILE).

        Raises:
            InvalidArgument: The address is none, or it needs a key and there is none.
        """
        self._address = find_address(address, api_key=api_key, api_key_file=api_key_file)
        self._lock = threading.Lock()
        self._session: Session | None = None
        self._closed = False
        self._is_orphan = False
        self._clock: Callable[[], float] = time.time
        self._finalizer: weakref.finalize[..., Nexus] | None = None
        _clients.add(self)

    def token(
        self,
        provider: str,
        *,
        user: str,
        label: str = "",
        scopes: Iterable[str] = (),
        min_ttl: float = 0.0,
        timeout: float | None = None,
        cancellation: Cancellation | None = None,
    ) -> Token:
        """The current token, from the cache where it is there.

        Args:
            provider: Name of the provider profile.
            user: Your identifier of the user on whose behalf you act.
            label: Tells a second account of the user at the provider apart.
            scopes: Scopes that the token must have.
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
        question = Question(name, wanted, min_ttl, is_patient=timeout is not None)
        answer = session.ask(question, Wait(timeout, cancellation))
        if isinstance(answer, Consent):
            raise consent_error(answer)
        return answer

    def acquire(
        self,
        provider: str,
        *,
        user: str,
        on_consent: Callable[[Consent], object],
        label: str = "",
        scopes: Iterable[str] = (),
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
        wait = Wait(timeout, cancellation)
        question = Question(name, wanted, min_ttl, return_url, device, is_patient=timeout is not None)
        steps = acquire_steps(question)
        answer: Answer = None
        try:
            while True:
                step = steps.send(answer)
                answer = None
                if isinstance(step, Consent):
                    on_consent(step)
                elif isinstance(step, Pause):
                    session.pause(wait, step.seconds)
                else:
                    try:
                        answer = session.ask(step, wait)
                    except Unavailable as error:
                        answer = error
        except StopIteration as end:
            result: Token = end.value
            return result

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
        name = name_of(provider, user, label)
        headers = [www_authenticate] if isinstance(www_authenticate, str) else www_authenticate
        try:
            report = session.report(name, rejected.revision, status, headers)
            if report.outcome in (SUPERSEDED, REFRESHED):
                token = self._newer(session, name, report.revision)
                return token if token.revision != rejected.revision else None
        except NexusError:
            return None
        if report.outcome == SCOPES_MISSING:
            session.cache.lacks(name, report.missing_scopes)
            if report.HasField("consent"):
                raise consent_error(consent_of(report.consent, name), scopes=report.missing_scopes)
        return None

    def watch(self, *connection_ids: str) -> Iterator[WatchEvent]:
        """Every change of the connections with these ids, or of all that the caller may see, over as many streams as it takes.

        Raises:
            InvalidArgument, Unauthenticated, PermissionDenied: What no other attempt changes.
        """
        session = self._session or self._open()
        return watch_events(session, connection_ids)

    def close(self) -> None:
        """Ends the stream, and the calls under way in other threads, which raise Cancelled."""
        with self._lock:
            self._closed = True
            session, self._session = self._session, None
        if session is not None:
            session.close()

    def __enter__(self) -> Nexus:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Nexus({self._address.text!r})"

    def _newer(self, session: Session, name: Name, revision: int) -> Token:
        def held() -> Token | None:
            token = session.cache.hit(name)
            return token if token is not None and token.revision >= revision else None

        wait = Wait(STREAM_SECONDS, None)
        while session.cache.live and (left := wait.remaining()):
            heard = threading.Event()
            leave = session.cache.listen(heard.set)
            try:
                token = held()
                if token is not None:
                    return token
                heard.wait(left)
            finally:
                leave()
        answer = held() or session.ask(Question(name), Wait(CALL_SECONDS, None), is_anew=True)
        if isinstance(answer, Consent):
            raise consent_error(answer)
        return answer

    def _open(self) -> Session:
        with self._lock:
            if self._closed:
                raise NexusError("the client is closed")
            if self._is_orphan:
                raise NexusError(FORKED)
            if self._session is None:
                session = Session(self._address)
                session.cache.clock = self._clock
                self._finalizer = weakref.finalize(self, session.close)
                self._session = session
            return self._session

    def _forget_parent(self) -> None:
        """In the child of a fork: its threads and connections are the parent's."""
        self._lock = threading.Lock()
        if self._finalizer is not None:
            self._finalizer.detach()
        if self._session is not None:
            _abandoned.append(self._session)
            self._is_orphan = not survives_fork()
        self._session = None


def _after_fork_in_child() -> None:
    for client in list(_clients):
        client._forget_parent()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)
