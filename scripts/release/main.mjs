// npm run release [-- --out FOLDER] [--key FILE]: makes what is published of the commit that is checked out, and prints what it made.
// It needs git, GNU tar, gzip, dpkg-deb, Python 3 with venv, Go, and the registries of npm, PyPI, and Go. Without an installed package: a clone will do.

import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { debianVersion, pythonVersion, version } from "../versions.mjs";
import { writeBills, writeChecksums, writeStatement } from "./attestations.mjs";
import { clientParts, daemonParts, goParts, nodePart, pythonParts } from "./bills.mjs";
import { packDeb } from "./deb.mjs";
import { packChart, packGo, packNpm, packPython } from "./libraries.mjs";
import { buildSource, prepareSource } from "./source.mjs";
import { installNodes, layOut, packTarball, targets } from "./tarballs.mjs";

const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))));
const { values } = parseArgs({
  options: {
    out: { type: "string", default: join(root, "release") },
    // NAME@sha256:..., which the chart starts.
    image: { type: "string" },
    // A folder with its bills of materials, of image_bills.mjs.
    "image-bills": { type: "string" },
    // A private key of ssh, which signs the checksums.
    key: { type: "string", default: process.env.NEXUS_RELEASE_KEY },
  },
});

const startedMs = Date.now();
function say(text) {
  const seconds = String(Math.round((Date.now() - startedMs) / 1000)).padStart(4);
  process.stdout.write(`${seconds} s  ${text}\n`);
}

function makeAll(work, out) {
  const checkout = prepareSource(root, work);
  if (checkout.isChanged) say("changes that are not committed are left out");
  // Whatever packs a file takes its time from it.
  process.env.SOURCE_DATE_EPOCH = String(checkout.epoch);
  const versions = { plain: version, python: pythonVersion, debian: debianVersion };
  say(`nexusd ${version}, commit ${checkout.commit}: npm ci, and the build`);
  buildSource(checkout);
  const place = { ...checkout, work, out, versions };

  say("packages for npm and PyPI, and the Go module");
  const npm = packNpm(place);
  const python = packPython(place);
  const go = packGo(place);
  const parts = new Map([
    [npm.daemon, daemonParts(place)],
    [npm.client, clientParts(place)],
    ...[python.wheel, python.sdist].map((name) => [name, pythonParts(place)]),
    [go, goParts(place)],
  ]);

  say("tarballs with Node, and packages for Debian");
  const nodes = installNodes(place);
  for (const target of targets) {
    const folder = layOut({ ...place, nodes }, npm.daemon, target);
    const contents = [nodePart({ nodes }, target), ...daemonParts(place, target)];
    parts.set(packTarball(place, folder), contents);
    const [system, processor] = target.split("-");
    if (system === "linux") parts.set(packDeb(place, folder, processor), contents);
  }

  say("the chart");
  parts.set(packChart(place, values.image), []);

  say("bills of materials, provenance, and checksums");
  writeBills(place, parts);
  writeStatement(place, [...parts.keys()]);
  if (values["image-bills"] !== undefined) cpSync(values["image-bills"], out, { recursive: true });
  writeChecksums(place, values.key);
  if (values.key === undefined) say("not signed: --key FILE names a private key of ssh");
}

function main() {
  process.umask(0o022);
  process.env.TZ = "UTC";
  process.env.LC_ALL = "C.UTF-8";
  const out = resolve(values.out);
  if (existsSync(join(out, ".git")))
    throw new Error(`${out} is a checkout: --out names a folder that is emptied`);
  rmSync(out, { recursive: true, force: true });
  mkdirSync(out, { recursive: true });
  const work = mkdtempSync(join(tmpdir(), "nexusd-release-"));
  try {
    makeAll(work, out);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
  const rows = readdirSync(out).sort();
  const width = Math.max(...rows.map((name) => name.length));
  const lines = rows.map(
    (name) => `${name.padEnd(width)}  ${statSync(join(out, name)).size.toLocaleString("en").padStart(12)}`,
  );
  say(`made in ${out}:\n\n${"artefact".padEnd(width)}  ${"bytes".padStart(12)}\n${lines.join("\n")}`);
}

try {
  main();
} catch (error) {
  console.error(`release: ${error.message}`);
  process.exitCode = 1;
}
