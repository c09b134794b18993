"""Current OAuth tokens and API keys for agents, by name, from nexusd.

    with Nexus() as nexus:
        token = nexus.acquire("github", user="ada", on_consent=print)

Hooks: `nexusd.httpx`, `nexusd.requests`, `nexusd.google_auth`, `nexusd.grpc`.
"""

from nexusd._async_nexus import AsyncNexus
from nexusd._cancellation import Cancellation
from nexusd._nexus import Nexus
from nexusd.errors import (
    AttentionRequired,
    Cancelled,
    ConsentDenied,
    ConsentRequired,
    DeadlineExceeded,
    InvalidArgument,
    NexusError,
    NotFound,
    PermissionDenied,
    StrategyError,
    Unauthenticated,
    Unavailable,
)
from nexusd.strategies import Request
from nexusd.tokens import (
    Bookmark,
    ConnectionRemoved,
    ConnectionState,
    Consent,
    Lease,
    Problem,
    Reset,
    Token,
    WatchEvent,
)

__version__ = "1.0.0rc1"

__all__ = [
    "AsyncNexus",
    "AttentionRequired",
    "Bookmark",
    "Cancellation",
    "Cancelled",
    "ConnectionRemoved",
    "ConnectionState",
    "Consent",
    "ConsentDenied",
    "ConsentRequired",
    "DeadlineExceeded",
    "InvalidArgument",
    "Lease",
    "Nexus",
    "NexusError",
    "NotFound",
    "PermissionDenied",
    "Problem",
    "Request",
    "Reset",
    "StrategyError",
    "Token",
    "Unauthenticated",
    "Unavailable",
    "WatchEvent",
    "__version__",
]
