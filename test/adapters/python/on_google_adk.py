from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Any

from google.adk.agents import Agent, RunConfig
from google.adk.agents.run_config import StreamingMode
from google.adk.events import Event
from google.adk.models import BaseLlm, LlmRequest, LlmResponse
from google.adk.runners import Runner
from google.adk.sessions import InMemorySessionService
from google.adk.sessions.sqlite_session_service import SqliteSessionService
from google.genai import types
from harness import Account, Show, Spec

from nexusd.google_adk import answer, needs


GO = types.Content(role="user", parts=[types.Part(text="go")])


class Scripted(BaseLlm):
    spec: Any
    tool_name: str = "work"

    async def generate_content_async(self, llm_request: LlmRequest, stream: bool = False) -> AsyncGenerator[LlmResponse, None]:
        self.spec.read.append(str(llm_request.contents))
        called = [part.function_call for each in llm_request.contents for part in each.parts or [] if part.function_call]
        turn = len({each.args["turn"] for each in called if each and each.args})
        calls = self.spec.turns[turn] if turn < len(self.spec.turns) else []
        parts = [types.Part(function_call=types.FunctionCall(name=self.tool_name, args={**args, "turn": turn})) for args in calls]
        yield LlmResponse(content=types.Content(role="model", parts=parts or [types.Part(text="done")]))


class GoogleADK:
    def __init__(self, spec: Spec, folder: str) -> None:
        self.spec = spec

        @needs(**spec.needs())
        async def work(note: str, turn: int, account: Account) -> str:
            """Works."""
            return await spec.body(account, note)

        self.agent = Agent(name="a", model=Scripted(model="scripted", spec=spec), tools=[work])
        self.kept = self.runner(SqliteSessionService(db_path=f"{folder}/adk.sqlite"))

    def runner(self, sessions: Any) -> Runner:
        return Runner(app_name="app", agent=self.agent, session_service=sessions, auto_create_session=True)

    async def go_on(self, runner: Runner, user: str, message: Any, show: Show, mode: Any = StreamingMode.NONE) -> list[str]:
        results: dict[str, str] = {}
        while message:
            events = []
            config = RunConfig(streaming_mode=mode, max_llm_calls=0)
            async for event in runner.run_async(user_id=user, session_id="one", new_message=message, run_config=config):
                events.append(event)
                for each in event.get_function_responses():
                    if each.name == "work":
                        results[each.id or ""] = (each.response or {}).get("result", "")
            message = await answer(events, user, on_consent=show, nexus=self.spec.nexus)
        return list(results.values())

    async def run(self, user: str, show: Show) -> list[str]:
        return await self.go_on(self.runner(InMemorySessionService()), user, GO, show)

    async def stream(self, user: str, show: Show) -> list[str]:
        return await self.go_on(self.runner(InMemorySessionService()), user, GO, show, StreamingMode.SSE)

    async def suspend(self, user: str) -> str:
        events = [each async for each in self.kept.run_async(user_id=user, session_id="one", new_message=GO)]
        asked = next(each for each in events if any(call.name == "adk_request_credential" for call in each.get_function_calls()))
        return asked.model_dump_json(by_alias=True)

    async def resume(self, saved: str, user: str, show: Show) -> list[str]:
        message = await answer([Event.model_validate_json(saved)], user, on_consent=show, nexus=self.spec.nexus)
        return await self.go_on(self.kept, user, message, show)
