// Writes what clients/typescript has in common with the daemon: the contract without its rules, which the daemon checks, and the
// strategies, which are one folder there. `node scripts/client_typescript.mjs [folder]`: the folder that gets clients/typescript/src.
import { execFileSync } from "node:child_process";
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";

const output = join(process.argv[2] ?? ".", "clients/typescript/src");

const own = ["token", "connection", "strategy", "access"].map((name) => `nexus/v1/${name}`);
const protos = [...own, "google/rpc/error_details"];
const plugin = { local: "protoc-gen-es", out: "gen", opt: ["target=ts", "import_extension=js"] };
execFileSync(
  "buf",
  [
    ...["generate", "--output", output],
    ...["--template", JSON.stringify({ version: "v2", clean: true, plugins: [plugin] })],
    ...["--exclude-type", "buf.validate", "--exclude-type", "nexus.rpc.v1"],
    ...protos.flatMap((name) => ["--path", `proto/${name}.proto`]),
  ],
  { stdio: "inherit" },
);

const inStrategies = (name) => `strategies/${name}`;
/** Files of src/, whose imports name one another. */
const copied = [
  ...["api_request", "apply_strategy", "aws_sigv4", "credential_fields", "known_strategy", "query"].map(
    inStrategies,
  ),
  ...["strategy_error", "strategy_shapes"].map(inStrategies),
  "model/credentials/strategy",
  "model/credentials/strategy_config",
  "model/header_name",
  "runtime/clock",
  "runtime/steady_sessions",
];
const folder = join(output, "strategies");
rmSync(folder, { recursive: true, force: true });
mkdirSync(folder, { recursive: true });
for (const path of copied) {
  const source = readFileSync(`src/${path}.ts`, "utf8").replaceAll(
    /from "(\.\.?\/[^"]+)"/g,
    (_, target) => `from "./${basename(target)}"`,
  );
  const imported = [...source.matchAll(/from "\.\/([^"]+)\.js"/g)].map(([, name]) => name);
  const missing = imported.filter((name) => !copied.some((other) => basename(other) === name));
  if (missing.length > 0) throw new Error(`src/${path}.ts imports what is not copied: ${missing.join()}`);
  const head = `// Copied from src/${path}.ts by \`npm run generate\`; edit that.\n`;
  writeFileSync(join(folder, `${basename(path)}.ts`), head + source);
}
