/**
 * The package as it is published, without the sources and what builds them. By itself the test lays out what npm would pack, and its
 * dependencies, from this folder; `npm run test:package` lets npm install it from its registry.
 */
import { spawn, spawnSync } from "node:child_process";
import { cpSync, lstatSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join, relative } from "node:path";
import { beforeAll, describe, expect, it, onTestFinished } from "vitest";
import { freePort } from "../free_port.js";
import { temporaryFolder } from "../temporary_folder.js";
import { Running } from "./tools/tool_world.js";

const root = join(import.meta.dirname, "../..");
const usesRegistry = process.env["NEXUS_TEST_REGISTRY"] === "1";
/** On Linux x64 the package takes 31 MB, 22 of them the native code of the store and of koffi. */
const maxBytes = 40 * 2 ** 20;

let prefix: string;
const home = (): string => join(prefix, "lib/node_modules/nexusd");

function run(
  command: string,
  args: readonly string[],
  cwd = root,
  env: NodeJS.ProcessEnv = process.env,
): string {
  const { status, stdout, stderr } = spawnSync(command, args, { cwd, env, encoding: "utf8" });
  expect([command, args[0], status, status === 0 ? "" : stdout + stderr]).toEqual([command, args[0], 0, ""]);
  return stdout;
}

/** The registry may stand still, or refuse for a moment. */
function installFromRegistry(tarball: string): void {
  const args = ["install", "--global", "--prefix", prefix, "--no-audit", "--no-fund", tarball];
  const attempt = () =>
    spawnSync("npm", args, { cwd: prefix, stdio: "ignore", timeout: 60_000, killSignal: "SIGKILL" })
      .status === 0;
  if (!attempt() && !attempt()) run("npm", args, prefix);
}

beforeAll(() => {
  prefix = temporaryFolder();
  const pack = ["pack", "--ignore-scripts", "--json"];
  if (usesRegistry) {
    const [{ filename }] = JSON.parse(run("npm", [...pack, "--pack-destination", prefix]));
    installFromRegistry(join(prefix, filename));
    return;
  }
  const [{ files }] = JSON.parse(run("npm", [...pack, "--dry-run"])) as [{ files: { path: string }[] }];
  for (const { path } of files) cpSync(join(root, path), join(home(), path));
  const places = run("npm", ["ls", "--omit=dev", "--all", "--parseable"]).trim().split("\n").slice(1);
  for (const place of places) cpSync(place, join(home(), relative(root, place)), { recursive: true });
  mkdirSync(join(prefix, "bin"));
  symlinkSync(join(home(), "dist/main.js"), join(prefix, "bin/nexusd"));
}, 240_000);

function bytesOf(path: string): number {
  const stat = lstatSync(path);
  if (!stat.isDirectory()) return stat.size;
  return readdirSync(path).reduce((sum, name) => sum + bytesOf(join(path, name)), 0);
}

describe("the package", () => {
  it("is small, and holds the licences of what it bundles", () => {
    expect(bytesOf(join(prefix, "lib"))).toBeLessThan(maxBytes);
    const licences = readFileSync(join(home(), "dist/bundle/LICENSES.txt"), "utf8");
    for (const name of ["jose", "commander", "@opentelemetry/core"]) expect(licences).toContain(`${name} `);
  });

  it("serves with all that it seldom needs: traces, readable logs, a catalogue of one's own, keys by schema", async () => {
    const data = temporaryFolder();
    const catalog = join(data, "catalog.yaml");
    writeFileSync(
      catalog,
      `providers:
  - name: acme
    display_name: Acme
    category: crm
    auth_type: api_key
    api_base_url: https://{site}.acme.example
    docs_url: https://acme.example/docs
    variables:
      site: { description: Your site, pattern: "[a-z]+", example: x }
`,
    );
    const [http, browser, ops] = [await freePort(), await freePort(), await freePort()];
    const env = {
      PATH: `${join(prefix, "bin")}:${process.env["PATH"]}`,
      HOME: data,
      NEXUS_DATA_DIR: join(data, "nexus"),
      NEXUS_HTTP_LISTEN: `127.0.0.1:${http}`,
      NEXUS_BROWSER_LISTEN: `127.0.0.1:${browser}`,
      NEXUS_PUBLIC_URL: `http://localhost:${browser}`,
      NEXUS_OPS_LISTEN: `127.0.0.1:${ops}`,
      NEXUS_LOG_FORMAT: "pretty",
      // Wider than by default: who calls is asked of the kernel, by native code.
      NEXUS_SOCKET_MODE: "0660",
      NEXUS_CATALOG_FILE: catalog,
      OTEL_EXPORTER_OTLP_ENDPOINT: "http://127.0.0.1:9",
    };
    const daemon = new Running(spawn("nexusd", ["serve"], { env, cwd: data }));
    onTestFinished(async () => {
      daemon.child.kill("SIGTERM");
      expect((await daemon.ended).code).toBe(0);
    });
    await daemon.wrote("nexusd is ready");
    const nexusd = (...args: string[]): string => run("nexusd", args, data, env);
    nexusd("provider", "add", "acme", "--var", "site=abc");
    writeFileSync(join(data, "key.json"), `{"api_key":"k-secret"}`);
    nexusd("connections", "import", "acme", "--user", "ada", "--file", join(data, "key.json"));
    expect(nexusd("token", "acme/ada")).toBe("k-secret\n");
    expect(nexusd("whoami")).toContain("admin");
  });

  it("is a library for others: its types compile, and all strategies work", () => {
    const folder = temporaryFolder();
    mkdirSync(join(folder, "node_modules"));
    symlinkSync(home(), join(folder, "node_modules/nexusd"));
    writeFileSync(join(folder, "package.json"), `{ "type": "module" }`);
    writeFileSync(
      join(folder, "consumer.ts"),
      `import { applyStrategy } from "nexusd/strategies";
const answer = await applyStrategy(
  { method: "GET", url: "https://s3.amazonaws.com/b", headers: {} },
  { type: "aws_sigv4", config: { service: "s3" } },
  { access_key: "AK", secret_key: "SK" },
);
console.log(answer.headers["authorization"]?.split(",")[0]);
`,
    );
    const options = {
      target: "es2022",
      lib: ["es2022", "dom"],
      module: "nodenext",
      strict: true,
      types: [],
      outDir: "out",
    };
    writeFileSync(
      join(folder, "tsconfig.json"),
      JSON.stringify({ compilerOptions: options, files: ["consumer.ts"] }),
    );
    run(process.execPath, [join(root, "node_modules/typescript/bin/tsc"), "-p", folder]);
    const shown = run(process.execPath, [join(folder, "out/consumer.js")], folder);
    expect(shown).toMatch(/^AWS4-HMAC-SHA256 Credential=AK\/\d{8}\/us-east-1\/s3\/aws4_request\n$/);
  });
});
