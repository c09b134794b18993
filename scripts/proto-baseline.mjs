// Guards proto/ with `buf breaking` against proto/baseline.json, the contract (nexus.v1) and disk format
// (nexus.store.v1) that clients and data folders already rely on.
//
//   node scripts/proto-baseline.mjs check              fails on a breaking change, and on a baseline that lags behind
//   node scripts/proto-baseline.mjs accept             adds compatible changes to the baseline, refuses breaking ones
//   node scripts/proto-baseline.mjs accept --breaking  takes a breaking change into the baseline, deliberately
//
// Why a committed file and not git history: where a clone holds nothing but the commit under test (CI does this),
// a comparison with HEAD compares the files with themselves and cannot fail. The baseline is text, so a breaking
// change that was accepted is a deleted or changed line in the diff that a reviewer reads. Being current is part of
// the check, or a field added since the last `accept` would be guarded by nothing.

import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

process.chdir(dirname(dirname(fileURLToPath(import.meta.url))));
const baseline = "proto/baseline.json";
const acceptHint = "run `npm run proto:accept` and commit proto/baseline.json";
const forceHint = "if clients and data folders may break: `npm run proto:accept -- --breaking`";

/**
 * proto/ as a buf image without what `buf breaking` does not compare: comments and validation rules. The rules are what
 * the files of buf/ are imported for, so these go too.
 */
function currentImage() {
  const folder = mkdtempSync(join(tmpdir(), "proto-baseline-"));
  try {
    const path = join(folder, "image.json");
    if (!buf("build", "--exclude-source-info", "--output", path)) throw new Error("proto/ does not build");
    const image = JSON.parse(readFileSync(path, "utf8"), (key, value) =>
      key.startsWith("[buf.validate.") ? undefined : value,
    );
    const file = image.file.filter(({ name }) => !isRules(name));
    for (const descriptor of file)
      descriptor.dependency &&= descriptor.dependency.filter((name) => !isRules(name));
    return `${JSON.stringify({ file }, null, 1)}\n`;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function isRules(name) {
  return name.startsWith("buf/") || name.startsWith("grpc/") || name === "google/protobuf/descriptor.proto";
}

function check() {
  if (!existsSync(baseline)) throw new Error(`there is no baseline yet: ${acceptHint}`);
  const current = currentImage();
  if (!breaksNothing()) throw new Error(`breaking change against ${baseline}; ${forceHint}`);
  if (readFileSync(baseline, "utf8") !== current) {
    throw new Error(`${baseline} lags behind proto/ (nothing is broken): ${acceptHint}`);
  }
}

function accept({ breaking }) {
  const current = currentImage();
  if (existsSync(baseline) && !breaksNothing() && !breaking) throw new Error(`refused; ${forceHint}`);
  writeFileSync(baseline, current);
}

function breaksNothing() {
  return buf("breaking", "--against", baseline);
}

function buf(...args) {
  const { status, error } = spawnSync("buf", args, { stdio: ["ignore", "inherit", "inherit"] });
  if (error) throw new Error(`cannot run buf (${error.code}): use the npm scripts, they put it on the PATH`);
  return status === 0;
}

try {
  const [mode, flag] = process.argv.slice(2);
  if (mode === "check") check();
  else if (mode === "accept") accept({ breaking: flag === "--breaking" });
  else throw new Error(`usage: proto-baseline.mjs check | accept [--breaking], not ${mode}`);
} catch (error) {
  console.error(`proto-baseline: ${error.message}`);
  process.exitCode = 1;
}
