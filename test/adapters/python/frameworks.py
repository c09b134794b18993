"""The columns of the table. A framework is imported when it is wanted, since some take seconds."""

from __future__ import annotations

from importlib import import_module
from typing import Any

FRAMEWORKS = {
    "LangGraph": "on_langgraph.LangGraph",
    "Pydantic AI": "on_pydantic_ai.PydanticAI",
    "OpenAI Agents": "on_openai_agents.OpenAIAgents",
    "Google ADK": "on_google_adk.GoogleADK",
    "FastMCP": "on_fastmcp.FastMCPServer",
    "LlamaIndex": "on_llamaindex.LlamaIndex",
    "Agno": "on_agno.Agno",
}


def harness_of(framework: str, *arguments: Any) -> Any:
    module, _, name = FRAMEWORKS[framework].partition(".")
    return getattr(import_module(module), name)(*arguments)
