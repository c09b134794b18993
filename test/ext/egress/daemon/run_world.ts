import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createSecureServer } from "node:http2";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { AuthType } from "../../../../src/gen/nexus/v1/provider_pb.js";
import { TestDaemon } from "../../../daemon/harness.js";
import { Authority } from "../../../fakes/certificates.js";

const root = join(import.meta.dirname, "../../../..");
const program = join(import.meta.dirname, "program.mjs");
export const key = "canary-of-run-81d2";

/** Of the answer at `/large`. */
export const largeBytes = 4 * 1024 * 1024;

/** A daemon with one API key, and an API that answers with what it got. */
export class RunWorld {
  readonly work = mkdtempSync(join(tmpdir(), "nexusd-run-world-"));

  private get roots(): string {
    return join(this.work, "roots.pem");
  }

  private constructor(
    readonly daemon: TestDaemon,
    readonly url: string,
    private readonly end: () => void,
  ) {}

  static async start(): Promise<RunWorld> {
    const issuer = new Authority();
    let expected = key;
    let replace = async (): Promise<string> => key;
    const repaired = new Set<string>();
    const { cert, key: serverKey } = issuer.issueServer({ dns: ["api.localhost"] });
    const server = createSecureServer(
      { cert, key: serverKey, allowHTTP1: true },
      async (request, response) => {
        const { method, url: path, headers } = request;
        const body = await text(request);
        if (headers["x-api-key"] !== expected)
          return void response.writeHead(403).end(JSON.stringify(headers));
        if (path.endsWith("/refreshed")) {
          await replace();
          return void response.writeHead(307, { location: "/v1/user" }).end();
        }
        // The credential was replaced while the request was under way; the next one has the new credential.
        if (path.endsWith("/repaired") && !repaired.delete(expected)) {
          repaired.add(await replace());
          return void response.writeHead(401).end();
        }
        const [answer, type = "text/plain"] = path.endsWith("/responses")
          ? turnOf(JSON.parse(body), url)
          : answerTo(path);
        response.setHeader("content-type", type);
        if (path.endsWith("/large")) response.write("x".repeat(largeBytes));
        response.end(
          answer ?? `the API got the key${method === "POST" ? ` and ${body.length} bytes` : ""}\n`,
        );
      },
    );
    await once(server.listen(0, "127.0.0.1"), "listening");
    const url = `https://api.localhost:${(server.address() as AddressInfo).port}/v1`;
    const daemon = await TestDaemon.start();
    const provider = { name: "acme", authType: AuthType.API_KEY, apiBaseUrl: url };
    const { provider: created } = await daemon.clients.providers.createProvider({ provider });
    const { connection } = await daemon.clients.connections.importConnection({
      providerId: created?.id ?? "",
      userId: "ada",
      credentials: { api_key: key },
    });
    replace = async () => {
      expected += "+";
      const credentials = { api_key: expected };
      const connectionId = connection?.id ?? "";
      await daemon.clients.connections.replaceCredential({ connectionId, credentials });
      return expected;
    };
    const world = new RunWorld(daemon, url, () => server.close());
    writeFileSync(world.roots, issuer.pem);
    return world;
  }

  async close(): Promise<void> {
    this.end();
    rmSync(this.work, { recursive: true });
    await this.daemon.close();
  }

  /** `nexusd run FLAGS -- node program.mjs`. */
  run(flags: readonly string[], env: NodeJS.ProcessEnv) {
    return this.start(flags, [process.execPath, program], env);
  }

  /** `nexusd run FLAGS -- COMMAND`. */
  async start(flags: readonly string[], command: readonly string[], env: NodeJS.ProcessEnv) {
    const { dataDir } = this.daemon.place.config;
    const base = {
      PATH: process.env["PATH"],
      HOME: this.work,
      NEXUS_DATA_DIR: dataDir,
      NODE_EXTRA_CA_CERTS: this.roots,
    };
    const argv = [join(root, "dist/main.js"), "run", "--user", "ada", ...flags, "--", ...command];
    const child = spawn(process.execPath, argv, { env: { ...base, ...env }, cwd: this.work });
    const [stdout, stderr, [code]] = await Promise.all([
      text(child.stdout),
      text(child.stderr),
      once(child, "close") as Promise<[number]>,
    ]);
    return { stdout, stderr, code };
  }
}

/** A turn of a model of OpenAI's Responses API: it has the API asked by the agent's shell, and ends with what that printed. */
function turnOf({ input }: { input: { type: string; output?: string }[] }, url: string) {
  const result = input.find(({ type }) => type === "function_call_output")?.output;
  const call = { type: "function_call", call_id: "1", name: "exec_command" };
  const item =
    result === undefined
      ? { ...call, arguments: JSON.stringify({ cmd: `curl -s ${url}/user` }) }
      : {
          type: "message",
          role: "assistant",
          content: [{ type: "output_text", text: `the model got: ${result.split("\n").at(-2)}` }],
        };
  const usage = { input_tokens: 1, output_tokens: 1, total_tokens: 2 };
  const events = [
    { type: "response.output_item.done", item },
    { type: "response.completed", response: { id: "r", usage } },
  ];
  const lines = events.map((event) => `event: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`);
  return [lines.join(""), "text/event-stream"] as const;
}

/** What clients read that have a protocol of their own: git's dumb one, a registry of npm, an index of Python packages. */
function answerTo(path: string): readonly [body?: string, type?: string] {
  if (path.startsWith("/v1/repo.git/info/refs")) return [`${"a".repeat(40)}\trefs/heads/main\n`];
  if (path.startsWith("/v1/s3")) {
    const bucket = "<Bucket><Name>the-api-got-the-key</Name></Bucket>";
    const listed = `<ListAllMyBucketsResult><Buckets>${bucket}</Buckets></ListAllMyBucketsResult>`;
    return [listed, "application/xml"];
  }
  if (path.startsWith("/v1/npm/acme-package")) {
    const version = { name: "acme-package", version: "1.0.0", description: "the API got the key" };
    const versions = {
      "1.0.0": { ...version, dist: { tarball: "https://api.localhost/x.tgz", shasum: "" } },
    };
    return [JSON.stringify({ ...version, "dist-tags": { latest: "1.0.0" }, versions }), "application/json"];
  }
  if (path.startsWith("/v1/simple/acme-package"))
    return [
      '<a href="acme_package-1.0.0-py3-none-any.whl">acme_package-1.0.0-py3-none-any.whl</a>',
      "text/html",
    ];
  return [];
}
