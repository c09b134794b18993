import { defineConfig } from "vitest/config";

/** Apart from `npm test`: it needs Envoy and nginx. */
export default defineConfig({
  test: {
    name: "proxy",
    root: `${import.meta.dirname}/../..`,
    include: ["test/proxy/**/*.test.ts"],
    globalSetup: ["test/run.ts"],
    pool: "forks",
    maxWorkers: 2,
    testTimeout: 30_000,
    hookTimeout: 60_000,
  },
});
