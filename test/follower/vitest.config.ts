import { defineConfig } from "vitest/config";

/** The suite of whole daemons, each of which is a follower of a hub beside it. */
export default defineConfig({
  test: {
    maxWorkers: 2,
    pool: "forks",
    testTimeout: 30_000,
    hookTimeout: 30_000,
    expect: { poll: { timeout: 10_000 } },
    globalSetup: ["test/run.ts", "scripts/build.mjs", "test/follower/shared_postgres.ts"],
    include: ["test/daemon/**/*.test.ts", "test/security/**/*.test.ts"],
    exclude: ["test/daemon/fleet/**"],
  },
});
