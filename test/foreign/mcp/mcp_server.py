"""An MCP server that is its own authorization server, and keeps clients and tokens in memory.

  mcp_server.py sdk PORT ORIGIN        by the MCP Python SDK alone
  mcp_server.py fastmcp PORT ORIGIN    by fastmcp

Both keep what they know in fastmcp's InMemoryOAuthProvider, which consents by itself; tokens live 30 seconds.
"""

import sys

from fastmcp.server.auth.providers import in_memory
from mcp.server.auth.settings import ClientRegistrationOptions

in_memory.DEFAULT_ACCESS_TOKEN_EXPIRY_SECONDS = 30
kind, port, origin = sys.argv[1], int(sys.argv[2]), sys.argv[3]
registration = ClientRegistrationOptions(enabled=True, valid_scopes=["read"], default_scopes=["read"])
provider = in_memory.InMemoryOAuthProvider(
    base_url=origin, client_registration_options=registration, required_scopes=["read"]
)


def sdk():
    from mcp.server.auth.settings import AuthSettings
    from mcp.server.mcpserver import MCPServer

    auth = AuthSettings(
        issuer_url=origin,
        resource_server_url=f"{origin}/mcp",
        client_registration_options=registration,
        required_scopes=["read"],
    )
    return MCPServer("foreign", auth_server_provider=provider, auth=auth)


def fastmcp():
    from fastmcp import FastMCP

    return FastMCP("foreign", auth=provider)


server = {"sdk": sdk, "fastmcp": fastmcp}[kind]()


@server.tool()
def ping() -> str:
    return "pong"


if kind == "sdk":
    server.run(transport="streamable-http", host="127.0.0.1", port=port)
else:
    server.run(transport="http", host="127.0.0.1", port=port, path="/mcp", show_banner=False)
