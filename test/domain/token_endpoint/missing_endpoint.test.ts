import { expect, it } from "vitest";
import { CredentialVault } from "../../../src/domain/connections/credential_vault.js";
import { TokenEndpointClient } from "../../../src/domain/token_endpoint/token_endpoint_client.js";
import { manualAuthorizationServer } from "../../../src/oauth/authorization_server.js";
import { OutboundError } from "../../../src/outbound/outbound_fetch.js";
import { Secret } from "../../../src/runtime/secret.js";
import { Vault } from "../../../src/vault/vault.js";
import { coreSources } from "../../fakes/core_sources.js";
import { ManualClock } from "../../fakes/manual_clock.js";
import { aProfile, nowMs } from "../../samples.js";

const profile = aProfile({ clientId: "nexus", tokenUrl: "https://op.example/token" });

it.each([
  [404, true],
  [405, true],
  [410, true],
  [307, true],
  [400, false],
  [429, false],
  [503, false],
])("an answer of %i to a refresh puts the metadata in doubt: %s", async (status, isDoubted) => {
  const doubted: string[] = [];
  const outbound = () =>
    status === 307
      ? Promise.reject(new OutboundError("redirect", "after_send", "op.example", undefined, status))
      : Promise.resolve({ status, headers: new Headers(), text: () => Promise.resolve("{}") });
  const client = new TokenEndpointClient({
    ...{ outbound, clock: new ManualClock(nowMs), sources: coreSources },
    vault: new CredentialVault({ vault: new Vault(Buffer.alloc(32, 1)), databaseId: "d" }),
    servers: { doubt: ({ id }) => void doubted.push(id) },
  });
  const refreshed = client.refresh({
    ...{ server: manualAuthorizationServer(profile), profile, refreshToken: new Secret("r") },
    ...{ subject: undefined, userId: "ada", label: "", scopes: [], grantedScopes: [] },
    ...{ boundTo: undefined, dpopKey: undefined },
  });
  await expect(refreshed).rejects.toMatchObject({ httpStatus: status });
  expect(doubted).toEqual(isDoubted ? [profile.id] : []);
});
