"""`auth=` for requests.

session = requests.Session()
session.auth = NexusAuth(nexus, "github", user="ada")
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from urllib.parse import urljoin

import requests
from requests.auth import AuthBase
from requests.exceptions import UnrewindableBodyError
from requests.utils import rewind_body

from nexusd._core.acquire import is_rejection
from nexusd._hooks import changed_headers, needs_body, origin, wanted
from nexusd._nexus import Nexus
from nexusd.errors import NexusError, StrategyError
from nexusd.strategies import Request, apply
from nexusd.tokens import Token

__all__ = ["NexusAuth"]


class NexusAuth(AuthBase):
    """Puts the current credential into each request, by any strategy.

    When the API refuses it (401, or 403 with `insufficient_scope`) it is reported, and the request is sent once more where there is
    another; never twice. A body that cannot be rewound is not sent again. A redirect to another origin carries no credential. Errors
    of `token` come out of the request, `ConsentRequired` among them.
    """

    def __init__(
        self,
        nexus: Nexus,
        provider: str,
        *,
        user: str,
        label: str = "",
        scopes: Iterable[str] = (),
        min_ttl: float = 0.0,
    ) -> None:
        self._nexus = nexus
        self._wanted = wanted(provider, user, label, scopes, min_ttl)

    def __call__(self, r: requests.PreparedRequest) -> requests.PreparedRequest:
        token = self._nexus.token(self._wanted.provider, **self._wanted.token())
        r.register_hook("response", _Sending(self, r, token).on_response)
        return r

    def replace(self, token: Token, response: requests.Response) -> Token | None:
        header = response.headers.get("www-authenticate", "")
        return self._nexus.replace_rejected(
            self._wanted.provider,
            rejected=token,
            status=response.status_code,
            www_authenticate=header,
            **self._wanted.name(),
        )


class _Sending:
    """One request, from before the credential is put into it until it was sent once more."""

    def __init__(self, auth: NexusAuth, request: requests.PreparedRequest, token: Token) -> None:
        self._auth = auth
        self._plain_url = self._sent_url = request.url or ""
        self._origin = origin(self._plain_url)
        self._made: set[str] = set()
        self._has_retried = False
        self._token = token
        self._authorize(request)

    def on_response(self, response: requests.Response, **options: Any) -> requests.Response:
        """As a hook of requests, before redirects are followed."""
        if origin(response.url) != self._origin:
            return response
        refusals = [response.headers.get("www-authenticate", "")]
        if not self._has_retried and is_rejection(response.status_code, refusals):
            self._has_retried = True
            try:
                another = self._auth.replace(self._token, response)
            except NexusError:
                response.close()
                raise
            if another is not None and _rewind(response.request):
                self._token = another
                response = self._send_again(response, options)
        if response.is_redirect and origin(urljoin(response.url, response.headers["location"])) != self._origin:
            # What follows the redirect is a copy of this request.
            for name in self._made:
                response.request.headers.pop(name, None)
        return response

    def _send_again(self, response: requests.Response, options: dict[str, Any]) -> requests.Response:
        _ = response.content  # the connection is free once it is read
        response.close()
        request = response.request
        self._authorize(request)
        again: requests.Response = response.connection.send(request, **options)
        again.history.append(response)
        again.request = request
        return again

    def _authorize(self, request: requests.PreparedRequest) -> None:
        strategy = self._token.strategy
        url = self._plain_url if request.url == self._sent_url else request.url or ""
        headers = {name: value for name, value in request.headers.items() if name not in self._made}
        body = _whole_body(request) if needs_body(strategy) else None
        applied = apply(Request(request.method or "GET", url, headers, body), strategy, self._token.credentials)
        made = changed_headers(headers, applied.headers)
        self._made = set(made)
        request.url = self._sent_url = applied.url
        request.headers.update(made)


def _whole_body(request: requests.PreparedRequest) -> str | bytes | None:
    """The body that a signature covers; a file is read."""
    body: Any = request.body
    if hasattr(body, "read"):
        body = request.body = body.read()
    if body is None or isinstance(body, (str, bytes)):
        return body
    raise StrategyError("invalid_request", "body", "must be text, bytes or a file: the credential is a signature over it")


def _rewind(request: requests.PreparedRequest) -> bool:
    """Whether the body can be sent again."""
    if request.body is None or isinstance(request.body, (str, bytes)):
        return True
    try:
        rewind_body(request)
    except UnrewindableBodyError:
        return False
    return True
