import { beforeEach, describe, expect, it } from "vitest";
import type { HeldRequest, TokenPurpose } from "../../../src/domain/access/request_rules.js";
import { owner, type Principal } from "../../../src/model/access/principal.js";
import {
  type DescribedRequest,
  describedHeaders,
  describedUrl,
} from "../../../src/model/access/request_facts.js";
import { PermissionDenied } from "../../../src/model/errors.js";
import { perTest } from "../../lifetimes.js";
import { Engine } from "../engine.js";
import { agent, policyOf, proxy } from "./rule_cells.js";

const reading = `
  - when: request.method == "GET"
    then: allow
  - when: request.method == "POST"
    then: ask`;

function asking(method: string, shows: Partial<DescribedRequest> = {}): TokenPurpose {
  const line = { ...describedHeaders(method, [], true), ...describedUrl("https://api.example/x") };
  const body = { size: 0, digest: "", bytes: undefined };
  return { request: { ...line, session: undefined, body, ...shows }, signal: new AbortController().signal };
}

describe("a token under rules of requests", () => {
  const engine = perTest(() => new Engine());
  let id: string;
  beforeEach(async () => {
    id = (await engine.connected()).id;
  });
  const get = async (principal: Principal, shown?: TokenPurpose) =>
    (await engine.tokens.getToken(id, 0, principal, shown)).revision;
  const policy = (rules: string): void => engine.access.setPolicy(policyOf(rules));

  it("is everybody's as before where no rule is for the provider", async () => {
    policy("[]");
    expect(await get(agent)).toBe(1n);
    policy("[{ providers: [other], then: deny }]");
    expect(await get(agent)).toBe(1n);
  });

  it("is not given to an agent that may only do what rules check for each request, whatever it says of the request", async () => {
    policy(reading);
    const refused = { kind: "failed_precondition", reason: "USE_EGRESS" };
    await expect(get(agent)).rejects.toMatchObject(refused);
    await expect(get(agent, asking("GET"))).rejects.toMatchObject(refused);
    await expect(engine.tokens.refreshToken(id, agent)).rejects.toMatchObject(refused);
    await expect(engine.tokens.admitted(agent, id)).rejects.toMatchObject(refused);
    await expect(get(proxy)).rejects.toMatchObject(refused);
  });

  it("is given to a proxy and to the owner for a request that a rule allows", async () => {
    policy(reading);
    for (const principal of [proxy, owner, { ...agent, isProxied: true } as const]) {
      expect(await get(principal, asking("GET"))).toBe(1n);
      await expect(get(principal, asking("PUT"))).rejects.toThrow(
        "no rule of the policy file allows this request",
      );
    }
    expect(await get(owner)).toBe(1n);
  });

  it("is given to a spoke for a request where it is one of the proxies, whatever it says of its caller", async () => {
    policy(reading);
    const onBehalfOf = { name: "key:ci", restrictions: [], isProxied: true };
    expect(await get({ ...proxy, onBehalfOf }, asking("GET"))).toBe(1n);
    await expect(get({ ...agent, onBehalfOf }, asking("GET"))).rejects.toMatchObject({
      reason: "USE_EGRESS",
    });
  });

  it("is refused with the line of the rule and its reason", async () => {
    policy("[{ then: deny, because: not today }]");
    await expect(get(agent)).rejects.toThrow(
      "the rule in line 3 of the policy file denies this request: not today",
    );
    const onBehalfOf = { name: "key:ci", restrictions: [{ userIds: ["*"], methods: ["GET"] }] };
    const refusal = /^the restriction of this caller denies this request: jwt:proxy calls for key:ci/;
    await expect(get({ ...proxy, onBehalfOf }, asking("POST"))).rejects.toThrow(refusal);
  });

  it("waits for who is asked, and needs the whole request for that", async () => {
    policy(reading);
    await expect(get(proxy, asking("POST"))).rejects.toThrow("asks nobody");
    await expect(get(proxy, asking("POST", { body: undefined }))).rejects.toMatchObject({
      reason: "SHOW_BODY",
    });
    const held: HeldRequest[] = [];
    engine.approver = async (one) => {
      held.push(one);
      return { approver: "owner" };
    };
    const asked = asking("POST");
    expect(await get(proxy, asked)).toBe(1n);
    const { policy: { digest: policyDigest = "" } = {} } = engine.access;
    expect(held).toMatchObject([
      { ...asked, principal: proxy, connection: { connectionId: id }, rule: { line: 6 }, policyDigest },
    ]);
    engine.approver = async () => new PermissionDenied("no");
    await expect(get(proxy, asking("POST"))).rejects.toThrow("no");
  });

  it.each([
    ["the rules came to allow it", policyOf("[{ then: allow }]"), 1n],
    ["the rules came to deny it", policyOf("[{ then: deny }]"), expect.stringContaining("line 3")],
    ["the binding of the caller went", undefined, "permission denied: requires token.read"],
  ])("is judged again after a yes when %s meanwhile", async (_, after, ending) => {
    policy(reading);
    engine.approver = async () => {
      engine.access.setPolicy(after);
      return { approver: "owner" };
    };
    expect(await get(proxy, asking("POST")).catch(({ message }: Error) => message)).toEqual(ending);
  });

  it("is not on the streams of who would not get it by asking", () => {
    const connection = engine.store.getConnection(id);
    if (!connection) throw new Error("no connection");
    const sees = (principal: Principal, forUses?: boolean) => {
      const view = engine.rules.tokenView(principal, forUses);
      const sight = view.seesConnection(connection);
      expect(view.seesChange({ ...connection, connectionId: id })).toBe(sight);
      return sight;
    };
    policy("[]");
    expect(sees(agent)).toBe(true);
    policy(reading);
    expect([sees(agent), sees(owner), sees(proxy)]).toEqual([false, true, false]);
    expect([sees(proxy, true), sees(agent, true)]).toEqual([true, false]);
  });

  it("is asked about once more where the policy file has changed meanwhile, for the owner too", async () => {
    const asked: (number | undefined)[] = [];
    engine.approver = async ({ rule }) => {
      asked.push(rule.approvers);
      if (asked.length === 1) policy("[{ then: ask, approvers: 2 }]");
      return { approver: "key:boss" };
    };
    policy("[{ then: ask }]");
    expect(await get(owner, asking("POST"))).toBe(1n);
    expect(asked).toEqual([undefined, 2]);
  });

  it("ends the calls of agents when the rules change", () => {
    policy("[]");
    const { access } = engine;
    const ended: unknown[] = [];
    for (const each of [agent, owner])
      access.hold(each, "token.read", access.admit(each, "token.read"), () => ended.push(each), false);
    policy(reading);
    expect(ended).toEqual([agent]);
  });
});
