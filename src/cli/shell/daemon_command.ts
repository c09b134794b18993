import type { Message } from "@bufbuild/protobuf";
import { type CallOptions, ConnectError } from "@connectrpc/connect";
import type { Command } from "commander";
import { ApiKeyMissing, type ClientConfig, loadClientConfig } from "../../config/client_config.js";
import { exitCodes } from "../../core/exit_codes.js";
import { type Terminal, withProgress } from "../terminal/progress.js";
import { screenOf } from "../terminal/screen.js";
import { callFailure, isOtherProtocol } from "./call_failure.js";
import { callTimeoutMs, connectDaemon, type DaemonClient } from "./client.js";
import { CommandFailure } from "./command_failure.js";
import { addNotes, leaveOutOfHelp } from "./help.js";
import { explainAddress, explainKeyless } from "./listener_probe.js";
import { SettingOptions } from "./setting_options.js";
import type { Shell } from "./shell.js";
import { formatTable, jsonLine } from "./text.js";

/** Flags of every command that talks to the daemon: `--json`, and those of its settings. */
export interface DaemonFlags {
  readonly json?: boolean;
}

/** Of a command that changes something for good. */
export interface ConfirmedFlags extends DaemonFlags {
  readonly yes?: boolean;
}

/** What a command does with the daemon. */
export interface DaemonSession {
  readonly shell: Shell;
  readonly daemon: DaemonClient;
  /** Makes one call, with a time limit. @param doing what is tried, for the message: `create the provider github` */
  call<Request, Answer>(
    doing: string,
    method: Method<Request, Answer>,
    request: NoInfer<Request>,
    options?: CallOptions,
  ): Promise<Answer>;
  /** Calls for each page of a list. @returns the items of all pages, in order */
  listAll<Request extends object, Answer extends { readonly nextPageToken: string }, Item>(
    doing: string,
    method: Method<Request, Answer>,
    request: NoInfer<Request>,
    itemsOf: (page: Answer) => readonly Item[],
  ): Promise<Item[]>;
  /** Prints an answer: with `--json` as a line of JSON, else as `text` says it. */
  show(answer: Message, text: () => string): void;
  /** Prints a list: with `--json` a line of JSON for each item, else a table, or on standard error that there is none. */
  showList<Item extends Message>(
    items: readonly Item[],
    table: { readonly none: string; readonly columns: Columns<Item> },
  ): void;
}

type Method<Request, Answer> = (request: Request, options?: CallOptions) => Promise<Answer>;

/** The cells of a table, by the title of their column. */
type Columns<Item> = Readonly<Record<string, (item: Item) => string>>;

const clientOptions = (): SettingOptions =>
  new SettingOptions([
    "NEXUS_ADDRESS",
    "NEXUS_API_KEY_FILE",
    "NEXUS_CA_FILE",
    "NEXUS_CLIENT_CERT_FILE",
    "NEXUS_CLIENT_KEY_FILE",
    "NEXUS_DATA_DIR",
    "NEXUS_PORT_BASE",
  ]);

const placeGroup = "Where the daemon is:";

/** @param isExplained whether its help explains the flags that say where the daemon is; that of other commands names them */
export function addDaemonFlags(command: Command, isExplained = false): Command {
  return addAddressFlags(command.option("--json", "print JSON: one object a line"), isExplained);
}

/** For a command whose output has a form of its own. */
export function addAddressFlags(command: Command, isExplained = false): Command {
  const { options } = clientOptions();
  for (const option of options) command.addOption(option.helpGroup(placeGroup));
  if (isExplained) return command;
  leaveOutOfHelp(command, placeGroup);
  const names = options.map(({ long }) => long).join(", ");
  return addNotes(command, `Where the daemon is (see nexusd status --help): ${names}`);
}

/** A command that does its work in a session of the daemon that its flags name. */
export function daemonCommand<Flags extends DaemonFlags, Arguments extends unknown[]>(
  shell: Shell,
  command: Command,
  work: (session: DaemonSession, flags: Flags, ...given: Arguments) => Promise<void>,
): Command {
  return addDaemonFlags(command).action((...given: unknown[]) => {
    const [flags] = given.splice(-2);
    return withDaemon(
      shell,
      flags as Flags,
      (session) => work(session, flags as Flags, ...(given as Arguments)),
      shell,
    );
  });
}

/** An address that leads nowhere is reported before the key that is missing for it. @throws ConfigError, CommandFailure */
async function clientConfig(shell: Shell, flags: DaemonFlags): Promise<ClientConfig> {
  try {
    return clientConfigOf(shell, flags);
  } catch (error) {
    const why = error instanceof ApiKeyMissing ? await explainKeyless(error.url, shell.clock) : undefined;
    throw why === undefined ? error : new CommandFailure(exitCodes.notReachable, why, error);
  }
}

/**
 * Runs `work` against the daemon that flags and environment name, and hangs up.
 *
 * @param terminal that shows what is waited for; none where it belongs to another program
 */
export async function withDaemon(
  shell: Shell,
  flags: DaemonFlags,
  work: (session: DaemonSession) => Promise<void>,
  terminal?: Terminal,
): Promise<void> {
  const config = await clientConfig(shell, flags);
  const daemon = connectDaemon(config, (sentence) => shell.stderr.write(`nexusd: warning: ${sentence}\n`));
  try {
    await work(sessionOf(shell, daemon, flags, terminal));
  } catch (error) {
    const cause = error instanceof CommandFailure ? error.cause : undefined;
    if (config.kind !== "tcp" || !(cause instanceof ConnectError && isOtherProtocol(cause))) throw error;
    const why = await explainAddress(config.url, shell.clock);
    throw why === undefined ? error : new CommandFailure(exitCodes.notReachable, why, error);
  } finally {
    daemon.close();
  }
}

/** How the daemon is reached that flags and environment name. @throws ConfigError */
export function clientConfigOf(shell: Shell, flags: DaemonFlags): ClientConfig {
  return loadClientConfig(shell.env, clientOptions().flagsOf({ ...flags }));
}

/** Calls to a daemon, and answers for the reader of the shell's output. */
export function sessionOf(
  shell: Shell,
  daemon: DaemonClient,
  flags: DaemonFlags = {},
  terminal?: Terminal,
): DaemonSession {
  const call: DaemonSession["call"] = async (doing, method, request, options) => {
    try {
      const work = () => method(request, { timeoutMs: callTimeoutMs, ...options });
      return terminal ? await withProgress(terminal, () => doing, work) : await work();
    } catch (error) {
      throw callFailure(error, doing, daemon.address);
    }
  };
  const listAll: DaemonSession["listAll"] = async (doing, method, request, itemsOf) => {
    const all: ReturnType<typeof itemsOf>[number][] = [];
    let pageToken = "";
    do {
      const page = await call(doing, method, { pageSize: 1000, ...request, pageToken });
      all.push(...itemsOf(page));
      pageToken = page.nextPageToken;
    } while (pageToken !== "");
    return all;
  };
  const show: DaemonSession["show"] = (answer, text) =>
    shell.stdout.write(flags.json ? jsonLine(answer) : text());
  const showList: DaemonSession["showList"] = (items, { none, columns }) => {
    if (flags.json) for (const item of items) shell.stdout.write(jsonLine(item));
    else if (items.length === 0) shell.stderr.write(none);
    else {
      // A column without a word takes room from the others.
      const filledColumns = Object.entries(columns).filter(([, cell]) =>
        items.some((item) => cell(item) !== ""),
      );
      const rows = items.map((item) => filledColumns.map(([, cell]) => cell(item)));
      const titles = filledColumns.map(([title]) => title);
      shell.stdout.write(formatTable(titles, rows, screenOf(shell.env, shell.stdout)));
    }
  };
  return { shell, daemon, call, listAll, show, showList };
}
