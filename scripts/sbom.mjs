// Prints the bill of materials of what is shipped, in CycloneDX: the packages that are installed with it, which npm lists, and those that
// its bundles hold. `node scripts/sbom.mjs linux-arm64` lists those of this system and processor, and `any` those of all.

import { execFileSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const read = (path) => JSON.parse(readFileSync(join(root, path), "utf8"));

const target = process.argv[2];
const args = [
  ...["sbom", "--omit", "dev", "--sbom-format", "cyclonedx", "--loglevel", "error"],
  ...(target === undefined ? [] : ["--package-lock-only"]),
];
const sbom = JSON.parse(execFileSync("npm", args, { cwd: root, encoding: "utf8", maxBuffer: 2 ** 26 }));
const locked = read("package-lock.json").packages;
sbom.components = sbom.components.filter((component) => target === undefined || isFor(target, component));
const installed = new Set(sbom.components.map((component) => component["bom-ref"]));

/** Adds what npm did not list. */
function add({ place, name, version, license }, isBundled) {
  const reference = `${name}@${version}`;
  if (installed.has(reference)) return;
  installed.add(reference);
  const { integrity, resolved } = locked[place] ?? {};
  sbom.components.push({
    "bom-ref": reference,
    type: "library",
    name,
    version,
    scope: "required",
    purl: `pkg:npm/${name.replace("@", "%40")}@${version}`,
    ...(isBundled && { properties: [{ name: "cdx:npm:package:bundled", value: "true" }] }),
    ...(resolved && { externalReferences: [{ type: "distribution", url: resolved }] }),
    ...(integrity && {
      hashes: [
        { alg: "SHA-512", content: Buffer.from(integrity.replace("sha512-", ""), "base64").toString("hex") },
      ],
    }),
    ...(license && {
      licenses: [license.startsWith("(") ? { expression: license } : { license: { id: license } }],
    }),
  });
  sbom.dependencies.push({ ref: reference, dependsOn: [] });
  sbom.dependencies.find(({ ref }) => ref === sbom.metadata.component["bom-ref"])?.dependsOn.push(reference);
}

// npm omits a package that a development dependency needs too, although it installs it with `--omit dev`.
for (const [place, entry] of Object.entries(locked)) {
  const [, name] = /^node_modules\/(?:.*\/node_modules\/)?(.+)$/.exec(place) ?? [];
  const isThere = target === undefined ? existsSync(join(root, place)) : isForEntry(target, entry);
  if (name && !entry.dev && !entry.link && isThere) add({ place, name, ...entry }, false);
}
for (const bundled of read("dist/bundle/packages.json")) add(bundled, true);

/** Whether npm installs a package on a system and processor. */
function isFor(target, { name, version }) {
  return Object.entries(locked).some(
    ([place, entry]) =>
      place.endsWith(`node_modules/${name}`) && entry.version === version && isForEntry(target, entry),
  );
}

/** Of the packages with a libc, glibc's are meant. */
function isForEntry(target, { os, cpu, libc }) {
  if (target === "any") return true;
  const [system, processor] = target.split("-");
  return (
    (os ?? [system]).includes(system) &&
    (cpu ?? [processor]).includes(processor) &&
    (libc ?? ["glibc"]).includes("glibc")
  );
}
process.stdout.write(`${JSON.stringify(sbom, undefined, 2)}\n`);
