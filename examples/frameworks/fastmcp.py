"""Access tokens for a test: a client that sends `Bearer of-ada` acts for ada. Save it as my_app.py."""

from fastmcp.server.auth.providers.jwt import StaticTokenVerifier

auth = StaticTokenVerifier(tokens={"of-ada": {"client_id": "test", "sub": "ada"}, "of-nobody": {"client_id": "test"}})
