from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from harness import Account, Show, Spec
from pydantic_ai import Agent, DeferredToolRequests, RunContext
from pydantic_ai.messages import ModelMessage, ModelMessagesTypeAdapter, ModelResponse, TextPart, ToolCallPart, ToolReturnPart
from pydantic_ai.models.function import AgentInfo, DeltaToolCall, FunctionModel
from pydantic import TypeAdapter

from nexusd.pydantic_ai import answer, asks, needs


@dataclass
class Deps:
    user: str


REQUESTS = TypeAdapter(DeferredToolRequests)


class PydanticAI:
    def __init__(self, spec: Spec, folder: str) -> None:
        self.spec = spec

    def agent(self, show: Show | None = None) -> Agent[Deps, Any]:
        spec = self.spec

        def calls(messages: list[ModelMessage]) -> list[ToolCallPart]:
            spec.read.append(str(messages))
            turn = sum(isinstance(each, ModelResponse) for each in messages)
            turns = spec.turns[turn] if turn < len(spec.turns) else []
            return [ToolCallPart("work", args, f"c{turn}-{n}") for n, args in enumerate(turns)]

        def respond(messages: list[ModelMessage], _info: AgentInfo) -> ModelResponse:
            return ModelResponse(calls(messages) or [TextPart("done")])

        async def stream(messages: list[ModelMessage], _info: AgentInfo) -> Any:
            made = calls(messages)
            for n, each in enumerate(made):
                yield {n: DeltaToolCall(each.tool_name, each.args_as_json_str(), tool_call_id=each.tool_call_id)}
            if not made:
                yield "done"

        agent: Agent[Deps, Any] = Agent(
            FunctionModel(respond, stream_function=stream),
            deps_type=Deps,
            retries=3,
            output_type=[str, DeferredToolRequests],
            capabilities=[asks(show, nexus=spec.nexus)] if show else [],
        )

        @agent.tool
        @needs(**spec.needs())
        async def work(ctx: RunContext[Deps], note: str, account: Account) -> str:
            assert ctx.deps.user == account.user
            return await spec.body(account, note)

        return agent

    def results(self, messages: list[ModelMessage]) -> list[str]:
        parts = [part for message in messages for part in message.parts]
        return [str(part.content) for part in parts if isinstance(part, ToolReturnPart)]

    async def run(self, user: str, show: Show) -> list[str]:
        return self.results((await self.agent(show).run("go", deps=Deps(user))).all_messages())

    async def stream(self, user: str, show: Show) -> list[str]:
        async with self.agent(show).run_stream("go", deps=Deps(user)) as result:
            await result.get_output()
        return self.results(result.all_messages())

    async def suspend(self, user: str) -> str:
        result = await self.agent().run("go", deps=Deps(user))
        return (result.all_messages_json() + b"\n" + REQUESTS.dump_json(result.output)).decode()

    async def resume(self, saved: str, user: str, show: Show) -> list[str]:
        messages, requests = saved.split("\n")
        results = await answer(REQUESTS.validate_json(requests), user, on_consent=show, nexus=self.spec.nexus)
        history = ModelMessagesTypeAdapter.validate_json(messages)
        result = await self.agent(show).run(message_history=history, deferred_tool_results=results, deps=Deps(user))
        return self.results(result.all_messages())
