import { defineConfig } from "vitest/config";

/** Apart from `npm test`: it builds older versions of the history, installs clients, and uses fixed addresses. */
export default defineConfig({
  test: {
    name: "upgrade",
    root: `${import.meta.dirname}/../..`,
    include: ["test/upgrade/**/*.test.ts"],
    globalSetup: ["test/run.ts", "scripts/build.mjs"],
    pool: "forks",
    maxWorkers: 1,
    fileParallelism: false,
    testTimeout: 120_000,
    hookTimeout: 300_000,
    expect: { poll: { timeout: 30_000 } },
  },
});
