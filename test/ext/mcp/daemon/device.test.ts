import { describe, expect, it } from "vitest";
import { registered, requestOf } from "../../../daemon/requests.js";
import { perSuite } from "../../../lifetimes.js";
import { McpWorld } from "./mcp_world.js";

const television = {
  client_id: "television",
  client_secret: "a secret of the television, long enough",
  token_endpoint_auth_method: "client_secret_post" as const,
  redirect_uris: [],
  response_types: [],
  grant_types: ["urn:ietf:params:oauth:grant-type:device_code", "refresh_token"],
};

describe("nexusd mcp with a device authorization", { timeout: 60_000 }, () => {
  const mcp = perSuite(() => McpWorld.make({ clients: [television] }));

  it("shows the code and its page in place of a link", async () => {
    const { clients, provider } = mcp.world;
    await registered(clients, {
      name: "op",
      clientId: television.client_id,
      clientSecret: television.client_secret,
      issuer: provider.issuer,
      enableDiscovery: true,
      scopes: ["openid"],
    });
    const asked = await clients.connections.requestConnection(requestOf("op", { device: true }));
    const given = { transport: "stdio", revision: "2025-11-25" } as const;
    const plain = await mcp.client(given);
    const answer = await plain.data("connect", { provider: "op" });
    expect(answer).toMatchObject({
      status: "waiting_for_person",
      verification_uri: asked.verificationUri,
      user_code: asked.userCode,
      verification_uri_complete: asked.verificationUriComplete,
    });
    expect(answer).not.toHaveProperty("auth_url");
    const shown: string[] = [];
    const asking = await mcp.client({
      ...given,
      onLink: (url, message) => {
        shown.push(url, message);
        return "cancel";
      },
    });
    expect(await asking.data("connect", { provider: "op" })).toMatchObject({ status: "declined" });
    expect(shown).toEqual([asked.verificationUriComplete, expect.stringContaining(asked.userCode)]);
  });
});
