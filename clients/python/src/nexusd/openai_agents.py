"""Tools of the OpenAI Agents SDK that need a user's account.

    @needs("github", scopes=["repo"])
    async def list_repos(account: Account) -> str: ...

The decorator makes the tool. The user is that of the run's context: `context.user`, or `context["user"]`. Where the user must consent
first the call needs an approval, so that the run ends with `result.interruptions`: `answer` shows the link, waits, and decides.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from agents import FunctionTool, RunContextWrapper, RunState, function_tool

from nexusd._async_nexus import AsyncNexus
from nexusd._needs import Account, Approval, Asked, Body, Show, Tool, bind, need, no_user, parameter, settle
from nexusd.errors import ConsentRequired

__all__ = ["Account", "answer", "needs", "user_of"]


def user_of(context: Any) -> str:
    found: str | None = context.get("user") if isinstance(context, Mapping) else getattr(context, "user", None)
    return found or no_user("context.user")


class _Approval(Approval[Any]):
    """Whether a call needs the user's consent first."""

    async def __call__(self, wrapper: RunContextWrapper[Any], _arguments: object, _call_id: str) -> bool:
        try:
            await self.account(wrapper.context).token()
        except ConsentRequired as error:
            if not error.auth_url and not error.user_code:
                raise
            return True
        return False

    async def run(self, wrapper: RunContextWrapper[Any], body: Body) -> object:
        return await self.call(wrapper.context, body)


def needs(
    provider: str,
    *,
    scopes: Iterable[str] = (),
    label: str = "",
    nexus: AsyncNexus | None = None,
    user: Callable[[Any], str] = user_of,
    **tool_options: Any,
) -> Callable[[Tool], FunctionTool]:
    """A function tool with the argument `account`, which no model sees. `tool_options` are those of `function_tool`."""
    approval = _Approval(need(provider, label, scopes, nexus, user))

    def make(function: Tool) -> FunctionTool:
        tool = bind(function, parameter("ctx", RunContextWrapper[Any]), approval.run)
        return function_tool(tool, needs_approval=approval, **tool_options)

    return make


async def answer(state: RunState[Any, Any], context: Any, *, on_consent: Show, timeout: float | None = None) -> RunState[Any, Any]:
    """Shows the links that an interrupted run waits for, waits for the user, and approves or rejects. Other approvals are left open.

    Args:
        state: `result.to_state()`, or one that was loaded.
        context: Of the run: whose links these are.
    """
    asked = []
    for item in state.get_interruptions():
        for tool in item.agent.tools:
            approval = tool.needs_approval if isinstance(tool, FunctionTool) and tool.name == item.tool_name else None
            if isinstance(approval, _Approval):
                asked.append((item, approval.account(context)))
    consented = await settle([Asked(account, "") for _, account in asked], on_consent, timeout)
    for (item, account), is_given in zip(asked, consented, strict=True):
        if is_given:
            state.approve(item)
        else:
            state.reject(item, rejection_message=account.declined)
    return state
