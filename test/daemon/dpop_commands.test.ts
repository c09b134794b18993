import { createClient } from "@connectrpc/connect";
import { beforeAll, describe, expect, it } from "vitest";
import { run } from "../../src/cli/program.js";
import { SecretDiscoveryService } from "../../src/gen/envoy/service/secret/v3/sds_pb.js";
import { DpopMode } from "../../src/gen/nexus/v1/provider_pb.js";
import { fakeShell } from "../cli/fake_shell.js";
import { perSuite } from "../lifetimes.js";
import { socketTransport, World } from "./harness.js";
import { consented, registeredAt, requestOf } from "./requests.js";
import { secretsOf } from "./secret_watcher.js";

describe("the commands that hand out credentials", () => {
  const world = perSuite(() => World.make({ dpop: {} }));
  let connectionId: string;
  beforeAll(async () => {
    const { issuer, userinfoEndpoint } = world.provider;
    const more = {
      apiBaseUrl: issuer,
      userInfoEndpoint: userinfoEndpoint,
      oauth2Options: { dpop: DpopMode.ALWAYS },
    };
    await registeredAt(world.provider, world.clients, { scopes: ["openid", "email"], ...more });
    connectionId = await consented(world.clients, requestOf("op"));
  });

  async function nexusd(...args: string[]): Promise<{ code: number; out: string; err: string }> {
    const shell = fakeShell({ env: { NEXUS_DATA_DIR: world.place.config.dataDir } });
    const code = await run(args, shell);
    return { code, out: shell.out(), err: shell.err() };
  }

  it("curl proves the key, and answers the nonce of the API within one command", async () => {
    const path = new URL(world.provider.userinfoEndpoint).pathname;
    const sent = await nexusd("curl", connectionId, path, "-f");
    expect([sent.code, JSON.parse(sent.out)]).toEqual([0, expect.objectContaining({ sub: "ada" })]);
  });

  it.each([
    ["token", ["token"], /DPoP.*nexusd curl/],
    ["token, as a header", ["token", "--format", "header"], /each request needs a proof/],
    ["token, for kubectl", ["token", "--format", "kubectl-exec"], /DPoP/],
    ["token, as a netrc line", ["token", "--format", "netrc", "--host", "api.example"], /DPoP/],
  ])("%s refuses what would be taken for a bearer token", async (_name, args, says) => {
    const refused = await nexusd(...args, connectionId);
    expect([refused.code, refused.out]).toEqual([1, ""]);
    expect(refused.err).toMatch(says);
  });

  it("token gives the token alone to whom names it, and says what it is in JSON", async () => {
    const { token } = await world.clients.tokens.getToken({ connectionId });
    expect((await nexusd("token", `${connectionId}.access_token`)).out).toBe(
      `${token?.credentials["access_token"]}\n`,
    );
    expect(JSON.parse((await nexusd("token", "--json", connectionId)).out)).toMatchObject({
      token_type: "DPoP",
    });
  });

  it("the account of the consent was asked for with a proof too", async () => {
    const { connection } = await world.clients.connections.getConnection({ connectionId });
    expect(connection?.account).toMatchObject({ subject: "ada", email: "ada@example.test" });
  });

  it("no secret of a proxy has it, since a secret cannot prove", async () => {
    const transport = socketTransport(world.place.socket);
    const names = ["bearer", "token", "header"].map((kind) => `nexus/${connectionId}/${kind}`);
    const secrets = createClient(SecretDiscoveryService, transport);
    const fetched = secretsOf(await secrets.fetchSecrets({ resourceNames: names }));
    expect(fetched).toEqual(Object.fromEntries(names.map((name) => [name, ""])));
    const said = world.place.logLines.filter((line) => line.includes("a secret that cannot be made"));
    expect(said.join()).toContain("use external authorization");
  });
});
