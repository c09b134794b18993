"""What the adapters of agent frameworks share: a tool that needs a user's account, and the wait for that user.

An adapter says where its framework has the user, how a tool is suspended (`Pause`), and how it goes on. No argument of a tool, which a
model writes, names a user.
"""

from __future__ import annotations

import asyncio
import functools
import hashlib
import inspect
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Generic, NoReturn, TypeVar

from nexusd._async_nexus import AsyncNexus
from nexusd._core.names import scopes_of
from nexusd.errors import ConsentDenied, ConsentRequired, PermissionDenied
from nexusd.tokens import Consent, Token

if TYPE_CHECKING:
    from nexusd.httpx import NexusAuth

C = TypeVar("C")

#: Shows a link, or a code, to the user whom it names, and to nobody else.
Show = Callable[[Consent], Awaitable[object] | object]
Tool = Callable[..., Awaitable[Any]]
#: Marks what an adapter puts into a run that waits for a user.
KIND = "nexusd.consent"
#: A tool outlives a restart of the daemon.
PATIENCE_SECONDS = 30.0


@dataclass(frozen=True)
class Account:
    """The account of one user at one provider. A tool that needs one gets it as its argument `account`."""

    nexus: AsyncNexus
    provider: str
    user: str
    label: str = ""
    scopes: tuple[str, ...] = ()

    async def token(self) -> Token:
        """The current token: ask before each request, which costs nothing, and keep none."""
        user, label, scopes = self.user, self.label, self.scopes
        return await self.nexus.token(self.provider, user=user, label=label, scopes=scopes, timeout=PATIENCE_SECONDS)

    @property
    def is_at_hand(self) -> bool:
        """Whether there is a token that the daemon need not be asked for."""
        return self.nexus._at_hand(self.provider, self.user, self.label, self.scopes) is not None

    @property
    def auth(self) -> NexusAuth:
        """`httpx.AsyncClient(auth=account.auth)`: each request has the current token, and missing scopes ask the user."""
        from nexusd.httpx import NexusAuth

        return NexusAuth(self.nexus, self.provider, user=self.user, label=self.label, scopes=self.scopes)

    @property
    def declined(self) -> str:
        """What the model reads when the user says no."""
        return f"The user declined to connect {self.provider}."

    def wider(self, scopes: Iterable[str]) -> Account:
        return replace(self, scopes=tuple(sorted({*self.scopes, *scopes})))

    def asks(self, error: ConsentRequired) -> dict[str, Any]:
        """What a suspended run holds of it, as JSON."""
        names = {"kind": KIND, "provider": self.provider, "user": self.user, "label": self.label, "scopes": list(self.scopes)}
        code = {"verification_uri": error.verification_uri, "user_code": error.user_code} if error.user_code else {}
        return {**names, "url": error.auth_url, "reason": error.reason, **code}


class Answer(Exception):
    """What the framework gets instead of the tool's own result."""

    def __init__(self, result: object) -> None:
        super().__init__()
        self.result = result


#: Suspends the run by an exception of the framework, or an `Answer`; returns when the user has consented.
Pause = Callable[[Account, ConsentRequired], Awaitable[None]]
Body = Callable[[Account], Awaitable[object]]


@dataclass(frozen=True)
class Need(Generic[C]):
    """What a tool needs, and whose it is."""

    provider: str
    label: str
    scopes: tuple[str, ...]
    nexus: AsyncNexus | None
    user: Callable[[C], str]

    def account(self, context: C) -> Account:
        user = self.user(context)
        if not isinstance(user, str) or not user:
            raise PermissionDenied(f"a tool needs the user's {self.provider}, and the run has no user")
        return Account(self.nexus or shared_nexus(), self.provider, user, self.label, self.scopes)


def need(provider: str, label: str, scopes: Iterable[str], nexus: AsyncNexus | None, user: Callable[[C], str]) -> Need[C]:
    return Need(provider, label, scopes_of(scopes), nexus, user)


@functools.cache
def shared_nexus() -> AsyncNexus:
    """The client of tools that name none."""
    return AsyncNexus()


async def run(account: Account, body: Body, pause: Pause) -> object:
    """Runs a tool's body, from its beginning again after each consent."""
    try:
        while True:
            try:
                await account.token()
                return await body(account)
            except ConsentRequired as error:
                if not error.auth_url and not error.user_code:
                    raise
                account = account.wider(error.scopes)
                await pause(account, error)
    except Answer as answer:
        return answer.result


class Approval(Generic[C]):
    """What a tool needs where the framework cannot suspend one that runs, but asks before a call."""

    def __init__(self, needed: Need[C]) -> None:
        self._needed = needed
        #: Scopes that an API missed, by user: the next call asks for them.
        self._missed: dict[str, tuple[str, ...]] = {}

    def account(self, context: C) -> Account:
        account = self._needed.account(context)
        return account.wider(self._missed.get(account.user, ()))

    async def pause(self, account: Account, _error: ConsentRequired) -> None:
        """The model calls the tool again, and that call asks the user."""
        self._missed[account.user] = account.scopes
        raise Answer(f"The user must grant more access to {account.provider}. Call this tool again, and the user is asked.")

    async def call(self, context: C, body: Body) -> object:
        async def forget(account: Account) -> object:
            result = await body(account)
            self._missed.pop(account.user, None)
            return result

        return await run(self.account(context), forget, self.pause)


def bind(function: Tool, context: inspect.Parameter, call: Callable[[Any, Body], Awaitable[object]]) -> Tool:
    """The tool as a framework sees it: without `account`, and with the framework's context, which `function` gets if it names it."""
    if not inspect.iscoroutinefunction(function):
        raise TypeError(f"{function.__qualname__} needs an account, so it must be an async def")
    given = inspect.signature(function)
    if "account" not in given.parameters:
        raise TypeError(f"{function.__qualname__} needs an account, so it must have a parameter of that name")
    takes_context = context.name in given.parameters
    rest = [each for name, each in given.parameters.items() if name != "account"]
    signature = given.replace(parameters=rest if takes_context else [context, *rest])

    @functools.wraps(function)
    async def tool(*args: object, **kwargs: object) -> object:
        values = signature.bind(*args, **kwargs).arguments
        found = values[context.name] if takes_context else values.pop(context.name)
        return await call(found, lambda account: function(**values, account=account))

    tool.__signature__ = signature  # type: ignore[attr-defined]
    annotations = {name: each for name, each in function.__annotations__.items() if name != "account"}
    tool.__annotations__ = annotations if takes_context else {context.name: context.annotation, **annotations}
    return tool


def parameter(name: str, annotation: object) -> inspect.Parameter:
    return inspect.Parameter(name, inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=annotation)


@dataclass(frozen=True)
class Asked:
    """An account that a suspended run waits for, and the digest of the link that it gave out."""

    account: Account
    link: str


def digest(link: str) -> str:
    return hashlib.sha256(link.encode()).hexdigest()[:16]


def asked_of(value: object, user: str, nexus: AsyncNexus | None) -> Asked | None:
    """What a suspended run waits for; None for what is not of nexusd.

    Raises PermissionDenied when that is another user's: the link of one is never shown to another.
    """
    if not isinstance(value, Mapping) or value.get("kind") != KIND:
        return None
    if value["user"] != user:
        raise PermissionDenied("the run waits for the consent of another user")
    account = Account(nexus or shared_nexus(), value["provider"], user, value["label"], tuple(value["scopes"]))
    return Asked(account, digest(value["url"] or value.get("user_code", "")))


async def settle(asked: Sequence[Asked], on_consent: Show, timeout: float | None = None) -> list[bool]:
    """Shows each link once, and waits for the users. Returns who consented, in the order of `asked`."""
    shown: set[str] = set()

    async def wait(each: Asked) -> bool:
        async def show(consent: Consent) -> None:
            link = consent.auth_url or consent.user_code
            if consent.reason == "access_denied" and each.link not in ("", digest(link)):
                raise ConsentDenied("the user said no to the link that the run gave out", reason=consent.reason)
            if link in shown:
                return
            shown.add(link)
            result = on_consent(consent)
            if inspect.isawaitable(result):
                await result

        account = each.account
        try:
            await account.nexus.acquire(
                account.provider, user=account.user, label=account.label, scopes=account.scopes, on_consent=show, timeout=timeout
            )
        except ConsentDenied:
            return False
        return True

    waits = {each: asyncio.ensure_future(wait(each)) for each in asked}
    try:
        await asyncio.gather(*waits.values())
        return [waits[each].result() for each in asked]
    finally:
        for task in waits.values():
            task.cancel()


def no_user(where: str) -> NoReturn:
    raise PermissionDenied(f"the run has no user: set {where}, or tell `needs` where it is, by user=")
