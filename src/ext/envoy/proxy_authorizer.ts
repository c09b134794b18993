import { createHash } from "node:crypto";
import type { ConnectionKey, ConnectionNames, TokenPurpose } from "../../domain/access/access.js";
import {
  proofOf,
  type RejectedToken,
  type RejectedTokens,
  type Tokens,
} from "../../domain/reading/reading.js";
import {
  type DescribedRequest,
  describedHeaders,
  echoesRequest,
  maxDescribedBytes,
  type Principal,
} from "../../model/access/access.js";
import { NotFound, PermissionDenied } from "../../model/model.js";
import type { DpopNonces } from "../../oauth/oauth.js";
import type { Clock } from "../../runtime/runtime.js";
import { callerTrace } from "../../server/kit.js";
import { type Injection, inject, type ProxiedRequest } from "./proxied_request.js";

/** What a proxy puts in, and of which credential it is made. */
export interface Authorized extends Injection {
  readonly connectionId: string;
  readonly revision: bigint;
}

/** What an API responded to a request that the proxy had put the credential into. */
export type RefusedInjection = Omit<RejectedToken, "connectionId">;

/** The request as the rules judge it. Envoy sends all headers, with those of HTTP/2; other proxies send none. */
function describedRequest({
  method,
  scheme,
  host,
  path,
  headers,
  headerFields,
  body,
  repeats,
}: ProxiedRequest): DescribedRequest {
  return {
    ...(repeats && { repeats }),
    ...(scheme === "http" && { isPlain: true }),
    ...describedHeaders(method, headerFields, headers.has(":method")),
    host,
    target: path,
    body: body && {
      size: body.length,
      digest: createHash("sha256").update(body).digest("hex"),
      bytes: body.length > maxDescribedBytes ? undefined : body,
    },
    session: undefined,
  };
}

/** Decides over requests that stand at a proxy, and says what the proxy puts into them. */
export class ProxyAuthorizer {
  constructor(
    private readonly deps: {
      readonly tokens: Pick<Tokens, "getToken">;
      readonly rejected: Pick<RejectedTokens, "report">;
      readonly names: ConnectionNames;
      readonly clock: Clock;
      /** Nonces that APIs requested, by connection. */
      readonly apiNonces: DpopNonces;
    },
  ) {}

  /**
   * @param key undefined where the route names no connection
   * @param principal the proxy: it is its read of the token that is on record
   * @throws NotFound, FailedPrecondition, Unavailable, DataLoss as `getToken`; PermissionDenied when the credential cannot be put into
   * such a request; InvalidArgument for one that servers read in several ways, where a rule goes by it
   */
  async authorize(
    key: ConnectionKey | undefined,
    request: ProxiedRequest,
    principal: Principal,
    { signal, trace }: Omit<TokenPurpose, "request">,
  ): Promise<Authorized> {
    const connectionId = this.#idOf(key, principal);
    if (echoesRequest(request.method))
      throw new PermissionDenied(`${request.method} is refused: its answer would show the credential`);
    const { tokens, clock, apiNonces } = this.deps;
    const token = await tokens.getToken(connectionId, 0, principal, {
      request: describedRequest(request),
      signal,
      trace: trace ?? callerTrace(request.headers.get("traceparent"), undefined),
    });
    const injection = await inject(request, token.strategy, token.credentials, {
      nowMs: clock.nowMs(),
      prove: (method, url) => proofOf(token, { method, url, nonce: apiNonces.get(connectionId) }, clock),
    });
    return { ...injection, connectionId, revision: token.revision };
  }

  /**
   * The API refused what was put in. Afterwards there is another credential to put in, or a proof with the nonce that it wants.
   *
   * @throws as `RejectedTokens.report`; PermissionDenied when the API wants other scopes
   */
  async refused(
    key: ConnectionKey | undefined,
    refusal: RefusedInjection,
    principal: Principal,
  ): Promise<void> {
    const connectionId = this.#idOf(key, principal);
    const { outcome } = await this.deps.rejected.report({ connectionId, ...refusal }, principal);
    if (outcome === "authentication_insufficient") {
      throw new PermissionDenied(
        "the API wants another sign-in of the user: ReportRejectedToken with its challenge returns a link for it",
      );
    }
    if (outcome !== "scopes_missing") return;
    throw new PermissionDenied(
      "the API wants other scopes: AcquireToken with the scopes of its challenge returns a link that asks for them",
    );
  }

  #idOf(key: ConnectionKey | undefined, principal: Principal): string {
    if (!key) throw new NotFound("connection");
    return this.deps.names.idOf(key, principal);
  }
}
