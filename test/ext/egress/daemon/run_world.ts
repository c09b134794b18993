import { spawn } from "node:child_process";
import { EventEmitter, once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createSecureServer } from "node:http2";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { pipeline } from "node:stream/promises";
import { AuthType } from "../../../../src/gen/nexus/v1/provider_pb.js";
import { TestDaemon } from "../../../daemon/harness.js";
import { Authority } from "../../../fakes/certificates.js";
import { answerGrpc, answerTo, answerWebSocket, firstEvent, gotKey, large, uploaded } from "./run_api.js";

export const root = join(import.meta.dirname, "../../../..");
const program = join(import.meta.dirname, "program.mjs");
export const key = "canary-of-run-81d2";

/** A daemon with one API key, and an API that answers with what it got. */
export class RunWorld {
  readonly work = mkdtempSync(join(tmpdir(), "nexusd-run-world-"));

  /** An isolated program may not work in it. */
  readonly home = mkdtempSync(join(tmpdir(), "nexusd-run-home-"));

  private get roots(): string {
    return join(this.work, "roots.pem");
  }

  private constructor(
    readonly daemon: TestDaemon,
    readonly url: string,
    private readonly news: EventEmitter,
    private readonly end: () => void,
  ) {}

  static async start(): Promise<RunWorld> {
    const issuer = new Authority();
    let expected = key;
    let replace = async (): Promise<string> => key;
    const repaired = new Set<string>();
    const news = new EventEmitter();
    const seen = () => once(news, "seen");
    const { cert, key: serverKey } = issuer.issueServer({ dns: ["api.localhost", "api.corp.test"] });
    const server = createSecureServer(
      { cert, key: serverKey, allowHTTP1: true },
      async (request, response) => {
        const { method, url: path, headers } = request;
        const { body, bytes } = await uploaded(request);
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
        if (headers["content-type"]?.startsWith("application/grpc")) return await answerGrpc(response, seen);
        const [answer, type = "text/plain"] = answerTo(path, body, url);
        response.setHeader("content-type", path.endsWith("/events") ? "text/event-stream" : type);
        if (path.endsWith("/events")) {
          response.write(`${firstEvent}\n\n`);
          await seen();
        }
        const [, length] = /\/large\/(\d+)$/.exec(path) ?? [];
        if (length !== undefined && method === "GET")
          await pipeline(large(Number(length)), response, { end: false });
        response.end(answer ?? `${gotKey}${method === "POST" ? ` and ${bytes} bytes` : ""}\n`);
      },
    );
    server.on("upgrade", (request, socket) =>
      answerWebSocket(request, socket, request.headers["x-api-key"] === expected),
    );
    await once(server.listen(0, "127.0.0.1"), "listening");
    const url = `https://api.localhost:${(server.address() as AddressInfo).port}/v1`;
    const daemon = await TestDaemon.start();
    const apiHosts = [`api.corp.test:${new URL(url).port}`];
    const provider = { name: "acme", authType: AuthType.API_KEY, apiBaseUrl: url, apiHosts };
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
    const world = new RunWorld(daemon, url, news, () => server.close());
    writeFileSync(world.roots, issuer.pem);
    return world;
  }

  async close(): Promise<void> {
    this.end();
    for (const folder of [this.work, this.home]) rmSync(folder, { recursive: true });
    await this.daemon.close();
  }

  /** `nexusd run FLAGS -- node program.mjs`. */
  run(flags: readonly string[], env: NodeJS.ProcessEnv) {
    return this.start(flags, [process.execPath, program], env);
  }

  /**
   * `nexusd run FLAGS -- COMMAND`.
   *
   * @param main what a shell finds as `nexusd`
   */
  async start(
    flags: readonly string[],
    command: readonly string[],
    env: NodeJS.ProcessEnv,
    main = join(root, "dist/main.js"),
  ) {
    const child = this.spawned(flags, command, env, main);
    let printed = "";
    child.stdout.on("data", (part) => {
      if (printed.length < firstEvent.length) printed += part;
      if (printed.startsWith(firstEvent)) this.news.emit("seen");
    });
    const [stdout, stderr, [code]] = await Promise.all([
      text(child.stdout),
      text(child.stderr),
      once(child, "close") as Promise<[number]>,
    ]);
    return { stdout, stderr, code };
  }

  /** The same, while it runs. */
  spawned(
    flags: readonly string[],
    command: readonly string[],
    env: NodeJS.ProcessEnv,
    main = join(root, "dist/main.js"),
  ) {
    const { dataDir } = this.daemon.place.config;
    const base = {
      PATH: process.env["PATH"],
      HOME: this.home,
      NEXUS_DATA_DIR: dataDir,
      NODE_EXTRA_CA_CERTS: this.roots,
    };
    const argv = [main, "run", "--user", "ada", ...flags, "--", ...command];
    const options = { env: { ...base, ...env }, cwd: this.work, timeout: 300_000 };
    return spawn(process.execPath, argv, options);
  }
}
