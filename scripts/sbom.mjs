// Prints the bill of materials of what is shipped, in CycloneDX: the packages that are installed with it, which npm lists, and those that
// its bundles hold. `node scripts/sbom.mjs linux-arm64` lists those of this system and processor, and `any` those of all.

import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
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

for (const { place, name, version, license } of read("dist/bundle/packages.json")) {
  const reference = `${name}@${version}`;
  if (installed.has(reference)) continue;
  installed.add(reference);
  const { integrity, resolved } = locked[place] ?? {};
  sbom.components.push({
    "bom-ref": reference,
    type: "library",
    name,
    version,
    scope: "required",
    purl: `pkg:npm/${name.replace("@", "%40")}@${version}`,
    properties: [{ name: "cdx:npm:package:bundled", value: "true" }],
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
/** Whether npm installs a package on a system and processor. Of the packages with a libc, glibc's are meant. */
function isFor(target, { name, version }) {
  const [os, cpu] = target === "any" ? [] : target.split("-");
  const entries = Object.entries(locked).filter(
    ([place, entry]) => place.endsWith(`node_modules/${name}`) && entry.version === version,
  );
  return entries.some(
    ([, entry]) =>
      os === undefined ||
      ((entry.os ?? [os]).includes(os) &&
        (entry.cpu ?? [cpu]).includes(cpu) &&
        (entry.libc ?? ["glibc"]).includes("glibc")),
  );
}
process.stdout.write(`${JSON.stringify(sbom, undefined, 2)}\n`);
