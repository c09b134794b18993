"""The rules for clients in the comment of WatchTokens, with a clock of the test's own."""

from __future__ import annotations

import grpc
import pytest
from conftest import bookmark_message, state_message

from nexusd._core.cache import TokenCache
from nexusd._core.names import Name
from nexusd._core.subjects import CachedNames
from nexusd._core.watch import DEBOUNCE_SECONDS, SILENCE_SECONDS, STOPPED_SECONDS, Action, Backoff, Cancel, Open, Watch
from nexusd._proto import token_pb2

ADA, BOB = Name("github", "ada", ""), Name("github", "bob", "")
UNAVAILABLE = grpc.StatusCode.UNAVAILABLE


class Play:
    """A watch whose backoff is always the longest."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.cache = TokenCache()
        self.watch = Watch(CachedNames(self.cache), Backoff(lambda _low, high: high))

    def wants(self, name: Name) -> None:
        assert self.cache.want(name)
        self.watch.changed(self.now)

    def passes(self, seconds: float) -> list[Action]:
        self.now += seconds
        return self.watch.due(self.now)

    def opens(self, seconds: float = DEBOUNCE_SECONDS) -> Open:
        """The stream that is opened after so long, and not before."""
        assert not [each for each in self.passes(seconds * 0.99) if isinstance(each, Open)]
        opened = [each for each in self.passes(seconds * 0.02) if isinstance(each, Open)]
        assert len(opened) == 1
        return opened[0]

    def receives(self, number: int, message: token_pb2.WatchTokensResponse) -> list[Action]:
        return self.watch.received(number, message, self.now)

    def token(self, name: Name = ADA) -> str | None:
        token = self.cache.hit(name)
        return None if token is None else token.access_token


@pytest.fixture
def play() -> Play:
    play = Play()
    play.wants(ADA)
    return play


def test_opens_with_the_names_and_without_position(play: Play) -> None:
    request = play.opens().request
    assert [name.user_id for name in request.names] == ["ada"]
    assert not request.HasField("position")
    assert request.bookmark_interval.seconds == 10


def test_backs_off_exponentially_to_ten_seconds_and_anew_after_a_message(play: Play) -> None:
    number = play.opens().number
    for expected in [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 10, 10, 10]:
        play.watch.ended(number, UNAVAILABLE, play.now)
        number = play.opens(expected).number
    play.receives(number, bookmark_message())
    play.watch.ended(number, grpc.StatusCode.OK, play.now)
    play.opens(0.1)


def test_the_jitter_is_full() -> None:
    delays = []
    for _ in range(2000):
        backoff = Backoff()
        backoff.delay()
        delays.append(backoff.delay())
    assert min(delays) < 0.01
    assert max(delays) > 0.19
    assert 0.09 < sum(delays) / len(delays) < 0.11


def test_waits_as_long_as_drain_says(play: Play) -> None:
    number = play.opens().number
    message = token_pb2.WatchTokensResponse()
    message.drain.reconnect_delay.seconds = 3
    play.receives(number, message)
    play.watch.ended(number, grpc.StatusCode.OK, play.now)
    play.opens(3)


def test_resumes_at_the_last_bookmark_and_not_after_a_reset(play: Play) -> None:
    number = play.opens().number
    play.receives(number, bookmark_message(41))
    play.receives(number, bookmark_message(42))
    play.watch.ended(number, UNAVAILABLE, play.now)
    opened = play.opens(0.1)
    assert (opened.request.position.epoch, opened.request.position.revision) == ("e", 42)
    message = token_pb2.WatchTokensResponse()
    message.reset.reason = "epoch_changed"
    play.receives(opened.number, message)
    play.watch.ended(opened.number, UNAVAILABLE, play.now)
    assert not play.opens(0.1).request.HasField("position")


@pytest.mark.parametrize("code", ["INVALID_ARGUMENT", "UNAUTHENTICATED", "PERMISSION_DENIED", "UNIMPLEMENTED"])
def test_does_not_repeat_what_stays_the_same(play: Play, code: str) -> None:
    number = play.opens().number
    play.watch.ended(number, grpc.StatusCode[code], play.now)
    assert play.watch.wake_at() is None
    assert play.passes(3600) == []
    play.watch.call_worked(play.now)
    assert [type(each) for each in play.passes(0)] == [Open]


def test_a_stream_that_is_refused_takes_all_away(play: Play) -> None:
    number = play.opens().number
    play.receives(number, state_message(1))
    assert play.token() == "at-1"
    play.watch.ended(number, grpc.StatusCode.PERMISSION_DENIED, play.now)
    assert play.token() is None


def test_a_call_that_works_does_not_open_a_stopped_stream_at_once(play: Play) -> None:
    play.watch.ended(play.opens().number, grpc.StatusCode.UNAUTHENTICATED, play.now)
    play.passes(STOPPED_SECONDS - 1)
    play.watch.call_worked(play.now)
    assert play.passes(0) == []


def test_a_silent_stream_is_cancelled_and_opened_again(play: Play) -> None:
    number = play.opens().number
    play.receives(number, bookmark_message())
    assert play.cache.live
    assert play.passes(SILENCE_SECONDS - 0.1) == []
    assert play.passes(0.2) == [Cancel(number)]
    assert not play.cache.live
    assert play.opens(0.1).request.position.revision == 7


def test_a_new_name_opens_a_stream_of_all_while_the_old_one_goes_on(play: Play) -> None:
    first = play.opens().number
    play.receives(first, state_message(1))
    play.receives(first, bookmark_message())
    play.wants(BOB)
    opened = play.opens()
    assert [name.user_id for name in opened.request.names] == ["ada", "bob"]
    assert not opened.request.HasField("position")
    play.receives(first, state_message(2, "at-2"))
    assert play.token() == "at-2"
    play.receives(first, bookmark_message(99))
    assert play.receives(opened.number, state_message(3, "at-3")) == [Cancel(first)]
    assert play.cache.live
    play.watch.ended(first, grpc.StatusCode.CANCELLED, play.now)
    play.receives(first, state_message(9, "at-9"))
    assert play.token() == "at-3"
    # The position of the old stream is none of the new one.
    play.watch.ended(opened.number, UNAVAILABLE, play.now)
    assert not play.opens(0.1).request.HasField("position")


def test_several_new_names_open_one_stream(play: Play) -> None:
    first = play.opens().number
    play.receives(first, bookmark_message())
    play.wants(BOB)
    play.passes(DEBOUNCE_SECONDS / 2)
    play.wants(Name("github", "eve", ""))
    assert len(play.opens(DEBOUNCE_SECONDS / 2).request.names) == 3
    assert play.watch.wake_at() == pytest.approx(play.now + SILENCE_SECONDS, abs=1)


def test_a_new_stream_that_fails_leaves_the_old_one(play: Play) -> None:
    first = play.opens().number
    play.receives(first, bookmark_message())
    play.wants(BOB)
    second = play.opens().number
    play.watch.ended(second, grpc.StatusCode.RESOURCE_EXHAUSTED, play.now)
    play.receives(first, state_message(4, "at-4"))
    assert play.token() == "at-4"
    assert play.cache.live
    assert not play.opens(0.1).request.HasField("position")


def test_a_snapshot_takes_away_what_it_does_not_name(play: Play) -> None:
    number = play.opens().number
    play.receives(number, state_message(1))
    play.receives(number, bookmark_message())
    play.watch.ended(number, UNAVAILABLE, play.now)
    assert play.token() == "at-1"
    number = play.opens(0.1).number
    message = token_pb2.WatchTokensResponse()
    message.reset.reason = "position_too_old"
    play.receives(number, message)
    assert play.token() == "at-1"
    play.receives(number, bookmark_message())
    assert play.token() is None


def test_ignores_an_event_that_it_does_not_know(play: Play) -> None:
    number = play.opens().number
    # A field of a newer contract: number 60, a message.
    assert play.receives(number, token_pb2.WatchTokensResponse.FromString(b"\xe2\x03\x02\x08\x01")) == []
    play.receives(number, state_message(1))
    assert play.token() == "at-1"
