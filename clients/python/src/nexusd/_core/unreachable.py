"""Why there is no connection to the daemon, and what to do."""

from __future__ import annotations

import re

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
