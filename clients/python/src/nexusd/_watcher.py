"""Performs the decisions of `Watch` with threads: one that decides, and one for each stream that reads."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any, Protocol, TypeAlias

import grpc

from nexusd._core.watch import Cancel, Open, Watch
from nexusd._proto import token_pb2
from nexusd.errors import NexusError

# A thread that waits without end cannot be interrupted on every system.
_LONGEST_WAIT_SECONDS = 3600.0


class Stream(Protocol):
    """What grpcio gives for a call that streams."""

    def __iter__(self) -> Iterator[token_pb2.WatchTokensResponse]: ...
    def cancel(self) -> bool: ...


class Changed:
    """What is watched has grown."""


class Worked:
    """Another call was answered."""


class Stop:
    """The client is closed."""


#: What a stream brought: its number, and a message, or the error that it ended with, if any.
_Brought: TypeAlias = "tuple[int, token_pb2.WatchTokensResponse | Exception | None]"
_Item: TypeAlias = "_Brought | Changed | Worked | Stop"


class Watcher:
    """Keeps a `Watch` alive in daemon threads, from the first `changed` until `stop`."""

    def __init__(
        self,
        watch: Watch,
        open_stream: Callable[[token_pb2.WatchTokensRequest], Stream],
        on_stopped: Callable[[Exception], object] = lambda _error: None,
    ) -> None:
        """`on_stopped` is told what no other attempt changes: a NexusError, or a RpcError of the stream."""
        self._watch = watch
        self._open_stream = open_stream
        self._on_stopped = on_stopped
        self._items: queue.SimpleQueue[_Item] = queue.SimpleQueue()
        self._streams: dict[int, Stream] = {}
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    def changed(self) -> None:
        """What is watched has grown."""
        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="nexusd-watch", daemon=True)
                self._thread.start()
        self._items.put(Changed())

    def call_worked(self) -> None:
        """Another call was answered."""
        if self._watch.stopped is not None:
            self._items.put(Worked())

    def stop(self) -> None:
        """Ends the streams and the threads. Returns at once."""
        self._items.put(Stop())

    def _run(self) -> None:
        while self._take(self._next_item()):
            # What lies there already is taken before silence is judged: the process may have been stopped.
            if not self._items.empty():
                continue
            for action in self._watch.due(time.monotonic()):
                self._perform(action)
        for stream in self._streams.values():
            stream.cancel()

    def _next_item(self) -> _Item | None:
        wake_at = self._watch.wake_at()
        wait = _LONGEST_WAIT_SECONDS if wake_at is None else max(0.0, wake_at - time.monotonic())
        try:
            return self._items.get(timeout=min(wait, _LONGEST_WAIT_SECONDS))
        except queue.Empty:
            return None

    def _take(self, item: _Item | None) -> bool:
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
                for action in self._watch.received(number, brought, now):
                    self._perform(action)
            else:
                self._streams.pop(number, None)
                self._ended(number, brought, now)
        return True

    def _ended(self, number: int, error: Exception | None, now: float) -> None:
        self._watch.ended(number, status_of(error), now)
        if self._watch.stopped is not None and error is not None:
            self._on_stopped(error)

    def _perform(self, action: Open | Cancel) -> None:
        if isinstance(action, Cancel):
            stream = self._streams.pop(action.number, None)
            if stream is not None:
                stream.cancel()
            return
        try:
            stream = self._open_stream(action.request)
        except (NexusError, ValueError) as error:  # the file of the key cannot be read, or the channel is closed
            self._ended(action.number, error, time.monotonic())
            return
        self._streams[action.number] = stream
        reader = threading.Thread(target=self._read, args=(action.number, stream), name=f"nexusd-stream-{action.number}", daemon=True)
        reader.start()

    def _read(self, number: int, stream: Stream) -> None:
        try:
            for message in stream:
                self._items.put((number, message))
        except (grpc.RpcError, ValueError) as error:
            self._items.put((number, error))
        else:
            self._items.put((number, None))


def status_of(error: Exception | None) -> grpc.StatusCode:
    """What a stream ended with: none is OK, a NexusError a key that cannot be read, and a ValueError a channel that was closed."""
    if error is None:
        return grpc.StatusCode.OK
    if isinstance(error, grpc.RpcError):
        call: Any = error
        code: grpc.StatusCode = call.code()
        return code
    return grpc.StatusCode.UNAUTHENTICATED
