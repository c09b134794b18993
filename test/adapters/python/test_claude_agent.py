"""The page of the Claude Agent SDK, run as it stands but for the server's address: its Claude Code is the real one, and its model scripted."""

from __future__ import annotations

import asyncio
import json
import os
from pathlib import Path
from typing import Any

import pytest
from conftest import act
from test_pages import code_of

from nexusd import Nexus
from nexusd.tokens import Consent

pytestmark = pytest.mark.skipif(os.environ.get("FRAMEWORK", "Claude Agent SDK") != "Claude Agent SDK", reason="it is another framework's page")


@pytest.mark.parametrize("agrees", [True, False])
def test_the_page_of_a_session(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, agrees: bool) -> None:
    """The user consents, the connection is revoked by the first call, and the hook of the second asks again."""
    from on_claude_agent import Anthropic, Linear, serving

    provider = asyncio.run(act("register"))
    asyncio.run(act("connect", provider=provider, user="key"))
    model, shown = Anthropic(), []

    async def end() -> None:
        await act("revoke", connection=shown[0].connection_id)

    async def show(consent: Consent) -> None:
        shown.append(consent)
        await act("consent" if agrees or len(shown) == 1 else "deny", url=consent.auth_url)

    def prints(given: object) -> Any:
        return show(given) if isinstance(given, Consent) else None

    (tmp_path / "nexusd").symlink_to(Path(__file__).parents[3] / "dist/main.js")
    (tmp_path / "settings.json").write_text(json.dumps({"apiKeyHelper": f"nexusd token {provider}/key"}))
    linear = Linear(end)
    with serving(model, linear) as origin:
        for name, value in {
            "PATH": f"{tmp_path}:{os.environ['PATH']}",
            "HOME": str(tmp_path),
            "CLAUDE_CONFIG_DIR": str(tmp_path),
            "ANTHROPIC_BASE_URL": origin,
            "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
            "ENABLE_TOOL_SEARCH": "false",
        }.items():
            monkeypatch.setenv(name, value)
        code = code_of("claude-agent").replace("https://mcp.linear.app", origin).replace('"linear", user', f'"{provider}", user')
        exec(compile(code, "claude-agent", "exec"), {"print": prints})
    with Nexus() as nexus:
        assert [consent.user for consent in shown] == ["ada", "ada"]
        assert model.keys == {nexus.token(provider, user="key").access_token}
        assert "issue 1" in model.results[0]
        if agrees:
            assert "issue 2" in model.results[1]
            assert linear.called[1] == nexus.token(provider, user="ada").access_token != linear.called[0]
        else:
            assert f"The user declined to connect {provider}." in model.results[1]
            assert len(linear.called) == 1
