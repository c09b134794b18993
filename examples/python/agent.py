"""An agent that prints every change of its connections, and calls an API with each new token, whatever happens to the daemon.

The library keeps the stream open. An agent that only needs tokens asks for them by name instead: see clients/python.
"""

import argparse
import asyncio
import sys
import urllib.error
import urllib.request

from nexusd import AsyncNexus, Bookmark, ConnectionRemoved, ConnectionState, NexusError, Request, Reset, Token, WatchEvent


def describe(event: WatchEvent) -> str:
    """One line for a person. It never holds a token."""
    match event:
        case ConnectionState(token=token, problem=problem):
            words = [event.connection_id, event.status, f"revision {event.revision}"]
            if token:
                words.append(f"expires {token.expires_at.isoformat()}" if token.expires_at else "does not expire")
            if problem:
                words.append(problem.reason)
            return "  ".join(words)
        case ConnectionRemoved(connection_id):
            return f"{connection_id}  removed"
        case Bookmark(revision):
            return f"bookmark {revision}"
        case Reset(reason):
            return f"reset: {reason}"


def call_api(url: str, token: Token) -> str:
    request = token.apply(Request("GET", url))
    try:
        with urllib.request.urlopen(urllib.request.Request(request.url, headers=dict(request.headers)), timeout=10) as answer:
            return str(answer.status)
    except urllib.error.HTTPError as error:
        return str(error.code)
    except OSError as error:
        return str(error)


async def run(address: str | None, connection_ids: list[str], api_url: str | None) -> None:
    called: dict[str, int] = {}  # the revision that the API was last called with
    async with AsyncNexus(address) as nexus:
        async for event in nexus.watch(*connection_ids):
            print(describe(event), flush=True)
            if isinstance(event, ConnectionState) and event.token and api_url and called.get(event.connection_id) != event.revision:
                called[event.connection_id] = event.revision
                status = await asyncio.to_thread(call_api, api_url, event.token)
                print(f"{event.connection_id}  API answered {status}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("connection_ids", nargs="*", help="ids of connections; none means all")
    parser.add_argument("--address", help="unix:PATH or http(s)://HOST:PORT (NEXUS_ADDRESS); by default the daemon's socket")
    parser.add_argument("--call", metavar="URL", help="an API to call with each new token")
    options = parser.parse_args()
    try:
        asyncio.run(run(options.address, options.connection_ids, options.call))
    except KeyboardInterrupt:
        pass
    except NexusError as error:
        sys.exit(f"{type(error).__name__}: {error}")


if __name__ == "__main__":
    main()
