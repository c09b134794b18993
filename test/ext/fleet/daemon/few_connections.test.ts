import { expect, it } from "vitest";
import { localHubs } from "./local_hubs.js";

const hubs = localHubs(() => ({ count: 1 }));

const limit = (connections: number) =>
  hubs.postgres.query(`ALTER ROLE nexus CONNECTION LIMIT ${connections}`, "postgres");

it("a hub that gets two connections says so, and leads when it gets more", async () => {
  const [hub] = hubs.all;
  if (!hub) throw new Error("there is a hub");
  await hubs.leader();
  await hub.stop();
  await limit(2);
  try {
    await hub.start();
    // Whichever two of its connections came first.
    const said = async () => {
      const { fleet } = await hub.clients.status.getStatus({});
      return [...(fleet?.mayNotLead ?? []), ...(fleet?.warnings ?? [])].join("\n");
    };
    await expect
      .poll(said, { timeout: 40_000 })
      .toMatch(/no connection for the \w+ .*too many connections.* pool_size of PgBouncer/);
  } finally {
    await limit(-1);
  }
  await hubs.leader();
  await expect.poll(async () => (await hub.clients.status.getStatus({})).fleet?.mayNotLead).toEqual([]);
});
