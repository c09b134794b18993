import type { Connection } from "../../../gen/nexus/v1/connection_pb.js";
import { type Provider, ProviderService } from "../../../gen/nexus/v1/provider_pb.js";
import type { ConsoleSession } from "../sessions/console_sessions.js";
import type { PageRequest } from "./request.js";

type Named = Pick<Connection, "providerId" | "providerName">;

/** What a session's pages have shown last, by provider: what is live shows the same. */
const shownNames = new WeakMap<
  ConsoleSession,
  Map<string, { readonly name: string; readonly shown: string }>
>();

/** What the providers of connections are called on a page. */
export async function providerNames(
  request: PageRequest,
  connections: readonly Named[],
): Promise<(connection: Named) => string> {
  const names = new Map(connections.map(({ providerId, providerName }) => [providerId, providerName]));
  const shown = await Promise.all(
    [...names].map(async ([id, name]) => {
      const template = await templateOf(request, id);
      return [id, { name, shown: request.describe({ providerName: name, template }).displayName }] as const;
    }),
  );
  const { session } = request;
  shownNames.set(session, new Map([...(shownNames.get(session) ?? []), ...shown]));
  return knownNames(session);
}

/** As the newest page of the session has them; a provider that was renamed meanwhile has its own name. */
export function knownNames(session: ConsoleSession): (connection: Named) => string {
  return (named) =>
    (isNamed(session, named) ? shownNames.get(session)?.get(named.providerId)?.shown : undefined) ??
    named.providerName;
}

/** Whether the pages of the session have shown what the provider is called. */
export function isNamed(session: ConsoleSession, { providerId, providerName }: Named): boolean {
  return shownNames.get(session)?.get(providerId)?.name === providerName;
}

/** Empty for one that was deleted, or made without a template. */
async function templateOf({ call, may }: PageRequest, id: string): Promise<string> {
  // A restricted caller who asks for what was deleted would leave a denial in the audit log.
  if (!may("template.read")) return "";
  try {
    const { provider } = await call(ProviderService.method.getProvider, { key: { case: "id", value: id } });
    return provider?.template ?? "";
  } catch {
    return "";
  }
}

/** For people: the name of its template with its own. */
export function displayName({ describe }: PageRequest, { name, template }: Provider): string {
  return describe({ providerName: name, template }).displayName;
}
