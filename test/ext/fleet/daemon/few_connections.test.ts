import { expect, it } from "vitest";
import { localHubs } from "./local_hubs.js";

const hubs = localHubs(() => ({ count: 1 }));

const limit = (connections: number) =>
  hubs.postgres.query(`ALTER ROLE nexus CONNECTION LIMIT ${connections}`, "postgres");

it("a hub that gets two connections says why it does not lead, and leads when it gets more", async () => {
  const [hub] = hubs.all;
  if (!hub) throw new Error("there is a hub");
  await hubs.leader();
  await hub.stop();
  await limit(2);
  try {
    await hub.start();
    const mayNotLead = async () => (await hub.clients.status.getStatus({})).fleet?.mayNotLead;
    await expect
      .poll(mayNotLead, { timeout: 40_000 })
      .toEqual([
        expect.stringMatching(/no connection for the lease .*too many connections.* pool_size of PgBouncer/),
      ]);
    await expect.poll(() => hub.output.includes("no connection for the lease of the fleet")).toBe(true);
  } finally {
    await limit(-1);
  }
  await hubs.leader();
  expect((await hub.clients.status.getStatus({})).fleet?.mayNotLead).toEqual([]);
});
