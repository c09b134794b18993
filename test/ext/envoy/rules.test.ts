import { create } from "@bufbuild/protobuf";
import { beforeAll, describe, expect, it } from "vitest";
import { ConnectionNames } from "../../../src/domain/access/connection_names.js";
import { authorizationService } from "../../../src/ext/envoy/authorization_service.js";
import { authorizeRoute } from "../../../src/ext/envoy/authorize_route.js";
import { routeFields } from "../../../src/ext/envoy/check_message.js";
import { ProxyAuthorizer } from "../../../src/ext/envoy/proxy_authorizer.js";
import {
  Authorization,
  type CheckRequest,
  CheckRequestSchema,
  type CheckResponse,
} from "../../../src/gen/envoy/service/auth/v3/external_auth_pb.js";
import type { Principal } from "../../../src/model/access/principal.js";
import type { Request, Response } from "../../../src/server/listen/http_message.js";
import type { BoundService, CallContext } from "../../../src/service/pipeline/bound_service.js";
import {
  agent,
  cellsOf,
  nobodyAgrees,
  policyOf,
  proxy,
  type RequestName,
  requests,
  wordFor,
} from "../../domain/access/rule_cells.js";
import { Engine } from "../../domain/engine.js";
import { perSuite } from "../../lifetimes.js";

const traceId = "4bf92f3577b34da6a3ce929d0e0e4736";
const traceparent = `00-${traceId}-00f067aa0ba902b7-01`;
const context = (principal: Principal) => ({ principal, signal: new AbortController().signal });

describe("external authorization under rules of requests", () => {
  const engine = perSuite(() => new Engine(undefined, undefined, { isAudited: true }));
  let id = "";
  beforeAll(async () => {
    id = (await engine.connected()).id;
    engine.rules.askApprovers = nobodyAgrees;
  });

  async function check(request: CheckRequest, called: CallContext): Promise<CheckResponse> {
    const { access, tokens, store, clock, apiNonces, rejected } = engine;
    const names = new ConnectionNames({ access, store });
    const authorizer = new ProxyAuthorizer({ tokens, clock, apiNonces, rejected, names });
    const [method] = authorizationService({ authorizer }).methods;
    if (method?.kind !== "unary") throw new Error("no Check");
    return (await method.call(request, called)) as CheckResponse;
  }

  /** As Envoy asks, with the whole body where its filter is set so. */
  function envoy(name: RequestName, showsBody: boolean, principal = proxy, fields = {}): Promise<unknown> {
    const { method, target, headers, body } = requests[name];
    const shown = { ":method": method, traceparent, ...headers };
    const entries = Object.entries(shown).map(([key, value]) => ({ key, value }));
    const bytes = showsBody ? { rawBody: Buffer.from(body), size: BigInt(body.length) } : { size: -1n };
    const http = { method, path: target, host: "api.example", headerMap: { headers: entries }, ...bytes };
    const contextExtensions = { [routeFields.connection]: id, ...fields };
    const request = { attributes: { contextExtensions, request: { http } } };
    return check(create(CheckRequestSchema, request), context(principal));
  }

  /** The subrequest that these configurations of `examples/` send. */
  async function subrequest(prefix: "x-original" | "x-forwarded", name: RequestName, principal = proxy) {
    const { method, target, headers } = requests[name];
    let outcome: Promise<CheckResponse> | undefined;
    const call = (request: CheckRequest, called: CallContext) => (outcome = check(request, called));
    const methods = [{ kind: "unary", descriptor: Authorization.method.check, call }];
    const service = { descriptor: Authorization, methods } as unknown as BoundService;
    const serve = authorizeRoute({ services: [service], onUnexpected: () => undefined });
    const line = { [`${prefix}-method`]: method, [`${prefix}-uri`]: target };
    const request = { method: "GET", url: `/v1/authorize/${id}`, headers: { ...headers, ...line } };
    const response = { once: () => undefined, destroyed: true, destroy: () => undefined };
    serve(request as unknown as Request, response as unknown as Response, principal);
    if (!outcome) throw new Error("nobody was asked");
    return await outcome;
  }

  const places = [
    ["nginx", "line", (name: RequestName, who?: Principal) => subrequest("x-original", name, who)],
    ["Caddy", "line", (name: RequestName, who?: Principal) => subrequest("x-forwarded", name, who)],
    ["Envoy", "headers", (name: RequestName, who?: Principal) => envoy(name, false, who)],
    ["Envoy with bodies", "all", (name: RequestName, who?: Principal) => envoy(name, true, who)],
  ] as const;

  describe.each(places)("of %s, which shows: %s", (_place, sight, ask) => {
    it.each(cellsOf(sight))("under $rules, $request: $expected", async ({ rules, request, expected }) => {
      engine.access.setPolicy(policyOf(rules));
      expect(await wordFor(ask(request))).toBe(expected);
    });

    it.each(cellsOf("nothing"))(
      "does not believe an agent that says it is one, under $rules, $request: $expected",
      async ({ rules, request, expected }) => {
        engine.access.setPolicy(policyOf(rules));
        expect(await wordFor(ask(request, agent))).toBe(expected);
      },
    );
  });

  it.each([
    ["http", true],
    ["https", undefined],
  ])("shows approvers that a route leads upstream over %s", async (scheme, isPlain) => {
    engine.access.setPolicy(policyOf("[{ then: ask }]"));
    const asked: unknown[] = [];
    engine.rules.askApprovers = (held) => {
      asked.push(held.request.isPlain);
      return nobodyAgrees(held);
    };
    await wordFor(envoy("write", true, proxy, { [routeFields.upstreamScheme]: scheme }));
    engine.rules.askApprovers = nobodyAgrees;
    expect(asked).toEqual([isPlain]);
  });

  it("puts rule, user and trace on record, as the headers of the request name it", async () => {
    const policy = policyOf("[{ then: allow }]");
    engine.access.setPolicy(policy);
    await envoy("read", true);
    expect(engine.store.listAuditEvents({ limit: 1 }).events).toMatchObject([
      { event: { userId: "ada", rule: `line 3 of ${policy.digest.slice(0, 12)}`, traceId } },
    ]);
  });
});
