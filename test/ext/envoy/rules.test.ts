import { describe, expect, it } from "vitest";
import { ConnectionNames } from "../../../src/domain/access/connection_names.js";
import { ProxyAuthorizer } from "../../../src/ext/envoy/proxy_authorizer.js";
import {
  agent,
  cellsOf,
  nobodyAgrees,
  policyOf,
  proxy,
  requests,
  type Sight,
  wordFor,
} from "../../domain/access/rule_cells.js";
import { Engine } from "../../domain/engine.js";
import { perTest } from "../../lifetimes.js";

describe("external authorization under rules of requests", () => {
  const engine = perTest(() => new Engine());

  async function authorize(sight: Sight, name: keyof typeof requests, principal = proxy) {
    const { id } = await engine.connected();
    const { access, rules, tokens, store, clock, apiNonces } = engine;
    rules.askApprovers = nobodyAgrees;
    const authorizer = new ProxyAuthorizer({
      ...{ tokens, clock, apiNonces, rejected: engine.rejected },
      names: new ConnectionNames({ access, store }),
    });
    const { method, target, headers, body } = requests[name];
    const overriding = Object.entries(headers).filter(([header]) => header.startsWith("x-http"));
    const shown = sight === "line" ? overriding : [[":method", method] as const, ...Object.entries(headers)];
    const request = { method, host: "api.example", scheme: "https" as const, path: target };
    return authorizer.authorize(
      { id },
      { ...request, headers: new Map(shown), body: sight === "all" ? Buffer.from(body) : undefined },
      principal,
      { signal: new AbortController().signal },
    );
  }

  describe.each(["line", "headers", "all"] as const)("of a proxy that shows: %s", (sight) => {
    it.each(cellsOf(sight))("under $rules, $request: $expected", async ({ rules, request, expected }) => {
      engine.access.setPolicy(policyOf(rules));
      expect(await wordFor(authorize(sight, request))).toBe(expected);
    });
  });

  it("does not believe an agent that says it is one", async () => {
    engine.access.setPolicy(policyOf(`[{ when: 'request.method == "GET"', then: allow }]`));
    expect(await wordFor(authorize("all", "read", agent))).toBe("egress");
  });
});
