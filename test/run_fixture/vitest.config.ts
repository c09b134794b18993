import { defineConfig } from "vitest/config";

/** For `test/run.test.ts` alone: its tests fail and leave things behind. */
export default defineConfig({
  test: {
    root: `${import.meta.dirname}/../..`,
    include: ["test/run_fixture/untidy.ts"],
    globalSetup: ["test/run.ts"],
    pool: "forks",
  },
});
