"""What a fork leaves of a client: the threads and connections of gRPC are the parent's."""

from __future__ import annotations

import os

#: The error of a client in the child of a fork that gRPC does not survive.
FORKED = (
    "this process was forked after its parent used gRPC, which does not work in the child: make the first call after the fork, "
    "or set GRPC_ENABLE_FORK_SUPPORT=1 before the parent starts"
)


def survives_fork() -> bool:
    """Whether gRPC was told to support forks; it reads the environment when it is imported."""
    return os.environ.get("GRPC_ENABLE_FORK_SUPPORT", "").lower() in ("1", "true", "yes")
