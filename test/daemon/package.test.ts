/**
 * The package as it is published, without the sources and what builds them. By itself the test lays out what npm would pack, and its
 * dependencies, from this folder; `npm run test:package` lets npm install it from its registry.
 */

import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import {
  cpSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join, relative } from "node:path";
import { fromBinary } from "@bufbuild/protobuf";
import { FileDescriptorProtoSchema } from "@bufbuild/protobuf/wkt";
import { type ClientDuplexStream, credentials, type GrpcObject, loadPackageDefinition } from "@grpc/grpc-js";
import { loadSync } from "@grpc/proto-loader";
import { beforeAll, describe, expect, it, onTestFinished, test } from "vitest";
import { freePort } from "../free_port.js";
import { temporaryFolder } from "../temporary_folder.js";
import { DaemonProcess } from "./daemon_process.js";
import { Place } from "./harness.js";
import { Running } from "./tools/tool_world.js";

/** Of who uses the package. */
const tsconfig = JSON.stringify({
  compilerOptions: {
    ...{ target: "es2022", lib: ["es2022", "dom"], module: "nodenext" },
    ...{ strict: true, types: [], outDir: "out" },
  },
  files: ["consumer.ts"],
});

describe("installed", () => {
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
    expect([command, args[0], status, status === 0 ? "" : stdout + stderr]).toEqual([
      command,
      args[0],
      0,
      "",
    ]);
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
      writeFileSync(join(folder, "tsconfig.json"), tsconfig);
      run(process.execPath, [join(root, "node_modules/typescript/bin/tsc"), "-p", folder]);
      const shown = run(process.execPath, [join(folder, "out/consumer.js")], folder);
      expect(shown).toMatch(/^AWS4-HMAC-SHA256 Credential=AK\/\d{8}\/us-east-1\/s3\/aws4_request\n$/);
    });
  });
});

/** What the bundle loads only when it is used is there when it is used. */
describe("the bundle", () => {
  interface Answer {
    readonly fileDescriptorResponse?: { readonly fileDescriptorProto: readonly Buffer[] };
  }

  async function startedPlace(): Promise<Place> {
    const place = await Place.make({ NEXUS_LOG_LEVEL: "info" });
    mkdirSync(place.config.dataDir, { recursive: true, mode: 0o700 });
    const daemon = new DaemonProcess(place.environment);
    onTestFinished(async () => void (await daemon.kill("SIGTERM")));
    await daemon.ready();
    return place;
  }

  test("reflection names the file of the rules among the imports, and has it", async () => {
    const place = await startedPlace();
    const proto = join(import.meta.dirname, "../../proto/grpc/reflection/v1/reflection.proto");
    const { grpc } = loadPackageDefinition(loadSync(proto)) as { grpc: GrpcObject };
    const { ServerReflection } = (grpc["reflection"] as GrpcObject)["v1"] as Record<string, never>;
    const Client = ServerReflection as unknown as new (
      ...args: unknown[]
    ) => { serverReflectionInfo(): ClientDuplexStream<object, Answer>; close(): void };
    const client = new Client(`unix:${place.socket}`, credentials.createInsecure());
    onTestFinished(() => client.close());
    const call = client.serverReflectionInfo();
    const rules = "buf/validate/validate.proto";
    const fileOf = async (request: object) => {
      const answered = once(call, "data");
      call.write(request);
      const [answer] = (await answered) as [Answer];
      return answer.fileDescriptorResponse?.fileDescriptorProto.map((bytes) =>
        fromBinary(FileDescriptorProtoSchema, bytes),
      )[0];
    };
    expect((await fileOf({ fileContainingSymbol: "nexus.v1.TokenService" }))?.dependency).toContain(rules);
    expect((await fileOf({ fileByFilename: rules }))?.messageType.length).toBeGreaterThan(10);
    call.end();
  });

  test("the rules of fields are checked", async () => {
    const { connections } = (await startedPlace()).clients();
    await expect(connections.listConnections({ pageSize: 100_000 })).rejects.toThrow(/page_size/);
  });
});

describe("the compile cache", () => {
  const root = join(import.meta.dirname, "../..");
  const [major = 0, minor = 0] = process.versions.node.split(".").map(Number);
  const hasCache = major > 22 || (major === 22 && minor >= 8);

  /** The program in a folder of its own. */
  function installed(): { readonly folder: string; version(): ReturnType<typeof spawnSync> } {
    const folder = temporaryFolder();
    mkdirSync(join(folder, "dist"), { recursive: true });
    for (const file of ["package.json", "dist/main.js", "dist/bundle"])
      cpSync(join(root, file), join(folder, file), {
        recursive: true,
        filter: (source) => !source.includes("compile-cache"),
      });
    symlinkSync(join(root, "node_modules"), join(folder, "node_modules"));
    const command = `umask 000; exec "${process.execPath}" "${join(folder, "dist/main.js")}" --version`;
    const env = { PATH: process.env["PATH"], HOME: folder };
    return { folder, version: () => spawnSync("/bin/sh", ["-c", command], { env, encoding: "utf8" }) };
  }

  test("compiled code lies beside the program, where others cannot write", () => {
    const { folder, version } = installed();
    expect(version()).toMatchObject({ status: 0, stderr: "" });
    const cache = join(folder, "dist/bundle/compile-cache");
    expect(existsSync(cache)).toBe(hasCache);
    if (hasCache) expect(statSync(cache).mode & 0o022).toBe(0);
  });

  test("the program starts where it cannot keep compiled code", () => {
    const { folder, version } = installed();
    // No folder can be made there, not even by root.
    writeFileSync(join(folder, "dist/bundle/compile-cache"), "");
    expect(version()).toMatchObject({ status: 0, stderr: "" });
  });
});

describe("the launcher", () => {
  const main = join(import.meta.dirname, "../../dist/main.js");

  /** The program on a Node that says it is another version. */
  function startOn(version: string) {
    const versions = `{ ...process.versions, node: ${JSON.stringify(version)} }`;
    const preload = `data:text/javascript,Object.defineProperty(process, "versions", { value: ${versions} })`;
    return spawnSync(process.execPath, ["--import", preload, main, "--version"], { encoding: "utf8" });
  }

  test.each(["18.20.8", "20.18.3", "16.0.0"])("Node %s is told which it needs", (version) => {
    expect(startOn(version)).toMatchObject({
      status: 1,
      stdout: "",
      stderr: `nexusd needs Node 20.19 or newer, this is ${version}\n`,
    });
  });

  test.each(["20.19.0", "22.1.0", "100.0.0"])("Node %s is taken", (version) => {
    expect(startOn(version)).toMatchObject({ status: 0, stderr: "" });
  });
});

describe("strategies", () => {
  const root = join(import.meta.dirname, "../..");

  const consumer = `
import { type ApiRequest, applyStrategy, type AuthorizedRequest, StrategyError } from "nexusd/strategies";

const request: ApiRequest<string> = { method: "POST", url: "https://api.example/x", headers: {}, body: "b" };
const answer: AuthorizedRequest<string> = await applyStrategy(
  request,
  { type: "header", config: { header_name: "X-Key" } },
  { api_key: "k" },
);
const body: string | undefined = answer.body;
try {
  await applyStrategy(request, { kind: { case: "queryParam", value: { paramName: "q" } } }, {});
} catch (error) {
  if (!(error instanceof StrategyError)) throw error;
  const code: "missing_credential" | "invalid_credential" | "invalid_strategy" | "invalid_request" = error.code;
  console.log(answer.headers["X-Key"], body, code, error.field);
}
`;

  /** The package as another one sees it, in its built form. */
  describe("nexusd/strategies", () => {
    let folder: string;
    beforeAll(() => {
      folder = temporaryFolder();
      mkdirSync(join(folder, "node_modules"));
      symlinkSync(root, join(folder, "node_modules", "nexusd"));
      writeFileSync(join(folder, "package.json"), `{ "type": "module" }`);
      writeFileSync(join(folder, "consumer.ts"), consumer);
      writeFileSync(join(folder, "tsconfig.json"), tsconfig);
    });

    it("has types that a consumer can compile against, and runs", () => {
      const tsc = join(root, "node_modules/typescript/bin/tsc");
      const compiled = spawnSync(process.execPath, [tsc, "-p", folder], { encoding: "utf8" });
      expect(compiled.stdout + compiled.stderr).toBe("");
      const ran = spawnSync(process.execPath, [join(folder, "out/consumer.js")], { encoding: "utf8" });
      expect(ran.stderr).toBe("");
      expect(ran.stdout.trim()).toBe("k b missing_credential api_key");
    });

    it("can be imported by its own name", async () => {
      const script = `import * as library from "nexusd/strategies"; console.log(Object.keys(library).sort().join());`;
      const ran = spawnSync(process.execPath, ["--input-type=module", "--eval", script], {
        cwd: root,
        encoding: "utf8",
      });
      expect(ran.stdout.trim()).toBe("StrategyError,applyStrategy");
    });
  });
});
