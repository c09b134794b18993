import { describe, expect, it } from "vitest";
import { DocumentError, formatViolations } from "../../../src/document/document_error.js";
import { readPolicy } from "../../../src/ext/policy/policy_document.js";
import {
  type DescribedRequest,
  describedHeaders,
  describedUrl,
  factsOf,
} from "../../../src/model/access/request_facts.js";
import { decide } from "../../../src/model/access/rules.js";
import fc from "../../property.js";

const text = `rules:
  - providers: [github]
    when: request.method in ["GET", "HEAD"]
    then: allow
  - providers: [github]
    when: request.method == "POST" && request.path.matches("^/repos/acme/[^/]+/(issues|pulls)$")
    then: ask
    for: [session]
  - providers: [github]
    when: request.method == "DELETE" && connection.user != "root"
    then: deny
    because: nobody deletes
  - providers: [slack]
    when: request.size < 10
    then: allow
  - providers: [jira]
    when: request.method == "DELETE" && connection.user == "bob"
    then: deny
  - providers: [jira]
    then: allow
`;

function request(method: string, url: string, shows: Partial<DescribedRequest> = {}): DescribedRequest {
  const headers = describedHeaders(method, [], true);
  return { ...headers, ...describedUrl(url), body: undefined, session: undefined, ...shows };
}

function decided(provider: string, shown: DescribedRequest | undefined) {
  const connection = { connectionId: "c", userId: "ada", provider: { id: "p", name: provider } };
  const { verdict, rule, isClosed } = decide(
    readPolicy(text).rules,
    factsOf("key:claude", connection, shown, 0),
  );
  return `${verdict} ${rule?.line ?? "-"}${isClosed ? " closed" : ""}`;
}

describe("the rules of a policy file", () => {
  const api = "https://api.github.com";
  const body = { size: 3, digest: "", bytes: undefined };
  it.each([
    ["github", request("GET", `${api}/user`), "allow 2"],
    ["github", request("POST", `${api}/repos/acme/app/issues?x=1`), "ask 5"],
    ["github", request("POST", `${api}/repos/other/app/issues`), "deny -"],
    ["github", request("DELETE", `${api}/repos/acme/app`), "deny 9"],
    ["github", request("PUT", `${api}/user`), "deny -"],
    ["github", request("POST", `${api}/repos/acme/x/../../../user/issues`), "deny 5 closed"],
    ["github", request("delete", `${api}/user`), "deny 9 closed"],
    ["github", request("POST", `${api}/repos/acme/app/issues%3bx`), "deny 5 closed"],
    ["github", request("POST", `${api}/repos/acme/app%2fissues`), "deny 5 closed"],
    ["github", { ...request("GET", `${api}/user`), method: undefined }, "deny 9 closed"],
    ["github", undefined, "ask 5 closed"],
    ["slack", request("GET", "https://slack.com/x"), "deny - closed"],
    ["slack", request("GET", "https://slack.com/x", { body }), "allow 13"],
    ["slack", undefined, "deny - closed"],
    // What is known to be false stays so, whatever else is not shown.
    ["jira", undefined, "allow 19"],
    ["stripe", request("DELETE", "https://api.stripe.com/"), "allow -"],
    ["stripe", undefined, "allow -"],
  ])("of %s and %j say: %s", (provider, shown, expected) => {
    expect(decided(provider, shown)).toBe(expected);
  });

  it("decide as if those in shadow were not there, of which the first that would deny is named", () => {
    const conditions = ["true", "false", 'request.method == "GET"', 'request.path == "/a"'];
    const when = fc.constantFrom(...conditions);
    const providers = fc.constantFrom(["github"], ["slack"], ["*"]);
    const rule = fc.record({ when, providers, verdict: fc.constantFrom("allow", "ask", "deny") });
    const inShadow = fc.record({ when, providers, verdict: fc.constant("deny"), shadow: fc.constant(true) });
    const spelled = ["GET", "POST", "get"].flatMap((method) =>
      ["/a", "/b", "/a%2fb"].map((path) => request(method, `https://api.example${path}`)),
    );
    const list = fc.array(fc.oneof(rule, inShadow), { maxLength: 6 });
    const connection = { connectionId: "c", userId: "ada", provider: { id: "p", name: "github" } };
    const rulesOf = (rules: readonly object[]) =>
      readPolicy(JSON.stringify({ rules }).replaceAll('"verdict":', '"then":')).rules;
    let named = 0;
    fc.assert(
      fc.property(list, fc.constantFrom(undefined, ...spelled), (all, asked) => {
        const facts = factsOf("key:claude", connection, asked, 0);
        const { shadow, rule: _, ...said } = decide(rulesOf(all), facts);
        const inForce = all.filter((one) => !("shadow" in one));
        const { rule: __, ...bare } = decide(rulesOf(inForce), facts);
        expect({ ...said, shadow: undefined }).toEqual(bare);
        if (!shadow) return;
        named++;
        const forced = all.map((one) => ({ ...one, shadow: false }));
        expect(decide(rulesOf(forced), facts).verdict).toBe("deny");
      }),
    );
    expect(named).toBeGreaterThan(10);
  });

  it.each([
    ["10s", 10_000],
    ["1h30m", 5_400_000],
    ["24h", 86_400_000],
    ["9s", undefined],
    ["24h1s", undefined],
  ])("hold a request for %s", (hold, holdMs) => {
    const read = () => readPolicy(`rules: [{ then: ask, hold: ${hold} }]`).rules[0]?.holdMs;
    if (holdMs === undefined) expect(read).toThrow(DocumentError);
    else expect(read()).toBe(holdMs);
  });

  it.each([
    ["approvers: 1", undefined],
    ["approvers: 2", 2],
    ["approvers: 5", 5],
    ["approvers: 1, for: [hour]", undefined],
    ["approvers: 0", "approvers: must be a whole number from 1 to 5"],
    ["approvers: 6", "approvers: must be a whole number from 1 to 5"],
    ["approvers: 1.5", "approvers: must be a whole number from 1 to 5"],
    ['approvers: "2"', "approvers: must be a whole number from 1 to 5"],
    [
      "approvers: 2, for: [hour]",
      "for: belongs to a rule with one approver: what several approve counts once",
    ],
  ])("ask for %s", (given, expected) => {
    const read = (verdict: string) => {
      try {
        return readPolicy(`rules: [{ then: ${verdict}, ${given} }]`).rules[0]?.approvers;
      } catch (error) {
        return formatViolations(error as DocumentError).join("\n");
      }
    };
    if (typeof expected === "string") expect(read("ask")).toContain(expected);
    else expect(read("ask")).toBe(expected);
    expect(read("deny")).toContain("approvers: belongs to then: ask");
  });

  it("are refused with the line of each error", () => {
    const broken = `rules:
  - providers: [GitHub]
    then: alow
  - when: request.methd == "GET"
    then: allow
    for: [session]
  - when: true
    then: deny
  - then: deny
    because: "two\\nlines"
  - then: allow
    shadow: true
  - then: deny
    shadow: yes please
  - when: request.size > 3
    then: deny
    shadow: true
  - then: allow
    hold: 1h
  - then: ask
    hold: 25h
  - then: ask
    hold: 60
proxies: ["key:*", nobody]
`;
    expect(() => readPolicy(broken)).toThrow(DocumentError);
    try {
      readPolicy(broken);
    } catch (error) {
      expect(formatViolations(error as DocumentError)).toEqual([
        "2:16: providers: must be a list of names of providers, or *",
        "3:11: then: must be one of allow, ask, deny",
        expect.stringContaining("4:11: when: request.methd is not known; there are request.method"),
        "6:10: for: belongs to then: ask",
        "7:11: when: must be a text: put it into quotes",
        expect.stringMatching(/^10:14: because: must be one line/),
        "12:13: shadow: belongs to then: deny",
        "14:13: shadow: must be true or false",
        "17:13: shadow: cannot go with request.size, request.digest, request.body, since no body is read for it",
        "19:11: hold: belongs to then: ask",
        "21:11: hold: must be a duration from 10s to 24h, such as 30m",
        "23:11: hold: must be a duration from 10s to 24h, such as 30m",
        "24:11: proxies[0]: must be a whole name",
        expect.stringContaining("24:20: proxies[1]: must begin with one of"),
      ]);
    }
  });
});
