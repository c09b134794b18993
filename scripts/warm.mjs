// Starts the daemon of a build once, in a folder of its own, and keeps what V8 compiled for it.
//
//   node scripts/warm.mjs dist
//
// The file is for the Node that runs this; another Node runs the same build without it, and starts slower.

import { mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { request } from "node:http";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { pathToFileURL } from "node:url";

const patienceMs = 60_000;

const bundle = join(resolve(process.argv[2] ?? "dist"), "bundle");
const { cacheFile, load } = await import(pathToFileURL(join(bundle, "load.js")).href);

// Nothing of the caller's settings: no file of theirs is read, and no address of theirs is taken.
for (const name of Object.keys(process.env)) if (/^(NEXUS|OTEL)_/.test(name)) delete process.env[name];
const folder = mkdtempSync(join(tmpdir(), "nexus-warm-"));
const socket = (name) => join(folder, name);
Object.assign(process.env, {
  NEXUS_DATA_DIR: folder,
  NEXUS_GRPC_LISTEN: `unix:${socket("grpc")}`,
  NEXUS_HTTP_LISTEN: `unix:${socket("http")}`,
  NEXUS_BROWSER_LISTEN: `unix:${socket("browser")}`,
  NEXUS_OPS_LISTEN: `unix:${socket("ops")}`,
  NEXUS_LOG_LEVEL: "error",
});
process.on("exit", () => rmSync(folder, { recursive: true, force: true }));
process.argv = [process.execPath, join(bundle, "..", "main.js"), "serve"];

const { exports, script } = load();
exports.runProcess();
await ready();
// The daemon has set a umask for secrets; this may be read by whoever may run the program.
process.umask(0o022);
writeFileSync(`${cacheFile}.${process.pid}`, script.createCachedData());
renameSync(`${cacheFile}.${process.pid}`, cacheFile);
process.exit(0);

async function ready() {
  const giveUpAt = performance.now() + patienceMs;
  while ((await statusOf("/readyz")) !== 200) {
    if (performance.now() > giveUpAt) throw new Error("the daemon was not ready in time");
    await new Promise((done) => setTimeout(done, 20));
  }
}

function statusOf(path) {
  return new Promise((done) => {
    request({ socketPath: socket("ops"), path, agent: false }, (response) => {
      response.resume();
      done(response.statusCode);
    })
      .once("error", () => done(0))
      .end();
  });
}
