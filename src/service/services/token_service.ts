import { create } from "@bufbuild/protobuf";
import { durationMs, timestampFromMs } from "@bufbuild/protobuf/wkt";
import type {
  AccessControl,
  ConnectionNames,
  McpServerNames,
  RequestRules,
  TokenPurpose,
} from "../../domain/access/access.js";
import type { ConnectionView, CurrentToken } from "../../domain/connections/connections.js";
import type { McpLookup } from "../../domain/profiles/profiles.js";
import {
  type Acquired,
  type AcquireRequest,
  type Downscoping,
  isDownscoped,
  type RejectedTokens,
  type RejectionOutcome,
  type TokenAcquirer,
  type TokenProofs,
  type Tokens,
  type TokenTarget,
  type TokenWatch,
  type WatchEvent,
} from "../../domain/reading/reading.js";
import {
  type AcquireTokenRequest,
  type AcquireTokenResponse,
  AcquireTokenResponseSchema,
  CreateProofResponseSchema,
  RejectionOutcome as Outcome,
  RefreshTokenResponseSchema,
  ReportRejectedTokenResponseSchema,
  TokenService,
  type TokenServiceGetTokenRequest,
  type TokenServiceGetTokenResponse,
  TokenServiceGetTokenResponseSchema,
  type WatchTokensResponse,
  WatchTokensResponseSchema,
} from "../../gen/nexus/v1/token_pb.js";
import { FailedPrecondition, InvalidArgument, NotLeader } from "../../model/errors.js";
import { describedRequestOf } from "../messages/request_description.js";
import { shareMessage } from "../messages/shared_message.js";
import { consentMessage, tokenMessage, watchMessage } from "../messages/token_message.js";
import {
  defineService,
  type ServiceDefinition,
  type ServiceImplementation,
} from "../pipeline/service_definition.js";

const defaultBookmarkIntervalMs = 30_000;

interface TokenServiceDeps {
  readonly tokens: Tokens;
  readonly downscoped: Downscoping;
  readonly rejected: RejectedTokens;
  readonly proofs: TokenProofs;
  readonly acquirer: TokenAcquirer;
  readonly watch: TokenWatch;
  readonly access: AccessControl;
  readonly rules: RequestRules;
  readonly mcp: McpLookup;
  readonly mcpNames: McpServerNames;
  readonly names: ConnectionNames;
  /** Of a daemon that is one of several: whether it acts itself. */
  readonly member?: { readonly leads: boolean } | undefined;
}

type TokenMethods = ServiceImplementation<typeof TokenService>;
type AcquireContext = Parameters<TokenMethods["acquireToken"]>[1];

const outcomes: Readonly<Record<RejectionOutcome, Outcome>> = {
  superseded: Outcome.SUPERSEDED,
  refreshed: Outcome.REFRESHED,
  scopes_missing: Outcome.SCOPES_MISSING,
  authentication_insufficient: Outcome.AUTHENTICATION_INSUFFICIENT,
  nonce_wanted: Outcome.NONCE_WANTED,
};

export function tokenService(deps: TokenServiceDeps): ServiceDefinition {
  return defineService(TokenService, new TokenRpcs(deps));
}

function targetOf({ audience, resource, scopes }: TokenServiceGetTokenRequest): TokenTarget {
  return { audience, resource, scopes };
}

/** Undefined where nothing is known of what the token is for. */
function askingOf(request: AcquireTokenRequest["request"], context: AcquireContext) {
  const { trace } = context;
  if (!request && !trace) return undefined;
  const asking: TokenPurpose = {
    trace,
    request: describedRequestOf(request),
    get signal() {
      return context.signal;
    },
  };
  return asking;
}

class TokenRpcs implements TokenMethods {
  /** Encoded once while the domain returns the same token: message and encoding take 18 us of a read that takes 27 with them kept. */
  readonly #answers = new WeakMap<CurrentToken, TokenServiceGetTokenResponse>();
  readonly #messages = new WeakMap<WatchEvent | ConnectionView, WatchTokensResponse>();

  constructor(private readonly deps: TokenServiceDeps) {}

  acquireToken: TokenMethods["acquireToken"] = (request, context) => {
    const { providerName, mcpServerUrl } = request;
    if (mcpServerUrl === "") return this.#acquire(request, providerName, context);
    const known = this.deps.mcpNames.find(mcpServerUrl);
    if (known) return this.#acquire(request, known.name, context);
    return this.#made(mcpServerUrl, context).then((name) => this.#acquire(request, name, context));
  };

  /** A profile of a server that nobody requested before. */
  async #made(mcpServerUrl: string, { principal }: AcquireContext): Promise<string> {
    this.deps.access.admit(principal, "provider.manage");
    if (this.deps.member?.leads === false) throw new NotLeader();
    return (await this.deps.mcp.profileOf(mcpServerUrl, principal)).name;
  }

  #acquire(request: AcquireTokenRequest, providerName: string, context: AcquireContext) {
    const { userId, label, scopes, onlyScopes, minTtl, returnUrl, wait, device } = request;
    if (onlyScopes && scopes.length === 0)
      throw new InvalidArgument([{ field: "only_scopes", description: "needs scopes" }]);
    const asking = askingOf(request.request, context);
    const acquireRequest = {
      name: { providerName, userId, label },
      scopes,
      onlyScopes,
      minTtlMs: minTtl ? durationMs(minTtl) : 0,
      returnUrl: returnUrl === "" ? undefined : returnUrl,
      waitMs: wait ? durationMs(wait) : 0,
      device,
      ...(asking && { asking }),
    };
    try {
      const acquired = this.deps.acquirer.acquire(acquireRequest, context);
      if (!(acquired instanceof Promise)) return this.#acquiredOf(acquired);
      return acquired.catch((error) => this.#again(error, acquireRequest, context)).then(this.#acquiredOf);
    } catch (error) {
      return this.#again(error, acquireRequest, context).then(this.#acquiredOf);
    }
  }

  /** Once more where the client was refused, and another one may have taken its place by now. @throws the error in any other case */
  async #again(error: unknown, acquireRequest: AcquireRequest, context: AcquireContext): Promise<Acquired> {
    const isRefused = error instanceof FailedPrecondition && error.reason === "PROVIDER_MISCONFIGURED";
    if (!isRefused) throw error;
    if (this.deps.member?.leads === false) throw new NotLeader();
    if (!(await this.deps.mcp.suspended(acquireRequest.name.providerName))) throw error;
    return await this.deps.acquirer.acquire(acquireRequest, context);
  }

  getToken: TokenMethods["getToken"] = (request, context) => {
    const { principal } = context;
    const minTtlMs = request.minTtl ? durationMs(request.minTtl) : 0;
    const id = this.deps.names.idIn(request, principal);
    const token = isDownscoped(request)
      ? this.deps.downscoped.get(id, targetOf(request), minTtlMs, principal, askingOf(undefined, context))
      : this.deps.tokens.getToken(id, minTtlMs, principal, askingOf(request.request, context));
    const answerOf = request.includeIdToken ? withIdToken : this.#answerOf;
    return token instanceof Promise ? token.then(answerOf) : answerOf(token);
  };

  refreshToken: TokenMethods["refreshToken"] = async (request, context) => {
    const id = this.deps.names.idIn(request, context.principal);
    const token = await this.deps.tokens.refreshToken(id, context.principal, askingOf(undefined, context));
    return create(RefreshTokenResponseSchema, { token: tokenMessage(token, request.includeIdToken) });
  };

  reportRejectedToken: TokenMethods["reportRejectedToken"] = async (request, { principal }) => {
    const { revision, status, wwwAuthenticate, dpopNonce } = request;
    const connectionId = this.deps.names.idIn(request, principal);
    const token = { connectionId, revision, status, wwwAuthenticate, dpopNonce };
    const rejection = await this.deps.rejected.report(token, principal);
    const { outcome, consent, missingScopes = [] } = rejection;
    return create(ReportRejectedTokenResponseSchema, {
      ...{ outcome: outcomes[outcome], revision: rejection.revision, missingScopes: [...missingScopes] },
      ...(consent && { consent: consentMessage(consent) }),
    });
  };

  createProof: TokenMethods["createProof"] = async (request, { principal }) => {
    const { method, url, nonce } = request;
    const connectionId = this.deps.names.idIn(request, principal);
    const proofRequest = { connectionId, method, url, nonce: nonce === "" ? undefined : nonce };
    const { proof, expiresAtMs, revision } = await this.deps.proofs.create(proofRequest, principal);
    return create(CreateProofResponseSchema, { proof, expiresAt: timestampFromMs(expiresAtMs), revision });
  };

  watchTokens: TokenMethods["watchTokens"] = (request, { principal }, sink) => {
    const { connectionIds, names, userId, position, bookmarkInterval } = request;
    const isAll = connectionIds.length === 0 && names.length === 0;
    return this.deps.watch.open(
      {
        connectionIds: isAll ? undefined : new Set(connectionIds),
        names: names.flatMap((name) => this.deps.names.partsOf(name) ?? []),
        userId: userId === "" ? undefined : userId,
        position: position && { epoch: position.epoch, revision: position.revision },
        bookmarkIntervalMs: bookmarkInterval ? durationMs(bookmarkInterval) : defaultBookmarkIntervalMs,
        principal,
        view: this.deps.rules.tokenView(principal, true),
      },
      { send: (event) => sink.send(this.#messageOf(event)), end: (error) => sink.end(error) },
    );
  };

  readonly #acquiredOf = (acquired: Acquired): AcquireTokenResponse => {
    if (acquired.kind === "consent") {
      const result = { case: "consent" as const, value: consentMessage(acquired) };
      return create(AcquireTokenResponseSchema, { result });
    }
    const { token: value = tokenMessage(acquired.token) } = this.#answerOf(acquired.token);
    return create(AcquireTokenResponseSchema, { result: { case: "token", value } });
  };

  readonly #answerOf = (token: CurrentToken): TokenServiceGetTokenResponse => {
    const known = this.#answers.get(token);
    if (known) return known;
    const answer = create(TokenServiceGetTokenResponseSchema, { token: tokenMessage(token) });
    this.#answers.set(token, shareMessage(TokenServiceGetTokenResponseSchema, answer));
    return answer;
  };

  /** As above: streams that get the same event, or the same token, share its bytes. */
  #messageOf(event: WatchEvent): WatchTokensResponse {
    const source = event.kind === "state" && event.view.token ? event.view : event;
    const known = this.#messages.get(source);
    if (known) return known;
    const message = shareMessage(WatchTokensResponseSchema, watchMessage(event));
    this.#messages.set(source, message);
    return message;
  }
}

/** Not kept: few ask for it. */
function withIdToken(token: CurrentToken): TokenServiceGetTokenResponse {
  return create(TokenServiceGetTokenResponseSchema, { token: tokenMessage(token, true) });
}
