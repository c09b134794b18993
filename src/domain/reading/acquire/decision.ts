import type { Principal } from "../../../model/access/principal.js";
import type { PendingAuthorization } from "../../../model/connections/authorization.js";
import { type Connection, problemSentence } from "../../../model/connections/connection.js";
import { type ConnectionName, nameKey } from "../../../model/connections/connection_name.js";
import { refusedLately } from "../../../model/connections/refused_consent.js";
import { bothSignIns, type SignInNeed } from "../../../model/connections/sign_in.js";
import { FailedPrecondition } from "../../../model/errors.js";
import type { ProblemReason } from "../../../model/problem_reason.js";
import { canonicalName } from "../../../model/providers/provider_profile.js";
import type { Clock } from "../../../runtime/clock.js";
import type { Store } from "../../../store/store.js";
import type { ConnectionNames } from "../../access/access.js";
import type { CredentialReader } from "../../connections/connections.js";
import type { ConnectionRequest, ConnectionRequests, PendingLink } from "../../consent/consent.js";
import { limitedScopes } from "../../profiles/profiles.js";

/** Why a person is needed; see `nexus.v1.ConsentRequired`. */
export type ConsentReason = "not_connected" | "scopes_missing" | ProblemReason;

/** A link must be made, under the id of the connection if there is one. */
export interface MakeLink {
  readonly kind: "make";
  readonly connection: Connection | undefined;
  readonly reason: ConsentReason;
}

export interface LinkAnswer {
  readonly kind: "consent";
  readonly link: PendingLink;
  readonly reason: ConsentReason;
  /** Made by this very call, so that nobody has it yet. */
  readonly isNew?: boolean;
}

/**
 * What there is for a request. `exchange`: the user has answered, and the daemon exchanges the code. `confirmation`: the consent was
 * given, and waits for the application that asked for it.
 */
export type AcquireDecision =
  | { readonly kind: "token"; readonly connection: Connection }
  | { readonly kind: "exchange" }
  | { readonly kind: "confirmation" }
  | LinkAnswer
  | MakeLink;

/** What is known beside the store. */
export interface KnownState {
  /** A connection whose token has ended, and why there will be no other without a person. */
  readonly ended?: { readonly connection: Connection; readonly reason: ConsentReason };
  /** An exchange that is under way has taken too long: another link takes its place. */
  readonly isOverdue?: boolean;
}

/** What is requested, of `nexus.v1.AcquireTokenRequest`. */
export interface RequestedToken {
  readonly name: ConnectionName;
  readonly scopes: readonly string[];
}

export interface DeciderDeps {
  readonly store: Store;
  readonly reader: CredentialReader;
  readonly names: ConnectionNames;
  readonly requests: Pick<ConnectionRequests, "openRequest" | "pendingLink">;
  readonly clock: Clock;
}

/** Decides what a request gets. Changes nothing. */
export class Decider {
  constructor(private readonly deps: DeciderDeps) {}

  /** @throws FailedPrecondition when the provider refuses the client */
  decide(
    wanted: RequestedToken,
    principal: Principal,
    { ended, isOverdue = false }: KnownState,
  ): AcquireDecision {
    const { names, reader } = this.deps;
    const id = names.findFor(wanted.name, principal);
    const seen = id === undefined ? undefined : reader.view(id)?.connection;
    const isUsable = seen?.status === "active" && !this.#lacks(seen, wanted.scopes);
    if (isUsable && ended === undefined) return { kind: "token", connection: seen };
    // As it is stored, its request for consent too, which a view may not know of yet.
    const stored = id === undefined ? undefined : this.deps.store.getConnection(id);
    const connection = stored?.status === "revoked" ? undefined : stored;
    const isDead = ended !== undefined && isSame(ended.connection, connection);
    if (isUsable && !isDead) return { kind: "token", connection: seen };
    if (connection?.problem?.reason === "misconfigured" && connection.status === "attention") {
      throw new FailedPrecondition("PROVIDER_MISCONFIGURED", problemSentence(connection.problem));
    }
    if (!connection) return { kind: "make", connection, reason: "not_connected" };
    const need = { reason: isDead ? ended.reason : reasonOf(connection), scopes: wanted.scopes };
    return pendingDecision(this.deps, connection, need, principal, isOverdue);
  }

  #lacks(connection: Connection, scopes: readonly string[]): boolean {
    const { grantedScopes, consentedScopes, providerId } = connection;
    const missing = scopes.filter((scope) => !grantedScopes.includes(scope));
    if (missing.length === 0) return false;
    // What a person was asked for is there by whatever name, unless an API says that it is not.
    const isStepUp = this.deps.requests.openRequest(connection)?.isStepUp === true;
    const named = isStepUp ? (connection.stepUp?.scopes ?? []) : [];
    if (missing.every((scope) => consentedScopes.includes(scope) && !named.includes(scope))) return false;
    const isStatic = (this.deps.store.getProvider(providerId)?.authType ?? "oauth2") !== "oauth2";
    return !isStatic;
  }
}

/** What a request for consent must ask for, and why. */
export interface ConsentNeed {
  readonly reason: ConsentReason;
  readonly scopes: readonly string[];
  readonly signIn?: SignInNeed | undefined;
}

/** What there is of a request for consent that a connection needs. */
export function pendingDecision(
  { requests, clock }: DeciderDeps,
  connection: Connection,
  { reason, scopes, signIn }: ConsentNeed,
  principal: Principal,
  isOverdue = false,
): Exclude<AcquireDecision, { readonly kind: "token" }> {
  if (connection.awaitingConfirmation === true) return { kind: "confirmation" };
  const isAnswered = connection.pendingStateHash === undefined;
  const isExchanged = isAnswered && (connection.requestExpiresAtMs ?? 0) > clock.nowMs();
  if (isExchanged && !isOverdue) return { kind: "exchange" };
  // Nobody refused an exchange that takes too long, nor a link that an edit of its profile ended.
  const isRefusable = isAnswered ? !isExchanged : requests.openRequest(connection) !== undefined;
  // A caller whose link was refused asks again, and must show no other by itself.
  const refused = isRefusable ? refusedLately(connection, clock.nowMs()) : undefined;
  const link = requests.pendingLink(connection, scopes, principal, signIn);
  const needed = { reason: refused ?? reason };
  return link ? { kind: "consent", link, ...needed } : { kind: "make", connection, ...needed };
}

/**
 * A request instead of the open one: what that asks for belongs to somebody who waits for it.
 *
 * @throws InvalidArgument for more scopes than one request may hold
 */
export function requestAgain(
  connection: Connection,
  open: PendingAuthorization | undefined,
  {
    scopes,
    returnUrl,
    addsDefaults = false,
    signIn,
  }: Pick<ConnectionRequest, "scopes" | "returnUrl" | "addsDefaults" | "signIn">,
) {
  const { id: connectionId, consentedScopes } = connection;
  const all = limitedScopes(
    [...consentedScopes, ...(open?.scopes ?? []), ...scopes],
    "those that the connection has or is being asked for",
  );
  return {
    ...{ connectionId, userId: "", provider: undefined, scopes: all, returnUrl },
    // Nobody has consented to anything yet.
    addsDefaults: addsDefaults && consentedScopes.length === 0,
    isStepUp: open?.isStepUp ?? false,
    signIn: bothSignIns(open?.signIn, signIn),
  };
}

/** Whether a connection still has the credential that it had. */
function isSame(before: Connection, now: Connection | undefined): boolean {
  return now?.id === before.id && now.credentialRevision === before.credentialRevision;
}

function reasonOf(connection: Connection | undefined): ConsentReason {
  if (connection?.status === "active") return "scopes_missing";
  return connection?.problem?.reason ?? "not_connected";
}

/** Key of the mutex under which links to a name are made. */
export function makingKey({ providerName, userId, label }: ConnectionName): string {
  return nameKey({ providerId: canonicalName(providerName), userId, label });
}
