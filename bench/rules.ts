import { RequestRules } from "../src/domain/access/request_rules.js";
import { readPolicy } from "../src/ext/policy/policy_document.js";
import { Permissions } from "../src/model/access/permissions.js";
import type { Principal } from "../src/model/access/principal.js";
import { describedHeaders, describedUrl } from "../src/model/access/request_facts.js";
import { Changes } from "../src/runtime/changes.js";
import { SystemClock } from "../src/runtime/clock.js";

/**
 * What ten rules add to a read of a token, and to a request that a proxy shows. `npx tsx bench/rules.ts`
 *
 * Goals: 3 us for GetToken, 20 us for egress. The last rule decides, so that all ten are asked.
 */
const conditions = [
  'request.method == "PATCH" && request.path.startsWith("/admin")',
  'request.path.matches("^/repos/[^/]+/[^/]+/(hooks|keys)$")',
  'request.headers["x-mode"] == "danger"',
  "request.size > 1000000",
  '"force" in request.query',
  'connection.user.endsWith("@example.org")',
  'request.method in ["PUT", "DELETE"]',
  'request.path.endsWith("/secrets")',
  'request.host.contains("internal")',
];
const denying = (when: string): string => `{ when: ${JSON.stringify(when)}, then: deny }`;
const rules = [...conditions.map(denying), "{ then: allow }"];
const tokenRules = [...Array(9)].map((_, at) => denying(`connection.user == "bob-${at}"`));

const principal: Principal = { name: "key:proxy", kind: "key" };
const connection = { connectionId: "c", userId: "ada", provider: { id: "p", name: "github" } };
const shown = {
  ...describedHeaders(
    "POST",
    [
      ["accept", "*/*"],
      ["x-mode", "safe"],
      ["user-agent", "bench"],
    ],
    true,
  ),
  ...describedUrl("https://api.github.com/repos/acme/app/issues?state=open"),
  ...{ body: { size: 300, digest: "", bytes: undefined }, session: undefined },
};
const asking = { request: shown, signal: new AbortController().signal };

function nanosecondsOf(list: readonly string[], given: typeof asking | undefined): number {
  const policy = readPolicy(`{ proxies: [key:proxy], rules: [${list.join()}] }`);
  const permissions = new Permissions([], { text: "", line: 0 }, policy);
  const all = () => permissions;
  const access = { policy, permissionsOf: all, permissionsFor: all, factsOf: () => connection };
  const judged = new RequestRules({
    access: access as never,
    changes: new Changes(),
    clock: new SystemClock(),
    approver: () => undefined,
    memory: () => undefined,
    uses: () => undefined,
  });
  const run = (times: number): void => {
    for (let at = 0; at < times; at++)
      if (judged.admit(principal, "c", given) instanceof Promise) throw new Error("not allowed");
  };
  run(50_000);
  const rounds = [...Array(5)].map(() => {
    const before = process.hrtime.bigint();
    run(50_000);
    return Number(process.hrtime.bigint() - before) / 50_000;
  });
  return Math.min(...rounds);
}

const none = [nanosecondsOf([], undefined), nanosecondsOf([], asking)] as const;
const ten = [
  nanosecondsOf([...tokenRules, "{ then: allow }"], undefined),
  nanosecondsOf(rules, asking),
] as const;
for (const [at, name] of ["GetToken", "egress"].entries())
  console.log(`${name}: ten rules add ${(((ten[at] ?? 0) - (none[at] ?? 0)) / 1000).toFixed(2)} us`);
