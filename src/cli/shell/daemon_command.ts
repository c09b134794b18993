import type { CallOptions } from "@connectrpc/connect";
import type { Command } from "commander";
import { loadClientConfig } from "../../config/client_config.js";
import type { Flags, SettingName } from "../../config/settings.js";
import { callFailure } from "./call_failure.js";
import { callTimeoutMs, connectDaemon, type Daemon } from "./client.js";
import type { Shell } from "./shell.js";

/** Flags of every command that talks to the daemon. */
export interface DaemonFlags {
  readonly address?: string;
  readonly apiKeyFile?: string;
  readonly dataDir?: string;
  readonly caFile?: string;
  readonly clientCertFile?: string;
  readonly clientKeyFile?: string;
  readonly json?: boolean;
}

/** What a command does with the daemon. */
export interface DaemonSession {
  readonly daemon: Daemon;
  /**
   * Makes one call, with a time limit.
   *
   * @param doing what is tried, for the message: `create the provider github`
   * @throws CommandFailure
   */
  call<Answer>(doing: string, send: (options: CallOptions) => Promise<Answer>): Promise<Answer>;
}

export function addDaemonFlags(command: Command): Command {
  return command
    .option("--json", "print JSON")
    .option("--address <address>", "where the daemon is (NEXUS_ADDRESS)")
    .option(
      "--api-key-file <file>",
      "the key for an http or https address (NEXUS_API_KEY_FILE; or the key itself in NEXUS_API_KEY)",
    )
    .option("--ca-file <file>", "the CAs to trust at an https address (NEXUS_CA_FILE)")
    .option("--client-cert-file <file>", "the certificate to show there (NEXUS_CLIENT_CERT_FILE)")
    .option("--client-key-file <file>", "its private key (NEXUS_CLIENT_KEY_FILE)")
    .option("--data-dir <folder>", "the data folder whose socket is used (NEXUS_DATA_DIR)");
}

/** Runs `work` against the daemon that flags and environment name, and hangs up. */
export async function withDaemon(
  shell: Shell,
  flags: DaemonFlags,
  work: (session: DaemonSession) => Promise<void>,
): Promise<void> {
  const config = loadClientConfig(shell.env, clientFlags(flags));
  const daemon = connectDaemon(config, (sentence) => shell.stderr.write(`nexusd: warning: ${sentence}\n`));
  const call: DaemonSession["call"] = async (doing, send) => {
    try {
      return await send({ timeoutMs: callTimeoutMs });
    } catch (error) {
      throw callFailure(error, doing, daemon.address);
    }
  };
  try {
    await work({ daemon, call });
  } finally {
    daemon.close();
  }
}

function clientFlags(flags: DaemonFlags): Flags {
  const named: [SettingName, string | undefined][] = [
    ["NEXUS_ADDRESS", flags.address],
    ["NEXUS_API_KEY_FILE", flags.apiKeyFile],
    ["NEXUS_DATA_DIR", flags.dataDir],
    ["NEXUS_CA_FILE", flags.caFile],
    ["NEXUS_CLIENT_CERT_FILE", flags.clientCertFile],
    ["NEXUS_CLIENT_KEY_FILE", flags.clientKeyFile],
  ];
  return Object.fromEntries(named.filter(([, value]) => value !== undefined));
}
