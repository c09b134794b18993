import { PassThrough } from "node:stream";
import { setImmediate } from "node:timers/promises";
import { create, type Message } from "@bufbuild/protobuf";
import { expect, it, vi } from "vitest";
import {
  CallerSessions,
  type CallerSessionsDeps,
  EgressMetrics,
} from "../../../../src/ext/egress/listener/caller_sessions.js";
import type { Dialer } from "../../../../src/ext/egress/proxy/dial.js";
import { EgressProxy } from "../../../../src/ext/egress/proxy/proxy.js";
import { routeOf } from "../../../../src/ext/egress/proxy/routes.js";
import { EgressSession } from "../../../../src/ext/egress/proxy/session.js";
import { ProviderSchema } from "../../../../src/gen/nexus/v1/provider_pb.js";
import {
  type AcquireTokenRequest,
  AcquireTokenResponseSchema,
  TokenService,
} from "../../../../src/gen/nexus/v1/token_pb.js";
import { Unauthenticated } from "../../../../src/model/errors.js";
import { AuthorityFiles } from "../../../../src/outbound/certificate_authorities.js";
import { Metrics } from "../../../../src/telemetry/metrics.js";
import { agent, policyOf, proxy } from "../../../domain/access/rule_cells.js";
import { Engine } from "../../../domain/engine.js";
import { perTest } from "../../../lifetimes.js";
import { silentLog } from "../../../silent_log.js";
import { credentialFor } from "../proxy/egress_world.js";

const minuteMs = 60_000;

const world = perTest(() => {
  const engine = new Engine();
  engine.access.setPolicy(policyOf("[]"));
  const { store, access, rules, clock } = engine;
  const none = {} as CallerSessionsDeps["authority"] & CallerSessionsDeps["dialer"];
  const deps: CallerSessionsDeps = {
    ...{ services: [], store, access, rules, clock, user: undefined, log: silentLog },
    authorities: new AuthorityFiles({}),
    ...{ authority: none, dialer: none, network: "open" as const, maxSessions: { ofOne: 2, ofAll: 3 } },
    metrics: new EgressMetrics(new Metrics({ version: "1" }), () => sessions.size),
  };
  const sessions: CallerSessions = new CallerSessions(deps);
  return { engine, deps, sessions, close: () => engine.close() };
});

it("keeps the newer session of a caller when one that made room for others ends", async () => {
  const { engine, sessions } = world;
  const first = sessions.of(agent, "ada");
  for (const user of ["bob", "cyd"]) sessions.of(agent, user);
  const second = sessions.of(agent, "ada");
  expect(second).not.toBe(first);
  second.hold(new PassThrough());
  engine.clock.advance(minuteMs);
  expect(sessions.of(agent, "ada")).toBe(second);
  expect(sessions.size).toBe(1);
});

function stop(): void {
  world.engine.access.setStopped(new Set([agent.name]));
}

it("ends the session and the tunnels of a caller that is stopped, and opens no other one", async () => {
  const { sessions } = world;
  const session = sessions.of(agent, "ada");
  const [tunnel, late] = [new PassThrough(), new PassThrough()];
  session.hold(tunnel);
  stop();
  await setImmediate();
  session.hold(late);
  expect([sessions.size, tunnel.destroyed, late.destroyed]).toEqual([0, true, true]);
  expect(() => sessions.of(agent, "ada")).toThrow(Unauthenticated);
});

it.each([
  ["at once", 0],
  ["after a look for idle sessions", minuteMs],
])("ends a tunnel that is being dialed when its caller is stopped %s", async (_, laterMs) => {
  const { engine, sessions } = world;
  const [near, far] = [new PassThrough(), new PassThrough()];
  let dialed = (_: PassThrough): void => undefined;
  const plain = () =>
    new Promise((resolve) => {
      dialed = resolve;
    });
  const dialer = { plain } as unknown as Dialer;
  const { server } = new EgressProxy({ dialer, sessionOf: async () => sessions.of(agent, "ada") });
  server.emit("connect", { url: "far.example:443" }, near, Buffer.alloc(0));
  await setImmediate();
  engine.clock.advance(laterMs);
  expect(sessions.size).toBe(1);
  stop();
  await setImmediate();
  dialed(far);
  await setImmediate();
  expect([sessions.size, near.destroyed, far.destroyed]).toEqual([0, true, true]);
});

it("keeps no session of a caller that ends while it is opened", async () => {
  const { engine, sessions } = world;
  vi.spyOn(engine.access, "hold").mockImplementationOnce((_caller, _action, _permissions, onEnded) => {
    onEnded(new Unauthenticated("expired"));
    return () => undefined;
  });
  const session = sessions.of(agent, "ada");
  await setImmediate();
  const late = new PassThrough();
  session.hold(late);
  expect([sessions.size, late.destroyed]).toEqual([0, true]);
});

it("makes room for a caller's users among its own sessions, and else among those of the caller that has the most", async () => {
  const { sessions } = world;
  const held = sessions.of(proxy, "ada");
  for (const user of ["ada", "bob", "cyd", "dan"]) sessions.of(agent, user);
  expect([sessions.of(proxy, "ada"), sessions.size]).toEqual([held, 3]);
  sessions.of(proxy, "bob");
  expect([sessions.of(proxy, "ada"), sessions.size]).toEqual([held, 3]);
  // Two of the proxy's: it makes room itself, for what it used longest ago.
  sessions.of(proxy, "cyd");
  expect(sessions.list().map(({ principal }) => principal)).toEqual(["jwt:proxy", "jwt:proxy", "jwt:agent"]);
  await setImmediate();
});

it("gives the servers of APIs' names up with their session", async () => {
  const { sessions } = world;
  const standIns = { get: vi.fn(), set: vi.fn(), clear: vi.fn() };
  const { deps } = sessions.of(agent, "ada");
  new EgressSession(deps, standIns).close();
  expect(standIns.clear).toHaveBeenCalledOnce();
});

it.each([
  ["no rule", "[]", undefined, "UNSHOWN"],
  ["no rule, at the leader of a fleet", "[]", { leads: true }, "UNSHOWN"],
  ["no rule that it knows, where another hub decides", "[]", { leads: false }, "DELETE"],
  ["a rule for another provider", "[{ providers: [other], then: deny }]", undefined, "UNSHOWN"],
  ["a rule for the provider", "[{ providers: [acme, other], then: allow }]", undefined, "DELETE"],
  ["a rule for every provider", "[{ then: allow }]", undefined, "DELETE"],
])("shows a request where there is %s, or not", async (_, rules, fleet, expected) => {
  const { engine, sessions } = world;
  engine.access.setPolicy(policyOf(rules));
  const shown: unknown[] = [];
  const acquire = {
    ...{ kind: "unary" as const, descriptor: TokenService.method.acquireToken },
    call: (message: Message) => {
      shown.push((message as AcquireTokenRequest).request?.method);
      const kind = { case: "oauth2" as const, value: { credentialField: "access_token" } };
      return create(AcquireTokenResponseSchema, { result: { case: "token", value: { strategy: { kind } } } });
    },
  };
  const services = [{ descriptor: TokenService, methods: [acquire] }];
  const own = new CallerSessions({ ...world.deps, services, fleet });
  const { credentials } = own.of(agent, "ada").deps;
  const route = routeOf(create(ProviderSchema, { name: "acme" }), "");
  const origin = { host: "api.example", port: 443 };
  const request = { origin, method: "DELETE", target: "/v1/a", headers: {} };
  await credentialFor(credentials, route, request);
  expect(shown).toEqual([expected]);
  await own.close();
  await sessions.close();
});
