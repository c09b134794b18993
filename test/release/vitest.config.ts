import { defineConfig } from "vitest/config";

/** Apart from `npm test`: it makes a release, which takes minutes, and installs it from the registries. */
export default defineConfig({
  test: {
    name: "release",
    root: `${import.meta.dirname}/../..`,
    include: ["test/release/**/*.test.ts"],
    globalSetup: ["test/run.ts", "scripts/build.mjs", "test/release/made_once.ts"],
    pool: "forks",
    maxWorkers: 1,
    fileParallelism: false,
    testTimeout: 300_000,
    hookTimeout: 300_000,
  },
});
