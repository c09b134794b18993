"""What the daemon is asked, and what is reported to it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from nexusd._core.names import Name
from nexusd._proto import token_pb2

#: How long the daemon is asked to wait for the person each time, in seconds; it takes 60 at most.
WAIT_SECONDS = 50
#: A call that is not asked to wait is given up after so many seconds: longer than the daemon waits for a provider.
CALL_SECONDS = 60.0
#: After a report the stream is waited for so long, in seconds, before AcquireToken is asked.
STREAM_SECONDS = 5.0
# RejectionOutcome of the contract.
SUPERSEDED, REFRESHED, SCOPES_MISSING, AUTHENTICATION_INSUFFICIENT = 1, 2, 3, 71


@dataclass(frozen=True)
class Question:
    """What AcquireToken is asked. Those that are equal at the same time are asked once."""

    name: Name
    scopes: tuple[str, ...] = ()
    min_ttl: float = 0.0
    return_url: str = ""
    device: bool = False
    wait: int = 0
    #: Whether to wait for a connection to the daemon; else the call fails when there is none.
    is_patient: bool = False
    only_scopes: bool = False

    @property
    def timeout(self) -> float:
        """Of the call, in seconds: later than what the daemon is asked to wait."""
        return self.wait + CALL_SECONDS

    def message(self) -> token_pb2.AcquireTokenRequest:
        request = token_pb2.AcquireTokenRequest(
            provider_name=self.name.provider,
            user_id=self.name.user,
            label=self.name.label,
            scopes=self.scopes,
            only_scopes=self.only_scopes,
            return_url=self.return_url,
            device=self.device,
        )
        if self.min_ttl:
            request.min_ttl.seconds, fraction = divmod(int(self.min_ttl * 1000), 1000)
            request.min_ttl.nanos = fraction * 1_000_000
        if self.wait:
            request.wait.seconds = self.wait
        return request


def is_rejection(status: int, www_authenticate: Iterable[str]) -> bool:
    """Whether an API's answer says that the token was refused: 401, or 403 with `insufficient_scope` (RFC 6750 section 3.1)."""
    if status == 403:
        return any(re.search(r'\berror="?insufficient_scope"?(?![\w-])', each) for each in www_authenticate)
    return status == 401


def report_request(name: Name, revision: int, status: int, www_authenticate: Iterable[str]) -> token_pb2.ReportRejectedTokenRequest:
    header = ", ".join(www_authenticate)
    # The contract takes 8 KiB of header text.
    text = header.encode("ascii", "replace").decode()[:8192]
    return token_pb2.ReportRejectedTokenRequest(name=name.message(), revision=revision, status=status, www_authenticate=text)
