import { beforeAll, describe, expect, it } from "vitest";
import { Role } from "../../../../src/gen/nexus/v1/access_pb.js";
import { FleetRole } from "../../../../src/gen/nexus/v1/status_pb.js";
import { clientsWithKey } from "../../../daemon/clients_with_key.js";
import { ConsoleVisitor } from "../../../daemon/console_visitor.js";
import type { LocalDaemon } from "../../../daemon/daemon_at.js";
import { freePort } from "../../../free_port.js";
import { has } from "../../../needs.js";
import { fleetExpressions, Samples } from "../../../observability/expressions.js";
import { localHubs } from "./local_hubs.js";

const hubs = localHubs(async () => {
  const ports = [await freePort(), await freePort()];
  return { count: 2, own: (index) => ({ NEXUS_CONSOLE_LISTEN: `127.0.0.1:${ports[index]}` }) };
});
let leader: LocalDaemon;
let follower: LocalDaemon;

beforeAll(async () => {
  if (!has("postgresql")) return;
  ({ leader, follower } = await hubs.pair());
});

const originOf = ({ environment }: LocalDaemon): string => `http://${environment["NEXUS_CONSOLE_LISTEN"]}`;
const statusOf = async (visitor: ConsoleVisitor): Promise<number> =>
  (await visitor.visit("/connections")).status;

/** Signed in at `hub` by a key that is made there. */
async function withKey(hub: LocalDaemon, name: string): Promise<ConsoleVisitor> {
  const place = { httpUrl: `http://${hub.environment["NEXUS_HTTP_LISTEN"]}` } as never;
  return ConsoleVisitor.signedIn(
    await clientsWithKey({ clients: hub.clients, place }, { name, role: Role.OPERATOR }),
  );
}

describe("the consoles of a fleet", () => {
  it("have links that lead to the hub that made them, whose memory alone has the session", async () => {
    for (const hub of hubs.all) {
      const visitor = await ConsoleVisitor.signedIn(hub.clients);
      expect(visitor.origin).toBe(originOf(hub));
      expect(await statusOf(visitor)).toBe(200);
      const other = hub === leader ? follower : leader;
      const leaderPage = new ConsoleVisitor(originOf(other));
      // The cookie has the port in its name.
      leaderPage.cookie = visitor.cookie.replace(/console-\d+/, `console-${new URL(originOf(other)).port}`);
      expect(leaderPage.cookie).not.toBe(visitor.cookie);
      expect(await statusOf(leaderPage)).toBe(401);
      expect(await statusOf(visitor)).toBe(200);
    }
  });

  it.for(["the leader", "the follower"])(
    "end a key's sessions at every hub when the key is revoked at %s",
    async (where) => {
      const names = [`${where.slice(4)}-one`, `${where.slice(4)}-two`] as const;
      const visitors = [await withKey(leader, names[0]), await withKey(follower, names[1])];
      const untouched = [
        await withKey(leader, `${names[0]}-kept`),
        await withKey(follower, `${names[1]}-kept`),
      ];
      expect(await Promise.all(visitors.map(statusOf))).toEqual([200, 200]);
      const { access } = (where === "the leader" ? leader : follower).clients;
      for (const name of names) await access.revokeApiKey({ key: { case: "name", value: name } });
      await expect.poll(() => Promise.all(visitors.map(statusOf))).toEqual([401, 401]);
      expect(await Promise.all(untouched.map(statusOf))).toEqual([200, 200]);
    },
  );
});

describe("the numbers and warnings of a fleet", () => {
  const scraped = async ({ opsUrl }: LocalDaemon): Promise<Samples> =>
    new Samples(await (await fetch(`${opsUrl}/metrics`)).text());

  const fleetOf = async ({ clients }: LocalDaemon) => (await clients.status.getStatus({})).fleet;

  it.each(fleetExpressions)("a hub holds what is asked for by %s: %s", async (_title, expr) => {
    for (const hub of hubs.all) (await scraped(hub)).expectToHold(expr);
  });

  it("all numbers of a fleet are shown or watched", async () => {
    const samples = await scraped(leader);
    const unasked = samples.unasked(fleetExpressions);
    expect(unasked.filter((name) => name.startsWith("nexus_fleet_"))).toEqual([]);
  });

  it("one hub leads, both may, and no commit waits for a standby", async () => {
    for (const hub of hubs.all) {
      const samples = await scraped(hub);
      expect(samples.of("nexus_fleet_leader")).toEqual([`nexus_fleet_leader ${hub === leader ? 1 : 0}`]);
      expect(samples.of("nexus_fleet_may_lead")).toEqual(["nexus_fleet_may_lead 1"]);
      expect(samples.of("nexus_fleet_waits_for_standby")).toEqual(["nexus_fleet_waits_for_standby 0"]);
    }
  });

  it("status tells of what becomes of the database while the hubs run", async () => {
    const [one] = hubs.all as [LocalDaemon];
    const warnings = async () => (await fleetOf(one))?.warnings ?? [];
    const standby = expect.stringContaining("synchronous_standby_names is empty");
    await expect.poll(warnings, { timeout: 30_000 }).toEqual([standby]);
    // And at the start.
    for (const { output } of hubs.all) expect(output).toContain("synchronous_standby_names is empty");
    await hubs.postgres.query("CREATE TABLE public.more (); ALTER TABLE public.more OWNER TO nexus");
    await expect
      .poll(warnings, { timeout: 30_000 })
      .toEqual([standby, expect.stringContaining("a role of its own")]);
    await hubs.postgres.query("DROP TABLE public.more");
    await expect.poll(warnings, { timeout: 30_000 }).toEqual([standby]);

    // What stands behind the address refuses it from now on, and what is connected is cut.
    await hubs.postgres.query("ALTER ROLE nexus SET default_transaction_read_only = on");
    const cut = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'nexus'";
    await hubs.postgres.query(cut);
    await expect
      .poll(warnings, { timeout: 30_000 })
      .toContainEqual(expect.stringContaining("the database is read-only"));
    await hubs.postgres.query("ALTER ROLE nexus RESET default_transaction_read_only");
    await expect.poll(warnings, { timeout: 30_000 }).toEqual([standby]);
    await expect
      .poll(async () => (await Promise.all(hubs.all.map(fleetOf))).map((fleet) => fleet?.role).sort(), {
        timeout: 30_000,
      })
      .toEqual([FleetRole.FOLLOWER, FleetRole.LEADER]);
  }, 180_000);
});
