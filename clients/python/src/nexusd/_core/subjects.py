"""What a stream of WatchTokens is for: the names of a client's cache, or the connections of a caller."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from nexusd._core.cache import TokenCache
from nexusd._core.messages import event_of
from nexusd._core.watch import Stream
from nexusd._proto import token_pb2
from nexusd.tokens import WatchEvent


class CachedNames:
    """The subject of a client's stream: the names that were asked for."""

    def __init__(self, cache: TokenCache) -> None:
        self._cache = cache

    def request(self) -> token_pb2.WatchTokensRequest:
        return token_pb2.WatchTokensRequest(names=[name.message() for name in self._cache.names()])

    def took(self, stream: Stream, message: token_pb2.WatchTokensResponse) -> None:
        kind = message.WhichOneof("event")
        if kind == "state":
            self._cache.state(message.state)
        elif kind == "removed":
            self._cache.removed(message.removed.connection_id)
        elif kind == "bookmark" and stream.named is not None:
            self._cache.snapshot_ended(stream.named, stream.opened_s)

    def lives(self, is_living: bool) -> None:
        self._cache.live = is_living

    def refused(self) -> None:
        self._cache.empty()


class WatchedIds:
    """The subject of a stream for a caller: connections by their ids."""

    def __init__(self, connection_ids: Sequence[str], take: Callable[[WatchEvent], object]) -> None:
        self._connection_ids = connection_ids
        self._take = take

    def request(self) -> token_pb2.WatchTokensRequest:
        return token_pb2.WatchTokensRequest(connection_ids=self._connection_ids)

    def took(self, stream: Stream, message: token_pb2.WatchTokensResponse) -> None:
        event = event_of(message)
        if event is not None:
            self._take(event)

    def lives(self, is_living: bool) -> None:
        pass

    def refused(self) -> None:
        pass
