from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

from agents import Agent, Model, ModelResponse, Runner, RunState, Usage, set_tracing_disabled
from agents.items import ToolCallOutputItem
from harness import Account, Show, Spec
from openai.types.responses import Response, ResponseCompletedEvent, ResponseFunctionToolCall, ResponseOutputMessage, ResponseOutputText

from nexusd.openai_agents import answer, needs

set_tracing_disabled(True)


class Scripted(Model):
    def __init__(self, spec: Spec, tool_name: str = "work") -> None:
        self.spec, self.tool_name = spec, tool_name

    def output(self, given: Any) -> list[Any]:
        self.spec.read.append(str(given))
        items = given if isinstance(given, list) else []
        seen = {each["call_id"] for each in items if each.get("type") == "function_call"}
        turn = len({each.split("-")[0] for each in seen})
        calls = self.spec.turns[turn] if turn < len(self.spec.turns) else []
        if calls:
            return [
                ResponseFunctionToolCall(type="function_call", name=self.tool_name, arguments=json.dumps(args), call_id=f"c{turn}-{n}")
                for n, args in enumerate(calls)
            ]
        text = ResponseOutputText(type="output_text", text="done", annotations=[])
        return [ResponseOutputMessage(id="m", type="message", role="assistant", status="completed", content=[text])]

    async def get_response(self, system_instructions: Any, input: Any, *_: Any, **__: Any) -> ModelResponse:
        return ModelResponse(self.output(input), Usage(), None)

    async def stream_response(self, system_instructions: Any, input: Any, *_: Any, **__: Any) -> AsyncIterator[Any]:
        fields: dict[str, Any] = {"id": "r", "created_at": 0, "model": "m", "object": "response"}
        rest: dict[str, Any] = {"parallel_tool_calls": True, "tool_choice": "auto", "tools": []}
        response = Response(**fields, **rest, output=self.output(input))
        yield ResponseCompletedEvent(type="response.completed", response=response, sequence_number=0)


class OpenAIAgents:
    def __init__(self, spec: Spec, folder: str) -> None:
        self.spec = spec

        @needs(**spec.needs())
        async def work(note: str, account: Account) -> str:
            """Works."""
            return await spec.body(account, note)

        self.agent: Agent[Any] = Agent("a", tools=[work], model=Scripted(spec))

    def results(self, result: Any) -> list[str]:
        return [str(each.output) for each in result.new_items if isinstance(each, ToolCallOutputItem)]

    async def run(self, user: str, show: Show) -> list[str]:
        return await self.go_on("go", user, show)

    async def go_on(self, given: Any, user: str, show: Show) -> list[str]:
        result = await Runner.run(self.agent, given, context={"user": user})
        while result.interruptions:
            state = await answer(result.to_state(), {"user": user}, on_consent=show)
            result = await Runner.run(self.agent, state)
        return self.results(result)

    async def stream(self, user: str, show: Show) -> list[str]:
        given: Any = "go"
        while True:
            result = Runner.run_streamed(self.agent, given, context={"user": user})
            async for _ in result.stream_events():
                pass
            if not result.interruptions:
                return self.results(result)
            given = await answer(result.to_state(), {"user": user}, on_consent=show)

    async def suspend(self, user: str) -> str:
        return (await Runner.run(self.agent, "go", context={"user": user})).to_state().to_string()

    async def resume(self, saved: str, user: str, show: Show) -> list[str]:
        state = await RunState.from_string(self.agent, saved)
        return await self.go_on(await answer(state, {"user": user}, on_consent=show), user, show)
