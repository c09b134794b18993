"""Tools of your own MCP server, made with FastMCP, that need a user's account.

    @server.tool
    @needs("github", scopes=["repo"])
    async def list_repos(account: Account) -> str: ...

The user is the subject (`sub`) of the access token with which the client called your server. Where the user must consent first the
client is asked to open the link (URL elicitation): it shows the link to its user, and the model never sees it.
"""

from __future__ import annotations

import typing
from collections.abc import Callable, Iterable

from fastmcp import Context
from fastmcp.server.dependencies import get_access_token
from mcp_types import ElicitRequest, ElicitRequestURLParams, ElicitResult, InputRequiredResult

from nexusd._async_nexus import AsyncNexus
from nexusd._needs import Account, Answer, Asked, Body, Tool, bind, digest, need, no_user, parameter, run, settle
from nexusd.errors import ConsentRequired, DeadlineExceeded

__all__ = ["Account", "needs", "user_of"]

#: How long a call waits for a user who has opened the link, in seconds, before it asks again.
_WAIT_SECONDS = 45.0


def user_of(_ctx: Context) -> str:
    token = get_access_token()
    subject: str | None = token.claims.get("sub") if token else None
    return subject or no_user("an `auth` provider of the server, whose tokens have a subject")


def needs(
    provider: str,
    *,
    scopes: Iterable[str] = (),
    label: str = "",
    nexus: AsyncNexus | None = None,
    user: Callable[[Context], str] = user_of,
) -> Callable[[Tool], Tool]:
    """A tool with the argument `account`, which no model sees. After a consent it runs again from its beginning."""
    needed = need(provider, label, scopes, nexus, user)

    async def call(ctx: Context, body: Body) -> object:
        async def pause(account: Account, error: ConsentRequired) -> None:
            name = "nexusd " + " ".join([account.provider, account.label, *account.scopes]) + " "
            answers = {key.removeprefix(name): each for key, each in (ctx.input_responses or {}).items() if key.startswith(name)}
            if not answers:
                raise Answer(_elicitation(name, account, error))
            link, answer = next(iter(answers.items()))
            try:
                is_given = (
                    isinstance(answer, ElicitResult)
                    and answer.action == "accept"
                    and (await settle([Asked(account, link)], lambda _: None, _WAIT_SECONDS))[0]
                )
            except DeadlineExceeded:
                raise Answer(_elicitation(name, account, error)) from None
            if not is_given:
                raise Answer(account.declined)

        return await run(needed.account(ctx), body, pause)

    def make(function: Tool) -> Tool:
        tool = bind(function, parameter("ctx", Context), call)
        returned = typing.get_type_hints(function).get("return", str)
        tool.__annotations__["return"] = returned | InputRequiredResult
        tool.__signature__ = tool.__signature__.replace(return_annotation=returned | InputRequiredResult)  # type: ignore[attr-defined]
        return tool

    return make


def _elicitation(name: str, account: Account, error: ConsentRequired) -> InputRequiredResult:
    params = ElicitRequestURLParams(message=f"Connect your account at {account.provider}", url=error.auth_url)
    return InputRequiredResult(input_requests={name + digest(error.auth_url): ElicitRequest(params=params)})
