import { spawn } from "node:child_process";
import { existsSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import { Connector } from "../../../../src/ext/fleet/database/connection/connector.js";
import {
  FleetUnreachable,
  type RefusalReason,
} from "../../../../src/ext/fleet/database/connection/fleet_error.js";
import { layout } from "../../../../src/ext/fleet/database/connection/layouts.js";
import { probe } from "../../../../src/ext/fleet/database/connection/probe.js";
import { initialise } from "../../../../src/ext/fleet/database/initialise.js";
import { migrate } from "../../../../src/ext/fleet/database/migrations.js";
import { SystemClock } from "../../../../src/runtime/clock.js";
import { Authority } from "../../../fakes/certificates.js";
import { Postgres, serverUser } from "../../../fakes/postgres.js";
import { perSuite } from "../../../lifetimes.js";
import { has, needs } from "../../../needs.js";
import { temporaryFolder } from "../../../temporary_folder.js";
import { aFleetBedOn } from "./fleet_bed.js";
import { databaseId, firstEpoch } from "./samples.js";

const authority = new Authority("Database CA");
const issued = authority.issue({ subject: [["CN", "db"]], dns: ["db.test"], ips: ["127.0.0.1"] });
const bed = aFleetBedOn(() => Postgres.start({ tls: issued }));

function connector(url = bed.postgres.url()): Connector {
  return new Connector(url, new SystemClock());
}

test.each<[string, string, string, RefusalReason]>([
  [
    "read-only by its default",
    "ALTER ROLE nexus SET default_transaction_read_only = on",
    "ALTER ROLE nexus RESET default_transaction_read_only",
    "read_only",
  ],
  ["without tables", "ALTER SCHEMA nexus RENAME TO elsewhere", "", "old_layout"],
  ["of an older layout", "UPDATE nexus.layout SET layout = 0", "", "old_layout"],
  ["of a newer layout", "UPDATE nexus.layout SET layout = 9, min_layout = 9", "", "new_layout"],
  ["without a store", "DELETE FROM nexus.head", "", "not_initialised"],
])("a database %s is refused", async (_, change, undo, reason) => {
  await bed.postgres.query(change);
  onTestFinished(async () => {
    if (undo !== "") await bed.postgres.query(undo);
    await bed.postgres.query("DROP SCHEMA IF EXISTS elsewhere CASCADE");
  });

  await expect(bed.connect()).rejects.toMatchObject({ name: "FleetRefused", reason });
});

test("tables of a newer version that still take this one are used", async () => {
  await bed.postgres.query("UPDATE nexus.layout SET layout = 9, min_layout = 1");

  expect((await bed.connect()).verdict.databaseId).toBe(databaseId);
});

test("a standby is refused, and passed over where the primary is named too", async () => {
  const standby = await bed.postgres.standby();
  onTestFinished(() => standby.close());
  await expect(bed.connect({ url: standby.url() })).rejects.toMatchObject({ reason: "standby" });
  const both = `postgres://nexus@/nexus?host=${standby.folder},${bed.postgres.folder}&port=5432,${bed.postgres.port}`;
  const verdict = (await bed.connect({ url: both, position: bed.begin })).verdict;

  expect(verdict.history).toBe("known");
});

test("beside other hosts a standby is not refused but away, until one of them is the primary", {
  timeout: 60_000,
}, async () => {
  const standby = await bed.postgres.standby();
  onTestFinished(() => standby.close());
  const url = (...folders: string[]) => `postgres://nexus@/nexus?host=${folders}&port=${standby.port}`;
  const away = temporaryFolder();
  for (const hosts of [url(away, standby.folder), url(standby.folder, standby.folder)]) {
    const opened = bed.connect({ url: hosts });
    await expect(opened).rejects.toThrow(FleetUnreachable);
    await expect(opened).rejects.toThrow("is a standby");
  }
  await standby.promote();

  const { verdict } = await bed.connect({ url: url(away, standby.folder), position: bed.begin });
  expect(verdict.history).toBe("known");
});

test("a server that is away is unreachable, and passed over where another one is named", async () => {
  const away = temporaryFolder();
  await expect(bed.connect({ url: bed.postgres.url(away) })).rejects.toThrow(FleetUnreachable);

  await bed.connect({
    url: `postgres://nexus@/nexus?host=${away},${bed.postgres.folder}&port=${bed.postgres.port}`,
  });
});

test.each([
  [-7_000, 1],
  [7_000, 1],
  [-3_000, 0],
  [3_000, 0],
  [3_600_000, 1],
])("a clock that is %s ms off has %s obstacles to leading", async (offMs, obstacles) => {
  const clock = new SystemClock();
  const { verdict } = await bed.connect({
    clock: Object.assign(clock, { nowMs: () => Date.now() + offMs }),
  });

  expect(verdict.mayNotLead).toHaveLength(obstacles);
  expect(Math.abs(verdict.clockOffsetMs - offMs)).toBeLessThan(1_900);
});

test("it says whether commits wait for a standby", async () => {
  expect((await bed.connect()).verdict).toMatchObject({
    isSynchronous: false,
    warnings: [expect.stringContaining("synchronous_standby_names")],
  });
  await bed.postgres.set("synchronous_standby_names", "nobody");
  onTestFinished(() => bed.postgres.set("synchronous_standby_names", ""));
  await expect.poll(async () => (await bed.connect()).verdict.isSynchronous).toBe(true);
  expect((await bed.connect()).verdict.warnings).toEqual([]);
});

test("a role that owns more than its schema, and a superuser, are warned", async () => {
  await bed.postgres.query("CREATE TABLE public.more (); ALTER TABLE public.more OWNER TO nexus");
  onTestFinished(async () => void (await bed.postgres.query("DROP TABLE public.more")));
  const warning = expect.stringContaining("a role of its own");
  expect((await bed.connect()).verdict.warnings).toContainEqual(warning);
  const superuser = bed.postgres.url().replace("nexus@", "postgres@");

  expect((await bed.connect({ url: superuser })).verdict.warnings).toContainEqual(warning);
});

test.each([
  ["no position", () => undefined, "outrun"],
  ["the newest position", () => bed.begin, "known"],
  ["a position ahead", () => ({ ...bed.begin, position: 4n }), "diverged"],
  ["another batch at its position", () => ({ position: 0n, batchId: firstEpoch }), "diverged"],
  ["a position before the log", () => ({ ...bed.begin, position: -1n }), "outrun"],
])("with %s the history is judged", async (_, position, history) => {
  const mine = position();
  const { verdict } = await bed.connect(mine ? { position: mine } : {});

  expect(verdict).toMatchObject({ databaseId, epoch: firstEpoch, newest: 0n, history });
});

test("an empty log is diverged", async () => {
  await bed.postgres.query("TRUNCATE nexus.log");

  await expect(bed.connect({ position: bed.begin })).rejects.toMatchObject({ name: "FleetDiverged" });
});

test("beyond a socket the server's certificate and name are verified, and the password is asked", async () => {
  const folder = temporaryFolder();
  writeFileSync(join(folder, "ca"), authority.pem);
  writeFileSync(join(folder, "other"), new Authority("Other CA").pem);
  const url = (login: string, host: string, ca: string) =>
    `postgres://${login}@${host}:${bed.postgres.port}/nexus?sslmode=verify-full&sslrootcert=${join(folder, ca)}`;

  expect((await bed.connect({ url: url("nexus:nexus", "127.0.0.1", "ca") })).verdict.databaseId).toBe(
    databaseId,
  );
  expect((await bed.connect()).verdict.databaseId).toBe(databaseId);
  await expect(bed.connect({ url: url("nexus:wrong", "127.0.0.1", "ca") })).rejects.toMatchObject({
    reason: "login",
  });
  await expect(bed.connect({ url: url("nexus", "127.0.0.1", "ca") })).rejects.toThrow("password");
  await expect(bed.connect({ url: url("nexus:nexus", "127.0.0.1", "other") })).rejects.toThrow("certificate");
  await expect(bed.connect({ url: url("nexus:nexus", "localhost", "ca") })).rejects.toThrow("altnames");
});

test("the login is bound to the TLS channel where the URL asks for that, under the name that it gives", async () => {
  const ca = join(temporaryFolder(), "ca");
  writeFileSync(ca, authority.pem);
  const place = `127.0.0.1:${bed.postgres.port}/nexus?sslmode=verify-full&sslrootcert=${ca}`;
  const url = `postgres://nexus:nexus@${place}&channel_binding=require&application_name=hub-a`;
  const { session } = await connector(url).open("test");
  onTestFinished(() => session.close());
  const named = await bed.postgres.query(
    "SELECT 1 FROM pg_stat_activity WHERE application_name = 'hub-a test'",
  );
  expect(named).toHaveLength(1);
  // A proxy, or a password in another form, offers no binding.
  await bed.postgres.query("SET password_encryption = md5; ALTER ROLE nexus PASSWORD 'nexus'");
  await bed.postgres.acceptPasswords("md5");
  onTestFinished(async () => {
    await bed.postgres.query("ALTER ROLE nexus PASSWORD 'nexus'");
    await bed.postgres.acceptPasswords("scram-sha-256");
  });
  await expect(connector(url).open("test")).rejects.toMatchObject({
    ...{ reason: "login", message: expect.stringContaining("channel_binding=require") },
  });
});

test("what is there already is not initialised again, and not migrated twice", async () => {
  const store = { databaseId: firstEpoch, epoch: databaseId, entries: [[]] };
  await expect(initialise(connector(), store)).rejects.toMatchObject({ reason: "already_initialised" });
  const now = { layout, minLayout: layout };
  expect(await migrate(connector())).toEqual({ from: now, to: now });

  expect((await bed.connect({ position: bed.begin })).verdict).toMatchObject({
    databaseId,
    history: "known",
  });
});

test("an initialisation that was cut off leaves no fleet, and is begun again", async () => {
  await bed.postgres.query("DROP SCHEMA nexus CASCADE");
  expect(await migrate(connector())).toEqual({
    from: { layout: 0, minLayout: 0 },
    to: { layout, minLayout: layout },
  });
  const cut = async function* () {
    yield [{ database: "meta", key: new Uint8Array([1]), value: new Uint8Array([2]) }];
    throw new Error("the disk is away");
  };
  const store = { databaseId, epoch: firstEpoch };
  await expect(initialise(connector(), { ...store, entries: cut() })).rejects.toThrow("the disk is away");
  await expect(bed.connect()).rejects.toMatchObject({ reason: "not_initialised" });
  await initialise(connector(), { ...store, entries: [[]] });

  expect(await bed.postgres.query("SELECT * FROM nexus.entry")).toEqual([]);
});

test("of many migrations at once each finds the tables whole", async () => {
  await bed.postgres.query("DROP SCHEMA nexus CASCADE");
  const made = await Promise.all(Array.from({ length: 5 }, () => migrate(connector())));

  expect(made.filter(({ from }) => from.layout === 0)).toHaveLength(1);
});

test("a connection gives its client one statement at a time, whoever asks", async () => {
  const warnings: Error[] = [];
  const warned = (warning: Error): void => void warnings.push(warning);
  process.on("warning", warned);
  onTestFinished(() => void process.off("warning", warned));
  const { session } = await connector().open("test");
  onTestFinished(() => session.close());

  const failing = expect(session.query("SELECT 1 / 0")).rejects.toMatchObject({ code: "22012" });
  const rows = await Promise.all(
    [1, 2, 3].map((value) => session.query<{ value: number }>(`SELECT ${value} AS value`)),
  );
  await failing;

  expect(rows).toEqual([[{ value: 1 }], [{ value: 2 }], [{ value: 3 }]]);
  await new Promise(setImmediate);
  expect(warnings).toEqual([]);
});

describe("a pooler", () => {
  const ports = { session: 6432, transaction: 6433 };
  const postgres = perSuite(async () => (has("postgresql") ? await Postgres.start() : ({} as Postgres)));

  /** PgBouncer before the server. @returns a connector to it, and what changes its mode while it runs */
  async function pooled(mode: keyof typeof ports) {
    const { folder } = postgres;
    const port = ports[mode];
    const file = join(folder, `${mode}.ini`);
    const lines = (now: keyof typeof ports) => [
      "[databases]",
      `nexus = host=${folder} port=${postgres.port} dbname=nexus user=nexus`,
      "[pgbouncer]",
      ...[`pool_mode = ${now}`, `unix_socket_dir = ${folder}`, `listen_port = ${port}`, "auth_type = any"],
    ];
    const write = (now: keyof typeof ports) => writeFileSync(file, lines(now).join("\n"), { mode: 0o644 });
    write(mode);
    const socket = join(folder, `.s.PGSQL.${port}`);
    const bouncer = spawn("pgbouncer", [file], { ...serverUser(), stdio: "ignore" });
    const ended = new Promise((resolve) => bouncer.once("exit", resolve));
    onTestFinished(async () => {
      bouncer.kill("SIGKILL");
      await ended;
      rmSync(socket, { force: true });
    });
    await expect.poll(() => existsSync(socket)).toBe(true);
    const connector = new Connector(
      `postgres://nexus@/nexus?host=${encodeURIComponent(folder)}&port=${port}`,
      new SystemClock(),
    );
    const become = (now: keyof typeof ports): void => {
      write(now);
      bouncer.kill("SIGHUP");
    };
    return { connector, become };
  }

  test("a pooler that lends a server for a transaction is refused", async (context) => {
    needs(context, "postgresql");
    needs(context, "pgbouncer");
    const { connector } = await pooled("transaction");
    await expect(connector.open("test")).rejects.toMatchObject({
      reason: "pooled",
      message: expect.stringContaining("pool_mode = session"),
    });
  });

  test("a pooler that lends one for a session is as good as PostgreSQL itself", async (context) => {
    needs(context, "postgresql");
    needs(context, "pgbouncer");
    const { connector } = await pooled("session");
    expect((await migrate(connector)).to.layout).toBeGreaterThan(0);
  });

  test("a pooler that comes to lend a server for a transaction is refused by the connections that are there", async (context) => {
    needs(context, "postgresql");
    needs(context, "pgbouncer");
    const { connector, become } = await pooled("session");
    const opened = await Promise.all(Array.from({ length: 4 }, () => connector.open("test")));
    const sessions = opened.map(({ session }) => session);
    onTestFinished(() => {
      for (const session of sessions) session.close();
    });
    const asked = async () =>
      await Promise.allSettled(sessions.map((session) => probe(session, new SystemClock())));
    const refused = async () =>
      (await asked()).find((each) => each.status === "rejected" && each.reason.reason === "pooled");
    expect(await refused()).toBeUndefined();
    become("transaction");
    await expect.poll(refused).toBeDefined();
    expect(sessions.some(({ isOver }) => isOver)).toBe(true);
    await expect(connector.open("test")).rejects.toMatchObject({ reason: "pooled" });
  });
});
