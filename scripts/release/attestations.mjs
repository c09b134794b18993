// What shows that an artefact is the one of the commit: its bill of materials, an in-toto statement, checksums, and a signature.

import { createHash } from "node:crypto";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { run } from "./run.mjs";

const sha256 = (path) => createHash("sha256").update(readFileSync(path)).digest("hex");
const write = (path, value) => writeFileSync(path, `${JSON.stringify(value, undefined, 2)}\n`);

/**
 * A bill of materials in CycloneDX 1.5.
 * @param path of the file
 * @param root the component that it is of, with its digest of SHA-256: the same bytes have the same bill
 * @param epoch in seconds since 1970
 */
export function writeBill(path, { digest, ...root }, parts, epoch) {
  const hex = digest.slice(0, 32);
  write(path, {
    $schema: "http://cyclonedx.org/schema/bom-1.5.schema.json",
    bomFormat: "CycloneDX",
    specVersion: "1.5",
    serialNumber: `urn:uuid:${hex.replace(/^(.{8})(.{4}).(.{3}).(.{3})(.{12})$/, "$1-$2-8$3-8$4-$5")}`,
    version: 1,
    metadata: {
      timestamp: new Date(epoch * 1000).toISOString(),
      component: {
        ...root,
        hashes: [{ alg: "SHA-256", content: digest }],
        licenses: [{ license: { id: "Apache-2.0" } }],
      },
    },
    components: parts,
    dependencies: [{ ref: root["bom-ref"], dependsOn: parts.map((part) => part["bom-ref"]) }],
  });
}

/**
 * Writes NAME.cdx.json beside each artefact.
 * @param components of an artefact, by its name
 */
export function writeBills({ out, epoch, versions }, components) {
  for (const [name, parts] of components) {
    const version = versions.plain;
    const root = { "bom-ref": `nexusd/${name}`, type: "application", name, version };
    writeBill(join(out, `${name}.cdx.json`), { ...root, digest: sha256(join(out, name)) }, parts, epoch);
  }
}

/** Writes the provenance of all artefacts: an in-toto statement (v1) with SLSA's predicate (provenance v1). */
export function writeStatement({ out, commit, epoch, versions, source }, names) {
  const repository = "git+https://github.com/nexusd/nexusd";
  const digestOf = (path) => ({ sha256: sha256(path) });
  write(join(out, `nexusd-${versions.plain}.intoto.json`), {
    _type: "https://in-toto.io/Statement/v1",
    subject: names.map((name) => ({ name, digest: digestOf(join(out, name)) })),
    predicateType: "https://slsa.dev/provenance/v1",
    predicate: {
      buildDefinition: {
        buildType: `${repository}/scripts/release@v1`,
        externalParameters: { repository, commit, SOURCE_DATE_EPOCH: epoch },
        resolvedDependencies: [
          { uri: `${repository}@${commit}`, digest: { gitCommit: commit } },
          ...[
            "package-lock.json",
            "scripts/release/node/package-lock.json",
            "scripts/release/python/requirements.txt",
          ].map((path) => ({ name: path, digest: digestOf(join(source, path)) })),
        ],
      },
      runDetails: { builder: { id: `${repository}/scripts/release` } },
    },
  });
}

/** Writes SHA256SUMS of all files that are there, and with a private key of ssh its signature, SHA256SUMS.sig. */
export function writeChecksums({ out }, key) {
  const names = readdirSync(out).sort();
  const sums = join(out, "SHA256SUMS");
  writeFileSync(sums, names.map((name) => `${sha256(join(out, name))}  ${name}\n`).join(""));
  if (key !== undefined) run("ssh-keygen", ["-q", "-Y", "sign", "-n", "nexusd-release", "-f", key, sums]);
}
