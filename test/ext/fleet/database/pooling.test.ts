import { spawn } from "node:child_process";
import { existsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { Connector } from "../../../../src/ext/fleet/database/connection/connector.js";
import { migrate } from "../../../../src/ext/fleet/database/migrations.js";
import { SystemClock } from "../../../../src/runtime/clock.js";
import { Postgres, serverUser } from "../../../fakes/postgres.js";
import { perSuite } from "../../../lifetimes.js";
import { has, needs } from "../../../needs.js";

const ports = { session: 6432, transaction: 6433 };
const postgres = perSuite(async () => (has("postgresql") ? await Postgres.start() : ({} as Postgres)));

/** PgBouncer before the server. @returns a connector to it */
async function pooled(mode: "session" | "transaction"): Promise<Connector> {
  const { folder } = postgres;
  const port = ports[mode];
  const file = join(folder, `${mode}.ini`);
  const lines = [
    "[databases]",
    `nexus = host=${folder} port=${postgres.port} dbname=nexus user=nexus`,
    "[pgbouncer]",
    ...[`pool_mode = ${mode}`, `unix_socket_dir = ${folder}`, `listen_port = ${port}`, "auth_type = any"],
  ];
  writeFileSync(file, lines.join("\n"), { mode: 0o644 });
  const bouncer = spawn("pgbouncer", [file], { ...serverUser(), stdio: "ignore" });
  const ended = new Promise((resolve) => bouncer.once("exit", resolve));
  onTestFinished(async () => {
    bouncer.kill("SIGKILL");
    await ended;
  });
  await expect.poll(() => existsSync(join(folder, `.s.PGSQL.${port}`))).toBe(true);
  return new Connector(
    `postgres://nexus@/nexus?host=${encodeURIComponent(folder)}&port=${port}`,
    new SystemClock(),
  );
}

test("a pooler that lends a server for a transaction is refused", async (context) => {
  needs(context, "postgresql");
  needs(context, "pgbouncer");
  const connector = await pooled("transaction");
  await expect(connector.open("test")).rejects.toMatchObject({
    reason: "pooled",
    message: expect.stringContaining("pool_mode = session"),
  });
});

test("a pooler that lends one for a session is as good as PostgreSQL itself", async (context) => {
  needs(context, "postgresql");
  needs(context, "pgbouncer");
  const connector = await pooled("session");
  expect((await migrate(connector)).to.layout).toBeGreaterThan(0);
});
