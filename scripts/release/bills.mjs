import { readFileSync } from "node:fs";
import { join } from "node:path";
import { readJson, run } from "./run.mjs";

/** A component of CycloneDX that a package manager calls by this purl. */
export const component = (purl, name, version, more = {}) => ({
  "bom-ref": purl,
  type: "library",
  name,
  ...(version && { version }),
  purl,
  ...more,
});

/** What the daemon has on a system and processor, or on all: the packages of npm that are installed with it, and those in its bundle. */
export function daemonParts({ source }, target) {
  const args = ["scripts/sbom.mjs", ...(target ? [target] : ["any"])];
  return JSON.parse(run("node", args, { cwd: source })).components;
}

export function nodePart({ nodes }, target) {
  const { name, version, license } = readJson(join(nodes, `node-${target}/package.json`));
  return component(`pkg:npm/${name}@${version}`, name, version, {
    licenses: [{ license: { id: license ?? "MIT" } }],
  });
}

export function clientParts({ source }) {
  const { dependencies } = readJson(join(source, "clients/typescript/package.json"));
  const range = (value) => ({ properties: [{ name: "nexusd:range", value }] });
  return Object.entries(dependencies).map(([name, value]) =>
    component(`pkg:npm/${name.replace("@", "%40")}`, name, undefined, range(value)),
  );
}

export function pythonParts({ source }) {
  const manifest = readFileSync(join(source, "clients/python/pyproject.toml"), "utf8");
  const [, list = ""] = /^dependencies = \[(.*)\]$/m.exec(manifest) ?? [];
  return [...list.matchAll(/"([\w.-]+)([^"]*)"/g)].map(([, name, value]) =>
    component(`pkg:pypi/${name}`, name, undefined, { properties: [{ name: "nexusd:range", value }] }),
  );
}

export function goParts({ source }) {
  const manifest = readFileSync(join(source, "clients/go/go.mod"), "utf8");
  return [...manifest.matchAll(/^\t(\S+) (v\S+)/gm)].map(([, name, version]) =>
    component(`pkg:golang/${name}@${version}`, name, version),
  );
}
