import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { Role } from "../../../../src/gen/nexus/v1/access_pb.js";
import { clientsWithKey } from "../../../daemon/clients_with_key.js";
import { ConsoleVisitor } from "../../../daemon/console_visitor.js";
import { freePort } from "../../../free_port.js";
import { has, needs } from "../../../needs.js";
import { type HubProcess, Hubs } from "./hubs.js";

let hubs: Hubs;
let leader: HubProcess;
let follower: HubProcess;

beforeAll(async () => {
  if (!has("postgresql")) return;
  const ports = [await freePort(), await freePort()];
  hubs = await Hubs.start({
    count: 2,
    own: (index) => ({ NEXUS_CONSOLE_LISTEN: `127.0.0.1:${ports[index]}` }),
  });
  leader = await hubs.leader();
  follower = hubs.all.find((hub) => hub !== leader) ?? leader;
}, 60_000);

afterAll(() => hubs?.close());

beforeEach((context) => needs(context, "postgresql"));

const originOf = ({ environment }: HubProcess): string => `http://${environment["NEXUS_CONSOLE_LISTEN"]}`;
const statusOf = async (visitor: ConsoleVisitor): Promise<number> =>
  (await visitor.visit("/connections")).status;

/** Signed in at `hub` by a key that is made there. */
async function withKey(hub: HubProcess, name: string): Promise<ConsoleVisitor> {
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
