"""What can go wrong. Every error of this package is a `NexusError`."""

from __future__ import annotations

from datetime import datetime

__all__ = [
    "AttentionRequired",
    "Cancelled",
    "ConsentDenied",
    "ConsentRequired",
    "DeadlineExceeded",
    "InvalidArgument",
    "NexusError",
    "NotFound",
    "PermissionDenied",
    "StrategyError",
    "Unauthenticated",
    "Unavailable",
]


class NexusError(Exception):
    """The base of all errors of this package. No message holds a credential or a key."""

    #: The daemon's stable word for the cause, for example `TOO_MANY_CONNECTIONS`; None where it gave none.
    reason: str | None

    def __init__(self, message: str, *, reason: str | None = None) -> None:
        super().__init__(message)
        self.reason = reason


class ConsentRequired(NexusError):
    """A person must open `auth_url` before there is a token. Show it to the user of the request alone."""

    #: Why: `not_connected`, `scopes_missing`, `authentication_insufficient` (RFC 9470), or as `AttentionRequired` has it.
    reason: str
    #: The scopes that an API said are missing: from the hooks and `replace_rejected` alone. `acquire` with them waits for the person.
    scopes: tuple[str, ...]
    #: The link to open in the person's browser. Valid once. Empty with a device authorization.
    auth_url: str
    connection_id: str
    #: When the link or the code ends.
    expires_at: datetime | None
    #: With a device authorization (RFC 8628): the page to open on any device, the code to enter there, and the page with the code in it.
    verification_uri: str
    user_code: str
    verification_uri_complete: str

    def __init__(
        self,
        message: str,
        *,
        reason: str,
        scopes: tuple[str, ...] = (),
        auth_url: str = "",
        connection_id: str = "",
        expires_at: datetime | None = None,
        verification_uri: str = "",
        user_code: str = "",
        verification_uri_complete: str = "",
    ) -> None:
        super().__init__(message, reason=reason)
        self.reason = reason
        self.scopes = scopes
        self.verification_uri = verification_uri
        self.user_code = user_code
        self.verification_uri_complete = verification_uri_complete
        self.auth_url = auth_url
        self.connection_id = connection_id
        self.expires_at = expires_at


class AttentionRequired(ConsentRequired):
    """A connection that worked needs a person again, for example `reauth_required` or `consent_revoked`, or one said no a moment ago.

    With a link, unless what is needed is another thing than a consent: then `auth_url` is empty, and `reason` is the daemon's word,
    for example `PROVIDER_MISCONFIGURED`.
    """


class ConsentDenied(AttentionRequired):
    """`acquire` showed a link, and the person or the provider said no: `reason` is `access_denied`.

    `auth_url` is another link, which was shown to nobody yet. Ask again when the person wants to.
    """


class Unavailable(NexusError):
    """The daemon cannot be reached, or cannot answer now: it may be asked again."""

    #: How long to wait before asking again, in seconds; None where the daemon did not say.
    retry_after: float | None

    def __init__(self, message: str, *, reason: str | None = None, retry_after: float | None = None) -> None:
        super().__init__(message, reason=reason)
        self.retry_after = retry_after


class NotFound(NexusError):
    """The provider does not exist, or the caller may not see it."""


class Unauthenticated(NexusError):
    """The daemon does not know the API key."""


class PermissionDenied(NexusError):
    """The daemon's policy does not allow it."""


class InvalidArgument(NexusError, ValueError):
    """An argument or a setting is not what it must be; the message names it."""


class DeadlineExceeded(NexusError, TimeoutError):
    """The caller's `timeout` is over."""


class Cancelled(NexusError):
    """The call was cancelled: by its `Cancellation`, or because the client was closed."""


class StrategyError(NexusError):
    """A strategy cannot be applied. The message names the field, never a value.

    `reason` is `missing_credential` (the credentials have no such field), `invalid_credential` (the field holds what cannot be sent),
    `invalid_strategy` (it is of no known kind, or a field of it is missing or wrong) or `invalid_request`.
    """

    reason: str
    #: The field by its name on the wire, for example `access_token` or `header_name`.
    field: str

    def __init__(self, reason: str, field: str, description: str) -> None:
        super().__init__(f"{field}: {description}", reason=reason)
        self.reason = reason
        self.field = field
