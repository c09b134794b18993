"""What the client answers: tokens, links, and the events of `watch`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TypeAlias

from nexusd.errors import StrategyError
from nexusd.strategies import (
    BasicAuthStrategy,
    HeaderStrategy,
    OAuth2Strategy,
    QueryParamStrategy,
    Request,
    Strategy,
    apply,
)

__all__ = ["Bookmark", "Consent", "ConnectionRemoved", "ConnectionState", "Lease", "Problem", "Reset", "Token", "WatchEvent"]


@dataclass(frozen=True, repr=False)
class Token:
    """A usable credential. It prints without its secrets."""

    #: The fields that the strategy names, for example `access_token`. Never a refresh token.
    credentials: Mapping[str, str]
    #: How to apply them to a request.
    strategy: Strategy
    #: 1 after the first consent, one more with every refresh or new consent.
    revision: int
    #: When it expires, in UTC; None when the provider did not say.
    expires_at: datetime | None = None
    granted_scopes: frozenset[str] = frozenset()
    #: `Bearer` (RFC 6750), or `DPoP` for one that is bound to a key (RFC 9449); empty for static credentials.
    token_type: str = ""

    @property
    def access_token(self) -> str | None:
        """The one credential that is sent as it is: an access token, or an API key. None for Basic, HMAC and AWS, which have several."""
        if isinstance(self.strategy, (OAuth2Strategy, HeaderStrategy, QueryParamStrategy)):
            return self.credentials.get(self.strategy.credential_field)
        return None

    def headers(self) -> dict[str, str]:
        """The header that carries it. Raises StrategyError where a header alone cannot: use `apply`."""
        if not isinstance(self.strategy, (OAuth2Strategy, HeaderStrategy, BasicAuthStrategy)):
            description = f"{self.strategy.kind} needs the whole request: use Token.apply, or a hook of this package"
            raise StrategyError("invalid_strategy", "strategy", description)
        return dict(apply(Request("GET", ""), self.strategy, self.credentials).headers)

    def apply(self, request: Request, *, proof: str | None = None) -> Request:
        """A new request with the credential in it. `proof` as `strategies.apply` has it: a token that is bound to a key needs one."""
        return apply(request, self.strategy, self.credentials, proof=proof)

    def __repr__(self) -> str:
        expiry = self.expires_at.isoformat() if self.expires_at else None
        return f"Token(revision={self.revision}, strategy={self.strategy.kind!r}, expires_at={expiry!r})"


@dataclass(frozen=True)
class Lease:
    """The lease of an API key, as `renew_lease` returns it."""

    #: Its length in seconds.
    duration: float
    #: When it ends unless it is renewed again, in UTC, by the clock of the daemon.
    ends_at: datetime


@dataclass(frozen=True)
class Consent:
    """A link or a code for a person. `print(consent)` says what to do with it. Show it to the user of the request alone."""

    provider: str
    user: str
    #: The link to open in the person's browser. Valid once. Empty with a device authorization.
    auth_url: str
    connection_id: str
    #: When the link or the code ends.
    expires_at: datetime | None
    #: `not_connected`, `scopes_missing`, or why a connection that worked needs a person again, as `reauth_required`.
    reason: str
    #: With a device authorization (RFC 8628 section 3.3), instead of `auth_url`: the page to open on any device.
    verification_uri: str = ""
    #: The code to enter there.
    user_code: str = ""
    #: The page with the code in it; empty where there is none.
    verification_uri_complete: str = ""

    def __str__(self) -> str:
        what = f"open {self.auth_url}"
        if self.user_code:
            complete = f", or open {self.verification_uri_complete}" if self.verification_uri_complete else ""
            what = f"enter the code {self.user_code} at {self.verification_uri}{complete}"
        return f"To connect {self.provider} ({self.reason}), {self.user} must {what}"


@dataclass(frozen=True)
class Problem:
    """Why a connection is not well."""

    #: A stable word, for example `reauth_required`.
    reason: str
    #: One sentence for a person.
    message: str


@dataclass(frozen=True)
class ConnectionState:
    """The full state of one connection, instead of any before."""

    connection_id: str
    provider: str
    user: str
    label: str
    #: `pending`, `active`, `attention`, `revoked`, `expired` or `failed`.
    status: str
    #: Number of the credential, also when there is no token.
    revision: int
    #: The current token; None when none is usable.
    token: Token | None
    problem: Problem | None


@dataclass(frozen=True)
class ConnectionRemoved:
    """A connection does not exist, or no more: forget its token."""

    connection_id: str


@dataclass(frozen=True)
class Bookmark:
    """All changes up to here have been sent."""

    revision: int


@dataclass(frozen=True)
class Reset:
    """The stream begins anew: what the states until the next bookmark do not name is gone."""

    #: `epoch_changed` or `position_too_old`.
    reason: str


WatchEvent: TypeAlias = ConnectionState | ConnectionRemoved | Bookmark | Reset
