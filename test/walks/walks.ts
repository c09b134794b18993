import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { timestampMs } from "@bufbuild/protobuf/wkt";
import { Role } from "../../src/gen/nexus/v1/access_pb.js";
import type { HeldRequest } from "../../src/gen/nexus/v1/approval_pb.js";
import { beside, type Clients, clientsOf, TestDaemon, World } from "../daemon/harness.js";
import { requestOf } from "../daemon/requests.js";
import { ListenerWorld } from "../ext/egress/daemon/listener_world.js";
import { setup as sharedPostgres } from "../ext/fleet/follower/shared_postgres.js";
import { consent } from "../fakes/browser.js";
import { freePort } from "../free_port.js";
import { type Coverage, inEach } from "./coverage.js";

/** The files that ran, by the title that the walk has in `docs/architecture.md`. */
export type Walks = Readonly<Record<string, readonly string[]>>;

/** Long enough for what no caller waits for, on a machine that does little else. */
const settled = () => sleep(500);

/** Each request is sent once before it is counted: what is loaded or cached at first is no part of its walk. */
export async function walksOfOneDaemon(coverage: Coverage): Promise<Walks> {
  const world = await World.make();
  try {
    const { tokens, access } = world.clients;
    const providerId = await world.register();
    const connectionId = await world.connect(providerId);
    const read = () => tokens.getToken({ connectionId });
    const acquire = () => tokens.acquireToken({ providerName: "op", userId: "ada" });
    const warmUp = [
      () => refreshOnce(world),
      read,
      read,
      acquire,
      acquire,
      () => watchOnce(world, connectionId),
    ];
    for (const walk of warmUp) await walk();
    await settled();
    const anyCall = await coverage.each(async () => () => access.whoAmI({}));
    const watched = await coverage.each(async () => () => watchOnce(world, connectionId));
    let users = 0;
    return {
      "read a token": await coverage.each(async () => read),
      "acquire a token": await coverage.each(async () => acquire),
      "watch tokens": beyond(watched, anyCall),
      consent: await coverage.each(() => callback(world, providerId, `user-${users++}`)),
      "refresh a token": await coverage.each(() => dueRefresh(world)),
    };
  } finally {
    await world.close();
  }
}

/** Beyond what runs for the same call at the daemon that answers it. Needs a database, as the follower's suite. */
export async function forwardedWalk(coverage: Coverage): Promise<Walks> {
  const ask = async (clients: Clients) => {
    await clients.approvals.listHeldRequests({});
  };
  const close = await sharedPostgres();
  // It reads where the database is when it is loaded.
  const { LeaderBeside } = await import("../ext/fleet/follower/leader_beside.js");
  const alone = await TestDaemon.start();
  await ask(alone.clients);
  const direct = await coverage.each(async () => () => ask(alone.clients));
  await alone.close();
  beside.make = (place) => LeaderBeside.make(place, { freePort, clientsOf });
  const follower = await TestDaemon.start();
  try {
    await follower.caughtUp();
    await ask(follower.clients);
    await settled();
    // A hub talks to its database and its leader all the time, whoever calls.
    const ran = await coverage.each(async () => () => ask(follower.clients), 20);
    return { "forward a call in a fleet": beyond(ran, direct) };
  } finally {
    await follower.close();
    await close();
  }
}

/** Beyond the RPCs with which the person lists and decides. */
export async function heldWalk(coverage: Coverage): Promise<Walks> {
  const folder = mkdtempSync(join(tmpdir(), "nexus-walk-"));
  const file = join(folder, "policy.yaml");
  writeFileSync(file, "rules: [{ providers: [acme], then: ask, because: look first }]\n");
  const world = await ListenerWorld.start({ NEXUS_POLICY_FILE: file });
  try {
    const { access, approvals } = world.daemon.clients;
    const restriction = { userIds: ["ada"] };
    const { key } = await access.createApiKey({ name: "agent", role: Role.AGENT, restriction });
    const program = await world.program("ada", key);
    let list: string[] = [];
    const hold = async (): Promise<string[]> => {
      let answer: Promise<unknown> | undefined;
      let request: HeldRequest | undefined;
      const before = await coverage.during(async () => {
        answer = program.ask("/v1/user");
        while (request === undefined) {
          await settled();
          [request] = (await approvals.listHeldRequests({})).requests;
        }
      });
      list = await coverage.each(async () => () => approvals.listHeldRequests({}));
      const after = await coverage.during(async () => {
        await approve(world.daemon.clients, request as HeldRequest);
        await answer;
      });
      return [...before, ...after];
    };
    const ran = inEach([await hold(), await hold(), await hold()]);
    return { "hold a request for a person": beyond(ran, list) };
  } finally {
    await world.stop();
    rmSync(folder, { recursive: true, force: true });
  }
}

function beyond(files: readonly string[], others: readonly string[]): string[] {
  return [...new Set(files)].filter((path) => !others.includes(path)).sort();
}

async function approve({ approvals }: Clients, request: HeldRequest): Promise<void> {
  const { id, digest } = request;
  await approvals.decideHeldRequest({ id, digest, approve: true });
}

async function watchOnce(world: World, connectionId: string): Promise<void> {
  const watcher = world.watch({ connectionIds: [connectionId] });
  await watcher.next();
  watcher.cancel();
}

/** @returns what moves the clock to the moment at which the refresh is due */
async function dueRefresh(world: World): Promise<() => Promise<void>> {
  const { clock, clients, provider } = world;
  const [next] = (await clients.status.getStatus({})).nextRefreshes;
  if (next?.dueAt === undefined) throw new Error("no refresh is due");
  clock.advance(timestampMs(next.dueAt) - clock.nowMs() - 1);
  await settled();
  const count = provider.tokenRequests.length + 1;
  return async () => {
    clock.advance(1);
    await provider.waitForTokenRequests(count);
    await settled();
  };
}

async function refreshOnce(world: World): Promise<void> {
  await (await dueRefresh(world))();
}

/** @returns what follows the provider's redirect to nexusd */
async function callback(world: World, providerId: string, userId: string): Promise<() => Promise<void>> {
  const { browser, clients, place } = world;
  const { authUrl } = await clients.connections.requestConnection(requestOf(providerId, { userId }));
  const isCallback = (url: string) => url.startsWith(place.config.redirectUri);
  const { url } = await consent(browser, authUrl, "allow", isCallback);
  return async () => {
    await browser.get(url, (next) => next !== url);
  };
}
