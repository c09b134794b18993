import { describe, expect, it, test } from "vitest";
import { askForChallenge, challengeOf } from "../../../src/ext/mcp_servers/resource_challenge.js";
import { createOutboundFetch } from "../../../src/outbound/outbound_fetch.js";
import { loopbackNetworks } from "../../fakes/loopback_networks.js";
import { perTest } from "../../lifetimes.js";
import { json, type Script, startScriptedServer } from "../../oauth/scripted_server.js";

const none = { metadataUrl: undefined, scopes: undefined };
const metadataUrl = "https://a.example/prm";

test.each([
  ["", none],
  ["Bearer", none],
  [`Bearer resource_metadata="${metadataUrl}"`, { metadataUrl, scopes: undefined }],
  [`bearer scope="a b a", resource_metadata="${metadataUrl}"`, { metadataUrl, scopes: ["a", "b"] }],
  [`Basic realm="x", Bearer scope="a"`, { metadataUrl: undefined, scopes: ["a"] }],
  [`DPoP algs="ES256", resource_metadata="${metadataUrl}"`, { metadataUrl, scopes: undefined }],
  [`Bearer scope="a\\"b c"`, { metadataUrl: undefined, scopes: ["c"] }],
  [`Bearer scope=""`, none],
  ["Bearer \u0001=", none],
  [`Negotiate abc, Bearer error="invalid_token"`, none],
  [`Basic resource_metadata="${metadataUrl}"`, none],
])("the challenge %j says %j", async (header, expected) => {
  expect(await challengeOf(header)).toEqual(expected);
});

describe("an MCP server that is asked without a token", () => {
  const server = perTest(() => startScriptedServer());
  const ask = (timeoutMs = 10_000) =>
    askForChallenge(`${server.origin}/mcp`, createOutboundFetch({ networks: loopbackNetworks, timeoutMs }));

  it.each([401, 403])("answers %i with its challenge", async (status) => {
    server.script = json({}, status, { "www-authenticate": `Bearer scope="a"` });
    expect(await ask()).toEqual({ metadataUrl: undefined, scopes: ["a"] });
    const [request] = server.requests;
    expect(request).toMatchObject({ method: "POST", path: "/mcp" });
    expect(request?.headers["authorization"]).toBeUndefined();
  });

  it.each<[name: string, script: Script]>([
    ["answers without one", json({}, 401)],
    ["wants no token", json({ jsonrpc: "2.0", id: 1, result: { tools: [] } })],
    ["knows no such method", json({}, 405, { "www-authenticate": `Bearer scope="a"` })],
    [
      "answers by a stream that does not end",
      (response) => void response.writeHead(200).write("data: x\n\n"),
    ],
    ["answers more than is read", json({ pad: "a".repeat(300_000) })],
  ])("has no challenge when it %s", async (_name, script) => {
    server.script = script;
    expect(await ask(300)).toEqual(none);
  });

  it("is not followed elsewhere", async () => {
    server.script = json("", 307, { location: "/other" });
    await expect(ask()).rejects.toMatchObject({ reason: "redirect" });
    expect(server.requests).toHaveLength(1);
  });
});
