"""The cases, each with every framework, against a live daemon."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest
from conftest import User, act
from frameworks import FRAMEWORKS, harness_of
from harness import Account, Spec, call_api

from nexusd.errors import ConsentRequired, PermissionDenied

pytestmark = pytest.mark.asyncio


@pytest.fixture(params=[each for each in FRAMEWORKS if os.environ.get("FRAMEWORK", each) == each])
def framework(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def harness(framework: str, spec: Spec, tmp_path: Path) -> Any:
    return harness_of(framework, spec, str(tmp_path))


async def token_of(spec: Spec, user: str = "ada") -> str | None:
    return (await spec.nexus.token(spec.provider, user=user)).access_token


def reads_no_link(spec: Spec, user: User) -> None:
    for consent in user.shown:
        assert consent.auth_url not in "".join(spec.read)


async def test_first_consent(harness: Any, spec: Spec) -> None:
    user = User()
    assert await harness.run("ada", user) == [f"n:{await token_of(spec)}"]
    assert len(user.shown) == 1
    reads_no_link(spec, user)
    assert await harness.run("ada", user) == [f"n:{await token_of(spec)}"]
    assert len(user.shown) == 1


async def test_streaming(harness: Any, spec: Spec) -> None:
    user = User()
    assert await harness.stream("ada", user) == [f"n:{await token_of(spec)}"]
    assert len(user.shown) == 1


async def test_two_users_never_meet(framework: str, harness: Any, spec: Spec) -> None:
    """10 000 calls: runs of 50 parallel calls, of two users at once. 2 000 with LlamaIndex, which copies its state for each event."""
    for user in ("ada", "bob"):
        await act("connect", provider=spec.provider, user=user)
    tokens = {user: await token_of(spec, user) for user in ("ada", "bob")}
    assert tokens["ada"] != tokens["bob"]
    spec.turns = [[{"note": str(n)} for n in range(50)]]
    for _ in range(2 if framework == "LlamaIndex" else 10):
        users = ["ada", "bob"] * 10
        for user, results in zip(users, await asyncio.gather(*(harness.run(user, User()) for user in users)), strict=True):
            assert sorted(results) == sorted(f"{n}:{tokens[user]}" for n in range(50))


async def test_denied(harness: Any, spec: Spec) -> None:
    user = User(agrees=False)
    assert await harness.run("ada", user) == [f"The user declined to connect {spec.provider}."]
    assert len(user.shown) == 1
    reads_no_link(spec, user)


async def test_consent_later_in_another_process(framework: str, harness: Any, spec: Spec, tmp_path: Path) -> None:
    if not hasattr(harness, "suspend"):
        pytest.skip("the client of an MCP server keeps the run, and the server nothing")
    (tmp_path / "saved").write_text(await harness.suspend("ada"))
    (tmp_path / "spec").write_text(spec.to_json())
    program = Path(__file__).parent / "resume.py"
    child = await asyncio.create_subprocess_exec(sys.executable, program, framework, tmp_path, stdout=asyncio.subprocess.PIPE)
    output, _ = await child.communicate()
    assert json.loads(output) == [f"n:{await token_of(spec)}"]


async def test_another_user_who_goes_on_sees_no_link_of_the_first(framework: str, harness: Any, spec: Spec) -> None:
    if not hasattr(harness, "suspend"):
        pytest.skip("the client of an MCP server keeps the run, and the server nothing")
    saved, bob = await harness.suspend("ada"), User(agrees=False)
    # The others ask anew, for who goes on.
    refuses = framework in ("Pydantic AI", "Google ADK", "LlamaIndex", "Agno")
    with pytest.raises(PermissionDenied) if refuses else contextlib.nullcontext():
        await harness.resume(saved, "bob", bob)
    assert all(consent.user == "bob" for consent in bob.shown)


async def test_scopes_missing_in_mid_run(framework: str, harness: Any, spec: Spec) -> None:
    await act("connect", provider=spec.provider, user="ada")
    spec.body, user = call_api, User(scope="read write")
    if framework in ("OpenAI Agents", "Agno"):  # the model calls again
        spec.turns = [[{"note": "n"}], [{"note": "n"}]]
    assert (await harness.run("ada", user))[-1] == "n:200"
    assert [consent.reason for consent in user.shown] in (["scopes_missing"], ["not_connected"])
    reads_no_link(spec, user)


async def test_refreshed_while_a_tool_runs(harness: Any, spec: Spec) -> None:
    await act("connect", provider=spec.provider, user="ada")

    async def body(account: Account, note: str) -> str:
        before = await account.token()
        await act("refresh", provider=spec.provider, user="ada")
        while (after := await account.token()).revision == before.revision:
            await asyncio.sleep(0.01)
        return f"{note}:{after.access_token}"

    spec.body = body
    assert await harness.run("ada", User()) == [f"n:{await token_of(spec)}"]


async def test_revoked(harness: Any, spec: Spec) -> None:
    connection = await act("connect", provider=spec.provider, user="ada")
    before, user = await token_of(spec), User()
    assert await harness.run("ada", user) == [f"n:{before}"]
    await act("revoke", connection=connection)
    with pytest.raises(ConsentRequired):
        while True:
            await token_of(spec)
            await asyncio.sleep(0.01)
    assert await harness.run("ada", user) == [f"n:{await token_of(spec)}"]
    assert len(user.shown) == 1


async def test_the_daemon_restarts(harness: Any, spec: Spec) -> None:
    class Later(User):
        async def __call__(self, consent: Any) -> None:
            await act("restart")
            await super().__call__(consent)

    user = Later()
    assert await harness.run("ada", user) == [f"n:{await token_of(spec)}"]
    assert len(user.shown) == 1


async def test_a_run_is_cancelled(harness: Any, spec: Spec) -> None:
    shown: list[Any] = []
    running = asyncio.create_task(harness.run("ada", shown.append))
    while not shown:
        await asyncio.sleep(0.01)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    user = User()
    assert await harness.run("ada", user) == [f"n:{await token_of(spec)}"]
    assert [each.auth_url for each in user.shown] == [each.auth_url for each in shown]


async def test_parallel_calls_show_one_link(harness: Any, spec: Spec) -> None:
    spec.turns, user = [[{"note": str(n)} for n in range(5)]], User()
    results = await harness.run("ada", user)
    assert sorted(results) == [f"{n}:{await token_of(spec)}" for n in range(5)]
    assert len(user.shown) == 1


async def test_a_model_cannot_name_a_user(harness: Any, spec: Spec) -> None:
    for user in ("ada", "bob"):
        await act("connect", provider=spec.provider, user=user)
    bob = await token_of(spec, "bob")
    named = {"user": "bob", "user_id": "bob"}
    contexts = {name: named for name in ("ctx", "tool_context", "run_context", "wrapper")}
    hidden = {"account": named, "config": {"configurable": named}, **contexts}
    spec.turns = [[{"note": "n", **named, **hidden}], [{"note": "n", **named}], [{"note": "n", **hidden}]]
    results, own = await harness.run("ada", User()), f"n:{await token_of(spec)}"
    assert bob not in "".join([*results, *spec.read])
    assert results
    # What a framework refuses it refuses by name; what it lets pass changes nothing.
    assert {each for each in results if each.startswith("n:")} <= {own}
