import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { chmodSync, readFileSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import { freePort } from "../free_port.js";
import { pathOf } from "../needs.js";
import { temporaryFolder } from "../temporary_folder.js";

const examples = join(import.meta.dirname, "../../examples");

export type Variables = Readonly<Record<`NEXUS_${string}`, string>> & { readonly NEXUS_PROXY_PORT: string };

/** A proxy that runs with a file of examples/, as a user would run it. */
export class ProxyProgram {
  readonly #child: ChildProcess;
  readonly #closed: Promise<unknown>;
  readonly #errorLog: string | undefined;
  readonly url: string;
  #output = "";

  private constructor(
    name: "envoy" | "nginx" | "caddy" | "mitmdump",
    args: readonly string[],
    { NEXUS_PROXY_PORT: port }: Variables,
    { errorLog, environment }: { readonly errorLog?: string; readonly environment?: NodeJS.ProcessEnv } = {},
  ) {
    this.url = `http://127.0.0.1:${port}`;
    this.#errorLog = errorLog;
    const program = pathOf(name);
    if (program === undefined) throw new Error(`${name} is not on the PATH: .ci/tools.sh installs it`);
    this.#child = spawn(program, args, {
      stdio: ["ignore", "pipe", "pipe"],
      env: { ...process.env, ...environment },
    });
    this.#closed = once(this.#child, "close");
    for (const stream of [this.#child.stdout, this.#child.stderr]) {
      stream?.on("data", (bytes: Buffer) => {
        this.#output += bytes.toString();
      });
    }
  }

  static async envoy(example: string, variables: Variables): Promise<ProxyProgram> {
    const file = filled(`envoy/${example}`, variables);
    const args = ["-c", file, "--concurrency", "1", "--disable-hot-restart", "--log-level", "warning"];
    return await new ProxyProgram("envoy", args, variables).#listening(variables);
  }

  static async nginx(given: Variables): Promise<ProxyProgram> {
    const folder = temporaryFolder();
    chmodSync(folder, 0o755);
    const variables = { ...given, NEXUS_RUN_DIR: folder };
    // Its workers are another user than root, to whom the socket of nexusd is closed.
    const user = process.getuid?.() === 0 ? " user root;" : "";
    const args = ["-p", folder, "-c", filled("nginx/nginx.conf", variables), "-g", `daemon off;${user}`];
    const errorLog = join(folder, "error.log");
    return await new ProxyProgram("nginx", args, variables, { errorLog }).#listening(variables);
  }

  /** It ends TLS with an authority of its own, and puts a key in. @param roots PEM, whom it trusts */
  static async mitmproxy(roots: string): Promise<ProxyProgram & { readonly ca: string }> {
    const port = String(await freePort());
    const folder = temporaryFolder();
    const options = [`confdir=${folder}`, `ssl_verify_upstream_trusted_ca=${roots}`];
    const args = ["-q", "--listen-host", "127.0.0.1", "--listen-port", port, "-H", "/~q/x-api-key/secret"];
    const set = options.flatMap((option) => ["--set", option]);
    const variables = { NEXUS_PROXY_PORT: port };
    const program = await new ProxyProgram("mitmdump", [...args, ...set], variables).#listening(variables);
    return Object.assign(program, { ca: readFileSync(join(folder, "mitmproxy-ca-cert.pem"), "utf8") });
  }

  /** It reads its variables itself. */
  static async caddy(variables: Variables): Promise<ProxyProgram> {
    const folder = temporaryFolder();
    const environment = { ...variables, HOME: folder, XDG_DATA_HOME: folder, XDG_CONFIG_HOME: folder };
    const args = ["run", "--config", join(examples, "caddy/Caddyfile"), "--adapter", "caddyfile"];
    return await new ProxyProgram("caddy", args, variables, { environment }).#listening(variables);
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  async stop(): Promise<void> {
    this.#child.kill("SIGTERM");
    await this.#closed;
  }

  get output(): string {
    return this.#output + (this.#errorLog === undefined ? "" : readFileSync(this.#errorLog, "utf8"));
  }

  /** Envoy opens its port when it has its secrets. */
  async #listening({ NEXUS_PROXY_PORT: port }: Variables): Promise<this> {
    for (let tries = 0; tries < 200; tries++) {
      if (this.#child.exitCode !== null) throw new Error(`the proxy ended: ${this.output}`);
      const socket = connect(Number(port), "127.0.0.1");
      const isOpen = await new Promise<boolean>((resolve) => {
        socket.once("connect", () => resolve(true)).once("error", () => resolve(false));
      });
      socket.destroy();
      if (isOpen) return this;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    throw new Error(`the proxy does not listen: ${this.output}`);
  }
}

/** The file with its variables filled in. */
function filled(example: string, variables: Readonly<Record<string, string>>): string {
  const text = readFileSync(join(examples, example), "utf8").replace(/\$\{(NEXUS_\w+)\}/g, (whole, name) => {
    const value = variables[name];
    if (value === undefined) throw new Error(`${example} wants ${whole}`);
    return value;
  });
  const file = join(temporaryFolder(), example.split("/").at(-1) ?? "");
  writeFileSync(file, text);
  return file;
}
