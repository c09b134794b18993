import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { temporaryFolder } from "../temporary_folder.js";
import { journey } from "./journey.js";
import { artefact, succeed, version } from "./made.js";

describe("the tarball of Linux on x64", () => {
  let folder: string;
  beforeAll(() => {
    const place = temporaryFolder();
    succeed("tar", [
      "--extract",
      "--file",
      artefact("nexusd-VERSION-linux-x64.tar.gz"),
      "--directory",
      place,
    ]);
    folder = join(place, `nexusd-${version}-linux-x64`);
  });

  /** No program is there. */
  const bare = "/nonexistent";

  test("runs without a Node on the machine", async () => {
    await journey([join(folder, "bin/nexusd")], [join(folder, "lib/node")], bare);
  });

  test("leads a new user to the first token within two minutes, unpacked and by the commands of the quickstart", () => {
    const place = temporaryFolder();
    const startedMs = performance.now();
    succeed("tar", [
      "--extract",
      "--file",
      artefact("nexusd-VERSION-linux-x64.tar.gz"),
      "--directory",
      place,
    ]);
    const unpackedMs = performance.now() - startedMs;
    const smoke = join(import.meta.dirname, "../../scripts/release/smoke.sh");
    // Its ports are free in a network of its own.
    const own = ["--net", "sh", "-c", 'ip link set lo up && exec "$@"', "sh"];
    const shown = succeed("unshare", [...own, smoke, join(place, `nexusd-${version}-linux-x64/bin/nexusd`)]);
    const [, seconds] = /^the first token came after (\d+) s$/m.exec(shown) ?? [];
    expect(unpackedMs / 1000 + Number(seconds)).toBeLessThan(120);
  });

  test("says which commit it is, and the Node that it brings", () => {
    const commit = succeed("git", ["rev-parse", "HEAD"], process.env, import.meta.dirname).trim();
    const shown = succeed(join(folder, "bin/nexusd"), ["version", "--json"], { PATH: bare, HOME: folder });
    expect(JSON.parse(shown)).toMatchObject({ version, commit, node: expect.stringMatching(/^v26\./) });
  });

  test("starts through symbolic links, and hints name what was typed", () => {
    const bin = temporaryFolder();
    succeed("ln", ["-s", join(folder, "bin/nexusd"), join(bin, "nexusd")]);
    const env = { PATH: `${bin}:/usr/bin:/bin`, HOME: bin };
    expect(succeed("nexusd", [], env)).toContain("terminal: nexusd serve\n");
    expect(succeed(join(bin, "nexusd"), [], { PATH: "/usr/bin:/bin", HOME: bin }, bin)).toContain(
      "./nexusd serve\n",
    );
  });

  test("has the licences, and native code for its processor alone", () => {
    expect(["LICENSE", "LICENSE.node"].filter((name) => !existsSync(join(folder, name)))).toEqual([]);
    const modules = join(folder, "lib/nexusd/node_modules");
    const files = readdirSync(modules, { recursive: true, encoding: "utf8" });
    const foreign = /darwin|win32|arm|musl/;
    expect(files.filter((file) => /\.(node|bare)$/.test(file) && foreign.test(file))).toEqual([]);
  });
});

describe("the package of npm", () => {
  test("is installed by npm, and runs", async () => {
    const prefix = temporaryFolder();
    const install = ["install", "--global", "--prefix", prefix, "--no-audit", "--no-fund"];
    succeed("npm", [...install, artefact("nexusd-VERSION.tgz")], process.env, prefix);
    await journey([join(prefix, "bin/nexusd")], [process.execPath], process.env["PATH"] ?? "");
  });
});
