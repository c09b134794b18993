import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { run as runCli } from "../../../../src/cli/program.js";
import { fakeShell } from "../../../cli/fake_shell.js";
import { agent, cellsOf, policyText, requests } from "../../../domain/access/rule_cells.js";
import { temporaryFolder } from "../../../temporary_folder.js";

const policy = `bindings: []
rules:
  - providers: [github]
    when: request.method == "GET"
    then: allow
  - providers: [github]
    then: deny
    because: reading is enough
`;

const inShadow = `  - providers: [github]
    when: request.path.startsWith("/orgs/")
    then: deny
    shadow: true
    because: orgs are next
`;

async function run(files: Record<string, string>, ...args: string[]) {
  const folder = temporaryFolder();
  for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text);
  const shell = fakeShell();
  const code = await runCli(
    args.map((arg) => arg.replace("@", `${folder}/`)),
    shell,
  );
  return { code, out: shell.out().replaceAll(`${folder}/`, "@"), err: shell.err() };
}

describe("nexusd policy", () => {
  it("explain says what each rule says of a request line, and which one decides", async () => {
    const flags = [
      "--principal",
      "key:ci",
      "--action",
      "token.read",
      "--resource",
      "user:ada,provider:github",
    ];
    const request = ["--request", "DELETE https://api.github.com/repos/acme/app"];
    const { out } = await run({ p: policy }, "policy", "explain", "--policy", "@p", ...flags, ...request);
    expect(out).toContain(
      "the request: deny\n  line 3: allow, does not match\n> line 6: deny, matches: reading is enough\n",
    );
  });

  it("explain shows how often a rule lets each agent go", async () => {
    const p = policy.replace("    then: allow\n", "    then: allow\n    uses: 100/h\n");
    const flags = "--principal key:ci --action token.read --resource user:ada,provider:github".split(" ");
    const request = ["--request", "GET https://api.github.com/user"];
    const { out } = await run({ p }, "policy", "explain", "--policy", "@p", ...flags, ...request);
    expect(out).toContain("\n> line 3: allow, 100/h for each agent, matches\n");
    const json = await run({ p }, "policy", "explain", "--policy", "@p", "--json", ...flags, ...request);
    expect(JSON.parse(json.out)).toMatchObject({ rules: [{ uses: { uses: 100, per: "3600s" } }, {}] });
  });

  it("says of rules in shadow what they would do", async () => {
    const p = policy.replace("rules:\n", `rules:\n${inShadow}`);
    expect((await run({ p }, "policy", "check", "@p")).out).toBe(
      "@p is in order: 0 bindings, 3 rules (1 in shadow)\n",
    );
    const flags = "--principal key:ci --action token.read --resource user:ada,provider:github".split(" ");
    const asked = async (request: string) =>
      (await run({ p }, "policy", "explain", "--policy", "@p", ...flags, "--request", request)).out;
    expect(await asked("GET https://api.github.com/orgs/acme")).toContain(
      "the request: allow (line 3 in shadow would deny it)\n  line 3: deny in shadow, matches: orgs are next\n> line 8: allow, matches\n",
    );
    expect(await asked("GET https://api.github.com/user")).toContain("the request: allow\n");
    expect(await asked("PUT https://api.github.com/orgs/acme")).toContain("the request: deny\n");
    const cases = (path: string) => `policy: p
cases:
  - { provider: github, request: "GET https://api.github.com${path}", expect: allow, shadow: deny }
  - { provider: github, request: "GET https://api.github.com/orgs/x", expect: allow }
`;
    const note = "allow, and the rule in line 3, in shadow, would deny it";
    expect(await run({ p, c: cases("/orgs/acme") }, "policy", "test", "@c")).toMatchObject({
      code: 0,
      out: `@c:3: ${note}\n@c:4: ${note}\n2 of 2 cases come out as expected\n`,
    });
    expect(await run({ p, c: cases("/user") }, "policy", "test", "@c")).toMatchObject({
      code: 1,
      out: expect.stringContaining("@c:3: expected allow, denied in shadow, and it is allow (line 8)\n"),
    });
  });

  it("explain says that no rule names a provider, and which name was meant", async () => {
    const asked =
      "explain --policy @p --principal key:ci --action token.read --resource user:ada,provider:acme";
    const request = ["--request", "DELETE https://api.acme.example/x"];
    const misspelt = "rules:\n  - providers: [acem]\n    then: deny\n";
    const { out } = await run({ p: misspelt }, "policy", ...asked.split(" "), ...request);
    expect(out).toContain("the request: allow\n");
    expect(out).toContain("warning: line 2: there is no provider acem: did you mean acme?\n");
    expect(out).toContain("warning: no rule names acme: its requests are not judged");
    const right = misspelt.replace("acem", "acme");
    expect((await run({ p: right }, "policy", ...asked.split(" "), ...request)).out).not.toContain("warning");
  });

  it("denies by default what no rule names, where the file says so", async () => {
    const closed = "default: deny\nrules:\n  - providers: [github]\n    then: allow\n";
    const cases = `policy: p
cases:
  - { provider: github, expect: allow }
  - { provider: acme, request: "GET https://api.acme.example/", expect: deny }
  - { provider: acme, expect: deny }
`;
    const { out, code } = await run({ p: closed, c: cases }, "policy", "test", "@c");
    expect({ out, code }).toEqual({ out: "3 of 3 cases come out as expected\n", code: 0 });
    const wrong = await run({ p: "default: no\nrules: []\n" }, "policy", "check", "@p");
    expect(wrong.code).toBe(1);
    expect(wrong.err).toContain("p:1:10: default: must be one of allow, deny");
  });

  it("check says where it could compare no names, since no daemon answers", async () => {
    const { code, out, err } = await run({ p: policy }, "policy", "check", "@p");
    expect([code, out]).toEqual([0, "@p is in order: 0 bindings, 2 rules\n"]);
    expect(err).toContain("warning: the names of providers were not checked: ");
  });

  it("test passes a table that comes out as it says, and names each case that does not", async () => {
    const cases = (expected: string): string => `policy: p
cases:
  - { provider: github, request: "GET https://api.github.com/user", expect: allow }
  - { provider: github, request: "PUT https://api.github.com/user", expect: ${expected} }
  - { provider: github, expect: use-egress }
  - { provider: slack, expect: allow }
`;
    const good = await run({ p: policy, c: cases("deny") }, "policy", "test", "@c");
    expect(good).toMatchObject({ code: 0, out: "4 of 4 cases come out as expected\n" });
    const bad = await run({ p: policy, c: cases("allow") }, "policy", "test", "@c");
    expect(bad).toMatchObject({
      code: 1,
      out: "@c:4: expected allow, and it is deny (line 6)\n3 of 4 cases come out as expected\n",
    });
  });

  const all = [...cellsOf("all"), ...cellsOf("nothing")];
  const tables = new Set(all.map(({ rules }) => rules));
  it.each([...tables])("test says of each request under %s what comes of it", async (table) => {
    const cells = all.filter(({ rules }) => rules === table);
    const rows = cells.map(({ request, expected }, at) => {
      const { method, target, headers, body } = requests[request];
      const shown = { request: `${method} https://api.example${target}`, headers, body };
      const words: Readonly<Record<string, string>> = { egress: "use-egress", unclear: "deny" };
      const expect = words[expected] ?? expected;
      return { principal: agent.name, provider: "op", user: "ada", ...(at < 3 && shown), expect };
    });
    const c = JSON.stringify({ policy: "p", cases: rows });
    const { out, code } = await run({ p: policyText(table), c }, "policy", "test", "@c");
    expect({ out, code }).toEqual({ out: "6 of 6 cases come out as expected\n", code: 0 });
  });

  it("test refuses a table that it cannot read with the line", async () => {
    const c = "policy: p\ncases:\n  - { provider: github, reqest: x }\n";
    const { code, err } = await run({ p: policy, c }, "policy", "test", "@c");
    expect(code).toBe(2);
    expect(err).toContain("c:3: reqest is not a key");
    const line = "policy: p\ncases:\n  - { provider: github, request: get /user, expect: allow }\n";
    expect((await run({ p: policy, c: line }, "policy", "test", "@c")).err).toMatch(
      /c:3: a request is a method in capitals and a URL, such as/,
    );
    const wrong = "policy: p\ncases:\n  - { provider: github, expect: block }\n";
    expect((await run({ p: policy, c: wrong }, "policy", "test", "@c")).err).toContain(
      "c:3: expect: block is not a verdict; these are: allow, ask, deny, use-egress",
    );
  });
});
