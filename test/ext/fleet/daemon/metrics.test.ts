import { afterAll, beforeAll, beforeEach, expect, it } from "vitest";
import { FleetRole } from "../../../../src/gen/nexus/v1/status_pb.js";
import { has, needs } from "../../../needs.js";
import { fleetExpressions, Samples } from "../../../observability/expressions.js";
import { promtool } from "../../../observability/promtool.js";
import { type HubProcess, Hubs } from "./hubs.js";

let hubs: Hubs;
let leader: HubProcess;

beforeAll(async () => {
  if (!has("postgresql")) return;
  hubs = await Hubs.start({ count: 2 });
  leader = await hubs.leader();
}, 60_000);

afterAll(() => hubs?.close());

beforeEach((context) => needs(context, "postgresql"));

const scraped = async ({ opsUrl }: HubProcess): Promise<Samples> =>
  new Samples(await (await fetch(`${opsUrl}/metrics`)).text());

const fleetOf = async ({ clients }: HubProcess) => (await clients.status.getStatus({})).fleet;

it.each(fleetExpressions)("a hub holds what is asked for by %s: %s", async (_title, expr) => {
  for (const hub of hubs.all) (await scraped(hub)).expectToHold(expr);
});

it("all numbers of a fleet are shown or watched, and named as Prometheus's own tool wants it", async (context) => {
  needs(context, "promtool");
  const samples = await scraped(leader);
  const unasked = samples.unasked(fleetExpressions);
  expect(unasked.filter((name) => name.startsWith("nexus_fleet_"))).toEqual([]);
  expect(promtool(["check", "metrics"], samples.text)).toEqual({ code: 0, output: "" });
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
  const [one] = hubs.all as [HubProcess];
  const warnings = async () => (await fleetOf(one))?.warnings ?? [];
  const standby = expect.stringContaining("synchronous_standby_names is empty");
  await expect.poll(warnings, { timeout: 30_000 }).toEqual([standby]);
  // And at the start.
  for (const { daemon } of hubs.all) expect(daemon.output).toContain("synchronous_standby_names is empty");
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
