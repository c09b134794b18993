import { readFileSync } from "node:fs";
import { defineConfig } from "vitest/config";

/** Two forks for two cores; a daemon test starts processes of its own beside them. */
const maxWorkers = 2;

/** What is waited for may stand behind a flush of a busy disk. */
const poll = { timeout: 10_000 };

/** Files of tests that fail among others and pass alone, each with its reason: `npm run test:quarantine` runs them, and nothing else does. */
const quarantined = readFileSync(`${import.meta.dirname}/test/quarantine.txt`, "utf8")
  .split("\n")
  .flatMap((line) => (/^(test\/\S+) # \S/.exec(line) ?? []).slice(1));

/** Tests of whole daemons that show what README promises. Those of SECURITY.md are all of `test/security`. */
const promises = [
  ..."accounts acquiring audit capture chromium connecting device errors http import keys_cli killed main_job".split(
    " ",
  ),
  ..."package process providers readme rejected_tokens rest revocation status tokens".split(" "),
  ..."unattended watching".split(" "),
].map((name) => `test/daemon/${name}.test.ts`);

const promisesOfExtensions = ["journey", "sign_in"].map((name) => `test/ext/*/daemon/${name}.test.ts`);

const fleet = [
  "test/ext/fleet/{daemon,database,hub,storm}/**/*.test.ts",
  "test/ext/spoke/daemon/**/*.test.ts",
];
const tools = [
  ...["tools", "terminal", "service"].map((folder) => `test/daemon/${folder}/**/*.test.ts`),
  "test/strategies/examples.test.ts",
];
const observability = ["test/observability/**/*.test.ts"];

const project = (name: string, include: string[], exclude: string[] = [], setup: string[] = []) => ({
  test: {
    pool: "forks" as const,
    testTimeout: 60_000,
    // A busy machine is slower, not broken: what hooks start is programs.
    hookTimeout: 180_000,
    expect: { poll },
    name,
    include,
    exclude: process.env["QUARANTINE"] ? [] : [...exclude, ...quarantined],
    // Two processes run all files of `unit`, so that what they share is loaded once. The others have one for each file.
    isolate: name !== "unit",
    // Tests that start dist/main.js need the build of the present sources, however vitest was called.
    ...(name === "unit" ? {} : { globalSetup: ["scripts/build.mjs", ...setup] }),
  },
});

/** `npm test` runs `unit` and `promises`; `.ci/suites.sh` says which changes run the others. */
export default defineConfig({
  test: {
    maxWorkers,
    // A worker that ends on a busy machine, and the sweep after all, are not abandoned.
    teardownTimeout: 60_000,
    globalSetup: ["test/run.ts"],
    projects: [
      project(
        "unit",
        ["test/**/*.test.{ts,tsx}"],
        [
          "test/{daemon,security,proxy,deploy,release,removal,upgrade,walk}/**",
          "test/ext/fleet/follower/**",
          "test/ext/kubernetes/suite/**",
          "test/ext/*/daemon/**",
          ...fleet,
          ...tools,
          ...observability,
        ],
      ),
      project("promises", ["test/security/**/*.test.ts", ...promises, ...promisesOfExtensions]),
      project("removal", ["test/removal/**/*.test.ts"]),
      project(
        "daemon",
        ["test/daemon/**/*.test.ts", "test/ext/*/daemon/**/*.test.ts"],
        [...promises, ...promisesOfExtensions, ...fleet, ...tools, ...observability],
      ),
      project("fleet", fleet, [], ["test/ext/fleet/database/servers_of_run.ts"]),
      project("tools", tools),
      project("observability", observability),
    ],
  },
});
