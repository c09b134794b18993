import { describe, expect, it, vi } from "vitest";
import type { Core } from "../../../../src/core/core.js";
import { Registry } from "../../../../src/core/registry.js";
import { policy } from "../../../../src/ext/policy/extension.js";
import { recordSettings } from "../../../../src/ext/policy/record/record_settings.js";
import { RequestRecord } from "../../../../src/ext/policy/record/request_record.js";
import { templateTable } from "../../../../src/ext/policy/record/template_table.js";
import { owner, type Principal } from "../../../../src/model/access/principal.js";
import { describedHeaders, describedUrl } from "../../../../src/model/access/request_facts.js";
import { Engine, hourMs, tokenSet } from "../../../domain/engine.js";
import { perTest } from "../../../lifetimes.js";
import { silentLog } from "../../../silent_log.js";
import { temporaryFolder } from "../../../temporary_folder.js";

const canary = "canary-7f3a9c2e";

class World {
  readonly engine: Engine;
  readonly record: RequestRecord;
  #id: string | undefined;

  constructor(
    readonly folder = temporaryFolder(),
    maxTemplates?: number,
  ) {
    this.engine = new Engine(folder, undefined, { tables: [templateTable] });
    const { store, access, changes, clock } = this.engine;
    const most = maxTemplates === undefined ? {} : { maxTemplates };
    this.record = new RequestRecord({ store, access, changes, clock, log: silentLog, ...most });
    this.record.start();
  }

  async connected(): Promise<void> {
    const [first] = this.engine.store.listConnections({ limit: 1 });
    this.#id =
      first?.id ??
      (await this.engine.connected(tokenSet({ expiresInMs: undefined, refreshToken: undefined }))).id;
  }

  admit(method: string, url: string, headers: Record<string, string> = {}, principal: Principal = owner) {
    const request = {
      ...{ ...describedUrl(url), ...describedHeaders(method, Object.entries(headers), true) },
      ...{ body: undefined, session: undefined },
    };
    const signal = new AbortController().signal;
    return this.engine.rules.admit(principal, this.#id ?? "", { request, signal });
  }

  /** What is on disk. */
  get stored(): number {
    return this.engine.store.raw((databases) => [...templateTable.of(databases).getKeys({})]).length;
  }

  seen(sinceMs = 0) {
    return this.record.list(sinceMs).map(({ principal, method, host, path, count }) => ({
      line: `${principal} ${method} ${host}${path}`,
      count,
    }));
  }

  async close(): Promise<void> {
    await this.record.stop();
    await this.engine.close();
  }
}

describe("the record of requests", () => {
  const world = perTest(async () => {
    const made = new World();
    await made.connected();
    return made;
  });

  it("counts what was let go by template, and is written a little later", async () => {
    for (const id of [1, 2, 3])
      await world.admit("GET", `https://api.example.com/v1/items/${id}?q=${canary}`);
    await world.admit("POST", "https://api.example.com/v1/items", { "x-note": canary });
    expect(world.seen()).toEqual([
      { line: "owner POST api.example.com/v1/items", count: 1 },
      { line: "owner GET api.example.com/v1/items/{number}", count: 3 },
    ]);
    expect(JSON.stringify(world.record.list(0))).not.toContain(canary);
    expect(world.stored).toBe(0);
    await world.engine.clock.advance(11_000);
    await vi.waitFor(() => expect(world.stored).toBe(2));
  });

  it("counts an agent once for all of its grants, and nothing that a caller that is no proxy says", async () => {
    const grant = (name: string, isProxied: boolean): Principal =>
      ({ ...owner, kind: "key", name, isProxied }) as unknown as Principal;
    await world.admit("GET", "https://a.example/x", {}, grant("key:claude.github.0a1b2c", true));
    await world.admit("GET", "https://a.example/x", {}, grant("key:claude.slack.0a1b2d", true));
    await world.admit("GET", "https://a.example/y", {}, grant("key:claude", false));
    expect(world.seen()).toEqual([{ line: "key:claude GET a.example/x", count: 2 }]);
  });

  it.each([
    ["get", "https://a.example/x", {}],
    ["GET", "https://a.example/x/../y", {}],
    ["GET", `https://a.example/${"a/".repeat(600)}`, {}],
    ["GET", "https://a.example/x", { "x-http-method-override": "DELETE" }],
    ["GET", "https://a.example\u001b/x", {}],
    ["GET\n", "https://a.example/x", {}],
  ])("leaves out %s %s %j, and says how many", async (method, url, headers) => {
    await world.admit(method, url, headers as Record<string, string>);
    expect([world.seen(), world.record.leftOut]).toEqual([[], 1]);
  });

  it("lists what was seen since a time, by the hour", async () => {
    await world.admit("GET", "https://a.example/old");
    await world.engine.clock.advance(5 * hourMs);
    await world.admit("GET", "https://a.example/new");
    expect(world.seen(world.engine.clock.nowMs() - 3 * hourMs)).toEqual([
      { line: "owner GET a.example/new", count: 1 },
    ]);
    expect(world.seen()).toHaveLength(2);
  });
});

it("is whole after a clean end, and goes on from there", async () => {
  const first = new World();
  await first.connected();
  await first.admit("GET", "https://a.example/x/1");
  await first.record.stop();
  // A call that still runs when the daemon ends.
  await first.admit("GET", "https://a.example/late");
  await vi.waitFor(() => expect(first.stored).toBe(2));
  await first.engine.close();
  const second = new World(first.folder);
  await second.connected();
  await second.admit("GET", "https://a.example/x/2");
  expect(second.seen()).toEqual([
    { line: "owner GET a.example/late", count: 1 },
    { line: "owner GET a.example/x/{number}", count: 2 },
  ]);
  await second.close();
});

it("has a bounded number of templates, and what was not seen for a month makes way", async () => {
  const world = new World(temporaryFolder(), 2);
  await world.connected();
  for (const path of ["one", "two", "three"]) await world.admit("GET", `https://a.example/${path}`);
  expect([world.seen().length, world.record.leftOut]).toEqual([2, 1]);
  await world.engine.clock.advance(32 * 24 * hourMs);
  await world.admit("GET", "https://a.example/three");
  expect(world.seen()).toEqual([{ line: "owner GET a.example/three", count: 1 }]);
  await world.record.stop();
  expect(world.stored).toBe(1);
  await world.engine.close();
});

it("is refused in a fleet and at a spoke, before anything is served", async () => {
  const config = { extensions: new Map([[recordSettings, true]]), access: { policyFile: undefined } };
  const core = { config, access: {}, member: { leads: true } } as unknown as Core;
  await expect(policy.open?.(core, new Registry())).rejects.toThrow(
    /NEXUS_RECORD_REQUESTS is true: a fleet or a spoke records no requests/,
  );
});
