import { DocumentError } from "../../../src/document/document_error.js";
import { readPolicy } from "../../../src/ext/policy/policy_document.js";
import type { Policy } from "../../../src/model/access/policy.js";
import { mutateText, type Random } from "../../suites/random.js";
import { count, demand, shorterTexts, type Target } from "../target.js";

interface Input {
  readonly text: string;
  readonly principals: readonly string[];
}

/** A file of a megabyte is read in this time of the processor, whatever stands in it. */
const maxReadMs = 8_000;

const anchors = Array.from({ length: 26 }, (_, index) => String.fromCharCode(97 + index));
const bombs = [
  `a: &a [x,x,x,x,x,x,x,x,x]\n${anchors
    .slice(1)
    .map((name, index) => `${name}: &${name} [${`*${anchors[index]},`.repeat(9)}]`)
    .join("\n")}\n`,
  "a: &a [*a]\n",
  "bindings: &a\n  - *a\n",
  "a: &a {b: *a}\nbindings: [*a]",
  "[".repeat(100_000),
  "{".repeat(100_000),
  "- ".repeat(100_000),
  "? ".repeat(100_000),
  '{"a":'.repeat(20_000),
  "!".repeat(100_000),
  "&a ".repeat(50_000),
  "*a ".repeat(50_000),
  "a: ".repeat(50_000),
  `a: "${"\\".repeat(99_999)}`,
  `a: |\n${" ".repeat(1_000)}\n`.repeat(500),
  `- - - -\n`.repeat(20_000),
  "# ".repeat(200_000),
  "\n".repeat(1_000_000),
  " ".repeat(1_000_000),
  "\t".repeat(100_000),
  `bindings: [${"{principals: [key:a], role: agent, user_ids: [x]},".repeat(5_000)}]`,
  `bindings: [${"{},".repeat(90_000)}]`,
  `bindings: [{principals: [${Array.from({ length: 40_000 }, (_, index) => `key:${index}`).join(",")}], role: admin}]`,
  `{${Array.from({ length: 40_000 }, (_, index) => `k${index}: 1`).join(",")}}`,
  Array.from({ length: 40_000 }, (_, index) => `k${index}: 1`).join("\n"),
  `bindings: ${"a".repeat(1_000_000)}`,
  "x".repeat(1_048_577),
  "%YAML 1.1\n---\nbindings: [{principals: [key:a], role: no}]",
  "%TAG ! tag:evil,2000:\n---\n!x bindings: []",
  "bindings: !!js/function 'x'\n",
  "<<: {bindings: []}\n",
  "bindings: []\n---\nbindings: [{principals: ['key:*'], role: admin}]\n",
  "bindings: []\nbindings: [{principals: ['key:*'], role: admin}]\n",
  '{"bindings":[{"principals":["key:a"],"role":"agent","user_ids":["x"],"role":"admin"}]}',
  '{"__proto__":{"bindings":[]}}',
  '{"bindings":[{"__proto__":{"role":"admin"},"principals":["key:a"]}]}',
  '{"bindings":[{"principals":["owner"],"role":"admin"}]}',
  '{"bindings":[{"principals":["*"],"role":"admin"}]}',
  '{"bindings":[{"principals":["key:*x"],"role":"admin"}]}',
  '{"bindings":[{"principals":["key:a"],"role":"agent"}]}',
  '{"bindings":[{"principals":["key:a"],"role":"agent","user_ids":[]}]}',
  '{"bindings":[{"principals":["key:a"],"role":"agent","user_ids":[1]}]}',
  "bindings: [{principals: [key:a], role: agent, user_ids: null}]",
  "bindings: [{principals: [key:a], role: !!binary YWRtaW4=}]",
  "\ufeffbindings: []",
  "\u0000",
  "",
];

/** A file is refused with its lines, or gives each principal what its first binding says and nothing more. */
export async function policyTarget(): Promise<Target<Input>> {
  const tally = new Map<string, number>();
  return {
    tally,
    corpus: bombs.map((text) => ({ text, principals: ["key:a", "owner", "admin", "", "uid:0"] })),
    draw,
    show: ({ text, principals }) =>
      JSON.stringify({ length: text.length, text: text.slice(0, 2_000), principals }),
    shrink: function* ({ text, principals }) {
      for (const shorter of shorterTexts(text)) yield { text: shorter, principals };
    },
    judge: ({ text, principals }) => {
      const began = process.cpuUsage();
      const policy = read(text);
      const tookMs = process.cpuUsage(began).user / 1000;
      demand(tookMs < maxReadMs, `took ${Math.round(tookMs)} ms for ${text.length} characters`);
      count(tally, policy ? "taken" : "refused");
      if (!policy) return;
      for (const { role, restriction, principals: names } of policy.bindings) {
        demand(["admin", "operator", "agent"].includes(role), `a role ${role}`);
        demand(
          names.length > 0 && names.every((name) => /^(key|cert|jwt|uid):./s.test(name)),
          "a principal of no kind",
        );
        const lists = Object.values(restriction ?? {}) as (readonly string[])[];
        demand(role !== "agent" || lists.length > 0, "an agent that is not restricted");
        demand(
          lists.every((list) => list.length > 0 && list.every((entry) => typeof entry === "string")),
          "an empty list",
        );
      }
      judgeByJson(text, policy, principals, tally);
    },
  };
}

function read(text: string): Policy | undefined {
  try {
    return readPolicy(text);
  } catch (error) {
    if (!(error instanceof DocumentError)) throw error;
    demand(error.violations.length > 0, "refused without an error");
    const lines = text.split(/\r\n|\r|\n/).length;
    for (const { line, column } of error.violations) {
      demand(line >= 1 && line <= lines + 1 && column >= 1, `an error in line ${line} of ${lines}`);
    }
    return undefined;
  }
}

interface JsonBinding {
  readonly principals: readonly string[];
  readonly role: string;
}

/** What is JSON is read a second time by another parser, and decided by hand: the first binding in the order of the file. */
function judgeByJson(
  text: string,
  policy: Policy,
  principals: readonly string[],
  tally: Map<string, number>,
): void {
  let bindings: readonly JsonBinding[];
  try {
    bindings = (JSON.parse(text) as { bindings: JsonBinding[] }).bindings;
  } catch {
    return;
  }
  for (const principal of principals) {
    const first = bindings.find(({ principals: names }) =>
      names.some((name) =>
        name.endsWith("*") ? principal.startsWith(name.slice(0, -1)) : name === principal,
      ),
    );
    const rule = policy.ruleFor(principal);
    demand(
      rule?.role === first?.role,
      `${JSON.stringify(principal)} is ${rule?.role}, and the file says ${first?.role}`,
    );
    count(tally, rule ? "bound" : "unbound");
    if (principal === "owner" || principal === "admin" || principal === "")
      demand(!rule, `${principal} was bound`);
    if (rule?.role === "agent") demand(rule.restriction !== undefined, "an agent without restriction");
  }
}

function draw(random: Random): Input {
  const kinds = ["key:", "cert:", "jwt:", "uid:"];
  const name = (): string => random.pick(kinds) + random.text("ab01-*:/", 1, 3).replace(/\*(?=.)/g, "");
  const odd = (): unknown =>
    random.pick(["owner", "admin", "*", "", "key:", "key:*a", 7, null, true, ["key:a"], { a: 1 }, "\u0000"]);
  const list = (draw: () => unknown): unknown =>
    random.once(12)
      ? odd()
      : random.list(random.once(10) ? 0 : 1, 3, () => (random.once(25) ? odd() : draw()));
  const id = "01890000-0000-7000-8000-000000000001";
  const binding = (): unknown => {
    const role = random.pick(
      ["agent", "agent", "agent", "operator", "admin", "Admin", "root"].slice(0, random.once(10) ? 7 : 5),
    );
    const restricted = role === "agent" ? !random.once(10) : random.once(10);
    const lists = {
      ...(random.once(2)
        ? {
            user_ids: list(() =>
              random.pick(["ada", "acme:*", "*", "a*b", "x".repeat(300)].slice(0, random.once(15) ? 5 : 3)),
            ),
          }
        : {}),
      ...(random.once(3)
        ? {
            providers: list(() =>
              random.pick(["google", "*", "git-hub", "A B"].slice(0, random.once(15) ? 4 : 3)),
            ),
          }
        : {}),
      ...(random.once(4) ? { connection_ids: list(() => id) } : {}),
    };
    const all = restricted && Object.keys(lists).length === 0 ? { user_ids: ["*"] } : restricted ? lists : {};
    return { principals: list(name), role, ...all, ...(random.once(30) ? { __proto: 1, extra: odd() } : {}) };
  };
  const document = {
    bindings: random.once(30) ? odd() : random.list(0, 4, binding),
    ...(random.once(40) ? { more: 1 } : {}),
  };
  const text = random.pick([
    () => JSON.stringify(document),
    () => JSON.stringify(document, undefined, 2),
    () => yamlOf(document, 0),
    () => (random.once(40) ? random.pick(bombs) : JSON.stringify(document)),
  ])();
  const principals = random.list(1, 6, () =>
    random.once(6) ? random.pick(["owner", "admin", "", "key:", "nobody"]) : name(),
  );
  return { text: random.once(3) ? mutateText(random, text) : text, principals };
}

/** Block style, with texts as plain as a person writes them. */
function yamlOf(value: unknown, depth: number): string {
  const indent = "  ".repeat(depth);
  if (Array.isArray(value)) {
    return value.length === 0
      ? "[]"
      : value.map((item) => `\n${indent}- ${yamlOf(item, depth + 1).trimStart()}`).join("");
  }
  if (typeof value === "object" && value !== null) {
    return Object.entries(value)
      .map(([key, item]) => `\n${indent}${key}: ${yamlOf(item, depth + 1)}`)
      .join("");
  }
  return typeof value === "string" && /^[a-z:][a-z0-9:/-]*$/.test(value) ? value : JSON.stringify(value);
}
