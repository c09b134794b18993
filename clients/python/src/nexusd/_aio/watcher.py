"""Performs the decisions of `Watch` with tasks of asyncio: one that decides, and one for each stream that reads."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import TypeAlias

import grpc
import grpc.aio
from google.protobuf.message import Message

from nexusd._core.performer import Changed, Item, Performer, Stop, Wake, Worked
from nexusd._core.watch import Watch
from nexusd._proto import token_pb2

AioStream: TypeAlias = "grpc.aio.UnaryStreamCall[Message, token_pb2.WatchTokensResponse]"


class AioWatcher(Performer["AioStream"]):
    """Keeps a `Watch` alive in the running loop, from the first `changed` until `stop`."""

    def __init__(
        self,
        watch: Watch,
        open_stream: Callable[[token_pb2.WatchTokensRequest], AioStream],
        on_stopped: Callable[[Exception], object] = lambda _error: None,
    ) -> None:
        super().__init__(watch, open_stream, on_stopped)
        self._items: asyncio.Queue[Item] = asyncio.Queue()
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
                if self._items.empty():
                    self._look()
        finally:
            self._cancel_all()

    async def _next_item(self) -> Item:
        wake_at = self._watch.wake_at()
        if wake_at is None:
            return await self._items.get()
        delay = max(0.0, wake_at - time.monotonic())
        timer = asyncio.get_running_loop().call_later(delay, self._items.put_nowait, Wake())
        try:
            return await self._items.get()
        finally:
            timer.cancel()

    def _start_reader(self, number: int, stream: AioStream) -> None:
        reader = asyncio.create_task(self._read(number, stream), name=f"nexusd-stream-{number}")
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
