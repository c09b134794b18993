import { randomBytes } from "node:crypto";
import { copyFileSync, existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it, onTestFinished } from "vitest";
import { DaemonProcess } from "../../../daemon/daemon_process.js";
import { failureOf } from "../../../daemon/errors.js";
import { clientsOf } from "../../../daemon/harness.js";
import { registered } from "../../../daemon/requests.js";
import { Postgres } from "../../../fakes/postgres.js";
import { freePort } from "../../../free_port.js";
import { perTest } from "../../../lifetimes.js";
import { has, needs } from "../../../needs.js";
import { sweptFolder } from "../../../run_folder.js";
import { temporaryFolder } from "../../../temporary_folder.js";
import { Hubs } from "./hubs.js";

const postgres = perTest(async () => (has("postgresql") ? await Postgres.start() : ({} as Postgres)));

async function environmentOf(folder: string): Promise<NodeJS.ProcessEnv> {
  return {
    NEXUS_DATA_DIR: folder,
    NEXUS_LOG_FORMAT: "json",
    NEXUS_HTTP_LISTEN: "off",
    NEXUS_OPS_LISTEN: "off",
    NEXUS_CONSOLE_LISTEN: "off",
    NEXUS_BROWSER_LISTEN: `127.0.0.1:${await freePort()}`,
  };
}

const unverified = "postgres://nexus@127.0.0.1/nexus?sslmode=require";

async function readOnly(primary: Postgres): Promise<string> {
  await primary.query("ALTER ROLE nexus SET default_transaction_read_only = on", "postgres");
  return primary.url();
}

async function standbyOf(primary: Postgres): Promise<Postgres> {
  const standby = await primary.standby();
  onTestFinished(() => standby.close());
  return standby;
}

async function ended(environment: NodeJS.ProcessEnv, ...args: string[]) {
  const process = new DaemonProcess(environment, args);
  return { code: await process.exited, output: process.output };
}

it("makes a daemon's folder the fleet's, which a hub with an empty one copies", async (context) => {
  needs(context, "postgresql");
  const alone = sweptFolder();
  const environment = await environmentOf(alone);
  const daemon = new DaemonProcess(environment);
  await daemon.ready();
  await registered(clientsOf(join(alone, "nexus.sock")), {
    name: "acme",
    authType: 2,
    credentialSchema: { type: "object", required: ["api_key"], properties: { api_key: { type: "string" } } },
  } as never);
  const store = { NEXUS_STORE: postgres.url() };
  expect(await ended({ ...environment, ...store }, "fleet", "init", "--from", alone)).toMatchObject({
    code: 10,
  });
  await daemon.kill("SIGTERM");

  const begun = await ended({ ...environment, ...store }, "fleet", "init", "--from", alone);
  expect(begun).toMatchObject({ code: 0, output: expect.stringContaining("taken-into-fleet") });
  expect(readdirSync(alone)).not.toContain("nexus.mdb");
  expect(await ended({ ...environment, ...store }, "fleet", "init")).toMatchObject({
    code: 15,
    output: expect.stringContaining("has a fleet already"),
  });

  const folder = sweptFolder();
  const hub = new DaemonProcess({
    ...(await environmentOf(folder)),
    ...store,
    NEXUS_ENCRYPTION_KEY_FILE: join(alone, "encryption.key"),
    NEXUS_FLEET_LISTEN: `127.0.0.1:${await freePort()}`,
  });
  await hub.ready();
  const { providers } = await clientsOf(join(folder, "nexus.sock")).providers.listProviders({});
  expect(providers.map(({ name }) => name)).toEqual(["acme"]);
  await hub.kill("SIGKILL");
}, 60_000);

it.for<[string, (primary: Postgres) => Promise<string>, string]>([
  ["a standby", async (primary) => (await standbyOf(primary)).url(), "is a standby"],
  ["a read-only server", readOnly, "is read-only"],
  ["less than verified TLS beyond a socket", async () => unverified, "verify-full"],
])(
  "nothing starts on %s, and each command says what to do",
  { timeout: 120_000 },
  async ([, place, words], context) => {
    needs(context, "postgresql");
    const hub = {
      ...(await environmentOf(sweptFolder())),
      NEXUS_STORE: await place(postgres),
      NEXUS_FLEET_LISTEN: `127.0.0.1:${await freePort()}`,
      NEXUS_ENCRYPTION_KEY: Buffer.alloc(32, 7).toString("base64"),
    };
    for (const command of [["serve"], ["fleet", "init"], ["fleet", "migrate"]])
      expect(await ended(hub, ...command)).toMatchObject({
        code: 15,
        output: expect.stringContaining(words),
      });
  },
);

it("refuses a database that is no fleet, and a hub without the keys", async (context) => {
  needs(context, "postgresql");
  const folder = sweptFolder();
  const hub = {
    ...(await environmentOf(folder)),
    NEXUS_STORE: postgres.url(),
    NEXUS_FLEET_LISTEN: `127.0.0.1:${await freePort()}`,
    NEXUS_ENCRYPTION_KEY: Buffer.alloc(32, 7).toString("base64"),
  };
  expect(await ended(hub, "serve")).toMatchObject({
    code: 15,
    output: expect.stringContaining("nexusd fleet init"),
  });
  expect(await ended(hub, "fleet", "init")).toMatchObject({ code: 0 });
  expect(await ended(hub, "fleet", "migrate")).toMatchObject({
    code: 0,
    output: expect.stringMatching(/3 already/),
  });
  const { output } = await ended(hub, "fleet", "migrate", "--contract", "--json");
  const layouts = { layout_before: 3, layout: 3, min_layout_before: 3, min_layout: 3 };
  expect(JSON.parse(output)).toEqual(layouts);
  const wrong = { ...hub, NEXUS_ENCRYPTION_KEY: Buffer.alloc(32, 8).toString("base64") };
  expect(await ended(wrong, "serve")).toMatchObject({ code: 11 });
  expect(existsSync(join(folder, "encryption.key"))).toBe(false);
  await postgres.query("UPDATE nexus.layout SET layout = 0, min_layout = 0");
  expect(await ended(hub, "serve")).toMatchObject({
    code: 15,
    output: expect.stringMatching(
      /are of layout 0, and this nexusd needs layout 3: run nexusd fleet migrate/,
    ),
  });
  // Its tables are for `fleet migrate` alone.
  expect(await ended(hub, "fleet", "init")).toMatchObject({
    code: 15,
    output: expect.stringContaining("has a fleet already"),
  });
  expect(await postgres.query("SELECT layout FROM nexus.layout")).toEqual([{ layout: 0 }]);
  await postgres.query("UPDATE nexus.layout SET layout = 4, min_layout = 4");
  expect(await ended(hub, "serve")).toMatchObject({
    code: 15,
    output: expect.stringMatching(
      /takes hubs of layout 4 or newer, and this nexusd knows layout 3: start a newer/,
    ),
  });
}, 60_000);

it("a hub whose database is that of another fleet keeps its copy, and ends", async (context) => {
  needs(context, "postgresql");
  const hubs = await Hubs.start({ count: 1 });
  try {
    const hub = await hubs.leader();
    await hub.daemon.kill("SIGTERM");
    const path = join(hub.environment["NEXUS_DATA_DIR"] ?? "", "nexus.mdb");
    const before = readFileSync(path);
    await hubs.postgres.query("DROP SCHEMA nexus CASCADE");
    await hubs.command("fleet", "init");
    const daemon = new DaemonProcess(hub.environment, ["serve"]);
    expect(await daemon.exited).toBe(15);
    expect(daemon.output).toContain("the database is that of another fleet than the copy in");
    expect(readFileSync(path).equals(before)).toBe(true);
  } finally {
    await hubs.close();
  }
}, 120_000);

it("a key is rotated to when every hub holds it, and not before", async (context) => {
  needs(context, "postgresql");
  const folder = temporaryFolder();
  const key = `${randomBytes(32).toString("base64")}\n`;
  // A ring of its own for each hub, as where they come from different machines.
  const ringOf = (index: number): string => join(folder, `ring-${index}`);
  for (const index of [0, 1]) writeFileSync(ringOf(index), key, { mode: 0o600 });
  const hubs = await Hubs.start({
    count: 2,
    environment: { NEXUS_ENCRYPTION_KEY: undefined },
    own: (index) => ({ NEXUS_ENCRYPTION_KEY_FILE: ringOf(index) }),
  });
  try {
    const { leader, follower } = await hubs.pair();
    const members = async () => (await leader.clients.status.getStatus({})).fleet?.members.length;
    await expect.poll(members, { timeout: 20_000 }).toBe(2);
    const urls = { authUrl: "https://acme.example/authorize", tokenUrl: "https://acme.example/token" };
    const secret = { clientId: "the-client", clientSecret: "sealed-with-the-first-key" };
    await registered(follower.clients, { name: "acme", ...urls, ...secret } as never);
    const { keyId } = await follower.clients.keyring.addKey({});

    const refused = await failureOf(follower.clients.keyring.rotateKeyring({ keyId }));
    expect(refused).toMatchObject({ code: "FailedPrecondition", reason: "KEY_SOURCE" });
    expect(refused.message).toContain(
      `not every hub holds key ${keyId}: give it to ${follower.address} first`,
    );
    // As soon as the leader's next heartbeat names its new key.
    const told = () => hubs.command("fleet");
    await expect.poll(told, { timeout: 20_000 }).toContain(`${follower.address} lacks key ${keyId}`);

    // The one that has it gives it to the other, which finds it by itself.
    copyFileSync(ringOf(hubs.all.indexOf(leader)), ringOf(hubs.all.indexOf(follower)));
    const rotated = () =>
      follower.clients.keyring.rotateKeyring({ keyId }).then(
        () => "rotates",
        () => "refused",
      );
    await expect.poll(rotated, { timeout: 30_000 }).toBe("rotates");
    for (const { clients } of hubs.all) {
      const sealed = async () => {
        const { keyring } = await clients.keyring.getKeyring({});
        return keyring?.keys.map((each) => [each.keyId === keyId && each.primary, each.records > 0n]);
      };
      await expect.poll(sealed).toEqual([
        [false, false],
        [true, true],
      ]);
    }
  } finally {
    await hubs.close();
  }
}, 120_000);
