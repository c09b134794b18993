import { defineConfig } from "vitest/config";

/** Two forks for two cores; a daemon test starts processes of its own beside them. */
const maxWorkers = 2;

/** What is waited for may stand behind a flush of a busy disk. */
const poll = { timeout: 10_000 };

const shared = { pool: "forks", testTimeout: 60_000, hookTimeout: 60_000, expect: { poll } } as const;

export default defineConfig({
  test: {
    maxWorkers,
    globalSetup: ["test/run.ts"],
    projects: [
      {
        test: {
          ...shared,
          name: "unit",
          // Two processes run all of these files, so that what they share is loaded once. The others have one for each file.
          isolate: false,
          include: ["test/**/*.test.ts"],
          exclude: ["test/daemon/**", "test/security/**", "test/proxy/**", "test/deploy/**"],
        },
      },
      {
        test: {
          ...shared,
          name: "daemon",
          include: ["test/daemon/**/*.test.ts"],
          // These tests start dist/main.js: it must be the build of the present sources however vitest was called.
          globalSetup: ["scripts/build.mjs"],
        },
      },
      {
        test: {
          ...shared,
          name: "security",
          include: ["test/security/**/*.test.ts"],
          globalSetup: ["scripts/build.mjs"],
        },
      },
    ],
  },
});
