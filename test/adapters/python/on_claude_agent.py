"""What a session of Claude Code calls: the API of a scripted model, and an MCP server that wants a token."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

TOOL = "mcp__linear__list_issues"


class Anthropic:
    """The model calls the tool twice, when it has it."""

    def __init__(self) -> None:
        self.keys: set[str | None] = set()
        #: What the tool's calls gave the model.
        self.results: list[str] = []

    async def answer(self, request: Request) -> Response:
        body = await request.json()
        self.keys.add(request.headers.get("x-api-key"))
        parts = [part for message in body["messages"] for part in message["content"] if isinstance(part, dict)]
        self.results = [json.dumps(part) for part in parts if part["type"] == "tool_result"]
        has_tool = TOOL in [tool.get("name") for tool in body.get("tools", [])]
        if has_tool and len(self.results) < 2:
            block = {"type": "tool_use", "id": f"toolu_{len(self.results)}", "name": TOOL, "input": {}}
            delta, stop = {"type": "input_json_delta", "partial_json": "{}"}, "tool_use"
        else:
            block, delta, stop = {"type": "text", "text": ""}, {"type": "text_delta", "text": "done"}, "end_turn"
        usage = {"input_tokens": 1, "output_tokens": 1}
        message = {"id": "m", "type": "message", "role": "assistant", "model": body["model"], "content": [], "usage": usage}
        events: list[dict[str, Any]] = [
            {"type": "message_start", "message": message},
            {"type": "content_block_start", "index": 0, "content_block": block},
            {"type": "content_block_delta", "index": 0, "delta": delta},
            {"type": "content_block_stop", "index": 0},
            {"type": "message_delta", "delta": {"stop_reason": stop}, "usage": usage},
            {"type": "message_stop"},
        ]
        lines = (f"event: {event['type']}\ndata: {json.dumps(event)}\n\n" for event in events)
        return StreamingResponse(lines, media_type="text/event-stream")


class Linear:
    """An MCP server with one tool, whose first call ends the token that called it."""

    def __init__(self, end: Callable[[], Awaitable[object]]) -> None:
        self.end = end
        self.ended: set[str] = set()
        #: The tokens with which the tool was called.
        self.called: list[str] = []

    async def answer(self, request: Request) -> Response:
        token = request.headers.get("authorization", "").removeprefix("Bearer ")
        if token in ("", *self.ended):
            return Response(status_code=401, headers={"www-authenticate": "Bearer"})
        call = await request.json()
        if "id" not in call:
            return Response(status_code=202)
        return JSONResponse({"jsonrpc": "2.0", "id": call["id"], "result": await self.result(call, token)})

    async def result(self, call: dict[str, Any], token: str) -> dict[str, Any]:
        match call["method"]:
            case "initialize":
                version = call["params"]["protocolVersion"]
                return {"protocolVersion": version, "capabilities": {"tools": {}}, "serverInfo": {"name": "linear", "version": "1"}}
            case "tools/list":
                return {"tools": [{"name": "list_issues", "description": "Lists.", "inputSchema": {"type": "object"}}]}
            case "tools/call":
                self.called.append(token)
                if not self.ended:
                    self.ended.add(token)
                    await self.end()
                return {"content": [{"type": "text", "text": f"issue {len(self.called)}"}]}
        return {}


@contextmanager
def serving(model: Anthropic, linear: Linear) -> Iterator[str]:
    """Serves both in a thread; gives the origin."""
    routes = [Route("/v1/messages", model.answer, methods=["POST"]), Route("/mcp", linear.answer, methods=["POST"])]
    server = uvicorn.Server(uvicorn.Config(Starlette(routes=routes), log_level="error"))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=server.run, daemon=True, kwargs={"sockets": [listener]})
        thread.start()
        try:
            while not server.started:
                time.sleep(0.01)
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join(5)
