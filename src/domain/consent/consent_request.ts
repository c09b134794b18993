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
import { InvalidArgument, NotFound } from "../../model/errors.js";
import { newId, newState, newToken } from "../../model/ids.js";
import { defaultLimits, type Limits } from "../../model/limits.js";
import type { ProviderKey, ProviderProfile } from "../../model/providers/provider_profile.js";
import type { AuthorizationServer } from "../../oauth/authorization_server.js";
import { newCodeVerifier } from "../../oauth/pkce.js";
import type { Clock } from "../../runtime/clock.js";
import type { DeviceConsent } from "../../store/records/secret_codec.js";
import type { Store } from "../../store/store.js";
import { changeConnection, consentRequested } from "../connections/state/connection_change.js";
import {
  refuseMoreAuthorizations,
  refuseMoreConnections,
  refuseTakenLabel,
} from "../connections/state/quotas.js";
import { type CredentialVault, hashState } from "../credentials/credential_vault.js";
import type { McpLookup } from "../providers/mcp_lookup.js";
import { profileNamed, profileOf, refuseRevoked, scopesFor } from "../providers/requested_profile.js";
import { connectionKey } from "../token_endpoint/dpop_keys.js";
import { type IssuerMetadata, refuseWithoutAuthorization } from "../token_endpoint/issuer_metadata.js";
import { type DeviceRequests, refuseForDevice, shownOf } from "./device.js";
import type { PendingConsents } from "./pending_consents.js";

/** A request for consent. */
export interface ConnectionRequest {
  readonly userId: string;
  /** Of the name of a new connection; left out and empty are the same. */
  readonly label?: string;
  readonly provider: ProviderKey | undefined;
  /** Empty means the profile's defaults. */
  readonly scopes: readonly string[];
  /** The profile's defaults are asked for beside the scopes. */
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

/** What a request comes to, before it is stored. */
interface Requested {
  readonly profile: ProviderProfile;
  readonly existing: Connection | undefined;
  readonly request: ConnectionRequest;
  readonly principal: Principal;
  readonly stateHash: string;
  readonly nowMs: number;
  readonly asked: Pick<
    PendingAuthorization,
    | "connectionId"
    | "providerId"
    | "expiresAtMs"
    | "scopes"
    | "returnUrl"
    | "requireConfirmation"
    | "deviceIntervalMs"
    | "sealed"
  >;
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
    const existing = request.connectionId === undefined ? undefined : this.#get(request.connectionId);
    if (existing) refuseRevoked(existing);
    const named = existing
      ? profileOf(this.deps.store, existing, request)
      : profileNamed(this.deps.store, request);
    const profile = (await this.deps.mcp?.followed(named, "consent_requested")) ?? named;
    if (!existing && request.userId === "") {
      throw new InvalidArgument([{ field: "user_id", description: "is required for a new connection" }]);
    }
    const isStatic = profile.authType !== "oauth2";
    const scopes = scopesFor(profile, request);
    const { returnUrl, requireConfirmation } = this.#returning(request);
    // Without its discovery document no consent can begin: better reported here than on a person's page.
    const expectsId = expectsIdToken(profile, scopes);
    const isDevice = request.device === true;
    if (isDevice) refuseForDevice(profile, request, requireConfirmation);
    const server = isStatic ? undefined : await this.deps.servers.resolve(profile, expectsId);
    if (server && !isDevice) refuseWithoutAuthorization(server);
    const codeVerifier = newCodeVerifier();
    const dpopKey = server && this.#dpopKey(profile, server, existing);
    const asked = { server, profile, scopes, codeVerifier };
    const device = isDevice ? await this.deps.devices.authorize(asked) : undefined;

    const nowMs = this.deps.clock.nowMs();
    const expiresAtMs = nowMs + (device?.expiresInMs ?? authorizationLifetimeMs);
    const state = newState(expiresAtMs);
    const stateHash = hashState(state);
    const connectionId = existing?.id ?? newId();
    const place = { connectionId, providerId: profile.id, expiresAtMs };
    const sealed = this.deps.vault.sealAuthorization(stateHash, place, {
      codeVerifier,
      nonce: expectsId ? newToken() : undefined,
      browserBinding: newToken(),
      state,
      ...(device && { device: device.secret }),
      dpopKey,
    });
    const stored = { ...place, scopes, returnUrl, requireConfirmation, sealed };
    const deviceIntervalMs = device?.intervalMs;
    await this.#put({
      ...{ profile, existing, request, principal, stateHash, nowMs },
      asked: { ...stored, deviceIntervalMs },
    });
    const answered = { scopes, providerId: profile.id, connectionId, expiresAtMs };
    if (device) {
      this.deps.devices.watch(stateHash);
      return { ...answered, authUrl: "", state: "", redirectUri: undefined, device: shownOf(device.secret) };
    }
    const authUrl = this.#authUrl(state);
    const redirectUri = isStatic ? undefined : `${this.deps.publicUrl}${profile.redirectPath}`;
    return { ...answered, authUrl, state, redirectUri };
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
   */
  pendingLink(connection: Connection, scopes: readonly string[], asker: Identity): PendingLink | undefined {
    const key = connection.pendingStateHash;
    const pending = this.openRequest(connection);
    if (!key || !pending) return undefined;
    const isOAuth2 = this.deps.store.getProvider(pending.providerId)?.authType === "oauth2";
    const asksAll = scopes.every((scope) => pending.scopes.includes(scope));
    if (isOAuth2 && !asksAll && !pending.requireConfirmation) return undefined;
    const secret = this.deps.vault.authorizationIfOpens(key, pending);
    const link = { connectionId: connection.id, expiresAtMs: pending.expiresAtMs };
    if (!secret?.device) return secret && { ...link, authUrl: this.#authUrl(secret.state) };
    const shown = shownOf(secret.device);
    const isAsker = isRequester(pending, asker);
    return { ...link, authUrl: "", device: isAsker ? shown : { ...shown, verificationUriComplete: "" } };
  }

  /** @throws InvalidArgument */
  checkReturnUrl(returnUrl: string): void {
    checkReturnUrl(returnUrl, this.deps.allowedReturnOrigins);
  }

  #dpopKey(profile: ProviderProfile, server: AuthorizationServer, existing: Connection | undefined) {
    const stored = existing && this.deps.store.getCredential(existing.id);
    return connectionKey(profile, server, existing, stored, this.deps.vault);
  }

  #authUrl(state: string): string {
    return `${this.deps.publicUrl}/auth/start?state=${state}`;
  }

  /** One commit: the pending authorization, the connection that waits for it, and the audit event. */
  async #put({ profile, existing, request, principal, stateHash, nowMs, asked }: Requested): Promise<void> {
    const { userId, label = "" } = request;
    const { limits = defaultLimits } = this.deps;
    await this.deps.store.commit((tx) => {
      const current = tx.getProvider(profile.id);
      if (current?.version !== profile.version) throw new NotFound("provider");
      const before = existing
        ? tx.getConnection(existing.id)
        : newConnection(asked.connectionId, { userId, label }, profile, nowMs);
      if (!before) throw new NotFound("connection");
      refuseRevoked(before);
      this.deps.pending.replace(tx, before, profile, asked.requireConfirmation, principal);
      if (!existing) {
        refuseMoreConnections(tx, userId, limits);
        refuseTakenLabel(tx, { providerId: profile.id, userId, label });
      }
      refuseMoreAuthorizations(tx, principal, limits);
      tx.putAuthorization(stateHash, {
        ...asked,
        providerVersion: profile.version,
        redirectUri: `${this.deps.publicUrl}${current.redirectPath}`,
        requestedBy: principal.name,
        requestedFor: principal.onBehalfOf?.name ?? "",
        held: false,
        failedConfirmations: 0,
        isStepUp: request.isStepUp ?? false,
      });
      const { scopes, expiresAtMs } = asked;
      const consent = { scopes, stateHash, expiresAtMs, providerName: profile.name };
      const change = consentRequested(before, consent);
      const { stepUp = before.stepUp } = request;
      tx.putConnection(changeConnection(before, { ...change, stepUp }, nowMs));
      tx.appendAudit({
        timeMs: nowMs,
        type: "connection.requested",
        ...by(principal),
        connectionId: asked.connectionId,
        providerId: profile.id,
      });
    });
  }

  #get(connectionId: string): Connection {
    const connection = this.deps.store.getConnection(connectionId);
    if (!connection) throw new NotFound("connection");
    return connection;
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

/**
 * A scope that is left out of the request brings no id_token. Without an issuer nothing could verify one: it is requested, for the
 * provider may want it so, and dropped unread.
 */
function expectsIdToken(profile: ProviderProfile, scopes: readonly string[]): boolean {
  return scopes.includes("openid") && !profile.oauth2.skipScopeOnAuth && profile.issuer !== "";
}
