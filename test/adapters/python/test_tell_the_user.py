"""The programs of docs/frameworks/tell-the-user.md, run as they stand: the user opens the link from where each shows it."""

from __future__ import annotations

import asyncio
import json
import os
import re
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest
from conftest import act
from test_pages import code_of

from nexusd import AsyncNexus

pytestmark = [
    pytest.mark.asyncio,
    pytest.mark.skipif(os.environ.get("FRAMEWORK", "none") != "none", reason="the page is of no framework"),
]


@asynccontextmanager
async def shows(block: str, nexus: AsyncNexus, **names: object) -> AsyncIterator[None]:
    """Acquires a token of ada's with the `on_consent` of a block; the body is where she opens the link."""
    page = dict(names)
    exec(compile(code_of("tell-the-user", f"python {block}"), block, "exec"), page)
    on_consent: Any = page["on_consent"]
    acquiring = asyncio.create_task(nexus.acquire(await act("register"), user="ada", on_consent=on_consent))
    try:
        yield
        assert (await acquiring).access_token
    finally:
        acquiring.cancel()


async def test_a_terminal_shows_the_link(nexus: AsyncNexus) -> None:
    printed = asyncio.get_running_loop().create_future()
    async with shows("terminal", nexus, print=lambda consent: printed.set_result(str(consent))):
        found = re.search(r"ada must open (http\S+)", await printed)
        assert found
        await act("consent", url=found[1])


async def test_a_chat_shows_the_link(nexus: AsyncNexus) -> None:
    from starlette.websockets import WebSocket

    received: asyncio.Queue[str] = asyncio.Queue()

    async def receive() -> Any:
        return {"type": "websocket.connect"}

    async def send(message: Any) -> None:
        if "text" in message:
            received.put_nowait(message["text"])

    socket = WebSocket({"type": "websocket"}, receive, send)
    await socket.accept()
    async with shows("chat", nexus, sessions={"ada": socket}):
        event = json.loads(await received.get())
        assert event["type"] == "consent"
        await act("consent", url=event["url"])


async def test_slack_shows_the_link(nexus: AsyncNexus) -> None:
    from slack_sdk.web.async_client import AsyncWebClient

    loop = asyncio.get_running_loop()
    called = loop.create_future()

    class Slack(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            loop.call_soon_threadsafe(called.set_result, (self.path, json.loads(body)))
            self.send_response(200)
            self.send_header("content-type", "application/json")
            self.end_headers()
            self.wfile.write(b'{"ok":true}')

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Slack) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        slack = AsyncWebClient("xoxb-1", base_url=f"http://127.0.0.1:{server.server_port}/api/")
        async with shows("slack", nexus, slack=slack, channel="C1", slack_ids={"ada": "U1"}):
            path, sent = await called
            assert (path, sent["channel"], sent["user"]) == ("/api/chat.postEphemeral", "C1", "U1")
            [actions] = sent["blocks"]
            await act("consent", url=actions["elements"][0]["url"])
        server.shutdown()
