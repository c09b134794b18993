import { defineConfig } from "vitest/config";

/** Apart from `npm test`: it needs the tools that `main.ts` asks for, and a network of its own. */
export default defineConfig({
  test: {
    name: "deploy",
    root: `${import.meta.dirname}/../..`,
    include: ["test/deploy/**/*.test.ts"],
    globalSetup: ["test/run.ts"],
    pool: "forks",
    // The pods stand on one loopback with their ports.
    fileParallelism: false,
    testTimeout: 60_000,
    hookTimeout: 75_000,
  },
});
