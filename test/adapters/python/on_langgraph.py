from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from harness import Account, Show, Spec
from langchain.agents import create_agent
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage, ToolMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from langchain_core.tools import tool
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver

from nexusd.langgraph import answer, consents, needs, run


class Scripted(BaseChatModel):
    spec: Any
    tool_name: str = "work"

    @property
    def _llm_type(self) -> str:
        return "scripted"

    def bind_tools(self, tools: Any, **_: Any) -> Scripted:
        return self

    def _generate(self, messages: list[BaseMessage], *_: Any, **__: Any) -> ChatResult:
        self.spec.read.append(str(messages))
        turn = sum(isinstance(each, AIMessage) for each in messages)
        calls = self.spec.turns[turn] if turn < len(self.spec.turns) else []
        made = [{"name": self.tool_name, "args": args, "id": f"c{turn}-{n}"} for n, args in enumerate(calls)]
        return ChatResult(generations=[ChatGeneration(message=AIMessage("done", tool_calls=made))])


class LangGraph:
    def __init__(self, spec: Spec, folder: str) -> None:
        self.spec, self.folder = spec, folder

        @tool
        @needs(**spec.needs())
        async def work(note: str, account: Account) -> str:
            """Works."""
            return await spec.body(account, note)

        self.tool = work

    def quick(self) -> Any:
        return create_agent(Scripted(spec=self.spec), [self.tool], checkpointer=InMemorySaver())

    @asynccontextmanager
    async def kept(self) -> AsyncIterator[Any]:
        async with AsyncSqliteSaver.from_conn_string(f"{self.folder}/graph.sqlite") as saver:
            yield create_agent(Scripted(spec=self.spec), [self.tool], checkpointer=saver)

    def config(self, user: str) -> Any:
        return {"configurable": {"user_id": user, "thread_id": "one"}}

    def results(self, state: Any) -> list[str]:
        return [each.content for each in state["messages"] if isinstance(each, ToolMessage)]

    async def run(self, user: str, show: Show) -> list[str]:
        given = {"messages": [("user", "go")]}
        return self.results(await run(self.quick(), given, self.config(user), on_consent=show, nexus=self.spec.nexus))

    async def stream(self, user: str, show: Show) -> list[str]:
        graph, config, given = self.quick(), self.config(user), {"messages": [("user", "go")]}
        while given is not None:
            pending: list[Any] = []
            async for chunk in graph.astream(given, config, stream_mode="updates"):
                pending += consents(chunk.get("__interrupt__", ()))
            given = await answer(pending, config, on_consent=show, nexus=self.spec.nexus) if pending else None
        return self.results((await graph.aget_state(config)).values)

    async def suspend(self, user: str) -> str:
        config = self.config(user)
        async with self.kept() as graph:
            state = await graph.ainvoke({"messages": [("user", "go")]}, config)
            return json.dumps([each.value["url"] for each in consents(state["__interrupt__"])])

    async def resume(self, saved: str, user: str, show: Show) -> list[str]:
        async with self.kept() as graph:
            return self.results(await run(graph, None, self.config(user), on_consent=show, nexus=self.spec.nexus))
