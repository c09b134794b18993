import { timestampMs } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError } from "@connectrpc/connect";
import { type Connection, ConnectionStatus, type Problem } from "../../gen/nexus/v1/connection_pb.js";
import type { DaemonClient } from "../shell/client.js";
import type { Shell } from "../shell/shell.js";
import { shellWord } from "../shell/text.js";
import { readTokenStream } from "./token_stream.js";

/** A consent that was requested. */
export interface ConsentRequest {
  readonly connectionId: string;
  readonly expiresAtMs: number;
  /** The revision before the request; undefined for a new connection. */
  readonly revisionBefore: bigint | undefined;
}

export type ConsentOutcome = { readonly kind: "connected"; readonly connection: Connection } | FailedConsent;

/** `sentence` says why; `connection` is undefined when it was deleted. */
interface FailedConsent {
  readonly kind: "failed";
  readonly sentence: string;
  readonly connection: Connection | undefined;
}

/** A denied re-consent changes no token, so it is noticed at the next bookmark. The shortest that the daemon offers. */
const bookmarkIntervalMs = 5_000;

/** The daemon is away or busy: the stream says when it is back. */
const passingCodes: readonly Code[] = [Code.Unavailable, Code.Aborted, Code.Canceled, Code.DeadlineExceeded];

/** How long after its end a request may still be called pending. */
const graceMs = 30_000;

/** Waits until the request is decided. @throws ConnectError */
export async function waitForConsent(
  shell: Shell,
  daemon: DaemonClient,
  request: ConsentRequest,
): Promise<ConsentOutcome> {
  const stream = readTokenStream({
    tokens: daemon.tokens,
    clock: shell.clock,
    random: shell.random,
    connectionIds: [request.connectionId],
    userId: "",
    bookmarkIntervalMs,
    onInterrupted: () => {},
  });
  for await (const { event } of stream) {
    if (event.case !== "state" && event.case !== "bookmark" && event.case !== "removed") continue;
    const connection = await readConnection(daemon, request.connectionId);
    if (connection === "unknown") continue;
    const outcome = judgeConsent(connection, request, shell.clock.nowMs());
    if (outcome) return outcome;
  }
  throw new Error("the token stream ended");
}

/** What the state of the connection says about the request; undefined while it is undecided. */
export function judgeConsent(
  connection: Connection | undefined,
  request: ConsentRequest,
  nowMs: number,
): ConsentOutcome | undefined {
  const failed = (sentence: string): ConsentOutcome => ({ kind: "failed", sentence, connection });
  if (!connection) return failed("the connection was deleted");
  const { status, revision, requestExpiresAt, problem, requestProblem } = connection;
  // Whatever the revision: a refresh may have come between, and the problem is unset once a consent succeeds.
  const isRefused = !requestExpiresAt && requestProblem !== undefined;
  const isNewer = status === ConnectionStatus.ACTIVE && revision > (request.revisionBefore ?? 0n);
  const isConnected = isNewer && !isRefused;
  // While a first consent is pending there is no token; a background refresh can raise the revision of a second one.
  if (isConnected && (request.revisionBefore === undefined || !requestExpiresAt)) {
    return { kind: "connected", connection };
  }
  if (requestExpiresAt) {
    if (timestampMs(requestExpiresAt) !== request.expiresAtMs) {
      return failed("a newer request took the place of this one");
    }
    return nowMs > request.expiresAtMs + graceMs ? failed("nobody consented in time") : undefined;
  }
  switch (status) {
    case ConnectionStatus.PENDING:
      return undefined;
    case ConnectionStatus.EXPIRED:
      return failed("nobody consented in time");
    case ConnectionStatus.REVOKED:
      return failed("the connection was revoked");
    case ConnectionStatus.FAILED:
      return failed(problem ? problemText(problem) : "the consent failed");
    default:
      if (requestProblem?.reason === "consent_expired") return failed(`nobody consented in time${asItWas}`);
      return failed(
        `${requestProblem ? problemText(requestProblem) : "consent was denied or failed"}${asItWas}`,
      );
  }
}

const ofProfile = /^(client_rejected|issuer_mismatch|misconfigured|unsupported_demand)$/;

/** The next command after a consent that failed, for the `word` of the connection. */
export function retryStep({ problem, providerName }: Connection, word: string, program: string): string {
  const again = `consent again: ${program} connect ${word}`;
  if (!ofProfile.test(problem?.reason ?? "")) return again;
  return `correct the provider with ${program} provider update ${shellWord(providerName)}, then ${again}`;
}

const asItWas = "; the connection is as it was";

function problemText({ message, reason }: Problem): string {
  const [sentence, ...commands] = message.split("\n");
  return [`${sentence} (${reason})`, ...commands].join("\n");
}

/** Undefined when it does not exist; `unknown` when the daemon cannot be reached at the moment. */
async function readConnection(
  { connections }: DaemonClient,
  connectionId: string,
): Promise<Connection | undefined | "unknown"> {
  try {
    return (await connections.getConnection({ connectionId }, { timeoutMs: bookmarkIntervalMs })).connection;
  } catch (error) {
    const { code } = ConnectError.from(error);
    if (code === Code.NotFound) return undefined;
    if (passingCodes.includes(code)) return "unknown";
    throw error;
  }
}
