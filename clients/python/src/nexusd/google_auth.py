"""Credentials for Google's client libraries.

storage.Client(project="...", credentials=Credentials(nexus, "google", user="ada"))
"""

from __future__ import annotations

from collections.abc import Iterable, MutableMapping
from typing import Any

import google.auth.credentials
from google.auth.exceptions import RefreshError

from nexusd._hooks import wanted
from nexusd._nexus import Nexus
from nexusd.errors import NexusError, StrategyError, Unavailable
from nexusd.tokens import Token

__all__ = ["Credentials"]


class Credentials(google.auth.credentials.Credentials):
    """The current token in each request, for what takes `google.auth.credentials.Credentials`.

    Google's sessions call `refresh` when an API answers 401: then the token is reported, and another is taken. One that is refused
    again raises `RefreshError`. So do errors of `token`; the error itself, as `ConsentRequired` with its link, is the `__cause__`.
    """

    def __init__(self, nexus: Nexus, provider: str, *, user: str, label: str = "", scopes: Iterable[str] = ()) -> None:
        super().__init__()
        self._nexus = nexus
        self._wanted = wanted(provider, user, label, scopes)
        self._sent: Token | None = None
        # The revision that took the place of a refused one, until it was sent more than once.
        self._replacement: int | None = None
        self._sent_again = False

    def before_request(self, request: Any, method: str, url: str, headers: MutableMapping[str, str]) -> None:
        """Puts the current token into the headers."""
        self._sent = self._take(self._current())
        if self._sent_again:
            self._replacement = None
        self._sent_again = self._replacement is not None
        self.apply(headers)

    def apply(self, headers: MutableMapping[str, str], token: str | None = None) -> None:
        """Puts the token into the headers, as its strategy says."""
        if token is not None:
            super().apply(headers, token)
            return
        current = self._sent or self._take(self._current())
        try:
            headers.update(current.headers())
        except StrategyError as error:
            raise RefreshError(str(error)) from error

    def refresh(self, request: Any) -> None:
        """Takes the current token; after a request it reports that the API refused the one that was sent."""
        sent = self._sent
        if sent is None:
            self._take(self._current())
            return
        if self._replacement == sent.revision:
            self._replacement = None
            raise RefreshError("the API refused the token, and the one that took its place")
        another = self._nexus.replace_rejected(self._wanted.provider, rejected=sent, status=401, **self._wanted.name())
        if another is None:
            raise RefreshError("the API refused the token, and there is no other")
        self._replacement, self._sent_again = another.revision, False
        self._sent = self._take(another)

    def _current(self) -> Token:
        try:
            return self._nexus.token(self._wanted.provider, **self._wanted.token())
        except NexusError as error:
            raise RefreshError(str(error), retryable=isinstance(error, Unavailable)) from error

    def _take(self, token: Token) -> Token:
        """Google's code reads `token`, and `expiry` in UTC without a time zone."""
        self.token = token.access_token
        self.expiry = token.expires_at.replace(tzinfo=None) if token.expires_at else None
        return token
