// Bundles what is shipped: the program in dist/bundle, whose chunks are read when they are first needed, and the library `nexusd/strategies`.

import { spawnSync } from "node:child_process";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

/** Have native code, which no bundle holds: the dependencies of the published package, and no others. */
export const installedPackages = ["fs-native-extensions", "koffi", "lmdb"];

const common = {
  bundle: true,
  platform: "node",
  target: "node20.19",
  format: "esm",
  // Of two builds of a package, the one of modules: what nobody uses is left out.
  mainFields: ["module", "main"],
  legalComments: "none",
  logLevel: "warning",
  metafile: true,
};

/**
 * Writes `bundle/` and `strategies/apply_strategy.js` into a folder that holds the compiled modules. Names are kept, so that a stack trace names
 * its functions; `node --enable-source-maps` shows the files and lines of src/.
 */
export async function bundle(root, folder) {
  const esbuild = await import("esbuild");
  const program = await esbuild.build({
    ...common,
    absWorkingDir: root,
    entryPoints: { nexusd: "src/main.ts" },
    outdir: join(folder, "bundle"),
    outExtension: { ".js": ".mjs" },
    splitting: true,
    minifySyntax: true,
    minifyWhitespace: true,
    // Native code for MessagePack, which the store never writes.
    external: [...installedPackages, "msgpackr-extract"],
    // Packages of CommonJS call it.
    banner: {
      js: 'import{createRequire as requireFrom}from"node:module";const require=requireFrom(import.meta.url);',
    },
    sourcemap: "linked",
    sourcesContent: false,
  });
  // A library for others, readable, and without dependencies.
  const library = await esbuild.build({
    ...common,
    absWorkingDir: root,
    entryPoints: ["src/strategies/apply_strategy.ts"],
    outfile: join(folder, "strategies/apply_strategy.js"),
    allowOverwrite: true,
  });
  writeContents(root, folder, [program, library]);
  writeFileSync(join(folder, "bundle/commit.txt"), `${commitOf(root)}\n`);
}

/** What `nexusd version` prints: the commit of the checkout, or what NEXUS_BUILD_COMMIT says where there is none, as in an image's build. */
function commitOf(root) {
  const given = process.env.NEXUS_BUILD_COMMIT;
  if (given) return given;
  const { status, stdout } = spawnSync("git", ["rev-parse", "HEAD"], { cwd: root, encoding: "utf8" });
  return status === 0 ? stdout.trim() : "unknown";
}

/** Which packages the bundle holds, and under which licenses. */
function writeContents(root, folder, results) {
  const inputs = results.flatMap(({ metafile }) => Object.keys(metafile.inputs));
  const places = inputs.flatMap((path) => /^(.*node_modules\/(?:@[^/]+\/)?[^/]+)\//.exec(path)?.[1] ?? []);
  const packages = [...new Set(places)].sort().map((place) => {
    const { name, version, license } = JSON.parse(readFileSync(join(root, place, "package.json"), "utf8"));
    return { place, name, version, license };
  });
  writeFileSync(join(folder, "bundle/packages.json"), `${JSON.stringify(packages, undefined, 1)}\n`);
  const texts = packages.map(({ place, name, version, license }) => {
    const files = readdirSync(join(root, place)).filter((file) => /^(licen[cs]e|notice)/i.test(file));
    const words = files.map((file) => readFileSync(join(root, place, file), "utf8").trim());
    return [`${name} ${version} (${license})`, ...words].join("\n\n");
  });
  writeFileSync(join(folder, "bundle/LICENSES.txt"), `${texts.join(`\n\n${"-".repeat(80)}\n\n`)}\n`);
}
