import { Browser } from "../fakes/browser.js";
import { type FrozenProvider, frozenClient } from "./frozen_provider.js";
import type { Call } from "./rpc.js";
import type { FrozenAnswer } from "./version.js";

/** What a version that knows them has too. */
export interface Capabilities {
  /** Keys with labels, methods, paths, and leases, and stopped principals. */
  readonly accessLimits: boolean;
}

/** What the story leaves, beside what the daemon wrote. */
interface Told {
  readonly connections: Record<string, string>;
  readonly keys: Record<string, string>;
  readonly consentUrl: string;
}

/** Has a daemon of any version write a record of every kind. */
export class Story {
  readonly connections: Record<string, string> = {};
  readonly keys: Record<string, string> = {};

  constructor(
    private readonly call: Call,
    private readonly provider: FrozenProvider,
    private readonly capabilities: Capabilities,
  ) {}

  async tell(): Promise<Told> {
    await this.#profiles();
    await this.#connections();
    await this.#keys();
    const { authUrl } = await this.#request("eve");
    return { connections: this.connections, keys: this.keys, consentUrl: authUrl };
  }

  async profile(provider: object): Promise<string> {
    const { provider: made } = await this.call("ProviderService/CreateProvider", { provider });
    return (made as { id: string }).id;
  }

  async acme(more: object = { name: "acme" }): Promise<string> {
    const { origin } = this.provider;
    return await this.profile({
      description: "An ordinary provider",
      ...frozenClient,
      authUrl: `${origin}/authorize`,
      tokenUrl: `${origin}/token`,
      scopes: ["read"],
      apiBaseUrl: `${origin}/api`,
      authorizationParams: { prompt: "consent" },
      tokenEndpointAuthMethod: "TOKEN_ENDPOINT_AUTH_METHOD_CLIENT_SECRET_POST",
      oauth2Options: { revocationUrl: `${origin}/revoke` },
      ...more,
    });
  }

  /** @returns the number of the grant */
  async consent(userId: string, more: object = {}): Promise<number> {
    const grant = this.provider.next;
    const { authUrl } = await this.#request(userId, more);
    const { status, body } = await new Browser().get(authUrl);
    if ((status === 200) === this.provider.denies) throw new Error(`a consent ended with ${status}: ${body}`);
    return grant;
  }

  async key(name: string, more: object): Promise<void> {
    const made = await this.call("AccessService/CreateApiKey", { name, ...more });
    this.keys[name] = String(made["key"]);
  }

  /** What a refresh ends with, whichever it is. */
  async refresh(userId: string): Promise<void> {
    const connectionId = this.connections[userId];
    await this.call("ConnectionService/RefreshConnection", { connectionId }).catch((error: unknown) => {
      if (!/ended with (400|412|429|503)/.test(String(error))) throw error;
    });
  }

  async #request(userId: string, more: object = {}): Promise<{ authUrl: string }> {
    const request = { userId, providerName: "acme", ...more };
    const { connectionId, authUrl } = await this.call("ConnectionService/RequestConnection", request);
    this.connections[userId] = String(connectionId);
    return { authUrl: String(authUrl) };
  }

  async #profiles(): Promise<void> {
    const { origin } = this.provider;
    const acme = await this.acme();
    const imported = await this.call("ConnectionService/ImportConnection", {
      userId: "gus",
      providerId: acme,
      refreshToken: "frozen-refresh-900-1",
    });
    this.connections["gus"] = (imported["connection"] as { id: string }).id;
    const weather = await this.profile({
      name: "weather",
      authType: "AUTH_TYPE_API_KEY",
      credentialSchema: {
        type: "object",
        required: ["api_key"],
        properties: { api_key: { type: "string" } },
      },
    });
    const kept = await this.call("ConnectionService/ImportConnection", {
      userId: "ada",
      providerId: weather,
      credentials: { api_key: "frozen-api-key" },
    });
    this.connections["weather"] = (kept["connection"] as { id: string }).id;
    await this.profile({
      name: "robot",
      grantType: "GRANT_TYPE_CLIENT_CREDENTIALS",
      clientId: "robot",
      tokenUrl: `${origin}/token`,
      issuer: origin,
      tokenEndpointAuthMethod: "TOKEN_ENDPOINT_AUTH_METHOD_PRIVATE_KEY_JWT",
    });
    const robot = await this.call("ConnectionService/RequestConnection", {
      userId: "robot",
      providerName: "robot",
    });
    this.connections["robot"] = String(robot["connectionId"]);
  }

  /** Each in a state of its own. */
  async #connections(): Promise<void> {
    const { provider } = this;
    await this.consent("ada");
    await this.consent("bea", { label: "work" });
    await this.refresh("bea");
    provider.lost.add(await this.consent("cy"));
    await this.refresh("cy");
    provider.down.add("/revoke");
    await this.consent("dee");
    await this.call("ConnectionService/RevokeConnection", { connectionId: this.connections["dee"] });
    await this.consent("hal");
    provider.down.add("/token");
    await this.refresh("hal");
    provider.down.delete("/token");
    provider.denies = true;
    await this.consent("fay");
    provider.denies = false;
    await this.acme({ name: "bound", oauth2Options: { dpop: "DPOP_MODE_ALWAYS" } });
    await this.consent("dan", { providerName: "bound" });
  }

  async #keys(): Promise<void> {
    const agent = { role: "ROLE_AGENT" };
    await this.key("ci", { ...agent, restriction: { userIds: ["ada"], providers: ["acme"] } });
    await this.key("ops", { role: "ROLE_OPERATOR", expiresAt: "2096-01-01T00:00:00Z" });
    await this.key("gone", { role: "ROLE_ADMIN" });
    await this.call("AccessService/RevokeApiKey", { name: "gone" });
    if (!this.capabilities.accessLimits) return;
    const restriction = { userIds: ["*"], labels: ["work"], methods: ["GET"], paths: ["/v1/*"] };
    await this.key("narrow", { ...agent, restriction, lease: "86400s" });
    await this.call("AccessService/RotateApiKey", { name: "ops", keepOld: "86400s" });
    await this.call("ApprovalService/StopPrincipal", { principal: "cert:spiffe://example.com/stopped" });
  }
}

/** What is asked of a frozen daemon before it ends, and of a newer one on its folder. */
export const questions: readonly (readonly [rpc: string, request: object])[] = [
  ["ProviderService/ListProviders", {}],
  ["ConnectionService/ListConnections", {}],
  ["AccessService/ListApiKeys", {}],
  ["AuditService/ListAuditEvents", { pageSize: 1000 }],
  ["ClientKeyService/ListClientKeys", {}],
  ["KeyringService/GetKeyring", {}],
];

export async function ask(call: Call): Promise<FrozenAnswer[]> {
  const answers: FrozenAnswer[] = [];
  for (const [rpc, request] of questions) answers.push({ rpc, request, response: await call(rpc, request) });
  return answers;
}
