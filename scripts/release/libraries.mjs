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
 * @param image that the chart starts, as NAME@sha256:...; undefined: who installs the chart names one
 * @returns the name of the chart
 */
export function packChart({ source, out, work, versions, epoch }, image) {
  const folder = join(work, "chart/nexusd");
  mkdirSync(join(work, "chart"));
  cpSync(join(source, "deploy/helm/nexusd"), folder, { recursive: true });
  cpSync(join(source, "LICENSE"), join(folder, "LICENSE"));
  if (image !== undefined) setImage(join(folder, "values.yaml"), image);
  const name = `nexusd-chart-${versions.plain}.tgz`;
  packFolder(folder, join(out, name), epoch);
  return name;
}

function setImage(path, image) {
  const [, repository, digest] = /^([^@]+)@(sha256:[0-9a-f]{64})$/.exec(image) ?? [];
  if (digest === undefined) throw new Error(`${image} is not NAME@sha256:DIGEST`);
  const values = readFileSync(path, "utf8")
    .replace(/^ {2}repository: ""$/m, `  repository: "${repository}"`)
    .replace(/^ {2}digest: ""$/m, `  digest: "${digest}"`);
  if (!values.includes(`"${repository}"`) || !values.includes(`"${digest}"`))
    throw new Error(`${path} has no image.repository and image.digest to fill in`);
  writeFileSync(path, values);
}
