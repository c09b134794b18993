"""Performs the decisions of `Watch`: what threads and tasks have in common."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, Generic, Protocol, TypeAlias, TypeVar

import grpc
import grpc.aio

from nexusd._core.watch import Cancel, Open, Watch
from nexusd._proto import token_pb2
from nexusd.errors import NexusError


class Cancellable(Protocol):
    """A call that streams."""

    def cancel(self) -> bool: ...


class Changed:
    """What is watched has grown."""


class Worked:
    """Another call was answered."""


class Wake:
    """It is time to look."""


class Stop:
    """The client is closed."""


#: What a stream brought: its number, and a message, or the error that it ended with, if any.
Brought: TypeAlias = "tuple[int, token_pb2.WatchTokensResponse | Exception | None]"
Item: TypeAlias = "Brought | Changed | Worked | Wake | Stop"
S = TypeVar("S", bound=Cancellable)


class Performer(ABC, Generic[S]):
    """Takes one item after the other. A subclass opens and reads the streams, and keeps the items in a queue."""

    def __init__(
        self,
        watch: Watch,
        open_stream: Callable[[token_pb2.WatchTokensRequest], S],
        on_stopped: Callable[[Exception], object] = lambda _error: None,
    ) -> None:
        """`on_stopped` is told what no other attempt changes: a NexusError, or a RpcError of the stream."""
        self._watch = watch
        self._open_stream = open_stream
        self._on_stopped = on_stopped
        self._streams: dict[int, S] = {}

    @abstractmethod
    def _start_reader(self, number: int, stream: S) -> None:
        """Puts what the stream brings into the queue, and at last how it ended."""

    def _take(self, item: Item) -> bool:
        """Returns whether to go on."""
        now = time.monotonic()
        if isinstance(item, Stop):
            return False
        if isinstance(item, Changed):
            self._watch.changed(now)
        elif isinstance(item, Worked):
            self._watch.call_worked(now)
        elif isinstance(item, tuple):
            number, brought = item
            if isinstance(brought, token_pb2.WatchTokensResponse):
                self._perform(self._watch.received(number, brought, now))
            else:
                self._streams.pop(number, None)
                self._ended(number, brought)
        return True

    def _look(self) -> None:
        """Does what is due."""
        self._perform(self._watch.due(time.monotonic()))

    def _cancel_all(self) -> None:
        for stream in self._streams.values():
            stream.cancel()

    def _perform(self, actions: list[Open | Cancel]) -> None:
        for action in actions:
            if isinstance(action, Open):
                self._open(action)
            elif action.number in self._streams:
                self._streams.pop(action.number).cancel()

    def _open(self, action: Open) -> None:
        try:
            stream = self._open_stream(action.request)
        except (NexusError, ValueError, grpc.aio.UsageError) as error:
            self._ended(action.number, error)
            return
        self._streams[action.number] = stream
        self._start_reader(action.number, stream)

    def _ended(self, number: int, error: Exception | None) -> None:
        self._watch.ended(number, _status_of(error), time.monotonic())
        if self._watch.stopped is not None and error is not None:
            self._on_stopped(error)


def _status_of(error: Exception | None) -> grpc.StatusCode:
    """What a stream ended with. What is no status of gRPC is a key that cannot be read, or a channel that was closed."""
    if error is None:
        return grpc.StatusCode.OK
    if isinstance(error, grpc.RpcError):
        call: Any = error
        code: grpc.StatusCode = call.code()
        return code
    return grpc.StatusCode.UNAUTHENTICATED
