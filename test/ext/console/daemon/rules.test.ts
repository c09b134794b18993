import { Code, createClient, type Interceptor } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-node";
import { describe, expect, it } from "vitest";
import { AccessService, AccessVerdict, Role } from "../../../../src/gen/nexus/v1/access_pb.js";
import { ConsoleService } from "../../../../src/gen/nexus/v1/console_pb.js";
import { PolicyService } from "../../../../src/gen/nexus/v1/policy_pb.js";
import { ConsoleVisitor } from "../../../daemon/console_visitor.js";
import { perSuite } from "../../../lifetimes.js";
import { everyState, SeededDaemon, samplePolicy, withPolicy } from "./seeded_daemon.js";

const daemon = perSuite(() => SeededDaemon.seeded(everyState, withPolicy()));
const visitor = perSuite(async () => ({
  of: await ConsoleVisitor.signedIn(daemon.clients),
  stop: () => Promise.resolve(),
}));

async function clientsOf(name: string, role: Role) {
  const restriction = role === Role.AGENT ? { restriction: { userIds: ["ada"] } } : {};
  const { key } = await daemon.clients.access.createApiKey({ name, role, ...restriction });
  const withKey: Interceptor = (next) => (request) => {
    request.header.set("x-api-key", key);
    return next(request);
  };
  const transport = createConnectTransport({
    ...{ baseUrl: daemon.place.httpUrl, httpVersion: "1.1", interceptors: [withKey] },
  });
  const of = { console: ConsoleService, policy: PolicyService, access: AccessService };
  return {
    console: createClient(of.console, transport),
    policy: createClient(of.policy, transport),
    access: createClient(of.access, transport),
  };
}

const rowOf = (body: string, line: number): string =>
  new RegExp(`<tr role="row" id="rule-${line}">[\\s\\S]*?</tr>`).exec(body)?.[0] ?? "";

describe("the rules of the policy file", () => {
  it("are read whole by operators, as they stand in the file, and by no agent", async () => {
    const operator = await clientsOf("ops", Role.OPERATOR);
    const { digest, rules, bindings, proxies } = await operator.policy.getPolicy({});
    expect(digest).toMatch(/^[0-9a-f]{64}$/);
    const lines = samplePolicy.split("\n");
    expect(rules.map(({ line }) => lines[line - 1]?.slice(0, 4))).toEqual(["  - ", "  - ", "  - ", "  - "]);
    expect(rules).toMatchObject([
      {
        line: 3,
        verdict: "ask",
        extents: ["session", "hour"],
        providers: ["github"],
        hold: { seconds: 180n },
      },
      { line: 8, verdict: "deny", shadow: true, providers: ["github", "google"] },
      { line: 12, verdict: "deny", providers: [] },
      { line: 15, verdict: "allow", labels: ["secrets"], uses: { uses: 500, per: { seconds: 3600n } } },
    ]);
    expect(rules.map(({ condition }) => samplePolicy.includes(condition))).toEqual([true, true, true, true]);
    expect(bindings).toMatchObject([
      { role: Role.AGENT, restriction: { providers: ["github"] } },
      { role: Role.OPERATOR, principals: ["cert:operations"] },
    ]);
    expect(proxies).toEqual(["cert:operations"]);
    const agent = await clientsOf("reader-of-none", Role.AGENT);
    await expect(agent.policy.getPolicy({})).rejects.toMatchObject({ code: Code.PermissionDenied });
  });

  it("are on a page with their words, and how often each decided and when last", async () => {
    const { body } = await visitor.of.visit("/rules");
    const asks = rowOf(body, 3);
    expect(asks).toContain("Ask a person</span>");
    expect(asks).toContain("the request may write and the path begins with /repos/acme/");
    expect(asks).toContain("!request.reads &amp;&amp; request.path.startsWith(&quot;/repos/acme/&quot;)");
    expect(asks).toMatch(/<div>5<\/div>[\s\S]*data-count="\d+">2h ago/);
    const shadow = rowOf(body, 8);
    expect(shadow).toContain("Deny, in shadow");
    expect(shadow).toMatch(/<div>5<\/div>/);
    expect(rowOf(body, 12)).toContain("&lt;script&gt;");
    const allows = rowOf(body, 15);
    for (const part of ["labels the session secrets", "500/h for each agent", "<div>0</div>"])
      expect(allows).toContain(part);
    expect(body).toContain("jwt:system:serviceaccount:agents:*");
    expect(body).toContain("users ada, acme:*; providers github");
  });

  it("are shown to an operator, and to no agent, which leaves no denial behind", async () => {
    const operator = await ConsoleVisitor.signedIn(await clientsOf("ops-2", Role.OPERATOR));
    expect((await operator.visit("/rules")).body).toContain('id="rule-15"');
    const agent = await ConsoleVisitor.signedIn(await clientsOf("reader-2", Role.AGENT));
    const { body } = await agent.visit("/connections");
    expect(body).not.toContain('href="/rules"');
    const { events } = await daemon.clients.audit.listAuditEvents({ eventType: "access.denied" });
    expect(events.filter(({ principal }) => principal === "key:reader-2")).toEqual([]);
    for (const path of ["/rules", "/rules/try"])
      expect([path, (await agent.visit(path)).status]).toEqual([path, 403]);
  });
});

describe("a request that is tried", () => {
  const tried = async (fields: Readonly<Record<string, string>>) => {
    const form = { form_token: await visitor.of.formToken(), provider: "github", user: "ada", ...fields };
    return await visitor.of.visit("/rules/try", { form });
  };
  const api = "https://api.github.com";

  it.each([
    { method: "POST", url: "api.github.com/repos/acme/site/issues", says: "A person is asked", line: 3 },
    { method: "GET", url: `${api}/user`, says: "Allowed", line: 15 },
    { method: "POST", url: `${api}/gists?token=abc`, says: "Denied", line: undefined },
    { method: "DELETE", url: `${api}/repos/other/app`, says: "Denied", line: undefined },
    { method: "POST", url: `${api}/gists`, provider: "slack-support", says: "Denied", line: undefined },
  ])("$method $url ($provider) says: $says", async ({ says, line, ...request }) => {
    const { provider = "github", method, url } = request;
    const { status, body } = await tried({ principal: "owner", provider, method, url });
    expect(status).toBe(200);
    expect(/<h2 id="verdict-0"><span class="state \w+">([^<]+)/.exec(body)?.[1]).toBe(says);
    const decides = /<li aria-current="true">Line (\d+) /.exec(body)?.[1];
    expect(decides).toBe(line === undefined ? undefined : String(line));
    // The same judge as that of `nexusd policy explain`.
    const asked = { principal: "owner", action: "token.read", resource: { provider, userId: "ada" } };
    const whole = url.startsWith("https://") ? url : `https://${url}`;
    const answer = await daemon.clients.access.explainAccess({ ...asked, request: { method, url: whole } });
    expect(answer.rules.find((rule) => rule.decides)?.line).toBe(line);
    expect(body.match(/<li[^>]*>Line \d+ /g)).toHaveLength(answer.rules.length);
  });

  it("is judged for the keys of an agent, each with its limits, and by its restriction first", async () => {
    for (const [name, methods] of [
      ["claude.github.000001", ["GET"]],
      ["claude.github.000002", []],
    ] as const)
      await daemon.clients.access.createApiKey({
        ...{ name, role: Role.AGENT },
        restriction: { userIds: ["ada"], providers: ["github"], methods: [...methods] },
      });
    const { body } = await tried({
      principal: "claude",
      method: "POST",
      url: `${api}/repos/acme/site/issues`,
    });
    const headings = [
      ...body.matchAll(/<h2 id="verdict-\d"><span class="state \w+">([^<]+)<\/span> <bdi>([^<]+)/g),
    ];
    expect(headings.map(([, says, who]) => [who, says])).toEqual([
      ["key:claude.github.000001", "Denied"],
      ["key:claude.github.000002", "A person is asked"],
    ]);
    expect(body).toContain("Decided by <bdi>the restriction of its key");
    const outside = await tried({
      principal: "claude.github.000002",
      user: "grace",
      method: "GET",
      url: api,
    });
    expect(outside.body).toMatch(/verdict-0"><span class="state bad">Denied/);
    const nobody = await tried({ principal: "nobody-has-this", method: "GET", url: api });
    expect(nobody.body).toMatch(/verdict-0"><span class="state bad">Denied/);
    const { verdict } = await daemon.clients.access.explainAccess({
      principal: "key:nobody-has-this",
      action: "token.read",
    });
    expect(verdict).toBe(AccessVerdict.DENIED);
  });

  it("says at its field what is wrong, keeps what was typed, and has none of it in an address", async () => {
    const wrong = await tried({ principal: "owner", method: "G T", url: "https://" });
    expect([wrong.status, wrong.body.includes("The request was not tried.")]).toEqual([400, true]);
    for (const id of ["field-method-error", "field-url-error"]) expect(wrong.body).toContain(`id="${id}"`);
    expect(wrong.body).toContain('value="G T"');
    const hostile = `${api}/"><script>document.title=1</script>?key=s3cret`;
    const { body, headers } = await tried({ principal: "owner", method: "GET", url: hostile });
    expect([body.includes("<script>document"), headers["location"]]).toEqual([false, undefined]);
    expect(body.match(/s3cret/g)).toHaveLength(1);
    expect((await visitor.of.visit("/rules/try", { form: { principal: "owner" } })).status).toBe(403);
  });

  it("leaves nothing in the audit log, the uses, or the labels", async () => {
    const newest = async () =>
      (await daemon.clients.audit.listAuditEvents({ pageSize: 1 })).events[0]?.sequence;
    const before = await newest();
    await tried({ principal: "claude", method: "GET", url: `${api}/user` });
    const { body } = await tried({ principal: "claude", method: "GET", url: `${api}/user` });
    expect(body).not.toContain("Its session is labeled");
    expect(await newest()).toBe(before);
    const { counts } = await daemon.clients.uses.listUses({});
    expect(counts.filter(({ used }) => used > 0)).toEqual([]);
  });
});

describe("without a policy file", () => {
  const bare = perSuite(() => SeededDaemon.seeded(() => ({ profiles: [], connections: [] })));

  it("the page says how to have one", async () => {
    const person = await ConsoleVisitor.signedIn(bare.clients);
    const { body } = await person.visit("/rules");
    expect(body).toContain("No policy file is in force");
    expect(body).toContain("NEXUS_POLICY_FILE");
    expect(await bare.clients.policy.getPolicy({})).toMatchObject({ digest: "", rules: [] });
  });
});
