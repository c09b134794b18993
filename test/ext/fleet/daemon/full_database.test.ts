import { expect, it } from "vitest";
import { AuthType } from "../../../../src/gen/nexus/v1/provider_pb.js";
import type { LocalDaemon } from "../../../daemon/daemon_at.js";
import { localHubs } from "./local_hubs.js";

const hubs = localHubs(() => ({ count: 2 }));

const noSpace = "could not extend file: No space left on device";

/** What PostgreSQL raises where its disk takes no new page, while what it writes into old pages goes on. */
async function fillDisk(): Promise<void> {
  await hubs.postgres.query("ALTER FUNCTION nexus.commit_1 RENAME TO kept_commit_1");
  await hubs.postgres.query(
    `CREATE FUNCTION nexus.commit_1(uuid, bigint, uuid, uuid, bigint, bytea) RETURNS text LANGUAGE plpgsql AS $$
     BEGIN RAISE EXCEPTION '${noSpace}' USING ERRCODE = '53100'; END $$`,
  );
  await hubs.postgres.query("GRANT EXECUTE ON FUNCTION nexus.commit_1 TO PUBLIC");
}

async function freeDisk(): Promise<void> {
  await hubs.postgres.query("DROP FUNCTION nexus.commit_1");
  await hubs.postgres.query("ALTER FUNCTION nexus.kept_commit_1 RENAME TO commit_1");
}

const warningsOf = async ({ clients }: LocalDaemon) =>
  (await clients.status.getStatus({})).fleet?.warnings.filter((each) => each.includes("SQLSTATE"));

it("a full database disk is named at every hub, makes the leader unready, and holds up no caller for ever", async () => {
  const leader = await hubs.leader();
  const created = ({ clients }: LocalDaemon, name: string) =>
    clients.providers.createProvider({ provider: { name, authType: AuthType.API_KEY } });
  await fillDisk();
  const refused = "has not committed for 15 s";
  const ends = hubs.all.map((hub, index) => expect(created(hub, `full-${index}`)).rejects.toThrow(refused));
  for (const hub of hubs.all)
    await expect
      .poll(() => warningsOf(hub), { timeout: 30_000 })
      .toEqual([expect.stringMatching(/^the database has not committed for \d+ s, .*SQLSTATE 53100/)]);
  await Promise.all(ends);
  const following = async () => {
    const answer = await fetch(`${leader.opsUrl}/readyz`);
    const { checks } = (await answer.json()) as { checks: { following: unknown } };
    return [answer.status, checks.following];
  };
  await expect.poll(following).toEqual([503, expect.stringContaining(noSpace)]);

  await freeDisk();
  // What was asked for is done when it can be.
  for (const hub of hubs.all) await expect.poll(() => warningsOf(hub), { timeout: 30_000 }).toEqual([]);
  const { providers } = await leader.clients.providers.listProviders({});
  expect(providers.map(({ name }) => name)).toEqual(["full-0", "full-1"]);
  expect(await following()).toEqual([200, true]);
});
