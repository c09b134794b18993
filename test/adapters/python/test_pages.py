"""The first block of each page of docs/frameworks, run as it stands: only the application's own part and the network are the test's."""

from __future__ import annotations

import asyncio
import os
import re
import sys
import types
from pathlib import Path
from typing import Any

import httpx
import pytest
from conftest import act
from harness import Spec

from nexusd import _needs
from nexusd.tokens import Consent

PAGES = {
    "LangGraph": "langgraph",
    "Pydantic AI": "pydantic-ai",
    "OpenAI Agents": "openai-agents",
    "Google ADK": "google-adk",
    "FastMCP": "fastmcp",
    "Claude Agent SDK": "claude-agent",
}
DOCS = Path(__file__).parents[3] / "docs/frameworks"


def code_of(page: str, block: str = "python") -> str:
    found = re.search(rf"^```{block}\n(.*?)^```", (DOCS / f"{page}.md").read_text(), re.MULTILINE | re.DOTALL)
    assert found
    return found[1]


#: The credentials of the page's requests.
asked: list[str] = []


async def github(_transport: object, request: httpx.Request) -> httpx.Response:
    """In place of the network."""
    assert request.url == "https://api.github.com/user/repos"
    asked.append(request.headers["authorization"])
    return httpx.Response(200, text="nexusd")


class Terminal:
    """Where the page prints: the user opens the link that is shown."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def print(self, given: object) -> Any:
        self.lines.append(str(given))
        return act("consent", url=given.auth_url) if isinstance(given, Consent) else None


def model_of(framework: str) -> Any:
    spec: Any = Spec(None, "github", turns=[[{}]])  # type: ignore[arg-type]
    if framework == "LangGraph":
        from on_langgraph import Scripted as Model

        return Model(spec=spec, tool_name="list_repos")
    if framework == "OpenAI Agents":
        from on_openai_agents import Scripted

        return Scripted(spec, "list_repos")
    if framework == "Google ADK":
        from on_google_adk import Scripted as Llm

        return Llm(model="scripted", spec=spec, tool_name="list_repos")
    from pydantic_ai.models.test import TestModel

    return TestModel()


@pytest.fixture
def app(monkeypatch: pytest.MonkeyPatch) -> types.ModuleType:
    made = types.ModuleType("my_app")
    monkeypatch.setitem(sys.modules, "my_app", made)
    monkeypatch.setattr(httpx.AsyncHTTPTransport, "handle_async_request", github)
    asked.clear()
    _needs.shared_nexus.cache_clear()
    return made


@pytest.mark.parametrize("framework", [each for each in list(PAGES)[:4] if os.environ.get("FRAMEWORK", each) == each])
def test_the_page(framework: str, app: types.ModuleType) -> None:
    asyncio.run(act("register", name="github"))
    app.model, terminal = model_of(framework), Terminal()  # type: ignore[attr-defined]
    sys.modules["__page__"] = page = types.ModuleType("__page__")
    page.__dict__["print"] = terminal.print
    exec(compile(code_of(PAGES[framework]), PAGES[framework], "exec"), page.__dict__)
    assert len(asked) == 1
    assert len(terminal.lines) == 2
    assert terminal.lines[0].startswith("To connect github (not_connected), ada must open http")
