"""What the hooks share: whose token they take, and where it may go."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TypedDict
from urllib.parse import urlsplit

from nexusd._core.names import scopes_of
from nexusd.strategies import AwsSigV4Strategy, HmacPayloadStrategy, Strategy

_DEFAULT_PORTS = {"http": 80, "https": 443}


class NameArguments(TypedDict):
    """Arguments of `replace_rejected` that name a connection."""

    user: str
    label: str


class TokenArguments(NameArguments):
    """Arguments of `token`."""

    scopes: tuple[str, ...]
    min_ttl: float


@dataclass(frozen=True)
class Wanted:
    """The token that a hook takes for each request."""

    provider: str
    user: str
    label: str
    scopes: tuple[str, ...]
    min_ttl: float

    def name(self) -> NameArguments:
        return {"user": self.user, "label": self.label}

    def token(self) -> TokenArguments:
        return {"user": self.user, "label": self.label, "scopes": self.scopes, "min_ttl": self.min_ttl}


def wanted(provider: str, user: str, label: str, scopes: Iterable[str], min_ttl: float = 0.0) -> Wanted:
    return Wanted(provider, user, label, scopes_of(scopes), min_ttl)


def needs_body(strategy: Strategy) -> bool:
    """Whether the credential is a signature over the body."""
    return isinstance(strategy, (AwsSigV4Strategy, HmacPayloadStrategy))


def changed_headers(before: Mapping[str, str], after: Mapping[str, str]) -> dict[str, str]:
    """The headers that a strategy set. `before` may be a mapping that knows no case."""
    return {name: value for name, value in after.items() if before.get(name) != value}


def origin(url: str) -> tuple[str, str, int | None]:
    """Scheme, host and port (RFC 6454 section 4)."""
    parts = urlsplit(url)
    return parts.scheme, parts.hostname or "", parts.port or _DEFAULT_PORTS.get(parts.scheme)
