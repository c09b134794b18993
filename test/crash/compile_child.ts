import { spawnSync } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { basename, dirname, join } from "node:path";

/** Compiled once: a child must start in a fraction of a second. @returns the compiled file */
export function compileChild(file: string): string {
  const root = join(import.meta.dirname, "../..");
  const folder = join(root, `node_modules/.cache/crash-${basename(file, ".ts")}`);
  const compiler = join(
    dirname(createRequire(import.meta.url).resolve("typescript/package.json")),
    "bin/tsc",
  );
  const options = ["--noEmit", "false", "--rootDir", root, "--outDir", folder];
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, "package.json"), '{"type":"module"}');
  writeFileSync(
    join(folder, "tsconfig.json"),
    JSON.stringify({
      extends: join(root, "tsconfig.json"),
      compilerOptions: { typeRoots: [join(root, "node_modules/@types")] },
      files: [file, "src/store/files/fs-native-extensions.d.ts", "src/store/lmdb/lmdb_keys.d.ts"].map(
        (each) => join(root, each),
      ),
      include: [],
    }),
  );
  const { status } = spawnSync(
    process.execPath,
    [compiler, "-p", join(folder, "tsconfig.json"), ...options],
    {
      stdio: ["ignore", 2, 2],
    },
  );
  if (status !== 0) throw new Error("the child does not compile");
  return join(folder, file.replace(/ts$/, "js"));
}
