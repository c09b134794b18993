import { beforeEach, describe, expect, it } from "vitest";
import type { LeadingRules, LedRequest } from "../../../src/domain/access/leading_rules.js";
import { RequestRules } from "../../../src/domain/access/request_rules.js";
import { readPolicy } from "../../../src/ext/policy/policy_document.js";
import { owner, type Principal } from "../../../src/model/access/principal.js";
import { describedHeaders, describedUrl } from "../../../src/model/access/request_facts.js";
import { PermissionDenied, Unavailable } from "../../../src/model/errors.js";
import { perTest } from "../../lifetimes.js";
import { Engine } from "../engine.js";
import { agent, policyOf } from "./rule_cells.js";

const proxied: Principal = { ...agent, isProxied: true };
const remembering = `[
  { when: '"private" in session.labels', then: deny },
  { when: 'request.path == "/private"', then: allow, label: [private] },
  { then: allow }]`;
const limiting = "[{ when: request.method == 'POST', then: allow, uses: 20 }, { then: allow }]";
const plain = "[{ when: request.method == 'POST', then: ask }, { then: allow }]";

function asking(method: string) {
  const line = { ...describedHeaders(method, [], true), ...describedUrl("https://api.example/x") };
  const body = { size: 0, digest: "", bytes: undefined };
  return { request: { ...line, session: undefined, body }, signal: new AbortController().signal };
}

describe("a hub that does not decide over requests by earlier ones", () => {
  const engine = perTest(() => new Engine());
  let id: string;
  let place: LeadingRules["place"];
  let answer: LeadingRules["admit"];
  let asked: LedRequest[];
  let takenBack: number;

  beforeEach(async () => {
    id = (await engine.connected()).id;
    place = "elsewhere";
    asked = [];
    takenBack = 0;
    answer = async () => ({ use: { rule: "line 1 of the leader" }, takeBack: () => void takenBack++ });
  });

  const rules = () =>
    new RequestRules({
      ...{ access: engine.access, changes: engine.changes, clock: engine.clock },
      ...{ approver: () => async () => ({ approver: "key:boss" }), memory: () => undefined },
      uses: () => undefined,
      leader: {
        get place() {
          return place;
        },
        admit: (led) => {
          asked.push(led);
          return answer(led);
        },
      },
    });

  it.each([
    ["a shown request, where rules read labels", remembering, proxied, "GET", 1],
    ["what the owner shows, where rules read labels", remembering, owner, "GET", 1],
    ["a shown request, where rules limit uses", limiting, proxied, "GET", 1],
    ["a token of an agent, where rules limit uses", limiting, agent, undefined, 1],
    ["a token of the owner", limiting, owner, undefined, 0],
    [
      "a request that a person is asked about, which the approver sends to the leader",
      plain,
      proxied,
      "POST",
      0,
    ],
  ] as const)("leaves to the leader what goes by them: %s", async (_, policy, principal, method, count) => {
    engine.access.setPolicy(policyOf(policy));
    const use = await rules().admit(principal, id, method && asking(method));
    expect(asked).toHaveLength(count);
    if (count === 0) return;
    expect(use).toEqual({ rule: "line 1 of the leader" });
    expect(asked).toMatchObject([
      { principal, connectionId: id, policyDigest: engine.access.policy?.digest, mayWait: false },
    ]);
    expect(asked[0]?.request === undefined).toBe(method === undefined);
  });

  it("has the leader take back the use of what came to nothing", async () => {
    engine.access.setPolicy(policyOf(limiting));
    const judging = rules();
    const use = await judging.admit(proxied, id, asking("POST"));
    expect(judging.isCounted(use)).toBe(true);
    judging.takeBack(use);
    expect(takenBack).toBe(1);
  });

  it.each([
    ["the leader refuses it", () => (answer = () => Promise.reject(new PermissionDenied("no"))), /^no$/],
    [
      "no hub leads",
      () => (answer = () => Promise.reject(new Unavailable("none leads", 2_000))),
      /^none leads$/,
    ],
    ["another hub may lead by now", () => (place = "unsure"), /may not lead any more, and nothing was sent/],
  ])("lets nothing go where %s", async (_, happens, words) => {
    engine.access.setPolicy(policyOf(remembering));
    happens();
    await expect(rules().admit(proxied, id, asking("GET"))).rejects.toThrow(words);
  });

  it("decides itself where it has come to lead meanwhile", async () => {
    engine.access.setPolicy(policyOf(remembering));
    answer = async () => {
      place = "here";
      return "here";
    };
    await expect(rules().admit(proxied, id, asking("GET"))).rejects.toThrow(
      "of the policy file denies this request",
    );
  });

  it("lets nothing go that was approved while another hub came to lead", async () => {
    engine.access.setPolicy(policyOf(remembering.replace("deny", "ask")));
    place = "here";
    const judging = rules();
    const admitted = judging.admit(proxied, id, asking("GET"));
    place = "unsure";
    await expect(admitted).rejects.toThrow(/may not lead any more/);
  });

  it("refuses by itself what the restriction of the caller forbids here, of which the leader may not have heard", async () => {
    engine.access.setPolicy(policyOf(remembering));
    const narrow = `bindings: [{ principals: ["${proxied.name}"], role: agent, user_ids: ["*"], methods: [GET] }]`;
    engine.access.setPolicy(readPolicy(narrow), "cluster");
    await expect(rules().admit(proxied, id, asking("POST"))).rejects.toThrow(
      "the restriction of this caller",
    );
    expect(asked).toEqual([]);
    expect(await rules().admit(proxied, id, asking("GET"))).toMatchObject({ rule: "line 1 of the leader" });
  });
});
