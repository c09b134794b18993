import { expect, test } from "vitest";
import { plainOAuth2 } from "../../../src/model/providers/profile_fields.js";
import { manualAuthorizationServer } from "../../../src/oauth/authorization_server.js";
import { authorizeDevice } from "../../../src/oauth/grants/device_authorization.js";
import { pollDevice } from "../../../src/oauth/grants/device_grant.js";
import { createOutboundFetch } from "../../../src/outbound/outbound_fetch.js";
import { Secret } from "../../../src/runtime/secret.js";
import { loopbackNetworks } from "../../fakes/loopback_networks.js";
import { ManualClock } from "../../fakes/manual_clock.js";
import { perTest } from "../../lifetimes.js";
import { json, startScriptedServer } from "../scripted_server.js";

const server = perTest(() => startScriptedServer());
const clock = perTest(() => new ManualClock(Date.UTC(2031, 4, 1)));
const tokens = { access_token: "at", token_type: "Bearer", expires_in: 3_600, refresh_token: "rt" };

type Method = "client_secret_basic" | "client_secret_post" | "none";

function requestOf(method: Method) {
  const clientSecret = method === "none" ? undefined : new Secret("s");
  return {
    server: manualAuthorizationServer({
      issuer: server.origin,
      authUrl: `${server.origin}/auth`,
      tokenUrl: `${server.origin}/token`,
      jwksUrl: `${server.origin}/jwks`,
    }),
    client: { clientId: "the client", clientSecret, method },
    options: plainOAuth2,
    clock,
    fetch: createOutboundFetch({ networks: loopbackNetworks }),
  };
}
const poll = (method: Method) =>
  pollDevice({ ...requestOf(method), deviceCode: "d", codeVerifier: undefined, expectsIdToken: true });

test.each<Method>(["client_secret_basic", "client_secret_post", "none"])(
  "client_id is in the form, once, by %s",
  async (method) => {
    server.script = json({
      ...{ device_code: "d", user_code: "u", verification_uri: "https://op.example/device", expires_in: 60 },
    });
    const endpoint = `${server.origin}/device`;
    await authorizeDevice({ ...requestOf(method), endpoint, scopes: ["openid"], codeChallenge: undefined });
    server.script = json(tokens);
    await poll(method);
    expect(server.requests.map(({ form }) => form.getAll("client_id"))).toEqual([
      ["the client"],
      ["the client"],
    ]);
  },
);

test("an id_token that does not come is not missed, and one that comes is verified", async () => {
  server.script = json(tokens);
  const outcome = await poll("none");
  expect(outcome).toMatchObject({ kind: "granted", tokenSet: { idToken: undefined, subject: undefined } });
  server.script = json({ ...tokens, id_token: "x" });
  await expect(poll("none")).rejects.toMatchObject({ reason: "id_token_verification_failed" });
});
