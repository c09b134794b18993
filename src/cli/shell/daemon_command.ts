import { type CallOptions, ConnectError } from "@connectrpc/connect";
import type { Command } from "commander";
import { loadClientConfig } from "../../config/client_config.js";
import { exitCodes } from "../../daemon/exit_codes.js";
import { callFailure, isOtherProtocol } from "./call_failure.js";
import { callTimeoutMs, connectDaemon, type Daemon } from "./client.js";
import { CommandFailure } from "./command_failure.js";
import { explainAddress } from "./listener_probe.js";
import { SettingOptions } from "./setting_options.js";
import type { Shell } from "./shell.js";

/** Flags of every command that talks to the daemon: `--json`, and those of its settings. */
export interface DaemonFlags {
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

const clientOptions = (): SettingOptions =>
  new SettingOptions([
    "NEXUS_ADDRESS",
    "NEXUS_API_KEY_FILE",
    "NEXUS_CA_FILE",
    "NEXUS_CLIENT_CERT_FILE",
    "NEXUS_CLIENT_KEY_FILE",
    "NEXUS_DATA_DIR",
  ]);

export function addDaemonFlags(command: Command): Command {
  return addAddressFlags(command.option("--json", "print JSON"));
}

/** For a command whose output has a form of its own. */
export function addAddressFlags(command: Command): Command {
  for (const option of clientOptions().options) {
    command.addOption(option.helpGroup("Where the daemon is:"));
  }
  return command;
}

/** The items of all pages of a list, in order. */
export async function allPages<Item>(
  readPage: (
    pageToken: string,
  ) => Promise<{ readonly items: readonly Item[]; readonly nextPageToken: string }>,
): Promise<Item[]> {
  const all: Item[] = [];
  let pageToken = "";
  do {
    const { items, nextPageToken } = await readPage(pageToken);
    all.push(...items);
    pageToken = nextPageToken;
  } while (pageToken !== "");
  return all;
}

/** Runs `work` against the daemon that flags and environment name, and hangs up. */
export async function withDaemon(
  shell: Shell,
  flags: DaemonFlags,
  work: (session: DaemonSession) => Promise<void>,
): Promise<void> {
  const config = loadClientConfig(shell.env, clientOptions().flagsOf({ ...flags }));
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
  } catch (error) {
    const cause = error instanceof CommandFailure ? error.cause : undefined;
    if (config.kind !== "tcp" || !(cause instanceof ConnectError && isOtherProtocol(cause))) throw error;
    const why = await explainAddress(config.url, shell.clock);
    throw why === undefined ? error : new CommandFailure(exitCodes.notReachable, why, error);
  } finally {
    daemon.close();
  }
}
