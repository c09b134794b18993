import { createHash } from "node:crypto";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { type CallOptions, Code, ConnectError } from "@connectrpc/connect";
import { beforeAll, beforeEach, describe, expect, it, vi } from "vitest";
import { Role } from "../../../../src/gen/nexus/v1/access_pb.js";
import type { HeldRequest } from "../../../../src/gen/nexus/v1/approval_pb.js";
import { auditEvents } from "../../../daemon/audit_events.js";
import type { DaemonAt } from "../../../daemon/daemon_at.js";
import { registered } from "../../../daemon/requests.js";
import { perSuite } from "../../../lifetimes.js";
import { has, needs } from "../../../needs.js";
import { temporaryFolder } from "../../../temporary_folder.js";
import { type HubProcess, Hubs, shortLease } from "./hubs.js";
import { localHubs } from "./local_hubs.js";

const policy = `proxies: [key:rita, key:rita.b, key:few, key:many, key:unlucky]
rules:
  - when: '"private" in session.labels && request.method == "POST"'
    then: deny
    because: it read private data
  - when: '"private" in session.labels && request.method == "PUT"'
    then: ask
  - when: request.path == "/private"
    then: allow
    label: [private]
  - when: request.path == "/few"
    then: allow
    uses: 100/h
  - then: allow
`;

function environment(): NodeJS.ProcessEnv {
  const path = join(temporaryFolder(), "policy.yaml");
  writeFileSync(path, policy);
  return { NEXUS_POLICY_FILE: path };
}

const bodySha256 = createHash("sha256").update("").digest();
const restriction = { userIds: ["ada"] };

const there = (call: () => Promise<unknown>) => vi.waitFor(call, { timeout: 20_000 });

/** What agents of a fleet do at its hubs. */
class Fleet {
  readonly #keys = new Map<string, string>();

  private constructor(
    readonly hubs: readonly DaemonAt[],
    readonly connectionId: string,
  ) {}

  static async of(hubs: readonly DaemonAt[], { clients }: DaemonAt): Promise<Fleet> {
    const profile = { name: "acme", authType: 2, apiBaseUrl: "https://api.example" };
    const providerId = await registered(clients, profile);
    const asked = { providerId, userId: "ada", credentials: { api_key: "secret" } };
    const connectionId = (await clients.connections.importConnection(asked)).connection?.id ?? "";
    const fleet = new Fleet(hubs, connectionId);
    // The others hear of it.
    for (const hub of hubs) await there(() => hub.clients.connections.getConnection({ connectionId }));
    return fleet;
  }

  async key(name: string, more: object = {}): Promise<void> {
    const [hub] = this.hubs;
    const made = await hub?.clients.access.createApiKey({ name, role: Role.AGENT, restriction, ...more });
    this.#keys.set(name, made?.key ?? "");
    for (const { clients } of this.hubs) await there(() => clients.access.whoAmI({}, this.as(name)));
  }

  as(name: string): CallOptions {
    return { headers: { authorization: `Bearer ${this.#keys.get(name)}` } };
  }

  /** `token`, or the refusal. */
  async send(name: string, at: DaemonAt, line: string, connectionId = this.connectionId): Promise<string> {
    const [method = "", path = ""] = line.split(" ");
    const request = { method, url: `https://api.example${path}`, bodySize: 0n, bodySha256 };
    try {
      const { token } = await at.clients.tokens.getToken({ connectionId, request }, this.as(name));
      return token?.credentials["api_key"] === "secret" ? "token" : "nothing";
    } catch (error) {
      const { code, rawMessage } = ConnectError.from(error);
      return `${Code[code]}: ${rawMessage}`;
    }
  }
}

function counted(answers: readonly string[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const answer of answers) counts[answer.slice(0, 17)] = (counts[answer.slice(0, 17)] ?? 0) + 1;
  return counts;
}

describe("a fleet of two hubs", () => {
  const hubs = localHubs(() => ({ count: 2, environment: environment() }));
  let fleet: Fleet;
  let leader: DaemonAt;
  let follower: DaemonAt;

  beforeAll(async () => {
    if (!has("postgresql")) return;
    ({ leader, follower } = await hubs.pair());
    fleet = await Fleet.of(hubs.all, leader);
  });

  it.each([
    {
      name: "few",
      limit: "of a key",
      line: "GET /other",
      more: { uses: { uses: 100, per: { seconds: 3600n } } },
    },
    { name: "many", limit: "of a rule", line: "GET /few", more: {} },
  ])(
    "lets exactly 100 of 500 go at once under a limit $limit",
    async ({ name, line, more }) => {
      await fleet.key(name, more);
      const all = Array.from({ length: 500 }, (_, index) =>
        fleet.send(name, index % 2 === 0 ? leader : follower, line),
      );
      expect(counted(await Promise.all(all))).toEqual({ token: 100, ResourceExhausted: 400 });
      const last = await fleet.send(name, follower, line);
      expect(last).toMatch(/is reached \(100\/h\): retry after \d{4}-/);
      const { counts } = await follower.clients.uses.listUses({});
      expect(counts).toMatchObject([
        ...counts.filter(({ principal }) => principal !== `key:${name}`),
        { used: 100 },
      ]);
      await follower.clients.uses.resetUses({ principal: `key:${name}` });
      expect(await fleet.send(name, follower, line)).toBe("token");
    },
    120_000,
  );

  it("blocks at one hub by a label that a request at the other has set just before", async () => {
    for (const [name, sets, blocks] of [
      ["rita", follower, leader],
      ["rita.b", leader, follower],
    ] as const) {
      await fleet.key(name);
      for (const hub of [sets, blocks]) expect(await fleet.send(name, hub, "POST /issues")).toBe("token");
      expect(await fleet.send(name, sets, "GET /private")).toBe("token");
      for (const hub of [blocks, sets])
        expect(await fleet.send(name, hub, "POST /issues")).toMatch(
          /^PermissionDenied: .*it read private data/,
        );
      expect(await fleet.send(name, blocks, "GET /issues")).toBe("token");
      const request = { method: "GET", url: "https://api.example/" };
      const asked = { principal: `key:${name}`, action: "token.read", request };
      for (const hub of [sets, blocks]) {
        const labels = async () =>
          (await hub.clients.access.explainAccess(asked)).labels.map(({ label }) => label);
        await expect.poll(labels).toEqual(["private"]);
      }
    }
    const events = await auditEvents(leader.clients, { eventType: "session.labeled", principal: "key:rita" });
    expect(events).toMatchObject([{ reason: "private: GET api.example/private", via: [follower.address] }]);
  });

  it("counts no use that came to nothing, wherever it was asked", async () => {
    await fleet.key("unlucky", { uses: { uses: 2 } });
    const { clients } = leader;
    const asked = {
      userId: "ada",
      provider: { case: "providerName", value: "acme" },
      label: "none",
    } as const;
    const { connectionId } = await clients.connections.requestConnection(asked);
    await there(() => follower.clients.connections.getConnection({ connectionId }));
    for (const hub of [leader, follower, leader, follower])
      expect(await fleet.send("unlucky", hub, "GET /x", connectionId)).toMatch(
        /^FailedPrecondition: .*pending/,
      );
    const used = async () =>
      (await clients.uses.listUses({})).counts.find(({ principal }) => principal === "key:unlucky")?.used;
    await expect.poll(used).toBe(0);
  });
});

describe("a fleet whose leader is killed", () => {
  beforeEach((context) => needs(context, "postgresql"));
  const hubs = perSuite(async () =>
    has("postgresql")
      ? await Hubs.start({ count: 2, environment: { ...environment(), ...shortLease } })
      : ({} as Hubs),
  );

  it("lets no more go than a limit says, and keeps labels and what waits for a person", async () => {
    const { leader, follower: survivor } = await hubs.pair();
    const fleet = await Fleet.of([survivor, leader], leader);
    for (const name of ["many", "rita"]) await fleet.key(name);
    expect(await fleet.send("rita", leader, "GET /private")).toBe("token");
    const held = fleet.send("rita", survivor, "PUT /issues");
    const waiting = async (): Promise<HeldRequest[]> =>
      await survivor.clients.approvals.listHeldRequests({}).then(
        ({ requests }) => requests,
        () => [],
      );
    await expect.poll(async () => (await waiting()).length).toBe(1);
    const sent = (at: HubProcess, count: number) =>
      Array.from({ length: count }, () => fleet.send("many", at, "GET /few"));
    const first = await Promise.all([...sent(survivor, 20), ...sent(leader, 20)]);
    expect(counted(first)).toEqual({ token: 40 });
    const during = [...sent(survivor, 200), ...sent(leader, 200)];
    await Promise.race(during);
    await leader.daemon.kill("SIGKILL");
    const answers = [...first, ...(await Promise.all(during))];
    await hubs.leader([survivor]);
    // As clients do where they are told to come again.
    while (answers.at(-1) === undefined || !answers.at(-1)?.startsWith("ResourceExhausted"))
      answers.push(...(await Promise.all(sent(survivor, 20))));
    const { token = 0 } = counted(answers);
    expect(token).toBeLessThanOrEqual(100);
    expect(token).toBeGreaterThan(40);
    expect(await fleet.send("rita", survivor, "POST /issues")).toMatch(/it read private data/);
    await expect.poll(async () => (await waiting()).length, { timeout: 20_000 }).toBe(1);
    const [{ id, digest } = { id: "", digest: new Uint8Array() }] = await waiting();
    await survivor.clients.approvals.decideHeldRequest({ id, digest: new Uint8Array(digest), approve: true });
    expect(await held).toBe("token");
  }, 180_000);
});
