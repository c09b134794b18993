"""Both clients with a daemon that says what a test wants."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import threading
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timezone
from pathlib import Path

import grpc
import pytest
from conftest import Answer, FakeDaemon, bookmark_message, state_message

from nexusd import (
    AsyncNexus,
    AttentionRequired,
    Bookmark,
    Cancellation,
    Cancelled,
    ConnectionState,
    Consent,
    ConsentDenied,
    ConsentRequired,
    DeadlineExceeded,
    InvalidArgument,
    Lease,
    Nexus,
    NexusError,
    Token,
    Unauthenticated,
    Unavailable,
)
from nexusd._proto import error_details_pb2, status_pb2, token_pb2

Ask = Callable[..., Token]


def until(is_so: Callable[[], bool]) -> None:
    ends_s = time.monotonic() + 20
    while not is_so():
        assert time.monotonic() < ends_s, "it did not come to pass in 20 s"
        threading.Event().wait(0.01)


async def until_async(is_so: Callable[[], Awaitable[bool]]) -> None:
    ends_s = time.monotonic() + 20
    while not await is_so():
        assert time.monotonic() < ends_s, "it did not come to pass in 20 s"
        await asyncio.sleep(0.01)


def test_a_hit_costs_no_call_and_the_stream_brings_the_next(daemon: FakeDaemon) -> None:
    with Nexus(daemon.address) as nexus:
        assert {nexus.token("GitHub ", user="ada").access_token for _ in range(1000)} == {"at-1"}
        assert daemon.watched.get(timeout=20).names[0].provider_name == "github"
        daemon.events.put(state_message(2, "at-2"))
        daemon.events.put(bookmark_message())
        until(lambda: nexus.token("github", user="ada").access_token == "at-2")
        assert len(daemon.asked) == 1


def test_renews_the_lease_of_its_key(daemon: FakeDaemon) -> None:
    async def run() -> Lease:
        async with AsyncNexus(daemon.address) as nexus:
            return await nexus.renew_lease(timeout=20)

    with Nexus(daemon.address) as nexus:
        assert nexus.renew_lease() == Lease(60.0, datetime.fromtimestamp(1_800_000_000, timezone.utc)) == asyncio.run(run())
        daemon.lease = None
        with pytest.raises(AttentionRequired):
            nexus.renew_lease()


def test_async_a_hit_costs_no_call_and_the_stream_brings_the_next(daemon: FakeDaemon) -> None:
    async def run() -> None:
        async with AsyncNexus(daemon.address) as nexus:
            assert {(await nexus.token("GitHub ", user="ada")).access_token for _ in range(1000)} == {"at-1"}
            daemon.events.put(state_message(2, "at-2"))
            daemon.events.put(bookmark_message())

            async def has_second() -> bool:
                return (await nexus.token("github", user="ada")).access_token == "at-2"

            await until_async(has_second)
            assert len(daemon.asked) == 1

    asyncio.run(run())


def test_many_that_ask_at_once_are_one_call(daemon: FakeDaemon) -> None:
    gate = threading.Event()

    def slow(request: token_pb2.AcquireTokenRequest, context: grpc.ServicerContext) -> Answer:
        gate.wait(20)
        return daemon.give(request, context)

    daemon.acquire = slow
    with Nexus(daemon.address) as nexus, ThreadPoolExecutor(30) as pool:
        asking = [pool.submit(nexus.token, "github", user="ada") for _ in range(20)]
        impatient = pool.submit(nexus.token, "github", user="ada", cancellation=(cancellation := Cancellation()))
        until(lambda: len(daemon.asked) == 1)
        cancellation.cancel()
        with pytest.raises(Cancelled):
            impatient.result(20)
        gate.set()
        assert {each.result(20).revision for each in asking} == {1}
        assert len(daemon.asked) == 1


def test_who_asks_while_an_answer_comes_in_makes_no_other_call(daemon: FakeDaemon) -> None:
    names = [f"provider-{number}" for number in range(20)]
    with Nexus(daemon.address) as nexus, ThreadPoolExecutor(16) as pool:
        for name in names:
            # Some ask before the answer, some while it is taken in, some after it.
            asking = [pool.submit(nexus.token, name, user="ada") for _ in range(48)]
            assert {each.result(20).revision for each in asking} == {1}
    assert [request.provider_name for request in daemon.asked] == names


def test_async_who_asks_while_an_answer_comes_in_makes_no_other_call(daemon: FakeDaemon) -> None:
    async def run() -> None:
        async with AsyncNexus(daemon.address) as nexus:

            async def ask(number: int) -> Token:
                for _ in range(number):
                    await asyncio.sleep(0)
                return await nexus.token("github", user="ada", timeout=20)

            tokens = await asyncio.gather(*(ask(number) for number in range(500)))
            assert {token.revision for token in tokens} == {1}

    asyncio.run(run())
    assert len(daemon.asked) == 1


def test_the_last_that_leaves_cancels_the_call(daemon: FakeDaemon) -> None:
    cancelled = threading.Event()

    def never(request: token_pb2.AcquireTokenRequest, context: grpc.ServicerContext) -> Answer:
        context.add_callback(cancelled.set)
        cancelled.wait(20)
        return Answer()

    daemon.acquire = never
    with Nexus(daemon.address) as nexus:
        started = time.monotonic()
        with pytest.raises(DeadlineExceeded) as caught:
            nexus.token("github", user="ada", timeout=0.2)
        assert isinstance(caught.value, TimeoutError)
        assert time.monotonic() - started < 10
        assert cancelled.wait(20)


def test_close_ends_the_calls_under_way(daemon: FakeDaemon) -> None:
    daemon.acquire = daemon.ask_consent
    nexus = Nexus(daemon.address)
    with ThreadPoolExecutor(1) as pool:
        shown: list[Consent] = []
        waiting = pool.submit(nexus.acquire, "github", user="ada", on_consent=shown.append)
        until(lambda: len(daemon.asked) > 1)
        nexus.close()
        with pytest.raises(Cancelled):
            waiting.result(20)
        assert len(shown) == 1
        assert shown[0].auth_url in str(shown[0])
    with pytest.raises(NexusError, match="closed"):
        nexus.token("github", user="ada")


def test_async_cancellation_is_that_of_asyncio(daemon: FakeDaemon) -> None:
    daemon.acquire = daemon.ask_consent

    async def run() -> None:
        async with AsyncNexus(daemon.address) as nexus:
            shown = asyncio.Event()
            waiting = asyncio.create_task(nexus.acquire("github", user="ada", on_consent=lambda _: shown.set()))
            await shown.wait()
            waiting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiting
            with pytest.raises(DeadlineExceeded):
                await nexus.acquire("github", user="ada", on_consent=print, timeout=0.3)

    asyncio.run(run())


def test_acquire_shows_a_link_once_and_the_error_holds_it_in_no_message(daemon: FakeDaemon) -> None:
    def consent_first(request: token_pb2.AcquireTokenRequest, context: grpc.ServicerContext) -> Answer:
        return daemon.ask_consent(request, context) if len(daemon.asked) < 4 else daemon.give(request, context)

    daemon.acquire = consent_first
    with Nexus(daemon.address) as nexus:
        with pytest.raises(ConsentRequired) as caught:
            nexus.token("github", user="ada")
        assert caught.value.auth_url == "http://127.0.0.1/auth/start?state=s"
        assert "state" not in str(caught.value)
        assert "Do not retry" in str(caught.value)
        shown: list[Consent] = []
        assert nexus.acquire("github", user="ada", on_consent=shown.append).revision == 1
        assert len(shown) == 1
        assert [each.wait.seconds for each in daemon.asked] == [0, 0, 50, 50]


def test_one_request_raises_for_missing_scopes_and_acquire_with_them_waits_for_the_person(daemon: FakeDaemon) -> None:
    wanted = 'Bearer error="insufficient_scope", scope="write"'

    def consent_first(request: token_pb2.AcquireTokenRequest, context: grpc.ServicerContext) -> Answer:
        daemon.revision = 2 if request.wait.seconds else 1
        return daemon.give(request, context) if len(daemon.asked) != 2 else daemon.ask_consent(request, context)

    async def ask_async(shown: list[Consent]) -> Token:
        async with AsyncNexus(daemon.address) as nexus:
            token = await nexus.token("github", user="ada")
            with pytest.raises(ConsentRequired) as caught:
                await nexus.replace_rejected("github", user="ada", rejected=token, status=403, www_authenticate=wanted)
            assert (await nexus.token("github", user="ada")).revision == 1
            return await nexus.acquire("github", user="ada", scopes=caught.value.scopes, on_consent=shown.append)

    def ask(shown: list[Consent]) -> Token:
        with Nexus(daemon.address) as nexus:
            token = nexus.token("github", user="ada")
            with pytest.raises(ConsentRequired) as caught:
                nexus.replace_rejected("github", user="ada", rejected=token, status=403, www_authenticate=wanted)
            assert nexus.token("github", user="ada").revision == 1
            return nexus.acquire("github", user="ada", scopes=caught.value.scopes, on_consent=shown.append)

    daemon.acquire = consent_first
    daemon.outcome = (3, 1)
    for play in (ask, lambda shown: asyncio.run(ask_async(shown))):
        daemon.asked.clear()
        shown: list[Consent] = []
        assert play(shown).revision == 2
        assert len(shown) == 1
        assert [(each.wait.seconds, list(each.scopes)) for each in daemon.asked] == [(0, []), (0, ["write"]), (50, ["write"])]


def test_acquire_ends_with_a_no_but_asks_anew_who_said_no_before(daemon: FakeDaemon) -> None:
    def deny(request: token_pb2.AcquireTokenRequest, context: grpc.ServicerContext) -> Answer:
        answer = daemon.ask_consent(request, context)
        answer.consent.auth_url = f"http://127.0.0.1/auth/start?state=s{min(len(daemon.asked), 3)}"
        answer.consent.reason = "consent_expired" if len(daemon.asked) == 2 else "access_denied"
        return answer

    async def ask_async(shown: list[Consent]) -> None:
        async with AsyncNexus(daemon.address) as nexus:
            await nexus.acquire("github", user="ada", on_consent=shown.append)

    def ask(shown: list[Consent]) -> None:
        with Nexus(daemon.address) as nexus:
            nexus.acquire("github", user="ada", on_consent=shown.append)

    daemon.acquire = deny
    for play in (ask, lambda shown: asyncio.run(ask_async(shown))):
        daemon.asked.clear()
        shown: list[Consent] = []
        with pytest.raises(ConsentDenied) as caught:
            play(shown)
        assert [each.reason for each in shown] == ["access_denied", "consent_expired"]
        assert isinstance(caught.value, ConsentRequired)
        assert (caught.value.reason, caught.value.auth_url[-2:]) == ("access_denied", "s3")
        assert "state" not in str(caught.value)


def test_a_device_authorization_shows_a_code(daemon: FakeDaemon) -> None:
    def code_first(request: token_pb2.AcquireTokenRequest, context: grpc.ServicerContext) -> Answer:
        answer = Answer()
        answer.consent.verification_uri, answer.consent.user_code = "https://provider.example/device", "WDJB-MJHT"
        return answer if len(daemon.asked) < 3 else daemon.give(request, context)

    daemon.acquire = code_first
    with Nexus(daemon.address) as nexus:
        shown: list[Consent] = []
        nexus.acquire("github", user="ada", on_consent=shown.append, device=True)
        assert [each.device for each in daemon.asked] == [True] * 3
        assert [each.user_code for each in shown] == ["WDJB-MJHT"]
        assert "enter the code WDJB-MJHT at https://provider.example/device" in str(shown[0])


def test_unavailable_says_when_to_come_again(daemon: FakeDaemon) -> None:
    def refuse(request: token_pb2.AcquireTokenRequest, context: grpc.ServicerContext) -> Answer:
        status = status_pb2.Status(code=14, message="the provider is away")
        delay = error_details_pb2.RetryInfo()
        delay.retry_delay.seconds = 3
        detail = status.details.add()
        detail.type_url = "type.googleapis.com/google.rpc.RetryInfo"
        detail.value = delay.SerializeToString()
        context.set_trailing_metadata((("grpc-status-details-bin", status.SerializeToString()),))
        context.abort(grpc.StatusCode.UNAVAILABLE, status.message)
        raise AssertionError

    daemon.acquire = refuse
    with Nexus(daemon.address) as nexus, pytest.raises(Unavailable, match=r"^the provider is away$") as caught:
        nexus.token("github", user="ada")
    assert caught.value.retry_after == 3


def test_nobody_there(tmp_path: Path) -> None:
    started = time.monotonic()
    with Nexus(f"unix:{tmp_path}/none") as nexus, pytest.raises(Unavailable, match="nexusd serve"):
        nexus.token("github", user="ada")
    with Nexus("http://127.0.0.1:1", api_key="k") as nexus, pytest.raises(Unavailable):
        nexus.token("github", user="ada")
    assert time.monotonic() - started < 5


def test_the_key_is_read_at_each_call_and_never_printed(tmp_path: Path) -> None:
    file = tmp_path / "key"
    nexus = Nexus("http://127.0.0.1:1", api_key_file=file)
    with pytest.raises(InvalidArgument, match="No such file"):
        nexus.token("github", user="ada")
    file.write_text("a secret\r\nkey")
    with pytest.raises(InvalidArgument) as caught:
        nexus.token("github", user="ada")
    assert "secret" not in f"{caught.value!r} {nexus!r}"
    nexus.close()


def test_watch_yields_events_and_raises_what_stays_the_same(daemon: FakeDaemon) -> None:
    with Nexus(daemon.address) as nexus:
        daemon.events.put(state_message(2, "at-2"))
        daemon.events.put(bookmark_message(9))
        events = nexus.watch("c1")
        state = next(events)
        assert isinstance(state, ConnectionState)
        assert (state.status, state.revision, state.token and state.token.access_token) == ("active", 2, "at-2")
        assert next(events) == Bookmark(9)
        nexus.close()
        with pytest.raises(Cancelled):
            next(events)


def test_async_watch(daemon: FakeDaemon) -> None:
    async def run() -> None:
        async with AsyncNexus(daemon.address) as nexus:
            daemon.events.put(bookmark_message(9))
            async for event in nexus.watch():
                assert event == Bookmark(9)
                break

    asyncio.run(run())


def test_one_async_client_in_two_loops(daemon: FakeDaemon) -> None:
    nexus = AsyncNexus(daemon.address)
    for _ in range(2):
        assert asyncio.run(nexus.token("github", user="ada")).revision == 1


def test_an_unknown_key_is_refused_and_not_asked_again(daemon: FakeDaemon) -> None:
    def refuse(request: token_pb2.AcquireTokenRequest, context: grpc.ServicerContext) -> Answer:
        context.abort(grpc.StatusCode.UNAUTHENTICATED, "unknown key")
        raise AssertionError

    daemon.acquire = refuse
    with Nexus(daemon.address) as nexus, pytest.raises(Unauthenticated):
        nexus.token("github", user="ada")
    assert daemon.watched.empty()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
def test_a_child_that_is_forked_before_the_first_call_has_a_client_of_its_own(daemon: FakeDaemon) -> None:
    """In a process of its own, since this one has used gRPC."""
    assert _in_child(daemon, before_fork=False) == "child 1, parent 1"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
def test_with_the_support_of_grpc_a_child_may_be_forked_later(daemon: FakeDaemon) -> None:
    assert _in_child(daemon, before_fork=True) == "child 1, parent 1"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
def test_without_it_the_child_is_told_in_place_of_hanging(daemon: FakeDaemon) -> None:
    told = _in_child(daemon, before_fork=True, support="0")
    assert told.startswith("NexusError: this process was forked after")
    assert told.endswith("parent 1")


def _in_child(daemon: FakeDaemon, *, before_fork: bool, support: str = "1") -> str:
    program = f"""
import os
from nexusd import Nexus
nexus = Nexus({daemon.address!r})
if {before_fork}: nexus.token("github", user="ada")
reader, writer = os.pipe()
child = os.fork()
if child == 0:
    try:
        os.write(writer, b"child %d" % nexus.token("github", user="ada", timeout=20).revision)
    except Exception as error:
        os.write(writer, f"{{type(error).__name__}}: {{error}}".encode())
    finally:
        os._exit(0)
os.close(writer)
told = os.read(reader, 1000).decode()
os.waitpid(child, 0)
print(f"{{told}}, parent {{nexus.token('github', user='ada', timeout=20).revision}}")
nexus.close()
"""
    environment = {**os.environ, "GRPC_ENABLE_FORK_SUPPORT": support if before_fork else "0"}
    run = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, timeout=60)
    assert run.returncode == 0, run.stderr
    return run.stdout.strip()
