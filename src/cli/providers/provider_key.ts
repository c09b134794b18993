import { Code, ConnectError } from "@connectrpc/connect";
import type { Provider, ProviderTemplate } from "../../gen/nexus/v1/provider_pb.js";
import { isId } from "../../model/ids.js";
import { canonicalName } from "../../model/providers/provider_profile.js";
import { didYouMean, suggestions } from "../../model/suggestions.js";
import { CommandFailure, usageFailure } from "../shell/command_failure.js";
import type { DaemonSession } from "../shell/daemon_command.js";

/** What a command takes for a provider, for its help. */
export const providerArgument = "its name, its id, or the beginning of its id";

/** Shorter beginnings are names alone: they would soon be another one's. */
export const idPrefix = /^[0-9a-f-]{4,35}$/;

/** Finds a profile by its name, its id, or the beginning of its id. A name comes before the beginning of an id. */
export async function findProvider(
  session: DaemonSession,
  idOrName: string,
): Promise<{ readonly provider: Provider; readonly redirectUri: string }> {
  const id = idOrName.trim().toLowerCase();
  const key = isId(id)
    ? ({ case: "id", value: id } as const)
    : ({ case: "name", value: canonicalName(idOrName) } as const);
  const read = (wanted: typeof key) =>
    session.call(`find the provider ${idOrName}`, session.daemon.providers.getProvider, { key: wanted });
  const { provider, redirectUri } = await suggestingProviders(session, idOrName, async () => {
    try {
      return await read(key);
    } catch (error) {
      const value = idPrefix.test(id) && isNotFound(error) ? await idLike(session, id) : undefined;
      if (value === undefined) throw error;
      return await read({ case: "id", value });
    }
  });
  if (!provider) throw new Error("the daemon answered without a provider");
  return { provider, redirectUri };
}

/** The id of a provider that is named by the beginning of its id; else what was given. @throws CommandFailure when several begin so */
export async function providerNamed(session: DaemonSession, given: string): Promise<string> {
  const text = given.trim().toLowerCase();
  if (!idPrefix.test(text)) return given;
  const named = (await allProviders(session)).some(({ name }) => name === text);
  return (named ? undefined : await idLike(session, text)) ?? given;
}

/**
 * What a restriction to a provider is stored as: the name of one that exists, or its id where that was given whole. `*` is every provider.
 *
 * @throws CommandFailure where none has the name: access to it would be that of whichever provider gets the name later
 */
export async function restrictedProvider(session: DaemonSession, given: string): Promise<string> {
  if (given.trim() === "*") return "*";
  const { provider } = await findProvider(session, given);
  return isId(given.trim().toLowerCase()) ? provider.id : provider.name;
}

/** Does `work`; when it finds no provider of this name, the failure names those that may be meant. */
export async function suggestingProviders<Answer>(
  session: DaemonSession,
  idOrName: string,
  work: () => Promise<Answer>,
): Promise<Answer> {
  try {
    return await work();
  } catch (error) {
    if (!isNotFound(error)) throw error;
    throw new CommandFailure(
      error.exitCode,
      `${error.message}\n${await providerHint(session, idOrName)}`,
      error.cause,
    );
  }
}

export function isNotFound(error: unknown): error is CommandFailure {
  const cause = error instanceof CommandFailure ? error.cause : undefined;
  return cause instanceof ConnectError && cause.code === Code.NotFound;
}

/** The one id that begins so. @throws CommandFailure when several do */
async function idLike(session: DaemonSession, prefix: string): Promise<string | undefined> {
  const found = (await allProviders(session)).filter(({ id }) => id.startsWith(prefix));
  if (found.length <= 1) return found[0]?.id;
  throw ambiguousId(
    prefix,
    found.map(({ id, name }) => `  ${id}  ${name}`),
  );
}

export function ambiguousId(prefix: string, lines: readonly string[]): CommandFailure {
  return usageFailure(
    [`${prefix} is the beginning of several ids: give more of the one you mean`, ...lines].join("\n"),
  );
}

/** What to do where no provider has the name. A caller that may not list providers or templates is treated as if there were none. */
export async function providerHint(session: DaemonSession, idOrName: string): Promise<string> {
  const wanted = canonicalName(idOrName);
  const names = await allProviders(session).catch(() => []);
  const meant = didYouMean(
    wanted,
    names.map(({ name }) => name),
  );
  if (meant !== undefined) return meant;
  const templates = (await listTemplates(session, "").catch(() => [])).map(({ name }) => name);
  if (templates.includes(wanted)) return `add it first; how: nexusd provider show ${wanted} --template`;
  const [template] = suggestions(wanted, templates);
  return template === undefined
    ? "see nexusd provider list"
    : `see nexusd provider list; a template is called ${template}: nexusd provider add ${template}`;
}

export function allProviders({ daemon, listAll }: DaemonSession): Promise<Provider[]> {
  return listAll("list the providers", daemon.providers.listProviders, {}, ({ providers }) => providers);
}

/** @param action what they are needed for, as an error names it */
export function listTemplates(
  { daemon, listAll }: DaemonSession,
  namePrefix: string,
  action = "list the templates",
): Promise<ProviderTemplate[]> {
  const method = daemon.providers.listProviderTemplates;
  return listAll(action, method, { namePrefix }, ({ templates }) => templates);
}
