"""The tool of an MCP server that README.md shows."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from typing import Any

import grpc
import pytest
from conftest import Answer, FakeDaemon
from mcp import Client
from mcp_types import ElicitResult

from nexusd._proto import token_pb2

_README = (Path(__file__).parent.parent / "README.md").read_text()


@pytest.mark.parametrize(("action", "says"), [("accept", "revision 1"), ("decline", "The user declined.")])
def test_a_tool_asks_for_the_consent_and_goes_on(daemon: FakeDaemon, monkeypatch: pytest.MonkeyPatch, action: Any, says: str) -> None:
    asked: list[str] = []

    def give(request: token_pb2.AcquireTokenRequest, context: grpc.ServicerContext) -> Answer:
        return daemon.give(request, context) if request.wait.seconds else daemon.ask_consent(request, context)

    async def answer(context: object, params: Any) -> ElicitResult:
        asked.append(params.url)
        return ElicitResult(action=action)

    async def run() -> Any:
        async with Client(shown["server"], elicitation_callback=answer) as client:
            result = await client.call_tool("revision", {})
        await shown["nexus"].close()
        return result

    daemon.acquire = give
    monkeypatch.setenv("NEXUS_ADDRESS", daemon.address)
    [block] = re.findall(r"^```python mcp\n(.*?)^```", _README, re.MULTILINE | re.DOTALL)
    shown: dict[str, Any] = {}
    # The SDK has FastMCP's API, and fewer dependencies.
    exec(block.replace("from fastmcp import Context, FastMCP", "from mcp.server.mcpserver import Context, MCPServer as FastMCP"), shown)
    result = asyncio.run(run())
    assert [content.text for content in result.content] == [says]
    assert asked == ["http://127.0.0.1/auth/start?state=s"]
