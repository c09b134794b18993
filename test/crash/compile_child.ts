import { readFileSync } from "node:fs";
import { basename, join } from "node:path";
import { buildSync } from "esbuild";

/** Bundled once into one file: a child must start in a fraction of a second. @returns the bundle */
export function compileChild(file: string): string {
  const root = join(import.meta.dirname, "../..");
  const bundle = join(root, `node_modules/.cache/crash-${basename(file, ".ts")}.mjs`);
  // They have native code, which no bundle holds.
  const { dependencies } = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as {
    dependencies: Readonly<Record<string, string>>;
  };
  buildSync({
    absWorkingDir: root,
    entryPoints: [file],
    outfile: bundle,
    bundle: true,
    platform: "node",
    target: "node20.19",
    format: "esm",
    mainFields: ["module", "main"],
    external: [...Object.keys(dependencies), "msgpackr-extract"],
    // Packages of CommonJS call it.
    banner: { js: 'import{createRequire}from"node:module";const require=createRequire(import.meta.url);' },
    // A child parses it in less time.
    minifySyntax: true,
    minifyWhitespace: true,
    logLevel: "warning",
  });
  return bundle;
}
