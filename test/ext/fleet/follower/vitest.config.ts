import { defineConfig } from "vitest/config";
import { leftOutFiles } from "./left_out.js";

/** The suite of whole daemons, each of which is a follower of a hub beside it. */
export default defineConfig({
  test: {
    maxWorkers: 2,
    pool: "forks",
    // Of two daemons and a database, each on the other's way.
    testTimeout: 60_000,
    hookTimeout: 60_000,
    expect: { poll: { timeout: 20_000 } },
    globalSetup: ["test/run.ts", "scripts/build.mjs", "test/ext/fleet/follower/shared_postgres.ts"],
    setupFiles: ["test/ext/fleet/follower/setup.ts"],
    include: [
      "test/ext/fleet/follower/*.test.ts",
      "test/daemon/**/*.test.ts",
      "test/ext/console/daemon/*.test.ts",
      "test/ext/egress/daemon/listener.test.ts",
    ],
    exclude: Object.keys(leftOutFiles).map((files) => `test/${files}.test.ts`),
  },
});
