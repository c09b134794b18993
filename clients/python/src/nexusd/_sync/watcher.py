"""Performs the decisions of `Watch` with threads: one that decides, and one for each stream that reads."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterator
from typing import Protocol

import grpc

from nexusd._core.performer import Changed, Item, Performer, Stop, Wake, Worked
from nexusd._core.watch import Watch
from nexusd._proto import token_pb2

# A thread that waits without end cannot be interrupted on every system.
_LONGEST_WAIT_SECONDS = 3600.0


class Stream(Protocol):
    """What grpcio gives for a call that streams."""

    def __iter__(self) -> Iterator[token_pb2.WatchTokensResponse]: ...
    def cancel(self) -> bool: ...


class Watcher(Performer[Stream]):
    """Keeps a `Watch` alive in daemon threads, from the first `changed` until `stop`."""

    def __init__(
        self,
        watch: Watch,
        open_stream: Callable[[token_pb2.WatchTokensRequest], Stream],
        on_stopped: Callable[[Exception], object] = lambda _error: None,
    ) -> None:
        super().__init__(watch, open_stream, on_stopped)
        self._items: queue.SimpleQueue[Item] = queue.SimpleQueue()
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
            if self._items.empty():
                self._look()
        self._cancel_all()

    def _next_item(self) -> Item:
        wake_at = self._watch.wake_at()
        wait = _LONGEST_WAIT_SECONDS if wake_at is None else max(0.0, wake_at - time.monotonic())
        try:
            return self._items.get(timeout=min(wait, _LONGEST_WAIT_SECONDS))
        except queue.Empty:
            return Wake()

    def _start_reader(self, number: int, stream: Stream) -> None:
        threading.Thread(target=self._read, args=(number, stream), name=f"nexusd-stream-{number}", daemon=True).start()

    def _read(self, number: int, stream: Stream) -> None:
        try:
            for message in stream:
                self._items.put((number, message))
        except (grpc.RpcError, ValueError) as error:
            self._items.put((number, error))
        else:
            self._items.put((number, None))
