from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

from agno.agent import Agent
from agno.models.base import Model
from agno.models.response import ModelResponse
from agno.run.agent import RunOutput
from harness import Account, Show, Spec

from nexusd.agno import answer, needs


class Scripted(Model):
    def __init__(self, spec: Spec) -> None:
        super().__init__(id="scripted")
        self.spec = spec

    async def ainvoke(self, messages: Any, *_: Any, **__: Any) -> ModelResponse:
        self.spec.read.append(str([each.content for each in messages]))
        turn = sum(bool(each.tool_calls) for each in messages)
        calls = self.spec.turns[turn] if turn < len(self.spec.turns) else []
        functions = [{"name": "work", "arguments": json.dumps(args)} for args in calls]
        tool_calls = [{"id": f"c{turn}-{n}", "type": "function", "function": each} for n, each in enumerate(functions)]
        return ModelResponse(role="assistant", tool_calls=tool_calls) if calls else ModelResponse(role="assistant", content="done")

    async def ainvoke_stream(self, messages: Any, *_: Any, **__: Any) -> AsyncIterator[ModelResponse]:
        yield await self.ainvoke(messages)

    def invoke(self, *_: Any, **__: Any) -> Any:
        raise NotImplementedError

    invoke_stream = _parse_provider_response = _parse_provider_response_delta = invoke


class Agno:
    def __init__(self, spec: Spec, folder: str) -> None:
        @needs(**spec.needs())
        async def work(note: str, account: Account) -> str:
            """Works."""
            return await spec.body(account, note)

        self.agent = Agent(model=Scripted(spec), tools=[work], telemetry=False)

    async def run(self, user: str, show: Show) -> list[str]:
        return await self.go_on(await self.agent.arun("go", user_id=user), user, show)

    async def go_on(self, run: RunOutput, user: str, show: Show) -> list[str]:
        while run.is_paused:
            await answer(run, self.agent, user, on_consent=show)
            run = await self.agent.acontinue_run(run)
        return [str(each.content) for each in run.messages or [] if each.role == "tool"]

    async def stream(self, user: str, show: Show) -> list[str]:
        events: Any = self.agent.arun("go", user_id=user, stream=True, yield_run_output=True)
        while True:
            *_, run = [event async for event in events]
            if not run.is_paused:
                return await self.go_on(run, user, show)
            await answer(run, self.agent, user, on_consent=show)
            events = self.agent.acontinue_run(run, stream=True, yield_run_output=True)

    async def suspend(self, user: str) -> str:
        return json.dumps((await self.agent.arun("go", user_id=user)).to_dict())

    async def resume(self, saved: str, user: str, show: Show) -> list[str]:
        return await self.go_on(RunOutput.from_dict(json.loads(saved)), user, show)
