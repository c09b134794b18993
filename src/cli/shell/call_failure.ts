import { Code, ConnectError } from "@connectrpc/connect";
import { type ExitCode, exitCodes } from "../../core/exit_codes.js";
import { BadRequestSchema, ErrorInfoSchema, RetryInfoSchema } from "../../gen/google/rpc/error_details_pb.js";
import { errorOfKind, type NexusError, Unavailable } from "../../model/errors.js";
import { formatDuration } from "../../model/quantity_text.js";
import { CommandFailure } from "./command_failure.js";
import { durationMsOf } from "./option_values.js";
import { printable, printableLines } from "./text.js";

/** Reasons of `google.rpc.ErrorInfo` that say that no token will come without a person. */
const interactionRequired = new Set([
  "CONNECTION_PENDING",
  "ATTENTION_REQUIRED",
  "CONNECTION_REVOKED",
  "CONNECTION_EXPIRED",
  "CONNECTION_FAILED",
]);

const consentAgain = "consent again: nexusd connect --connection <id>";
/** A profile that was registered again under the name of a deleted one takes its connections back by consent. */
const providerAgain =
  "add the provider again under its name, then consent again: nexusd connect --connection <id>";
const nextSteps: Readonly<Record<string, string>> = {
  CONNECTION_PENDING:
    "a user must open the link, to consent or to enter the key; for a new link: nexusd connect --connection <id>",
  ATTENTION_REQUIRED: consentAgain,
  CONNECTION_EXPIRED: consentAgain,
  CONNECTION_FAILED: consentAgain,
  NOT_REFRESHABLE: consentAgain,
  SCOPES_NOT_GRANTED:
    "see the requested scopes: nexusd audit --connection <id>; then nexusd connect --connection <id>",
  PROVIDER_DELETED: providerAgain,
  CLIENT_REGISTRATION_REQUIRED:
    "then: nexusd connect <url> --client-id <id> --client-secret-file <file>; or nexusd provider update, for a provider that exists",
  NO_OTHER_KEY: "add a key: nexusd keyring add",
  KEY_IN_USE: "see which records need it: nexusd keyring status",
  BACKUP_NOT_VERIFIED:
    "those connections need consent again, or are deleted; --allow-unreadable makes the backup anyway",
  CONNECTION_REVOKED: "a revoked connection cannot be restored; make a new one: nexusd connect <provider>",
};

/**
 * Turns what a call threw into what a person reads: one sentence, a line for each field that is not accepted, and what
 * to do next.
 *
 * @param doing what failed, after "cannot", for example `create the provider github`
 */
export function callFailure(error: unknown, doing: string, address: string): CommandFailure {
  if (error instanceof CommandFailure) return error;
  const failure = ConnectError.from(error);
  const distance = whyNotReached(failure, address);
  if (distance !== undefined)
    return new CommandFailure(exitCodes.notReachable, `cannot ${doing}: ${distance}`);
  const { reason = "", metadata = {} } = failure.findDetails(ErrorInfoSchema)[0] ?? {};
  const violations = failure.findDetails(BadRequestSchema).flatMap((detail) => detail.fieldViolations);
  const summary = violations.length > 0 ? "the daemon does not accept" : messageFor(failure, doing);
  const step = nextStep(failure, reason, metadata["problem"]);
  const lines = [
    `cannot ${doing}: ${summary || Code[failure.code]}`,
    ...violations.map(({ field, description }) => printable(`  ${field}: ${description}`)),
    ...(step === undefined ? [] : [step]),
  ];
  return new CommandFailure(exitCodeOf(reason), lines.join("\n"), failure);
}

/** Undefined where the daemon answered. */
function whyNotReached(failure: ConnectError, address: string): string | undefined {
  const distrust = codeOf(failure, (code) => untrusted.test(code));
  if (distrust !== undefined)
    return `the certificate of ${address} is not trusted (${distrust}): name its CA with --ca-file (NEXUS_CA_FILE)`;
  if (!isNotReachable(failure)) return undefined;
  const cause = systemCode(failure);
  if (cause === "EACCES")
    return `this user may not connect to ${address} (EACCES): run the command as the user of the daemon, or let others in with NEXUS_SOCKET_MODE, or use --address and --api-key-file`;
  const found = cause === undefined ? "" : ` (${cause})`;
  return `the daemon is not reachable at ${address}${found}: is \`nexusd serve\` running?\nfor a daemon elsewhere, give --address`;
}

/** What a call threw, as the error of the model that the daemon met; one that it did not answer is unavailable. */
export function nexusErrorOf(error: unknown, address: string): NexusError {
  const failure = ConnectError.from(error);
  const distance = whyNotReached(failure, address);
  if (distance !== undefined) return new Unavailable(distance, undefined, failure);
  const { reason } = failure.findDetails(ErrorInfoSchema)[0] ?? {};
  const violations = failure.findDetails(BadRequestSchema).flatMap((detail) => detail.fieldViolations);
  const { retryDelay } = failure.findDetails(RetryInfoSchema)[0] ?? {};
  const retryAfterMs = retryDelay && durationMsOf(retryDelay);
  const kind = Code[failure.code].replace(/(?<=[a-z])[A-Z]/g, (letter) => `_${letter}`).toLowerCase();
  return errorOfKind(kind, printableLines(failure.rawMessage), {
    reason,
    violations,
    retryAfterMs,
    cause: failure,
  });
}

/** Does `work`; where the daemon refuses it with this code, the failure says what to do next. */
export async function withStep<Answer>(
  code: Code,
  step: string,
  work: () => Promise<Answer>,
): Promise<Answer> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof CommandFailure && error.cause instanceof ConnectError)) throw error;
    if (error.cause.code !== code) throw error;
    throw new CommandFailure(error.exitCode, `${error.message}\n${printable(step)}`, error.cause);
  }
}

/** What the daemon says; of what it did not find, no name that stands in `doing` already. */
function messageFor({ code, rawMessage }: ConnectError, doing: string): string {
  const message = printableLines(rawMessage);
  // How a request carries a key is for whoever writes the request: here, the command does.
  if (code === Code.Unauthenticated) return message.replace(/[;:] send it as `authorization: .*$/s, "");
  const [, resource = "", name = ""] =
    (code === Code.NotFound && /^([a-z ]+) not found: "(.+)"$/.exec(message)) || [];
  if (name === "" || !doing.endsWith(` ${name}`)) return message;
  return doing.endsWith(` ${resource} ${name}`) ? "not found" : `${resource} not found`;
}

/** Whether no daemon answered at all, or none that can be trusted. */
export function isNotReachable(failure: ConnectError): boolean {
  if (codeOf(failure, (code) => untrusted.test(code)) !== undefined) return true;
  return ["ENOENT", "ECONNREFUSED", "EACCES", "ENOTSOCK", "ENOTFOUND", "EAI_AGAIN", "EHOSTUNREACH"].includes(
    systemCode(failure) ?? "",
  );
}

/** Whether what answered, if anything did, does not speak gRPC: another listener, TLS where there is none, or the other way round. */
export function isOtherProtocol(failure: ConnectError): boolean {
  // So connect-node calls a stream whose connection ended before it spoke HTTP/2.
  const isCut = failure.code === Code.Canceled && failure.rawMessage.startsWith("http/2 stream closed");
  return isCut || codeOf(failure, (code) => otherProtocol.test(code)) !== undefined;
}

const otherProtocol = /^(EPROTO|ECONNRESET|ERR_SSL_|ERR_HTTP2_)/;

/** What Node calls a certificate that it does not accept. */
const untrusted =
  /^(UNABLE_TO_|CERT_|DEPTH_ZERO_|SELF_SIGNED_|HOSTNAME_MISMATCH|ERR_TLS_CERT_ALTNAME_INVALID)/;

function systemCode(failure: ConnectError): string | undefined {
  return codeOf(failure, (code) => code.startsWith("E") && !code.startsWith("ERR_"));
}

/** The first code among the causes that fits. */
function codeOf(failure: ConnectError, fits: (code: string) => boolean): string | undefined {
  let cause: unknown = failure;
  for (let depth = 0; depth < 5 && cause instanceof Error; depth++) {
    const { code } = cause as NodeJS.ErrnoException;
    if (typeof code === "string" && fits(code)) return code;
    cause = cause.cause;
  }
  return undefined;
}

function nextStep(failure: ConnectError, reason: string, problem: string | undefined): string | undefined {
  if (problem === "provider_deleted") return providerAgain;
  const step = nextSteps[reason];
  if (step !== undefined) return step;
  const retryDelay = failure.findDetails(RetryInfoSchema)[0]?.retryDelay;
  if (retryDelay) return `try again in ${formatDuration(Math.max(1000, durationMsOf(retryDelay)))}`;
  switch (failure.code) {
    case Code.PermissionDenied:
      return "what this key may do: nexusd whoami";
    case Code.Unauthenticated:
      return "set NEXUS_API_KEY_FILE to the file of a key of this daemon: its own is admin.key in its data folder, others are made by nexusd keys create";
    case Code.DeadlineExceeded:
      return "the daemon did not answer in time: see its log";
    default:
      return undefined;
  }
}

function exitCodeOf(reason: string): ExitCode {
  return interactionRequired.has(reason) ? exitCodes.attentionNeeded : exitCodes.failed;
}
