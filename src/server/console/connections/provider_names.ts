import type { ConsoleSession } from "../../../domain/console/console_sessions.js";
import { AccessService, Role } from "../../../gen/nexus/v1/access_pb.js";
import type { Connection } from "../../../gen/nexus/v1/connection_pb.js";
import { ProviderService } from "../../../gen/nexus/v1/provider_pb.js";
import type { ConsoleVisit } from "../frame/console_visit.js";

type Named = Pick<Connection, "providerId" | "providerName">;

/** Names for people, by template; the catalogue stays as it is while the daemon runs. */
const catalogues = new WeakMap<ConsoleSession, ReadonlyMap<string, string>>();

/** What a session's pages have shown last, by provider: what is live shows the same. */
const shownNames = new WeakMap<
  ConsoleSession,
  Map<string, { readonly name: string; readonly shown: string }>
>();

/** What the providers of connections are called on a page. */
export async function providerNames(
  visit: ConsoleVisit,
  connections: readonly Named[],
): Promise<(connection: Named) => string> {
  // An agent's key may not read the catalogue: asking would be a denial in the audit log.
  if (!(await looksAfterAll(visit))) return ({ providerName }) => providerName;
  const catalogue = await catalogueOf(visit);
  const names = new Map(connections.map(({ providerId, providerName }) => [providerId, providerName]));
  const shown = await Promise.all(
    [...names].map(async ([id, name]) => {
      const template = await templateOf(visit, id);
      return [id, { name, shown: displayName(name, template, catalogue.get(template)) }] as const;
    }),
  );
  shownNames.set(visit.session, new Map(shown));
  return knownNames(visit.session);
}

/** As the newest page of the session has them; a provider that was renamed meanwhile has its own name. */
export function knownNames(session: ConsoleSession): (connection: Named) => string {
  return ({ providerId, providerName }) => {
    const known = shownNames.get(session)?.get(providerId);
    return known?.name === providerName ? known.shown : providerName;
  };
}

/** `GitHub`, and for a profile of another name than its template's `GitHub · github-work`. */
export function displayName(name: string, template: string, display: string | undefined): string {
  if (display === undefined) return name;
  return name === template ? display : `${display} \u00b7 ${name}`;
}

/** Whether the caller is admin or operator: pages leave out for others what these alone may read. */
export async function looksAfterAll({ call }: Pick<ConsoleVisit, "call">): Promise<boolean> {
  const { role } = await call(AccessService.method.whoAmI, {});
  return role === Role.ADMIN || role === Role.OPERATOR;
}

export async function catalogueOf({ session, call }: ConsoleVisit): Promise<ReadonlyMap<string, string>> {
  const known = catalogues.get(session);
  if (known) return known;
  const { templates } = await call(ProviderService.method.listProviderTemplates, { pageSize: 1000 });
  const catalogue = new Map(templates.map(({ name, displayName: display }) => [name, display]));
  catalogues.set(session, catalogue);
  return catalogue;
}

/** Empty for one that was deleted, or made without a template. */
async function templateOf({ call }: ConsoleVisit, id: string): Promise<string> {
  try {
    const { provider } = await call(ProviderService.method.getProvider, { key: { case: "id", value: id } });
    return provider?.template ?? "";
  } catch {
    return "";
  }
}
