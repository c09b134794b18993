"""An agent that always holds its current tokens: it keeps WatchTokens open, whatever happens to the daemon.

It follows the rules for clients in the comment of WatchTokens (proto/nexus/v1/token.proto).
"""

import argparse
import asyncio
import os
import random
import sys
import time
import urllib.error
import urllib.request
from collections.abc import AsyncIterator
from pathlib import Path

import grpc

sys.path.insert(0, str(Path(__file__).parent / "gen"))

from nexus.v1 import connection_pb2, token_pb2, token_pb2_grpc  # noqa: E402

BOOKMARK_INTERVAL = 30  # seconds; the daemon's own default
SILENCE = 3 * BOOKMARK_INTERVAL  # a stream that carried nothing for so long is dead
FIRST_DELAY, LONGEST_DELAY = 0.1, 10.0  # seconds
PERMANENT = {
    grpc.StatusCode.INVALID_ARGUMENT,
    grpc.StatusCode.UNAUTHENTICATED,
    grpc.StatusCode.PERMISSION_DENIED,
    grpc.StatusCode.UNIMPLEMENTED,
}
# While no connection can be had, a call made with wait_for_ready waits, and the channel's own backoff counts: by default
# it grows to two minutes.
CHANNEL_OPTIONS = [
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 10_000),
]


class TokenHolder:
    """The newest token of each connection, kept up to date by `watch`."""

    def __init__(self) -> None:
        self._states: dict[str, token_pb2.TokenState] = {}
        self._position: token_pb2.Position | None = None
        self._named: set[str] | None = None  # what a snapshot has named so far; None outside of one

    def token(self, connection_id: str) -> token_pb2.Token | None:
        """The token to use now, also while the daemon is away: None once it has expired, or when there is none."""
        state = self._states.get(connection_id)
        if state is None or not state.HasField("token"):
            return None
        token = state.token
        expired = token.HasField("expires_at") and token.expires_at.ToNanoseconds() <= time.time_ns()
        return None if expired else token

    async def watch(
        self, tokens: token_pb2_grpc.TokenServiceStub, connection_ids: list[str], metadata: list[tuple[str, str]]
    ) -> AsyncIterator[token_pb2.WatchTokensResponse]:
        """Yields every message, over as many streams as it takes. Raises AioRpcError for what a retry cannot fix."""
        failures = 0
        while True:
            delay: float | None = None
            request = token_pb2.WatchTokensRequest(connection_ids=connection_ids, position=self._position)
            request.bookmark_interval.seconds = BOOKMARK_INTERVAL
            self._named = None if self._position else set()
            call = tokens.WatchTokens(request, metadata=metadata, wait_for_ready=True)
            try:
                while (message := await asyncio.wait_for(call.read(), SILENCE)) is not grpc.aio.EOF:
                    failures = 0
                    self._take(message)
                    if message.HasField("drain"):
                        delay = message.drain.reconnect_delay.ToMilliseconds() / 1000
                    yield message
                print("the daemon ended the stream", flush=True)
            except TimeoutError:
                print(f"nothing came for {SILENCE} s", flush=True)
            except grpc.aio.AioRpcError as error:
                if error.code() in PERMANENT:
                    raise
                print(f"the stream broke off: {error.code().name}", flush=True)
            finally:
                call.cancel()
            if delay is None:
                delay = random.uniform(0, min(LONGEST_DELAY, FIRST_DELAY * 2**min(failures, 10)))
            failures += 1
            await asyncio.sleep(delay)

    def _take(self, message: token_pb2.WatchTokensResponse) -> None:
        match message.WhichOneof("event"):
            case "state":
                self._states[message.state.connection_id] = message.state
                if self._named is not None:
                    self._named.add(message.state.connection_id)
            case "removed":
                self._states.pop(message.removed.connection_id, None)
            case "reset":
                self._position, self._named = None, set()
            case "bookmark":
                if self._named is not None:  # the snapshot is complete: what it did not name is gone
                    self._states = {key: state for key, state in self._states.items() if key in self._named}
                self._position, self._named = message.bookmark.position, None


def apply(token: token_pb2.Token) -> dict[str, str]:
    """The header that carries the token."""
    strategy = token.strategy.oauth2
    return {strategy.header_name: strategy.value_prefix + token.credentials[strategy.credential_field]}


def describe(message: token_pb2.WatchTokensResponse) -> str:
    """One line for a person. It never holds a token."""
    event = message.WhichOneof("event")
    if event == "state":
        state = message.state
        status = connection_pb2.ConnectionStatus.Name(state.status).removeprefix("CONNECTION_STATUS_").lower()
        words = [f"{state.connection_id}  {status}  revision {state.revision}"]
        if state.HasField("token"):
            has_end = state.token.HasField("expires_at")
            words.append(f"expires {state.token.expires_at.ToJsonString()}" if has_end else "does not expire")
        if state.HasField("problem"):
            words.append(state.problem.reason)
        return "  ".join(words)
    if event == "removed":
        return f"{message.removed.connection_id}  removed"
    if event == "bookmark":
        return f"bookmark {message.bookmark.position.revision}"
    return f"reset: {message.reset.reason}" if event == "reset" else str(event)


def call_api(url: str, token: token_pb2.Token) -> str:
    request = urllib.request.Request(url, headers=apply(token))
    try:
        with urllib.request.urlopen(request, timeout=10) as response:
            return str(response.status)
    except urllib.error.HTTPError as error:
        return str(error.code)
    except OSError as error:
        return str(error)


def open_channel(address: str, target: str) -> grpc.aio.Channel:
    """With TLS for https: NEXUS_CA_FILE is whom to trust, NEXUS_CLIENT_CERT_FILE and NEXUS_CLIENT_KEY_FILE are who calls."""
    if not address.startswith("https://"):
        return grpc.aio.insecure_channel(target, options=CHANNEL_OPTIONS)
    names = ("NEXUS_CA_FILE", "NEXUS_CLIENT_KEY_FILE", "NEXUS_CLIENT_CERT_FILE")
    files = [Path(os.environ[name]).read_bytes() if os.environ.get(name) else None for name in names]
    return grpc.aio.secure_channel(target, grpc.ssl_channel_credentials(*files), options=CHANNEL_OPTIONS)


async def run(address: str, connection_ids: list[str], api_url: str | None) -> None:
    target, metadata = address, []
    if address.startswith(("http://", "https://")):
        target = address.split("://", 1)[1].rstrip("/")
    if target != address and not (address.startswith("https://") and os.environ.get("NEXUS_CLIENT_CERT_FILE")):
        try:
            key = Path(os.environ["NEXUS_API_KEY_FILE"]).read_text().strip()
        except (KeyError, OSError) as error:
            sys.exit(f"NEXUS_API_KEY_FILE must name the file of the API key: {error!r}")
        metadata = [("authorization", f"Bearer {key}")]
    holder = TokenHolder()
    called = {}  # the revision that the API was last called with
    print(f"connecting to {address}", flush=True)
    async with open_channel(address, target) as channel:
        async for message in holder.watch(token_pb2_grpc.TokenServiceStub(channel), connection_ids, metadata):
            print(describe(message), flush=True)
            connection_id = message.state.connection_id
            token = holder.token(connection_id)
            if api_url and token and called.get(connection_id) != token.revision:
                called[connection_id] = token.revision
                print(f"{connection_id}  API answered {await asyncio.to_thread(call_api, api_url, token)}", flush=True)


def main() -> None:
    data_home = os.environ.get("XDG_DATA_HOME") or Path.home() / ".local/share"
    default = os.environ.get("NEXUS_ADDRESS") or f"unix:{data_home}/nexusd/nexus.sock"
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("connection_ids", nargs="*", help="ids of connections; none means all")
    parser.add_argument("--address", default=default, help="unix:PATH or http(s)://HOST:PORT (NEXUS_ADDRESS)")
    parser.add_argument("--call", metavar="URL", help="an API to call with each new token")
    options = parser.parse_args()
    try:
        asyncio.run(run(options.address, options.connection_ids, options.call))
    except KeyboardInterrupt:
        pass
    except grpc.aio.AioRpcError as error:
        sys.exit(f"{error.code().name}: {error.details()}")


if __name__ == "__main__":
    main()
