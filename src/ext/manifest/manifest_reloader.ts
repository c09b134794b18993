import { StartRefused } from "../../daemon/extension.js";
import { DocumentError, type DocumentViolation, formatViolations } from "../../document/document_error.js";
import { FileUnreadable, type KeepableFile, KeptFile } from "../../document/kept_file.js";
import { daemon, type Principal } from "../../model/access/principal.js";
import { InvalidArgument, NexusError } from "../../model/errors.js";
import type { ProviderProfile, ProviderSettings } from "../../model/providers/provider_profile.js";
import type { Clock } from "../../runtime/clock.js";
import type { Log } from "../../runtime/log.js";
import type { Secret } from "../../runtime/secret.js";
import { applyPlan, type ProfileTarget } from "./apply.js";
import { type Manifest, readManifest } from "./manifest.js";
import { type CurrentProfile, type Plan, type PlannedChange, planOf } from "./plan.js";
import type { ManifestTemplates } from "./template_profile.js";
import type { Variables } from "./variables.js";

/** The providers file is missing at the start: the daemon does not start without the providers that it was told to keep. */
class ProvidersFileError extends StartRefused {
  override readonly name = "ProvidersFileError";
}

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

export interface KeeperOptions {
  readonly path: string;
  readonly registry: KeptRegistry;
  /** What would keep a person from consenting at a profile, a sentence each. */
  readonly trial: { warnings(profile: ProviderProfile): Promise<string[]> };
  /** Those that the file may name. */
  readonly variables: Variables;
  readonly templates?: ManifestTemplates | undefined;
  readonly clock: Clock;
  readonly log: Log;
  readonly file?: KeepableFile;
}

class PartlyApplied extends Error {
  constructor(
    readonly fields: object,
    cause: unknown,
  ) {
    super("the providers file was applied in part", { cause });
  }
}

/**
 * Makes the daemon hold what a file says, at its start and whenever the file changes. A file that is broken changes nothing, and
 * nothing is deleted unless the file itself says `prune: true`.
 */
export class ManifestReloader {
  readonly #kept: KeptFile;

  constructor(private readonly deps: KeeperOptions) {
    this.#kept = new KeptFile({
      ...deps,
      take: (text) =>
        this.#apply(readManifest(text, { variables: this.deps.variables, templates: this.deps.templates })),
      onFailure: (error) => this.#failed(error),
    });
  }

  /**
   * Applies the file once and watches it from then on. One that is broken is told of, and waited for.
   *
   * @throws ProvidersFileError when it cannot be read
   */
  async start(): Promise<void> {
    await this.#kept.watch();
    try {
      await this.#kept.load();
    } catch (error) {
      if (!(error instanceof FileUnreadable)) return this.#failed(error);
      await this.#kept.stop();
      throw new ProvidersFileError(
        `the providers file ${this.#kept.path} cannot be read (${error.code}): correct --providers (NEXUS_PROVIDERS_FILE), or leave it out`,
      );
    }
  }

  /** Applies the file, changed or not: what somebody changed beside it is put right. */
  reload(): Promise<void> {
    return this.#kept.reload();
  }

  /** Ends the watching; what is being applied is finished. */
  stop(): Promise<void> {
    return this.#kept.stop();
  }

  #failed(error: unknown): void {
    const file = this.#kept.path;
    if (error instanceof FileUnreadable) {
      const fields = { file, code: error.code };
      this.deps.log.error(fields, "the providers file cannot be read: nothing was changed");
    } else if (error instanceof DocumentError) {
      const violations = formatViolations(error).map((violation) => `${file}:${violation}`);
      this.deps.log.error({ file, violations }, "the providers file is broken: nothing was changed");
    } else if (error instanceof PartlyApplied) {
      this.deps.log.error({ file, ...error.fields }, error.message);
    } else {
      this.deps.log.error({ file, err: error }, "the providers file could not be applied");
    }
  }

  async #apply(manifest: Manifest): Promise<void> {
    await this.#check(manifest);
    const file = this.#kept.path;
    const plan = planOf(manifest, this.#current(), { prune: manifest.prune });
    const done: PlannedChange[] = [];
    try {
      await applyPlan(plan, this.#target(), (change) => void done.push(change));
    } catch (error) {
      // Somebody changed a profile at the same moment, or the store takes no writes: the next change or SIGHUP tries again.
      const reason = error instanceof NexusError ? error.message : undefined;
      const why = reason === undefined ? { err: error } : { reason };
      throw new PartlyApplied({ ...namesOf(done), ...why }, error);
    }
    const unmanaged = namesBy(plan.changes, "unmanaged");
    this.deps.log.info(
      { file, ...namesOf(done), unmanaged, unchanged: plan.unchanged },
      "the providers file is applied",
    );
  }

  /** All profiles before the first write. */
  async #check(manifest: Manifest): Promise<void> {
    const violations: DocumentViolation[] = [];
    for (const profile of manifest.profiles) {
      try {
        await this.deps.registry.check(profile.settings, profile.clientSecret !== undefined);
      } catch (error) {
        if (!(error instanceof InvalidArgument)) throw error;
        violations.push(
          ...error.violations.map(({ field, description }) => profile.violation(field, description)),
        );
      }
    }
    if (violations.length > 0) throw new DocumentError(violations);
  }

  #current(): CurrentProfile[] {
    const profiles = this.deps.registry.list({ limit: Number.POSITIVE_INFINITY, authType: undefined });
    return profiles.map((profile) => ({
      id: profile.id,
      etag: String(profile.version),
      settings: profile,
      clientSecretSet: profile.clientSecret !== undefined,
      holdsSecret: (secret) => this.deps.registry.holdsSecret(profile, secret),
    }));
  }

  /** Beside the plan: a provider that is down must not hold up the start. */
  #try(profile: ProviderProfile): void {
    const file = this.#kept.path;
    this.deps.trial.warnings(profile).then(
      (warnings) => {
        const fields = { file, provider: profile.name, warnings };
        if (warnings.length > 0)
          this.deps.log.warn(fields, "a provider of the providers file cannot be used yet");
      },
      (error: unknown) =>
        this.deps.log.error({ err: error }, "a provider of the providers file was not tried"),
    );
  }

  #target(): ProfileTarget {
    return {
      create: async (settings, clientSecret) => {
        this.#try(await this.deps.registry.create(settings, clientSecret, daemon));
      },
      update: async ({ id, etag, settings, clientSecret }) => {
        const change = clientSecret === undefined ? { settings } : { settings, clientSecret };
        await this.deps.registry.update(id, change, BigInt(etag), daemon);
      },
      delete: async (id) => {
        await this.deps.registry.delete(id, daemon);
      },
    };
  }
}

function namesOf(changes: readonly PlannedChange[]): object {
  return {
    created: namesBy(changes, "create"),
    updated: namesBy(changes, "update"),
    deleted: namesBy(changes, "delete"),
  };
}

function namesBy(changes: Plan["changes"], action: PlannedChange["action"]): string[] {
  return changes.filter((change) => change.action === action).map(({ name }) => name);
}
