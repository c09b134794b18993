import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { ConnectionStatus } from "../../src/gen/nexus/v1/connection_pb.js";
import { perSuite } from "../lifetimes.js";
import { processes } from "../processes.js";
import { World } from "./harness.js";

describe("a second client, over Connect JSON with plain fetch", () => {
  const world = perSuite(() => World.make());
  let connectionId: string;
  beforeAll(async () => {
    connectionId = await world.connect(await world.register());
  });
  const post = async (path: string, body: object, headers: Record<string, string> = {}) => {
    const response = await fetch(`${world.place.httpUrl}/nexus.v1.${path}`, {
      method: "POST",
      headers: { "content-type": "application/json", ...headers },
      body: JSON.stringify(body),
    });
    return { status: response.status, body: (await response.json()) as Record<string, never> };
  };
  const keyed = (path: string, body: object) => post(path, body, { "x-api-key": world.place.apiKey });

  it("reads the token with the key, by either header", async () => {
    const answer = await keyed("TokenService/GetToken", { connectionId });
    expect(answer.status).toBe(200);
    expect(answer.body).toMatchObject({
      token: {
        revision: "1",
        grantedScopes: ["openid", "email"],
        strategy: { oauth2: { headerName: "Authorization" } },
      },
    });
    const bearer = await post(
      "TokenService/GetToken",
      { connectionId },
      { authorization: `Bearer ${world.place.apiKey}` },
    );
    expect(bearer).toEqual(answer);
  });

  it.each([
    ["TokenService/GetToken", { connectionId: "x" }, 400, "invalid_argument"],
    ["TokenService/GetToken", { connectionId: "00000000-0000-4000-8000-000000000000" }, 404, "not_found"],
    ["TokenService/GetToken", { connection: 1 }, 400, "invalid_argument"],
    ["AuditService/ListAuditEvents", { pageToken: "%" }, 400, "invalid_argument"],
    ["NexusService/GetToken", {}, 400, "invalid_argument"],
    ["ConnectionService/ImportConnection", {}, 400, "invalid_argument"],
    [
      "ConnectionService/ImportConnection",
      { providerId: "00000000-0000-4000-8000-000000000000", refreshToken: "t" },
      404,
      "not_found",
    ],
  ])("answers %s with %j by %i", async (path, body, status, code) => {
    const answer = await keyed(path, body);
    expect([answer.status, answer.body["code"]]).toEqual([status, code]);
  });

  it("watches over HTTP/1.1", async () => {
    const stop = new AbortController();
    const payload = Buffer.from("{}");
    const envelope = Buffer.concat([Buffer.from([0, 0, 0, 0, payload.length]), payload]);
    const response = await fetch(`${world.place.httpUrl}/nexus.v1.TokenService/WatchTokens`, {
      method: "POST",
      headers: { "content-type": "application/connect+json", "x-api-key": world.place.apiKey },
      body: envelope,
      signal: stop.signal,
    });
    expect(response.status).toBe(200);
    const reader = response.body?.getReader();
    let text = "";
    while (!text.includes('"bookmark"'))
      text += Buffer.from((await reader?.read())?.value ?? []).toString("utf8");
    expect(text).toContain(connectionId);
    stop.abort();
  });

  it("answers probes and metrics", async () => {
    expect((await fetch(`${world.place.opsUrl}/livez`)).status).toBe(200);
    expect((await fetch(`${world.place.opsUrl}/readyz`)).status).toBe(200);
    const metrics = await (await fetch(`${world.place.opsUrl}/metrics`)).text();
    expect(metrics).toMatch(/nexus_connections\{status="active"\} 1/);
    expect(metrics).toMatch(
      /nexus_rpc_requests_total\{method="nexus\.v1\.TokenService\/GetToken",code="ok",listener="http"\} /,
    );
  });

  it("keeps every secret out of logs, errors, metrics, arguments and files", async () => {
    const { token } = await world.clients.tokens.refreshToken({ connectionId });
    await world.provider.revokeAllGrants();
    await keyed("TokenService/RefreshToken", { connectionId });
    const { connection } = await world.clients.connections.getConnection({ connectionId });
    expect(connection?.status).toBe(ConnectionStatus.ATTENTION);

    const secrets = {
      accessToken: token?.credentials["access_token"] ?? "",
      clientSecret: world.provider.clients.post.clientSecret,
      apiKey: world.place.apiKey,
      encryptionKey: readFileSync(join(world.place.config.dataDir, "encryption.key"), "utf8").trim(),
    };
    const files = readdirSync(world.place.config.dataDir).filter((name) => !/\.(key|sock)$/.test(name));
    const places: Record<string, string> = {
      log: world.place.logLines.join(""),
      metrics: await (await fetch(`${world.place.opsUrl}/metrics`)).text(),
      arguments: processes()
        .map(({ command }) => command)
        .join("\n"),
    };
    for (const name of files) places[name] = readFileSync(join(world.place.config.dataDir, name), "latin1");
    expect(files).toContain("nexus.mdb");
    for (const [place, text] of Object.entries(places)) {
      expect(text.length).toBeGreaterThan(0);
      for (const [name, secret] of Object.entries(secrets)) {
        expect(secret.length).toBeGreaterThan(16);
        expect(text.includes(secret), `${name} in ${place}`).toBe(false);
      }
    }
  });
});
