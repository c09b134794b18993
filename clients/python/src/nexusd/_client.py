"""What `Nexus` and `AsyncNexus` have in common."""

from __future__ import annotations

import os
import threading
import time
import weakref
from collections.abc import Callable, Iterable

from nexusd._core.address import find_address
from nexusd._core.forks import FORKED, survives_fork
from nexusd._core.names import name_of
from nexusd._core.session import Session
from nexusd.errors import NexusError
from nexusd.tokens import Token

_clients: weakref.WeakSet[Client] = weakref.WeakSet()
# Sessions of the parent process: to close them, or to collect them, would touch threads that a fork does not copy.
_abandoned: list[Session] = []


class Client:
    """Finds the daemon, and has a session with it from the first call on."""

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
        self._finalizer: weakref.finalize[..., Client] | None = None
        _clients.add(self)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._address.text!r})"

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

    def _at_hand(self, provider: str, user: str, label: str, scopes: Iterable[str]) -> Token | None:
        """The token of the cache, without a call of the daemon."""
        session = self._session or self._open()
        return session.cache.hit(name_of(provider, user, label), scopes)

    def _close(self) -> None:
        with self._lock:
            self._closed = True
            session, self._session = self._session, None
        if session is not None:
            session.close()

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
