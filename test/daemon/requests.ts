import type { MessageInitShape } from "@bufbuild/protobuf";
import type { ConnectionServiceRequestConnectionRequestSchema } from "../../src/gen/nexus/v1/connection_pb.js";
import { GrantType, type ProviderSchema } from "../../src/gen/nexus/v1/provider_pb.js";
import { Browser, consent } from "../fakes/browser.js";
import type { OpenIdProvider } from "../fakes/openid_provider.js";
import type { Clients } from "./harness.js";

type Request = MessageInitShape<typeof ConnectionServiceRequestConnectionRequestSchema>;
type Profile = MessageInitShape<typeof ProviderSchema>;

/** A request for the consent of ada. @param provider id or name of the profile */
export function requestOf(provider: string, more: Request = {}): Request {
  const kind = /^[0-9a-f]{8}-/.test(provider) ? "providerId" : "providerName";
  return { userId: "ada", provider: { case: kind, value: provider }, ...more } as Request;
}

/** Of a profile where a machine connects by itself. */
export function machineAt({ issuer }: Pick<OpenIdProvider, "issuer">) {
  return { grantType: GrantType.CLIENT_CREDENTIALS, issuer, enableDiscovery: true, scopes: ["read"] };
}

/** Registers a profile; answers its id. */
export async function registered(clients: Pick<Clients, "providers">, provider: Profile): Promise<string> {
  return (await clients.providers.createProvider({ provider })).provider?.id ?? "";
}

/** Registers an OpenID provider by discovery, and the redirect URI at it; answers the id of the profile. */
export async function registeredAt(
  provider: OpenIdProvider,
  clients: Pick<Clients, "providers">,
  more: Profile = {},
): Promise<string> {
  const { issuer } = provider;
  const { clientId, clientSecret } = provider.clients.post;
  const client = { clientId, clientSecret };
  const profile = { name: "op", ...client, issuer, enableDiscovery: true, scopes: ["openid"], ...more };
  const created = await clients.providers.createProvider({ provider: profile as Profile });
  provider.addRedirectUri(created.redirectUri);
  return created.provider?.id ?? "";
}

/** Requests a connection and consents to it; answers its id. */
export async function consented(
  clients: Pick<Clients, "connections">,
  request: Request,
  browser = new Browser(),
): Promise<string> {
  const { authUrl, connectionId } = await clients.connections.requestConnection(request);
  const page = await consent(browser, authUrl);
  if (page.status !== 200) throw new Error(`consent ended with ${page.status}: ${page.body}`);
  return connectionId;
}
