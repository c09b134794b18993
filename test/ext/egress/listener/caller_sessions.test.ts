import { PassThrough } from "node:stream";
import { expect, it } from "vitest";
import {
  CallerSessions,
  type CallerSessionsDeps,
} from "../../../../src/ext/egress/listener/caller_sessions.js";
import { EgressMetrics } from "../../../../src/ext/egress/listener/session_record.js";
import { Unauthenticated } from "../../../../src/model/errors.js";
import { Metrics } from "../../../../src/telemetry/metrics.js";
import { agent, policyOf } from "../../../domain/access/rule_cells.js";
import { Engine } from "../../../domain/engine.js";
import { perTest } from "../../../lifetimes.js";
import { silentLog } from "../../../silent_log.js";

const minuteMs = 60_000;

const world = perTest(() => {
  const engine = new Engine();
  engine.access.setPolicy(policyOf("[]"));
  const { store, access, clock } = engine;
  const none = {} as CallerSessionsDeps["authority"] & CallerSessionsDeps["upstream"];
  const sessions: CallerSessions = new CallerSessions({
    ...{ services: [], store, access, clock, user: undefined, log: silentLog },
    ...{ authority: none, upstream: none, network: "open" as const, maxSessions: 2 },
    metrics: new EgressMetrics(new Metrics({ version: "1" }), () => sessions.size),
  });
  return { engine, sessions, close: () => engine.close() };
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

it("ends the session and the tunnels of a caller that is stopped, and opens no other one", () => {
  const { engine, sessions } = world;
  const tunnel = new PassThrough();
  sessions.of(agent, "ada").hold(tunnel);
  engine.access.isStopped = (name) => name === agent.name;
  engine.changes.emit("principalEnded", agent.name);
  expect([sessions.size, tunnel.destroyed]).toEqual([0, true]);
  expect(() => sessions.of(agent, "ada")).toThrow(Unauthenticated);
});
