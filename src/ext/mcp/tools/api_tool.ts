import {
  type ApiAnswer,
  credentialRpcs,
  type DaemonSession,
  exchangeFailure,
  findProvider,
  sendToApi,
  usageFailure,
} from "../../../cli/kit.js";
import { CredentialedExchange, type JudgedRequest, type UsableCredential } from "../../../domain/use/use.js";
import type { Provider } from "../../../gen/nexus/v1/provider_pb.js";
import { isReadingList } from "../../../model/access/access.js";
import type { AuthorityFiles } from "../../../outbound/outbound.js";
import { ContractCredentials, requestDescription } from "../../../service/messages/messages.js";
import { readAnswer } from "./api_answer.js";
import { apiRequestOf, type ModelRequest } from "./api_request.js";
import type { Era } from "./elicitation.js";
import type { HeldCalls } from "./held_calls.js";
import { Redaction, secretsOf } from "./redaction.js";
import { noteOf, responseOf } from "./rejection.js";
import { type InputRequiredResult, type McpServer, type ServerContext, z } from "./sdk.js";
import {
  accountOf,
  accountShape,
  answering,
  onConnection,
  onProvider,
  type ToolAccount,
  type ToolAnswer,
  type ToolDeps,
  textResult,
} from "./tool.js";

/** How long an API may take; a client waits a minute for a tool. */
const apiTimeoutMs = 45_000;

export interface ApiToolDeps extends ToolDeps {
  /** Calls that wait for a person. */
  readonly held: HeldCalls;
  /** Of NEXUS_API_CA_FILES, where this runs. */
  readonly authorities: AuthorityFiles;
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
        return await call(deps, { server, era, context, session, sessionId, account, provider, request });
      }, given),
  );
}

function requestShape() {
  const values = z.union([z.string(), z.array(z.string())]);
  return {
    method: z.string().default("GET").describe("HTTP method"),
    path: z
      .string()
      .max(8192)
      .describe("path below the API base URL, such as /user/repos; a query may follow"),
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
  readonly account: ToolAccount;
  readonly provider: Provider;
  readonly request: ModelRequest;
}

async function call(deps: ApiToolDeps, apiCall: ApiCall): Promise<ToolAnswer> {
  const { context, session, account } = apiCall;
  const secrets: string[] = [];
  const notes: string[] = [];
  const exchange = (asking: AbortSignal, sending = asking) =>
    exchangeOf(apiCall, { authorities: deps.authorities, asking, sending, secrets, notes });
  const taken = await deps.held.token({
    ...apiCall,
    request: requestDescription({ ...judgedRequestOf(apiCall), repeats: false }),
    read: (signal) => ending(session, account, () => exchange(signal).credential()),
  });
  if (isQuestion(taken)) return taken;
  const timeout = new AbortController();
  const timer = deps.clock.setTimer(apiTimeoutMs, () => timeout.abort());
  const { signal } = context.mcpReq;
  const sending = AbortSignal.any([timeout.signal, signal]);
  try {
    const answer = await ending(session, account, () => exchange(signal, sending).run(taken));
    const { head, body, note } = await readAnswer(answer, new Redaction(secrets), deps.policy.maxAnswerBytes);
    const said = [...(note === undefined ? [] : [note]), ...notes.map((one) => `[${one}]`)];
    return textResult(head, ...(body === "" ? [] : [body]), ...said);
  } catch (error) {
    if (timeout.signal.aborted)
      throw usageFailure(`the API did not answer within ${apiTimeoutMs / 1000} seconds`);
    throw error;
  } finally {
    timer.cancel();
  }
}

interface ToolCallParts extends Pick<ApiToolDeps, "authorities"> {
  /** Of what asks for the credential; a rule may have a person asked first. */
  readonly asking: AbortSignal;
  readonly sending: AbortSignal;
  /** Secrets that the model must not get from the response. */
  readonly secrets: string[];
  /** Why the credential was refused for good. */
  readonly notes: string[];
}

function exchangeOf(
  apiCall: ApiCall,
  { authorities, asking, sending, secrets, notes }: ToolCallParts,
): CredentialedExchange<ApiAnswer> {
  const { request, session, account, provider, context } = apiCall;
  const { traceparent } = context.mcpReq._meta ?? {};
  const trace = isTraceparent(traceparent) ? { traceparent } : {};
  return new CredentialedExchange<ApiAnswer>({
    source: new ContractCredentials(credentialRpcs(session.daemon), { name: account }, trace),
    judged: () => judgedRequestOf(apiCall),
    signal: () => asking,
    send: async (credential, put) => {
      const authorized = await put(request);
      secrets.push(...secretsOf(request, authorized, credential));
      const secureContext = await authorities.secureContext(provider.apiCaFile, credential.certificate);
      return await sendToApi(authorized, { signal: sending, secureContext });
    },
    responseOf: (answer) => responseOf(answer, new Redaction(secrets)),
    dismiss: (answer) => answer.dismiss(),
    onReport: (outcome) => {
      const note = noteOf(outcome, account);
      if (note !== undefined) notes.push(note);
      else void logRetry(apiCall);
    },
  });
}

async function logRetry({ context, account }: ApiCall): Promise<void> {
  const words = `${account.providerName} refused the token; calling again with the next one`;
  await context.mcpReq.log("notice", words).catch(() => undefined);
}

/** @throws CommandFailure, with which a call of the tool ends */
async function ending<T>(
  { daemon }: DaemonSession,
  account: ToolAccount,
  work: () => Promise<T>,
): Promise<T> {
  try {
    return await onConnection(account, work);
  } catch (error) {
    throw exchangeFailure(error, `read the token of ${account.providerName}`, daemon);
  }
}

function isQuestion(taken: UsableCredential | InputRequiredResult): taken is InputRequiredResult {
  return !("credentials" in taken);
}

function judgedRequestOf({ request, sessionId }: ApiCall): Omit<JudgedRequest, "repeats"> {
  const { method, url, headers, body = new Uint8Array() } = request;
  return { method, url, headers, body, session: sessionId };
}

/** MCP has the trace of a client in the metadata of a request. */
function isTraceparent(value: unknown): value is string {
  return typeof value === "string" && /^[0-9a-f-]{55}$/.test(value);
}
