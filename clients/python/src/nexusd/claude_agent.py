"""A user's accounts in a session of the Claude Agent SDK, which has one user.

    await nexus.acquire("linear", user="ada", on_consent=show)
    ada = Account(nexus, "linear", user="ada")
    options = ClaudeAgentOptions(
        mcp_servers={"linear": http_server("https://mcp.linear.app/mcp", ada)},
        hooks=asks({"mcp__linear__.*": ada}, on_consent=show),
    )

The credential reaches the MCP server by `headersHelper`, a command that the SDK runs for each connection: no model and no file has it.
The SDK lists the server's tools when the session starts, hence the first line. If the consent ends later, the hook holds a tool's call
until the user has consented again, and denies it when the user says no.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from claude_agent_sdk import HookContext, HookMatcher
from claude_agent_sdk.types import HookEvent, HookInput, HookJSONOutput

from nexusd._needs import Account, Asked, Show, settle
from nexusd.errors import DeadlineExceeded

__all__ = ["Account", "asks", "headers_helper", "http_server"]


def headers_helper(account: Account, *, program: str = "nexusd") -> str:
    """The command that prints the headers of a request, as a JSON object."""
    parts = [account.provider, quote(account.user, safe="@"), *([quote(account.label, safe="@")] if account.label else [])]
    return shlex.join([program, "token", "/".join(parts), "--format", "mcp-headers"])


def http_server(url: str, account: Account, *, program: str = "nexusd") -> Any:
    """An entry of `mcp_servers`."""
    return {"type": "http", "url": url, "headersHelper": headers_helper(account, program=program)}


def asks(accounts: Mapping[str, Account], *, on_consent: Show, timeout: float = 300.0) -> dict[HookEvent, list[HookMatcher]]:
    """Hooks that see to the user's consent before a tool runs.

    Args:
        accounts: What each tool needs, by a pattern of their names, as `mcp__linear__.*`.
        timeout: How long a call waits for the user, in seconds.
    """

    def hook(pattern: str, account: Account) -> HookMatcher:
        async def ask(_input: HookInput, _tool_use_id: str | None, _context: HookContext) -> HookJSONOutput:
            try:
                is_given = (await settle([Asked(account, "")], on_consent, timeout))[0]
            except DeadlineExceeded:
                is_given = False
            if is_given:
                return {}
            decision = {"permissionDecision": "deny", "permissionDecisionReason": account.declined}
            return {"hookSpecificOutput": {"hookEventName": "PreToolUse", **decision}}  # type: ignore[typeddict-item]

        return HookMatcher(matcher=pattern, hooks=[ask], timeout=timeout + 5)

    return {"PreToolUse": [hook(pattern, account) for pattern, account in accounts.items()]}
