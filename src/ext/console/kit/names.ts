import type { Connection } from "../../../gen/nexus/v1/connection_pb.js";
import { type Provider, ProviderService } from "../../../gen/nexus/v1/provider_pb.js";
import type { PageRequest } from "./request.js";

/** What the providers of connections are called on a page; one that was deleted has its own name. */
export async function providerNames({ may, call, describe }: PageRequest) {
  const listed =
    may("provider.read") && (await call(ProviderService.method.listProviders, { pageSize: 1000 }));
  const templates = new Map(listed ? listed.providers.map(({ id, template }) => [id, template]) : []);
  return ({ providerId, providerName }: Pick<Connection, "providerId" | "providerName">): string =>
    describe({ providerName, template: templates.get(providerId) }).displayName;
}

/** For people: the name of its template with its own. */
export function displayName({ describe }: PageRequest, { name, template }: Provider): string {
  return describe({ providerName: name, template }).displayName;
}
