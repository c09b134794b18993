import { defineConfig } from "vitest/config";

/** Apart from `npm test`: it needs a network of its own (`own_network.sh`), in which it takes the daemon's usual ports. */
export default defineConfig({
  test: {
    name: "walk",
    root: `${import.meta.dirname}/../..`,
    include: ["test/walk/**/*.test.ts"],
    globalSetup: ["test/run.ts", "test/walk/machine.ts"],
    pool: "forks",
    maxWorkers: 1,
    fileParallelism: false,
    testTimeout: 120_000,
    hookTimeout: 120_000,
  },
});
