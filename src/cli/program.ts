import { fleetCommand } from "../ext/fleet/commands/fleet.js";
import { auditCommand } from "./admin/audit.js";
import { backupCommand } from "./admin/backup.js";
import { clientKeysCommand } from "./admin/client_keys.js";
import { keyringCommand } from "./admin/keyring.js";
import { keysCommand } from "./admin/keys.js";
import { notifyCommand } from "./admin/notify.js";
import { policyCommand } from "./admin/policy.js";
import { whoamiCommand } from "./admin/whoami.js";
import { completeCommand, completionCommand } from "./completion/completion.js";
import { connectCommand, connectTo } from "./connections/connect.js";
import { connectionsCommand } from "./connections/connections.js";
import { watchCommand } from "./connections/watch.js";
import { curlCommand } from "./credentials/curl.js";
import { dockerCredentialCommand } from "./credentials/docker_credential.js";
import { execCommand } from "./credentials/exec.js";
import { gitCredentialCommand } from "./credentials/git_credential.js";
import { tokenCommand } from "./credentials/token.js";
import { healthCommand } from "./daemon/health.js";
import { restoreCommand } from "./daemon/restore.js";
import { serveCommand } from "./daemon/serve.js";
import { statusCommand } from "./daemon/status.js";
import { providerCommand } from "./providers/provider.js";
import { runOneOf } from "./run_command.js";
import { refusingAsItLogs } from "./serve_program.js";
import type { MakeCommand, Shell } from "./shell/shell.js";

const makers: readonly MakeCommand[] = [
  serveCommand,
  // Connections know providers, not the other way round.
  (each: Shell) =>
    providerCommand(each, (session, provider, flags) =>
      connectTo(each, session, provider, { ...(flags.json ? { json: true } : {}), open: true }),
    ),
  connectCommand,
  connectionsCommand,
  tokenCommand,
  execCommand,
  curlCommand,
  gitCredentialCommand,
  dockerCredentialCommand,
  watchCommand,
  auditCommand,
  keyringCommand,
  clientKeysCommand,
  backupCommand,
  restoreCommand,
  fleetCommand,
  keysCommand,
  policyCommand,
  whoamiCommand,
  notifyCommand,
  healthCommand,
  statusCommand,
  completionCommand,
];

/**
 * Runs one command.
 *
 * @param args what stands after `nexusd`
 * @param process what the command sees of it
 * @returns the exit code
 */
export async function run(args: readonly string[], process: Shell): Promise<number> {
  const all = [...makers, ...process.extensions.flatMap(({ commands = [] }) => commands)];
  const command = (shell: Shell) => runOneOf(all, args, shell, completeCommand);
  return args[0] === "serve" ? await refusingAsItLogs(args, process, command) : await command(process);
}
