import { createHash } from "node:crypto";
import { Browser } from "../fakes/browser.js";
import { type FrozenProvider, frozenClient } from "./frozen_provider.js";
import type { Call } from "./rpc.js";
import type { Capabilities, FrozenAnswer } from "./version.js";

/** Of a policy file: who shows requests, what they do to a session, and which ones wait for an approver. */
export const rulesOfRequests = `
proxies: [key:gateway]
rules:
  - providers: [weather]
    when: '"private" in session.labels && request.method == "POST"'
    then: deny
    because: it read private data
  - providers: [weather]
    when: request.path.startsWith("/private/")
    then: allow
    label: [private]
    uses: 2/d
  - providers: [weather]
    when: request.path.startsWith("/held/")
    then: ask
    hold: 24h
  - providers: [weather]
    then: allow
`;

/** In the order of the holds. */
export const heldPaths = ["/held/approved", "/held/denied", "/held/waiting"] as const;
export const denial = "not on a Friday";

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

  /** Reads a token with a key, for a request if one is shown. */
  async read(key: string, connection: string, request?: object): Promise<void> {
    const asked = { connectionId: this.connections[connection], ...(request && { request }) };
    await this.call("TokenService/GetToken", asked, this.keys[key]);
  }

  /** A refresh that is due again. */
  async failing(userId: string): Promise<void> {
    await this.consent(userId);
    this.provider.down.add("/token");
    await this.refresh(userId);
    this.provider.down.delete("/token");
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
    await this.#uses();
  }

  /** A grant, as `nexusd grant` makes it, and a proxy whose requests are remembered. */
  async #uses(): Promise<void> {
    const agent = { role: "ROLE_AGENT" };
    const granted = { userIds: ["ada"], providers: ["acme"] };
    const limit = { uses: 2, per: "86400s" };
    const grant = "claude.acme.0a1b2c";
    await this.key(grant, { ...agent, restriction: granted, expiresAt: "2096-01-01T00:00:00Z", uses: limit });
    await this.read(grant, "ada");
    await this.key("gateway", { ...agent, restriction: { userIds: ["ada"], providers: ["weather"] } });
    await this.read("gateway", "weather", shown("GET", "/private/plan"));
    for (const path of heldPaths) await this.#hold(shown("GET", path));
    const [approved, denied] = (await this.#held()).map(({ id, digest }) => ({ id, digest }));
    await this.call("ApprovalService/DecideHeldRequest", { ...approved, approve: true });
    await this.call("ApprovalService/DecideHeldRequest", { ...denied, reason: denial });
  }

  /** Sends a request that waits for an approver, and leaves. */
  async #hold(request: object): Promise<void> {
    const before = (await this.#held()).length;
    const caller = new AbortController();
    const asked = { connectionId: this.connections["weather"], request };
    const sent = this.call("TokenService/GetToken", asked, this.keys["gateway"], caller.signal);
    let end: unknown;
    const left = sent.catch((error: unknown) => {
      end = error;
    });
    await until(async () => {
      if (end !== undefined) throw end;
      return (await this.#held()).length > before;
    });
    caller.abort();
    await left;
    await until(async () => (await this.#held()).every(({ callerLeft }) => callerLeft));
  }

  async #held() {
    const { requests = [] } = await this.call("ApprovalService/ListHeldRequests", {});
    return requests as { id: string; digest: string; callerLeft: boolean }[];
  }
}

async function until(isTrue: () => Promise<boolean>): Promise<void> {
  while (!(await isTrue())) await new Promise((resolve) => setTimeout(resolve, 20));
}

/** A request without a body. */
export function shown(method: string, path: string): object {
  const bodySha256 = createHash("sha256").digest("base64");
  return { method, url: `https://weather.example${path}`, bodySize: 0, bodySha256 };
}

/** What is asked of a frozen daemon before it ends, and of a newer one on its folder. */
const questions: readonly (readonly [rpc: string, request: object])[] = [
  ["ProviderService/ListProviders", {}],
  ["ConnectionService/ListConnections", {}],
  ["AccessService/ListApiKeys", {}],
  ["AuditService/ListAuditEvents", { pageSize: 1000 }],
  ["ClientKeyService/ListClientKeys", {}],
  ["KeyringService/GetKeyring", {}],
];

/** Of a version that knows access limits. */
const questionsOfLimits: typeof questions = [
  ["ApprovalService/ListStops", {}],
  ["UseService/ListUses", {}],
  ["PolicyService/ListRequestTemplates", {}],
];

export async function ask(call: Call, { accessLimits }: Capabilities): Promise<FrozenAnswer[]> {
  const answers: FrozenAnswer[] = [];
  for (const [rpc, request] of [...questions, ...(accessLimits ? questionsOfLimits : [])])
    answers.push({ rpc, request, response: await call(rpc, request) });
  return answers;
}
