import type { Command } from "commander";
import { auditCommand } from "./admin/audit.js";
import { keysCommand } from "./admin/keys.js";
import { whoamiCommand } from "./admin/whoami.js";
import { connectCommand, connectTo } from "./connections/connect.js";
import { connectionsCommand } from "./connections/connections.js";
import { tokenCommand } from "./credentials/token.js";
import { exitCodesCommand } from "./daemon/exit_codes.js";
import { healthCommand } from "./daemon/health.js";
import { serveCommand } from "./daemon/serve.js";
import { statusCommand } from "./daemon/status.js";
import { versionCommand } from "./daemon/version.js";
import { providerCommand } from "./providers/provider.js";
import type { CommandRow, MakeCommand, Shell } from "./shell/shell.js";

const connection = "5f0c1a2e-8d3b-4a76-9c51-0e2f7b6d4c19";

type CommandOfCore = readonly [
  name: string,
  summary: string,
  make: MakeCommand,
  examples: CommandRow["examples"],
];

/** Every command of the core: a row here, and a file of its own. */
const table: Readonly<Record<CommandRow["group"], readonly CommandOfCore[]>> = {
  "Get started": [
    [
      "serve",
      "run the daemon until SIGTERM or SIGINT",
      serveCommand,
      "--data-dir ~/nexus --public-url https://nexus.example",
    ],
    [
      "provider",
      "add, list, and change providers",
      providerWithConnect,
      {
        add: "github --client-id Iv1.abc --client-secret-file github.secret --scopes read:user",
        templates: "git",
        show: "github",
        list: "",
        update: "github --scopes read:user,repo",
        delete: "github --yes",
      },
    ],
    [
      "connect",
      "connect an account through a consent page or a key",
      connectCommand,
      "github --user ada --label work",
    ],
  ],
  "Use a credential": [["token", "print a current token", tokenCommand, "github/ada --min-ttl 5m"]],
  "Look after connections": [
    [
      "connections",
      "list, show, import, check, refresh, fix, and end them",
      connectionsCommand,
      {
        list: "--provider github --status attention",
        show: "github",
        import: "github --user ada --file refresh-token",
        replace: "acme/ada --file credential.json",
        refresh: "github/ada",
        check: "github/ada",
        revoke: "github/ada/work --yes",
        delete: `${connection.slice(0, 8)} --yes`,
      },
    ],
    ["status", "show connections by state, failures, and what is due next", statusCommand, "--check"],
  ],
  "Control access": [
    [
      "keys",
      "create, list, rotate, renew, and revoke API keys",
      keysCommand,
      {
        create: "ci --role agent --user ada --expires 90d --output ci.key",
        list: "",
        rotate: "ci --keep 24h --output ci.key",
        renew: "-- python agent.py",
        revoke: "ci --yes",
      },
    ],
    ["whoami", "show your principal, role, and restrictions", whoamiCommand, ""],
    [
      "audit",
      "show audit events, and verify the log",
      auditCommand,
      {
        list: "--since yesterday --type token_retrieved",
        verify: "",
      },
    ],
  ],
  "Operate the daemon": [
    [
      "health",
      "check whether the daemon is ready (exit code 0 or 1)",
      healthCommand,
      "--ops-listen 127.0.0.1:9090",
    ],
    ["exit-codes", "list what each exit code means", exitCodesCommand, ""],
    ["version", "print the version, the commit, Node, and the platform", versionCommand, ""],
  ],
};

/** In the order of `--help`. */
export const commands = Object.entries(table).flatMap(([group, rows]) =>
  rows.map(([name, summary, make, examples]) => ({ group, name, summary, make, examples }) as CommandRow),
);

/** Connections know providers, not the other way round. */
function providerWithConnect(shell: Shell): Command {
  return providerCommand(shell, (session, provider, { json = false }) =>
    connectTo(session, provider, { ...(json && { json }), open: true }),
  );
}
