import { chownSync, existsSync, mkdirSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { expect, it, onTestFinished } from "vitest";
import { scriptedClient } from "../fakes/scripted_provider.js";
import { startScriptedServer } from "../oauth/scripted_server.js";
import { temporaryFolder } from "../temporary_folder.js";
import { readImage } from "./image.js";
import { Running } from "./pod.js";
import { adminAt, tokenSet } from "./pod_world.js";
import { setpriv } from "./setpriv.js";

const { root, config } = readImage(process.env["NEXUS_TEST_IMAGE"] ?? "");
const [uid = 0, gid = 0] = config.user.split(":").map(Number);

/** As `docker run --read-only --cap-drop=ALL --security-opt=no-new-privileges -v data:/data` starts it, which gives the volume its owner. */
class Container {
  readonly data = join(temporaryFolder(), "data");

  constructor() {
    mkdirSync(this.data, { mode: 0o700 });
    chownSync(this.data, uid, gid);
  }

  run(args: readonly string[], more: Readonly<Record<string, string>> = {}): Running {
    const user = setpriv({ uid, gid, groups: String(gid) });
    const env = Object.entries({ HOME: "/", ...config.env, ...more });
    return new Running([
      ...readdirSync(root).flatMap((name) => ["--ro-bind", join(root, name), `/${name}`]),
      ...["--bind", this.data, "/data", "--proc", "/proc", "--dev", "/dev", "--tmpfs", "/run", ...user.binds],
      ...["--remount-ro", "/run", "--remount-ro", "/", "--clearenv", "--chdir", "/app"],
      ...env.flatMap(([name, value]) => ["--setenv", name, value]),
      ...["--", ...user.command, ...args],
    ]);
  }
}

it("is healthy by its own check once it serves, and hands out a token, read-only and without a right", async () => {
  const container = new Container();
  const provider = await startScriptedServer();
  onTestFinished(() => provider.close());
  provider.script = tokenSet("sound", 1);
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

  const { providers, connections } = adminAt(
    join(container.data, "nexus.sock"),
    join(container.data, "admin.key"),
  );
  const { provider: created } = await providers.createProvider({
    provider: {
      ...scriptedClient,
      name: "sound",
      ...{ authUrl: `${provider.origin}/authorize`, tokenUrl: `${provider.origin}/token` },
    },
  });
  await connections.importConnection({
    userId: "ada",
    providerId: created?.id ?? "",
    refreshToken: "sound-refresh-0",
  });
  const token = container.run([...config.entrypoint, "token", "sound/ada"]);
  expect([await token.exited, token.output]).toEqual([0, "sound-access-1\n"]);
  await serve.signal("SIGTERM");
  expect(await serve.exited).toBe(0);
});

it("says which version and commit it is, and the Node of its base", async () => {
  const version = new Container().run([...config.entrypoint, "version", "--json"]);
  expect([await version.exited, version.output]).toEqual([0, expect.stringMatching(/"node": ?"v26\./)]);
  expect(JSON.parse(version.output)).toMatchObject({ commit: "0".repeat(40) });
});

it("says what a container of it needs", () => {
  expect(config).toMatchObject({
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
