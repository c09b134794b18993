"""The rules for clients of WatchTokens (proto/nexus/v1/token.proto), as decisions over time.

A driver performs what `due` answers, tells what came of it, and looks again at `wake_at`. Times are seconds of the monotonic clock.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, TypeAlias

import grpc

from nexusd._core.status import PERMANENT
from nexusd._proto import token_pb2

#: An idle stream carries a bookmark so often.
BOOKMARK_SECONDS = 10
#: A stream that carried nothing for so long is dead (rule 6).
SILENCE_SECONDS = 3.0 * BOOKMARK_SECONDS
#: New names wait so long for others before a stream is opened for all of them.
DEBOUNCE_SECONDS = 0.1
#: What cannot work before a person changes something is tried again after so long, and only when a call has worked meanwhile.
STOPPED_SECONDS = 60.0


class Backoff:
    """Exponential with full jitter (rule 2)."""

    FIRST, LONGEST = 0.1, 10.0

    def __init__(self, uniform: Callable[[float, float], float] = random.uniform) -> None:
        self._uniform = uniform
        self._failures = 0

    def reset(self) -> None:
        self._failures = 0

    def delay(self) -> float:
        """Seconds to wait before the next attempt."""
        longest = min(self.LONGEST, self.FIRST * 2 ** min(self._failures, 10))
        self._failures += 1
        return self._uniform(0, longest)


@dataclass(frozen=True)
class Open:
    """Open a stream, and tell what it brings by `received` and `ended` with this number."""

    number: int
    request: token_pb2.WatchTokensRequest


@dataclass(frozen=True)
class Cancel:
    """Cancel the stream of this number. What it still brings is ignored."""

    number: int


Action: TypeAlias = Open | Cancel


class Subject(Protocol):
    """What is watched."""

    def request(self) -> token_pb2.WatchTokensRequest:
        """Without position and interval."""

    def took(self, stream: Stream, message: token_pb2.WatchTokensResponse) -> None:
        """Takes a message of a stream that counts."""

    def lives(self, is_living: bool) -> None:
        """A stream lives, or none does."""

    def refused(self) -> None:
        """No stream lives, and none will before a person changes something."""


@dataclass
class Stream:
    """One call of WatchTokens."""

    number: int
    opened_s: float
    last_s: float
    #: What a snapshot has named so far; None outside of one.
    named: set[str] | None
    has_spoken: bool = False
    drain_delay: float | None = None


class Watch:
    """One stream that lives on, over as many calls as it takes."""

    def __init__(self, subject: Subject, backoff: Backoff | None = None) -> None:
        self._subject = subject
        self._backoff = backoff or Backoff()
        self._current: Stream | None = None
        # Takes the place of `current` at its first message.
        self._next: Stream | None = None
        self._number = 0
        self._open_at: float | None = None
        self._position: token_pb2.Position | None = None
        self._stopped_s: float | None = None
        #: The status that no other attempt changes (rule 5); None while it goes on.
        self.stopped: grpc.StatusCode | None = None

    def changed(self, now: float) -> None:
        """What is watched has grown: what the new part had before is not in what changed since the position."""
        self._position = None
        self.stopped = None
        if self._open_at is None:
            self._open_at = now + DEBOUNCE_SECONDS

    def call_worked(self, now: float) -> None:
        """Another call was answered: what stopped the stream may be mended."""
        if self.stopped is not None and self._stopped_s is not None and now - self._stopped_s > STOPPED_SECONDS:
            self.stopped = None
            self._open_at = now

    def due(self, now: float) -> list[Action]:
        actions: list[Action] = []
        for stream in (self._current, self._next):
            if stream is not None and now - stream.last_s >= SILENCE_SECONDS:
                actions.append(Cancel(stream.number))
                self.ended(stream.number, grpc.StatusCode.DEADLINE_EXCEEDED, now)
        if self._open_at is not None and self._open_at <= now and self.stopped is None:
            self._open_at = None
            if self._next is not None:
                actions.append(Cancel(self._next.number))
                self._next = None
            actions.append(self._open(now))
        return actions

    def wake_at(self) -> float | None:
        """When `due` may have something; None for when something happens."""
        times = [stream.last_s + SILENCE_SECONDS for stream in (self._current, self._next) if stream is not None]
        if self._open_at is not None and self.stopped is None:
            times.append(self._open_at)
        return min(times, default=None)

    def received(self, number: int, message: token_pb2.WatchTokensResponse, now: float) -> list[Action]:
        actions: list[Action] = []
        if self._next is not None and number == self._next.number:
            if self._current is not None:
                actions.append(Cancel(self._current.number))
            self._current, self._next = self._next, None
        stream = self._current
        if stream is None or number != stream.number:
            return actions
        stream.last_s = now
        stream.has_spoken = True
        self._backoff.reset()
        kind = message.WhichOneof("event")
        if kind == "state" and stream.named is not None:
            stream.named.add(message.state.connection_id)
        elif kind == "reset":
            self._position, stream.named = None, set()
        elif kind == "drain":
            delay = message.drain.reconnect_delay
            stream.drain_delay = delay.seconds + delay.nanos / 1e9
        self._subject.took(stream, message)
        if kind == "bookmark":
            # A position of what was watched before is none of what is watched since.
            if self._open_at is None and self._next is None:
                self._position = message.bookmark.position
            stream.named = None
            self._subject.lives(True)
        return actions

    def ended(self, number: int, code: grpc.StatusCode, now: float) -> None:
        """The stream is over: reconnect, whatever the status, but for those of rule 5."""
        if self._next is not None and number == self._next.number:
            stream, self._next = self._next, None
        elif self._current is not None and number == self._current.number:
            stream, self._current = self._current, None
            self._subject.lives(False)
            if self._next is not None:
                return
        else:
            return
        if code in PERMANENT:
            self.stopped, self._stopped_s = code, now
            if self._current is None:
                self._subject.refused()
            return
        delay = self._backoff.delay()
        self._open_at = now + (delay if stream.drain_delay is None else stream.drain_delay)

    def _open(self, now: float) -> Open:
        self._number += 1
        request = self._subject.request()
        request.bookmark_interval.seconds = BOOKMARK_SECONDS
        if self._position is not None:
            request.position.CopyFrom(self._position)
        stream = Stream(self._number, now, now, None if self._position else set())
        if self._current is None:
            self._current = stream
        else:
            self._next = stream
        return Open(stream.number, request)
