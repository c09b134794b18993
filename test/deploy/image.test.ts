import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { chownSync, existsSync, mkdirSync, readdirSync, readFileSync } from "node:fs";
import { join, relative } from "node:path";
import { describe, expect, it, onTestFinished } from "vitest";
import { consented, registered, requestOf } from "../daemon/requests.js";
import { ScriptedProvider, type StandardAnswer, scriptedClient } from "../fakes/scripted_provider.js";
import { pathOf } from "../needs.js";
import { temporaryFolder } from "../temporary_folder.js";
import { type Processor, processors } from "./bases.js";
import { engineProcessor, readBill, readBuilds, readImage } from "./image.js";
import { Running } from "./pod.js";
import { adminAt } from "./pod_world.js";
import { setpriv } from "./setpriv.js";

/** An emulated processor takes ten times as long, and the machine may be busy. */
const maxMs = { x64: 60_000, arm64: 900_000 } satisfies Record<Processor, number>;

/** What starts a program of that processor in a container, from outside of its image. */
function emulated(processor: Processor): {
  readonly binds: readonly string[];
  readonly command: readonly string[];
} {
  if (processor === "x64") return { binds: [], command: [] };
  const place = "/run/qemu";
  return { binds: ["--ro-bind", pathOf("qemu-aarch64-static") ?? "", place], command: [place, "-L", "/"] };
}

/** As `docker run --read-only --cap-drop=ALL --security-opt=no-new-privileges -v data:/data` starts it, which gives the volume its owner. */
class Container {
  readonly data = join(temporaryFolder(), "data");
  readonly #image: ReturnType<typeof readImage>;

  constructor(private readonly processor: Processor) {
    this.#image = readImage(process.env["NEXUS_TEST_IMAGE"] ?? "", processor);
    const [uid = 0, gid = 0] = this.#user;
    mkdirSync(this.data, { mode: 0o700 });
    chownSync(this.data, uid, gid);
  }

  get #user(): number[] {
    return this.#image.config.user.split(":").map(Number);
  }

  run(args: readonly string[], more: Readonly<Record<string, string>> = {}): Running {
    const { root, config } = this.#image;
    const [uid = 0, gid = 0] = this.#user;
    const user = setpriv({ uid, gid, groups: String(gid) });
    const { binds, command } = emulated(this.processor);
    const env = Object.entries({ HOME: "/", ...config.env, ...more });
    return new Running([
      ...readdirSync(root).flatMap((name) => ["--ro-bind", join(root, name), `/${name}`]),
      ...["--bind", this.data, "/data", "--proc", "/proc", "--dev", "/dev", "--tmpfs", "/run"],
      ...[...user.binds, ...binds],
      ...["--remount-ro", "/run", "--remount-ro", "/", "--clearenv", "--chdir", "/app"],
      ...env.flatMap(([name, value]) => ["--setenv", name, value]),
      ...["--", ...user.command, ...command, ...args],
    ]);
  }
}

describe.each(processors)("the image for %s", (processor) => {
  const { root, config } = readImage(process.env["NEXUS_TEST_IMAGE"] ?? "", processor);
  const timeout = maxMs[processor];

  it("is healthy by its own check once it serves, takes a consent, and hands out a token, read-only and without a right", {
    timeout,
  }, async () => {
    const container = new Container(processor);
    const provider = await ScriptedProvider.start();
    onTestFinished(() => provider.close());
    const issued: string[] = [];
    const shapeAnswer = (standard: StandardAnswer) => {
      issued.push(standard.access_token);
      return standard;
    };
    provider.become({ shapeAnswer });
    const serve = container.run([...config.entrypoint, ...config.cmd], {
      NEXUS_ALLOW_LOOPBACK_PROVIDERS: "true",
    });
    onTestFinished(async () => void (await serve.kill()));
    while (!serve.output.includes("nexusd is ready")) {
      if (serve.isOver) throw new Error(serve.output);
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    const [kind, ...check] = config.healthcheck;
    expect(kind).toBe("CMD");
    const health = container.run(check);
    expect([await health.exited, health.output]).toEqual([0, expect.any(String)]);

    const clients = adminAt(join(container.data, "nexus.sock"), join(container.data, "admin.key"));
    const { authUrl, tokenUrl } = provider;
    await registered(clients, { ...scriptedClient, name: "sound", authUrl, tokenUrl, scopes: ["read"] });
    await consented(clients, requestOf("sound"));
    const token = container.run([...config.entrypoint, "token", "sound/ada"]);
    expect([await token.exited, token.output]).toEqual([0, `${issued.at(-1)}\n`]);
    await serve.signal("SIGTERM");
    expect(await serve.exited).toBe(0);
  });

  it("says which version and commit it is, its processor, and the Node of its base", {
    timeout,
  }, async () => {
    const version = new Container(processor).run([...config.entrypoint, "version", "--json"]);
    expect([await version.exited, version.output]).toEqual([0, expect.stringMatching(/"node": ?"v26\./)]);
    expect(JSON.parse(version.output)).toMatchObject({
      commit: "0".repeat(40),
      platform: `linux-${processor}`,
    });
  });

  it("says what a container of it needs", () => {
    expect(config).toMatchObject({
      architecture: engineProcessor[processor],
      user: "65532:65532",
      volumes: ["/data"],
      exposed: ["8080/tcp"],
      cmd: ["serve"],
      labels: { "org.opencontainers.image.title": "nexusd" },
      digest: expect.stringMatching(/^sha256:[0-9a-f]{64}$/),
    });
  });

  it("holds the program, what it loads, and nothing that only its build needs", () => {
    expect(readdirSync(join(root, "app")).sort()).toEqual(["dist", "node_modules", "package.json"]);
    const modules = readdirSync(join(root, "app/node_modules"));
    expect(modules).toContain("lmdb");
    for (const name of ["typescript", "esbuild", "vitest"]) expect(modules).not.toContain(name);
    // Node keeps compiled code for one user and one version, so that of a build is of no use here and differs from build to build.
    expect(existsSync(join(root, "app/dist/bundle/compile-cache"))).toBe(false);
    for (const path of ["bin/sh", "usr/bin/npm", "usr/local/bin/node"])
      expect(existsSync(join(root, path))).toBe(false);
  });

  it("has native code for its processor alone", () => {
    const machines = new Set(
      ["nodejs/bin/node", ...nativeIn(root)].map((path) => machineOf(join(root, path))),
    );
    expect([...machines]).toEqual([elfMachine[processor]]);
    expect(nativeIn(root)).toContainEqual(expect.stringContaining(`@lmdb/lmdb-linux-${processor}/`));
  });
});

it("is the same for both processors but for native code", () => {
  const [one, other] = processors.map((processor) => {
    const { root } = readImage(process.env["NEXUS_TEST_IMAGE"] ?? "", processor);
    const files = filesIn(root).filter((path) => !/linux-(x64|arm64)/.test(path));
    return files.map((path) => [path, sha256(readFileSync(join(root, path)))]);
  });
  expect(one?.length).toBeGreaterThan(50);
  expect(other).toEqual(one);
});

describe.each(processors)("the bill of materials of the image for %s", (processor) => {
  const folder = process.env["NEXUS_TEST_IMAGE"] ?? "";
  const { metadata, components } = readBill(folder, processor);
  const of = (start: string) => components.filter(({ purl }) => purl.startsWith(start));

  it("is of the image that the chart starts", () => {
    const [, digest] = readImage(folder).config.digest.split(":");
    expect(metadata.component).toMatchObject({
      type: "container",
      hashes: [{ alg: "SHA-256", content: digest }],
    });
  });

  it("lists the packages of its base, its Node, and what the daemon loads", () => {
    const debian = of("pkg:deb/debian/").map(({ name }) => name);
    expect(debian).toEqual(expect.arrayContaining(["base-files", "libatomic1", "libc6", "libstdc++6"]));
    for (const { purl } of of("pkg:deb/debian/"))
      expect(purl).toMatch(new RegExp(`^[^?]+@[^?]+\\?arch=(all|${engineProcessor[processor]})$`));
    expect(of("pkg:generic/node@")).toEqual([
      expect.objectContaining({ version: expect.stringMatching(/^26\./) }),
    ]);
    const listed = of("pkg:npm/").map(({ name, version }) => `${name}@${version}`);
    const root = join(import.meta.dirname, "../..");
    const args = ["scripts/sbom.mjs", `linux-${processor}`];
    const sbom = execFileSync(process.execPath, args, { cwd: root, encoding: "utf8" });
    const locked = (JSON.parse(sbom) as { components: { name: string; version: string }[] }).components;
    expect(listed.sort()).toEqual(
      [...new Set(locked.map(({ name, version }) => `${name}@${version}`))].sort(),
    );
  });
});

it("has the same digest in a second build, later, of another user's files in another folder", () => {
  const [first, again] = readBuilds(process.env["NEXUS_TEST_IMAGE"] ?? "");
  expect(first.manifests.map(({ architecture }) => architecture)).toEqual(Object.values(engineProcessor));
  expect(again).toEqual(first);
});

/** `e_machine` of ELF. */
const elfMachine = { x64: 62, arm64: 183 } satisfies Record<Processor, number>;
const machineOf = (path: string): number => readFileSync(path).readUInt16LE(18);
const sha256 = (bytes: Buffer): string => createHash("sha256").update(bytes).digest("hex");

/** The files of the program, below the root. */
function filesIn(root: string): string[] {
  const entries = readdirSync(join(root, "app"), { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => entry.isFile())
    .map(({ parentPath, name }) => relative(root, join(parentPath, name)))
    .sort();
}

const nativeIn = (root: string): string[] => filesIn(root).filter((path) => /\.(node|bare|so)$/.test(path));
