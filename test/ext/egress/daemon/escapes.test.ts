import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import {
  chmodSync,
  chownSync,
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readdirSync,
  realpathSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { beforeEach, describe, expect, it } from "vitest";
import { refusedCalls } from "../../../../src/ext/egress/isolation/system_calls.js";
import { AuthType } from "../../../../src/gen/nexus/v1/provider_pb.js";
import { perSuite } from "../../../lifetimes.js";
import { needs } from "../../../needs.js";
import { temporaryFolder } from "../../../temporary_folder.js";
import { type EscapeTargets, escapes } from "./escapes.js";
import { RunWorld, root } from "./run_world.js";

/** A folder is open as this where `nexusd run` is started. Node closes by itself what is below 16. */
const descriptor = 20;
const nobody = 65_534;
const sharedMemory = 0x6e78_7364;
const users = [
  ["root", 0],
  ["an ordinary user", nobody],
] as const;

describe("a program of nexusd run --isolate", () => {
  const world = perSuite(async () => {
    const started = await RunWorld.start();
    // At port 443, which the network in there must be made for.
    const provider = { name: "other", authType: AuthType.API_KEY, apiBaseUrl: "https://api.example.com" };
    await started.daemon.clients.providers.createProvider({ provider });
    return started;
  });

  beforeEach((context) => {
    for (const need of ["bubblewrap", "python3", "root"] as const) needs(context, need);
  });

  /** Everything that the program could reach, owned by the user who starts it. */
  async function machineOf(uid: number) {
    const made = temporaryFolder();
    chmodSync(made, 0o755);
    const own = (path: string, content?: string): string => {
      if (content === undefined) mkdirSync(path);
      else writeFileSync(path, content, { mode: 0o600 });
      chownSync(path, uid, uid);
      return path;
    };
    const folder = (...names: readonly string[]): string => own(join(made, ...names));
    const [work, shared, home] = [folder("work"), folder("shared"), folder("home")];
    folder("shared", "local");
    const data = folder("shared", "local", "nexusd");
    own(join(data, "admin.key"), "key of the admin");
    const { httpUrl, apiKey, socket } = world.daemon.place;
    const abstract = `nexusd-escapes-${process.pid}-${uid}`;
    const server = createServer().listen({ path: `\0${abstract}` });
    await once(server, "listening");
    const targets: EscapeTargets = {
      ...{ work, data, socket, abstract, descriptor, sharedMemory },
      keyFile: own(join(work, "api.key"), apiKey),
      canary: own(join(folder("other"), "canary"), "canary"),
      homeCanary: own(join(home, "canary"), "canary"),
      port: Number(new URL(httpUrl).port),
      pid: process.pid,
      dist: join(root, "dist"),
      node: realpathSync(process.execPath),
    };
    const env = {
      PATH: process.env["PATH"],
      HOME: home,
      NEXUS_DATA_DIR: data,
      NEXUS_ADDRESS: httpUrl,
      NEXUS_API_KEY_FILE: targets.keyFile,
      OTHERS: "secret-of-others",
    };
    return { targets, work, shared, env, uid, close: () => server.close() };
  }

  /** `nexusd run FLAGS` in front of the trials. @returns what each printed */
  async function tried(
    { targets, work, env, uid }: Awaited<ReturnType<typeof machineOf>>,
    flags: readonly string[],
    rows = escapes,
  ): Promise<Record<string, string>> {
    const names = Object.fromEntries(
      refusedCalls.map((row) => [row.name, row[process.arch as "x64" | "arm64"]]),
    );
    const calls = { ...names, renameat2: process.arch === "x64" ? 316 : 276 };
    const codes = Object.fromEntries(rows.map(({ name, code }) => [name, code]));
    const trial = join(work, "trial.json");
    writeFileSync(trial, JSON.stringify({ given: { ...targets, calls }, escapes: codes }));
    chmodSync(trial, 0o644);
    const runner = join(import.meta.dirname, "escapes.py");
    const argv = [
      join(root, "dist/main.js"),
      "run",
      "--user",
      "ada",
      ...flags,
      "--",
      "python3",
      runner,
      trial,
    ];
    const opened = openSync("/", "r");
    const stdio = ["ignore", "pipe", "pipe", ...Array(descriptor - 3).fill("ignore"), opened];
    const child = spawn(process.execPath, argv, { env, cwd: work, stdio, uid, gid: uid, timeout: 300_000 });
    closeSync(opened);
    if (!child.stdout || !child.stderr) throw new Error("both are pipes");
    const [stdout, stderr] = await Promise.all([
      text(child.stdout),
      text(child.stderr),
      once(child, "close"),
    ]);
    // What is said of the trial of another host.
    expect(stderr).toMatch(/^(nexusd: 192\.0\.2\.1 is refused: no provider has it.*\n)?$/);
    return JSON.parse(stdout) as Record<string, string>;
  }

  it.each(users)("has none of the ways out, started by %s", async (_, uid) => {
    const machine = await machineOf(uid);
    const memory = sharedMemoryOf(sharedMemory);
    try {
      const runner = ["--share", import.meta.dirname, "--share", machine.shared];
      const printed = await tried(machine, ["--isolate", ...runner]);
      const open = escapes.filter(({ name, observed }) => !observed.test(printed[name] ?? ""));
      expect(open.map(({ name }) => [name, printed[name]])).toEqual([]);
      // Nothing is left behind, whatever was printed.
      expect(["/etc/nexusd-escaped", "/usr/bin/nexusd-escaped"].filter((path) => existsSync(path))).toEqual(
        [],
      );
      const left = [machine.work, machine.shared].flatMap((folder) =>
        readdirSync(folder, { recursive: true }).map((name) => join(folder, String(name))),
      );
      expect(left).toContain(join(machine.targets.data, "admin.key"));
      expect(left.filter((path) => (statSync(path, { throwIfNoEntry: false })?.mode ?? 0) & 0o6000)).toEqual(
        [],
      );
    } finally {
      memory.remove();
      machine.close();
    }
  });

  it.each(users)("reaches an API at port 443 though it knows no proxy, started by %s", async (_, uid) => {
    const machine = await machineOf(uid);
    const code =
      'import ssl; trusts = ssl.create_default_context(cafile=os.environ["SSL_CERT_FILE"]); attempt(lambda: trusts.wrap_socket(socket.create_connection(("api.example.com", 443)), server_hostname="api.example.com").version())';
    try {
      const rows = [{ name: "TLS", code, observed: /^TLSv1\.3$/ }];
      const printed = await tried(machine, ["--isolate", "--share", import.meta.dirname], rows);
      expect(printed["TLS"]).toMatch(/TLSv1\.3/);
    } finally {
      machine.close();
    }
  });

  it("has them where it is not isolated: the trials can fail", async () => {
    const machine = await machineOf(0);
    const memory = sharedMemoryOf(sharedMemory);
    try {
      const rows = escapes.filter(({ leads }) => leads);
      const printed = await tried(machine, [], rows);
      expect(
        rows.filter(({ name, observed }) => observed.test(printed[name] ?? "")).map(({ name }) => name),
      ).toEqual([]);
    } finally {
      memory.remove();
      machine.close();
    }
  });
});

/** A segment of System V's shared memory, which only Python makes here. */
function sharedMemoryOf(number: number) {
  const python = (code: string) =>
    spawnSync("python3", ["-c", `import ctypes; library = ctypes.CDLL(None); ${code}`]);
  python(`library.shmget(${number}, 4096, 0o1666)`);
  return { remove: () => python(`library.shmctl(library.shmget(${number}, 0, 0), 0, None)`) };
}
