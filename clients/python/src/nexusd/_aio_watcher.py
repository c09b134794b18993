"""Performs the decisions of `Watch` with tasks of asyncio: one that decides, and one for each stream that reads."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import TypeAlias

import grpc
import grpc.aio
from google.protobuf.message import Message

from nexusd._core.watch import Cancel, Open, Watch
from nexusd._proto import token_pb2
from nexusd._watcher import Changed, Stop, Worked, status_of
from nexusd.errors import NexusError

AioStream: TypeAlias = "grpc.aio.UnaryStreamCall[Message, token_pb2.WatchTokensResponse]"
_Item: TypeAlias = "tuple[int, token_pb2.WatchTokensResponse | Exception | None] | Changed | Worked | Wake | Stop"


class Wake:
    """It is time to look."""


class AioWatcher:
    """Keeps a `Watch` alive in the running loop, from the first `changed` until `stop`."""

    def __init__(
        self,
        watch: Watch,
        open_stream: Callable[[token_pb2.WatchTokensRequest], AioStream],
        on_stopped: Callable[[Exception], object] = lambda _error: None,
    ) -> None:
        """`on_stopped` is told what no other attempt changes: a NexusError, or a RpcError of the stream."""
        self._watch = watch
        self._open_stream = open_stream
        self._on_stopped = on_stopped
        self._items: asyncio.Queue[_Item] = asyncio.Queue()
        self._streams: dict[int, AioStream] = {}
        self._readers: set[asyncio.Task[None]] = set()
        self._task: asyncio.Task[None] | None = None

    def changed(self) -> None:
        """What is watched has grown."""
        if self._task is None:
            self._task = asyncio.create_task(self._run(), name="nexusd-watch")
        self._items.put_nowait(Changed())

    def call_worked(self) -> None:
        """Another call was answered."""
        if self._watch.stopped is not None:
            self._items.put_nowait(Worked())

    async def stop(self) -> None:
        """Ends the streams and the tasks."""
        if self._task is not None:
            self._items.put_nowait(Stop())
            await asyncio.gather(self._task, *self._readers, return_exceptions=True)

    async def _run(self) -> None:
        try:
            while self._take(await self._next_item()):
                # What lies there already is taken before silence is judged: the process may have been stopped.
                if not self._items.empty():
                    continue
                for action in self._watch.due(time.monotonic()):
                    self._perform(action)
        finally:
            for stream in self._streams.values():
                stream.cancel()

    async def _next_item(self) -> _Item:
        wake_at = self._watch.wake_at()
        if wake_at is None:
            return await self._items.get()
        # A `get` that is cancelled by a timeout can lose what it got.
        delay = max(0.0, wake_at - time.monotonic())
        timer = asyncio.get_running_loop().call_later(delay, self._items.put_nowait, Wake())
        try:
            return await self._items.get()
        finally:
            timer.cancel()

    def _take(self, item: _Item) -> bool:
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
        except (
            NexusError,
            grpc.aio.UsageError,
        ) as error:  # the file of the key cannot be read, or the channel is closed
            self._ended(action.number, error, time.monotonic())
            return
        self._streams[action.number] = stream
        reader = asyncio.create_task(self._read(action.number, stream), name=f"nexusd-stream-{action.number}")
        self._readers.add(reader)
        reader.add_done_callback(self._readers.discard)

    async def _read(self, number: int, stream: AioStream) -> None:
        try:
            async for message in stream:
                self._items.put_nowait((number, message))
        except asyncio.CancelledError:  # the stream was cancelled, not this task, unless the loop ends
            self._items.put_nowait((number, None))
        except (grpc.RpcError, grpc.aio.UsageError) as error:
            self._items.put_nowait((number, error))
        else:
            self._items.put_nowait((number, None))
