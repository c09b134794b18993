import {
  type ApiAnswer,
  type ApiRequest,
  answerTimeoutMs,
  authorize,
  CommandFailure,
  type DaemonSession,
  findProvider,
  refusalOf,
  refusalText,
  type ShownRequestInit,
  sendToApi,
  showRequest,
  usageFailure,
  wantedNonce,
} from "../../../cli/kit.js";
import type { Token } from "../../../gen/nexus/v1/token_pb.js";
import { isReadingList } from "../../../model/access/access.js";
import { readAnswer } from "./api_answer.js";
import { apiRequestOf } from "./api_request.js";
import type { Era } from "./elicitation.js";
import type { HeldCalls } from "./held_calls.js";
import { Redaction, secretsOf } from "./redaction.js";
import { isRejection, reportRejection } from "./rejection.js";
import { type InputRequiredResult, type McpServer, type ServerContext, z } from "./sdk.js";
import {
  type Account,
  accountOf,
  accountShape,
  answering,
  onConnection,
  onProvider,
  type ToolAnswer,
  type ToolDeps,
  textResult,
} from "./tool.js";

/** How long an API may take; a client waits a minute for a tool. */
const apiTimeoutMs = 45_000;

export interface ApiToolDeps extends ToolDeps {
  /** Calls that wait for a person. */
  readonly held: HeldCalls;
}

/** `call_api` */
export function addApiTool(server: McpServer, deps: ApiToolDeps, era: Era): void {
  const { policy, sessionOf } = deps;
  const methods = policy.methods.length === 0 ? "any method" : policy.methods.join(", ");
  server.registerTool(
    "call_api",
    {
      title: "Call a provider's API",
      description: `Sends one request to the API of a provider as the user, and returns status, some headers, and the body. The credential is added for you: send no Authorization header and no key. The path is relative to the provider's API base URL. Allowed: ${methods}. Redirects are not followed; a long body is cut after ${policy.maxAnswerBytes} bytes, with a note.`,
      inputSchema: z.strictObject({ ...accountShape(policy), ...requestShape() }),
      annotations: {
        readOnlyHint: isReadingList(policy.methods),
        destructiveHint: !isReadingList(policy.methods),
        openWorldHint: true,
      },
    },
    (given, context) =>
      answering(async () => {
        const account = await accountOf(deps, context, given);
        const session = sessionOf(context);
        const { provider } = await onProvider(account, () => findProvider(session, account.providerName));
        const request = apiRequestOf(given, provider, policy);
        const sessionId = context.sessionId ?? deps.sessionId ?? "";
        return await call(deps, { server, era, context, session, sessionId, account, request });
      }, given),
  );
}

function requestShape() {
  const values = z.union([z.string(), z.array(z.string())]);
  return {
    method: z.string().default("GET").describe("HTTP method"),
    path: z.string().max(8192).describe("path below the API base URL, as /user/repos; a query may follow"),
    query: z.record(z.string(), values).default({}).describe("further query parameters, not encoded"),
    headers: z.record(z.string(), z.string()).default({}).describe("request headers"),
    json: z.unknown().optional().describe("body as JSON"),
    body: z.string().optional().describe("body as text, instead of json"),
  };
}

interface ApiCall {
  readonly server: McpServer;
  readonly era: Era;
  readonly context: ServerContext;
  readonly session: DaemonSession;
  /** Of the client; empty where it has none. */
  readonly sessionId: string;
  readonly account: Account;
  readonly request: ApiRequest;
}

async function call(deps: ApiToolDeps, apiCall: ApiCall): Promise<ToolAnswer> {
  const request = shownOf(apiCall);
  const read = (signal: AbortSignal) => readToken(apiCall, request, signal);
  const token = await deps.held.token({ ...apiCall, request, read });
  if (isQuestion(token)) return token;
  const timeout = new AbortController();
  const timer = deps.clock.setTimer(apiTimeoutMs, () => timeout.abort());
  const signal = AbortSignal.any([timeout.signal, apiCall.context.mcpReq.signal]);
  try {
    const { answer, secrets, note: refusal } = await sendWithRetry(apiCall, token, signal);
    const { head, body, note } = await readAnswer(answer, new Redaction(secrets), deps.policy.maxAnswerBytes);
    const notes = [note, refusal && `[${refusal}]`].filter((one) => one !== undefined);
    return textResult(head, ...(body === "" ? [] : [body]), ...notes);
  } catch (error) {
    if (timeout.signal.aborted)
      throw usageFailure(`the API did not answer within ${apiTimeoutMs / 1000} seconds`);
    throw error;
  } finally {
    timer.cancel();
  }
}

interface Sent {
  readonly answer: ApiAnswer;
  /** What must not be shown of it. */
  readonly secrets: readonly string[];
  /** Why the credential was refused for good. */
  readonly note?: string;
}

/** A refused credential is reported; with the next one the request is sent once more, and never a third time. */
async function sendWithRetry(apiCall: ApiCall, token: Token, signal: AbortSignal): Promise<Sent> {
  const { session, account, context } = apiCall;
  const first = await sendProved(apiCall, token, signal);
  if (!isRejection(first.answer)) return first;
  const rejection = await reportRejection(
    session,
    account,
    token,
    first.answer,
    new Redaction(first.secrets),
  );
  if (rejection.kind === "note") return { ...first, note: rejection.note };
  first.answer.dismiss();
  await context.mcpReq.log(
    "notice",
    `${account.providerName} refused the token; calling again with the next one`,
  );
  const again = { ...shownOf(apiCall), repeats: true };
  const next = await readToken(apiCall, again, context.mcpReq.signal);
  const second = await sendProved(apiCall, next, signal);
  return { ...second, secrets: [...first.secrets, ...second.secrets] };
}

function isQuestion(answer: Token | InputRequiredResult): answer is InputRequiredResult {
  return !("$typeName" in answer);
}

function shownOf({ request, sessionId }: ApiCall): ShownRequestInit {
  const { method, url, headers, body = new Uint8Array() } = request;
  const fields = Symbol.iterator in headers ? headers : Object.entries(headers);
  return { ...showRequest(method, url, Object.fromEntries(fields), body), session: sessionId };
}

/** A rule may have a person asked first. */
async function readToken(
  { session, account, context }: ApiCall,
  request: ShownRequestInit,
  signal: AbortSignal,
): Promise<Token> {
  const { traceparent } = context.mcpReq._meta ?? {};
  const headers = isTraceparent(traceparent) ? { traceparent } : {};
  const { token } = await onConnection(account, () =>
    session
      .call(
        `read the token of ${account.providerName}`,
        session.daemon.tokens.getToken,
        { name: account, request },
        { timeoutMs: answerTimeoutMs, signal, headers },
      )
      .catch(inItsOwnWords),
  );
  if (!token) throw new Error("the daemon answered without a token");
  return token;
}

/** A refusal of the rules or of a reviewer, as the daemon says it. */
function inItsOwnWords(error: unknown): never {
  if (!(error instanceof CommandFailure) || refusalOf(error) === undefined) throw error;
  throw new CommandFailure(error.exitCode, refusalText(error), error.cause);
}

/** MCP has the trace of a client in the metadata of a request. */
function isTraceparent(value: unknown): value is string {
  return typeof value === "string" && /^[0-9a-f-]{55}$/.test(value);
}

/** An API that wants a nonce in the proof gets the request once more. */
async function sendProved(apiCall: ApiCall, token: Token, signal: AbortSignal): Promise<Sent> {
  const first = await send(apiCall, token, signal);
  const nonce = wantedNonce(first.answer, token);
  if (nonce === undefined) return first;
  first.answer.dismiss();
  const second = await send(apiCall, token, signal, nonce);
  return { ...second, secrets: [...first.secrets, ...second.secrets] };
}

async function send(
  { request, session, account: name }: ApiCall,
  token: Token,
  signal: AbortSignal,
  nonce?: string,
): Promise<Sent> {
  const authorized = await authorize(request, token, session, { name }, nonce);
  return { answer: await sendToApi(authorized, { signal }), secrets: secretsOf(request, authorized, token) };
}
