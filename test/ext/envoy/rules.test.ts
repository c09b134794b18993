import { create } from "@bufbuild/protobuf";
import { beforeAll, describe, expect, it } from "vitest";
import { authorizationService } from "../../../src/ext/envoy/authorization_service.js";
import { authorizeRoute } from "../../../src/ext/envoy/authorize_route.js";
import { deniedResponse, routeFields } from "../../../src/ext/envoy/check_message.js";
import { ProxyAuthorizer } from "../../../src/ext/envoy/proxy_authorizer.js";
import {
  Authorization,
  type CheckRequest,
  CheckRequestSchema,
  type CheckResponse,
} from "../../../src/gen/envoy/service/auth/v3/external_auth_pb.js";
import type { Principal } from "../../../src/model/access/principal.js";
import { InvalidArgument } from "../../../src/model/errors.js";
import type { Request, Response } from "../../../src/server/listen/http_message.js";
import type { BoundService, CallContext } from "../../../src/service/pipeline/bound_service.js";
import { toWireError } from "../../../src/service/pipeline/error_table.js";
import type { WireError } from "../../../src/service/pipeline/wire_error.js";
import {
  agent,
  type CellRequest,
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
} from "../../model/access/spellings.js";

const traceId = "4bf92f3577b34da6a3ce929d0e0e4736";
const traceparent = `00-${traceId}-00f067aa0ba902b7-01`;
const requestOf = (asked: RequestName | CellRequest): CellRequest =>
  typeof asked === "string" ? requests[asked] : asked;
const context = (principal: Principal) => ({ principal, signal: new AbortController().signal });

describe("external authorization under rules of requests", () => {
  const engine = perSuite(() => new Engine(undefined, undefined, { isAudited: true }));
  let id = "";
  beforeAll(async () => {
    id = (await engine.connected()).id;
    engine.approver = nobodyAgrees;
  });

  async function check(request: CheckRequest, called: CallContext): Promise<CheckResponse> {
    const { tokens, clock, apiNonces, rejected, names } = engine;
    const authorizer = new ProxyAuthorizer({ tokens, clock, apiNonces, rejected, names });
    const [method] = authorizationService({ authorizer }).methods;
    if (method?.kind !== "unary") throw new Error("no Check");
    return (await method.call(request, called)) as CheckResponse;
  }

  /** As Envoy asks, with the whole body where its filter is set so. */
  function envoy(
    asked: RequestName | CellRequest,
    showsBody: boolean,
    principal = proxy,
    {
      more = [],
      ...fields
    }: { more?: readonly (readonly [string, string])[]; [field: string]: unknown } = {},
  ): Promise<unknown> {
    const { method, target, headers, body } = requestOf(asked);
    const shown = { ":method": method, traceparent, ...headers };
    const entries = [...Object.entries(shown), ...more].map(([key, value]) => ({ key, value }));
    const bytes = showsBody ? { rawBody: Buffer.from(body), size: BigInt(body.length) } : { size: -1n };
    const http = { method, path: target, host: "api.example", headerMap: { headers: entries }, ...bytes };
    const contextExtensions = { [routeFields.connection]: id, ...(fields as Record<string, string>) };
    const request = { attributes: { contextExtensions, request: { http } } };
    return check(create(CheckRequestSchema, request), context(principal));
  }

  /** The subrequest that these configurations of `examples/` send. */
  async function subrequest(
    prefix: "x-original" | "x-forwarded",
    asked: RequestName | CellRequest,
    principal = proxy,
  ) {
    const { method, target, headers } = requestOf(asked);
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
    [
      "nginx",
      "line",
      (name: RequestName | CellRequest, who?: Principal) => subrequest("x-original", name, who),
    ],
    [
      "Caddy",
      "line",
      (name: RequestName | CellRequest, who?: Principal) => subrequest("x-forwarded", name, who),
    ],
    ["Envoy", "headers", (name: RequestName | CellRequest, who?: Principal) => envoy(name, false, who)],
    [
      "Envoy with bodies",
      "all",
      (name: RequestName | CellRequest, who?: Principal) => envoy(name, true, who),
    ],
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

  describe.each(places)("of %s judges one spelling", (_place, _sight, ask) => {
    const send = (target: string, more: Partial<CellRequest> = {}) =>
      wordFor(ask({ method: "GET", target, headers: {}, body: "", ...more }));

    it.each([...secondPaths, ...climbingPaths])("and refuses %s", async (path) => {
      engine.access.setPolicy(policyOf(pathRules));
      expect(await send(`/v1${path}`)).toBe("unclear");
    });

    it("and takes what is the same for the same", async () => {
      engine.access.setPolicy(policyOf(pathRules));
      for (const path of deniedPaths) expect([path, await send(`/v1${path}`)]).toEqual([path, "deny"]);
      for (const [path] of samePaths) expect([path, await send(`/v1${path}`)]).toEqual([path, "allow"]);
    });

    it.each(secondMethods)("and refuses %j", async ({ method, path = "/user", headers = {} }) => {
      engine.access.setPolicy(policyOf(methodRules));
      expect(await send(`/v1${path}`, { method, headers })).toBe("unclear");
    });

    it.each(echoingMethods)("and never lets %s go", async (method) => {
      engine.access.setPolicy(policyOf("[{ then: allow }]"));
      await expect(send("/v1/user", { method })).rejects.toThrow("its answer would show the credential");
    });

    it("and lets go what nothing goes by", async () => {
      engine.access.setPolicy(policyOf(methodRules));
      expect(await send(`/v1${free}`)).toBe("allow");
    });
  });

  it.each([
    [
      "a doubled header",
      [
        ["x-mode", "a"],
        ["x-mode", "evil"],
      ],
      "unclear",
    ],
    [
      "the same the other way round",
      [
        ["X-Mode", "evil"],
        ["x-mode", "a"],
      ],
      "unclear",
    ],
    ["a name with underscores", [["x_mode", "evil"]], "unclear"],
    ["a name in capitals", [["X-MODE", "evil"]], "deny"],
    [
      "a doubled header that no rule is about",
      [
        ["x-mode", "a"],
        ["accept", "a"],
        ["accept", "b"],
      ],
      "allow",
    ],
  ] as const)("judges %s of Envoy's raw headers", async (_, more, word) => {
    const rules = `[{ when: '"x-mode" in request.headers && request.headers["x-mode"] == "evil"', then: deny }, { then: allow }]`;
    engine.access.setPolicy(policyOf(rules));
    expect(await wordFor(envoy("read", false, proxy, { more }))).toBe(word);
  });

  it.each(["API.example", "api.example.", "api.example:443", "api.EXAMPLE.:443"])(
    "knows the host %s by its canonical name",
    async (host) => {
      engine.access.setPolicy(
        policyOf(`[{ when: 'request.host == "api.example"', then: deny }, { then: allow }]`),
      );
      const fields = { [routeFields.upstreamHost]: host };
      expect(await wordFor(envoy("read", false, proxy, fields))).toBe("deny");
    },
  );

  it("answers 400 to what servers read in several ways", () => {
    const error = toWireError(new InvalidArgument([{ field: "request", description: "servers read it" }]));
    expect(deniedResponse(error as WireError)).toMatchObject({
      httpResponse: { case: "deniedResponse", value: { status: { code: 400 } } },
    });
  });

  it.each([
    ["http", true],
    ["https", undefined],
  ])("shows approvers that a route leads upstream over %s", async (scheme, isPlain) => {
    engine.access.setPolicy(policyOf("[{ then: ask }]"));
    const asked: unknown[] = [];
    engine.approver = (held) => {
      asked.push(held.request.isPlain);
      return nobodyAgrees(held);
    };
    await wordFor(envoy("write", true, proxy, { [routeFields.upstreamScheme]: scheme }));
    engine.approver = nobodyAgrees;
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
