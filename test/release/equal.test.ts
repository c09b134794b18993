import { spawnSync } from "node:child_process";
import { chmodSync, mkdirSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { temporaryFolder } from "../temporary_folder.js";
import { made, succeed } from "./made.js";

const root = join(import.meta.dirname, "../..");
const other = 65_534;

/** The packages of npm are fetched again, since the other user has no cache of them. */
const maxMs = 1_200_000;

/** What differs inside of two archives, as diffoscope prints it; where that is not installed, the path of the second. */
function difference(one: string, other: string): string {
  const { stdout } = spawnSync("diffoscope", ["--max-text-report-size", "20000", one, other], {
    encoding: "utf8",
  });
  return stdout || other;
}

test(
  "a second build, in another folder, later, and by another user with another umask, has the same bytes",
  () => {
    const folder = temporaryFolder();
    const [clone, out] = [join(folder, "elsewhere/clone"), join(folder, "out")];
    succeed("git", ["clone", "--quiet", "--no-hardlinks", root, clone]);
    for (const name of ["home", "tmp", "out"]) mkdirSync(join(folder, name));
    chmodSync(folder, 0o755);
    succeed("chown", ["--recursive", `${other}:${other}`, folder]);
    const env = { PATH: process.env["PATH"], HOME: join(folder, "home"), TMPDIR: join(folder, "tmp") };
    const user = [`--reuid=${other}`, `--regid=${other}`, "--clear-groups"];
    const release = `umask 077; exec npm run --silent release -- --out "${out}"`;
    succeed("setpriv", [...user, "sh", "-c", release], env, clone);
    const names = readdirSync(made).filter((name) => name !== "SHA256SUMS.sig");
    expect(readdirSync(out)).toEqual(names);
    const differing = names.filter(
      (name) => !readFileSync(join(out, name)).equals(readFileSync(join(made, name))),
    );
    expect(differing.map((name) => difference(join(made, name), join(out, name)))).toEqual([]);
  },
  maxMs,
);
