import type { Connection } from "../../../gen/nexus/v1/connection_pb.js";
import { type Provider, ProviderService } from "../../../gen/nexus/v1/provider_pb.js";
import type { PageRequest } from "./request.js";

/** Those that the caller may see. */
export async function allProviders({ may, call }: PageRequest): Promise<readonly Provider[]> {
  if (!may("provider.read")) return [];
  return (await call(ProviderService.method.listProviders, { pageSize: 1000 })).providers;
}

/** What the providers of connections are called on a page; one that was deleted has its own name. */
export async function providerNames(request: PageRequest) {
  const names = new Map((await allProviders(request)).map((each) => [each.id, displayName(request, each)]));
  return ({ providerId, providerName }: Pick<Connection, "providerId" | "providerName">): string =>
    names.get(providerId) ?? providerName;
}

/** For people: the name of its template with its own. */
export function displayName({ describe }: PageRequest, { name, template }: Provider): string {
  return describe({ providerName: name, template }).displayName;
}
