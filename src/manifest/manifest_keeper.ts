import { DocumentError, formatFaults } from "../document/document_fault.js";
import { WatchedFile } from "../document/watched_file.js";
import { InvalidArgument, NexusError } from "../model/errors.js";
import { daemon, type Principal } from "../model/principal.js";
import type { ProviderProfile, ProviderSettings } from "../model/provider_profile.js";
import type { Clock } from "../runtime/clock.js";
import type { Secret } from "../runtime/secret.js";
import { applyPlan, type ProfileTarget } from "./apply.js";
import { type Manifest, readManifest } from "./manifest.js";
import { type CurrentProfile, type Plan, type PlannedChange, planOf } from "./plan.js";
import type { ManifestTemplates } from "./template_profile.js";
import type { Variables } from "./variables.js";

/** What the keeper needs of the provider registry. */
export interface KeptRegistry {
  list(options: {
    readonly limit: number;
    readonly afterName?: string;
    readonly authType: undefined;
  }): ProviderProfile[];
  /** @throws InvalidArgument */
  check(settings: ProviderSettings, hasSecret: boolean): void;
  holdsSecret(profile: ProviderProfile, secret: Secret): boolean;
  create(settings: ProviderSettings, secret: Secret | undefined, principal: Principal): Promise<unknown>;
  update(
    id: string,
    change: { readonly settings: Partial<ProviderSettings>; readonly clientSecret?: Secret | null },
    expectedVersion: bigint | undefined,
    principal: Principal,
  ): Promise<unknown>;
  delete(id: string, principal: Principal): Promise<unknown>;
}

/** Constant messages, variables as fields. */
export interface KeeperLog {
  info(fields: object, message: string): void;
  error(fields: object, message: string): void;
}

export interface KeeperOptions {
  readonly path: string;
  readonly registry: KeptRegistry;
  /** Those that the file may name. */
  readonly variables: Variables;
  readonly templates?: ManifestTemplates | undefined;
  readonly clock: Clock;
  readonly log: KeeperLog;
  readonly file?: Pick<WatchedFile, "path" | "read" | "watch" | "close">;
}

const pageSize = 1000;

/**
 * Makes the daemon hold what a file says, at its start and whenever the file changes. A file that is broken changes nothing, and
 * nothing is deleted unless the file itself says `prune: true`.
 */
export class ManifestKeeper {
  readonly #file: Pick<WatchedFile, "path" | "read" | "watch" | "close">;
  readonly #registry: KeptRegistry;
  readonly #variables: Variables;
  readonly #templates: ManifestTemplates | undefined;
  readonly #log: KeeperLog;
  /** Text that was looked at last: other events in its folder are none of ours. */
  #seen: string | undefined;
  #working: Promise<void> = Promise.resolve();
  #stopped = false;

  constructor(options: KeeperOptions) {
    this.#file = options.file ?? new WatchedFile(options.path, { clock: options.clock });
    this.#registry = options.registry;
    this.#variables = options.variables;
    this.#templates = options.templates;
    this.#log = options.log;
  }

  /** Applies the file once and watches it from then on. */
  async start(): Promise<void> {
    await this.#watch();
    await this.reload();
  }

  /** Applies the file, changed or not: what somebody changed beside it is put right. */
  reload(): Promise<void> {
    return this.#inTurn(true);
  }

  /** Ends the watching; what is being applied is finished. */
  async stop(): Promise<void> {
    this.#stopped = true;
    this.#file.close();
    await this.#working;
  }

  async #watch(): Promise<void> {
    const failed = await this.#file.watch(() => void this.#inTurn(false));
    if (failed.length === 0) return;
    const fields = { file: this.#file.path, folders: failed };
    this.#log.error(fields, "the folder of the providers file cannot be watched: send SIGHUP after a change");
  }

  #inTurn(evenIfSeen: boolean): Promise<void> {
    this.#working = this.#working.then(async () => {
      if (this.#stopped) return;
      try {
        await this.#load(evenIfSeen);
        await this.#watch();
      } catch (error) {
        this.#seen = undefined;
        this.#log.error({ file: this.#file.path, err: error }, "the providers file could not be applied");
      }
    });
    return this.#working;
  }

  async #load(evenIfSeen: boolean): Promise<void> {
    const file = this.#file.path;
    let text: string;
    try {
      text = await this.#file.read();
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      this.#seen = undefined;
      return this.#log.error({ file, code }, "the providers file cannot be read: nothing was changed");
    }
    if (text === this.#seen && !evenIfSeen) return;
    this.#seen = text;
    try {
      await this.#apply(readManifest(text, { variables: this.#variables, templates: this.#templates }));
    } catch (error) {
      if (!(error instanceof DocumentError)) throw error;
      const faults = formatFaults(error).map((fault) => `${file}:${fault}`);
      this.#log.error({ file, faults }, "the providers file is broken: nothing was changed");
    }
  }

  async #apply(manifest: Manifest): Promise<void> {
    this.#check(manifest);
    const file = this.#file.path;
    const plan = planOf(manifest, this.#current(), { prune: manifest.prune });
    const done: PlannedChange[] = [];
    try {
      await applyPlan(plan, this.#target(), (change) => void done.push(change));
    } catch (error) {
      // Somebody changed a profile at the same moment, or the store takes no writes: the next change or SIGHUP tries again.
      const reason = error instanceof NexusError ? error.message : undefined;
      const fields = { file, ...namesOf(done), ...(reason === undefined ? { err: error } : { reason }) };
      this.#seen = undefined;
      return this.#log.error(fields, "the providers file was applied in part");
    }
    const orphans = namesBy(plan.changes, "orphan");
    this.#log.info(
      { file, ...namesOf(done), orphans, unchanged: plan.unchanged },
      "the providers file is applied",
    );
  }

  /** All profiles before the first write. */
  #check(manifest: Manifest): void {
    const faults = manifest.profiles.flatMap((profile) => {
      try {
        this.#registry.check(profile.settings, profile.clientSecret !== undefined);
        return [];
      } catch (error) {
        if (!(error instanceof InvalidArgument)) throw error;
        return error.violations.map(({ field, description }) => profile.fault(field, description));
      }
    });
    if (faults.length > 0) throw new DocumentError(faults);
  }

  #current(): CurrentProfile[] {
    const profiles: ProviderProfile[] = [];
    let page: ProviderProfile[];
    do {
      const afterName = profiles.at(-1)?.name;
      page = this.#registry.list({
        limit: pageSize,
        authType: undefined,
        ...(afterName === undefined ? {} : { afterName }),
      });
      profiles.push(...page);
    } while (page.length === pageSize);
    return profiles.map((profile) => ({
      id: profile.id,
      etag: String(profile.version),
      settings: profile,
      clientSecretSet: profile.clientSecret !== undefined,
      holdsSecret: (secret) => this.#registry.holdsSecret(profile, secret),
    }));
  }

  #target(): ProfileTarget {
    return {
      create: async (settings, clientSecret) => {
        await this.#registry.create(settings, clientSecret, daemon);
      },
      update: async ({ id, etag, settings, clientSecret }) => {
        const change = clientSecret === undefined ? { settings } : { settings, clientSecret };
        await this.#registry.update(id, change, BigInt(etag), daemon);
      },
      delete: async (id) => {
        await this.#registry.delete(id, daemon);
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
