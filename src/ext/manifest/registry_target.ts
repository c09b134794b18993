import type { KeepProfiles } from "../../core/core.js";
import { DocumentError, type DocumentViolation } from "../../document/document.js";
import { daemon, type Principal } from "../../model/access/access.js";
import { InvalidArgument } from "../../model/model.js";
import type { ProviderProfile, ProviderSettings } from "../../model/providers/providers.js";
import type { Secret } from "../../runtime/runtime.js";
import { applyPlan, type ProfileTarget } from "./apply.js";
import { type Manifest, readManifest } from "./manifest.js";
import { type CurrentProfile, planOf } from "./plan.js";

/** What the keeper needs of the provider registry. */
export interface KeptRegistry {
  list(options: { readonly limit: number; readonly authType: undefined }): ProviderProfile[];
  /** @throws InvalidArgument */
  check(settings: ProviderSettings, hasSecret: boolean): void;
  holdsSecret(profile: ProviderProfile, secret: Secret): boolean;
  create(
    settings: ProviderSettings,
    secret: Secret | undefined,
    principal: Principal,
  ): Promise<ProviderProfile>;
  update(
    id: string,
    change: { readonly settings: Partial<ProviderSettings>; readonly clientSecret?: Secret | null },
    expectedVersion: bigint | undefined,
    principal: Principal,
  ): Promise<unknown>;
  delete(id: string, principal: Principal): Promise<unknown>;
}

/** Judges all profiles before the first write. @throws DocumentError */
export async function checkManifest(registry: KeptRegistry, manifest: Manifest): Promise<void> {
  const violations: DocumentViolation[] = [];
  for (const profile of manifest.profiles) {
    try {
      await registry.check(profile.settings, profile.clientSecret !== undefined);
    } catch (error) {
      if (!(error instanceof InvalidArgument)) throw error;
      violations.push(
        ...error.violations.map(({ field, description }) => profile.violation(field, description)),
      );
    }
  }
  if (violations.length > 0) throw new DocumentError(violations);
}

export function currentProfiles(registry: KeptRegistry): CurrentProfile[] {
  const profiles = registry.list({ limit: Number.POSITIVE_INFINITY, authType: undefined });
  return profiles.map((profile) => ({
    id: profile.id,
    etag: String(profile.version),
    settings: profile,
    clientSecretSet: profile.clientSecret !== undefined,
    holdsSecret: (secret) => registry.holdsSecret(profile, secret),
  }));
}

/** Where the daemon carries out a plan of its own. */
export function registryTarget(
  registry: KeptRegistry,
  onCreated: (profile: ProviderProfile) => void = () => {},
): ProfileTarget {
  return {
    create: async (settings, clientSecret) =>
      onCreated(await registry.create(settings, clientSecret, daemon)),
    update: async ({ id, etag, settings, clientSecret }) => {
      const change = clientSecret === undefined ? { settings } : { settings, clientSecret };
      await registry.update(id, change, BigInt(etag), daemon);
    },
    delete: async (id) => {
      await registry.delete(id, daemon);
    },
  };
}

export const keepProfiles: KeepProfiles = async ({ profiles: { registry }, templates }, json, secrets) => {
  const manifest = readManifest(JSON.stringify(json), { variables: secrets, templates });
  await checkManifest(registry, manifest);
  const plan = planOf(manifest, currentProfiles(registry), { prune: false });
  const changed: string[] = [];
  await applyPlan(plan, registryTarget(registry), ({ name }) => void changed.push(name));
  return changed;
};
