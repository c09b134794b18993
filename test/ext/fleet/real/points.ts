import { setTimeout as sleep } from "node:timers/promises";
import type { Held, TcpProxy } from "../../../fakes/tcp_proxy.js";
import { RealFleet } from "./real_fleet.js";
import type { RealHub } from "./real_hub.js";

/** Where a refresh is when it happens. */
export const boundaries = [
  "intent asked",
  "intent durable",
  "request on its way",
  "answer on its way",
  "outcome asked",
  "outcome durable",
] as const;
export type Boundary = (typeof boundaries)[number];

/** What happens, to the hub that leads or to the database. */
export const harms = [
  "kill hub",
  "stop hub",
  "cut hub",
  "kill database",
  "stop database",
  "cut database",
] as const;
export type Harm = (typeof harms)[number];

/** `served`: one request, whose token all hubs serve. `alone`: nobody asks again, since the one who may know more may come back. */
export type Outcome = "served" | "alone";

/** What the promise says: nothing is sent twice, and of what was answered nothing is lost but with the process that had it. */
export function expectedOutcome(boundary: Boundary, harm: Harm): Outcome {
  const isUnknown = boundary !== "intent asked" && boundary !== "outcome durable";
  if (harm === "kill hub") return isUnknown ? "alone" : "served";
  // Whether it was sent is known to that hub alone, and it leads no more when it could say.
  if (boundary === "intent durable" && harm.endsWith(" hub")) return "alone";
  return "served";
}

/** Longer than the lease of a storm's hubs, which is three seconds. */
const lastsMs = 4_500;
const limitMs = 60_000;
const settleMs = 2_500;
const commit = "nexus.commit_1";
const request = "refresh_token=";

/** Two hubs, and one refresh at a time, which is harmed at one of its boundaries. */
export class FaultPoints {
  #next = 0;

  private constructor(readonly fleet: RealFleet) {}

  /** @param main `main.js` of another build than this one */
  static async start(main?: string): Promise<FaultPoints> {
    const grants = boundaries.length * harms.length;
    // Nothing is refreshed but what is asked for.
    return new FaultPoints(
      await RealFleet.start({
        hubs: 2,
        main,
        groups: [{ count: grants, dueAtMs: Date.now() + 6 * 3_600_000 }],
        lifeSeconds: 12 * 3_600,
      }),
    );
  }

  close(): Promise<void> {
    return this.fleet.close();
  }

  /** @returns what was not as promised; empty: nothing */
  async run(boundary: Boundary, harm: Harm): Promise<string[]> {
    const { provider, broken } = this.fleet;
    const leader = await this.#leader();
    const other = this.fleet.hubs.find((hub) => hub !== leader) as RealHub;
    const id = this.fleet.ids[this.#next++] ?? "";
    // What was read before is on record by then: the next commit is that of the intent.
    await sleep(settleMs);
    const before = { overlaps: provider.overlaps, reuses: provider.reuses.length, broken: broken.length };
    const held = this.#holdAt(boundary, leader);
    const asked = leader.clients.tokens
      .refreshToken({ connectionId: id }, { timeoutMs: limitMs })
      .catch(() => undefined);
    await within(held.reached, `the refresh does not come to "${boundary}"`);
    await this.#harm(harm, leader, held.release);
    const expected = expectedOutcome(boundary, harm);
    const found =
      expected === "served"
        ? await this.#served(id)
        : await this.#leftAlone(id, other, boundary === "intent durable" ? 0 : 1);
    leader.mayStart.open();
    await asked;
    await this.#leader();
    if (provider.overlaps > before.overlaps) found.push("two requests overlapped");
    if (provider.reuses.length > before.reuses) found.push("a token was sent twice, and the grant is lost");
    return [...found, ...broken.slice(before.broken)];
  }

  #holdAt(boundary: Boundary, { databaseLinks }: RealHub): { reached: Promise<void>; release: () => void } {
    const { providerLink } = this.fleet;
    // Nothing is promoted: the first host is the primary.
    const [databaseLink] = databaseLinks as [TcpProxy];
    if (boundary === "intent asked") return databaseLink.hold(commit, "request");
    if (boundary === "intent durable") return databaseLink.hold(commit, "answer");
    if (boundary === "request on its way") return providerLink.hold(request, "request");
    const answer = providerLink.hold(request, "answer");
    if (boundary === "answer on its way") return answer;
    let outcome: Held | undefined;
    const reached = answer.reached.then(async () => {
      outcome = databaseLink.hold(commit, boundary === "outcome asked" ? "request" : "answer");
      answer.release();
      await outcome.reached;
    });
    return { reached, release: () => outcome?.release() };
  }

  async #harm(harm: Harm, leader: RealHub, release: () => void): Promise<void> {
    const { hubs, servers } = this.fleet;
    const links = (harm === "cut database" ? hubs : [leader]).flatMap(({ databaseLinks }) => databaseLinks);
    switch (harm) {
      case "kill hub":
        leader.mayStart.close();
        await leader.killed();
        // The link hears of it.
        await sleep(300);
        return release();
      case "stop hub":
        leader.signal("SIGSTOP");
        await sleep(lastsMs);
        leader.signal("SIGCONT");
        return release();
      case "cut hub":
      case "cut database":
        for (const link of links) link.cut();
        await sleep(lastsMs);
        for (const link of links) link.heal();
        return release();
      case "kill database":
        servers.primary.kill();
        await sleep(1_000);
        await servers.primary.start();
        return release();
      case "stop database":
        servers.primary.signalAll("SIGSTOP");
        await sleep(lastsMs);
        servers.primary.signalAll("SIGCONT");
        return release();
    }
  }

  /** The provider was asked once, and every hub that lives serves what it answered. */
  async #served(id: string): Promise<string[]> {
    const endMs = performance.now() + limitMs;
    let found: string[] = [];
    while (performance.now() < endMs) {
      await this.#demand(id);
      found = await this.#notServed(id);
      if (found.length === 0) return [];
      await sleep(250);
    }
    return found;
  }

  async #notServed(id: string): Promise<string[]> {
    const { hubs, provider } = this.fleet;
    const requests = provider.requestsOf(id);
    if (requests !== 1) return [`${requests} requests instead of one`];
    const wanted = `after_${id}_1`;
    const living = hubs.filter(({ mayStart }) => mayStart.isOpen);
    const tokens = await Promise.all(living.map((hub) => tokenAt(hub, id)));
    return tokens.flatMap((token, index) =>
      token === wanted ? [] : [`hub ${index} does not serve what was answered`],
    );
  }

  /** The token that lives is served, and the next leader asks for no other. */
  async #leftAlone(id: string, other: RealHub, atMost: number): Promise<string[]> {
    const { provider } = this.fleet;
    await within(
      until(() => other.isLeader),
      "no other hub leads",
    );
    for (let times = 0; times < 4; times++) {
      await other.clients.tokens
        .refreshToken({ connectionId: id }, { timeoutMs: 5_000 })
        .catch(() => undefined);
      await sleep(500);
    }
    const requests = provider.requestsOf(id);
    const found = requests <= atMost ? [] : [`${requests} requests instead of ${atMost} at most`];
    if ((await tokenAt(other, id)) === undefined) found.push("the living token is not served");
    return found;
  }

  /** Somebody wants another token, if the one before is still served. */
  async #demand(id: string): Promise<void> {
    const { hubs, provider } = this.fleet;
    const hub = hubs.find(({ mayStart }) => mayStart.isOpen);
    if (hub === undefined || provider.requestsOf(id) > 0) return;
    await hub.clients.tokens.refreshToken({ connectionId: id }, { timeoutMs: 5_000 }).catch(() => undefined);
  }

  /** The hub that leads, when both are there and know it. */
  async #leader(): Promise<RealHub> {
    const { hubs } = this.fleet;
    let found: RealHub | undefined;
    await within(
      until(async () => {
        const seen = await Promise.all(hubs.map((hub) => hub.leaderAddress()));
        found = hubs.find(({ isLeader }) => isLeader);
        return found !== undefined && seen[0] !== undefined && new Set(seen).size === 1;
      }),
      "the hubs do not agree on who leads",
    );
    return found as RealHub;
  }
}

/** The access token that a hub answers. */
export async function tokenAt({ clients }: RealHub, connectionId: string): Promise<string | undefined> {
  const answer = await clients.tokens.getToken({ connectionId }, { timeoutMs: 5_000 }).catch(() => undefined);
  return answer?.token?.credentials["access_token"];
}

async function until(isSo: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await isSo())) await sleep(100);
}

async function within(done: Promise<void>, words: string): Promise<void> {
  const late = sleep(limitMs).then(() => {
    throw new Error(words);
  });
  await Promise.race([done, late]);
}
