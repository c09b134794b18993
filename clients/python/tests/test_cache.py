"""What a table for all languages cannot say of the cache: test_cache_cases.py plays that."""

from __future__ import annotations

from conftest import token_message

from nexusd._core import cache as module
from nexusd._core.cache import TokenCache
from nexusd._core.messages import token_of
from nexusd._core.names import Name


def test_names_beyond_a_thousand_are_not_cached() -> None:
    cache = TokenCache()
    for number in range(2000):
        cache.want(Name("github", str(number), ""))
    assert len(cache.names()) == module.MAX_NAMES
    other = Name("github", "1999", "")
    cache.answered(other, token_of(token_message()), (), 0)
    assert cache.hit(other) is None


def test_no_token_prints_its_secrets() -> None:
    token = token_of(token_message())
    assert "at-1" not in f"{token} {token!r}"
