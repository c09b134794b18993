import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { createHash, randomBytes } from "node:crypto";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { AuthType } from "../../../../src/gen/nexus/v1/provider_pb.js";
import { TestDaemon } from "../../../daemon/harness.js";
import { Authority } from "../../../fakes/certificates.js";

const root = join(import.meta.dirname, "../../../..");
const seed = join(import.meta.dirname, "programs/s3/seed.py");
const program = join(root, "dist/main.js");
/** What moto lets anybody do: the four calls of `seed.py`. */
const unsignedCalls = 4;
const mebibyte = 1024 * 1024;
const timeout = 300_000;
/** Moto is on loopback, which programs would reach without the proxy. */
const bare = ["env", "-u", "NO_PROXY", "-u", "no_proxy"];

/** A daemon with keys for moto, an S3 that others wrote: it checks each signature, and stores what it gets. */
export class S3World {
  /** What clients upload; the large one is longer than a part of any of them. */
  readonly files: Readonly<Record<"small" | "large", string>>;
  readonly digests: Readonly<Record<"small" | "large", string>>;

  private constructor(
    private readonly daemon: TestDaemon,
    private readonly work: string,
    private readonly port: number,
    private readonly python: string,
    private readonly keys: Readonly<Record<string, string>>,
    private readonly moto: ChildProcess,
  ) {
    const contents = { small: Buffer.from("hi"), large: randomBytes(20 * mebibyte + 7) };
    const paths = { small: join(work, "small"), large: join(work, "large") };
    for (const name of ["small", "large"] as const) writeFileSync(paths[name], contents[name]);
    this.files = paths;
    const digestOf = (bytes: Buffer) => createHash("sha256").update(bytes).digest("hex");
    this.digests = { small: digestOf(contents.small), large: digestOf(contents.large) };
  }

  /** @param python with moto and boto3 */
  static async start(python: string): Promise<S3World> {
    const work = mkdtempSync(join(tmpdir(), "nexusd-s3-world-"));
    const issuer = new Authority();
    const { cert, key } = issuer.issueServer({ dns: ["s3.localhost"] });
    for (const [name, pem] of Object.entries({ cert, key, roots: issuer.pem }))
      writeFileSync(join(work, `${name}.pem`), pem);
    const port = await freePort();
    const argv = [
      "-m",
      "moto.server",
      "-H",
      "127.0.0.1",
      "-p",
      String(port),
      "-c",
      "cert.pem",
      "-k",
      "key.pem",
    ];
    const settings = {
      INITIAL_NO_AUTH_ACTION_COUNT: String(unsignedCalls),
      S3_IGNORE_SUBDOMAIN_BUCKETNAME: "true",
    };
    const moto = spawn(python, argv, { cwd: work, env: { ...process.env, ...settings }, stdio: "ignore" });
    const keys = JSON.parse(await seeded(python, port));
    const daemon = await TestDaemon.start();
    const { provider } = await daemon.clients.providers.createProvider({
      provider: {
        name: "s3",
        authType: AuthType.AWS_SIGV4,
        apiBaseUrl: `https://s3.localhost:${port}`,
        strategy: { kind: { case: "awsSigv4", value: { service: "s3", region: "us-east-1" } } },
      },
    });
    const connection = { providerId: provider?.id ?? "", userId: "ada", credentials: keys };
    await daemon.clients.connections.importConnection(connection);
    return new S3World(daemon, work, port, python, keys, moto);
  }

  async close(): Promise<void> {
    this.moto.kill();
    await this.daemon.close();
    rmSync(this.work, { recursive: true });
  }

  /** `nexusd run -- COMMAND URL NAME SMALL LARGE`, with keys that are none. @returns what it prints */
  async run(command: readonly string[], name: string): Promise<string> {
    const { dataDir } = this.daemon.place.config;
    const given = [`https://s3.localhost:${this.port}`, name, this.files.small, this.files.large];
    const argv = [program, "run", "--user", "ada", "--", ...bare, ...command, ...given];
    const env = {
      ...{ PATH: process.env["PATH"], HOME: this.work, NEXUS_DATA_DIR: dataDir },
      NODE_EXTRA_CA_CERTS: join(this.work, "roots.pem"),
      ...{ AWS_ACCESS_KEY_ID: "AKIDOFNOBODY", AWS_SECRET_ACCESS_KEY: "of-nobody", AWS_REGION: "us-east-1" },
      ...{ AWS_DEFAULT_REGION: "us-east-1", AWS_EC2_METADATA_DISABLED: "true" },
    };
    const child = spawn(process.execPath, argv, { env, cwd: this.work, timeout });
    const [stdout, stderr, [code]] = await Promise.all([
      text(child.stdout),
      text(child.stderr),
      once(child, "close"),
    ]);
    if (code !== 0)
      throw new Error(`${name} ended with ${code}: ${stdout.slice(-300)} ${stderr.slice(-1_000)}`);
    return stdout;
  }

  /** SHA-256 of what a client stored, by the names of its objects. */
  stored(name: string): Readonly<Record<string, string>> {
    const { access_key = "", secret_key = "" } = this.keys;
    return JSON.parse(seedAt(this.python, this.port, access_key, secret_key, name));
  }
}

/** As soon as moto listens. */
async function seeded(python: string, port: number): Promise<string> {
  for (let left = 100; ; left--) {
    try {
      return seedAt(python, port, "a", "b");
    } catch (error) {
      if (left === 0 || !String(error).includes("Could not connect")) throw error;
      await new Promise((resolve) => setTimeout(resolve, 200));
    }
  }
}

function seedAt(python: string, port: number, ...given: readonly string[]): string {
  const url = `https://127.0.0.1:${port}`;
  return execFileSync(python, [seed, url, ...given], { encoding: "utf8", stdio: "pipe" });
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  return typeof address === "object" && address ? address.port : 0;
}
