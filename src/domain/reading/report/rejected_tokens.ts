import { about, by } from "../../../model/access/audit_event.js";
import type { Principal } from "../../../model/access/principal.js";
import type { Connection } from "../../../model/connections/connection.js";
import { askableScopes, nextStepUp } from "../../../model/connections/step_up.js";
import { FailedPrecondition, InvalidArgument, NotFound } from "../../../model/errors.js";
import type { DpopNonces } from "../../../oauth/dpop/dpop_nonces.js";
import {
  type ChallengeError,
  readTokenChallenge,
  type TokenChallenge,
} from "../../../oauth/resource/authentication_challenge.js";
import type { Clock } from "../../../runtime/clock.js";
import type { Store } from "../../../store/store.js";
import type { McpLookup } from "../../profiles/profiles.js";
import type { LinkAnswer } from "../acquire/decision.js";
import type { RefreshLimit } from "../refresh_limit.js";
import type { Tokens } from "../tokens.js";
import type { StepUps } from "./step_ups.js";

/** See `nexus.v1.ReportRejectedTokenRequest`. */
export interface RejectedToken {
  readonly connectionId: string;
  readonly revision: bigint;
  /** 401 or 403. */
  readonly status: number;
  readonly wwwAuthenticate: string;
  /** `DPoP-Nonce` of the answer; empty or undefined without one. */
  readonly dpopNonce?: string | undefined;
}

/** See `nexus.v1.RejectionOutcome`. */
export type RejectionOutcome =
  | "superseded"
  | "refreshed"
  | "scopes_missing"
  | "authentication_insufficient"
  | "nonce_wanted";

export interface Rejection {
  readonly outcome: RejectionOutcome;
  /** Of the connection's current credential. */
  readonly revision: bigint;
  /** With `scopes_missing` and `authentication_insufficient`: the link that asks for it; undefined where the caller gets none. */
  readonly consent?: LinkAnswer | undefined;
  /** With the same: those that the API named and the token was not granted. */
  readonly missingScopes?: readonly string[];
}

export interface RejectedTokensDeps {
  readonly store: Store;
  readonly clock: Clock;
  readonly tokens: Pick<Tokens, "view" | "refreshed">;
  readonly limit: RefreshLimit;
  readonly stepUps: StepUps;
  /** Takes the nonces that APIs ask for, by connection. */
  readonly apiNonces: DpopNonces;
  /** An MCP server that refuses a token may have another authorization server by now. */
  readonly mcp?: McpLookup;
}

/** What is done about a report that is not a late one. */
interface JudgedReport extends RejectedToken {
  readonly challenge: TokenChallenge;
  readonly principal: Principal;
}

/** What becomes of a token that an API refused. */
export class RejectedTokens {
  /** Reports that are acted on, by connection: others of the same revision share what comes of them. */
  readonly #underway = new Map<string, { readonly revision: bigint; readonly result: Promise<Rejection> }>();

  constructor(private readonly deps: RejectedTokensDeps) {}

  /** @throws NotFound, InvalidArgument, FailedPrecondition, ResourceExhausted, Unavailable, DataLoss */
  async report(token: RejectedToken, principal: Principal): Promise<Rejection> {
    const challenge = await readTokenChallenge(token.wwwAuthenticate);
    const { connectionId, revision, status } = token;
    const { connection } = this.deps.tokens.view(connectionId);
    const late = lateness(connection, revision);
    if (late) return late;
    const judged = { ...token, challenge, principal };
    if (challenge.error === "use_dpop_nonce" || challenge.error === "invalid_dpop_proof") {
      return this.#proofRefused(judged);
    }
    if (challenge.error === "insufficient_scope" || challenge.signIn) {
      return await this.deps.stepUps.alone(connection, () => this.#stepUp(judged));
    }
    if (status === 403 && challenge.error !== "invalid_token") throw forbidden();
    const underway = this.#underway.get(connectionId);
    if (underway?.revision === revision) return await underway.result;
    this.deps.limit.take(connectionId);
    const result = this.#refreshed(judged).finally(() => {
      if (this.#underway.get(connectionId)?.result === result) this.#underway.delete(connectionId);
    });
    this.#underway.set(connectionId, { revision, result });
    return await result;
  }

  /** RFC 9449 section 9: the token is as good as before. @throws InvalidArgument */
  #proofRefused({ connectionId, revision, challenge, dpopNonce = "" }: JudgedReport): Rejection {
    if (challenge.error === "use_dpop_nonce" && dpopNonce !== "") {
      this.deps.apiNonces.remember(connectionId, dpopNonce);
      return { outcome: "nonce_wanted", revision };
    }
    const description =
      challenge.error === "use_dpop_nonce"
        ? "must be the header DPoP-Nonce of the answer, with the error use_dpop_nonce"
        : "names the error invalid_dpop_proof, which is about the proof and not about the token: check its method and URL, and the clock";
    const field = challenge.error === "use_dpop_nonce" ? "dpop_nonce" : "www_authenticate";
    throw new InvalidArgument([{ field, description }]);
  }

  async #refreshed(judged: JudgedReport): Promise<Rejection> {
    const { connectionId, revision } = judged;
    await this.#recorded(judged);
    await this.#followMcpServer(connectionId);
    const { connection } = await this.deps.tokens.refreshed(connectionId, revision);
    return { outcome: "refreshed", revision: connection.credentialRevision };
  }

  /** Where it names another, the connection is parted from its grant, and a person is needed. @throws FailedPrecondition */
  async #followMcpServer(connectionId: string): Promise<void> {
    const { providerId } = this.deps.tokens.view(connectionId).connection;
    const profile = this.deps.store.getProvider(providerId);
    if (profile) await this.deps.mcp?.followed(profile, "token_refused");
  }

  /** What an open link asks for already is not asked for again. */
  async #stepUp(judged: JudgedReport): Promise<Rejection> {
    const { connectionId, challenge, principal, revision } = judged;
    const { store, stepUps, clock } = this.deps;
    const connection = store.getConnection(connectionId);
    if (!connection) throw new NotFound("connection");
    const late = lateness(this.deps.tokens.view(connectionId).connection, revision);
    if (late) return late;
    this.#refuseWithoutScopes(connection);
    const named = askableScopes(connection, challenge.scopes);
    const missingScopes = named.filter((scope) => !connection.grantedScopes.includes(scope));
    const { signIn } = challenge;
    const outcome = signIn ? "authentication_insufficient" : "scopes_missing";
    const answer = { outcome, revision, missingScopes } as const;
    const decision = stepUps.decide(connection, { reason: outcome, scopes: named, signIn }, principal);
    if (decision.kind === "consent") return { ...answer, consent: decision };
    if (decision.kind !== "make") return answer;
    this.deps.limit.take(connectionId);
    await this.#recorded(judged);
    const stepUp = nextStepUp(connection, named, clock.nowMs(), signIn);
    if (stepUp === "exhausted") throw notGranted();
    const result = await stepUps.ask(connection, decision, { ...stepUp, signIn }, principal);
    if (typeof result === "bigint") return { outcome: "refreshed", revision: result };
    return { ...answer, consent: result };
  }

  /** @throws FailedPrecondition where a person cannot be asked for scopes */
  #refuseWithoutScopes({ providerId }: Connection): void {
    const profile = this.deps.store.getProvider(providerId);
    if (!profile) {
      throw new FailedPrecondition("PROVIDER_DELETED", "the provider of this connection was deleted");
    }
    if (profile.authType === "oauth2") return;
    const words =
      "a static credential has no scopes and no sign-in: give it more rights at the provider, or replace it";
    throw new FailedPrecondition("NOT_REFRESHABLE", words);
  }

  async #recorded({ connectionId, status, challenge, principal, revision }: JudgedReport): Promise<void> {
    await this.deps.store.commit((tx) => {
      const connection = tx.getConnection(connectionId);
      if (!connection) return;
      tx.appendAudit({
        timeMs: this.deps.clock.nowMs(),
        type: "token_rejected",
        ...by(principal),
        ...about(connection),
        reason: reasonOf(status, challenge.error),
        revision,
      });
    });
  }
}

/** @throws InvalidArgument for a revision that there never was */
function lateness({ credentialRevision }: Connection, revision: bigint): Rejection | undefined {
  if (revision > credentialRevision) {
    const description = `is ahead of the connection's, which is ${credentialRevision}`;
    throw new InvalidArgument([{ field: "revision", description }]);
  }
  return revision < credentialRevision ? { outcome: "superseded", revision: credentialRevision } : undefined;
}

function reasonOf(status: number, error: ChallengeError | undefined): string {
  return error === undefined ? `${status}` : `${status} ${error}`;
}

function forbidden(): InvalidArgument {
  const description =
    "must name the error insufficient_scope, insufficient_user_authentication, or invalid_token with status 403: else the API forbids the request, whatever the token";
  return new InvalidArgument([{ field: "www_authenticate", description }]);
}

function notGranted(): FailedPrecondition {
  return new FailedPrecondition(
    "SCOPES_NOT_GRANTED",
    "a person was asked three times within a day for what the API wants, and it still refuses the token: " +
      "what is missing must be granted at the provider, to this account or to the application; it is asked for again after a day",
  );
}
