import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { create } from "@bufbuild/protobuf";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { type ApiToolDeps, addApiTool } from "../../../../src/ext/mcp/tools/api_tool.js";
import { HeldCalls } from "../../../../src/ext/mcp/tools/held_calls.js";
import type { CallToolResult, McpServer } from "../../../../src/ext/mcp/tools/sdk.js";
import { ProviderSchema } from "../../../../src/gen/nexus/v1/provider_pb.js";
import type { Principal } from "../../../../src/model/access/principal.js";
import { AuthorityFiles } from "../../../../src/outbound/certificate_authorities.js";
import {
  agent,
  type CellRequest,
  cellsOf,
  nobodyAgrees,
  policyOf,
  proxy,
  type RequestName,
  requests,
  sessionFor,
  wordFor,
} from "../../../domain/access/rule_cells.js";
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

type Handler = (given: object, context: object) => Promise<CallToolResult>;

describe("call_api under rules of requests", () => {
  const engine = perSuite(() => new Engine(undefined, undefined, { isAudited: true }));
  const received: string[] = [];
  let api: Server;
  let apiBaseUrl = "";
  /** Below the origin. */
  let basePath = "";
  beforeAll(async () => {
    api = createServer(({ method, url }, response) => {
      received.push(`${method} ${url}`);
      response.end("{}");
    });
    await new Promise<void>((ready) => void api.listen(0, "127.0.0.1", ready));
    apiBaseUrl = `http://127.0.0.1:${(api.address() as AddressInfo).port}`;
    await engine.connected();
    engine.approver = nobodyAgrees;
  });
  afterAll(() => void api.close());

  async function call(
    asked: RequestName | CellRequest,
    principal: Principal,
    { ofServer, ...client }: { ofServer?: string; sessionId?: string; _meta?: object } = {},
  ): Promise<void> {
    const getProvider = async () => ({
      provider: create(ProviderSchema, { name: "op", apiBaseUrl: apiBaseUrl + basePath }),
    });
    let handler: Handler | undefined;
    const server = {
      registerTool: (_name: string, _about: object, given: Handler) => (handler = given),
      server: { getClientCapabilities: () => undefined },
    };
    addApiTool(
      server as unknown as McpServer,
      {
        policy: {
          ...{ userId: "ada", isLoginName: false, providers: [], methods: [], hosts: [] },
          ...{ maxAnswerBytes: 1_000, givesTokens: false },
        },
        ...{ clock: engine.clock, held: new HeldCalls(engine.clock), authorities: new AuthorityFiles({}) },
        sessionOf: () => sessionFor(engine, principal, { providers: { getProvider } }),
        restrictionsOf: async () => [],
        ...(ofServer !== undefined && { sessionId: ofServer }),
      } satisfies ApiToolDeps,
      "modern",
    );
    const { method, target: path, headers, body } = typeof asked === "string" ? requests[asked] : asked;
    const given = { provider: "op", method, path, headers, query: {}, ...(body !== "" && { body }) };
    const { _meta, ...session } = client;
    const context = {
      ...session,
      mcpReq: {
        _meta,
        ...{ signal: new AbortController().signal, log: async () => undefined },
        requestState: () => undefined,
      },
    };
    const { isError, content } = (await handler?.(given, context)) ?? { isError: true, content: [] };
    if (isError) throw new Error(JSON.stringify(content));
  }

  it.each(cellsOf("all").filter(({ request }) => request !== "climb"))(
    "$rules, $request: $expected",
    async ({ rules, request, expected }) => {
      engine.access.setPolicy(policyOf(rules));
      received.length = 0;
      expect(await wordFor(call(request, proxy))).toBe(expected);
      const { method, target } = requests[request];
      expect(received).toEqual(expected === "allow" ? [`${method} ${target}`] : []);
    },
  );

  it.each(cellsOf("nothing"))("of an agent's own key, $rules, $request: $expected", async (cell) => {
    engine.access.setPolicy(policyOf(cell.rules));
    const isRefusedEarlier = cell.request === "climb";
    const word = wordFor(call(cell.request, agent));
    if (isRefusedEarlier) await expect(word).rejects.toThrow(/path: must/);
    else expect(await word).toBe(cell.expected);
  });

  const traceparent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
  it.each([
    { client: { sessionId: "s-1", ofServer: "own" }, shown: { session: "s-1" } },
    { client: { ofServer: "own" }, shown: { session: "own" } },
    { client: { _meta: { traceparent } }, shown: { traceId: traceparent.slice(3, 35) } },
    { client: { sessionId: "s-2", _meta: { traceparent: `${traceparent}\n` } }, shown: { session: "s-2" } },
  ])("shows rules and the audit log $shown of a client with $client", async ({ client, shown }) => {
    engine.access.setPolicy(policyOf(`[{ when: 'session.id != "other"', then: allow },\n  { then: allow }]`));
    await call("read", proxy, client);
    const [{ event } = { event: undefined }] = engine.store.listAuditEvents({ limit: 1 }).events;
    const { session, traceId, rule } = { ...event };
    expect({ session, traceId }).toEqual({ session: undefined, traceId: undefined, ...shown });
    expect(rule).toMatch("session" in shown ? /^line 3 / : /^line 4 /);
  });

  it("refuses what servers read in two ways, whatever the rules say", async () => {
    engine.access.setPolicy(policyOf("[{ then: allow }]"));
    received.length = 0;
    await expect(call("climb", proxy)).rejects.toThrow(/path: must/);
    expect(received).toEqual([]);
  });

  describe("spells a request as it is judged", () => {
    beforeEach(() => {
      basePath = "/v1";
      received.length = 0;
      return () => {
        basePath = "";
      };
    });
    const send = (target: string, more: Partial<CellRequest> = {}) =>
      call({ method: "GET", target, headers: {}, body: "", ...more }, proxy);

    it.each([...secondPaths, ...climbingPaths, ...deniedPaths])("and sends no %s", async (path) => {
      engine.access.setPolicy(policyOf(pathRules));
      await expect(send(path)).rejects.toThrow(/path: must|in several ways|denies this request/);
      expect(received).toEqual([]);
    });

    it.each(samePaths)("and sends %s as %s", async (path, sent) => {
      engine.access.setPolicy(policyOf(pathRules));
      await send(path);
      expect(received).toEqual([`GET /v1${sent}`]);
    });

    it.each(secondMethods)("and sends no %j", async ({ method, path = "/user", headers = {} }) => {
      engine.access.setPolicy(policyOf(methodRules));
      await expect(send(path, { method, headers })).rejects.toThrow(
        /in several ways|denies this request|nexusd sets it/,
      );
      expect(received).toEqual([]);
    });

    it.each(echoingMethods)("and never sends %s", async (method) => {
      engine.access.setPolicy(policyOf("[{ then: allow }]"));
      await expect(send("/user", { method })).rejects.toThrow("the answer would show the credential");
      expect(received).toEqual([]);
    });

    it("and sends what nothing goes by as it is", async () => {
      engine.access.setPolicy(policyOf(methodRules));
      await send(free);
      expect(received).toEqual([`GET /v1${free}`]);
    });
  });
});
