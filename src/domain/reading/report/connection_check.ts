import { about, by } from "../../../model/access/audit_event.js";
import type { Principal } from "../../../model/access/principal.js";
import { describedHeaders, describedUrl } from "../../../model/access/request_facts.js";
import { apiCertificateOf } from "../../../model/clients/api_certificate.js";
import { type Connection, isRefusedByApi } from "../../../model/connections/connection.js";
import { FailedPrecondition, NotFound, Unavailable } from "../../../model/errors.js";
import type { ProviderProfile } from "../../../model/providers/provider_profile.js";
import { userInfoUrl } from "../../../model/providers/user_info.js";
import type { Use } from "../../../model/tracing.js";
import type { Clock } from "../../../runtime/clock.js";
import type { Store } from "../../../store/store.js";
import {
  type ConnectionChange,
  type CredentialReader,
  type CurrentToken,
  changeConnection,
  problemSince,
} from "../../connections/connections.js";
import { awaitedRefresh, type Refreshes } from "../../grants/grants.js";
import type { CredentialTrial } from "../../profiles/profiles.js";
import {
  type ApiResponse,
  apiResponse,
  type CredentialSource,
  type JudgedRequest,
  type ReportOutcome,
} from "../../use/use.js";
import { proofOf } from "../token_proofs.js";
import { precondition, type Tokens } from "../tokens.js";
import type { RejectedTokens } from "./rejected_tokens.js";

/** See `nexus.v1.CheckOutcome`. */
export type CheckOutcome = "accepted" | "refused" | "unclear";

export interface CheckedConnection {
  readonly outcome: CheckOutcome;
  /** Of the API's last response. */
  readonly status: number;
  /** Without the credential. */
  readonly url: string;
  readonly connection: Connection;
}

/** A check that is under way. */
interface RunningCheck {
  readonly connectionId: string;
  readonly principal: Principal;
  readonly signal: AbortSignal;
  /** What was sent last, and what the request is recorded with. */
  token?: CurrentToken;
  use?: Use | undefined;
}

/** Tries the credential of a connection at its API, and keeps what comes of it. */
export class ConnectionCheck {
  constructor(
    private readonly deps: {
      readonly store: Store;
      readonly clock: Clock;
      readonly reader: CredentialReader;
      readonly tokens: Pick<Tokens, "admitted" | "used" | "subject">;
      readonly refresher: Refreshes;
      readonly rejected: Pick<RejectedTokens, "report">;
      readonly trial: Pick<CredentialTrial, "send">;
    },
  ) {}

  /**
   * @param principal the daemon itself is no caller, whom rules judge
   * @param signal of the caller, which may wait for an approval
   * @throws NotFound, FailedPrecondition (NO_PROBE too), PermissionDenied, ResourceExhausted, DataLoss; Unavailable, also when the API does
   * not answer, or refuses a token whose refresh is retried
   */
  async run(connectionId: string, principal: Principal, signal: AbortSignal): Promise<CheckedConnection> {
    const { store, trial } = this.deps;
    const connection = store.getConnection(connectionId);
    if (!connection) throw new NotFound("connection");
    const profile = store.getProvider(connection.providerId);
    if (!profile) throw precondition("PROVIDER_DELETED", "provider_deleted");
    const url = userInfoUrl(profile);
    if (!url)
      throw new FailedPrecondition("NO_PROBE", "the provider has no user_info_endpoint to check it at");
    const attempt: RunningCheck = { connectionId, principal, signal };
    let reported: ReportOutcome | undefined;
    const onReport = (outcome: ReportOutcome): void => {
      reported = outcome;
    };
    const answer = await trial.send(url, profile, this.#sourceOf(connection, attempt), { onReport, signal });
    const { status } = answer;
    const outcome = outcomeOf(apiResponse(status, Object.fromEntries(answer.headers)), profile);
    // A token whose refresh is retried, or was not tried, may be as good as any.
    if (outcome === "refused" && reported?.kind === "rejected" && !isFinal(reported.error))
      throw reported.error;
    return { outcome, status, url: url.href, connection: await this.#settled(attempt, outcome, status) };
  }

  #sourceOf(connection: Connection, attempt: RunningCheck): CredentialSource {
    const { tokens, rejected, clock } = this.deps;
    const { connectionId, principal } = attempt;
    const report: CredentialSource["report"] = async ({ revision }, response) => {
      if (isAboutScopes(response)) throw new FailedPrecondition("SCOPES_NOT_GRANTED", "the API wants scopes");
      const { outcome } = await rejected.report({ connectionId, revision, ...response }, principal);
      if (outcome === "scopes_missing" || outcome === "authentication_insufficient")
        throw new FailedPrecondition("SCOPES_NOT_GRANTED", "the API wants scopes");
      return { kind: outcome };
    };
    return {
      credential: async (judged) => {
        const use = await this.#admitted(attempt, judged);
        const token = await tokens.used(use, () => this.#token(connectionId));
        if (!attempt.token) await this.#marked(connectionId);
        Object.assign(attempt, { token, use });
        const { strategy, credentials, revision } = token;
        const certificate = apiCertificateOf(credentials);
        return { kind: "credential", credential: { strategy, credentials, revision, certificate } };
      },
      proof: async (_, method, url, nonce) =>
        attempt.token && (await proofOf(attempt.token, { method, url, nonce: nonce || undefined }, clock)),
      ...(connection.refreshable && connection.status === "active" && { report }),
    };
  }

  /** What the rules say of the request. @throws as `Tokens.admitted` */
  async #admitted(
    { connectionId, principal, signal }: RunningCheck,
    { method, url, headers, repeats }: JudgedRequest,
  ): Promise<Use | undefined> {
    if (principal.kind === "daemon") return undefined;
    const fields = Object.entries(headers).map(([name, value]) => [name, [value].flat().join(", ")] as const);
    const shown = { ...describedHeaders(method, fields, true), ...describedUrl(url), body: undefined };
    const request = { ...shown, session: undefined, ...(repeats && { repeats }) };
    // The daemon sends what it describes.
    const proxied = { ...principal, isProxied: true } as const;
    return await this.deps.tokens.admitted(proxied, connectionId, { request, signal });
  }

  /** Before the request is sent: after a crash, it counts as sent. */
  async #marked(connectionId: string): Promise<void> {
    const { store, clock } = this.deps;
    await store.commit((tx) => {
      const connection = tx.getConnection(connectionId);
      if (connection) tx.putUnannounced({ ...connection, checkedAtMs: clock.nowMs() });
    });
  }

  /** @throws as `Tokens.subject`, but not since a check found it refused */
  async #token(connectionId: string): Promise<CurrentToken> {
    const { tokens } = this.deps;
    const connection = this.deps.store.getConnection(connectionId);
    if (!connection || !isRefusedByApi(connection)) return await tokens.subject(connectionId, 0);
    const token = this.#refusedToken(connectionId);
    if (token) return token;
    if (!connection.refreshable) throw precondition("ATTENTION_REQUIRED", "credential_refused");
    await awaitedRefresh(this.deps, connectionId, { isToCheck: true });
    const next = this.#refusedToken(connectionId);
    if (next) return next;
    // The grant is lost, or it has another token meanwhile.
    const now = this.deps.store.getConnection(connectionId);
    if (!now || !isRefusedByApi(now)) return await tokens.subject(connectionId, 0);
    throw new Unavailable("the token that the API refused has expired, and could not be refreshed now");
  }

  /** Undefined where it has expired, or is no longer refused. */
  #refusedToken(connectionId: string): CurrentToken | undefined {
    const connection = this.deps.store.getConnection(connectionId);
    if (!connection || !isRefusedByApi(connection)) return undefined;
    return this.deps.reader.viewOf({ ...connection, status: "active" }).token;
  }

  async #settled(
    { connectionId, principal, token, use }: RunningCheck,
    outcome: CheckOutcome,
    status: number,
  ): Promise<Connection> {
    return await this.deps.store.commit((tx) => {
      const timeMs = this.deps.clock.nowMs();
      const before = tx.getConnection(connectionId);
      if (!before) throw new NotFound("connection");
      const event = {
        timeMs,
        type: "connection_checked",
        ...by(principal),
        ...about(before),
        ...use,
      } as const;
      const revision = token?.revision ?? 0n;
      tx.appendAudit({ ...event, reason: `${outcome}, ${status}`, revision });
      const change = before.credentialRevision === revision ? changeBy(outcome, before, timeMs) : undefined;
      if (!change) return before;
      const after = changeConnection(before, change, timeMs);
      tx.putConnection(after);
      return after;
    });
  }
}

function changeBy(outcome: CheckOutcome, before: Connection, nowMs: number): ConnectionChange | undefined {
  if (outcome === "accepted" && isRefusedByApi(before)) return { status: "active", problem: undefined };
  // Another credential is on its way.
  const mayEnd = before.status === "active" && before.refreshIntent === undefined;
  if (outcome !== "refused" || !mayEnd) return undefined;
  return { status: "attention", problem: problemSince(before, "credential_refused", nowMs) };
}

/** As at the trial of a static credential that is to be stored, which has no scopes that could be too few. */
function outcomeOf(response: ApiResponse, { authType }: ProviderProfile): CheckOutcome {
  const { status, wwwAuthenticate } = response;
  if (status >= 200 && status < 300) return "accepted";
  if (isAboutScopes(response)) return "unclear";
  const isForbidden = status === 403 && (authType !== "oauth2" || /\binvalid_token\b/.test(wwwAuthenticate));
  return status === 401 || isForbidden ? "refused" : "unclear";
}

function isAboutScopes({ wwwAuthenticate }: ApiResponse): boolean {
  return /\b(insufficient_scope|insufficient_user_authentication)\b/.test(wwwAuthenticate);
}

/** Whether there will be no other token by itself. */
function isFinal(error: Error): boolean {
  return (
    error instanceof FailedPrecondition && ["NOT_REFRESHABLE", "ATTENTION_REQUIRED"].includes(error.reason)
  );
}
