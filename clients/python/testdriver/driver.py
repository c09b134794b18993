"""The driver of `npm run test:clients`; test/clients/PROTOCOL.md of the repository says what it does.

JSON lines on standard input and output. `--asyncio` plays with `AsyncNexus`, else with `Nexus` and threads.
"""

import asyncio
import json
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timezone
from typing import Any

import players

from nexusd import ConsentRequired, NexusError, Request, StrategyError, Unavailable
from nexusd.strategies import apply, strategy_of

Fields = dict[str, Any]

_output = threading.Lock()


def write(message: Fields) -> None:
    with _output:
        sys.stdout.write(json.dumps(message) + "\n")
        sys.stdout.flush()


def error_fields(error: BaseException) -> Fields:
    if isinstance(error, asyncio.CancelledError):
        return {"type": "Cancelled", "message": "the task was cancelled"}
    if not isinstance(error, NexusError):
        return {"type": type(error).__name__, "message": str(error)}
    fields: Fields = {"type": type(error).__name__, "message": str(error), "reason": error.reason}
    if isinstance(error, ConsentRequired):
        fields |= {"auth_url": error.auth_url, "connection_id": error.connection_id, "scopes": error.scopes}
    if isinstance(error, Unavailable) and error.retry_after is not None:
        fields["retry_after_ms"] = error.retry_after * 1000
    if isinstance(error, StrategyError):
        fields["field"] = error.field
    return fields


def applied(message: Fields) -> Fields:
    given = message["request"]
    time_ms = message.get("time_ms")
    request = apply(
        Request(given["method"], given["url"], given["headers"], given.get("body")),
        strategy_of(message["strategy"]),
        message["credentials"],
        time=None if time_ms is None else datetime.fromtimestamp(time_ms / 1000, timezone.utc),
        body_hash=message.get("body_hash", "header"),
    )
    return {"method": request.method, "url": request.url, "headers": dict(request.headers), "body": request.body}


class Driver:
    def __init__(self, *, is_async: bool) -> None:
        self._player: players.Player = players.AsyncPlayer() if is_async else players.SyncPlayer()
        self._tasks: dict[int, asyncio.Task[None]] = {}

    async def run(self) -> None:
        loop = asyncio.get_running_loop()
        loop.set_default_executor(ThreadPoolExecutor(200))
        lines: asyncio.Queue[str] = asyncio.Queue()

        def read() -> None:
            for line in sys.stdin:
                loop.call_soon_threadsafe(lines.put_nowait, line)
            loop.call_soon_threadsafe(lines.put_nowait, "")

        threading.Thread(target=read, daemon=True).start()
        while line := await lines.get():
            message = json.loads(line)
            # Whoever comes next finds the client open.
            if message["op"] == "open":
                await self._answer(message)
            else:
                self._tasks[message["id"]] = asyncio.create_task(self._answer(message))
        await self._player.close()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)

    async def _answer(self, message: Fields) -> None:
        number = message["id"]
        try:
            write({"id": number, "result": await self._perform(message)})
        except (Exception, asyncio.CancelledError) as error:
            write({"id": number, "error": error_fields(error)})
        finally:
            self._tasks.pop(number, None)

    async def _perform(self, message: Fields) -> Fields:
        player = self._player
        match message["op"]:
            case "open":
                await player.open(message.get("options", {}))
                return {}
            case "token":
                return await player.token(message)
            case "acquire":
                return await player.acquire(message, lambda event: write({"id": message["id"], "event": "consent", **event}))
            case "cancel":
                target = self._tasks.get(message["target"])
                if target is not None:
                    player.cancel(message["target"], target)
                return {}
            case "hot":
                started = time.perf_counter()
                revisions = await player.hot(message)
                elapsed_ms = (time.perf_counter() - started) * 1000
                return {"calls": message["count"], "elapsed_ms": elapsed_ms, "revisions": sorted(revisions)}
            case "hooks":
                return {"hooks": list(player.hooks)}
            case "request":
                return await player.request(message)
            case "grpc":
                return await player.grpc(message)
            case "apply":
                return applied(message)
            case "close":
                await player.close()
                return {}
        return await player.unknown(message)


if __name__ == "__main__":
    asyncio.run(Driver(is_async="--asyncio" in sys.argv).run())
