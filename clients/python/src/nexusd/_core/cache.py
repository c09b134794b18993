"""The newest token of each name that was asked for, from the answers of AcquireToken and the states of WatchTokens."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from nexusd._core.messages import token_of
from nexusd._core.names import Name, name_of
from nexusd._proto import token_pb2
from nexusd.errors import StrategyError
from nexusd.tokens import Token

#: WatchTokens takes no more; names beyond these are not cached.
MAX_NAMES = 1000
#: For so many seconds the daemon's word counts whatever the local clock says: by then the stream lives.
TRUSTED_SECONDS = 5.0
# A bookmark may have been on its way when AcquireToken answered.
_OVERTAKEN_SECONDS = 1.0
# Which of several connections of one name counts (ConnectionName): the first in this order of ConnectionStatus.
_RANKS = {2: 0, 3: 1, 1: 2}
_LAST = 3


@dataclass(frozen=True)
class _State:
    """What the stream said last of one connection."""

    connection_id: str
    status: int
    revision: int
    token: Token | None


@dataclass(frozen=True)
class _Entry:
    """What a name's callers get."""

    token: Token
    expires_s: float | None
    #: Whether the stream said it; else AcquireToken did.
    from_stream: bool
    #: When, by the monotonic clock.
    said_s: float


class TokenCache:
    """Thread-safe. `live` is whether a stream lives: then what it said last is the truth, and the local clock is not asked."""

    def __init__(self) -> None:
        self.live = False
        #: Seconds since the epoch, by which expiry is judged.
        self.clock: Callable[[], float] = time.time
        self._lock = threading.Lock()
        self._names: dict[Name, None] = {}
        self._entries: dict[Name, _Entry] = {}
        self._states: dict[Name, dict[str, _State]] = {}
        self._name_of_id: dict[str, Name] = {}
        self._chosen: dict[Name, str] = {}
        self._skips: set[Name] = set()
        self._listeners: set[Callable[[], None]] = set()

    def hit(self, name: Name, scopes: Iterable[str] = (), min_ttl: float = 0.0) -> Token | None:
        """The token to use now, or None when AcquireToken must be asked."""
        entry = self._entries.get(name)
        if entry is None or name in self._skips:
            return None
        if entry.expires_s is not None:
            if min_ttl and entry.expires_s - self.clock() < min_ttl:
                return None
            is_told = self.live and entry.from_stream
            if not is_told and entry.expires_s <= self.clock() and time.monotonic() - entry.said_s > TRUSTED_SECONDS:
                return None
        return entry.token if not scopes or entry.token.granted_scopes.issuperset(scopes) else None

    def names(self) -> list[Name]:
        """The names to watch, at most MAX_NAMES."""
        return list(self._names)

    def want(self, name: Name) -> bool:
        """Notes a name to watch. True when it is a new one, and there is room for it."""
        with self._lock:
            if name in self._names or len(self._names) >= MAX_NAMES:
                return False
            self._names[name] = None
            return True

    def answered(self, name: Name, token: Token, asked_s: float) -> None:
        """Puts in what AcquireToken answered when asked at `asked_s` of the monotonic clock, unless newer has come meanwhile."""
        with self._lock:
            self._skips.discard(name)
            held = self._entries.get(name)
            if name in self._names and (held is None or self._is_newer(token, asked_s, held)):
                self._entries[name] = _entry(token, from_stream=False)
        self._tell()

    def consent_answered(self, name: Name) -> None:
        """AcquireToken was asked and gave a link: those who ask for less go on getting the token."""
        self._skips.discard(name)

    def skip_once(self, name: Name) -> None:
        """The next asker of the name asks AcquireToken."""
        self._skips.add(name)

    def state(self, message: token_pb2.TokenState) -> None:
        """Takes the full state of a connection."""
        name = name_of(message.provider_name, message.user_id, message.label)
        try:
            token = token_of(message.token) if message.HasField("token") else None
        except StrategyError:  # of a newer daemon: AcquireToken tells the caller
            token = None
        state = _State(message.connection_id, message.status, message.revision, token)
        with self._lock:
            self._states.setdefault(name, {})[state.connection_id] = state
            self._name_of_id[state.connection_id] = name
            self._resolve(name)
        self._tell()

    def removed(self, connection_id: str) -> None:
        """A connection does not exist any more."""
        with self._lock:
            name = self._name_of_id.pop(connection_id, None)
            if name is not None:
                self._states[name].pop(connection_id, None)
                self._resolve(name)
        self._tell()

    def snapshot_ended(self, names: Iterable[Name], named: set[str], began_s: float) -> None:
        """Forgets what a snapshot of `names` did not name, but what AcquireToken answered after it began."""
        with self._lock:
            for name in names:
                states = self._states.get(name, {})
                for connection_id in [each for each in states if each not in named]:
                    del states[connection_id]
                    self._name_of_id.pop(connection_id, None)
                held = self._entries.get(name)
                if held is not None and (held.from_stream or held.said_s < began_s):
                    self._settle(name)
        self._tell()

    def bookmark(self, names: Iterable[Name]) -> None:
        """All changes have come: the stream's states are the truth, also where AcquireToken answered another revision."""
        limit = time.monotonic() - _OVERTAKEN_SECONDS
        with self._lock:
            for name in names:
                held = self._entries.get(name)
                if held is not None and not held.from_stream and held.said_s < limit and name in self._states:
                    self._settle(name)

    def listen(self, listener: Callable[[], None]) -> Callable[[], None]:
        """Calls it after each change, from any thread, until what is returned is called."""
        self._listeners.add(listener)
        return lambda: self._listeners.discard(listener)

    def _is_newer(self, token: Token, asked_s: float, held: _Entry) -> bool:
        if held.from_stream and self.live:
            return token.revision > held.token.revision
        return token.revision >= held.token.revision or held.said_s < asked_s

    def _resolve(self, name: Name) -> None:
        """An answer of AcquireToken with a newer revision than the state is kept until the next bookmark."""
        held, best = self._entries.get(name), self._best(name)
        overtakes = held is not None and not held.from_stream and best is not None and best.token is not None
        if overtakes and held is not None and best is not None and best.revision < held.token.revision:
            return
        self._settle(name)

    def _settle(self, name: Name) -> None:
        best = self._best(name)
        if best is None or best.token is None:
            self._entries.pop(name, None)
        else:
            self._entries[name] = _entry(best.token, from_stream=True)

    def _best(self, name: Name) -> _State | None:
        """The connection that the name names. Of several that rank alike it is the one whose token AcquireToken gave."""
        states = list(self._states.get(name, {}).values())
        rank = min((_RANKS.get(each.status, _LAST) for each in states), default=_LAST)
        best = [each for each in states if _RANKS.get(each.status, _LAST) == rank]
        if len(best) > 1:
            held = self._entries.get(name)
            told = [each for each in best if held and each.token and each.token.credentials == held.token.credentials]
            self._chosen[name] = told[0].connection_id if told else self._chosen.get(name, "")
            best = [each for each in best if each.connection_id == self._chosen[name]]
        return best[0] if best else None

    def _tell(self) -> None:
        for listener in list(self._listeners):
            listener()


def _entry(token: Token, *, from_stream: bool) -> _Entry:
    expires_s = token.expires_at.timestamp() if token.expires_at else None
    return _Entry(token, expires_s, from_stream, time.monotonic())
