import type { Principal } from "../../../model/access/principal.js";
import type { ConnectionName, NameParts } from "../../../model/connections/connection_name.js";
import {
  AlreadyExists,
  FailedPrecondition,
  NexusError,
  NotLeader,
  type WaitedFor,
} from "../../../model/errors.js";
import type { ProviderProfile } from "../../../model/providers/provider_profile.js";
import type { Clock } from "../../../runtime/clock.js";
import type { KeyedMutex } from "../../../runtime/keyed_mutex.js";
import type { AccessControl, ConnectionNames, RequestGate, TokenPurpose } from "../../access/access.js";
import type { CurrentToken } from "../../connections/connections.js";
import type { ConnectionRequest, ConnectionRequests } from "../../consent/consent.js";
import type { UnattendedConnector } from "../../provisioning/provisioning.js";
import type { TokenSources } from "../../token_endpoint/token_endpoint.js";
import type { Tokens } from "../tokens.js";
import { ConflatingSubscriber } from "../watch/conflating_subscriber.js";
import type { Subscribers } from "../watch/subscribers.js";
import {
  type AcquireDecision,
  type ConsentReason,
  Decider,
  type DeciderDeps,
  type KnownState,
  type LinkAnswer,
  type MakeLink,
  makingKey,
  requestAgain,
} from "./decision.js";

/** See `nexus.v1.AcquireTokenRequest`. */
export interface AcquireRequest {
  readonly name: ConnectionName;
  readonly scopes: readonly string[];
  readonly onlyScopes?: boolean;
  readonly minTtlMs: number;
  readonly returnUrl: string | undefined;
  readonly waitMs: number;
  /** A request for consent that is made is a device authorization. */
  readonly device: boolean;
  /** What the token is for. */
  readonly asking?: TokenPurpose;
}

/** What `AcquireToken` answers. */
export type Acquired = { readonly kind: "token"; readonly token: CurrentToken } | LinkAnswer;

type AcquireOutcome = Acquired | Exclude<AcquireDecision, { readonly kind: "token" | "make" }>;

/** Longer than a code exchange takes. An answer that comes to nothing even so, as in a crash, gives way to another link. */
const exchangeMs = 140_000;

/** Who calls; the signal is made when somebody asks for it. */
interface Caller {
  readonly principal: Principal;
  readonly signal: AbortSignal;
  /** What it has waited for at another hub of the fleet, and does not wait for again. */
  readonly waitedFor?: WaitedFor | undefined;
}

export interface TokenAcquirerDeps extends NewsWaitDeps, DeciderDeps {
  readonly names: ConnectionNames;
  readonly access: AccessControl;
  readonly gate: RequestGate;
  readonly tokens: Tokens;
  readonly requests: DeciderDeps["requests"] & Pick<ConnectionRequests, "request" | "checkReturnUrl">;
  readonly sources: TokenSources;
  readonly unattended: Pick<UnattendedConnector, "profileFor" | "connect">;
  /** Links are made one at a time for each name (`makingKey`): the second caller finds that of the first. */
  readonly making: KeyedMutex<string>;
  /** Of a hub: whether it acts itself. */
  readonly member?: { readonly leads: boolean } | undefined;
}

/** A token by name, or the link that brings it. */
export class TokenAcquirer {
  readonly #decider: Decider;

  constructor(private readonly deps: TokenAcquirerDeps) {
    this.#decider = new Decider(deps);
  }

  /**
   * At once when the token is cached and this reader has read it before.
   *
   * @throws NotFound, InvalidArgument, PermissionDenied, FailedPrecondition, ResourceExhausted, Unavailable, DataLoss; NotLeader
   */
  acquire(request: AcquireRequest, caller: Caller): Acquired | Promise<Acquired> {
    if (request.returnUrl !== undefined) this.deps.requests.checkReturnUrl(request.returnUrl);
    const decision = this.#decider.decide(request, caller.principal, {});
    if (decision.kind !== "token") return this.#settled(request, caller);
    const token = this.#token(decision.connection.id, request, caller.principal);
    if (!(token instanceof Promise)) return { kind: "token", token };
    return this.#settled(request, caller, token);
  }

  #token(id: string, { minTtlMs, asking }: AcquireRequest, principal: Principal) {
    return this.deps.tokens.getToken(id, minTtlMs, principal, asking);
  }

  async #settled(request: AcquireRequest, caller: Caller, token?: Promise<CurrentToken>): Promise<Acquired> {
    const { principal } = caller;
    const known = caller.waitedFor === "exchange" ? { isOverdue: true } : {};
    const first = await this.#outcome(request, principal, known, token);
    let waitedFor: WaitedFor = "person";
    try {
      let last = await this.#awaited(first, request, caller);
      if (last.kind === "exchange") {
        waitedFor = "exchange";
        last = await this.#outcome(request, principal, { isOverdue: true });
      }
      if (last.kind === "token" || last.kind === "consent") return last;
    } catch (error) {
      throw error instanceof NotLeader ? new NotLeader(waitedFor, error.use) : error;
    }
    throw new FailedPrecondition(
      "CONNECTION_PENDING",
      "a person consented, and the application that asked for it has not confirmed it yet: ConfirmConnection",
    );
  }

  /** Decides until there is something to answer. @param token being read, of the connection that is decided for first */
  async #outcome(
    request: AcquireRequest,
    principal: Principal,
    known: KnownState,
    token?: Promise<CurrentToken>,
  ): Promise<AcquireOutcome> {
    let reading = token;
    let facts = known;
    let isAgain = false;
    for (;;) {
      const decision = this.#decider.decide(request, principal, facts);
      if (decision.kind === "token") {
        const { connection } = decision;
        try {
          reading ??= Promise.resolve(this.#token(connection.id, request, principal));
          return { kind: "token", token: await reading };
        } catch (error) {
          facts = { ...facts, ended: { connection, reason: terminalReason(error) } };
          reading = undefined;
        }
      } else if (decision.kind !== "make") return decision;
      else {
        try {
          const made = await this.#made(request, principal, facts);
          if (made) return made;
        } catch (error) {
          if (isAgain || !isConflict(error)) throw error;
          isAgain = true;
        }
      }
    }
  }

  /** Another caller, or the person, may have been faster. @returns undefined when there is a token by now */
  #made(
    request: AcquireRequest,
    principal: Principal,
    known: KnownState,
  ): Promise<AcquireOutcome | undefined> {
    return this.deps.making.run(makingKey(request.name), async () => {
      const now = this.#decider.decide(request, principal, known);
      if (now.kind === "token") return undefined;
      return now.kind === "make" ? await this.#make(now, request, principal) : now;
    });
  }

  /** @throws PermissionDenied, and what a request throws */
  async #make(decision: MakeLink, request: AcquireRequest, principal: Principal): Promise<Acquired> {
    const { name, scopes, onlyScopes = false, returnUrl, device } = request;
    const wanted = { scopes, returnUrl, addsDefaults: !onlyScopes };
    const permissions = this.deps.access.admit(principal, "connection.request");
    const { connection, reason } = decision;
    if (connection) {
      const open = this.deps.requests.openRequest(connection);
      const again = { ...requestAgain(connection, open, wanted), device };
      return await this.#requested(again, reason, request, principal);
    }
    const refusal = permissions.isRestricted ? this.deps.gate.newRefusal(permissions, name) : undefined;
    if (refusal) throw refusal;
    const { userId, label, providerName } = name;
    const first = { connectionId: undefined, userId, label, provider: { name: providerName } };
    return await this.#requested({ ...first, ...wanted, device }, reason, request, principal);
  }

  /** A link, or a token at once where no person is needed. A hub that does not lead asks no provider. */
  async #requested(
    request: ConnectionRequest,
    reason: ConsentReason,
    acquire: AcquireRequest,
    principal: Principal,
  ): Promise<Acquired> {
    if (this.deps.member?.leads === false) throw new NotLeader();
    const profile = this.deps.unattended.profileFor(request);
    if (!profile) {
      const link = await this.deps.requests.request(request, principal);
      return { kind: "consent", reason, link, isNew: true };
    }
    const signIn = await this.#signIn(profile, acquire, principal);
    if (signIn?.kind === "consent") return signIn;
    const { id } = await this.deps.unattended.connect(request, profile, principal);
    return { kind: "token", token: await this.#token(id, acquire, principal) };
  }

  /** The link to the identity provider where the user has not signed in; undefined where the caller gets none. */
  async #signIn(profile: ProviderProfile, request: AcquireRequest, principal: Principal) {
    if (await this.deps.sources.hasBasis(profile, request.name)) return undefined;
    const name = { ...request.name, providerName: profile.identityProvider, label: "" };
    const identityRequest = { ...request, name, scopes: [], onlyScopes: false };
    const found = this.#decider.decide(identityRequest, principal, {});
    const ended = found.kind === "token" && { ended: { ...found, reason: "reauth_required" as const } };
    return await this.#outcome(identityRequest, principal, ended || {}).catch((error: unknown) => {
      // It is only tried: who is refused gets nothing.
      if (!(error instanceof NexusError)) throw error;
    });
  }

  /** What there is when the person is done, the time is over, or the caller has left. */
  async #awaited(first: AcquireOutcome, request: AcquireRequest, caller: Caller): Promise<AcquireOutcome> {
    const parts = this.deps.names.partsOf(request.name);
    const requestedWaitMs = caller.waitedFor ? 0 : request.waitMs;
    // An exchange that is under way here is waited for even so: another link would take its place.
    const waitMs = first.kind === "exchange" ? Math.max(exchangeMs, requestedWaitMs) : requestedWaitMs;
    if (isImmediate(first) || waitMs === 0 || !parts) return first;
    const { signal, principal } = caller;
    let last: AcquireOutcome = first;
    await waitForChange(this.deps, parts, { waitMs, signal }, async () => {
      this.deps.access.admit(principal, "token.read");
      const now = await this.#outcome(request, principal, {});
      const isNews = changedSince(last, now);
      last = now;
      return isNews;
    });
    return last;
  }
}

/** Why there will be no other token without a person. @throws what says otherwise */
function terminalReason(error: unknown): ConsentReason {
  const isDead = error instanceof FailedPrecondition && error.reason === "ATTENTION_REQUIRED";
  if (!isDead || error.problem === "provider_deleted") throw error;
  return error.problem ?? "reauth_required";
}

/** Whether the connection was revoked, or one of its name was made, while the request was prepared. */
function isConflict(error: unknown): boolean {
  return (
    error instanceof AlreadyExists ||
    (error instanceof FailedPrecondition && error.reason === "CONNECTION_REVOKED")
  );
}

/** Whether it is answered at once, however long the caller would wait. */
function isImmediate(first: AcquireOutcome): boolean {
  return first.kind === "token" || (first.kind === "consent" && first.isNew === true);
}

/** Whether a caller that knows `last` must get `now`: a link that it knows, and a consent that is under way, are no news. */
function changedSince(last: AcquireOutcome, now: AcquireOutcome): boolean {
  if (now.kind === "exchange" || now.kind === "confirmation") return false;
  return now.kind === "token" || last.kind !== "consent" || linkOf(last) !== linkOf(now);
}

/** What distinguishes one request for consent from another. */
const linkOf = ({ link }: LinkAnswer) => link.device?.userCode ?? link.authUrl;

interface NewsWaitDeps {
  readonly subscribers: Subscribers;
  readonly clock: Clock;
}

/**
 * Calls `look` at once, and again whenever a connection of the name has changed, until it answers true, the time is over, the signal
 * aborts or the daemon drains. What changes while it looks is looked at too.
 */
async function waitForChange(
  { subscribers, clock }: NewsWaitDeps,
  name: NameParts,
  { waitMs, signal }: { readonly waitMs: number; readonly signal: AbortSignal },
  look: () => Promise<boolean>,
): Promise<void> {
  const subscriber = new ConflatingSubscriber({
    connectionIds: new Set(),
    names: [name],
    userId: undefined,
    sees: () => true,
  });
  let isTimeOver = false;
  const isOver = (): boolean => isTimeOver || signal.aborted || subscribers.draining;
  const wake = (): void => subscriber.wake();
  subscribers.subscribe(subscriber);
  const timer = clock.setTimer(waitMs, () => {
    isTimeOver = true;
    wake();
  });
  signal.addEventListener("abort", wake);
  try {
    while (!isOver()) {
      while (subscriber.take() !== undefined);
      if (await look()) return;
      if (!isOver()) await subscriber.changed();
    }
  } finally {
    subscribers.unsubscribe(subscriber);
    timer.cancel();
    signal.removeEventListener("abort", wake);
  }
}
