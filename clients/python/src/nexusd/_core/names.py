"""How a connection is named: provider, user and label."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from nexusd._proto import connection_pb2


class Name(NamedTuple):
    """`ConnectionName` of the contract, as a key of dictionaries."""

    provider: str
    user: str
    label: str

    def message(self) -> connection_pb2.ConnectionName:
        return connection_pb2.ConnectionName(provider_name=self.provider, user_id=self.user, label=self.label)


def name_of(provider: str, user: str, label: str) -> Name:
    """The daemon trims and lower-cases the names of providers."""
    return Name(provider.strip().lower(), user, label)


def scopes_of(scopes: Iterable[str]) -> tuple[str, ...]:
    """Without doubles, in one order; one text is one scope."""
    return (scopes,) if isinstance(scopes, str) else tuple(sorted(set(scopes)))
