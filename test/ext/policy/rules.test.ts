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
        "11:11: proxies[0]: must be a whole name",
        expect.stringContaining("11:20: proxies[1]: must begin with one of"),
      ]);
    }
  });
});
