from __future__ import annotations

import json
import pickle
from base64 import b64decode, b64encode
from typing import Any

from harness import Account, Show, Spec
from llama_index.core.agent.workflow import FunctionAgent, ToolCallResult
from llama_index.core.base.llms.types import ChatMessage, ToolCallBlock
from llama_index.core.llms.mock import MockFunctionCallingLLM
from llama_index.core.memory import ChatMemoryBuffer
from llama_index.core.workflow import Context

from nexusd.llamaindex import ConsentRequested, answer, needs


class LlamaIndex:
    def __init__(self, spec: Spec, folder: str) -> None:
        self.spec = spec

        @needs(**spec.needs())
        async def work(note: str, account: Account) -> str:
            """Works."""
            return await spec.body(account, note)

        self.tool = work

    def agent(self, streaming: bool = False) -> FunctionAgent:
        def respond(messages: Any, *_: Any, **__: Any) -> ChatMessage:
            self.spec.read.append(str(messages))
            turn = sum(any(isinstance(block, ToolCallBlock) for block in each.blocks) for each in messages)
            calls = self.spec.turns[turn] if turn < len(self.spec.turns) else []
            blocks = [ToolCallBlock(tool_name="work", tool_call_id=f"c{turn}-{n}", tool_kwargs=args) for n, args in enumerate(calls)]
            return ChatMessage(role="assistant", blocks=blocks) if blocks else ChatMessage("done", role="assistant")

        llm = MockFunctionCallingLLM(response_generator=respond)
        return FunctionAgent(tools=[self.tool], llm=llm, streaming=streaming, timeout=None)

    async def run(self, user: str, show: Show, streaming: bool = False) -> list[str]:
        agent = self.agent(streaming)
        ctx = Context(agent)
        await ctx.store.set("user", user)
        return await self.go_on(agent.run("go", ctx=ctx), [], show)

    async def go_on(self, handler: Any, pending: list[Any], show: Show) -> list[str]:
        results = []
        try:
            for event in pending:
                await answer(event, handler, on_consent=show, nexus=self.spec.nexus)
            async for event in handler.stream_events():
                await answer(event, handler, on_consent=show, nexus=self.spec.nexus)
                if isinstance(event, ToolCallResult):
                    results.append(str(event.tool_output.content))
            await handler
        finally:
            await handler.cancel_run()
        return results

    async def stream(self, user: str, show: Show) -> list[str]:
        return await self.run(user, show, streaming=True)

    async def suspend(self, user: str) -> str:
        agent = self.agent()
        ctx = Context(agent)
        await ctx.store.set("user", user)
        handler = agent.run("go", ctx=ctx)
        async for event in handler.stream_events():
            if isinstance(event, ConsentRequested):
                memory = b64encode(pickle.dumps(await (await handler.ctx.store.get("memory")).aget())).decode()
                saved = json.dumps({"ctx": handler.ctx.to_dict(), "memory": memory, "event": event.model_dump()})
                await handler.cancel_run()
                return saved
        raise AssertionError("no consent was requested")

    async def resume(self, saved: str, user: str, show: Show) -> list[str]:
        given, agent = json.loads(saved), self.agent()
        handler = agent.run(ctx=Context.from_dict(agent, given["ctx"]))
        await handler.ctx.store.set("user", user)
        await handler.ctx.store.set("memory", ChatMemoryBuffer.from_defaults(pickle.loads(b64decode(given["memory"]))))
        return await self.go_on(handler, [ConsentRequested(**given["event"])], show)
