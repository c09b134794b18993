"""Ends a blocking call from another thread."""

from __future__ import annotations

import threading
from collections.abc import Callable


class Cancellation:
    """Given to a call of `Nexus`; `cancel()`, from any thread, ends the call with `Cancelled`. (asyncio cancels tasks by itself.)"""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._is_cancelled = False
        self._listeners: set[Callable[[], None]] = set()

    def cancel(self) -> None:
        """Ends the calls that have it, those under way and those to come."""
        with self._lock:
            self._is_cancelled = True
            listeners = list(self._listeners)
        for listener in listeners:
            listener()

    @property
    def is_cancelled(self) -> bool:
        return self._is_cancelled

    def _listen(self, listener: Callable[[], None]) -> Callable[[], None]:
        with self._lock:
            self._listeners.add(listener)
        return lambda: self._listeners.discard(listener)
