"""The current token of each name, from AcquireToken and WatchTokens. "The cache" in test/clients/PROTOCOL.md has the rules."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime

from nexusd._core.messages import datetime_of, token_of
from nexusd._core.names import Name, name_of
from nexusd._proto import token_pb2
from nexusd.errors import StrategyError
from nexusd.tokens import Token

#: WatchTokens takes no more; names beyond these are not cached.
MAX_NAMES = 1000
#: A token that no stream confirms is asked for again after so long.
ANSWER_SECONDS = 20.0
# ConnectionStatus of the contract.
_PENDING, _ACTIVE = 1, 2


@dataclass(frozen=True)
class _Active:
    """The newest state of a connection that is ACTIVE."""

    created: datetime
    connection_id: str
    revision: int
    token: Token | None


@dataclass
class _Entry:
    active: dict[str, _Active] = field(default_factory=dict)
    #: What AcquireToken returned, until the stream has caught up, and when it came.
    answer: Token | None = None
    came_s: float = 0.0
    #: Counts what the stream reported, to recognize an answer that it overtook.
    reports: int = 0
    #: Scopes that AcquireToken was asked for when it returned a token with the granted ones.
    granted: frozenset[str] = frozenset()
    accepted: frozenset[str] = frozenset()

    def token(self) -> tuple[Token | None, bool]:
        """The current one, and whether the stream reported it."""
        if self.answer is not None and time.monotonic() - self.came_s < ANSWER_SECONDS:
            return self.answer, False
        first = self.first()
        return (None, False) if first is None else (first.token, True)

    def first(self) -> _Active | None:
        """The connection that the name names, if one is ACTIVE; see `ConnectionName`."""
        return min(self.active.values(), key=lambda each: (each.created, each.connection_id), default=None)

    def has(self, token: Token, scopes: Iterable[str]) -> bool:
        accepted = self.accepted if self.granted == token.granted_scopes else frozenset()
        return (token.granted_scopes | accepted).issuperset(scopes)

    def removed(self, connection_id: str) -> None:
        self.active.pop(connection_id, None)
        self.answer = None
        self.reports += 1


class TokenCache:
    """Thread-safe. `live` is whether a stream lives: then what it said last is the truth, and the local clock is not asked."""

    def __init__(self) -> None:
        self.live = False
        #: Seconds since the epoch, by which expiry is judged.
        self.clock: Callable[[], float] = time.time
        self._lock = threading.Lock()
        self._entries: dict[Name, _Entry] = {}
        self._entry_of: dict[str, _Entry] = {}
        self._listeners: set[Callable[[], None]] = set()

    def hit(self, name: Name, scopes: Iterable[str] = (), min_ttl: float = 0.0) -> Token | None:
        """The token to use now, or None when AcquireToken must be asked."""
        with self._lock:
            entry = self._entries.get(name)
            if entry is None:
                return None
            token, is_reported = entry.token()
            if token is None or (scopes and not entry.has(token, scopes)):
                return None
        if token.expires_at is None or (is_reported and self.live and not min_ttl):
            return token
        left = token.expires_at.timestamp() - self.clock()
        return token if left > 0 and left >= min_ttl else None

    def names(self) -> list[Name]:
        """The names to watch, at most MAX_NAMES."""
        with self._lock:
            return list(self._entries)

    def want(self, name: Name) -> bool:
        """Notes a name to watch. True when it is a new one, and there is room for it."""
        with self._lock:
            if name in self._entries or len(self._entries) >= MAX_NAMES:
                return False
            self._entries[name] = _Entry()
            return True

    def reports(self, name: Name) -> int:
        """To be remembered when AcquireToken is asked, for `answered`."""
        with self._lock:
            entry = self._entries.get(name)
            return 0 if entry is None else entry.reports

    def answered(self, name: Name, token: Token, scopes: Iterable[str], reports: int) -> None:
        """Takes what AcquireToken answered. `reports` is what the method of that name returned before it was asked."""
        with self._lock:
            entry = self._entries.get(name)
            if entry is None:
                return
            before = entry.accepted if entry.granted == token.granted_scopes else frozenset()
            entry.granted, entry.accepted = token.granted_scopes, before.union(scopes)
            first = entry.first()
            if entry.reports == reports and (first is None or first.revision < token.revision):
                entry.answer, entry.came_s = token, time.monotonic()
        self._tell()

    def lacks(self, name: Name, scopes: Iterable[str]) -> None:
        """An API says that the token lacks the scopes: who asks for one of them gets a link."""
        with self._lock:
            entry = self._entries.get(name)
            if entry is not None:
                entry.accepted = entry.accepted.difference(scopes)

    def state(self, message: token_pb2.TokenState) -> None:
        """Takes the full state of a connection."""
        connection_id = message.connection_id
        with self._lock:
            entry = self._entries.get(name_of(message.provider_name, message.user_id, message.label))
            if self._entry_of.get(connection_id) is not entry:  # its provider was renamed
                self._remove(connection_id)
            if entry is None:
                return
            self._entry_of[connection_id] = entry
            before = entry.first()
            if message.status == _ACTIVE:
                entry.active[connection_id] = _active(message)
                if before is None or before.connection_id != connection_id:  # else the revisions show whether it is newer than an answer
                    entry.reports += 1
            else:
                entry.active.pop(connection_id, None)
                if message.status != _PENDING:  # which takes nothing away
                    entry.reports += 1
            first = entry.first()
            reported = message.revision if first is None else first.revision
            if entry.answer is not None and entry.answer.revision <= reported:
                entry.answer = None
        self._tell()

    def removed(self, connection_id: str) -> None:
        """A connection does not exist any more."""
        with self._lock:
            self._remove(connection_id)
        self._tell()

    def snapshot_ended(self, named: set[str], began_s: float) -> None:
        """Forgets what a snapshot did not name, but what AcquireToken answered after it began."""
        with self._lock:
            for connection_id in self._entry_of.keys() - named:
                self._remove(connection_id)
            for entry in self._entries.values():
                if entry.came_s < began_s:
                    entry.answer = None
        self._tell()

    def empty(self) -> None:
        """No stream will tell what becomes of the tokens."""
        with self._lock:
            for connection_id in list(self._entry_of):
                self._remove(connection_id)
            for entry in self._entries.values():
                entry.answer = None

    def listen(self, listener: Callable[[], None]) -> Callable[[], None]:
        """Calls it after each change, from any thread, until what is returned is called."""
        self._listeners.add(listener)
        return lambda: self._listeners.discard(listener)

    def _remove(self, connection_id: str) -> None:
        entry = self._entry_of.pop(connection_id, None)
        if entry is not None:
            entry.removed(connection_id)

    def _tell(self) -> None:
        for listener in list(self._listeners):
            listener()


def _active(message: token_pb2.TokenState) -> _Active:
    try:
        token = token_of(message.token) if message.HasField("token") else None
    except StrategyError:  # of a newer daemon: AcquireToken tells the caller
        token = None
    return _Active(datetime_of(message.created_at), message.connection_id, message.revision, token)
