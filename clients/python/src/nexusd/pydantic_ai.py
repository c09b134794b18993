"""Tools of Pydantic AI that need a user's account.

    @agent.tool
    @needs("github", scopes=["repo"])
    async def list_repos(ctx: RunContext[Deps], account: Account) -> str: ...

The user is `ctx.deps.user`. Where the user must consent first the call is deferred, with the link in its metadata. An agent with the
capability `asks(on_consent)` shows it, waits, and goes on; else the run ends with `DeferredToolRequests`, and `answer` makes its results.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from pydantic_ai import ApprovalRequired, DeferredToolRequests, DeferredToolResults, RunContext, ToolDenied
from pydantic_ai.capabilities import HandleDeferredToolCalls

from nexusd._async_nexus import AsyncNexus
from nexusd._needs import Account, Body, Show, Tool, asked_of, bind, need, no_user, parameter, run, settle
from nexusd.errors import ConsentRequired

__all__ = ["Account", "answer", "asks", "needs", "user_of"]


def user_of(ctx: RunContext[Any]) -> str:
    user: str | None = getattr(ctx.deps, "user", None)
    return user or no_user("deps.user")


def needs(
    provider: str,
    *,
    scopes: Iterable[str] = (),
    label: str = "",
    nexus: AsyncNexus | None = None,
    user: Callable[[RunContext[Any]], str] = user_of,
) -> Callable[[Tool], Tool]:
    """A tool with the argument `account`, which no model sees. After a consent it runs again from its beginning."""
    needed = need(provider, label, scopes, nexus, user)

    async def call(ctx: RunContext[Any], body: Body) -> object:
        return await run(needed.account(ctx), body, _pause)

    return lambda function: bind(function, parameter("ctx", RunContext[Any]), call)


async def _pause(account: Account, error: ConsentRequired) -> None:
    raise ApprovalRequired(metadata=account.asks(error))


async def answer(
    requests: DeferredToolRequests,
    user: str,
    *,
    on_consent: Show,
    nexus: AsyncNexus | None = None,
    timeout: float | None = None,
) -> DeferredToolResults:
    """Shows the links of a run's requests, waits for the user, and returns the results of these requests. Others are left out."""
    asked = {call: found for call, meta in requests.metadata.items() if (found := asked_of(meta, user, nexus))}
    consented = await settle(list(asked.values()), on_consent, timeout)
    results = DeferredToolResults()
    for (call, each), is_given in zip(asked.items(), consented, strict=True):
        results.approvals[call] = True if is_given else ToolDenied(each.account.declined)
    return results


def asks(
    on_consent: Show,
    *,
    nexus: AsyncNexus | None = None,
    user: Callable[[RunContext[Any]], str] = user_of,
    timeout: float | None = None,
) -> HandleDeferredToolCalls[Any]:
    """A capability of an agent whose runs wait for the user."""

    async def handle(ctx: RunContext[Any], requests: DeferredToolRequests) -> DeferredToolResults:
        return await answer(requests, user(ctx), on_consent=on_consent, nexus=nexus, timeout=timeout)

    return HandleDeferredToolCalls(handler=handle)
