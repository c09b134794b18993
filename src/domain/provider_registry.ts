import { by } from "../model/audit_event.js";
import { Aborted, AlreadyExists, DataLoss, InvalidArgument, NotFound } from "../model/errors.js";
import { newId } from "../model/ids.js";
import type { Principal } from "../model/principal.js";
import {
  type AuthType,
  canonicalName,
  type ProviderProfile,
  type ProviderSettings,
  providerFaults,
} from "../model/provider_profile.js";
import type { Clock } from "../runtime/clock.js";
import type { Secret } from "../runtime/secret.js";
import type { Store } from "../store/store.js";
import type { Transaction } from "../store/transaction.js";
import { credentialSchemaFaults } from "./credential_schema.js";
import { trialFaults } from "./credential_trial.js";
import type { CredentialVault } from "./credential_vault.js";

/** A change of a profile: the settings that are present, and the secret (`null` erases it). */
export interface ProviderChange {
  readonly settings: Partial<ProviderSettings>;
  readonly clientSecret?: Secret | null;
}

type RegistryStore = Pick<
  Store,
  "commit" | "getProvider" | "findProviderByName" | "listProviders" | "countConnections"
>;

/** Provider profiles: what is registered, under which name. */
export class ProviderRegistry {
  readonly #store: RegistryStore;
  readonly #vault: CredentialVault;
  readonly #clock: Clock;
  readonly #onChanged: (providerId: string) => void;

  constructor(options: {
    store: RegistryStore;
    vault: CredentialVault;
    clock: Clock;
    /** Called when a profile was changed or deleted, and that is durable. */
    onChanged?: (providerId: string) => void;
  }) {
    this.#onChanged = options.onChanged ?? (() => undefined);
    this.#store = options.store;
    this.#vault = options.vault;
    this.#clock = options.clock;
  }

  /** Judges a profile without storing it. @throws InvalidArgument with every fault named */
  check(settings: ProviderSettings, hasSecret: boolean): void {
    refuseFaults(settings, hasSecret);
  }

  /** Whether it is the client secret that is stored; one that cannot be opened is not. */
  holdsSecret({ id, clientSecret }: ProviderProfile, secret: Secret): boolean {
    if (!clientSecret) return false;
    try {
      return this.#vault.openClientSecret(id, clientSecret).reveal() === secret.reveal();
    } catch (error) {
      if (error instanceof DataLoss) return false;
      throw error;
    }
  }

  /** @throws InvalidArgument with every fault named; AlreadyExists */
  async create(
    settings: ProviderSettings,
    clientSecret: Secret | undefined,
    principal: Principal,
  ): Promise<ProviderProfile> {
    refuseFaults(settings, clientSecret !== undefined);
    const nowMs = this.#clock.nowMs();
    const id = newId();
    const profile: ProviderProfile = {
      ...settings,
      id,
      clientSecret: clientSecret && this.#vault.sealClientSecret(id, clientSecret),
      createdAtMs: nowMs,
      updatedAtMs: nowMs,
      version: 1n,
    };
    return await this.#store.commit((tx) => {
      refuseTakenName(tx, profile);
      tx.putProvider(profile);
      tx.appendAudit({ timeMs: nowMs, type: "provider.created", ...by(principal), providerId: id });
      return profile;
    });
  }

  /** @throws NotFound */
  get(key: { readonly id: string } | { readonly name: string }): ProviderProfile {
    const profile =
      "id" in key ? this.#store.getProvider(key.id) : this.#store.findProviderByName(canonicalName(key.name));
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
    const found: ProviderProfile[] = [];
    let afterName = page.afterName;
    for (;;) {
      const profiles = this.#store.listProviders({
        ...page,
        ...(afterName === undefined ? {} : { afterName }),
      });
      found.push(
        ...profiles.filter((profile) => {
          return (authType === undefined || profile.authType === authType) && sees(profile);
        }),
      );
      if (profiles.length < page.limit || found.length >= page.limit) return found.slice(0, page.limit);
      afterName = profiles.at(-1)?.name;
    }
  }

  /**
   * Changes what `change` names and nothing else.
   *
   * @param expectedVersion refuses when the profile has another version
   * @throws NotFound, InvalidArgument, AlreadyExists, Aborted
   */
  async update(
    id: string,
    change: ProviderChange,
    expectedVersion: bigint | undefined,
    principal: Principal,
  ): Promise<ProviderProfile> {
    const nowMs = this.#clock.nowMs();
    const changed = await this.#store.commit((tx) => {
      const before = tx.getProvider(id);
      if (!before) throw new NotFound("provider");
      if (expectedVersion !== undefined && expectedVersion !== before.version) {
        throw new Aborted("the provider profile has changed since it was read: read it again");
      }
      const clientSecret =
        change.clientSecret === undefined
          ? before.clientSecret
          : (change.clientSecret && this.#vault.sealClientSecret(id, change.clientSecret)) || undefined;
      const profile: ProviderProfile = {
        ...before,
        ...change.settings,
        clientSecret,
        updatedAtMs: nowMs,
        version: before.version + 1n,
      };
      refuseFaults(profile, clientSecret !== undefined);
      refuseTakenName(tx, profile);
      tx.putProvider(profile);
      tx.appendAudit({ timeMs: nowMs, type: "provider.updated", ...by(principal), providerId: id });
      return profile;
    });
    this.#onChanged(id);
    return changed;
  }

  /**
   * Deletes the profile and leaves its connections.
   *
   * @returns how many connections are left without a provider
   * @throws NotFound
   */
  async delete(id: string, principal: Principal): Promise<number> {
    const nowMs = this.#clock.nowMs();
    const left = await this.#store.commit((tx) => {
      if (!tx.getProvider(id)) throw new NotFound("provider");
      tx.deleteProvider(id);
      tx.appendAudit({ timeMs: nowMs, type: "provider.deleted", ...by(principal), providerId: id });
      return tx.countConnections(id);
    });
    this.#onChanged(id);
    return left;
  }
}

function refuseFaults(settings: ProviderSettings, hasSecret: boolean): void {
  const faults = [
    ...providerFaults(settings, hasSecret),
    ...credentialSchemaFaults(settings),
    ...trialFaults(settings),
  ];
  if (faults.length > 0) throw new InvalidArgument(faults);
}

function refuseTakenName(tx: Transaction, profile: ProviderProfile): void {
  const holder = tx.findProviderByName(profile.name);
  if (holder && holder.id !== profile.id) {
    throw new AlreadyExists(`a provider named "${profile.name}" exists already`);
  }
}
