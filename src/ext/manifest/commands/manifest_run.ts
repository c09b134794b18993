import { existsSync, writeFileSync } from "node:fs";
import { isDeepStrictEqual } from "node:util";
import { stringify } from "yaml";
import { Catalogue, CatalogueError } from "../../../catalogue/catalogue.js";
import {
  allProviders,
  CommandFailure,
  confirm,
  type DaemonFlags,
  type DaemonSession,
  printable,
  printWarnings,
  readText,
  type Shell,
  shellWord,
  usable,
  usageFailure,
  withDaemon,
  withProgress,
} from "../../../cli/kit.js";
import { driftExitCode, exitCodes } from "../../../core/registry.js";
import { DocumentError, type DocumentViolation } from "../../../document/document.js";
import { GrantTypes, grantViolations } from "../../../domain/token_endpoint/token_endpoint.js";
import { counted, isJsonObject, type JsonObject, type JsonValue } from "../../../model/model.js";
import {
  defaultStrategyOf,
  givenSettings,
  oauth2Fields,
  type ProviderSettings,
  profileMessage,
  profileSettings,
} from "../../../model/providers/providers.js";
import { applyPlan, type ProfileTarget } from "../apply.js";
import { meaningfulParams } from "../differences.js";
import { type Manifest, readManifest } from "../manifest.js";
import { type CurrentProfile, hasDrift, type Plan, type PlannedChange, planOf } from "../plan.js";
import { escapeVariables } from "../variables.js";
import { formatPlan, planJson } from "./plan_text.js";

export interface PlanFlags extends DaemonFlags {
  readonly file: string;
  readonly catalog?: string;
  readonly prune?: boolean;
  readonly rotateSecrets?: boolean;
  readonly detailedExitcode?: boolean;
}

export interface ApplyFlags extends PlanFlags {
  readonly yes?: boolean;
}

export interface ExportFlags extends DaemonFlags {
  readonly file: string;
  readonly force?: boolean;
}

/** `manifest plan`: 2 means drift, so that no failure may end with it. */
export async function planManifest(shell: Shell, flags: PlanFlags): Promise<void> {
  let drifts: boolean;
  try {
    drifts = await showPlan(shell, flags);
  } catch (error) {
    if (!flags.detailedExitcode || !(error instanceof CommandFailure)) throw error;
    throw new CommandFailure(exitCodes.failed, error.message);
  }
  if (flags.detailedExitcode && drifts) throw new CommandFailure(driftExitCode, "");
}

async function showPlan(shell: Shell, flags: PlanFlags): Promise<boolean> {
  const manifest = await loadManifest(shell, flags);
  let drifts = false;
  await withDaemon(shell, flags, async (session) => {
    const plan = await makePlan(session, manifest, flags);
    shell.stdout.write(flags.json ? planJson(plan) : formatPlan(plan));
    drifts = hasDrift(plan);
  });
  return drifts;
}

/** `manifest apply`. */
export async function applyManifest(shell: Shell, flags: ApplyFlags): Promise<void> {
  const manifest = await loadManifest(shell, flags);
  await withDaemon(shell, flags, async (session) => {
    const plan = await makePlan(session, manifest, flags);
    if (!flags.json) shell.stdout.write(formatPlan(plan));
    if (!hasDrift(plan)) {
      if (flags.json) shell.stdout.write(planJson(plan, { applied: true }));
      return;
    }
    // A manifest on standard input leaves nothing to ask at.
    const terminal = flags.file === "-" ? { ...shell, stdin: { ...shell.stdin, isTTY: false } } : shell;
    await confirm(terminal, "Apply this plan?", flags.yes);
    const done: PlannedChange[] = [];
    try {
      const apply = () => applyPlan(plan, targetOf(session), (change) => void done.push(change));
      await withProgress(shell, () => `apply the plan, ${counted(done.length, "change")} done`, apply);
    } catch (error) {
      if (error instanceof CommandFailure && done.length > 0) {
        const names = done.map(({ action, name }) => `${action} ${name}`).join(", ");
        throw new CommandFailure(
          error.exitCode,
          `${error.message}\ndone before that, and not undone: ${names}`,
        );
      }
      throw error;
    }
    shell.stdout.write(flags.json ? planJson(plan, { applied: true }) : "applied\n");
  });
}

async function loadManifest(shell: Shell, { file, catalog }: PlanFlags): Promise<Manifest> {
  if (file !== "-" && !existsSync(file)) {
    throw usageFailure(
      `--file: ${printable(file)} does not exist\ncreate one from the providers of the daemon: nexusd manifest export --file ${shellWord(file)}`,
    );
  }
  const text = file === "-" ? await shell.stdin.readAll() : readText(file, "--file");
  const templates = await openCatalogue(catalog);
  const manifest = usable("manifest", file, () => readManifest(text, { variables: shell.env, templates }));
  const types = new GrantTypes(shell.extensions.flatMap(({ grantTypes = [] }) => grantTypes));
  const violations = await grantViolationsOf(manifest, types);
  return usable("manifest", file, () => {
    if (violations.length > 0) throw new DocumentError(violations);
    return manifest;
  });
}

/** What the grant types of the profiles find wrong with them. */
async function grantViolationsOf({ profiles }: Manifest, types: GrantTypes): Promise<DocumentViolation[]> {
  const found = profiles.map(async ({ settings, violation }) =>
    grantViolations(settings, await types.load(settings.grantType)).map(({ field, description }) =>
      violation(field, description),
    ),
  );
  return (await Promise.all(found)).flat();
}

async function openCatalogue(file: string | undefined): Promise<Catalogue> {
  try {
    return await Catalogue.open(file);
  } catch (error) {
    if (!(error instanceof CatalogueError)) throw error;
    throw new CommandFailure(exitCodes.failed, printable(error.message.replaceAll("\n", "; ")));
  }
}

async function makePlan(session: DaemonSession, manifest: Manifest, flags: PlanFlags): Promise<Plan> {
  const current = await readProfiles(session);
  return usable("manifest", flags.file, () =>
    planOf(manifest, current, {
      prune: flags.prune ?? false,
      rotateSecrets: flags.rotateSecrets ?? false,
    }),
  );
}

/** `manifest export`. */
export async function exportProviders(shell: Shell, flags: ExportFlags): Promise<void> {
  await withDaemon(shell, flags, async (session) => {
    const profiles = await readProfiles(session);
    const text = flags.json ? `${JSON.stringify(manifestJson(profiles))}\n` : manifestText(profiles);
    if (flags.file === "-") shell.stdout.write(text);
    else {
      writeText(flags.file, text, flags.force ?? false);
      const variables = profiles.filter(({ clientSecretSet }) => clientSecretSet);
      const names = variables.map(({ settings }) => secretVariable(settings.name)).join(", ");
      const counted = profiles.length === 1 ? "1 provider" : `${profiles.length} providers`;
      shell.stderr.write(`wrote ${counted} to ${flags.file}${names === "" ? "" : `; it wants ${names}`}\n`);
    }
  });
}

function writeText(file: string, text: string, isForced: boolean): void {
  try {
    writeFileSync(file, text, { flag: isForced ? "w" : "wx" });
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    const why = code === "EEXIST" ? "exists: give --force to write over it" : `cannot be written: ${code}`;
    throw new CommandFailure(exitCodes.failed, `${file} ${why}`);
  }
}

/** `manifestJson` as YAML. */
export function manifestText(profiles: readonly CurrentProfile[]): string {
  return stringify(manifestJson(profiles), { lineWidth: 0 });
}

/**
 * Profiles as a manifest. A plan of it is clean: what has its default is left out, a dollar sign is doubled, and each client secret is
 * a variable.
 */
function manifestJson(profiles: readonly CurrentProfile[]): JsonObject {
  const providers = profiles.map(({ settings, clientSecretSet }) => {
    const { name = "", auth_type = "", ...rest } = escaped(givenProfile(settings)) as JsonObject;
    const secret = clientSecretSet ? { client_secret: `\${${secretVariable(settings.name)}}` } : {};
    return { name, auth_type, ...secret, ...rest };
  });
  return { providers };
}

/** `${GITHUB_CLIENT_SECRET}` stands for the secret of `github`. */
export function secretVariable(name: string): string {
  const variable = `${name.toUpperCase().replaceAll("-", "_")}_CLIENT_SECRET`;
  return /^\d/.test(variable) ? `_${variable}` : variable;
}

/** The settings of a profile that are not the default, by their names in a manifest and in the proto. */
function givenProfile(settings: ProviderSettings): JsonObject {
  const { template: _, ...given } = givenSettings({ ...settings, params: meaningfulParams(settings) });
  const isDefault = (name: string): boolean => {
    if (name === "strategy")
      return isDeepStrictEqual(settings.strategy, defaultStrategyOf(settings.authType));
    if (settings.authType !== "oauth2") return oauth2Fields.includes(name);
    if (name === "grant_type") return settings.grantType === "authorization_code";
    return name === "token_endpoint_auth_method" && settings.tokenEndpointAuthMethod === "client_secret_post";
  };
  return Object.fromEntries(Object.entries(given).filter(([name]) => !isDefault(name)));
}

function escaped(value: JsonValue): JsonValue {
  if (typeof value === "string") return escapeVariables(value);
  if (Array.isArray(value)) return value.map(escaped);
  if (!isJsonObject(value)) return value;
  return Object.fromEntries(Object.entries(value).map(([name, inner]) => [name, escaped(inner)]));
}

/** The profiles of the daemon, for a plan. */
async function readProfiles(session: DaemonSession): Promise<CurrentProfile[]> {
  return (await allProviders(session)).map((provider) => ({
    id: provider.id,
    etag: provider.etag,
    settings: profileSettings(provider),
    clientSecretSet: provider.clientSecretSet,
  }));
}

/** Carries a plan out over the API. */
function targetOf({ shell, daemon, call }: DaemonSession): ProfileTarget {
  return {
    create: async (settings, clientSecret) => {
      const provider = profileMessage(settings);
      provider.clientSecret = clientSecret?.reveal() ?? "";
      const answer = await call(`create the provider ${settings.name}`, daemon.providers.createProvider, {
        provider,
      });
      printWarnings(shell, answer);
    },
    update: async ({ id, etag, clientSecret, paths }, settings) => {
      const provider = profileMessage(settings);
      provider.id = id;
      provider.clientSecret = clientSecret?.reveal() ?? "";
      const answer = await call(`update the provider ${settings.name}`, daemon.providers.updateProvider, {
        provider,
        updateMask: { paths: [...paths] },
        etag,
      });
      printWarnings(shell, answer);
    },
    delete: async (id, name) => {
      await call(`delete the provider ${name}`, daemon.providers.deleteProvider, { id });
    },
  };
}
