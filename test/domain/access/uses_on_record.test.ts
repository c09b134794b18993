import { beforeEach, describe, expect, it } from "vitest";
import { TokenService } from "../../../src/gen/nexus/v1/token_pb.js";
import type { Principal } from "../../../src/model/access/principal.js";
import { PermissionDenied } from "../../../src/model/errors.js";
import { noTracing, type SpanAttributes } from "../../../src/model/tracing.js";
import { requestDescription } from "../../../src/service/messages/request_description.js";
import { perTest } from "../../lifetimes.js";
import { Engine } from "../engine.js";
import { agent, callToken, policyOf, proxy } from "./rule_cells.js";

const traceId = "4bf92f3577b34da6a3ce929d0e0e4736";
const trace = { traceparent: `00-${traceId}-00f067aa0ba902b7-01` };
const asks = policyOf(`[{ when: 'request.method == "POST"', then: ask }]`);
const line = `line 3 of ${asks.digest.slice(0, 12)}`;
const { getToken, acquireToken } = TokenService.method;

describe("the use of a credential goes on record", () => {
  let said: SpanAttributes[] = [];
  const engine = perTest(() => {
    said = [];
    const tracing = { ...noTracing, annotate: (more: SpanAttributes) => void said.push(more) };
    return new Engine(undefined, undefined, { isAudited: true, tracing });
  });
  beforeEach(async () => {
    await engine.connected();
  });

  async function use(
    method: typeof getToken | typeof acquireToken,
    principal: Principal,
    session: string | undefined = undefined,
  ) {
    const sent = { method: "POST", url: "https://api.example/v1", headers: {}, body: new Uint8Array() };
    const request = requestDescription({ ...sent, session: session ?? "", repeats: false });
    const shown = session !== undefined && { request };
    const which = { providerName: "op", userId: "ada", label: "" };
    const names = method === acquireToken ? which : { name: which };
    await callToken(engine, method, { ...names, ...shown }, principal, trace).catch(() => undefined);
    const [{ event } = { event: undefined }] = engine.store.listAuditEvents({ limit: 1 }).events;
    return event;
  }

  it.each([getToken, acquireToken])(
    "of $name with user, session, rule, approver and trace, in the log and in the span",
    async (method) => {
      engine.access.setPolicy(asks);
      engine.approver = async () => ({ approver: "key:boss" });
      const onBehalfOf = { name: "key:claude", restrictions: [] };
      expect(await use(method, { ...proxy, onBehalfOf }, "run-1")).toMatchObject({
        ...{ type: "token_retrieved", principal: "jwt:proxy", agent: "key:claude", userId: "ada" },
        ...{ session: "run-1", rule: line, approver: "key:boss", traceId },
      });
      expect(said).toEqual([
        expect.objectContaining({
          ...{ "nexus.agent": "key:claude", "user.id": "ada", "session.id": "run-1" },
          ...{ "nexus.rule": line, "nexus.approver": "key:boss", "nexus.connection_id": expect.any(String) },
        }),
      ]);
    },
  );

  it.each([getToken, acquireToken])("of $name that is refused with the rule", async (method) => {
    engine.access.setPolicy(asks);
    engine.approver = async () => new PermissionDenied("no");
    expect(await use(method, proxy, "run-1")).toMatchObject({
      ...{ type: "token_retrieval_failed", userId: "ada", session: "run-1", rule: line, traceId },
    });
    expect(said).toMatchObject([{ "nexus.rule": line }]);
    expect(await use(method, agent, "run-1")).toMatchObject({ rule: line, reason: "use_egress" });
  });

  it.each([
    ["GET", "[{ then: allow }]", "restriction"],
    ["POST", "[{ when: 'false', then: allow }]", expect.stringMatching(/^no line of \w{12}$/)],
  ])("of who is restricted to %s under %s", async (method, rules, rule) => {
    engine.access.setPolicy(policyOf(rules));
    const onBehalfOf = { name: "key:claude", restrictions: [{ userIds: ["*"], methods: [method] }] };
    const event = await use(getToken, { ...proxy, onBehalfOf }, "run-1");
    expect(event).toMatchObject({ type: "token_retrieval_failed", rule });
  });

  it.each([getToken, acquireToken])("of $name with the trace under no rule", async (method) => {
    for (const [principal, rules] of Object.entries({
      "jwt:a": "[]",
      "jwt:b": "[{ providers: [other], then: deny }]",
    })) {
      engine.access.setPolicy(policyOf(rules));
      const event = await use(method, { ...agent, name: principal });
      expect(event).toMatchObject({ type: "token_retrieved", principal, userId: "ada", traceId });
      expect(event?.rule).toBeUndefined();
    }
  });

  it("with the rule in shadow that would have refused it, and is counted by its provider", async () => {
    const rules = policyOf(`
  - { when: 'request.method == "POST"', then: deny, shadow: true }
  - { when: 'session.id != "asked"', then: allow }
  - { then: ask }`);
    engine.access.setPolicy(rules);
    engine.approver = async () => ({ approver: "key:boss" });
    const counted: string[] = [];
    engine.changes.on("shadowDenied", (name) => counted.push(name));
    const of = rules.digest.slice(0, 12);
    for (const [session, line] of Object.entries({ "run-1": 5, asked: 6 }))
      expect(await use(getToken, proxy, session)).toMatchObject({
        ...{ type: "token_retrieved", rule: `line ${line} of ${of}`, shadow: `line 4 of ${of}` },
      });
    expect(counted).toEqual(["op", "op"]);
    engine.approver = async () => new PermissionDenied("no");
    expect(await use(getToken, proxy, "asked")).toMatchObject({ type: "token_retrieval_failed" });
    expect(counted).toHaveLength(2);
  });

  it("with the session that a proxy shows, and with none that an agent claims", async () => {
    engine.access.setPolicy(policyOf("[{ then: allow }]"));
    expect(await use(getToken, proxy, "run-1")).toMatchObject({ session: "run-1" });
    expect(await use(getToken, agent, "run-1")).toMatchObject({ session: undefined });
    engine.access.setPolicy(undefined);
    const event = await use(getToken, { ...agent, name: "jwt:other" }, "run-1");
    expect([event?.principal, event?.session]).toEqual(["jwt:other", undefined]);
  });
});
