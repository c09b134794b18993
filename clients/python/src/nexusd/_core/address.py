"""Where the daemon listens, and what the client presents to it."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from nexusd.errors import InvalidArgument


@dataclass(frozen=True)
class TlsFiles:
    """PEM: the CAs to trust instead of gRPC's own, and who calls."""

    ca: Path | None = None
    certificate: Path | None = None
    key: Path | None = None


@dataclass(frozen=True, repr=False)
class Address:
    """One listener of the daemon."""

    #: As a person writes it: `unix:/path`, `http://host:port` or `https://host:port`.
    text: str
    #: As gRPC takes it.
    target: str
    #: Set for `https` alone.
    tls: TlsFiles | None = None
    #: The key, or the file that holds it; neither over a Unix socket, where the daemon knows who calls.
    api_key: str | None = None
    api_key_file: Path | None = None

    def metadata(self) -> tuple[tuple[str, str], ...]:
        """What goes with each call. The file is read each time, so that a key that was rotated is taken."""
        key = self.api_key
        if self.api_key_file is not None:
            try:
                key = self.api_key_file.read_text().strip()
            except (OSError, UnicodeDecodeError) as error:
                reason = error.strerror if isinstance(error, OSError) else "it is not text"
                raise InvalidArgument(f"the API key cannot be read from {self.api_key_file}: {reason}") from None
        if key is None:
            return ()
        if not key or not key.isascii() or not key.isprintable():
            raise InvalidArgument("the API key is empty, or holds characters that a header cannot carry")
        return (("authorization", f"Bearer {key}"),)


def find_address(
    address: str | None = None,
    *,
    api_key: str | None = None,
    api_key_file: str | os.PathLike[str] | None = None,
    environment: Mapping[str, str] = os.environ,
) -> Address:
    """What the arguments say, then the environment, then the socket in the daemon's data folder. Raises InvalidArgument."""
    text = address or environment.get("NEXUS_ADDRESS") or f"unix:{_data_folder(environment) / 'nexus.sock'}"
    if text.startswith("unix:"):
        path = text.removeprefix("unix:")
        if not path:
            raise InvalidArgument(f"address: {text!r} names no path")
        return Address(text, f"unix:{Path(path).absolute()}")
    if "@" in text:
        raise InvalidArgument("address: must not hold a user name or password")
    try:
        parts = urlsplit(text)
        host, _port = parts.hostname, parts.port
    except ValueError:
        host = None
    if not host or parts.scheme not in ("http", "https") or parts.path not in ("", "/") or parts.query or parts.fragment:
        raise InvalidArgument(f"address: {text!r} must be unix:/path, http://host:port or https://host:port")
    port = parts.port or (443 if parts.scheme == "https" else 80)
    target = f"dns:///[{host}]:{port}" if ":" in host else f"dns:///{host}:{port}"
    tls = _tls(environment) if parts.scheme == "https" else None
    if api_key is None and api_key_file is None:
        api_key_file = environment.get("NEXUS_API_KEY_FILE") or None
        api_key = None if api_key_file else environment.get("NEXUS_API_KEY") or None
    if api_key is None and api_key_file is None and (tls is None or tls.certificate is None):
        own = _data_folder(environment) / "admin.key"
        raise InvalidArgument(f"{text} needs a key: set NEXUS_API_KEY_FILE to its file (a daemon of this user has its own in {own})")
    return Address(text, target, tls, api_key, None if api_key_file is None else Path(api_key_file).absolute())


def _tls(environment: Mapping[str, str]) -> TlsFiles:
    names = ("NEXUS_CA_FILE", "NEXUS_CLIENT_CERT_FILE", "NEXUS_CLIENT_KEY_FILE")
    ca, certificate, key = (Path(environment[name]) if environment.get(name) else None for name in names)
    if (certificate is None) != (key is None):
        raise InvalidArgument("NEXUS_CLIENT_CERT_FILE and NEXUS_CLIENT_KEY_FILE are set together")
    return TlsFiles(ca, certificate, key)


def _data_folder(environment: Mapping[str, str]) -> Path:
    if environment.get("NEXUS_DATA_DIR"):
        return Path(environment["NEXUS_DATA_DIR"])
    if sys.platform == "darwin":
        return Path.home() / "Library/Application Support/nexusd"
    return Path(environment.get("XDG_DATA_HOME") or Path.home() / ".local/share") / "nexusd"
