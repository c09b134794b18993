import { type Timestamp, timestampMs } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError } from "@connectrpc/connect";
import { Command } from "commander";
import { exitCodes } from "../../core/exit_codes.js";
import {
  type Connection,
  ConnectionStatus,
  type ConnectionServiceRequestConnectionResponse as RequestAnswer,
} from "../../gen/nexus/v1/connection_pb.js";
import { namePath } from "../../model/connections/connection_name.js";
import { isId } from "../../model/ids.js";
import { consentByPaste } from "../consent/pasted_consent.js";
import { forwardingCommand, isLocalUrl, isOverSsh, redirectHint } from "../consent/remote_machine.js";
import { findProvider, suggestingProviders } from "../providers/provider_key.js";
import { isOAuth2 } from "../providers/provider_words.js";
import { callFailure } from "../shell/call_failure.js";
import { CommandFailure } from "../shell/command_failure.js";
import { addDaemonFlags, type DaemonFlags, type DaemonSession, withDaemon } from "../shell/daemon_command.js";
import { addNotes } from "../shell/help.js";
import { listOption } from "../shell/option_values.js";
import type { Shell } from "../shell/shell.js";
import { formatExpiry, formatStatus, jsonLine, printable, printableLines } from "../shell/text.js";
import { withProgress } from "../terminal/progress.js";
import { type ConnectTarget, connectTarget, type TargetFlags } from "./connect_target.js";
import { connectionArgument, nameOrId } from "./connection_key.js";
import { type ConsentOutcome, retryStep, waitForConsent } from "./consent_wait.js";
import { captureAtPrompt } from "./credential_input.js";
import { refuseOtherUser } from "./users_of_key.js";

/** What `nexusd connect` takes beside the provider. */
export interface ConnectFlags extends DaemonFlags, TargetFlags {
  readonly scopes?: string[];
  readonly returnUrl?: string;
  readonly device?: boolean;
  readonly open: boolean;
  readonly paste?: boolean;
}

export function connectCommand(shell: Shell): Command {
  const command = new Command("connect")
    .description("connect an account: open the consent page (or prompt for a key), wait, and show the result")
    .argument(
      "[provider]",
      "name or id, PROVIDER/USER[/LABEL], or the URL of an MCP server; optional with --connection",
    )
    .option("--user <id>", "the user of the connection (default: your login name)")
    .addOption(listOption("scopes", "request these instead of the defaults"))
    .option("--return-url <url>", "URL for the browser afterwards")
    .option("--connection <connection>", `request consent again for ${connectionArgument}`)
    .option("--label <label>", "distinguishes several accounts of the user at the provider")
    .option("--client-id <id>", "ID of a client that you registered, for an MCP server without registration")
    .option("--client-secret-file <file>", "the file that holds its secret; - is standard input")
    .option("--device", "show a code to enter on any device (RFC 8628), if no browser can reach the daemon")
    .option("--no-open", "only print the URL; do not open a browser or prompt for a key")
    .option("--paste", "if the browser is on another machine: paste the address that it could not open");
  addNotes(
    command,
    "If a connection of this name exists, the user consents to it again, with the given scopes or the defaults. A revoked one is replaced by a new connection. Another account of the user needs another --label.",
    "For a provider with a static key, it prompts for the key; with --no-open, enter it at the URL.",
  );
  return addDaemonFlags(command).action((provider: string | undefined, flags: ConnectFlags) =>
    withDaemon(shell, flags, (session) => connectTo(session, provider, flags)),
  );
}

/** Asks for a connection and waits for the person. @throws CommandFailure unless it is connected */
export async function connectTo(
  session: DaemonSession,
  given: string | undefined,
  flags: ConnectFlags,
): Promise<void> {
  const target = await connectTarget(session, given, flags);
  const { provider, before } = target;
  const providerName = provider ?? before?.providerName ?? "";
  const { requestConnection } = session.daemon.connections;
  const doing = `connect to ${providerName}`;
  const answer = await suggestingProviders(session, providerName, () =>
    session
      .call(doing, requestConnection, request(target, flags))
      .catch((error) => refuseUser(session, doing, target, error)),
  );
  const { connection } = answer;
  if (connection) return await report(session, { kind: "connected", connection }, flags);
  if (before && flags.connection === undefined && !flags.json)
    session.shell.stdout.write(alreadyExistsNote(before));
  await bringPerson(session, answer, flags);
  const outcome = await session.shell.orInterrupted(farewell(session.shell, answer, before), () =>
    waitFor(session, answer, before?.revision),
  );
  await report(session, outcome, flags);
}

/** Names both users where the key is for others than the one that was requested. */
async function refuseUser(
  session: DaemonSession,
  doing: string,
  { userId }: ConnectTarget,
  error: unknown,
): Promise<never> {
  const isDenied =
    error instanceof CommandFailure && ConnectError.from(error.cause).code === Code.PermissionDenied;
  if (isDenied && userId !== "") await refuseOtherUser(session, doing, userId, ": give --user");
  throw error;
}

/** What a person reads who no longer waits. */
function farewell(
  { program }: Shell,
  { connectionId, expiresAt }: RequestAnswer,
  before: Connection | undefined,
): string {
  const end = before
    ? `another ${program} connect replaces it`
    : `to end it: ${program} connections delete ${connectionId} --yes`;
  return `\nThe link goes on working until ${clockTime(expiresAt)}; ${end}\n`;
}

/** The name that was given has a connection already. */
function alreadyExistsNote(before: Connection): string {
  const name = printable(namePath(before));
  return `${name} already exists (${formatStatus(before.status)}): requesting consent again. For another account, use --label\n`;
}

/** By paste, by a prompt, or by a link that is opened on this machine or another one. */
async function bringPerson(
  session: DaemonSession,
  answer: RequestAnswer,
  flags: ConnectFlags,
): Promise<void> {
  const hint = flags.json ? "" : await redirectHint(session, answer);
  if (flags.paste) return await consentByPaste(session.shell, answer, hint);
  const canAsk = flags.open && !flags.json && session.shell.stdin.isTTY && flags.returnUrl === undefined;
  if (canAsk && answer.redirectUri === "") {
    const { provider } = await findProvider(session, answer.providerId);
    if (!isOAuth2(provider)) return await captureAtPrompt(session, provider, answer.state);
  }
  await announce(session.shell, answer, flags, hint);
}

function request({ provider, userId, label, before }: ConnectTarget, flags: ConnectFlags) {
  const key = provider?.trim().toLowerCase() ?? "";
  return {
    userId,
    provider:
      key === ""
        ? ({ case: undefined } as const)
        : ({ case: isId(key) ? "providerId" : "providerName", value: key } as const),
    scopes: flags.scopes ?? [],
    returnUrl: flags.returnUrl ?? "",
    connectionId: before?.id ?? "",
    label,
    device: flags.device ?? false,
  };
}

async function announce(
  shell: Shell,
  answer: RequestAnswer,
  flags: ConnectFlags,
  redirectHint: string,
): Promise<void> {
  if (flags.json) return shell.stdout.write(jsonLine(answer));
  const until = clockTime(answer.expiresAt);
  const url = answer.authUrl || answer.verificationUriComplete || answer.verificationUri;
  if (answer.userCode === "") {
    const purpose = answer.redirectUri === "" ? "enter the key" : "consent";
    shell.stdout.write(`Open this URL in a browser to ${purpose}:\n\n  ${printable(answer.authUrl)}\n\n`);
    if (answer.redirectUri === "" && !shell.stdin.isTTY)
      shell.stdout.write(
        "A script gives the key to nexusd connections import PROVIDER --file FILE (- for standard input).\n",
      );
  } else {
    const page = printable(answer.verificationUri);
    shell.stdout.write(
      `Open ${page} on any device, and enter this code:\n\n  ${printable(answer.userCode)}\n\n`,
    );
  }
  shell.stdout.write(`Waiting until ${until}; the connection is ${answer.connectionId}\n${redirectHint}`);
  const hint = remoteHint(shell, answer);
  if (isOverSsh(shell.env)) shell.stdout.write(hint);
  else if (shell.stdout.isTTY && flags.open && /^https?:\/\//.test(url)) {
    try {
      await shell.openBrowser(url);
    } catch {
      shell.stderr.write("no browser could be opened: open the URL by hand\n");
      shell.stdout.write(hint);
    }
  }
}

/** Of this machine, to the second. */
function clockTime(time: Timestamp | undefined): string {
  return time ? new Date(timestampMs(time)).toTimeString().slice(0, 8) : "";
}

/** For a person whose browser is on another machine; empty where the link works there as it is. */
function remoteHint(shell: Shell, { authUrl, redirectUri, userCode }: RequestAnswer): string {
  if (userCode !== "" || !isLocalUrl(authUrl)) return "";
  const paste = redirectUri === "" ? "" : " Or interrupt this command and give it --paste.";
  return `If your browser is on another machine, run this there first, then open the URL:\n\n  ${forwardingCommand(authUrl, shell)}\n\n${paste === "" ? "" : `${paste.trim()}\n`}`;
}

async function waitFor(
  { shell, daemon }: DaemonSession,
  answer: RequestAnswer,
  revisionBefore: bigint | undefined,
): Promise<ConsentOutcome> {
  const { connectionId, expiresAt } = answer;
  if (!expiresAt) throw new Error("the daemon answered without an end of the request");
  try {
    const pendingConsent = { connectionId, expiresAtMs: timestampMs(expiresAt), revisionBefore };
    return await withProgress(
      shell,
      () => "waiting for consent",
      () => waitForConsent(shell, daemon, pendingConsent),
    );
  } catch (error) {
    throw callFailure(error, "wait for the consent", daemon.address);
  }
}

/** @throws CommandFailure unless it is connected */
async function report(session: DaemonSession, outcome: ConsentOutcome, flags: ConnectFlags): Promise<void> {
  const { shell } = session;
  const { connection } = outcome;
  if (flags.json && connection) shell.stdout.write(jsonLine(connection));
  if (outcome.kind === "failed") {
    const isOver = connection && connection.status !== ConnectionStatus.ACTIVE;
    const word = isOver ? await nameOrId(session, connection) : "";
    const step = isOver ? `\n${retryStep(connection, word, shell.program)}` : "";
    const sentence = printableLines(outcome.sentence);
    throw new CommandFailure(exitCodes.consentFailed, `not connected: ${sentence}${step}`);
  }
  for (const warning of grantWarnings(shell, outcome.connection)) shell.stderr.write(`warning: ${warning}\n`);
  if (flags.json) return;
  const { providerName, userId, grantedScopes, expiresAt } = outcome.connection;
  const details = [
    `for ${userId}`,
    ...(grantedScopes.length > 0 ? [`scopes ${grantedScopes.join(" ")}`] : []),
    formatExpiry(expiresAt, shell.clock.nowMs()) || "does not expire",
  ];
  shell.stdout.write(printable(`Connected to ${providerName}: ${details.join(", ")}`));
  shell.stdout.write(
    `\nRead the token: ${shell.program} token ${await nameOrId(session, outcome.connection)}\n`,
  );
}

/** What a person who has just consented should learn of what was granted, a sentence each. */
function grantWarnings({ clock, program }: Shell, connection: Connection): string[] {
  const { expiresAt, refreshable, requestedScopes, grantedScopes, providerName } = connection;
  const warnings: string[] = [];
  if (expiresAt && !refreshable) {
    warnings.push(
      `no refresh token came: the token ${formatExpiry(expiresAt, clock.nowMs())}, and the user must consent again then. Many providers issue one for the scope offline_access, or for a parameter: ${program} provider update ${providerName} --param access_type=offline`,
    );
  }
  const dropped = requestedScopes.filter((scope) => !grantedScopes.includes(scope));
  if (dropped.length > 0) warnings.push(`the provider did not grant the scopes ${dropped.join(" ")}`);
  return warnings.map(printable);
}
