import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { durationFromMs } from "@bufbuild/protobuf/wkt";
import {
  type ApiResponse,
  type AskOptions,
  type CredentialAnswer,
  type CredentialSource,
  type JudgedRequest,
  type ReportOutcome,
  type UsableCredential,
  usableCredential,
} from "../../domain/use/use.js";
import {
  type AcquireTokenRequest,
  AcquireTokenRequestSchema,
  type AcquireTokenResponse,
  type CreateProofRequestSchema,
  type CreateProofResponse,
  RejectionOutcome,
  type ReportRejectedTokenRequestSchema,
  type ReportRejectedTokenResponse,
  ShownRequestSchema,
  type TokenServiceGetTokenRequestSchema,
  type TokenServiceGetTokenResponse,
} from "../../gen/nexus/v1/token_pb.js";
import type { ConnectionName } from "../../model/connections/connection_name.js";
import { Aborted, FailedPrecondition } from "../../model/errors.js";
import { BoundedMap } from "../../runtime/bounded_map.js";
import { requestDescription } from "./request_description.js";

/** What one call of an RPC goes with. */
export interface RpcOptions {
  readonly timeoutMs?: number;
  /** W3C Trace Context. */
  readonly traceparent?: string | undefined;
  /** Made where somebody waits for it. */
  readonly signal?: () => AbortSignal;
}

type Rpc<Request, Response> = (request: Request, options?: RpcOptions) => Promise<Response>;

/**
 * The RPCs that give a user's credentials to a caller that puts them into requests: in the daemon, and over gRPC. Each throws a NexusError.
 */
export interface CredentialRpcs {
  readonly acquireToken: Rpc<MessageInitShape<typeof AcquireTokenRequestSchema>, AcquireTokenResponse>;
  readonly getToken: Rpc<
    MessageInitShape<typeof TokenServiceGetTokenRequestSchema>,
    TokenServiceGetTokenResponse
  >;
  readonly createProof: Rpc<MessageInitShape<typeof CreateProofRequestSchema>, CreateProofResponse>;
  readonly reportRejectedToken: Rpc<
    MessageInitShape<typeof ReportRejectedTokenRequestSchema>,
    ReportRejectedTokenResponse
  >;
}

/** How long a daemon may take that asks a person first: see the `ask` of rules. */
export const answerTimeoutMs = 200_000;
/** As long as one call may wait; see `AcquireTokenRequest.wait`. */
const longestWaitMs = 60_000;
/** Instead of a request that no rule goes by. */
const undescribed = { method: "UNSHOWN", url: "https://unshown.invalid/" };
/** Of one caller; a daemon has fewer providers in use. */
const maxMessages = 64;

/** What asks for a token without a request. Each is frozen, so that it is checked once: see `service_definition.ts`. */
export class UnjudgedMessages {
  readonly #messages = new BoundedMap<string, AcquireTokenRequest>(maxMessages);

  of(name: ConnectionName, session: string): AcquireTokenRequest {
    const key = `${name.providerName}\n${name.userId}\n${name.label}`;
    const known = this.#messages.get(key);
    if (known) return known;
    const request = create(ShownRequestSchema, { ...undescribed, session });
    const { providerName, userId, label } = name;
    const message = create(AcquireTokenRequestSchema, { providerName, userId, label, request });
    for (const part of [request.headers, request, message.scopes, message]) Object.freeze(part);
    this.#messages.set(key, message);
    return message;
  }
}

/** What the caller knows of the rules of its daemon. */
export interface KnownRules {
  /** Whether a rule goes by requests to this provider now. */
  isJudged(providerName: string): boolean;
  readonly messages: UnjudgedMessages;
}

interface AskingContext {
  /** W3C Trace Context. */
  readonly traceparent?: string | undefined;
  /** A person at a terminal, who may read the token too, is under no rule: then the request is left out. Default true. */
  readonly isJudged?: boolean;
}

/** The credentials of one connection, read by `GetToken`: without one, it is not found. */
export class ContractCredentials implements CredentialSource {
  constructor(
    protected readonly rpcs: CredentialRpcs,
    private readonly connection: { readonly connectionId: string } | { readonly name: ConnectionName },
    private readonly asking: AskingContext = {},
  ) {}

  async credential(request: JudgedRequest, { signal }: AskOptions): Promise<CredentialAnswer> {
    const { isJudged = true } = this.asking;
    const given = { ...this.connection, ...(isJudged && { request: requestDescription(request) }) };
    return await unlessBodyIsWanted(async () => {
      const { token } = await this.rpcs.getToken(given, this.reading(answerTimeoutMs, signal));
      if (!token) throw new Error("the daemon answered without a token");
      return { kind: "credential", credential: usableCredential(token) };
    });
  }

  /** @throws Aborted where the token was refreshed meanwhile */
  async proof({ revision }: UsableCredential, method: string, url: string, nonce: string): Promise<string> {
    const request = { ...this.connection, method, url, nonce };
    const made = await this.rpcs.createProof(request);
    if (made.revision === revision) return made.proof;
    throw new Aborted("the token was refreshed while the request was made: try again");
  }

  async report({ revision }: UsableCredential, response: ApiResponse) {
    const request = { ...this.connection, revision, ...response };
    return outcomeOf(await this.rpcs.reportRejectedToken(request));
  }

  protected reading(timeoutMs: number, signal: () => AbortSignal): RpcOptions {
    return { timeoutMs, traceparent: this.asking.traceparent, signal };
  }
}

/** The credentials of the connection of a name, read by `AcquireToken`: without one, a user is asked for consent. */
export class AcquiredCredentials extends ContractCredentials {
  constructor(
    rpcs: CredentialRpcs,
    private readonly name: ConnectionName,
    /** Undefined where that is not known: each request is described. */
    private readonly rules: KnownRules | undefined,
    traceparent: string | undefined,
  ) {
    super(rpcs, { name }, { traceparent });
  }

  override async credential(judged: JudgedRequest, options: AskOptions): Promise<CredentialAnswer> {
    const { rules, name } = this;
    if (rules && !judged.repeats && !rules.isJudged(name.providerName)) {
      const asking = this.#acquired(rules.messages.of(name, judged.session), options);
      await asking.catch(() => undefined);
      // A rule that came while the token was waited for has not seen the request.
      if (!rules.isJudged(name.providerName)) return await asking;
    }
    const { providerName, userId, label } = name;
    const request = requestDescription(judged);
    return await this.#acquired({ providerName, userId, label, request }, options);
  }

  #acquired(
    request: MessageInitShape<typeof AcquireTokenRequestSchema>,
    { waits, signal }: AskOptions,
  ): Promise<CredentialAnswer> {
    const waitMs = waits ? longestWaitMs : 0;
    const given = waits ? { ...request, wait: durationFromMs(waitMs) } : request;
    return unlessBodyIsWanted(async () => {
      const { result } = await this.rpcs.acquireToken(given, this.reading(waitMs + answerTimeoutMs, signal));
      if (result.case === "token") return { kind: "credential", credential: usableCredential(result.value) };
      if (result.case === "consent") return { kind: "consent", consent: result.value };
      throw new Error("the daemon answered neither a token nor a link");
    });
  }
}

/** In the contract, `SHOW_BODY` is a status. */
async function unlessBodyIsWanted(answer: () => Promise<CredentialAnswer>): Promise<CredentialAnswer> {
  try {
    return await answer();
  } catch (error) {
    if (error instanceof FailedPrecondition && error.reason === "SHOW_BODY") return { kind: "body_wanted" };
    throw error;
  }
}

function outcomeOf(response: ReportRejectedTokenResponse): Exclude<ReportOutcome, { kind: "rejected" }> {
  const { outcome, missingScopes, consent } = response;
  switch (outcome) {
    case RejectionOutcome.SCOPES_MISSING:
      return { kind: "scopes_missing", missingScopes, consent };
    case RejectionOutcome.AUTHENTICATION_INSUFFICIENT:
      return { kind: "authentication_insufficient", missingScopes, consent };
    case RejectionOutcome.NONCE_WANTED:
      return { kind: "nonce_wanted" };
    case RejectionOutcome.SUPERSEDED:
      return { kind: "superseded" };
    default:
      return { kind: "refreshed" };
  }
}
