// The version stands in package.json. Writes it where a format wants it literally, too: `npm run generate`. With --check, names what differs.

import { readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = dirname(dirname(fileURLToPath(import.meta.url)));

/** Of package.json, in the form of Semantic Versioning. */
export const { version } = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));

/** As Python writes it (PEP 440): 1.0.0rc1 for 1.0.0-rc.1. */
export const pythonVersion = version.replace(/-(a|b|rc)[a-z]*\.(\d+)$/, "$1$2");

/** As Debian writes it: what stands behind ~ comes before the version without it. */
export const debianVersion = version.replace("-", "~");

/** A file, the text around its version, and the version's form. The first match of each expression counts. */
const copies = [
  ["package-lock.json", /(\n {2}"version": ")[^"]+/, version],
  ["package-lock.json", /(\n {4}"": \{\n {6}"name": "nexusd",\n {6}"version": ")[^"]+/, version],
  ["clients/typescript/package.json", /(\n {2}"version": ")[^"]+/, version],
  [
    "examples/typescript/package-lock.json",
    /("node_modules\/nexusd-client": \{\n {6}"version": ")[^"]+/,
    version,
  ],
  ["clients/python/src/nexusd/__init__.py", /(\n__version__ = ")[^"]+/, pythonVersion],
  ["clients/go/testdriver/go.mod", /(github\.com\/nexusd\/nexusd\/clients\/go v)\S+/, version],
  ["examples/go/go.mod", /(\nrequire github\.com\/nexusd\/nexusd\/clients\/go v)\S+/, version],
  ["clients/go/README.md", /(-require github\.com\/nexusd\/nexusd\/clients\/go@v)\S+/, version],
  ["deploy/helm/nexusd/Chart.yaml", /(\nversion: )\S+/, version],
  ["deploy/helm/nexusd/Chart.yaml", /(\nappVersion: )\S+/, version],
];

function main(isCheck) {
  for (const [file, place, form] of copies) {
    const text = readFileSync(join(root, file), "utf8");
    if (!place.test(text)) throw new Error(`${file} has no version where ${place} looks for it`);
    const current = text.replace(place, (_, before) => `${before}${form}`);
    if (current === text) continue;
    if (!isCheck) writeFileSync(join(root, file), current);
    else throw new Error(`${file} has another version than package.json: run \`npm run generate\``);
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  try {
    main(process.argv[2] === "--check");
  } catch (error) {
    console.error(`versions: ${error.message}`);
    process.exitCode = 1;
  }
}
