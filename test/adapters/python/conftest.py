"""The daemon and its user, as the runner gives them; see control.ts."""

from __future__ import annotations

import asyncio
import json
import os
import urllib.request
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from harness import Spec

from nexusd import AsyncNexus
from nexusd.tokens import Consent


async def act(name: str, /, **fields: str) -> Any:
    def post() -> Any:
        request = urllib.request.Request(f"{os.environ['CONTROL']}/{name}", json.dumps(fields).encode())
        with urllib.request.urlopen(request, timeout=60) as response:
            return json.load(response)

    return await asyncio.to_thread(post)


class User:
    """Who is shown links: opens each, or says no."""

    def __init__(self, *, agrees: bool = True, scope: str = "read") -> None:
        self.shown: list[Consent] = []
        self.agrees = agrees
        self.scope = scope

    async def __call__(self, consent: Consent) -> None:
        self.shown.append(consent)
        await act("consent" if self.agrees else "deny", url=consent.auth_url, scope=self.scope)


@pytest_asyncio.fixture
async def nexus() -> AsyncIterator[AsyncNexus]:
    async with AsyncNexus() as nexus:
        yield nexus


@pytest_asyncio.fixture
async def spec(nexus: AsyncNexus) -> Spec:
    """A tool that needs a provider of its own."""
    return Spec(nexus, await act("register"))


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Tells the runner how each case ended; one that is not for a framework is left out."""
    if "REPORT" not in os.environ or report.skipped or (report.when != "call" and report.passed):
        return
    name = report.nodeid.partition("::test_")[2].partition("[")[0].replace("_", " ")
    with Path(os.environ["REPORT"]).open("a") as file:
        file.write(f"{name}\t{report.outcome}\n")
