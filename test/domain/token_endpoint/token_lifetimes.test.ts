import { expect, it } from "vitest";
import { CredentialVault } from "../../../src/domain/connections/credential_vault.js";
import { TokenEndpointClient } from "../../../src/domain/token_endpoint/token_endpoint_client.js";
import type { ProviderProfile } from "../../../src/model/providers/provider_profile.js";
import { processAuthorizationResponse } from "../../../src/oauth/authorization_response.js";
import { manualAuthorizationServer } from "../../../src/oauth/authorization_server.js";
import { Secret } from "../../../src/runtime/secret.js";
import { Vault } from "../../../src/vault/vault.js";
import { coreSources } from "../../fakes/core_sources.js";
import { ManualClock } from "../../fakes/manual_clock.js";
import { aProfile, nowMs } from "../../samples.js";

const profile: ProviderProfile = aProfile({ clientId: "nexus", tokenUrl: "https://op.example/token" });
const server = manualAuthorizationServer(profile);
const signal = new AbortController().signal;
const dpopKey = undefined;

it.each<[string, (client: TokenEndpointClient) => Promise<unknown>]>([
  [
    "a refresh",
    async (client) => {
      const request = { server, profile, refreshToken: new Secret("r"), subject: undefined, userId: "ada" };
      const more = { label: "", scopes: [], grantedScopes: [], boundTo: undefined, dpopKey };
      return (await client.refresh({ ...request, ...more })).tokenSet;
    },
  ],
  [
    "a code",
    (client) => {
      const query = new URLSearchParams({ code: "c", state: "s" });
      const response = processAuthorizationResponse(server, "nexus", query, "s");
      if (response.kind !== "code") throw new Error("no code");
      const { params } = response;
      const more = { params, redirectUri: "https://nexus.example/cb", codeVerifier: "v", nonce: undefined };
      return client.exchangeCode({ server, profile, dpopKey, ...more });
    },
  ],
  [
    "a device",
    async (client) => {
      const more = { deviceCode: "d", codeVerifier: "v", expectsIdToken: false, signal };
      const outcome = await client.pollDevice({ server, profile, dpopKey, ...more });
      return outcome.kind === "granted" && outcome.tokenSet;
    },
  ],
])("lifetimes count from when the request was sent, however late its answer is read: %s", async (_, ask) => {
  const clock = new ManualClock(nowMs);
  let lateMs = 90_000;
  const body = {
    access_token: "a",
    token_type: "Bearer",
    expires_in: 3_600,
    refresh_token_expires_in: 7_200,
  };
  const outbound = async () => {
    // The process stands still with the answer in its socket.
    clock.advance(lateMs);
    const headers = new Headers({ "content-type": "application/json" });
    return { status: 200, headers, text: () => Promise.resolve(JSON.stringify(body)) };
  };
  const vault = new CredentialVault({ vault: new Vault(Buffer.alloc(32, 1)), databaseId: "d" });
  const client = new TokenEndpointClient({ vault, clock, outbound, sources: coreSources });
  expect(await ask(client)).toMatchObject({ expiresInMs: 3_510_000, refreshExpiresInMs: 7_110_000 });
  lateMs = 3_700_000;
  expect(await ask(client)).toMatchObject({ expiresInMs: 0 });
});
