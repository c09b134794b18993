// Generates src/gen: the contract from proto/, and what Envoy calls here from the protos in @grpc/grpc-js-xds; docs/settings.md; and what
// clients/typescript shares with the daemon.
// `node scripts/generate.mjs [folder]`: the folder that gets src/gen, docs and clients, this one by default.
import { execFileSync } from "node:child_process";
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { writeProfileComments } from "./profile-comments.mjs";

const roots = ["envoy-api", "xds", "protoc-gen-validate", "googleapis"].map((name) =>
  join("node_modules/@grpc/grpc-js-xds/deps", name),
);
const entries = ["envoy/service/secret/v3/sds.proto", "envoy/service/auth/v3/external_auth.proto"];
const secret = "envoy/extensions/transport_sockets/tls/v3/secret.proto";

/** Copies a proto and all that it imports, so that buf need not build the thousands beside them. */
function collect(path, folder, done) {
  if (done.has(path) || path.startsWith("google/protobuf/")) return;
  done.add(path);
  const root = roots.find((candidate) => existsSync(join(candidate, path)));
  if (!root) throw new Error(`${path} is in no folder of @grpc/grpc-js-xds`);
  const target = join(folder, path);
  mkdirSync(dirname(target), { recursive: true });
  copyFileSync(join(root, path), target);
  for (const [, imported] of readFileSync(target, "utf8").matchAll(/^import (?:public )?"([^"]+)";/gm)) {
    collect(imported, folder, done);
  }
}

const output = process.argv[2] ?? ".";
const folder = mkdtempSync(join(tmpdir(), "envoy-protos-"));
try {
  execFileSync("buf", ["generate", "--output", output], { stdio: "inherit" });
  const done = new Set();
  for (const path of [...entries, secret]) collect(path, folder, done);
  // google/rpc is generated with the contract already.
  const flags = ["--template", "buf.gen.envoy.yaml", "--exclude-path", join(folder, "google")];
  execFileSync("buf", ["generate", folder, ...flags, "--output", output], { stdio: "inherit" });
  writeProfileComments(output);
} finally {
  rmSync(folder, { recursive: true });
}
execFileSync("tsx", ["scripts/settings_page.ts", output], { stdio: "inherit" });
execFileSync("node", ["scripts/client_typescript.mjs", output], { stdio: "inherit" });
