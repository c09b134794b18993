import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { create } from "@bufbuild/protobuf";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type ApiToolDeps, addApiTool } from "../../../../src/ext/mcp/tools/api_tool.js";
import { HeldCalls } from "../../../../src/ext/mcp/tools/held_calls.js";
import type { CallToolResult, McpServer } from "../../../../src/ext/mcp/tools/sdk.js";
import { ProviderSchema } from "../../../../src/gen/nexus/v1/provider_pb.js";
import type { Principal } from "../../../../src/model/access/principal.js";
import {
  agent,
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

type Handler = (given: object, context: object) => Promise<CallToolResult>;

describe("call_api under rules of requests", () => {
  const engine = perSuite(() => new Engine(undefined, undefined, { isAudited: true }));
  const received: string[] = [];
  let api: Server;
  let apiBaseUrl = "";
  beforeAll(async () => {
    api = createServer(({ method, url }, response) => {
      received.push(`${method} ${url}`);
      response.end("{}");
    });
    await new Promise<void>((ready) => void api.listen(0, "127.0.0.1", ready));
    apiBaseUrl = `http://127.0.0.1:${(api.address() as AddressInfo).port}`;
    await engine.connected();
    engine.rules.askApprovers = nobodyAgrees;
  });
  afterAll(() => void api.close());

  async function call(
    name: RequestName,
    principal: Principal,
    { ofServer, ...client }: { ofServer?: string; sessionId?: string; _meta?: object } = {},
  ): Promise<void> {
    const getProvider = async () => ({ provider: create(ProviderSchema, { name: "op", apiBaseUrl }) });
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
        ...{ clock: engine.clock, held: new HeldCalls(engine.clock) },
        sessionOf: () => sessionFor(engine, principal, { providers: { getProvider } }),
        restrictionsOf: async () => [],
        ...(ofServer !== undefined && { sessionId: ofServer }),
      } satisfies ApiToolDeps,
      "modern",
    );
    const { method, target: path, headers, body } = requests[name];
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
});
