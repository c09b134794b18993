"""Why there is no connection to the daemon, and what to do."""

from __future__ import annotations

import errno
import os
import re
import socket

from nexusd._core.address import Address
from nexusd.errors import DeadlineExceeded

_LISTENER = "NEXUS_ADDRESS is that of the http listener, by default http://127.0.0.1:8090"
# What grpcio says of a connection that it could not make, by what it means.
_UNTRUSTED = re.compile("CERTIFICATE_VERIFY_FAILED|Hostname Verification|certificate verify failed|not match target name")
_PLAIN = re.compile("WRONG_VERSION_NUMBER|PACKET_LENGTH_TOO_LONG")
_HTTP1 = re.compile(r"Failed parsing HTTP/2|http1\.x|Tls handshake failed|ALPN")
_CUT = re.compile("Socket closed|Connection reset|Broken pipe|End of (TCP|file)|endpoint closed", re.IGNORECASE)


def unreachable(address: str, details: str) -> str:
    """The message for `details` of grpcio; `address` is as a person writes it."""
    at = f"what answers at {address}"
    if _UNTRUSTED.search(details):
        return f"the certificate of {address} is not trusted: set NEXUS_CA_FILE to the file of its CA ({details})"
    if _PLAIN.search(details):
        return f"{at} does not speak TLS: is it http:// instead of https://? {_LISTENER}"
    if _HTTP1.search(details):
        return f"{at} does not speak HTTP/2: {_LISTENER} ({details})"
    if _CUT.search(details):
        return (
            f"{at} ended the connection without an answer: nexusd ended, or it is another listener, "
            f"or one with TLS (https://): {_LISTENER} ({details})"
        )
    # grpcio says the address twice before the reason.
    reason = details.rpartition(": ")[2]
    return f"nexusd cannot be reached at {address}: start it with `nexusd serve`, or set NEXUS_ADDRESS ({reason})"


def too_late(address: Address, seconds: float) -> DeadlineExceeded:
    """The error of a call that waited so long; it says so where no daemon listens at the socket."""
    message = f"no answer from {address.text} within {seconds:g} s"
    reason = _socket_problem(address.target)
    return DeadlineExceeded(f"{message}: {unreachable(address.text, reason)}" if reason else message)


def _socket_problem(target: str) -> str | None:
    """Why nobody can connect to a Unix socket. It is told at once: nothing is waited for."""
    if not target.startswith("unix:"):
        return None
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)
        try:
            found = probe.connect_ex(target.removeprefix("unix:"))
        except OSError as error:  # the path is too long
            return str(error)
    # A socket whose queue is full has a daemon behind it.
    return os.strerror(found) if found in (errno.ENOENT, errno.ECONNREFUSED, errno.EACCES, errno.ENOTDIR) else None
