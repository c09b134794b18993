import { isDeepStrictEqual } from "node:util";
import { aboutProvider } from "../../model/access/audit_event.js";
import type { Principal } from "../../model/access/principal.js";
import type { ClientRegistration } from "../../model/credentials/client_registration.js";
import type { SealedRecord } from "../../model/credentials/credential.js";
import { Aborted, AlreadyExists, NotFound, unlessDataLoss } from "../../model/errors.js";
import { newId } from "../../model/ids.js";
import { isConsented } from "../../model/providers/grant_type.js";
import type {
  AuthType,
  ProviderKey,
  ProviderProfile,
  ProviderSettings,
} from "../../model/providers/provider_profile.js";
import type { Clock } from "../../runtime/clock.js";
import type { Secret } from "../../runtime/secret.js";
import type { Store } from "../../store/store.js";
import { type CredentialVault, moveGrants } from "../connections/connections.js";
import type { ClientKeys, GrantTypes } from "../token_endpoint/token_endpoint.js";
import {
  followStrategy,
  type ProfileLimits,
  refuseOtherGrantType,
  refuseTakenName,
  refuseUnusableAuthority,
  refuseUnusableKey,
  refuseViolations,
} from "./profile_validation.js";
import { RedirectPaths } from "./redirect_paths.js";

/** A change of a profile: the settings that are present, and the secret (`null` erases it). */
export interface ProviderChange {
  readonly settings: Partial<ProviderSettings>;
  readonly clientSecret?: Secret | null;
  /** How the daemon made the client known; left out, what is stored holds as long as the client and the issuer stay what they are. */
  readonly registration?: ClientRegistration | undefined;
}

/** The id and the redirect path of a profile that is about to be made. */
export interface ReservedProfile {
  readonly id: string;
  readonly redirectPath: string;
}

export interface UpdatedProvider {
  readonly profile: ProviderProfile;
  /** How many connections wait for consent because of the change. */
  readonly partedConnections: number;
}

/** Provider profiles: what is registered, under which name. */
export class ProviderRegistry {
  readonly #redirectPaths: RedirectPaths;
  /** Name to the id of the profile that is about to get it. */
  readonly #reservedNames = new Map<string, string>();
  readonly #onChanged: (providerId: string) => void;

  constructor(
    private readonly deps: ProfileLimits & {
      readonly store: Store;
      readonly vault: CredentialVault;
      readonly grantTypes: GrantTypes;
      readonly clock: Clock;
      /** See `RedirectPaths`. */
      readonly sharedRedirectUri?: boolean;
      /** Publishes what a profile will sign with. */
      readonly clientKeys?: ClientKeys;
      /** Called when a profile was changed or deleted, and that is durable. */
      readonly onChanged?: (providerId: string) => void;
    },
  ) {
    this.#onChanged = deps.onChanged ?? (() => undefined);
    this.#redirectPaths = new RedirectPaths(deps);
  }

  /** Judges a profile without storing it. @throws InvalidArgument with every error named */
  async check(settings: ProviderSettings, hasSecret: boolean): Promise<void> {
    const { grantTypes } = this.deps;
    refuseViolations(settings, hasSecret, this.deps, await grantTypes.load(settings.grantType));
    await refuseUnusableAuthority(settings, this.deps);
  }

  /** Whether it is the client secret that is stored; one that cannot be opened is not. */
  holdsSecret(profile: ProviderProfile, secret: Secret): boolean {
    return this.#secretOf(profile)?.reveal() === secret.reveal();
  }

  /** The leader of the fleet made, changed or deleted these profiles. */
  followed(ids: readonly string[]): void {
    if (ids.length > 0) this.#redirectPaths.forget();
    for (const id of ids) this.#onChanged(id);
  }

  /**
   * For a client that must be registered with its redirect URI before its profile is made. Nobody else gets the name until the profile is
   * made or given up. @throws AlreadyExists
   */
  reserve(name: string): ReservedProfile {
    const id = newId();
    this.#refuseName(this.deps.store, id, name);
    this.#reservedNames.set(name, id);
    return { id, redirectPath: this.#redirectPaths.take(id, name) };
  }

  /** Whether no profile has the name, or is about to get it. */
  isFree(name: string): boolean {
    return !this.#reservedNames.has(name) && !this.deps.store.findProviderByName(name);
  }

  /** Ends what was reserved: the profile was made, or is given up. */
  release({ id }: ReservedProfile): void {
    for (const [name, holder] of this.#reservedNames) if (holder === id) this.#reservedNames.delete(name);
    if (!this.deps.store.getProvider(id)) this.#redirectPaths.release(id);
  }

  #refuseName(reads: Parameters<typeof refuseTakenName>[0], id: string, name: string): void {
    refuseTakenName(reads, id, name);
    if ((this.#reservedNames.get(name) ?? id) === id) return;
    const words = `a provider named "${name}" is being registered: give another name, or try again when that is done`;
    throw new AlreadyExists(words);
  }

  /**
   * @param made what the daemon did before: the reserved id, and how it registered the client
   * @throws InvalidArgument with every error named; AlreadyExists
   */
  async create(
    settings: ProviderSettings,
    clientSecret: Secret | undefined,
    principal: Principal,
    made: { readonly id?: string; readonly registration?: ClientRegistration | undefined } = {},
  ): Promise<ProviderProfile> {
    const grantType = await this.deps.grantTypes.load(settings.grantType);
    refuseViolations(settings, clientSecret !== undefined, this.deps, grantType);
    refuseUnusableKey(settings, clientSecret, grantType);
    await refuseUnusableAuthority(settings, this.deps);
    const nowMs = this.deps.clock.nowMs();
    const { id = newId(), registration } = made;
    const profile: ProviderProfile = {
      ...settings,
      id,
      clientSecret: clientSecret && this.deps.vault.sealClientSecret({ id, version: 1n }, clientSecret),
      createdAtMs: nowMs,
      updatedAtMs: nowMs,
      version: 1n,
      redirectPath: "",
      ...(registration && { registration }),
    };
    this.#refuseName(this.deps.store, id, profile.name);
    await this.deps.clientKeys?.prepare(profile);
    try {
      return await this.deps.store.commit((tx) => {
        this.#refuseName(tx, id, profile.name);
        const redirectPath = isConsented(profile) ? this.#redirectPaths.take(id, profile.name) : "";
        const written = { ...profile, redirectPath };
        tx.putProvider(written);
        tx.appendAudit({ ...aboutProvider(written, nowMs, principal), type: "provider.created" });
        return written;
      });
    } catch (error) {
      this.#redirectPaths.release(id);
      throw error;
    }
  }

  /** The redirect path of the profile of this name, or the one that it would get if it were created now. */
  redirectPathFor(name: string): string {
    return this.deps.store.findProviderByName(name)?.redirectPath || this.#redirectPaths.free(name);
  }

  /** @throws NotFound */
  get(key: ProviderKey): ProviderProfile {
    const profile = this.deps.store.findProvider(key);
    if (!profile) throw new NotFound("provider");
    return profile;
  }

  /** In the order of the names, those of `authType` when it is set. */
  list(options: {
    readonly afterName?: string;
    readonly limit: number;
    readonly namePrefix?: string;
    readonly authType: AuthType | undefined;
    /** Leaves out what the caller does not see. */
    readonly sees?: (profile: ProviderProfile) => boolean;
  }): ProviderProfile[] {
    const { authType, sees = () => true, ...page } = options;
    const isOfType = (profile: ProviderProfile): boolean =>
      authType === undefined || profile.authType === authType;
    return this.deps.store.listProviders({
      ...page,
      matches: (profile) => isOfType(profile) && sees(profile),
    });
  }

  /**
   * Changes what `change` names and nothing else; a change to what is stored already writes nothing. An edit that would send refresh tokens to another server or client parts the profile's connections from their
   * grants: see `moveGrants`.
   *
   * @param expectedVersion refuses when the profile has another version
   * @throws NotFound, InvalidArgument, AlreadyExists, Aborted
   */
  async update(
    id: string,
    change: ProviderChange,
    expectedVersion: bigint | undefined,
    principal: Principal,
  ): Promise<UpdatedProvider> {
    const stored = this.deps.store.getProvider(id);
    const grantType = stored && (await this.deps.grantTypes.load(stored.grantType));
    if (change.settings.apiCaFile !== stored?.apiCaFile)
      await refuseUnusableAuthority(change.settings, this.deps);
    const nowMs = this.deps.clock.nowMs();
    const updated = await this.deps.store.commit((tx) => {
      const before = tx.getProvider(id);
      if (!before) throw new NotFound("provider");
      if (expectedVersion !== undefined && expectedVersion !== before.version) {
        throw new Aborted("the provider profile has changed since it was read: read it again");
      }
      if (this.#isStored(before, change)) return { profile: before, partedConnections: 0 };
      if (change.registration && this.#isStored(before, { ...change, registration: undefined })) {
        // How the client is managed is nothing that a person consented under: pending requests stay good.
        const profile = { ...before, registration: change.registration };
        tx.putProvider(profile);
        return { profile, partedConnections: 0 };
      }
      const version = before.version + 1n;
      const clientSecret = this.#sealedFor(before, version, change.clientSecret);
      const profile: ProviderProfile = {
        ...before,
        ...change.settings,
        ...registrationAfter(before, change),
        clientSecret,
        updatedAtMs: nowMs,
        version,
      };
      refuseOtherGrantType(before, profile);
      refuseViolations(profile, clientSecret !== undefined, this.deps, grantType);
      refuseUnusableKey(profile, change.clientSecret ?? this.#secretOf(before), grantType);
      this.#refuseName(tx, id, profile.name);
      tx.putProvider(profile);
      tx.appendAudit({ ...aboutProvider(profile, nowMs, principal), type: "provider.updated" });
      followStrategy(tx, before, profile);
      return { profile, partedConnections: moveGrants(tx, before, profile, principal) };
    });
    this.#onChanged(id);
    await this.deps.clientKeys?.prepare(updated.profile);
    return updated;
  }

  /** A secret that is sent alone is sealed again, even where it is the one that is stored. */
  #isStored(profile: ProviderProfile, change: ProviderChange): boolean {
    const { settings, clientSecret, registration } = change;
    const isSameSecret = clientSecret
      ? this.holdsSecret(profile, clientSecret)
      : clientSecret === undefined || profile.clientSecret === undefined;
    if (registration !== undefined) return false;
    const hasSettings = Object.keys(settings).length > 0;
    return hasSettings && isSameSecret && isDeepStrictEqual({ ...profile, ...settings }, profile);
  }

  /** The new secret, or the one that is stored, sealed for the next version; one that cannot be opened stays what it is. */
  #sealedFor(
    before: ProviderProfile,
    version: bigint,
    secret: ProviderChange["clientSecret"],
  ): SealedRecord | undefined {
    const { id } = before;
    if (secret !== undefined)
      return secret ? this.deps.vault.sealClientSecret({ id, version }, secret) : undefined;
    const kept = this.#secretOf(before);
    return kept ? this.deps.vault.sealClientSecret({ id, version }, kept) : before.clientSecret;
  }

  /** Undefined also when it cannot be opened. */
  #secretOf(profile: ProviderProfile): Secret | undefined {
    return unlessDataLoss(() => this.deps.vault.openClientSecret(profile));
  }

  /** Deletes the profile and leaves its connections. @returns how many are left without a provider. @throws NotFound */
  async delete(id: string, principal: Principal): Promise<number> {
    const left = await this.deps.store.commit((tx) => {
      const profile = tx.getProvider(id);
      if (!profile) throw new NotFound("provider");
      tx.deleteProvider(id);
      const about = aboutProvider(profile, this.deps.clock.nowMs(), principal);
      tx.appendAudit({ ...about, type: "provider.deleted" });
      return tx.countConnections(id);
    });
    this.#redirectPaths.release(id);
    this.#onChanged(id);
    return left;
  }
}

/** A client that a person put instead of the daemon's is theirs. */
function registrationAfter(before: ProviderProfile, { settings, registration }: ProviderChange) {
  if (registration !== undefined) return { registration };
  const { clientId = before.clientId, issuer = before.issuer } = settings;
  const isSame = clientId === before.clientId && issuer === before.issuer;
  return { registration: isSame ? before.registration : undefined };
}
