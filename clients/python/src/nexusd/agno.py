"""Tools of Agno that need a user's account.

    @needs("github", scopes=["repo"])
    async def list_repos(account: Account) -> str: ...

The decorator makes the tool. The user is the run's `user_id`. Where the user must consent first the call needs a confirmation, so that
the run pauses: `answer` shows the link, waits, and confirms or rejects. Agno asks for confirmations without waiting for a daemon, so the
first call of a process for a user pauses too, and `answer` goes on at once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from agno.agent import Agent
from agno.run import RunContext
from agno.run.agent import RunOutput
from agno.tools import Function, Toolkit

from nexusd._async_nexus import AsyncNexus
from nexusd._needs import Account, Approval, Asked, Show, Tool, bind, need, no_user, parameter, settle
from nexusd.errors import PermissionDenied

__all__ = ["Account", "answer", "needs", "user_of"]


def user_of(run_context: RunContext) -> str:
    return run_context.user_id or no_user("its user_id")


class _Function(Function):
    """Needs a confirmation while no token is at hand. Agno makes a copy of it for each run."""

    approval: Any = None
    #: The model's message that calls the tool. Its calls are judged once: Agno asks again when they have run.
    _judged: Any = None
    _must_ask: bool = False

    def __getattribute__(self, name: str) -> Any:
        return self._asks() if name == "requires_confirmation" else super().__getattribute__(name)

    def _asks(self) -> bool:
        context = self._run_context
        if context is None:
            return False
        message = next((each for each in reversed(context.messages or ()) if each.tool_calls), None)
        if message is None or message is not self._judged:
            self._judged, self._must_ask = message, not self.approval.account(context).is_at_hand
        return self._must_ask


def needs(
    provider: str,
    *,
    scopes: Iterable[str] = (),
    label: str = "",
    nexus: AsyncNexus | None = None,
    user: Callable[[RunContext], str] = user_of,
    **tool_options: Any,
) -> Callable[[Tool], Function]:
    """A tool with the argument `account`, which no model sees. `tool_options` are those of `agno.tools.Function`."""
    approval = Approval(need(provider, label, scopes, nexus, user))

    def make(function: Tool) -> Function:
        tool = bind(function, parameter("run_context", RunContext), approval.call)
        return _Function(**{"name": function.__name__, **tool_options, "entrypoint": tool, "approval": approval})

    return make


async def answer(run: RunOutput, agent: Agent, user: str, *, on_consent: Show, timeout: float | None = None) -> None:
    """Shows the links that a paused run waits for, waits for the user, and confirms or rejects. Other requirements are left open.

    Args:
        run: That paused, or was loaded.
        user: Who may see the links. Raises PermissionDenied when the run is another user's.
    """
    tools = {each.name: each for each in _functions(agent)}
    context = RunContext(
        run.run_id or "", run.session_id or "", user_id=run.user_id, metadata=run.metadata, session_state=run.session_state
    )
    calls = {each.tool_call_id: each for each in run.tools or ()}
    asked = []
    for requirement in run.active_requirements:
        call = requirement.tool_execution
        tool = tools.get(call.tool_name or "") if call and requirement.needs_confirmation else None
        if call is None or tool is None:
            continue
        account = tool.approval.account(context)
        if account.user != user:
            raise PermissionDenied("the run waits for the consent of another user")
        # A run that was loaded has each call twice, and goes on with these.
        requirement.tool_execution = calls.get(call.tool_call_id, call)
        asked.append((requirement, account))
    consented = await settle([Asked(account, "") for _, account in asked], on_consent, timeout)
    for (requirement, account), is_given in zip(asked, consented, strict=True):
        if is_given:
            requirement.confirm()
        else:
            requirement.reject(account.declined)


def _functions(agent: Agent) -> Iterable[_Function]:
    for tool in agent.tools if isinstance(agent.tools, list) else ():
        given = tool.get_async_functions().values() if isinstance(tool, Toolkit) else [tool]
        yield from (each for each in given if isinstance(each, _Function))
