import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { DocumentError, formatViolations } from "../../../src/document/document_error.js";
import { readPolicy } from "../../../src/ext/policy/policy_document.js";
import { Permissions } from "../../../src/model/access/permissions.js";
import type { Policy } from "../../../src/model/access/policy.js";

const id = "0b9f1c1e-5b1e-4f0a-8a53-0d6d5a3b1f00";

function violationsOf(text: string): string[] {
  try {
    readPolicy(text);
  } catch (error) {
    if (error instanceof DocumentError) return formatViolations(error);
    throw error;
  }
  throw new Error("the policy was accepted");
}

function grantOf(policy: Policy, name: string): Permissions {
  const rule = policy.ruleFor(name);
  return new Permissions(rule ? [rule] : [], { text: "nobody", line: 0 });
}

const good = `# who may do what
bindings:
  - principals: [cert:spiffe://example.org/ops, "uid:1000"]
    role: operator
  - principals:
      - jwt:system:serviceaccount:agents:special
    role: admin
  - principals: ["jwt:system:serviceaccount:agents:*"]
    role: agent
    user_ids: ["acme:*"]
    providers: [github]
  - principals: ["jwt:*"]
    role: agent
    connection_ids: [${id}]
`;

describe("a policy", () => {
  it("gives a principal what the first binding that names it says", () => {
    const policy = readPolicy(good);
    expect(policy.bindings.map(({ line }) => line)).toEqual([3, 5, 8, 12]);
    const lineOf = (name: string): number | undefined => policy.ruleFor(name)?.place.line;
    expect(lineOf("uid:1000")).toBe(3);
    expect(lineOf("jwt:system:serviceaccount:agents:special")).toBe(5);
    expect(lineOf("jwt:system:serviceaccount:agents:other")).toBe(8);
    expect(lineOf("jwt:somebody")).toBe(12);
    for (const name of ["uid:10000", "uid:100", "cert:spiffe://example.org/ops/x", "key:uid:1000"]) {
      expect(lineOf(name)).toBeUndefined();
    }
  });

  it("puts the namespace and the service account of a caller into user ids, and nobody else's", () => {
    const policy = readPolicy(
      'bindings: [{ principals: ["jwt:*"], role: agent, user_ids: ["{namespace}/{serviceaccount}", "team-{namespace}:*"] }]',
    );
    const usersOf = (name: string) => policy.ruleFor(name)?.restriction?.userIds;
    expect(usersOf("jwt:system:serviceaccount:agents:ada")).toEqual(["agents/ada", "team-agents:*"]);
    const asWritten = ["{namespace}/{serviceaccount}", "team-{namespace}:*"];
    for (const name of ["jwt:ada", "jwt:system:serviceaccount:agents", "jwt:system:serviceaccount:*:ada"])
      expect(usersOf(name)).toEqual(asWritten);
  });

  it("is shown by examples/policy.yaml", () => {
    const policy = readPolicy(
      readFileSync(new URL("../../../examples/policy.yaml", import.meta.url), "utf8"),
    );
    const provider = { id: "p", name: "slack" };
    const asked = { kind: "new", userId: "research:1", provider } as const;
    const answers = ["research", "other"].map(
      (name) =>
        grantOf(policy, `jwt:system:serviceaccount:agents:${name}`).decide("token.read", asked).permission,
    );
    expect(answers).toEqual(["allowed", "denied"]);
    expect(grantOf(policy, "uid:1000").permissionFor("token.read")).toBe("denied");
    expect(grantOf(policy, "key:ci-2").decide("token.read", asked).permission).toBe("denied");
  });

  it("lets a pattern that stands before an exact name win", () => {
    const policy = readPolicy(`bindings:
  - { principals: ["key:*"], role: operator }
  - { principals: [key:root], role: admin }
`);
    expect(policy.ruleFor("key:root")?.role).toBe("operator");
  });

  it("is JSON as well as YAML", () => {
    const policy = readPolicy(JSON.stringify({ bindings: [{ principals: ["uid:0"], role: "admin" }] }));
    expect(grantOf(policy, "uid:0").permissionFor("key.manage")).toBe("allowed");
  });

  it("allows an agent what fits each of its lists", () => {
    const grant = grantOf(readPolicy(good), "jwt:system:serviceaccount:agents:other");
    const provider = { id: "p", name: "github" };
    const resource = { kind: "connection", connectionId: id, userId: "acme:eva", provider } as const;
    expect(grant.decide("token.read", resource).permission).toBe("allowed");
    expect(grant.decide("token.read", { ...resource, userId: "acm" })).toMatchObject({
      permission: "denied",
      place: { line: 8 },
    });
    const slack = { ...resource, provider: { id: "p", name: "slack" } };
    expect(grant.decide("token.read", slack).permission).toBe("denied");
    expect(grant.decide("token.read").permission).toBe("restricted");
    expect(grant.decide("audit.read", resource).permission).toBe("denied");
  });

  it("allows a principal that it does not name nothing", () => {
    const grant = grantOf(readPolicy(good), "uid:7");
    expect(grant.decide("connection.read")).toEqual({
      permission: "denied",
      place: { text: "nobody", line: 0 },
    });
    expect(grant.decide("self.read").permission).toBe("allowed");
  });

  it("takes no label with a typo, which would never hold", () => {
    const text = (when: string, label = "[private]") =>
      `rules:\n  - { when: '${when}', then: deny }\n  - { then: allow, label: ${label} }\n`;
    expect(readPolicy(text('"private" in session.labels')).rules).toHaveLength(2);
    expect(readPolicy(text('"shares" in session.labels', "[request.labels]")).rules).toHaveLength(2);
    const file = (...rule: Parameters<typeof text>) => violationsOf(text(...rule));
    expect([
      file('"privat" in session.labels'),
      file('"pirvate" in session.labels', "[request.labels]"),
      file('"shares" in session.labels'),
      file('"public" in request.labels'),
      file('"shares" in request.labels', "[session.labels]"),
    ]).toEqual([
      ["2:13: when: no rule sets the label privat: did you mean private?"],
      ["2:13: when: no rule sets the label pirvate: did you mean private?"],
      ["2:13: when: no rule sets the label shares"],
      [
        "2:13: when: no request is labeled public; there are private, untrusted, shares, spends, deletes (character 9 of the condition)",
      ],
      [
        "3:27: label: must be a list of labels: at most 32 lower-case letters, digits, dashes, and underscores; or request.labels",
      ],
    ]);
  });

  it("names every error with its line, all at once", () => {
    expect(
      violationsOf(`bindings:
  - principals: [owner, "everybody", "key:a*b", "uid:"]
    role: root
  - principals: [key:a]
    role: agent
  - principals: [key:a, 7]
    role: operator
    user_ids: [x]
  - principals: []
    role: agent
    user_ids: []
    providers: ["Git Hub"]
    connection_ids: [nope, "a*"]
    scope: all
  - role: admin
  - nothing
roles: {}
`),
    ).toEqual([
      "2:18: principals[0]: is always admin, and cannot be bound",
      "2:25: principals[1]: must begin with one of key: cert: jwt: uid: and go on",
      "2:38: principals[2]: may hold a * at its end alone",
      "2:49: principals[3]: must begin with one of key: cert: jwt: uid: and go on",
      "3:11: role: must be one of admin, operator, agent",
      '4:5: an agent is restricted to user_ids, providers or connection_ids ("*" is any user or provider)',
      "6:5: role: only an agent is restricted, not the role operator",
      "6:18: principals[0]: stands in line 4 already, and the first counts",
      "6:25: principals[1]: must be a text: put it into quotes",
      "9:17: principals: must be a list of at least one text",
      "11:15: user_ids: must be a list of at least one text",
      "12:17: providers[0]: must be the name or the id of a provider, or *",
      "13:22: connection_ids[0]: must be the id of a connection, a UUID in lower case",
      "13:28: connection_ids[1]: must be the id of a connection, a UUID in lower case",
      "14:5: scope: is not a key; these are: principals, role, user_ids, providers, connection_ids, labels, methods, paths",
      "15:5: principals: is required",
      "16:5: a binding must be keys and values",
      "17:1: roles: is not a key; did you mean rules?",
    ]);
  });

  it.each([
    ["", "1:1: bindings: must be a list"],
    ["bindings: {}", "1:11: bindings: must be a list"],
    ["- a", "1:1: bindings: must be a list"],
    ["bindings: [", "1:12: this is not indented as what is around it, or a bracket is missing"],
    ["bindings: []\nbindings: []", "2:1: this key stands here twice"],
    [`bindings:\n${"#".repeat(1_048_577)}`, "1:1: the file is larger than 1048576 bytes"],
    [
      Array.from({ length: 60_000 }, (_, index) => `k${index}: 1`).join("\n"),
      "1:1: bindings: must be a list",
    ],
  ])("refuses %.30j", (text, violation) => {
    expect(violationsOf(text)[0]).toBe(violation);
  });

  it.each([
    ["rulers:\n  - role: agent\n", ["1:1: rulers: is not a key; did you mean rules?"]],
    ["rule:\n  - then: allow\n", ["1:1: rule: is not a key; did you mean rules?"]],
    [
      "quotas: 1\n",
      ["1:1: bindings: must be a list", expect.stringContaining("quotas: is not a key; these are")],
    ],
  ])("names a key that it does not know where bindings are missing: %j", (text, violations) => {
    expect(violationsOf(text)).toEqual(violations);
  });

  it("takes names of every object's own for what they are", () => {
    expect(
      violationsOf(
        '{"bindings": [{"principals": ["uid:1"], "role": "constructor", "__proto__": {"role": "admin"}}]}',
      ),
    ).toEqual([
      "1:49: role: must be one of admin, operator, agent",
      "1:64: __proto__: is not a key; these are: principals, role, user_ids, providers, connection_ids, labels, methods, paths",
    ]);
  });
});
