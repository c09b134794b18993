import { beforeAll, beforeEach, describe, expect, it } from "vitest";
import { daemonRpcs } from "../../../../src/ext/egress/listener/daemon_rpcs.js";
import { agent, policyOf, tokenServiceOf } from "../../../domain/access/rule_cells.js";
import { Engine } from "../../../domain/engine.js";
import { perSuite } from "../../../lifetimes.js";
import {
  climbingPaths,
  deniedPaths,
  echoingMethods,
  free,
  methodRules,
  pathRules,
  samePaths,
  secondMethods,
  secondPaths,
} from "../../../model/access/spellings.js";
import { EgressWorld } from "./egress_world.js";
import type { Asked } from "./proxy_client.js";

const engine = perSuite(() => new Engine());
let egress: EgressWorld;
beforeAll(async () => {
  await engine.connected();
  const rpcs = daemonRpcs([tokenServiceOf(engine)], { ...agent, isProxied: true });
  egress = await EgressWorld.start({ daemon: { rpcs, providerName: "op" } });
  return () => egress.stop();
});
beforeEach(() => {
  (egress.received as unknown[]).length = 0;
});

describe.each([1, 2] as const)("a program that spells requests its own way over HTTP/%i", (version) => {
  async function sent(path: string, asked: Asked = {}) {
    const { status } = await egress.ask(path, { version, ...asked });
    return [status, ...egress.received.map((one) => `${one.method} ${one.path}`)];
  }

  it.each([...secondPaths, ...climbingPaths])(
    "is refused %s, where a rule goes by the path",
    async (path) => {
      engine.access.setPolicy(policyOf(pathRules));
      expect(await sent(`/v1${path}`)).toEqual([400]);
    },
  );

  it.each(climbingPaths)("is refused %s, which leaves the base path", async (path) => {
    engine.access.setPolicy(policyOf("[]"));
    expect(await sent(`/v1${path}`)).toEqual([400]);
  });

  it.each(deniedPaths)("is denied %s as the path that it is", async (path) => {
    engine.access.setPolicy(policyOf(pathRules));
    expect(await sent(`/v1${path}`)).toEqual([403]);
  });

  it.each(samePaths)("has %s sent as %s, as it is judged", async (path, canonical) => {
    engine.access.setPolicy(policyOf(pathRules));
    expect(await sent(`/v1${path}`)).toEqual([200, `GET /v1${canonical}`]);
  });

  it("has sent as it is what nothing goes by", async () => {
    engine.access.setPolicy(policyOf(methodRules));
    expect(await sent(`/v1${free}`)).toEqual([200, `GET /v1${free}`]);
  });

  // Over HTTP/1.1 a parser refuses small letters, and this client sends none.
  const methods = secondMethods.filter(({ method }) => version === 2 || method === "POST");
  it.each(methods)("is refused %j, where a rule goes by the method", async ({ path = "/user", ...asked }) => {
    engine.access.setPolicy(policyOf(methodRules));
    expect(await sent(`/v1${path}`, asked)).toEqual([400]);
  });

  it.each(version === 2 ? echoingMethods : ["TRACE"])("is refused %s", async (method) => {
    engine.access.setPolicy(policyOf("[]"));
    expect(await sent("/v1/user", { method })).toEqual([405]);
  });
});

describe("a session for some methods and paths", () => {
  it.each(secondPaths)("is refused %s", async (path) => {
    const world = await EgressWorld.start({ paths: ["/v1/admin*"] });
    expect((await world.ask(`/v1${path}`)).status).toBe(400);
    expect(world.received).toEqual([]);
    await world.stop();
  });

  it.each(secondMethods)("is refused %j", async ({ path = "/user", ...asked }) => {
    const world = await EgressWorld.start({ methods: ["POST", "DELETE"] });
    expect((await world.ask(`/v1${path}`, { version: 2, ...asked })).status).toBe(400);
    expect(world.received).toEqual([]);
    await world.stop();
  });
});
