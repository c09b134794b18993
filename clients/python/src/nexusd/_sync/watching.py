"""`Nexus.watch`: the events of a stream of its own."""

from __future__ import annotations

import queue
from collections.abc import Iterator, Sequence

from nexusd._core.subjects import WatchedIds
from nexusd._core.watch import Watch
from nexusd._sync.session import Session
from nexusd._sync.watcher import Watcher
from nexusd.errors import Cancelled, NexusError
from nexusd.tokens import WatchEvent


def watch_events(session: Session, connection_ids: Sequence[str]) -> Iterator[WatchEvent]:
    events: queue.SimpleQueue[WatchEvent | NexusError] = queue.SimpleQueue()
    watch = Watch(WatchedIds(connection_ids, events.put))
    watcher = Watcher(watch, session.open_stream, on_stopped=lambda error: events.put(session.error_from(error)))
    leave = session.on_close(lambda: events.put(Cancelled("the client is closed")))
    watcher.changed()
    try:
        while True:
            event = events.get()
            if isinstance(event, NexusError):
                raise event
            yield event
    finally:
        leave()
        watcher.stop()
