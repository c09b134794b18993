import { StartRefused } from "../../core/registry.js";
import {
  DocumentError,
  FileUnreadable,
  formatViolations,
  type KeepableFile,
  KeptFile,
} from "../../document/document.js";
import { NexusError } from "../../model/model.js";
import type { ProviderProfile } from "../../model/providers/providers.js";
import type { Clock, Log } from "../../runtime/runtime.js";
import { applyPlan } from "./apply.js";
import { type Manifest, readManifest } from "./manifest.js";
import { type Plan, type PlannedChange, planOf } from "./plan.js";
import { checkManifest, currentProfiles, type KeptRegistry, registryTarget } from "./registry_target.js";
import type { ManifestTemplates } from "./template_profile.js";
import type { Variables } from "./variables.js";

/** The providers file is missing at the start: the daemon does not start without the providers that it was asked to keep. */
class ProvidersFileError extends StartRefused {
  override readonly name = "ProvidersFileError";
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
   * Applies the file once and watches it from then on. One that is broken is reported, and waited for.
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
        `the providers file ${this.#kept.path} cannot be read: ${error.why}. Correct --providers (NEXUS_PROVIDERS_FILE), or leave it out`,
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
    const { registry } = this.deps;
    await checkManifest(registry, manifest);
    const file = this.#kept.path;
    const plan = planOf(manifest, currentProfiles(registry), { prune: manifest.prune });
    const done: PlannedChange[] = [];
    try {
      const target = registryTarget(registry, (profile) => this.#try(profile));
      await applyPlan(plan, target, (change) => void done.push(change));
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
