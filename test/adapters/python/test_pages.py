"""The first block of each page of docs/frameworks, run as it stands: only the application's own part and the network are the test's."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import socket
import sys
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from conftest import act

from nexusd import _needs
from nexusd.tokens import Consent

PAGES = {
    "LangGraph": "langgraph",
    "Pydantic AI": "pydantic-ai",
    "OpenAI Agents": "openai-agents",
    "Google ADK": "google-adk",
    "LlamaIndex": "llamaindex",
    "Agno": "agno",
}
#: Blocks of recipes.md.
RECIPES = {"CrewAI": "crewai", "AutoGen": "autogen", "Haystack": "haystack", "smolagents": "smolagents"}
DOCS = Path(__file__).parents[3] / "docs/frameworks"
EXAMPLES = Path(__file__).parents[3] / "examples/frameworks"


def code_of(page: str, block: str = "python") -> str:
    found = re.search(rf"^```{block}\n(.*?)^```", (DOCS / f"{page}.md").read_text(), re.MULTILINE | re.DOTALL)
    assert found
    return found[1]


#: The credentials of the page's requests.
asked: list[str] = []


async def github(_transport: object, request: httpx.Request) -> httpx.Response:
    return answered(request)


def answered(request: httpx.Request) -> httpx.Response:
    """Instead of the network."""
    assert request.url == "https://api.github.com/user/repos"
    asked.append(request.headers["authorization"])
    return httpx.Response(200, text="nexusd")


class Terminal:
    """Where the page prints: the user opens the link that is shown."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def print(self, given: object) -> Any:
        self.lines.append(str(given))
        if not isinstance(given, Consent):
            return None
        opening = act("consent", url=given.auth_url)
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            return asyncio.run(opening)
        return opening


@pytest.fixture
def app(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    monkeypatch.setattr(httpx.AsyncHTTPTransport, "handle_async_request", github)
    monkeypatch.setattr(httpx.HTTPTransport, "handle_request", lambda _transport, request: answered(request))
    asked.clear()
    _needs.shared_nexus.cache_clear()

    def load(page: str) -> None:
        """The scripted model of the page, as its reader copies it."""
        made = types.ModuleType("my_app")
        monkeypatch.setitem(sys.modules, "my_app", made)
        source = EXAMPLES / f"{page.replace('-', '_')}.py"
        exec(compile(source.read_text(), source, "exec"), made.__dict__)

    return load


def run_code(code: str, name: str, folder: Path) -> None:
    """As a program that its reader saved: some frameworks read the source of a tool."""
    asyncio.run(act("register", name="github"))
    terminal, path = Terminal(), folder / f"{name}.py"
    path.write_text(code)
    sys.modules["__page__"] = page = types.ModuleType("__page__")
    page.__dict__["print"] = terminal.print
    exec(compile(code, path, "exec"), page.__dict__)
    assert len(asked) == 1
    assert len(terminal.lines) == 2
    assert terminal.lines[0].startswith("To connect github (not_connected), ada must open http")
    assert "Done." in terminal.lines[1]


def columns(names: dict[str, str]) -> list[str]:
    return [each for each in names if os.environ.get("FRAMEWORK", each) == each]


@pytest.mark.parametrize("framework", columns(PAGES))
def test_the_page(framework: str, app: Callable[[str], None], tmp_path: Path) -> None:
    app(PAGES[framework])
    run_code(code_of(PAGES[framework]), PAGES[framework], tmp_path)


@pytest.mark.parametrize("framework", columns(RECIPES))
def test_the_recipe(framework: str, app: Callable[[str], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CREWAI_DISABLE_TELEMETRY", "true")
    app(RECIPES[framework])
    run_code(code_of("recipes", f"python {RECIPES[framework]}"), RECIPES[framework], tmp_path)


@pytest.mark.skipif(os.environ.get("FRAMEWORK", "FastMCP") != "FastMCP", reason="it is another framework's page")
def test_the_page_of_a_server(app: Callable[[str], None]) -> None:
    """Over HTTP, where the user is the subject of the client's access token."""
    from fastmcp import Client
    from fastmcp.exceptions import ToolError
    from mcp_types import ElicitResult

    app("fastmcp")
    page: dict[str, Any] = {"__name__": "page"}
    exec(compile(code_of("fastmcp"), "fastmcp", "exec"), page)
    links: list[str] = []

    async def elicit(_message: str, _type: Any, params: Any, _context: Any) -> Any:
        links.append(params.url)
        await act("consent", url=params.url)
        return ElicitResult(action="accept")

    async def call(url: str, key: str) -> str:
        async with Client(url, auth=key, elicitation_handler=elicit) as client:
            return str((await client.call_tool("list_repos", {})).content[0].text)

    async def main() -> None:
        await act("register", name="github")
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        serving = asyncio.create_task(page["server"].run_http_async(port=port, show_banner=False, log_level="error"))
        while True:
            with contextlib.suppress(OSError):
                (await asyncio.open_connection("127.0.0.1", port))[1].close()
                break
            await asyncio.sleep(0.05)
        url = f"http://127.0.0.1:{port}/mcp"
        assert await call(url, "of-ada") == "nexusd"
        assert (len(links), len(asked)) == (1, 1)
        with pytest.raises(ToolError):
            await call(url, "of-nobody")
        assert (len(links), len(asked)) == (1, 1)
        serving.cancel()
        await asyncio.gather(serving, return_exceptions=True)

    asyncio.run(main())
