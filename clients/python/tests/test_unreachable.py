"""Addresses at which no daemon answers."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from nexusd import AsyncNexus, DeadlineExceeded, InvalidArgument, Nexus, Unavailable

_LISTENER = "NEXUS_ADDRESS is that of the http listener, by default http://127.0.0.1:8090"
_HTTP1 = b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n"
#: An alert of TLS, as a server answers what is no handshake.
_ALERT = bytes([0x15, 3, 3, 0, 2, 2, 0x46])
Serve = Callable[[bytes], int]


@pytest.fixture
def serve() -> Iterator[Serve]:
    sockets: list[socket.socket] = []

    def start(answer: bytes) -> int:
        listener = socket.create_server(("127.0.0.1", 0))
        sockets.append(listener)

        def run() -> None:
            while True:
                try:
                    conn, _ = listener.accept()
                except OSError:
                    return
                with conn:
                    conn.recv(1000)
                    conn.sendall(answer)
                    conn.shutdown(socket.SHUT_WR)
                    # To close with something unread would reset the connection, and take the answer with it.
                    while conn.recv(1000):
                        pass

        threading.Thread(target=run, daemon=True).start()
        return int(listener.getsockname()[1])

    yield start
    for each in sockets:
        each.shutdown(socket.SHUT_RDWR)
        each.close()


@pytest.mark.parametrize(
    ("scheme", "answer", "says"),
    [
        ("http", _HTTP1, f"does not speak HTTP/2: {_LISTENER}"),
        ("http", b"SSH-2.0\r\n" * 9, f"does not speak HTTP/2: {_LISTENER}"),
        ("https", _HTTP1, f"does not speak TLS: is it http:// instead of https://? {_LISTENER}"),
        ("http", _ALERT, f"or one with TLS (https://): {_LISTENER}"),
        ("http", b"", "ended the connection without an answer"),
    ],
)
def test_what_answers_is_told(serve: Serve, scheme: str, answer: bytes, says: str) -> None:
    address = f"{scheme}://127.0.0.1:{serve(answer)}"
    with Nexus(address, api_key="s3cret") as nexus, pytest.raises(Unavailable) as caught:
        nexus.token("github", user="ada")
    assert address in str(caught.value)
    assert says in str(caught.value)
    assert "nexusd serve" not in str(caught.value)


@pytest.mark.parametrize(
    ("address", "says"),
    [
        ("http://ada:s3cret@host", "must not hold a user name or password"),
        ("http://ada:s3cret@host/path", "must not hold a user name or password"),
        ("ftp://host", "'ftp://host' must be unix:/path, http://host:port or https://host:port"),
    ],
)
def test_a_bad_address_is_shown_without_a_password(address: str, says: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        Nexus(address, api_key="k")
    assert says in str(caught.value)
    assert "s3cret" not in str(caught.value)


def test_a_call_that_waited_for_no_daemon_says_so(tmp_path: Path) -> None:
    address = f"unix:{tmp_path}/no.sock"
    says = f"no answer from {address} within 0.1 s: nexusd cannot be reached at {address}: start it with `nexusd serve`"
    with Nexus(address) as nexus, pytest.raises(DeadlineExceeded) as caught:
        nexus.token("github", user="ada", timeout=0.1)
    assert str(caught.value).startswith(says)
    assert "(No such file or directory)" in str(caught.value)

    async def wait() -> None:
        async with AsyncNexus(address) as nexus:
            await nexus.token("github", user="ada", timeout=0.1)

    with pytest.raises(DeadlineExceeded) as caught:
        asyncio.run(wait())
    assert str(caught.value).startswith(says)


def test_a_missing_key_names_the_file_of_this_users_daemon(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("NEXUS_API_KEY", "NEXUS_API_KEY_FILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NEXUS_DATA_DIR", "/srv/nexusd")
    with pytest.raises(InvalidArgument, match=r"has its own in /srv/nexusd/admin\.key"):
        Nexus("http://127.0.0.1:8090")
