import { copyFileSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { firstBlock, playSnippet } from "../clients/cases/snippet.js";
import { ClientWorld } from "../clients/world.js";
import { temporaryFolder } from "../temporary_folder.js";
import { artefact, succeed, version } from "./made.js";

/** Each client, installed into an empty folder by the client of its registry, runs the first program of its README. */
const clients = join(import.meta.dirname, "../../clients");

async function play(folder: string, command: readonly string[]): Promise<void> {
  const world = await ClientWorld.make();
  onTestFinished(() => world.close());
  await world.startDaemon();
  await playSnippet(world, folder, command);
}

test("nexusd-client of npm", async () => {
  const folder = temporaryFolder();
  writeFileSync(join(folder, "package.json"), `{ "type": "module" }`);
  succeed(
    "npm",
    ["install", "--no-audit", "--no-fund", artefact("nexusd-client-VERSION.tgz")],
    process.env,
    folder,
  );
  writeFileSync(join(folder, "first.mjs"), firstBlock(join(clients, "typescript/README.md"), "ts"));
  // The client does not keep the process alive, and nothing else is to be done.
  await play(folder, [process.execPath, "first.mjs"]);
});

const python = version.replace("-rc.", "rc");
test.each([`nexusd_client-${python}-py3-none-any.whl`, `nexusd_client-${python}.tar.gz`])(
  "%s",
  async (name) => {
    const folder = temporaryFolder();
    succeed("python3", ["-m", "venv", folder]);
    const install = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check"];
    succeed(join(folder, "bin/python"), [...install, artefact(name)]);
    writeFileSync(join(folder, "first.py"), firstBlock(join(clients, "python/README.md"), "python"));
    await play(folder, [join(folder, "bin/python"), "first.py"]);
  },
);

test("the Go module", async () => {
  const folder = temporaryFolder();
  const module = "github.com/nexusd/nexusd/clients/go";
  const proxy = join(folder, "proxy", module, "@v");
  mkdirSync(proxy, { recursive: true });
  copyFileSync(artefact("nexusd-client-go-VERSION.zip"), join(proxy, `v${version}.zip`));
  copyFileSync(join(clients, "go/go.mod"), join(proxy, `v${version}.mod`));
  writeFileSync(join(proxy, `v${version}.info`), JSON.stringify({ Version: `v${version}` }));
  writeFileSync(join(proxy, "list"), `v${version}\n`);
  const work = join(folder, "work");
  mkdirSync(work);
  writeFileSync(join(work, "main.go"), firstBlock(join(clients, "go/README.md"), "go"));
  const env = {
    ...process.env,
    GOPROXY: `file://${join(folder, "proxy")},${succeed("go", ["env", "GOPROXY"]).trim()}`,
    GONOSUMDB: "github.com/nexusd/*",
    GOFLAGS: "-mod=mod",
  };
  succeed("go", ["mod", "init", "nexus.example/first"], env, work);
  succeed("go", ["get", `${module}@v${version}`], env, work);
  succeed("go", ["build", "-o", "first", "."], env, work);
  expect(succeed("go", ["list", "-m", module], env, work)).toBe(`${module} v${version}\n`);
  await play(work, [join(work, "first")]);
  // Go makes the modules that it kept read-only; they are in its cache, beside those of everything else.
});
