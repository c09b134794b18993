/** Keys of the forms that their makers give them, and of no account. */
export const keys = {
  github: `ghp_${"a1B2c3".repeat(6)}`,
  brave: `BSA${"x9Y8".repeat(7)}`,
  perplexity: `pplx-${"q7W8".repeat(12)}`,
  slack: `xoxb-123456789012-123456789012-${"s4T5".repeat(6)}`,
  linear: `lin_api_${"n6M7".repeat(10)}`,
  weather: "w3a7h3r-0b5erv4t0ry-91",
  openai: `sk-proj-${"z1Z2".repeat(20)}`,
} as const;

/** Claude Code, code.claude.com/docs/en/mcp: servers of stdio and of HTTP, and variables that it expands itself. */
export const claudeCode = `{
  "mcpServers": {
    "github": {
      "type": "stdio",
      "command": "fake-mcp-server",
      "args": ["-y", "@modelcontextprotocol/server-github"],
      "env": {
        "GITHUB_PERSONAL_ACCESS_TOKEN": "${keys.github}"
      }
    },
    "linear": {
      "type": "http",
      "url": "https://mcp.linear.app/mcp",
      "headers": {
        "Authorization": "Bearer ${keys.linear}"
      }
    },
    "api-server": {
      "type": "http",
      "url": "\${API_BASE_URL:-https://api.example.com}/mcp",
      "headers": {
        "Authorization": "Bearer \${API_KEY}"
      }
    }
  }
}
`;

/** Claude Desktop, modelcontextprotocol.io/docs/develop/connect-local-servers: strict JSON, here with tabs. */
export const claudeDesktop = `{
\t"mcpServers": {
\t\t"filesystem": {
\t\t\t"command": "npx",
\t\t\t"args": [
\t\t\t\t"-y",
\t\t\t\t"@modelcontextprotocol/server-filesystem",
\t\t\t\t"/Users/username/Desktop"
\t\t\t]
\t\t},
\t\t"brave-search": {
\t\t\t"command": "fake-mcp-server",
\t\t\t"args": [
\t\t\t\t"-y",
\t\t\t\t"@modelcontextprotocol/server-brave-search"
\t\t\t],
\t\t\t"env": {
\t\t\t\t"APPDATA": "C:\\\\Users\\\\user\\\\AppData\\\\Roaming\\\\",
\t\t\t\t"BRAVE_API_KEY": "${keys.brave}"
\t\t\t}
\t\t}
\t}
}
`;

/** VS Code, code.visualstudio.com/docs/copilot/reference/mcp-configuration: comments, trailing commas, and inputs. */
export const vsCode = `{
  // 💡 Inputs are prompted on first server start, then stored securely by VS Code.
  "inputs": [
    {
      "type": "promptString",
      "id": "perplexity-key",
      "description": "Perplexity API Key",
      "password": true
    }
  ],
  "servers": {
    // https://github.com/github/github-mcp-server/
    "Github": {
      "url": "https://api.githubcopilot.com/mcp/",
      "headers": { "X-Api-Key": "${keys.weather}" }
    },
    // https://github.com/ppl-ai/modelcontextprotocol/
    "Prompted": {
      "type": "stdio",
      "command": "npx",
      "args": ["-y", "server-perplexity-ask"],
      "env": {
        "PERPLEXITY_API_KEY": "\${input:perplexity-key}"
      }
    },
    "Perplexity": { "command": "fake-mcp-server", "env": { "PERPLEXITY_API_KEY": "${keys.perplexity}" /* mine */ }, },
  }
}
`;

/** Cursor, cursor.com/docs/context/mcp. */
export const cursor = `{
  "mcpServers": {
    "slack": {
      "command": "fake-mcp-server",
      "args": ["-y", "mcp-server"],
      "env": {
        "SLACK_TEAM_ID": "T01234567",
        "SLACK_BOT_TOKEN": "${keys.slack}", // of the team
        "LOG_LEVEL": "info"
      }
    }
  }
}
`;

/** Codex, developers.openai.com/codex/mcp: a table of variables, and one within a line. */
export const codex = `model = "gpt-5.5" # the default

[mcp_servers.context7]
command = "fake-mcp-server"
args = [
  "-y", # without a question
  "@upstash/context7-mcp",
]

[mcp_servers.context7.env]
# of the station
WEATHER_API_KEY = "${keys.weather}" # mine
MY_ENV_VAR = "MY_ENV_VALUE"

[mcp_servers.search]
command = "fake-mcp-server"
env = { "BRAVE_API_KEY" = "${keys.brave}", REGION = "eu" }
startup_timeout_sec = 20

[mcp_servers.figma]
url = "https://mcp.figma.com/mcp"
bearer_token_env_var = "FIGMA_OAUTH_TOKEN"
http_headers = { "X-Figma-Region" = "us-east-1", "X-Api-Key" = "${keys.weather}" }
`;

export const dotenv = `# of the app
DEBUG=true
export OPENAI_API_KEY="${keys.openai}" # for the model
GITHUB_TOKEN=${keys.github}
WEATHER_API_KEY='${keys.weather}'
DATABASE_URL=postgres://app:hunter2@db.example/app
PUBLIC_KEY=abcdefabcdef123456
NEXT_KEY=$GITHUB_TOKEN
`;

export const netrc = `# of git
machine api.github.com
  login ada
  password ${keys.github}
machine git.example login ada password "spaced secret 1"
macdef init
  machine not.example password in-a-macro

default login anonymous password ada@example.com
`;
