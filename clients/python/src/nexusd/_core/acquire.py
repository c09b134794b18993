"""Asking for a token until a person is done, as steps that the sync and the async client perform alike."""

from __future__ import annotations

import re
from collections.abc import Generator, Iterable
from dataclasses import dataclass, replace
from typing import TypeAlias

from nexusd._core.messages import consent_error
from nexusd._core.names import Name
from nexusd._core.watch import Backoff
from nexusd._proto import token_pb2
from nexusd.errors import Unavailable
from nexusd.tokens import Consent, Token

#: How long the daemon is asked to wait for the person each time, in seconds; it takes 60 at most.
WAIT_SECONDS = 50
#: A call that is not asked to wait is given up after so many seconds: longer than the daemon waits for a provider.
CALL_SECONDS = 60.0
#: After a report the stream is waited for so long, in seconds, before AcquireToken is asked.
STREAM_SECONDS = 5.0
# RejectionOutcome of the contract.
SUPERSEDED, REFRESHED, SCOPES_MISSING = 1, 2, 3


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
            return_url=self.return_url,
            device=self.device,
        )
        if self.min_ttl:
            request.min_ttl.seconds, fraction = divmod(int(self.min_ttl * 1000), 1000)
            request.min_ttl.nanos = fraction * 1_000_000
        if self.wait:
            request.wait.seconds = self.wait
        return request


@dataclass(frozen=True)
class Pause:
    """Wait before the next step."""

    seconds: float


Step: TypeAlias = Question | Consent | Pause
Answer: TypeAlias = Token | Consent | Unavailable | None


def acquire_steps(question: Question) -> Generator[Step, Answer, Token]:
    """Asks, shows each new link once, and asks again with `wait`. `Unavailable` counts only once a link is shown.

    Raises ConsentDenied when what was shown is answered with no: who shows the next link by itself would do so without end.
    The answer of a `Question` is sent in; of a `Consent` (to be shown) and a `Pause` there is none.
    """
    shown: tuple[str, str] | None = None
    backoff = Backoff()
    asked = question
    while True:
        answer = yield asked
        if isinstance(answer, Token):
            return answer
        if isinstance(answer, Unavailable):
            if shown is None:
                raise answer
            yield Pause(max(backoff.delay(), answer.retry_after or 0.0))
            continue
        backoff.reset()
        if isinstance(answer, Consent) and (answer.auth_url, answer.user_code) != shown:
            if shown is not None and answer.reason == "access_denied":
                raise consent_error(answer, is_denied=True)
            shown = (answer.auth_url, answer.user_code)
            yield answer
        asked = replace(question, wait=WAIT_SECONDS)


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
