"""Performs the decisions of `Watch` with daemon threads: one that decides, and one for each stream that reads."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, Protocol

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


class Watcher:
    """Keeps a `Watch` alive, from the first `changed` until `stop`."""

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
        self._streams: dict[int, Stream] = {}
        #: What is to be done, one after the other; None is the end.
        self._items: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    def changed(self) -> None:
        """What is watched has grown."""
        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="nexusd-watch", daemon=True)
                self._thread.start()
        self._items.put(lambda: self._watch.changed(time.monotonic()))

    def call_worked(self) -> None:
        """Another call was answered."""
        if self._watch.stopped is not None:
            self._items.put(lambda: self._watch.call_worked(time.monotonic()))

    def stop(self) -> None:
        """Ends the streams and the threads. Returns at once."""
        self._items.put(None)

    def _run(self) -> None:
        while self._take_item():
            # What lies there already is taken before silence is judged: the process may have been stopped.
            if self._items.empty():
                self._perform(self._watch.due(time.monotonic()))
        for stream in self._streams.values():
            stream.cancel()

    def _take_item(self) -> bool:
        """Returns whether to go on."""
        wake_at = self._watch.wake_at()
        wait = _LONGEST_WAIT_SECONDS if wake_at is None else max(0.0, wake_at - time.monotonic())
        try:
            item = self._items.get(timeout=min(wait, _LONGEST_WAIT_SECONDS))
        except queue.Empty:
            return True
        if item is None:
            return False
        item()
        return True

    def _perform(self, actions: list[Open | Cancel]) -> None:
        for action in actions:
            if isinstance(action, Open):
                self._open(action)
            elif action.number in self._streams:
                self._streams.pop(action.number).cancel()

    def _open(self, action: Open) -> None:
        number = action.number
        try:
            stream = self._open_stream(action.request)
        except (NexusError, ValueError) as error:
            self._ended(number, error)
            return
        self._streams[number] = stream
        threading.Thread(target=self._read, args=(number, stream), name=f"nexusd-stream-{number}", daemon=True).start()

    def _read(self, number: int, stream: Stream) -> None:
        end: Exception | None = None
        try:
            for message in stream:
                self._items.put(partial(self._received, number, message))
        except (grpc.RpcError, ValueError) as error:
            end = error
        self._items.put(lambda: self._ended(number, end))

    def _received(self, number: int, message: token_pb2.WatchTokensResponse) -> None:
        self._perform(self._watch.received(number, message, time.monotonic()))

    def _ended(self, number: int, error: Exception | None) -> None:
        self._streams.pop(number, None)
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
