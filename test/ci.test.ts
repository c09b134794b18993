import { execFileSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { expect, test } from "vitest";
import { needs } from "./needs.js";

const root = join(import.meta.dirname, "..");
const read = (name: string): string => readFileSync(join(root, name), "utf8");
const suitesOf = (...files: string[]): string[] =>
  execFileSync("bash", [".ci/run", "--list", ...files], { cwd: root, encoding: "utf8" })
    .trim()
    .split("\n");

const always = ["check", "test", "model", "package"];

test.for([
  ["docs/access.md", ["walk", "docs"]],
  ["src/cli/status.ts", ["daemon", "tools", "walk", "docs"]],
  ["clients/go/cache.go", ["clients", "upgrade", "docs", "release"]],
  ["src/domain/grants/refresher.ts", ["daemon", "crash", "walks", "model-fleet", "bench-load"]],
  ["proto/nexus/v1/token.proto", ["clients", "interop", "conformance", "docs", "python"]],
] as const)("a change of %s runs what it can break", ([file, more], context) => {
  needs(context, "bash");
  expect(suitesOf(file).sort()).toEqual([...always, ...more].sort());
});

test("each path of a suite is there, so that a folder that moves takes its suite along", () => {
  const files = execFileSync("git", ["ls-files"], { cwd: root, encoding: "utf8" }).split("\n");
  const text = read(".ci/suites.sh");
  const lists = [...text.matchAll(/^\s*(?:suite \S+ \d+ \d (?:""|"[^"]*"|\w+)|\w+=) ?"([^"]*)"/gm)];
  const paths = lists
    .flatMap(([, list = ""]) => list.split(" "))
    .filter((path) => !/^(\$|always|never)/.test(path));
  expect(paths.length).toBeGreaterThan(100);
  expect(paths.filter((path) => !files.some((file) => file.startsWith(path)))).toEqual([]);
});

/** The folder of each suite that takes helpers from others, or lends them. */
const homes: Readonly<Record<string, string>> = {
  adapters: "test/adapters",
  agentdojo: "test/ext/memory/agentdojo",
  clients: "test/clients",
  conformance: "test/conformance",
  crash: "test/crash",
  deploy: "test/deploy",
  drivers: "test/ext/drivers/suite",
  egress: "test/ext/egress/suite",
  foreign: "test/foreign",
  fuzz: "test/fuzz",
  interop: "test/interop",
  kubernetes: "test/ext/kubernetes/suite",
  mcp: "test/ext/mcp/suite",
  "mcp-conformance": "test/ext/mcp_servers/conformance",
  outbox: "test/ext/alerts/crash",
  proxy: "test/proxy",
  release: "test/release",
  storm: "test/ext/fleet/storm",
  upgrade: "test/upgrade",
  walk: "test/walk",
  walks: "test/walks",
};

test("a change of a helper runs the suites that use it", (context) => {
  needs(context, "bash");
  const missing = Object.entries(homes).flatMap(([suite, home]) =>
    borrowedBy(home)
      .filter((helper) => !suitesOf(helper).includes(suite))
      .map((helper) => `${suite} uses ${helper}`),
  );
  expect(missing).toEqual([]);
});

/** What the files of a suite import from the room of shared helpers, or from other suites. */
function borrowedBy(home: string): string[] {
  const files = readdirSync(join(root, home), { recursive: true, encoding: "utf8" });
  const imports = files
    .filter((file) => file.endsWith(".ts"))
    .flatMap((file) => {
      const path = join(home, file);
      const specifiers = [...read(path).matchAll(/(?:from|import\() ?"(\.[^"]+)\.js"/g)];
      return specifiers.map(([, specifier = ""]) => `${join(dirname(path), specifier)}.ts`);
    });
  const rooms = ["test/suites", ...Object.values(homes)].filter((room) => room !== home);
  return [...new Set(imports)].filter((path) => rooms.some((room) => path.startsWith(`${room}/`)));
}

/** Whose tests call `needs`, by their paths; the first that matches counts. */
const needy: readonly (readonly [RegExp, string])[] = [
  [/^test\/ext\/(fleet|spoke)\//, "fleet"],
  [/^test\/(daemon\/(tools|terminal|service)\/|strategies\/examples)/, "tools"],
  [/^test\/(daemon|ext\/[^/]+\/daemon)\//, "daemon"],
  [/^test\/observability\//, "observability"],
  [/^test\/security\//, "test"],
  ...["deploy", "proxy", "release", "upgrade", "walk"].map(
    (name) => [RegExp(`^test/${name}/`), name] as const,
  ),
];

test("CI installs each Debian package that a test needs", () => {
  const packages = Object.fromEntries(
    [...read("test/needs.ts").matchAll(/^ {2}"?([\w-]+)"?: \{[^}]*?apt-get install ([\w-]+)/gm)].map(
      ([, need, name]) => [need, name] as const,
    ),
  );
  // It runs CI itself.
  delete packages["bash"];
  expect(packages).toMatchObject({ bubblewrap: "bubblewrap", faketime: "faketime", zsh: "zsh" });
  const installed = new Map(
    [...read(".ci/suites.sh").matchAll(/^ {2}suite (\S+) \d+ \d (?:"([^"]*)"|(\w+))/gm)].map(
      ([, suite = "", tools, tool = ""]) => [suite, (tools ?? tool).split(" ").map(installerOf).join("\n")],
    ),
  );
  const missing = readdirSync(join(root, "test"), { recursive: true, encoding: "utf8" })
    .map((file) => join("test", file))
    .filter((file) => file.endsWith(".ts") && read(file).includes("/needs.js"))
    .flatMap((file) => {
      const [, suite] = needy.find(([path]) => path.test(file)) ?? [];
      if (suite === undefined) return [];
      const strings = new Set([...read(file).matchAll(/"([\w-]+)"/g)].map(([, name = ""]) => name));
      const wanted = [...strings].flatMap((need) => packages[need] ?? []);
      const words = (name: string) => RegExp(`[: ]${name}\\b`).test(installed.get(suite) ?? "");
      return wanted.filter((name) => !words(name)).map((name) => `${suite} lacks ${name}, for ${file}`);
    });
  expect(missing).toEqual([]);
});

/** What `install_NAME` of tools.sh does, with what it calls. */
function installerOf(name: string): string {
  const body =
    RegExp(`^install_${name}\\(\\) \\{([^]*?)(?:^\\}| \\}$)`, "m").exec(read(".ci/tools.sh"))?.[1] ?? "";
  return [body, ...[...body.matchAll(/\binstall_(\w+)/g)].map(([, other = ""]) => installerOf(other))].join(
    "\n",
  );
}

test("each suite of package.json is run by CI", () => {
  const { scripts } = JSON.parse(read("package.json")) as { scripts: Record<string, string> };
  const suites = read(".ci/suites.sh");
  const byOthers = ["test:security", "test:quarantine"];
  const missing = Object.keys(scripts).filter((name) => name.startsWith("test:") && !suites.includes(name));
  expect(missing.filter((name) => !byOthers.includes(name))).toEqual([]);
});

test("images, tarballs, and the release run the Node that the README recommends, by digest or exact version", () => {
  const major = /Node (\d+) \(active LTS\)/.exec(read("README.md"))?.[1];
  const images = [
    ...read("Dockerfile").matchAll(/^FROM (?:--platform=\S+ )?(\S+)|--from=(\S+\.io\/\S+)/gm),
  ].map(([, one, other]) => one ?? other);
  expect(images.length).toBeGreaterThan(1);
  for (const image of images) expect(image).toMatch(new RegExp(`/nodejs${major}-|^node:${major}-`));
  const workflows = [".github/workflows/ci.yml", ".github/workflows/release.yml"].map(read).join("\n");
  const containers = [...workflows.matchAll(/container: (\S+)/g)].map(([, image]) => image);
  for (const image of [...images, ...containers]) expect(image).toMatch(/@sha256:[0-9a-f]{64}$/);
  const { dependencies } = JSON.parse(read("scripts/release/node/package.json")) as { dependencies: object };
  // An alias says which package has it: npm:NAME@VERSION.
  const brought = Object.entries(dependencies as Record<string, string>).map(
    ([name, version]) => [name, version.replace(/^npm:.*@/, "")] as const,
  );
  const exact = expect.stringMatching(new RegExp(`^${major}\\.\\d+\\.\\d+$`));
  // npm has the Node of macOS in fewer versions.
  for (const [, version] of brought) expect(version).toEqual(exact);
  const versions = new Set([
    ...brought.filter(([name]) => name.includes("linux")).map(([, version]) => version),
    ...[...workflows.matchAll(/node-version: (\S+)/g)].map(([, version]) => version),
  ]);
  expect([...versions]).toEqual([exact]);
});

test("workflows pin each action to a commit, and publish with attestations and without a stored token", () => {
  const release = read(".github/workflows/release.yml");
  const workflows = read(".github/workflows/ci.yml") + release;
  const actions = [...workflows.matchAll(/^.*\buses: (.*)$/gm)].map(([, action]) => action);
  expect(actions.length).toBeGreaterThan(5);
  for (const action of actions) expect(action).toMatch(/^\S+@[0-9a-f]{40} # v\d+\.\d+\.\d+$/);
  const secrets = [...workflows.matchAll(/secrets\.(\w+)/g)].map(([, name]) => name);
  expect([...new Set(secrets)]).toEqual(["GITHUB_TOKEN"]);
  expect(release).toMatch(/attest-build-provenance@[\s\S]*subject-digest:/);
  expect(release).toMatch(/attest-build-provenance@[\s\S]*subject-checksums: release\/SHA256SUMS/);
  const jobs = release.split(/^ {2}(?=\w+:$)/m);
  const publishers = [/npm publish .* --provenance /, /gh-action-pypi-publish@/];
  for (const publisher of publishers)
    expect(jobs.find((job) => publisher.test(job))).toMatch(/permissions:\n {6}id-token: write/);
});

test("no test is in quarantine without a reason", () => {
  const [, ...lines] = read("test/quarantine.txt").trimEnd().split("\n");
  expect(lines.filter((line) => !/^test\/\S+\.test\.ts # \S.{20,}/.test(line))).toEqual([]);
});
