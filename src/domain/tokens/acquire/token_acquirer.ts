import type { Principal } from "../../../model/access/principal.js";
import type { Connection } from "../../../model/connections/connection.js";
import { type ConnectionName, nameKey } from "../../../model/connections/connection_name.js";
import { FailedPrecondition, NotLeader } from "../../../model/errors.js";
import { canonicalName, type ProviderProfile } from "../../../model/providers/provider_profile.js";
import { KeyedMutex } from "../../../runtime/keyed_mutex.js";
import type { Store } from "../../../store/store.js";
import type { AccessControl } from "../../access/access_control.js";
import type { ConnectionNames } from "../../access/connection_names.js";
import type { RequestGate } from "../../access/request_gate.js";
import type { IdentitySubjects } from "../../assertions/identity_subjects.js";
import type { Connections } from "../../connections/connections.js";
import type { UnattendedConnector } from "../../connections/unattended_connector.js";
import type { ConnectionRequest } from "../../consent/consent_request.js";
import type { CredentialReader } from "../../credentials/credential_reader.js";
import type { Tokens } from "../tokens.js";
import {
  type Acquired,
  acquired,
  type ConsentReason,
  deathOf,
  isDone,
  isNow,
  type Outcome,
  refusedAsNone,
  wasOvertaken,
} from "./acquire_outcome.js";
import { type NewsWaitDeps, waitForNews } from "./news_wait.js";
import { type Need, PersonNeeds, toldReason } from "./person_needs.js";

/** See `nexus.v1.AcquireTokenRequest`. */
export interface AcquireRequest {
  readonly name: ConnectionName;
  readonly scopes: readonly string[];
  readonly minTtlMs: number;
  readonly returnUrl: string | undefined;
  readonly waitMs: number;
  /** A request for consent that is made is a device authorization. */
  readonly device: boolean;
}

/** Longer than a code exchange takes. An answer that comes to nothing even so, as in a crash, gives way to another link. */
const exchangeMs = 10_000;

/** Who calls; the signal is made when somebody asks for it. */
interface Caller {
  readonly principal: Principal;
  readonly signal: AbortSignal;
  /** It has waited for a person at another hub of the fleet, and is answered what there is now. */
  readonly hasWaited?: boolean;
}

export interface TokenAcquirerDeps extends NewsWaitDeps {
  readonly store: Pick<Store, "getConnection" | "getProvider" | "getAuthorization">;
  readonly reader: Pick<CredentialReader, "view">;
  readonly names: Pick<ConnectionNames, "findFor" | "partsOf">;
  readonly access: Pick<AccessControl, "admit">;
  readonly gate: Pick<RequestGate, "newRefusal">;
  readonly tokens: Pick<Tokens, "getToken">;
  readonly connections: Pick<Connections, "request" | "pendingLink" | "checkReturnUrl">;
  readonly subjects: Pick<IdentitySubjects, "vouches">;
  readonly unattended: Pick<UnattendedConnector, "profileFor" | "connect">;
  /** Of a hub: whether it acts itself. */
  readonly fleet?: { readonly leads: boolean } | undefined;
}

/** A token by name, or the link that brings it. */
export class TokenAcquirer {
  /** Links are made one at a time for each name: the second caller finds that of the first. */
  readonly #making = new KeyedMutex<string>();

  readonly #needs: PersonNeeds;

  constructor(private readonly deps: TokenAcquirerDeps) {
    this.#needs = new PersonNeeds(deps);
  }

  /**
   * At once when the token is cached and this reader has read it before.
   *
   * @throws NotFound, InvalidArgument, PermissionDenied, FailedPrecondition, ResourceExhausted, Unavailable, DataLoss; NotLeader
   */
  acquire(request: AcquireRequest, caller: Caller): Acquired | Promise<Acquired> {
    if (request.returnUrl !== undefined) this.deps.connections.checkReturnUrl(request.returnUrl);
    const outcome = this.#once(request, caller.principal);
    if (!(outcome instanceof Promise)) return outcome;
    return outcome.then((first) =>
      this.#settled(first, request, caller).catch((error: unknown) => {
        throw error instanceof NotLeader ? new NotLeader(true) : error;
      }),
    );
  }

  async #settled(first: Outcome, request: AcquireRequest, caller: Caller): Promise<Acquired> {
    // An exchange that is under way here is waited for even so: another link would take its place.
    const waited = caller.hasWaited ? { ...request, waitMs: 0 } : request;
    let last = await this.#awaited(first, waited, caller);
    while (last.kind === "answered") last = await this.#renewed(request, caller.principal);
    if (last.kind !== "unconfirmed") return last;
    throw new FailedPrecondition(
      "CONNECTION_PENDING",
      "a person consented, and the application that asked for it has not confirmed it yet: ConfirmConnection",
    );
  }

  /** Another link, whatever becomes of the answer to the last: one for all who waited for it. */
  async #renewed(request: AcquireRequest, principal: Principal): Promise<Outcome> {
    const made = await this.#making.run(keyOf(request.name), async () => {
      const id = this.deps.names.findFor(request.name, principal);
      const need = this.#needs.of(id === undefined ? undefined : this.#needs.usable(id), "not_connected");
      const found = this.#needs.found(need, request, principal);
      if (found?.kind !== "answered") return found;
      // The person did not say no to the link that this one follows.
      return await this.#requested({ ...need, refused: undefined }, request, principal);
    });
    return made ?? (await this.#once(request, principal));
  }

  #once(request: AcquireRequest, principal: Principal): Acquired | Promise<Outcome> {
    const found = this.#needs.judge(request, principal);
    if ("reason" in found) return this.#link(found, request, principal);
    const token = this.deps.tokens.getToken(found.connection.id, request.minTtlMs, principal);
    if (!(token instanceof Promise)) return acquired(token);
    return token.then(acquired, (error: unknown) =>
      this.#replaced(found.connection, deathOf(error), request, principal),
    );
  }

  async #link(need: Need, request: AcquireRequest, principal: Principal): Promise<Outcome> {
    const found = this.#needs.found(need, request, principal);
    if (found) return found;
    const made = await this.#making.run(keyOf(request.name), () =>
      this.#judged(request, principal).catch((error: unknown) => {
        if (!wasOvertaken(error)) throw error;
        return this.#judged(request, principal);
      }),
    );
    return made ?? (await this.#once(request, principal));
  }

  /** Another caller, or the person, may have been faster. @returns undefined when there is a token by now */
  async #judged(request: AcquireRequest, principal: Principal): Promise<Outcome | undefined> {
    const now = this.#needs.judge(request, principal);
    if (!("reason" in now)) return undefined;
    return this.#needs.found(now, request, principal) ?? (await this.#requested(now, request, principal));
  }

  /** A link for a connection that is active by its record, and whose token is dead. */
  async #replaced(
    dead: Connection,
    reason: ConsentReason,
    request: AcquireRequest,
    principal: Principal,
  ): Promise<Outcome> {
    const made = await this.#making.run(keyOf(request.name), async () => {
      const connection = this.#needs.usable(dead.id);
      // The person may have been faster.
      if (connection?.credentialRevision !== dead.credentialRevision) return undefined;
      const need = this.#needs.of(connection, reason);
      return this.#needs.found(need, request, principal) ?? (await this.#requested(need, request, principal));
    });
    return made ?? (await this.#once(request, principal));
  }

  /** @throws PermissionDenied, and what a request throws */
  async #requested(need: Need, request: AcquireRequest, principal: Principal): Promise<Acquired> {
    const { name, scopes, returnUrl, device } = request;
    const permissions = this.deps.access.admit(principal, "connection.request");
    const { connection } = need;
    if (connection) {
      // What a link asks for that is replaced belongs to somebody who waits for it, the confirmation too.
      const key = connection.pendingStateHash;
      const pending = key === undefined ? undefined : this.deps.store.getAuthorization(key);
      // A link that an edit of its profile ended was refused by nobody.
      const version = this.deps.store.getProvider(connection.providerId)?.version;
      const isEnded = pending !== undefined && pending.providerVersion !== version;
      const reason = isEnded ? need.reason : toldReason(need);
      const asked = [...(pending?.scopes ?? []), ...(this.#needs.wanted(connection) ?? []), ...scopes];
      const union = [...new Set([...connection.consentedScopes, ...asked])];
      const again = {
        ...{ connectionId: connection.id, userId: "", provider: undefined },
        scopes: union,
        returnUrl: pending?.requireConfirmation ? pending.returnUrl : returnUrl,
        requireConfirmation: pending?.requireConfirmation ?? false,
        device,
      };
      return await this.#asked(again, reason, request, principal);
    }
    const { reason } = need;
    const refusal = permissions.isRestricted ? this.deps.gate.newRefusal(permissions, name) : undefined;
    if (refusal) throw refusal;
    const { userId, label, providerName } = name;
    const first = { connectionId: undefined, userId, label, provider: { name: providerName } };
    return await this.#asked({ ...first, scopes, returnUrl, device }, reason, request, principal);
  }

  /** A link, or a token at once where no person is needed. A hub that does not lead asks no provider. */
  async #asked(
    request: ConnectionRequest,
    reason: ConsentReason,
    acquire: AcquireRequest,
    principal: Principal,
  ): Promise<Acquired> {
    if (this.deps.fleet?.leads === false) throw new NotLeader();
    const profile = this.deps.unattended.profileFor(request);
    if (!profile) {
      const link = await this.deps.connections.request(request, principal);
      return { kind: "consent", reason, link, isNew: true };
    }
    const signIn = await this.#signIn(profile, acquire, principal);
    if (signIn?.kind === "consent") return signIn;
    const { id } = await this.deps.unattended.connect(request, profile, principal);
    return acquired(await this.deps.tokens.getToken(id, acquire.minTtlMs, principal));
  }

  /** The link to the identity provider, where it does not vouch for the user; undefined where the caller gets none. */
  async #signIn(profile: ProviderProfile, request: AcquireRequest, principal: Principal) {
    if (this.deps.subjects.vouches(profile, request.name)) return undefined;
    const name = { ...request.name, providerName: profile.identityProvider, label: "" };
    const asked = { ...request, name, scopes: [] };
    const found = this.#needs.judge(asked, principal);
    const need = "reason" in found ? found : this.#needs.of(found.connection, "reauth_required");
    return await this.#link(need, asked, principal).catch(refusedAsNone);
  }

  /** What there is when the person is done, the time is over, or the caller has left. */
  async #awaited(first: Outcome, request: AcquireRequest, caller: Caller): Promise<Outcome> {
    const parts = this.deps.names.partsOf(request.name);
    const waitMs = first.kind === "answered" ? Math.max(exchangeMs, request.waitMs) : request.waitMs;
    if (isNow(first) || waitMs === 0 || !parts) return first;
    const { signal, principal } = caller;
    let last: Outcome = first;
    await waitForNews(this.deps, parts, { waitMs, signal }, async () => {
      this.deps.access.admit(principal, "token.read");
      const now = await this.#once(request, principal);
      const isNews = isDone(last, now);
      last = now;
      return isNews;
    });
    return last;
  }
}

function keyOf({ providerName, userId, label }: ConnectionName): string {
  return nameKey({ providerId: canonicalName(providerName), userId, label });
}
