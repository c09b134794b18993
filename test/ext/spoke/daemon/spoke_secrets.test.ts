import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { Role } from "../../../../src/gen/nexus/v1/access_pb.js";
import { LocalDaemon, started } from "../../../daemon/daemon_at.js";
import { failureOf } from "../../../daemon/errors.js";
import { Watcher } from "../../../daemon/harness.js";
import { ScriptedWorld } from "../../../daemon/scripted_world.js";
import { TcpProxy } from "../../../fakes/tcp_proxy.js";
import { perSuite } from "../../../lifetimes.js";
import { json } from "../../../oauth/scripted_server.js";
import { filesOf } from "../../../security/canaries.js";
import { fileOf, spokeSettings } from "./spokes.js";

const hub = perSuite(() => ScriptedWorld.make());
/** Before the hub. */
let link: TcpProxy;
/** What came back through it. */
let answers = "";
let spoke: LocalDaemon;
let tokenFile: string;
let longLived: string;
let shortLived: string;
let endless: string;

beforeAll(async () => {
  longLived = await hub.connect(await hub.register());
  const short = { access_token: "access-77-secret", refresh_token: "refresh-77-secret" };
  hub.answerToken = () => json({ ...short, token_type: "Bearer", expires_in: 600 });
  shortLived = await hub.connect(await hub.register());
  hub.answerToken = () => json({ access_token: "access-78-secret", token_type: "Bearer" });
  endless = await hub.connect(await hub.register());
  link = await TcpProxy.tcp(Number(new URL(hub.place.httpUrl).port));
  link.onAnswer = (bytes) => {
    answers += bytes.toString("latin1");
  };
  const restriction = { userIds: ["*"] };
  const { key } = await hub.clients.access.createApiKey({ name: "spoke", role: Role.AGENT, restriction });
  tokenFile = fileOf(key);
  spoke = await started(
    LocalDaemon,
    spokeSettings([`http://127.0.0.1:${link.port}`], { NEXUS_UPSTREAM_TOKEN_FILE: tokenFile }),
  );
}, 60_000);

afterAll(async () => {
  await spoke?.stop();
  await link?.close();
});

it("gets access tokens and no refresh token, and has nothing of them in clear on its disk", async () => {
  const { token } = await spoke.clients.tokens.getToken({ connectionId: longLived });
  expect(token?.credentials).toEqual({ access_token: "access-1-secret" });
  expect(answers.includes("access-1-secret")).toBe(true);
  expect(answers.includes("access-77-secret")).toBe(true);
  const texts = [...filesOf(spoke.place.config.dataDir)].map(([, bytes]) => bytes.toString("latin1"));
  // What is looked at is what holds the copy.
  expect(texts.some((text) => text.includes(longLived))).toBe(true);
  for (const kind of ["access", "refresh"]) {
    for (const count of [1, 77]) {
      const canary = `${kind}-${count}-secret`;
      expect([canary, texts.some((text) => text.includes(canary))]).toEqual([canary, false]);
      if (kind === "refresh") expect([canary, answers.includes(canary)]).toEqual([canary, false]);
    }
  }
  expect(answers.includes("the-client-secret")).toBe(false);
});

it("goes on with a key that is put into its file, when the one before is revoked", async () => {
  const restriction = { userIds: ["*"] };
  const { key } = await hub.clients.access.createApiKey({ name: "next", role: Role.AGENT, restriction });
  writeFileSync(tokenFile, `${key}\n`);
  await hub.clients.access.revokeApiKey({ key: { case: "name", value: "spoke" } });
  await hub.clients.connections.requestConnection({
    ...{
      userId: "late",
      provider: {
        case: "providerId",
        value: (await hub.clients.providers.listProviders({})).providers[0]?.id ?? "",
      },
    },
    returnUrl: "http://127.0.0.1:3999/back",
  });
  const seen = async () =>
    (await spoke.clients.connections.listConnections({ userId: "late" })).connections.length;
  await expect.poll(() => seen().catch(() => 0), { timeout: 20_000 }).toBe(1);
  await expect.poll(async () => (await spoke.status())?.connected, { timeout: 20_000 }).toBe(true);
}, 60_000);

it("says in its status when the hub knows it no more, and serves on", async () => {
  await hub.clients.access.revokeApiKey({ key: { case: "name", value: "next" } });
  const trouble = async () => (await spoke.status())?.trouble;
  await expect.poll(trouble, { timeout: 20_000 }).toContain("the hub does not know who this spoke is");
  expect((await spoke.clients.tokens.getToken({ connectionId: longLived })).token?.revision).toBe(1n);
  const refused = await failureOf(spoke.clients.tokens.refreshToken({ connectionId: longLived }));
  expect(refused).toMatchObject({ code: "Unavailable" });
  expect(refused.message).toContain("nothing was done: the hub does not know who this spoke is");
  expect(spoke.output).toContain("the hub refuses this spoke");
}, 60_000);

it("tells watchers when a token ends that no hub renews, and says why there is none", async () => {
  await link.close();
  const watcher = new Watcher(spoke.clients.tokens, { connectionIds: [shortLived] });
  await watcher.state(({ token }) => token !== undefined);
  spoke.clock.aheadMs = 600_000;
  const { token, revision } = await watcher.state((state) => state.token === undefined);
  expect([token, revision]).toEqual([undefined, 1n]);
  const refused = await failureOf(spoke.clients.tokens.getToken({ connectionId: shortLived }));
  expect(refused).toMatchObject({ code: "Unavailable", retryMs: 2_000 });
  expect(refused.message).toContain("no hub of this spoke can be reached");
  expect((await spoke.clients.tokens.getToken({ connectionId: longLived })).token?.revision).toBe(1n);
  watcher.cancel();
}, 60_000);

it("serves no credential without an end when no hub was heard for an hour", async () => {
  expect((await spoke.clients.tokens.getToken({ connectionId: endless })).token?.revision).toBe(1n);
  await spoke.stop();
  const read = (connectionId: string) => spoke.clients.tokens.getToken({ connectionId });
  const path = join(spoke.place.config.dataDir, "upstream.json");
  const held = JSON.parse(readFileSync(path, "utf8"));
  writeFileSync(path, JSON.stringify({ ...held, lastContactAtMs: held.lastContactAtMs - 3_700_000 }));
  await spoke.start();
  expect((await failureOf(read(endless))).code).toBe("Unavailable");
  expect(spoke.output).toContain("no message of a hub for an hour");
  const ready = await fetch(`${spoke.opsUrl}/readyz`);
  expect(ready.status).toBe(503);
  expect((await read(longLived)).token?.revision).toBe(1n);
}, 60_000);
