import { describe, expect, it } from "vitest";
import type { LabelingRequest, TokenPurpose } from "../../../src/domain/access/access.js";
import { SessionLabels } from "../../../src/ext/memory/session_labels.js";
import { sessionTable } from "../../../src/ext/memory/tables.js";
import { owner, type Principal } from "../../../src/model/access/principal.js";
import { describedHeaders, describedUrl } from "../../../src/model/access/request_facts.js";
import { agent, policyOf, proxy } from "../../domain/access/rule_cells.js";
import { Engine, hourMs } from "../../domain/engine.js";
import { perTest } from "../../lifetimes.js";
import fc from "../../property.js";
import { silentLog } from "../../silent_log.js";
import { temporaryFolder } from "../../temporary_folder.js";

const rules = policyOf(`
  - { when: '"private" in session.labels && request.method != "GET"', then: deny, because: it read private data }
  - { when: 'request.path == "/secret"', then: allow, label: [private] }
  - { when: 'request.path == "/ask"', then: ask, label: [asked] }
  - { then: allow }`);

class World {
  readonly engine: Engine;
  readonly labels: SessionLabels;
  refusal: string | undefined;

  constructor(readonly folder = temporaryFolder()) {
    this.engine = new Engine(folder, undefined, { tables: [sessionTable], isAudited: true });
    const { store, keys, changes, clock } = this.engine;
    const refusal = () => this.refusal;
    this.labels = new SessionLabels({ store, keys, changes, clock, log: silentLog, refusal });
    this.labels.start();
    this.engine.memory = this.labels;
    this.engine.access.setPolicy(rules);
  }

  close(): Promise<void> {
    return this.engine.close();
  }

  /** The same store in another life. */
  async again(): Promise<World> {
    await this.close();
    return new World(this.folder);
  }

  async key(name: string, by: Principal = owner): Promise<Principal> {
    const restriction = { userIds: ["*"] };
    const role = "agent" as const;
    await this.engine.keys.create({ name, role, restriction, expiresAtMs: undefined }, by);
    return { name: `key:${name}`, kind: "key", isProxied: true };
  }

  names(principal: Principal): string[] {
    return this.labels.labelsOf(principal.name).map(({ label }) => label);
  }

  send(id: string, principal: Principal, method: string, path: string) {
    return this.engine.tokens.admitted(principal, id, asking(method, path)) as Promise<unknown>;
  }
}

function asking(method: string, path: string): TokenPurpose {
  const line = { ...describedHeaders(method, [], true), ...describedUrl(`https://api.example${path}`) };
  const body = { size: 0, digest: "", bytes: undefined };
  return { request: { ...line, session: "run-1", body }, signal: new AbortController().signal };
}

/** A request that nothing refuses. */
function labeling(principal: Principal, labels: readonly string[]): LabelingRequest {
  const { request } = asking("GET", "/x");
  const connection = { connectionId: "c", userId: "ada", provider: { id: "p", name: "op" } };
  if (!request) throw new Error("no request");
  return { principal, connection, request, labels, use: { rule: "line 3" } };
}

describe("the labels of a session", () => {
  const world = perTest(() => new World());
  const sent = async (principal: Principal, method: string, path: string): Promise<string> => {
    const [connection] = world.engine.store.listConnections({ limit: 1 });
    const { id } = connection ?? (await world.engine.connected());
    return await Promise.resolve()
      .then(() => world.send(id, principal, method, path))
      .then(
        () => "sent",
        ({ message }: Error) => message,
      );
  };
  const denied = expect.stringContaining(
    "line 4 of the policy file denies this request: it read private data",
  );

  it("are set by what a request does, and are read by later ones", async () => {
    const claude = await world.key("claude");
    expect(await sent(claude, "POST", "/issues")).toBe("sent");
    expect(await sent(claude, "GET", "/secret?token=hidden")).toBe("sent");
    expect([await sent(claude, "POST", "/issues"), await sent(claude, "GET", "/issues")]).toEqual([
      denied,
      "sent",
    ]);
    expect(await sent(await world.key("other"), "POST", "/issues")).toBe("sent");
    const of = rules.digest.slice(0, 12);
    const set = {
      label: "private",
      caller: "key:claude",
      request: "GET api.example/secret",
      session: "run-1",
    };
    expect(world.labels.labelsOf("key:claude")).toMatchObject([{ ...set, rule: `line 5 of ${of}` }]);
    const { events } = world.engine.store.listAuditEvents({ limit: 50 });
    expect(events.map(({ event }) => event).filter(({ type }) => type === "session.labeled")).toMatchObject([
      {
        ...{ principal: "key:claude", userId: "ada", session: "run-1", rule: `line 5 of ${of}` },
        reason: "private: GET api.example/secret",
      },
    ]);
    expect(JSON.stringify(events, (_, value) => (typeof value === "bigint" ? 0 : value))).not.toContain(
      "hidden",
    );
  });

  it("are those of the request, where a rule says so: what it reads and does", async () => {
    world.engine.access.setPolicy(
      policyOf(`
  - { when: '"untrusted" in session.labels && "shares" in request.labels', then: deny, because: strangers wrote }
  - { when: '"shares" in request.labels', then: allow }
  - { then: allow, label: [request.labels, seen] }`),
    );
    const claude = await world.key("claude");
    const { id } = await world.engine.connected();
    const send = async (method: string, url: string) => {
      const line = { ...describedHeaders(method, [], true), ...describedUrl(url) };
      const body = { size: 0, digest: "", bytes: undefined };
      const { signal } = new AbortController();
      const asked = { request: { ...line, session: undefined, body }, signal };
      await world.engine.tokens.admitted(claude, id, asked);
    };
    const issues = "https://api.github.com/repos/acme/site/issues";
    await send("GET", "https://api.github.com/rate_limit");
    expect(world.names(claude)).toEqual(["seen"]);
    await send("POST", issues);
    expect(world.names(claude)).toEqual(["seen"]);
    await send("GET", "https://api.github.com/user");
    expect(world.names(claude)).toEqual(["seen", "private"]);
    await send("POST", issues);
    await send("GET", `${issues}/7`);
    expect(world.names(claude)).toEqual(["seen", "private", "untrusted"]);
    await expect(send("POST", issues)).rejects.toThrow(
      "line 4 of the policy file denies this request: strangers wrote",
    );
    await send("PUT", "https://api.github.com/notifications");
    await expect(send("POST", "https://api.unknown.example/x")).rejects.toThrow("strangers wrote");
  });

  it("hold at once for requests under way, before they are durable, and before the request that sets them goes on", async () => {
    const claude = await world.key("claude");
    const { id } = await world.engine.connected();
    const first = world.engine.tokens.admitted(claude, id, asking("GET", "/secret"));
    expect(first).toBeInstanceOf(Promise);
    const second = world.engine.tokens.admitted(claude, id, asking("POST", "/issues"));
    await expect(second).rejects.toThrow("denies this request");
    await first;
  });

  it("are judged again after a person's yes, and shown to that person", async () => {
    const claude = await world.key("claude");
    const shown: (string | undefined)[] = [];
    world.engine.approver = async ({ labels = [] }) => {
      shown.push(...labels.map(({ label, request }) => `${label} ${request}`));
      await sent(claude, "GET", "/secret");
      return { approver: "key:boss" };
    };
    expect(await sent(claude, "POST", "/ask")).toEqual(denied);
    expect(shown).toEqual([]);
    expect(await sent(claude, "GET", "/ask")).toBe("sent");
    expect(shown).toEqual(["private GET api.example/secret"]);
    expect(world.names(claude)).toEqual(["private", "asked"]);
  });

  it("are of an agent: all of its grants and runs, and keys that are made under it, have them", async () => {
    const grant = await world.key("claude.github.0a1b2c");
    const before = await world.key("made-before", grant);
    await world.engine.clock.advance(1);
    await sent(grant, "GET", "/secret");
    await world.engine.clock.advance(1);
    const heirs = [
      await world.key("claude.slack.0a1b2d"),
      await world.key("claude"),
      await world.key("helper", grant),
      await world.key("helpers-helper", { name: "key:helper", kind: "key" }),
    ];
    for (const each of heirs)
      expect([each.name, await sent(each, "POST", "/issues")]).toEqual([each.name, denied]);
    for (const each of [before, await world.key("claude2.github.0a1b2c"), await world.key("made-by-owner")])
      expect([each.name, await sent(each, "POST", "/issues")]).toEqual([each.name, "sent"]);
    expect(await sent({ ...owner, isProxied: true }, "GET", "/secret")).toBe("sent");
    await world.engine.clock.advance(1);
    expect(world.names(await world.key("made-by-labeled-owner"))).toEqual(["private"]);
    expect(world.names(await world.key("other.github.0a1b2c", { ...agent, name: "jwt:other" }))).toEqual([]);
  });

  it("end with the last key of an agent, and with long silence", async () => {
    const [one, other] = [await world.key("claude.github.0a1b2c"), await world.key("claude.slack.0a1b2d")];
    await sent(one, "GET", "/secret");
    await world.engine.keys.revoke({ name: "claude.github.0a1b2c" }, owner);
    expect(world.names(other)).toEqual(["private"]);
    await world.engine.keys.revoke({ name: "claude.slack.0a1b2d" }, owner);
    expect(world.names(await world.key("claude"))).toEqual([]);
    await sent(proxy, "GET", "/secret");
    for (let at = 0; at < 3; at++) {
      await world.engine.clock.advance(12 * hourMs);
      expect([at, await sent(proxy, "POST", "/issues")]).toEqual([at, denied]);
    }
    await world.engine.clock.advance(13 * hourMs);
    expect(await sent(proxy, "POST", "/issues")).toBe("sent");
  });

  it("end 12 hours after the last request, however long the disk takes for the one before", async () => {
    const recalled = ({ labels }: World) => [...labels.recall(proxy.name)];
    await sent(proxy, "GET", "/secret");
    const { store, clock } = world.engine;
    const commit = store.commit.bind(store);
    let answer = (): void => undefined;
    const answered = new Promise<void>((resolve) => {
      answer = resolve;
    });
    store.commit = async (write) => {
      const result = await commit(write);
      await answered;
      return result;
    };
    await clock.advance(2 * hourMs);
    expect(recalled(world)).toEqual(["private"]);
    await clock.advance(2 * hourMs);
    expect(recalled(world)).toEqual(["private"]);
    store.commit = commit;
    answer();
    await clock.advance(11 * hourMs);
    expect(recalled(world)).toEqual(["private"]);
    const again = await world.again();
    expect(recalled(again)).toEqual(["private"]);
    await again.close();
  });

  it("are not set, and set nothing free, where they cannot be stored", async () => {
    const claude = await world.key("claude");
    const { store } = world.engine;
    const commit = store.commit.bind(store);
    store.commit = () => Promise.reject(new Error("full"));
    await expect(world.labels.add(labeling(claude, ["private"]))).rejects.toThrow("cannot be recorded");
    expect(world.names(claude)).toEqual(["private"]);
    store.commit = commit;
    await world.labels.add(labeling(claude, ["private"]));
    expect(world.labels.add(labeling(claude, ["private"]))).toBeUndefined();
    const again = await world.again();
    expect(again.names(claude)).toEqual(["private"]);
    expect(again.engine.store.listAuditEvents({ limit: 1 }).events[0]?.event.type).toBe("session.labeled");
    await again.close();
  });

  it("need each request described: no token is given without, on streams either", async () => {
    const { id } = await world.engine.connected();
    const claude = { ...(await world.key("claude")), isProxied: undefined } as unknown as Principal;
    await expect(
      Promise.resolve().then(() => world.engine.tokens.getToken(id, 0, claude)),
    ).rejects.toMatchObject({
      reason: "USE_EGRESS",
    });
    world.engine.access.setPolicy(policyOf("[{ then: allow, label: [private] }]"));
    await expect(
      Promise.resolve().then(() => world.engine.tokens.getToken(id, 0, claude)),
    ).rejects.toMatchObject({
      reason: "USE_EGRESS",
    });
    const connection = world.engine.store.getConnection(id);
    if (!connection) throw new Error("no connection");
    expect(world.engine.rules.tokenView(claude).seesConnection(connection)).toBe(false);
    world.engine.memory = undefined;
    expect(await sent(proxy, "GET", "/x")).toBe("this daemon keeps no labels of sessions");
    world.engine.access.setPolicy(rules);
    expect(await sent(proxy, "POST", "/x")).toContain("denies this request (it asks for what is not shown");
  });

  it("are bounded", async () => {
    const many = [...Array(64)].map((_, at) => `l${at}`);
    await world.labels.add(labeling(proxy, many));
    await expect(world.labels.add(labeling(proxy, ["one-more"]))).rejects.toThrow("at most 64 labels");
    expect(world.names(proxy)).toHaveLength(64);
  });
});

describe("labels, whatever happens", () => {
  const callers = ["claude", "claude.github.0a1b2c", "claude.slack.0a1b2d", "jwt", "other"] as const;
  const step = fc.oneof(
    fc.record({
      caller: fc.constantFrom(...callers),
      labels: fc.subarray(["a", "b", "c"]),
      isAwaited: fc.boolean(),
    }),
    fc.constant("restart" as const),
    fc.integer({ min: 0, max: 11 }),
  );

  it("are added by nothing before what is stored was read", async () => {
    const world = new World();
    const { store, keys, changes, clock } = world.engine;
    const refusal = () => undefined;
    const unread = new SessionLabels({ store, keys, changes, clock, log: silentLog, refusal });
    await expect(unread.add(labeling(agent, ["seen"]))).rejects.toThrow("nothing was sent");
    await world.close();
  });

  it("only grow, are the same for all of an agent, and none is lost over a restart", {
    timeout: 60_000,
  }, async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 12 }), async (steps) => {
        let world = new World();
        for (const name of callers) if (name !== "jwt") await world.key(name);
        const principal = (caller: string): Principal =>
          caller === "jwt" ? agent : { name: `key:${caller}`, kind: "key" };
        const agentOf = (caller: string) => caller.split(".")[0] ?? "";
        const expected = new Map<string, Set<string>>();
        try {
          for (const each of steps) {
            if (each === "restart") world = await world.again();
            else if (typeof each === "number") await world.engine.clock.advance(each * hourMs);
            else {
              const { caller, labels, isAwaited } = each;
              const added = world.labels.add(labeling(principal(caller), labels));
              if (isAwaited) await added;
              const known = expected.get(agentOf(caller)) ?? new Set();
              expected.set(agentOf(caller), new Set([...known, ...labels]));
            }
            for (const caller of callers) {
              const names = [...world.labels.recall(principal(caller).name)].sort();
              expect([caller, names]).toEqual([caller, [...(expected.get(agentOf(caller)) ?? [])].sort()]);
            }
          }
        } finally {
          await world.close();
        }
      }),
      { numRuns: 25 },
    );
  });
});
