import { by } from "../../model/access/audit_event.js";
import type { Identity, Principal } from "../../model/access/principal.js";
import {
  authorizationLifetimeMs,
  checkReturnUrl,
  isRequester,
  type PendingAuthorization,
} from "../../model/connections/authorization.js";
import type { Connection, StepUp } from "../../model/connections/connection.js";
import { newConnection } from "../../model/connections/new_connection.js";
import { coversSignIn, type SignInNeed, signInField } from "../../model/connections/sign_in.js";
import { InvalidArgument, NotFound } from "../../model/errors.js";
import { newId, newState, newToken } from "../../model/ids.js";
import { defaultLimits, type Limits } from "../../model/limits.js";
import type { ProviderKey, ProviderProfile } from "../../model/providers/provider_profile.js";
import { newCodeVerifier } from "../../oauth/pkce.js";
import type { Clock } from "../../runtime/clock.js";
import type { AuthorizationSecret, DeviceConsent } from "../../store/records/secret_codec.js";
import type { Store } from "../../store/store.js";
import {
  type CredentialVault,
  changeConnection,
  consentRequested,
  hashState,
  refuseMoreAuthorizations,
  refuseMoreConnections,
  refuseTakenLabel,
} from "../connections/connections.js";
import type { PendingConsents } from "../grants/grants.js";
import { type McpLookup, profileNamed, profileOf, refuseRevoked, scopesFor } from "../profiles/profiles.js";
import {
  connectionKey,
  type IssuerMetadata,
  refuseWithoutAuthorization,
} from "../token_endpoint/token_endpoint.js";
import { type DeviceRequests, deviceConsentOf, refuseForDevice } from "./device.js";
import type { Way } from "./ways.js";

/** A request for consent. */
export interface ConnectionRequest {
  readonly userId: string;
  /** Of the name of a new connection; left out and empty are the same. */
  readonly label?: string;
  readonly provider: ProviderKey | undefined;
  /** Empty means the profile's defaults. */
  readonly scopes: readonly string[];
  /** The profile's defaults are requested beside the scopes. */
  readonly addsDefaults?: boolean;
  readonly returnUrl: string | undefined;
  /** Set to ask for consent again under this id. */
  readonly connectionId: string | undefined;
  /** The credential is to wait for `ConfirmConnection`. */
  readonly requireConfirmation?: boolean;
  /** By device authorization (RFC 8628). */
  readonly device?: boolean;
  /** An API reported that scopes are missing, in this request or in one that it replaces. */
  readonly isStepUp?: boolean;
  /** What becomes of `Connection.stepUp` with this request. */
  readonly stepUp?: StepUp;
  /** How the user must sign in; undefined for any way. */
  readonly signIn?: SignInNeed | undefined;
}

/** Where a person consents, for every caller that may see the connection. */
export interface PendingLink {
  /** Empty with `device`. */
  readonly authUrl: string;
  readonly connectionId: string;
  readonly expiresAtMs: number;
  readonly device?: DeviceConsent | undefined;
}

export interface RequestedConnection extends PendingLink {
  /** Empty with `device`. */
  readonly state: string;
  readonly scopes: readonly string[];
  readonly providerId: string;
  /** Undefined for static types. */
  readonly redirectUri: string | undefined;
}

/** The ways that begin with a request: a confirmation follows one of them. */
type RequestedWay = Exclude<Way, "confirmation">;

/** What a request asks for, and of whom. */
interface RequestedConsent {
  readonly profile: ProviderProfile;
  /** Undefined for a new connection. */
  readonly existing: Connection | undefined;
  readonly scopes: readonly string[];
}

/** A request as it is stored. */
interface Requested extends Omit<RequestedConsent, "scopes"> {
  readonly request: ConnectionRequest;
  readonly principal: Principal;
  readonly stateHash: string;
  readonly pending: PendingAuthorization;
}

/** What the way of a request needs before it can be stored. */
interface Prepared {
  readonly secret: Omit<AuthorizationSecret, "state">;
  readonly lifetimeMs: number;
  /** Between two polls of a device authorization. */
  readonly deviceIntervalMs?: number;
}

/** Requests for a person's consent, for the first time or again. */
export class ConnectionRequests {
  constructor(
    private readonly deps: {
      readonly store: Store;
      readonly vault: CredentialVault;
      readonly servers: IssuerMetadata;
      readonly mcp?: McpLookup | undefined;
      readonly devices: DeviceRequests;
      readonly pending: PendingConsents;
      readonly clock: Clock;
      /** Without a trailing slash. */
      readonly publicUrl: string;
      readonly allowedReturnOrigins: readonly string[];
      /** Every consent is to be confirmed, whatever the request says. */
      readonly requireConfirmation?: boolean;
      readonly limits?: Limits;
    },
  ) {}

  /** @throws InvalidArgument, NotFound, FailedPrecondition, ResourceExhausted, Unavailable */
  async request(request: ConnectionRequest, principal: Principal): Promise<RequestedConnection> {
    const { vault, devices, publicUrl, clock } = this.deps;
    const { existing, profile } = await this.#target(request);
    const scopes = scopesFor(profile, request);
    const returning = this.#returning(request);
    const way = wayOf(profile, request);
    if (way === "device") refuseForDevice(profile, request, returning.requireConfirmation);
    refuseUncheckedSignIn(way, profile, scopes, request);
    const prepared = await this.#prepare(way, { profile, existing, scopes });

    const expiresAtMs = clock.nowMs() + prepared.lifetimeMs;
    const state = newState(expiresAtMs);
    const stateHash = hashState(state);
    const place = { connectionId: existing?.id ?? newId(), providerId: profile.id, expiresAtMs };
    const redirectUri = `${publicUrl}${profile.redirectPath}`;
    const pending: PendingAuthorization = {
      ...place,
      ...returning,
      scopes,
      redirectUri,
      sealed: vault.sealAuthorization(stateHash, place, { ...prepared.secret, state }),
      providerVersion: profile.version,
      requestedBy: principal.name,
      requestedFor: principal.onBehalfOf?.name ?? "",
      held: false,
      failedConfirmations: 0,
      isStepUp: request.isStepUp ?? false,
      signIn: request.signIn,
      deviceIntervalMs: prepared.deviceIntervalMs,
    };
    await this.#put({ request, principal, profile, existing, stateHash, pending });
    const { device } = prepared.secret;
    if (device) devices.watch(stateHash);
    return {
      ...place,
      scopes,
      authUrl: device ? "" : this.#authUrl(state),
      state: device ? "" : state,
      redirectUri: way === "code" ? redirectUri : undefined,
      device: device && deviceConsentOf(device),
    };
  }

  /** The connection that is requested again, if any, and the profile. */
  async #target(request: ConnectionRequest): Promise<Omit<RequestedConsent, "scopes">> {
    const { store, mcp } = this.deps;
    const { connectionId } = request;
    const existing = connectionId === undefined ? undefined : store.getConnection(connectionId);
    if (connectionId !== undefined && !existing) throw new NotFound("connection");
    if (existing) refuseRevoked(existing);
    const named = existing ? profileOf(store, existing, request) : profileNamed(store, request);
    const profile = (await mcp?.followed(named, "consent_requested")) ?? named;
    if (!existing && request.userId === "") {
      throw new InvalidArgument([{ field: "user_id", description: "is required for a new connection" }]);
    }
    return { existing, profile };
  }

  async #prepare(way: RequestedWay, { profile, existing, scopes }: RequestedConsent): Promise<Prepared> {
    const codeVerifier = newCodeVerifier();
    const secret = { codeVerifier, nonce: undefined, browserBinding: newToken() };
    if (way === "form") return { secret, lifetimeMs: authorizationLifetimeMs };
    const { servers, devices, store, vault } = this.deps;
    const expectsId = expectsIdToken(profile, scopes);
    // Without its discovery document no consent can begin: better reported here than on a person's page.
    const server = await servers.resolve(profile, expectsId);
    if (way === "code") refuseWithoutAuthorization(server);
    const stored = existing && store.getCredential(existing.id);
    const ofServer = {
      ...secret,
      nonce: expectsId ? newToken() : undefined,
      dpopKey: connectionKey(profile, server, existing, stored, vault),
    };
    if (way === "code") return { secret: ofServer, lifetimeMs: authorizationLifetimeMs };
    const device = await devices.authorize({ server, profile, scopes, codeVerifier });
    return {
      secret: { ...ofServer, device: device.secret },
      lifetimeMs: device.expiresInMs,
      deviceIntervalMs: device.intervalMs,
    };
  }

  /** The pending request of a connection, for as long as a person can open its link. */
  openRequest({ pendingStateHash }: Connection): PendingAuthorization | undefined {
    const pending = pendingStateHash && this.deps.store.getAuthorization(pendingStateHash);
    if (!pending || pending.held || this.deps.clock.nowMs() >= pending.expiresAtMs) return undefined;
    const version = this.deps.store.getProvider(pending.providerId)?.version;
    return version === pending.providerVersion ? pending : undefined;
  }

  /**
   * The link of the open request of a connection.
   *
   * @param scopes the result is undefined unless it asks for all of these. Those of a static type do not count, and neither do those of a
   * request that must be confirmed, because no other request replaces it.
   * @param asker what leads straight to the consent of a device authorization is for the one that requested it
   * @param signIn the result is undefined unless it demands at least this, with the same exception
   */
  pendingLink(
    connection: Connection,
    scopes: readonly string[],
    asker: Identity,
    signIn?: SignInNeed,
  ): PendingLink | undefined {
    const key = connection.pendingStateHash;
    const pending = this.openRequest(connection);
    if (!key || !pending) return undefined;
    const isOAuth2 = this.deps.store.getProvider(pending.providerId)?.authType === "oauth2";
    const asksScopes = scopes.every((scope) => pending.scopes.includes(scope));
    const asksAll = asksScopes && coversSignIn(pending.signIn, signIn);
    if (isOAuth2 && !asksAll && !pending.requireConfirmation) return undefined;
    const secret = this.deps.vault.authorizationIfOpens(key, pending);
    const link = { connectionId: connection.id, expiresAtMs: pending.expiresAtMs };
    if (!secret?.device) return secret && { ...link, authUrl: this.#authUrl(secret.state) };
    const device = deviceConsentOf(secret.device);
    const isAsker = isRequester(pending, asker);
    return { ...link, authUrl: "", device: isAsker ? device : { ...device, verificationUriComplete: "" } };
  }

  /** @throws InvalidArgument */
  checkReturnUrl(returnUrl: string): void {
    checkReturnUrl(returnUrl, this.deps.allowedReturnOrigins);
  }

  #authUrl(state: string): string {
    return `${this.deps.publicUrl}/auth/start?state=${state}`;
  }

  /** One commit: the pending authorization, the connection that waits for it, and the audit event. */
  async #put(requested: Requested): Promise<void> {
    const { request, principal, profile, existing, stateHash, pending } = requested;
    const { userId, label = "" } = request;
    const { store, clock, limits = defaultLimits } = this.deps;
    const { connectionId, providerId, requireConfirmation, scopes, expiresAtMs } = pending;
    await store.commit((tx) => {
      if (tx.getProvider(providerId)?.version !== profile.version) throw new NotFound("provider");
      const nowMs = clock.nowMs();
      const before = existing
        ? tx.getConnection(connectionId)
        : newConnection(connectionId, { userId, label }, profile, nowMs);
      if (!before) throw new NotFound("connection");
      refuseRevoked(before);
      this.deps.pending.replace(tx, before, profile, requireConfirmation, principal);
      if (!existing) {
        refuseMoreConnections(tx, userId, limits);
        refuseTakenLabel(tx, { providerId, userId, label });
      }
      refuseMoreAuthorizations(tx, principal, limits);
      tx.putAuthorization(stateHash, pending);
      const consent = { scopes, stateHash, expiresAtMs, providerName: profile.name };
      const { stepUp = before.stepUp } = request;
      const change = { ...consentRequested(before, consent), stepUp };
      tx.putConnection(changeConnection(before, change, nowMs));
      const event = { timeMs: nowMs, ...by(principal), connectionId, providerId };
      tx.appendAudit({ ...event, type: "connection.requested" });
    });
  }

  #returning(request: ConnectionRequest): { returnUrl: string | undefined; requireConfirmation: boolean } {
    const requireConfirmation =
      this.deps.requireConfirmation === true || request.requireConfirmation === true;
    if (request.returnUrl !== undefined) {
      return {
        returnUrl: checkReturnUrl(request.returnUrl, this.deps.allowedReturnOrigins),
        requireConfirmation,
      };
    }
    if (!requireConfirmation) return { returnUrl: undefined, requireConfirmation };
    const why = this.deps.requireConfirmation
      ? "NEXUS_REQUIRE_CONFIRMATION is set"
      : "require_confirmation is set";
    const description = `is required when ${why}: the completion code comes back to it`;
    throw new InvalidArgument([{ field: "return_url", description }]);
  }
}

function wayOf({ authType }: ProviderProfile, { device }: ConnectionRequest): RequestedWay {
  if (device === true) return "device";
  return authType === "oauth2" ? "code" : "form";
}

/** What an API demands is sent even so: it judges the next token itself. @throws InvalidArgument */
function refuseUncheckedSignIn(
  way: RequestedWay,
  profile: ProviderProfile,
  scopes: readonly string[],
  { signIn, isStepUp }: ConnectionRequest,
): void {
  if (!signIn || (way === "code" && (isStepUp || expectsIdToken(profile, scopes)))) return;
  const field = signInField(signIn);
  const description =
    way === "code"
      ? "needs the scope openid and an issuer in the profile: only an id_token says how the user signed in"
      : "is for a consent in a browser at a profile of type oauth2";
  throw new InvalidArgument([{ field, description }]);
}

/**
 * A scope that is left out of the request brings no id_token. Without an issuer nothing could verify one: it is requested, for the
 * provider may want it so, and dropped unread.
 */
function expectsIdToken(profile: ProviderProfile, scopes: readonly string[]): boolean {
  return scopes.includes("openid") && !profile.oauth2.skipScopeOnAuth && profile.issuer !== "";
}
