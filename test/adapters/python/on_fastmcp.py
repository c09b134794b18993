from __future__ import annotations

import asyncio
import inspect
from typing import Any

from fastmcp import Client, FastMCP
from harness import Account, Show, Spec
from mcp_types import ElicitResult

from nexusd._core.names import Name
from nexusd.fastmcp import needs
from nexusd.tokens import Consent


class FastMCPServer:
    """The client is the host of a model: it calls the tools that the model wants, and shows links itself."""

    def __init__(self, spec: Spec, folder: str) -> None:
        self.spec = spec

    def client(self, user: str, show: Show) -> Client[Any]:
        server, spec = FastMCP("a"), self.spec

        # Without HTTP there is no access token: the server that was made for a user stands for it.
        @server.tool
        @needs(**spec.needs(), user=lambda _: user)
        async def work(note: str, account: Account) -> str:
            """Works."""
            return await spec.body(account, note)

        async def elicit(_message: str, _type: Any, params: Any, _context: Any) -> Any:
            consent = Consent(spec.provider, user, params.url, "", None, "not_connected")
            if params.url not in seen:
                seen.add(params.url)
                shown = show(consent)
                if inspect.isawaitable(shown):
                    await shown
            return ElicitResult(action="accept")

        seen: set[str] = set()
        return Client(server, elicitation_handler=elicit)

    async def run(self, user: str, show: Show) -> list[str]:
        results: list[str] = []
        async with self.client(user, show) as client:
            for turn in self.spec.turns:
                made = await asyncio.gather(*(client.call_tool("work", args, raise_on_error=False) for args in turn))
                results += [each.content[0].text for each in made]
        self.spec.read += results
        return results

    stream = run
