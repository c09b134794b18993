/**
 * `npm run test:adapters [-- --only WORD]`: one table of cases for the adapters of agent frameworks, each played with a scripted model against a live daemon.
 * install.sh puts the frameworks into `~/.cache/nexusd-adapters`. Prints case by framework.
 */
import { execFileSync, spawn } from "node:child_process";
import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { homedir, tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { Results } from "../suites/results.js";
import { Control } from "./control.js";

const here = import.meta.dirname;
const place = join(process.env["XDG_CACHE_HOME"] ?? join(homedir(), ".cache"), "nexusd-adapters");
const python = join(place, "py/bin/python");
const recipesPython = join(place, "recipes/bin/python");
const clients = join(here, "../../clients/python");
const root = join(here, "../..");

interface Column {
  readonly framework: string;
  readonly argv: readonly string[];
}

const inPython = [
  "LangGraph",
  "Pydantic AI",
  "OpenAI Agents",
  "Google ADK",
  "FastMCP",
  "LlamaIndex",
  "Agno",
  "Claude Agent SDK",
  "none",
];
/** Folder of each: of `typescript`, and the name of its page. */
const inNode: Readonly<Record<string, string>> = {
  "Vercel AI SDK": "vercel-ai",
  "OpenAI Agents (JS)": "openai-agents",
};
/** Has a recipe in recipes.md, and the model of the Vercel AI SDK. */
const mastra = "Mastra";
/** Those that have a recipe in Python, and an environment of their own: their dependencies exclude those of the others. */
const inRecipes = ["CrewAI", "AutoGen", "Haystack", "smolagents"];

function pytest(framework: string, program: string, tests: string): Column {
  const options = ["-q", "-W", "ignore", "-p", "no:cacheprovider", "--timeout", "400"];
  return { framework, argv: [program, "-m", "pytest", ...options, join(here, tests)] };
}

const { values } = parseArgs({ options: { only: { type: "string", default: "" } } });
const results = new Results();
const folder = mkdtempSync(join(tmpdir(), "nexusd-adapters-"));
const typescript = join(folder, "typescript");
const columns: readonly Column[] = [
  ...inPython.map((framework) => pytest(framework, python, "python")),
  ...inRecipes.map((framework) => pytest(framework, recipesPython, "python/test_pages.py")),
  ...Object.entries(inNode).map(([framework, name]) => ({
    framework,
    argv: [bin("tsx"), join(typescript, "cases.ts"), name],
  })),
  { framework: mastra, argv: [bin("tsx"), join(typescript, "mastra/recipe.ts")] },
];

execFileSync(join(here, "install.sh"), { stdio: "inherit" });
const chosen = columns.filter(({ framework }) => framework.includes(values.only));
if (chosen.some(({ framework }) => framework in inNode || framework === mastra)) {
  stage();
  await results.check("types", "Node", checkNodeTypes);
  await results.check("package", "Node", checkNodePackage);
}
await Promise.all([
  drain(),
  drain(),
  results.check("types", "Python", checkTypes),
  results.check("package", "Python", checkPythonPackage),
]);
rmSync(folder, { recursive: true });
process.stdout.write(`${results.table(["Python", "Node", ...columns.map(({ framework }) => framework)])}\n`);
if (results.complaints !== "") process.stdout.write(`\n${results.complaints}\n`);
process.stdout.write(`\n${results.passed} passed, ${results.failed} failed\n`);
process.exitCode = results.failed > 0 || results.passed === 0 ? 1 : 0;

/** Plays columns until none is left: two of these keep two cores busy. */
async function drain(): Promise<void> {
  for (let column = chosen.shift(); column; column = chosen.shift()) await play(column);
}

async function play({ framework, argv }: Column): Promise<void> {
  const control = await Control.start();
  const report = join(folder, framework);
  try {
    const { code, output } = await run(argv, {
      ...{ ...control.environment, PYTHONPATH: join(clients, "src"), FRAMEWORK: framework, REPORT: report },
    });
    const lines = readReport(report);
    for (const [row, isPassed] of lines) {
      await results.check(row, framework, async () => {
        if (!isPassed) throw new Error(output.slice(-6_000));
      });
    }
    if (code !== 0 && lines.every(([, isPassed]) => isPassed))
      results.fail("all", framework, output.slice(-6_000));
  } finally {
    await control.close();
  }
}

/** Name and outcome of each case, as the tests write them: `name<TAB>passed`. */
function readReport(path: string): [string, boolean][] {
  try {
    return readFileSync(path, "utf8")
      .trim()
      .split("\n")
      .map((line) => [line.split("\t")[0] ?? "", line.endsWith("\tpassed")]);
  } catch {
    return [];
  }
}

async function checkTypes(): Promise<void> {
  const files = [
    "_needs",
    "langgraph",
    "pydantic_ai",
    "openai_agents",
    "google_adk",
    "fastmcp",
    "llamaindex",
    "agno",
    "claude_agent",
  ];
  const argv = [
    python,
    "-m",
    "mypy",
    "--cache-dir",
    join(place, "mypy"),
    ...files.map((name) => `src/nexusd/${name}.py`),
  ];
  await succeed(argv, clients);
}

/** What would be published. */
async function checkPythonPackage(): Promise<void> {
  const out = join(folder, "package");
  await succeed([python, "-m", "hatchling", "build", "-d", out], clients);
  const files = readdirSync(out).map((name) => join(out, name));
  await succeed([python, "-m", "twine", "check", "--strict", ...files]);
}

async function checkNodePackage(): Promise<void> {
  const staged = join(typescript, "node_modules/nexusd-client");
  // A version before a release needs a tag, so that nobody gets it unasked.
  await succeed(["npm", "publish", "--dry-run", "--ignore-scripts", "--tag", "next"], staged);
}

async function succeed(argv: readonly string[], cwd?: string): Promise<void> {
  const { code, output } = await run(argv, {}, cwd);
  if (code !== 0) throw new Error(output);
}

async function run(
  argv: readonly string[],
  environment: NodeJS.ProcessEnv,
  cwd?: string,
): Promise<{ code: number; output: string }> {
  const [program = "", ...args] = argv;
  const child = spawn(program, args, { cwd, timeout: 600_000, env: { ...process.env, ...environment } });
  let output = "";
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding("utf8").on("data", (text) => (output += text));
  return await new Promise((resolve) => child.on("close", (code) => resolve({ code: code ?? 1, output })));
}

function bin(name: string): string {
  return join(root, "node_modules/.bin", name);
}

/** A package that depends on the frameworks and on the built client, with the code of the pages in it. */
function stage(): void {
  cpSync(join(here, "typescript"), typescript, { recursive: true });
  for (const name of Object.values(inNode)) stagePage(name, `docs/frameworks/${name}.md`, "ts", name);
  stagePage("mastra", "docs/frameworks/recipes.md", "ts mastra", "vercel-ai");
  const modules = join(typescript, "node_modules");
  mkdirSync(modules);
  for (const name of ["@mastra", "@openai", "ai", "zod"])
    symlinkSync(join(place, "node/node_modules", name), join(modules, name));
  // Not into the checkout's own dist, which other suites build meanwhile.
  const [source, client] = [join(root, "clients/typescript"), join(modules, "nexusd-client")];
  execFileSync(bin("tsc"), ["-p", source, "--outDir", join(client, "dist")], { stdio: "inherit" });
  for (const name of ["package.json", "README.md", "LICENSE"]) cpSync(join(source, name), join(client, name));
  symlinkSync(join(root, "node_modules"), join(client, "node_modules"));
}

/** The first such block of a page, with the model of an example. */
function stagePage(folder: string, path: string, block: string, example: string): void {
  const page = readFileSync(join(root, path), "utf8");
  const code = new RegExp(`^\`\`\`${block}\n(.*?)^\`\`\``, "ms").exec(page)?.[1] ?? "";
  writeFileSync(join(typescript, folder, "page.ts"), code);
  cpSync(join(root, `examples/frameworks/${example}.ts`), join(typescript, folder, "my_app.ts"));
}

async function checkNodeTypes(): Promise<void> {
  const compilerOptions = { rootDir: typescript, typeRoots: [join(root, "node_modules/@types")] };
  const config = join(typescript, "tsconfig.json");
  writeFileSync(
    config,
    JSON.stringify({
      extends: join(root, "tsconfig.json"),
      compilerOptions,
      include: ["*.ts", "*/*.ts"],
      exclude: ["node_modules"],
    }),
  );
  await succeed([bin("tsc"), "-p", config]);
}
