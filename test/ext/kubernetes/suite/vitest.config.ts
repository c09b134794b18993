import { defineConfig } from "vitest/config";

/** Apart from `npm test`: it needs a kube-apiserver, etcd and helm on the `PATH`. */
export default defineConfig({
  test: {
    name: "kubernetes",
    root: `${import.meta.dirname}/../../../..`,
    include: ["test/ext/kubernetes/suite/**/*.test.ts"],
    globalSetup: ["test/run.ts", "test/ext/kubernetes/suite/setup.ts"],
    pool: "forks",
    // The objects of one cluster, which a test may kill.
    fileParallelism: false,
    testTimeout: 60_000,
    hookTimeout: 75_000,
    expect: { poll: { timeout: 20_000 } },
  },
});
