import { defineConfig } from "vitest/config";
import { leftOutFiles } from "./left_out.js";

/** The suite of whole daemons, each of which is a follower of a hub beside it. */
export default defineConfig({
  test: {
    maxWorkers: 2,
    pool: "forks",
    testTimeout: 30_000,
    hookTimeout: 30_000,
    expect: { poll: { timeout: 10_000 } },
    globalSetup: ["test/run.ts", "scripts/build.mjs", "test/follower/shared_postgres.ts"],
    setupFiles: ["test/follower/setup.ts"],
    include: ["test/follower/*.test.ts", "test/daemon/**/*.test.ts"],
    exclude: Object.keys(leftOutFiles).map((files) => `test/daemon/${files}.test.ts`),
  },
});
