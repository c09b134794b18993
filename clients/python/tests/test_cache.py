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


def token(revision: int, **more: object) -> Token:
    return token_of(token_message(revision, f"at-{revision}", **more))


def answers(cache: TokenCache, given: Token, *scopes: str) -> None:
    """AcquireToken answers at once."""
    cache.answered(ADA, given, scopes, cache.reports(ADA))


def expiring(revision: int, expires_s: float) -> Token:
    message = token_message(revision, f"at-{revision}")
    message.expires_at.seconds = int(expires_s)
    return token_of(message)


def held(cache: TokenCache) -> str | None:
    found = cache.hit(ADA)
    return None if found is None else found.access_token


def passes(monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    later = time.monotonic() + seconds
    monkeypatch.setattr("nexusd._core.cache.time.monotonic", lambda: later)


def test_the_newer_of_the_answer_and_the_stream_counts(cache: TokenCache) -> None:
    answers(cache, token(2))
    cache.state(state_message(1).state)
    assert held(cache) == "at-2"
    cache.state(state_message(3, "at-3").state)
    assert held(cache) == "at-3"
    answers(cache, token(4))
    assert held(cache) == "at-4"


def test_an_answer_that_the_stream_overtook_does_not_count(cache: TokenCache) -> None:
    reports = cache.reports(ADA)
    cache.state(state_message(0, None, status=1).state)
    cache.answered(ADA, token(1), (), reports)
    assert held(cache) == "at-1", "what is pending takes nothing away"
    reports = cache.reports(ADA)
    cache.state(state_message(1, None, status=4).state)
    cache.answered(ADA, token(1), (), reports)
    assert held(cache) is None


def test_an_answer_that_no_stream_confirms_counts_for_20_seconds(cache: TokenCache, monkeypatch: pytest.MonkeyPatch) -> None:
    answers(cache, token(2))
    passes(monkeypatch, module.ANSWER_SECONDS - 1)
    assert held(cache) == "at-2"
    passes(monkeypatch, 2)
    assert held(cache) is None


def test_a_state_without_token_takes_it_away(cache: TokenCache) -> None:
    answers(cache, token(5))
    cache.state(state_message(5, None, status=3).state)
    assert held(cache) is None


def test_removed_takes_it_away(cache: TokenCache) -> None:
    cache.state(state_message(1).state)
    answers(cache, token(2))
    cache.removed("c1")
    assert held(cache) is None
    cache.removed("unknown")


def test_a_snapshot_that_was_asked_for_later_ends_the_precedence_of_an_answer(cache: TokenCache, monkeypatch: pytest.MonkeyPatch) -> None:
    """The connection was made anew: its revisions are lower."""
    began_s = time.monotonic()
    answers(cache, token(7))
    cache.state(state_message(1, "at-new").state)
    cache.snapshot_ended({"c1"}, began_s)
    assert held(cache) == "at-7"
    cache.snapshot_ended({"c1"}, time.monotonic())
    assert held(cache) == "at-new"


def test_while_a_stream_lives_the_local_clock_is_not_asked(cache: TokenCache) -> None:
    cache.live = True
    cache.state(state_message(1, expires_s=int(NOW) - 7200).state)
    assert held(cache) == "at-1"
    cache.live = False
    assert held(cache) is None


def test_an_answer_and_without_a_stream_every_token_is_used_until_it_expires(cache: TokenCache) -> None:
    cache.state(state_message(1, expires_s=int(NOW) + 1).state)
    assert held(cache) == "at-1"
    cache.clock = lambda: NOW + 1
    assert held(cache) is None
    cache.live = True
    answers(cache, expiring(2, NOW + 2))
    assert held(cache) == "at-2"
    answers(cache, expiring(2, NOW - 7200))
    assert held(cache) is None


def test_scopes_and_min_ttl_that_are_not_met_are_no_hit(cache: TokenCache) -> None:
    message = token_message(1, granted_scopes=["repo", "user"])
    message.expires_at.seconds = int(NOW) + 60
    answers(cache, token_of(message))
    assert cache.hit(ADA, ["repo"]) is not None
    assert cache.hit(ADA, ["repo", "gist"]) is None
    assert cache.hit(ADA, (), 59) is not None
    assert cache.hit(ADA, (), 61) is None


def test_scopes_that_were_accepted_are_asked_for_again_after_another_grant(cache: TokenCache) -> None:
    answers(cache, token(1, granted_scopes=["read", "mail"]), "repo")
    answers(cache, token(1, granted_scopes=["mail", "read"]), "gist")
    assert cache.hit(ADA, ["repo", "gist", "read"]) is not None
    answers(cache, token(2, granted_scopes=["read"]))
    assert cache.hit(ADA, ["repo"]) is None


def test_nothing_is_left_when_the_stream_is_refused(cache: TokenCache) -> None:
    cache.state(state_message(1).state)
    answers(cache, token(2))
    cache.empty()
    assert held(cache) is None


def test_scopes_that_an_api_says_are_missing_are_asked_for_again(cache: TokenCache) -> None:
    answers(cache, token(1, granted_scopes=["read"]), "repo", "gist")
    cache.lacks(ADA, ["repo"])
    assert held(cache) == "at-1"
    assert cache.hit(ADA, ["gist"]) is not None
    assert cache.hit(ADA, ["repo"]) is None


def test_of_several_connections_the_active_one_counts_that_was_made_first(cache: TokenCache) -> None:
    cache.state(state_message(3, None, connection_id="c0", status=4, created_s=1).state)
    cache.state(state_message(1, "at-b", connection_id="cb", created_s=3).state)
    assert held(cache) == "at-b"
    cache.state(state_message(1, "at-a", connection_id="ca", created_s=2).state)
    assert held(cache) == "at-a"
    cache.state(state_message(2, "at-b2", connection_id="cb", created_s=3).state)
    assert held(cache) == "at-a"
    cache.state(state_message(2, "at-a2", connection_id="ca", created_s=2).state)
    assert held(cache) == "at-a2"
    cache.state(state_message(2, None, connection_id="ca", status=4, created_s=2).state)
    assert held(cache) == "at-b2"


def test_names_beyond_a_thousand_are_not_cached(cache: TokenCache) -> None:
    for number in range(2000):
        cache.want(Name("github", str(number), ""))
    assert len(cache.names()) == module.MAX_NAMES
    other = Name("github", "1999", "")
    cache.answered(other, token(1), (), 0)
    assert cache.hit(other) is None


def test_no_token_prints_its_secrets() -> None:
    assert "at-1" not in f"{token(1)} {token(1)!r}"
