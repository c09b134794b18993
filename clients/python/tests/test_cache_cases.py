"""test/clients/cache_cases.json, which the clients of all languages play."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from conftest import token_message

from nexusd._core.cache import TokenCache
from nexusd._core.messages import token_of
from nexusd._core.names import Name
from nexusd._proto import token_pb2

CASES = json.loads((Path(__file__).parents[3] / "test/clients/cache_cases.json").read_text())["cases"]
STATUSES = ("UNSPECIFIED", "PENDING", "ACTIVE", "ATTENTION", "REVOKED", "EXPIRED", "FAILED")
ADA = Name("github", "ada", "")
START = 1_800_000_000


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_the_cache(case: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    now = START
    monkeypatch.setattr("nexusd._core.cache.time.monotonic", lambda: now)
    cache = TokenCache()
    cache.clock = lambda: now
    cache.want(ADA)
    calls = {}
    for step in case["steps"]:
        if "pass_s" in step:
            now += step["pass_s"]
        elif "live" in step:
            cache.live = step["live"]
        elif "call" in step:
            calls[step["call"]] = cache.reports(ADA)
        elif "answer" in step:
            reports = calls.get(step.get("of"), cache.reports(ADA))
            cache.answered(ADA, token_of(message(now, **step["answer"])), step.get("scopes", ()), reports)
        elif "state" in step:
            cache.state(state(now, **step["state"]))
        elif "removed" in step:
            cache.removed(step["removed"])
        elif "snapshot" in step:
            cache.live = True
            cache.snapshot_ended(set(step["snapshot"]), now - step["asked_s_ago"])
        elif "lacks" in step:
            cache.lacks(ADA, step["lacks"])
        elif "refused" in step:
            cache.empty()
        else:
            wish = step["find"]
            found = cache.hit(ADA, wish.get("scopes", ()), wish.get("min_ttl_s", 0))
            assert (found and found.revision) == step["gives"], step


def message(now: int, revision: int, granted: tuple[str, ...] = ("read",), expires_s: int | None = None) -> token_pb2.Token:
    made = token_message(revision, granted_scopes=granted)
    if expires_s is not None:
        made.expires_at.seconds = now + expires_s
    return made


def state(now: int, revision: int, id: str = "c", status: str = "ACTIVE", made_s: int = 1, **token: Any) -> token_pb2.TokenState:  # noqa: A002
    made = token_pb2.TokenState(connection_id=id, user_id="ada", provider_name="github", revision=revision)
    made.status = STATUSES.index(status)  # type: ignore[assignment]
    made.created_at.seconds = made_s
    if status == "ACTIVE":
        made.token.CopyFrom(message(now, revision, **token))
    return made
