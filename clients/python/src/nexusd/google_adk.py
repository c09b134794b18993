"""Tools of Google's Agent Development Kit that need a user's account.

    @needs("github", scopes=["repo"])
    async def list_repos(account: Account) -> str: ...

The user is the session's, `tool_context.user_id`. Where the user must consent first the tool requests a credential, as ADK's own tools do:
the run ends with a call of `adk_request_credential`, whose `auth_uri` is the link. `answer` shows it, waits, and makes the next message.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from google.adk.auth.auth_credential import AuthCredential, AuthCredentialTypes, OAuth2Auth
from google.adk.auth.auth_schemes import CustomAuthScheme
from google.adk.auth.auth_tool import AuthConfig
from google.adk.events import Event
from google.adk.tools.tool_context import ToolContext
from google.genai import types

from nexusd._async_nexus import AsyncNexus
from nexusd._needs import Account, Answer, Asked, Body, Show, Tool, asked_of, bind, need, parameter, run, settle
from nexusd.errors import ConsentRequired

__all__ = ["Account", "answer", "needs", "user_of"]

_CALL = "adk_request_credential"
#: Stands in the response of a user who said no.
_DECLINED = "nexusd:declined"


def user_of(tool_context: ToolContext) -> str:
    return tool_context.user_id


def needs(
    provider: str,
    *,
    scopes: Iterable[str] = (),
    label: str = "",
    nexus: AsyncNexus | None = None,
    user: Callable[[ToolContext], str] = user_of,
) -> Callable[[Tool], Tool]:
    """A tool with the argument `account`, which no model sees. After a consent it runs again from its beginning."""
    needed = need(provider, label, scopes, nexus, user)

    async def call(tool_context: ToolContext, body: Body) -> object:
        async def pause(account: Account, error: ConsentRequired) -> None:
            config = _config(account, error, tool_context.function_call_id or "")
            response = tool_context.get_auth_response(config)
            if response and response.oauth2 and response.oauth2.auth_response_uri == _DECLINED:
                raise Answer(account.declined)
            tool_context.request_credential(config)
            raise Answer("Waiting for the user's consent.")

        return await run(needed.account(tool_context), body, pause)

    return lambda function: bind(function, parameter("tool_context", ToolContext), call)


def _config(account: Account, error: ConsentRequired, call_id: str) -> AuthConfig:
    scheme = CustomAuthScheme.model_validate({"type": "nexusd", **account.asks(error)})
    return AuthConfig(auth_scheme=scheme, credential_key=f"nexusd:{call_id}", exchanged_auth_credential=_credential(error.auth_url))


def _credential(auth_uri: str, response: str | None = None) -> AuthCredential:
    return AuthCredential(auth_type=AuthCredentialTypes.OAUTH2, oauth2=OAuth2Auth(auth_uri=auth_uri, auth_response_uri=response))


async def answer(
    events: Iterable[Event],
    user: str,
    *,
    on_consent: Show,
    nexus: AsyncNexus | None = None,
    timeout: float | None = None,
) -> types.Content | None:
    """Shows the links that the events of a run ask for, waits for the user, and returns the `new_message` that resumes the run.

    None when they ask for none.
    """
    asked: list[tuple[types.FunctionCall, AuthConfig, Asked]] = []
    for call in (call for event in events for call in event.get_function_calls() if call.name == _CALL):
        config = AuthConfig.model_validate((call.args or {}).get("authConfig"))
        found = asked_of(config.auth_scheme.model_extra, user, nexus)
        if found:
            asked.append((call, config, found))
    consented = await settle([each for _, _, each in asked], on_consent, timeout)
    parts = []
    for (call, config, _), is_given in zip(asked, consented, strict=True):
        config.exchanged_auth_credential = _credential("", "nexusd:consented" if is_given else _DECLINED)
        response: dict[str, Any] = config.model_dump(by_alias=True, exclude_none=True, mode="json")
        parts.append(types.Part(function_response=types.FunctionResponse(id=call.id, name=_CALL, response=response)))
    return types.Content(role="user", parts=parts) if parts else None
