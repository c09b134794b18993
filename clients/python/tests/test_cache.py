"""What a name's callers get, from answers and states in every order."""

from __future__ import annotations

import time

import pytest
from conftest import state_message, token_message

from nexusd._core import cache as module
from nexusd._core.cache import TokenCache
from nexusd._core.messages import token_of
from nexusd._core.names import Name
from nexusd.tokens import Token

ADA = Name("github", "ada", "")
NOW = 1_800_000_000.0


@pytest.fixture
def cache() -> TokenCache:
    cache = TokenCache()
    cache.clock = lambda: NOW
    cache.want(ADA)
    return cache


def answer(revision: int, **more: object) -> Token:
    return token_of(token_message(revision, f"at-{revision}", **more))


def expiring(revision: int, expires_s: float) -> Token:
    message = token_message(revision, f"at-{revision}")
    message.expires_at.seconds = int(expires_s)
    return token_of(message)


def held(cache: TokenCache) -> str | None:
    token = cache.hit(ADA)
    return None if token is None else token.value


def passes(monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    later = time.monotonic() + seconds
    monkeypatch.setattr("nexusd._core.cache.time.monotonic", lambda: later)


def test_the_newer_revision_counts_in_either_order(cache: TokenCache) -> None:
    cache.answered(ADA, answer(2), time.monotonic())
    cache.state(state_message(1).state)
    assert held(cache) == "at-2"
    cache.state(state_message(3, "at-3").state)
    assert held(cache) == "at-3"
    cache.live = True
    cache.answered(ADA, answer(2), time.monotonic())
    assert held(cache) == "at-3"
    cache.answered(ADA, answer(4), time.monotonic())
    assert held(cache) == "at-4"


def test_an_older_answer_that_comes_later_does_not_count(cache: TokenCache) -> None:
    asked_s = time.monotonic()
    cache.answered(ADA, answer(3), asked_s)
    cache.answered(ADA, answer(2), asked_s)
    assert held(cache) == "at-3"


def test_a_state_without_token_takes_it_away(cache: TokenCache) -> None:
    cache.answered(ADA, answer(5), time.monotonic())
    cache.state(state_message(5, None, status=3).state)
    assert held(cache) is None


def test_removed_takes_it_away(cache: TokenCache) -> None:
    cache.state(state_message(1).state)
    cache.removed("c1")
    assert held(cache) is None
    cache.removed("unknown")


def test_a_bookmark_ends_the_precedence_of_an_answer(cache: TokenCache, monkeypatch: pytest.MonkeyPatch) -> None:
    """The connection was made anew: its revisions are lower."""
    cache.answered(ADA, answer(7), time.monotonic())
    cache.state(state_message(1, "at-new").state)
    cache.bookmark([ADA])
    assert held(cache) == "at-7"
    passes(monkeypatch, 2)
    cache.bookmark([ADA])
    assert held(cache) == "at-new"


def test_while_a_stream_lives_the_local_clock_is_not_asked(cache: TokenCache, monkeypatch: pytest.MonkeyPatch) -> None:
    cache.state(state_message(1, expires_s=int(NOW) - 7200).state)
    assert held(cache) == "at-1", "the snapshot goes on: its bookmark is to come"
    cache.live = True
    passes(monkeypatch, 100)
    assert held(cache) == "at-1"
    cache.live = False
    assert held(cache) is None


def test_without_a_stream_a_token_is_used_until_it_expires(cache: TokenCache, monkeypatch: pytest.MonkeyPatch) -> None:
    cache.state(state_message(1, expires_s=int(NOW) + 1).state)
    assert held(cache) == "at-1"
    cache.clock = lambda: NOW + 1
    passes(monkeypatch, module.TRUSTED_SECONDS + 1)
    assert held(cache) is None
    cache.answered(ADA, expiring(2, NOW - 7200), time.monotonic())
    assert held(cache) == "at-2", "what the daemon said just now counts, whatever the clock says"
    passes(monkeypatch, module.TRUSTED_SECONDS + 1)
    assert held(cache) is None


def test_scopes_and_min_ttl_that_are_not_met_are_no_hit(cache: TokenCache) -> None:
    message = token_message(1, granted_scopes=["repo", "user"])
    message.expires_at.seconds = int(NOW) + 60
    cache.answered(ADA, token_of(message), time.monotonic())
    assert cache.hit(ADA, ["repo"]) is not None
    assert cache.hit(ADA, ["repo", "gist"]) is None
    assert cache.hit(ADA, (), 59) is not None
    assert cache.hit(ADA, (), 61) is None


def test_skips_once(cache: TokenCache) -> None:
    cache.state(state_message(1).state)
    cache.skip_once(ADA)
    assert held(cache) is None
    cache.consent_answered(ADA)
    assert held(cache) == "at-1"


def test_of_several_connections_the_active_one_counts_and_of_active_ones_what_acquire_gave(cache: TokenCache) -> None:
    cache.state(state_message(3, None, connection_id="c0", status=4).state)
    cache.state(state_message(1, "at-b", connection_id="cb").state)
    assert held(cache) == "at-b"
    cache.state(state_message(1, "at-a", connection_id="ca").state)
    cache.answered(ADA, token_of(token_message(1, "at-a")), time.monotonic())
    cache.state(state_message(1, "at-a", connection_id="ca").state)
    assert held(cache) == "at-a"
    cache.state(state_message(2, "at-b2", connection_id="cb").state)
    assert held(cache) == "at-a"
    cache.state(state_message(2, "at-a2", connection_id="ca").state)
    assert held(cache) == "at-a2"
    cache.state(state_message(2, None, connection_id="ca", status=4).state)
    assert held(cache) == "at-b2"


def test_names_beyond_a_thousand_are_not_cached(cache: TokenCache) -> None:
    for number in range(2000):
        cache.want(Name("github", str(number), ""))
    assert len(cache.names()) == module.MAX_NAMES
    other = Name("github", "1999", "")
    cache.answered(other, answer(1), time.monotonic())
    assert cache.hit(other) is None


def test_no_token_prints_its_secrets() -> None:
    assert "at-1" not in f"{answer(1)} {answer(1)!r}"
