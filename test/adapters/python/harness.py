"""What a case knows of a framework: an agent with one tool, whose model is scripted and keeps what it reads."""

from __future__ import annotations

import json
import os
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import httpx

from nexusd import AsyncNexus
from nexusd._needs import Account, Show

Body = Callable[[Account, str], Awaitable[str]]


async def give_token(account: Account, note: str) -> str:
    return f"{note}:{(await account.token()).access_token}"


async def call_api(account: Account, note: str) -> str:
    async with httpx.AsyncClient(auth=account.auth) as http:
        response = await http.post(f"{os.environ['API']}/write")
    return f"{note}:{response.status_code}"


BODIES: dict[str, Body] = {"token": give_token, "api": call_api}


@dataclass
class Spec:
    nexus: AsyncNexus
    provider: str
    body: Body = give_token
    scopes: tuple[str, ...] = ()
    #: What the model calls the tool with, turn by turn; a call is the JSON of its arguments.
    turns: Sequence[Sequence[dict[str, Any]]] = ([{"note": "n"}],)
    #: All that the model was given to read.
    read: list[str] = field(default_factory=list)

    def needs(self) -> dict[str, Any]:
        return {"provider": self.provider, "scopes": self.scopes, "nexus": self.nexus}

    def to_json(self) -> str:
        body = next(name for name, each in BODIES.items() if each is self.body)
        return json.dumps({"provider": self.provider, "body": body, "scopes": self.scopes, "turns": self.turns})

    @classmethod
    def from_json(cls, nexus: AsyncNexus, text: str) -> Spec:
        given = json.loads(text)
        return cls(nexus, given["provider"], BODIES[given["body"]], tuple(given["scopes"]), given["turns"])


class Harness(Protocol):
    """`run` returns what the tool's calls gave the model, in the order of the calls."""

    def __init__(self, spec: Spec, folder: str) -> None: ...

    async def run(self, user: str, show: Show) -> list[str]:
        """Runs to the end."""

    async def stream(self, user: str, show: Show) -> list[str]:
        """The same, by the framework's streaming."""

    async def suspend(self, user: str) -> str:
        """Runs until the user must consent, and returns what another process needs to go on, beside the folder."""

    async def resume(self, saved: str, user: str, show: Show) -> list[str]: ...
