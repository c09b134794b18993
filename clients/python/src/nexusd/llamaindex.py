"""Tools of LlamaIndex that need a user's account.

    @needs("github", scopes=["repo"])
    async def list_repos(account: Account) -> str: ...

The user is `user` in the store of the context. Where the user must consent first the tool waits for an event, and the stream has a
`ConsentRequested` with the link. `answer` shows it, waits for the user, and sends the event that resumes the tool.
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

from llama_index.core.workflow import Context, Event, HumanResponseEvent, InputRequiredEvent
from workflows.handler import WorkflowHandler
from workflows.runtime.types.results import WaitingForEvent

from nexusd._async_nexus import AsyncNexus
from nexusd._needs import Account, Body, Need, Show, Tool, asked_of, bind, need, no_user, parameter, run, settle
from nexusd.errors import ConsentRequired

__all__ = ["Account", "ConsentAnswered", "ConsentRequested", "answer", "needs", "user_of"]


class ConsentRequested(InputRequiredEvent):
    """A call waits for a user. Keep `model_dump()` with the context to resume the run in another process."""

    #: Names the wait.
    wait: str
    #: What the user must open, and for whom: `url`, `provider`, `user`, `label`, `scopes` and `reason`.
    asks: dict[str, Any]


class ConsentAnswered(HumanResponseEvent):
    """Resumes the call of a `ConsentRequested`."""

    wait: str
    #: Whether the user consented.
    is_given: bool


async def user_of(ctx: Context) -> str:
    user: str | None = await ctx.store.get("user", default=None)
    return user or no_user("`user` in ctx.store")


UserOf = Callable[[Context], Awaitable[str] | str]


def needs(
    provider: str,
    *,
    scopes: Iterable[str] = (),
    label: str = "",
    nexus: AsyncNexus | None = None,
    user: UserOf = user_of,
) -> Callable[[Tool], Tool]:
    """A tool with the argument `account`, which no model sees. After a consent it runs again from its beginning."""

    async def call(ctx: Context, body: Body) -> object:
        name = await _user(ctx, user)
        needed: Need[Context] = need(provider, label, scopes, nexus, lambda _: name)
        account = needed.account(ctx)
        call_name, over = await _call_name(ctx), 0
        # Each answer is taken again by the call that it resumed: one that is left would resume the call once more.
        while (answered := await _answered(ctx, f"{call_name}:{over}")) is not None:
            if not answered.is_given:
                return account.declined
            over += 1

        async def pause(account: Account, error: ConsentRequired) -> None:
            wait = f"{call_name}:{over}"
            event = ConsentRequested(wait=wait, asks=account.asks(error))
            await ctx.wait_for_event(ConsentAnswered, event, wait, {"wait": wait}, timeout=None)

        return await run(account, body, pause)

    return lambda function: bind(function, parameter("ctx", Context), call)


async def _user(ctx: Context, user: UserOf) -> str:
    found = user(ctx)
    return await found if inspect.isawaitable(found) else found


async def _call_name(ctx: Context) -> str:
    """The workflow names a wait after the call that waits, also when that is repeated. This one is only looked at: it never begins."""
    try:
        await ctx.wait_for_event(ConsentAnswered, requirements={"wait": ""})
    except WaitingForEvent as never:
        return never.add.waiter_id
    raise AssertionError("an event was sent for no wait")


async def _answered(ctx: Context, wait: str) -> ConsentAnswered | None:
    try:
        return await ctx.wait_for_event(ConsentAnswered, waiter_id=wait)
    except WaitingForEvent:
        return None


async def answer(
    event: Event,
    handler: WorkflowHandler,
    *,
    on_consent: Show,
    nexus: AsyncNexus | None = None,
    user: UserOf = user_of,
    timeout: float | None = None,
) -> None:
    """Shows the link of an event of a run's stream, waits for the user, and resumes the tool. Does nothing with other events."""
    if not isinstance(event, ConsentRequested):
        return
    asked = asked_of(event.asks, await _user(handler.ctx, user), nexus)
    if asked is not None:
        [is_given] = await settle([asked], on_consent, timeout)
        handler.ctx.send_event(ConsentAnswered(wait=event.wait, is_given=is_given))
