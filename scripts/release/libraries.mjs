// The packages for npm and PyPI, the Go module, and the chart.

import { cpSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { packFolder } from "./archives.mjs";
import { run } from "./run.mjs";

/** @returns the names of the packages of the daemon and of its TypeScript client */
export function packNpm({ source, out }) {
  const pack = (folder) => {
    const args = ["pack", "--ignore-scripts", "--json", "--pack-destination", out];
    return JSON.parse(run("npm", args, { cwd: folder }))[0].filename;
  };
  const client = join(source, "clients/typescript");
  run("node", ["build.mjs"], { cwd: client });
  return { daemon: pack(source), client: pack(client) };
}

/** @returns the names of the wheel and the sdist */
export function packPython({ source, out, work, versions }) {
  const venv = join(work, "python");
  run("python3", ["-m", "venv", venv]);
  const requirements = join(source, "scripts/release/python/requirements.txt");
  const install = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--require-hashes"];
  run(join(venv, "bin/python"), [...install, "--requirement", requirements]);
  const client = join(source, "clients/python");
  run(join(venv, "bin/python"), ["-m", "hatchling", "build", "--directory", out], { cwd: client });
  const name = `nexusd_client-${versions.python}`;
  return { wheel: `${name}-py3-none-any.whl`, sdist: `${name}.tar.gz` };
}

/** @returns the name of the zip of the module */
export function packGo({ source, out, versions }) {
  const name = `nexusd-client-go-${versions.plain}.zip`;
  const args = ["run", ".", source, versions.plain, join(out, name)];
  run("go", args, { cwd: join(source, "scripts/release/go_module") });
  return name;
}

/**
 * @param digest of the image that the chart starts, or undefined: then its tag decides
 * @returns the name of the chart
 */
export function packChart({ source, out, work, versions, epoch }, digest) {
  const folder = join(work, "chart/nexusd");
  mkdirSync(join(work, "chart"));
  cpSync(join(source, "deploy/helm/nexusd"), folder, { recursive: true });
  cpSync(join(source, "LICENSE"), join(folder, "LICENSE"));
  if (digest !== undefined) {
    const path = join(folder, "values.yaml");
    const values = readFileSync(path, "utf8").replace(/^ {2}digest: ""$/m, `  digest: "${digest}"`);
    if (!values.includes(digest)) throw new Error("values.yaml has no image.digest to fill in");
    writeFileSync(path, values);
  }
  const name = `nexusd-chart-${versions.plain}.tgz`;
  packFolder(folder, join(out, name), epoch);
  return name;
}
