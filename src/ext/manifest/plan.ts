import { DocumentError, type DocumentViolation } from "../../document/document.js";
import { isJsonObject, type JsonValue } from "../../model/model.js";
import { type ProviderSettings, profileOfContract } from "../../model/providers/providers.js";
import type { Secret } from "../../runtime/runtime.js";
import { type Difference, differencesOf, mask } from "./differences.js";
import type { Manifest, ManifestProfile } from "./manifest.js";

/** A profile as the daemon has it. */
export interface CurrentProfile {
  readonly id: string;
  /** Of the profile as it was read; a write over another fails. */
  readonly etag: string;
  readonly settings: ProviderSettings;
  readonly clientSecretSet: boolean;
  /** Whether it is the secret that is stored; undefined where nobody can say. */
  readonly holdsSecret?: (secret: Secret) => boolean;
}

export interface ProfileUpdate {
  readonly id: string;
  readonly etag: string;
  /** Those that change. */
  readonly settings: Partial<ProviderSettings>;
  /** Undefined leaves it, null erases it. */
  readonly clientSecret: Secret | null | undefined;
  /** The names of all that changes, as an update mask wants them. */
  readonly paths: readonly string[];
}

/** One line of a plan. */
export type PlannedChange =
  | {
      readonly action: "create";
      readonly name: string;
      readonly differences: readonly Difference[];
      readonly profile: ManifestProfile;
    }
  | {
      readonly action: "update";
      readonly name: string;
      readonly differences: readonly Difference[];
      readonly profile: ManifestProfile;
      readonly update: ProfileUpdate;
    }
  | { readonly action: "delete" | "unmanaged"; readonly name: string; readonly id: string };

export interface Plan {
  /** By name; what differs in nothing is left out. */
  readonly changes: readonly PlannedChange[];
  readonly unchanged: number;
}

export interface PlanOptions {
  /** Delete what the manifest does not name; else it is unmanaged. */
  readonly prune: boolean;
  /** Send every client secret of the manifest again, whether or not it differs. */
  readonly rotateSecrets?: boolean;
}

/** Never change in the life of a profile. */
const fixedSettings = [
  { field: "auth_type", key: "authType" },
  { field: "grant_type", key: "grantType" },
] as const;

/**
 * What would make the daemon hold what the manifest says.
 *
 * @throws DocumentError when a profile would have to change its type
 */
export function planOf(manifest: Manifest, current: readonly CurrentProfile[], options: PlanOptions): Plan {
  const violations: DocumentViolation[] = [];
  const byName = new Map(current.map((profile) => [profile.settings.name, profile]));
  const wanted = new Set(manifest.profiles.map(({ settings }) => settings.name));
  const changes: PlannedChange[] = [];
  for (const profile of manifest.profiles) {
    const before = byName.get(profile.settings.name);
    const fixed = before && fixedSettings.find(({ key }) => before.settings[key] !== profile.settings[key]);
    if (fixed) {
      const was = before.settings[fixed.key];
      const description = `cannot be changed from ${was}: delete the profile first, or give the new one another name`;
      violations.push(profile.violation(fixed.field, description));
      continue;
    }
    const change = before ? updateOf(profile, before, options) : creationOf(profile);
    if (change) changes.push(change);
  }
  if (violations.length > 0) throw new DocumentError(violations);
  for (const { id, settings } of current.filter(({ settings }) => !wanted.has(settings.name))) {
    changes.push({ action: options.prune ? "delete" : "unmanaged", name: settings.name, id });
  }
  return {
    changes: changes
      .map((change) => masked(change, manifest.secrets))
      .toSorted((one, other) => (one.name < other.name ? -1 : 1)),
    unchanged: manifest.profiles.length - changes.filter(({ action }) => isWrite(action)).length,
  };
}

/** Whether applying the plan would change anything: an unmanaged provider stays as it is. */
export function hasDrift(plan: Plan): boolean {
  return plan.changes.some(({ action }) => action !== "unmanaged");
}

function isWrite(action: PlannedChange["action"]): boolean {
  return action === "create" || action === "update";
}

function creationOf(profile: ManifestProfile): PlannedChange {
  const { settings, clientSecret } = profile;
  const { name, authType } = settings;
  // What has its default is not worth a line.
  const { differences } = differencesOf(profileOfContract({ name, auth_type: authType }).settings, settings);
  const lines: Difference[] = [
    { field: "auth_type", before: undefined, after: authType },
    ...differences.map(({ field, after }) => ({ field, before: undefined, after })),
    ...(clientSecret ? [{ field: "client_secret", before: undefined, after: mask }] : []),
  ];
  return { action: "create", name, profile, differences: lines };
}

function updateOf(
  profile: ManifestProfile,
  before: CurrentProfile,
  options: PlanOptions,
): PlannedChange | undefined {
  const { settings, differences, paths } = differencesOf(before.settings, profile.settings);
  const clientSecret = secretChange(profile.clientSecret, before, options.rotateSecrets ?? false);
  if (clientSecret !== undefined) {
    differences.push({
      field: "client_secret",
      before: before.clientSecretSet ? mask : undefined,
      after: clientSecret === null ? undefined : mask,
    });
    paths.push("client_secret");
  }
  if (paths.length === 0) return undefined;
  const { id, etag } = before;
  const update = { id, etag, settings, clientSecret, paths };
  return { action: "update", name: profile.settings.name, profile, differences, update };
}

/** A secret cannot be read back: without a daemon that compares, only a missing one is known to differ. */
function secretChange(
  wanted: Secret | undefined,
  before: CurrentProfile,
  rotate: boolean,
): Secret | null | undefined {
  if (!wanted) return before.clientSecretSet ? null : undefined;
  const isKept = before.clientSecretSet && !rotate && (before.holdsSecret?.(wanted) ?? true);
  return isKept ? undefined : wanted;
}

/** Secrets of the manifest are masked wherever else they were put. */
function masked(change: PlannedChange, secrets: ReadonlySet<string>): PlannedChange {
  if (change.action !== "create" && change.action !== "update") return change;
  // The longest first, since one may hold another.
  const hidden = [...secrets].sort((one, other) => other.length - one.length);
  const hide = (value: JsonValue | undefined): JsonValue | undefined => {
    if (typeof value === "string") {
      return hidden.reduce((text, secret) => text.replaceAll(secret, mask), value);
    }
    if (Array.isArray(value)) return value.map((item) => hide(item) ?? null);
    if (!isJsonObject(value)) return value;
    return Object.fromEntries(Object.entries(value).map(([name, inner]) => [name, hide(inner) ?? null]));
  };
  const differences = change.differences.map(({ field, before, after }) => ({
    field,
    before: hide(before),
    after: hide(after),
  }));
  return { ...change, differences };
}
