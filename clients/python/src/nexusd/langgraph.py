"""Tools of LangGraph and LangChain that need a user's account.

    @tool
    @needs("github", scopes=["repo"])
    async def list_repos(account: Account) -> str: ...

The user is `config["configurable"]["user_id"]`. Where the user must consent first the graph is interrupted with the link. `run` shows it,
waits, and resumes; `answer` makes the command that resumes a graph which is run in another way.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from langchain_core.runnables import RunnableConfig
from langgraph.types import Command, Interrupt, interrupt

from nexusd._async_nexus import AsyncNexus
from nexusd._needs import KIND, Account, Answer, Body, Show, Tool, asked_of, bind, need, no_user, parameter, settle
from nexusd._needs import run as run_tool
from nexusd.errors import ConsentRequired

__all__ = ["Account", "answer", "needs", "run", "user_of"]


def user_of(config: RunnableConfig) -> str:
    user: str | None = config.get("configurable", {}).get("user_id")
    return user or no_user('config["configurable"]["user_id"]')


def needs(
    provider: str,
    *,
    scopes: Iterable[str] = (),
    label: str = "",
    nexus: AsyncNexus | None = None,
    user: Callable[[RunnableConfig], str] = user_of,
) -> Callable[[Tool], Tool]:
    """A tool with the argument `account`, which no model sees. After a consent it runs again from its beginning."""
    needed = need(provider, label, scopes, nexus, user)

    async def call(config: RunnableConfig, body: Body) -> object:
        return await run_tool(needed.account(config), body, _pause)

    return lambda function: bind(function, parameter("config", RunnableConfig), call)


async def _pause(account: Account, error: ConsentRequired) -> None:
    if not interrupt(account.asks(error)):
        raise Answer(account.declined)


def consents(pending: Iterable[Interrupt]) -> list[Interrupt]:
    """The interrupts that wait for a consent."""
    return [each for each in pending if isinstance(each.value, dict) and each.value.get("kind") == KIND]


async def answer(
    pending: Sequence[Interrupt],
    config: RunnableConfig,
    *,
    on_consent: Show,
    nexus: AsyncNexus | None = None,
    user: Callable[[RunnableConfig], str] = user_of,
    timeout: float | None = None,
) -> Command[Any]:
    """Shows the links of a graph's interrupts, waits for the user, and returns what resumes the graph."""
    asked = {each.id: found for each in pending if (found := asked_of(each.value, user(config), nexus))}
    return Command(resume=dict(zip(asked, await settle(list(asked.values()), on_consent, timeout), strict=True)))


async def run(graph: Any, given: Any, config: RunnableConfig, *, on_consent: Show, **options: Any) -> Any:
    """`graph.ainvoke`, which resumes by itself once the user has consented. With `given` None it takes up an interrupted run.

    Returns where the graph ends, or where it waits for something else.
    """
    while True:
        state = await graph.ainvoke(given, config)
        pending = consents(state.get("__interrupt__", ()))
        if not pending:
            return state
        given = await answer(pending, config, on_consent=on_consent, **options)
